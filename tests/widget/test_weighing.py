"""What cells say: weights, weights times the size of values, effects on a token."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
import traitlets as t

import attnwidget as aw
from attnwidget import demo
from attnwidget.effects import direct, value_weighted
from attnwidget.widget.answers import answer
from tests.figures.test_heatmap import texts

STORY = "Lily and Ben went to the park . Lily gave the ball to"


@pytest.fixture(scope="module")
def model():
    return demo.load()


def settled(view, timeout=60):
    """Wait until what was asked for is there."""
    done = threading.Event()

    def look(_change=None):
        if view.weighed["state"] in {"done", "error"}:
            done.set()

    view.observe(look, "weighed")
    look()
    assert done.wait(timeout)
    view.unobserve(look, "weighed")
    return view.weighed


def weigh(view, **choices):
    """Choose, and wait for what comes of it."""
    done = threading.Event()
    view.observe(lambda change: change["new"]["state"] in {"done", "error"} and done.set(), "weighed")
    with view.hold_trait_notifications():
        for name, value in choices.items():
            setattr(view, name, value)
    assert done.wait(60)
    return view.weighed


def cells(view, layer, head, name=None):
    """What the browser is sent of a map."""
    maps = view.shown.maps[name or view.map]
    asked = {"op": "tile", "map": name or view.map, "layer": layer, "head": head, "rows": (0, maps.n_queries)}
    asked |= {"columns": (0, maps.n_keys), "height": maps.n_queries, "width": maps.n_keys}
    answered = answer(view.shown, asked)
    codes = np.frombuffer(answered.buffers[0], dtype="<u2").reshape(maps.n_queries, maps.n_keys)
    weights = np.exp(answered.header["low"] + codes * answered.header["step"])
    return np.where(codes == 0xFFFF, 0, weights)


def test_values_are_shown_as_shares_of_their_row(model):
    view = aw.explore(STORY, keep=None)
    told = weigh(view, weighing="value")
    assert told["state"] == "done"
    assert view.map == "attention"
    wanted = value_weighted(aw.capture(*(model[0], STORY, model[1]), values=True))
    for head in range(4):
        np.testing.assert_allclose(cells(view, 3, head), wanted.weights(3, head), atol=1e-3)
    view.weighing = "weight"
    plain = aw.capture(model[0], STORY, model[1]).maps
    np.testing.assert_allclose(cells(view, 3, 1), plain.weights(3, 1), atol=1e-3)


def test_effects_are_what_speaks_for_a_token_less_what_speaks_against_it(model):
    view = aw.explore(STORY, layer=3, head=1, keep=None)
    told = weigh(view, weighing="effect", target="Ben", versus="Lily")
    effects = direct(model[0], STORY, model[1], target="Ben", against="Lily")
    assert (told["target"], told["versus"], told["position"]) == ("Ben", "Lily", 13)
    assert told["logit"] == pytest.approx(effects.logit, abs=1e-3)
    first, second = view.against["map"], view.map
    for layer, head in ((3, 1), (1, 2), (0, 3)):
        shown = view.facts["unit"] * (cells(view, layer, head) - cells(view, layer, head, first))
        np.testing.assert_allclose(shown, effects.split.map(layer, head), atol=2e-3 * view.facts["unit"])
    assert second == "for 'Ben'"
    assert view.measure in view.shown.measures
    assert view.sort == "highest"
    assert {name: told["promoted"][name] for name in ("layer", "head")} == {"layer": 3, "head": 1}
    more, _ = effects.promoted(3, 1, 6)
    assert [word for word, _ in told["promoted"]["more"]] == [word for word, _ in more]


def test_the_pinned_query_is_whose_next_token_it_is(model):
    view = aw.explore(STORY, query=5, keep=None)
    told = weigh(view, weighing="effect", target="the")
    effects = direct(model[0], STORY, model[1], target="the", position=5)
    assert told["position"] == 5
    assert told["logit"] == pytest.approx(effects.logit, abs=1e-3)
    told = weigh(view, query=12)
    assert told["position"] == 12


def test_what_was_chosen_comes_back_with_the_weights():
    view = aw.explore(STORY, layer=2, head=3, measure="entropy", query=4, keep=None)
    before = {name: getattr(view, name) for name in ("map", "layer", "head", "query", "measure", "sort", "against")}
    weigh(view, weighing="effect", target="Ben")
    assert (view.layer, view.head, view.query) == (2, 3, 4)
    view.weighing = "weight"
    assert {name: getattr(view, name) for name in before} == before
    assert "unit" not in view.facts


def test_tokens_left_out_leave_effects_what_they_are(model):
    view = aw.explore(STORY, layer=3, head=1, keep=None)
    weigh(view, weighing="effect", target="Ben", versus="Lily")
    view.hide = [0]
    effects = direct(model[0], STORY, model[1], target="Ben", against="Lily")
    shown = view.facts["unit"] * (cells(view, 3, 1) - cells(view, 3, 1, view.against["map"]))
    np.testing.assert_allclose(shown, effects.split.map(3, 1)[1:, 1:], atol=2e-2)


def test_maps_without_a_model_say_what_is_needed(model):
    run = aw.capture(model[0], STORY, model[1])
    view = aw.explore(run, keep=None)
    for chosen in ("value", "effect"):
        assert "explore(text, model=" in view.weighed["needs"][chosen]
        with pytest.raises(t.TraitError, match="model"):
            view.weighing = chosen
    held = aw.explore(aw.capture(model[0], STORY, model[1], values=True), keep=None)
    assert held.weighed["needs"]["value"] is None
    assert weigh(held, weighing="value")["state"] == "done"


def test_a_token_that_is_none_is_told_and_the_weights_stay():
    view = aw.explore(STORY, keep=None)
    told = weigh(view, weighing="effect", target="Ben and Lily")
    assert told["state"] == "error"
    assert "tokens of this tokenizer" in told["why"]
    assert view.map == "attention"
    assert weigh(view, target="Ben")["state"] == "done"


def test_applying_and_weighing_exclude_each_other():
    view = aw.explore(STORY, keep=None)
    weigh(view, weighing="value")
    view.applied = True
    assert view.weighing == "weight"
    with pytest.raises(t.TraitError, match="applied"):
        view.weighing = "value"


def test_other_maps_end_it(model):
    view = aw.explore(STORY, keep=None)
    weigh(view, weighing="effect", target="Ben")
    view.show(aw.capture(model[0], "Lily and Ben", model[1]))
    assert view.weighing == "weight"
    assert view.weighed["needs"]["effect"]


def test_a_choice_at_the_beginning_is_followed(model):
    view = aw.explore(STORY, model=model[0], tokenizer=model[1], weighing="value", keep=None)
    assert settled(view)["state"] == "done"


def test_a_classifier_has_effects_on_its_classes():
    import transformers as tf

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    vit = tf.ViTForImageClassification(tf.ViTConfig(**sizes, image_size=24, patch_size=8, num_labels=3)).eval()
    view = aw.explore({"pixel_values": torch.randn(1, 3, 24, 24)}, model=vit, keep=None)
    told = weigh(view, weighing="effect", target="LABEL_2")
    assert (told["state"], told["target"]) == ("done", "LABEL_2")


def test_effects_are_no_shares_of_which_anything_else_is_told():
    view = aw.explore(STORY, layer=3, head=1, compared="beside", keep=None)
    weigh(view, weighing="effect", target="Ben", versus="Lily")
    assert view.compared == "difference"
    shown, other = view.facts["maps"]
    assert [(one["name"], one["unit"]) for one in shown["measures"]] == [("effect on 'Ben' against 'Lily'", "logits")]
    assert other["measures"] == []
    assert not any(fact[name] for fact in (shown, other) for name in ("diagnosed", "standouts"))
    assert '"versus": "Lily"' in view.to_html(progress=False)
    view.weighing = "weight"
    assert view.compared == "beside"


def test_what_is_kept_of_effects_is_in_logits(model, tmp_path):
    view = aw.explore(STORY, layer=3, head=1, keep=None)
    weigh(view, weighing="effect", target="Ben", versus="Lily")
    effects = direct(model[0], STORY, model[1], target="Ben", against="Lily")
    kept = view.stands()
    assert "effect on 'Ben'" in kept.caption
    assert "<th>logits</th>" in kept.markup(pictured=False)
    (key, largest), *_ = kept.table[-1][1]
    assert (key, largest) == ("gave", pytest.approx(effects.split.map(3, 1)[13, 10].item(), abs=1e-3))
    lines = view.save(tmp_path / "effects.csv").read_text("utf-8-sig").splitlines()
    assert float(lines[14].split(",")[11]) == pytest.approx(largest, rel=1e-6)
    assert "against 'Lily'; 1 is 10 logits" in texts(aw.figures.of_view(view))


def test_why_there_are_none_is_said_of_models_with_several_kinds_of_attention():
    import transformers as tf

    torch.manual_seed(0)
    sizes = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in (("layers", 1), ("ffn_dim", 32))}
    sizes |= {"d_model": 32, "vocab_size": 100, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
    bart = tf.BartForConditionalGeneration(tf.BartConfig(**sizes)).eval()
    given = {"input_ids": torch.arange(5, 12)[None], "decoder_input_ids": torch.arange(5, 9)[None]}
    view = aw.explore(given, model=bart, keep=None)
    assert "several" in view.weighed["needs"]["effect"]


def test_maps_with_values_that_are_shown_later_are_weighed(model):
    view = aw.explore(aw.capture(model[0], "Lily and Ben", model[1]), keep=None)
    assert view.weighed["needs"]["value"]
    view.show(aw.capture(model[0], STORY, model[1], values=True))
    assert view.weighed["needs"]["value"] is None
    assert weigh(view, weighing="value")["state"] == "done"


def test_a_token_against_itself_is_told_and_the_next_is_found():
    view = aw.explore(STORY, keep=None)
    told = weigh(view, weighing="effect", target="Ben", versus="Ben")
    assert told["state"] == "error"
    assert "against itself" in told["why"]
    assert weigh(view, versus="Lily")["state"] == "done"


def test_one_example_of_a_batch_is_weighed_and_changed(model):
    texts = ["Lily and Ben went to the park .", STORY]
    view = aw.explore(texts, model=model[0], tokenizer=model[1], example=1, keep=None)
    told = weigh(view, weighing="effect", target="Ben", versus="Lily")
    assert told["state"] == "done"
    assert told["logit"] == pytest.approx(
        direct(model[0], STORY, model[1], target="Ben", against="Lily").logit, abs=1e-3
    )
    view.weighing = "weight"
    done = threading.Event()
    view.observe(lambda change: change["new"]["state"] in {"done", "error"} and done.set(), "outcome")
    view.off, view.applied = [[3, 1]], True
    assert done.wait(60)
    assert view.outcome["state"] == "done"
