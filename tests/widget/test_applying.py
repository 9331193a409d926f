"""What is applied is done to the model: what it then gives is what intervene and capture compute."""

from __future__ import annotations

import copy
import json
import re
import threading
from contextlib import ExitStack, contextmanager

import pytest
import torch
import traitlets
from torch.nn.functional import cross_entropy

import attnwidget as aw
from attnwidget import demo
from attnwidget.effects import intervene
from tests.make import projected

STORY = "Lily and Ben went to the park . Lily gave the ball to"
PATIENCE = 60


@pytest.fixture(scope="module")
def storyteller():
    return demo.load("storyteller")


@pytest.fixture
def view(storyteller):
    model, tokenizer = storyteller
    explorer = aw.explore(STORY, model=model, tokenizer=tokenizer, layer=1, head=2)
    yield explorer
    explorer.close()


def explored(name, text, **options):
    model, tokenizer = demo.load(name)
    return aw.explore(text, model=model, tokenizer=tokenizer, **options)


@contextmanager
def settling(view):
    """Wait for what comes of the changes in the block."""
    settled = threading.Event()

    def hear(change):
        if change["new"]["state"] in {"done", "error"}:
            settled.set()

    view.observe(hear, "outcome")
    try:
        yield
        assert settled.wait(PATIENCE), view.outcome
    finally:
        view.unobserve(hear, "outcome")


def wait_until_done(view):
    """Wait for what has been begun."""
    done = threading.Event()

    def hear(_):
        if view.outcome["state"] == "done":
            done.set()

    view.observe(hear, "outcome")
    hear(None)
    assert done.wait(PATIENCE), view.outcome
    view.unobserve(hear, "outcome")


def by_hand(storyteller, *changes, text=STORY):
    """Maps, the next token's distribution, and the loss, with attention changed in the documented way."""
    model, tokenizer = storyteller
    with ExitStack() as stack:
        for change in changes:
            stack.enter_context(intervene(model, **change))
        run = aw.capture(model, text, tokenizer, logits="all")
    loss = cross_entropy(run.logits[:-1], tokenizer(text, return_tensors="pt")["input_ids"][0, 1:])
    return run.maps, run.next_token_probabilities, float(loss)


def assert_outcome(view, storyteller, *changes):
    before_maps, before, before_loss = by_hand(storyteller)
    after_maps, after, after_loss = by_hand(storyteller, *changes)
    outcome = view.outcome
    assert outcome["state"] == "done"
    ids = [storyteller[1].convert_tokens_to_ids(token) for token, _, _ in outcome["candidates"]]
    for (_, was, now), one in zip(outcome["candidates"], ids, strict=True):
        assert (was, now) == pytest.approx((float(before[one]), float(after[one])), abs=1e-6)
    assert {int(before.argmax()), int(after.argmax()), int((before - after).abs().argmax())} <= {*ids}
    kl = float((before.double() * (before.double().log() - after.double().log())).sum())
    assert outcome["kl"] == pytest.approx(kl, abs=1e-6)
    assert outcome["loss"] == pytest.approx([before_loss, after_loss], abs=1e-5)
    named = {place.run: view.shown.maps[name] for name, place in view.shown.runs.items() if place.part == "attention"}
    for run, maps in (("as it is", before_maps), ("changed", after_maps)):
        for layer in range(maps.n_layers):
            for head in range(maps.heads[layer]):
                torch.testing.assert_close(named[run].weights(layer, head), maps.weights(layer, head))


CHANGES = {
    "a head off": ({"off": [[1, 2]]}, [{"heads": (1, 2), "ablate": "zero"}]),
    "two heads off": ({"off": [(0, 1), (1, 2)]}, [{"heads": [(0, 1), (1, 2)], "ablate": "zero"}]),
    "a block cut": ({"cuts": [[0, 3, [5, 9], [1, 4]]]}, [{"heads": (0, 3), "cut": (slice(5, 9), slice(1, 4))}]),
    "two blocks cut": (
        {"cuts": [[0, 3, [5, 6], [1, 2]], [0, 3, [9, 10], [0, 4]]]},
        [{"heads": (0, 3), "cut": [(5, 1), (9, slice(0, 4))]}],
    ),
    "a temperature": ({"temperature": 3}, [{"heads": (1, 2), "temperature": 3}]),
    "a scaling": ({"scaling": 0}, [{"heads": (1, 2), "scaling": 0}]),
    "several": (
        {"tempered": [[0, 0, 0.2, 1.0]], "cuts": [[0, 0, [4, 5], [2, 3]]], "off": [[1, 0]]},
        [
            {"heads": (0, 0), "temperature": 0.2},
            {"heads": (0, 0), "cut": (4, 2)},
            {"heads": (1, 0), "ablate": "zero"},
        ],
    ),
}


class TestWhatIsApplied:
    @pytest.mark.parametrize(("traits", "changes"), CHANGES.values(), ids=CHANGES)
    def test_is_done_to_the_model(self, view, storyteller, traits, changes):
        with settling(view):
            view.applied = True
        with settling(view):
            view.set_state(traits)
        assert_outcome(view, storyteller, *changes)
        assert (view.map, view.against) == ("changed", {"map": "as it is", "layer": None, "head": None})

    def test_counts_from_the_beginning(self, storyteller):
        model, tokenizer = storyteller
        view = aw.explore(STORY, model=model, tokenizer=tokenizer, keep=None, off=[[2, 1]])
        with settling(view):
            view.applied = True
        assert_outcome(view, storyteller, {"heads": (2, 1), "ablate": "zero"})
        view.close()
        again = aw.explore(STORY, model=model, tokenizer=tokenizer, off=[[2, 1]], applied=True)
        with settling(again):
            again.cuts = [[0, 0, [3, 4], [1, 2]]]
        assert again.against["map"] == "as it is"
        again.close()

    def test_is_shown_again_by_its_state(self, view, storyteller):
        with settling(view):
            view.set_state({"applied": True, "off": [[1, 2]], "temperature": 2})
        view.map = "changed: rollout"
        model, tokenizer = storyteller
        again = aw.explore(STORY, model=model, tokenizer=tokenizer, **view.state)
        assert again.map in {"rollout", view.map}
        wait_until_done(again)
        assert (again.map, again.against) == (view.map, view.against)
        assert again.outcome["kl"] == pytest.approx(view.outcome["kl"], abs=1e-9)
        again.close()

    def test_leaves_layers_before_the_change_as_they_are(self, view):
        with settling(view):
            view.set_state({"applied": True, "off": [[1, 2]]})
        changed, before = view.shown.maps["changed"], view.shown.maps["as it is"]
        assert changed.weights(0, 0).equal(before.weights(0, 0))
        assert not torch.allclose(changed.weights(2, 0), before.weights(2, 0))

    def test_computes_no_layer_before_the_change_again(self, view, storyteller):
        computed = []
        layers = [module for module in storyteller[0].modules() if hasattr(module, "layer_idx")]
        handles = [
            layer.register_forward_pre_hook(lambda module, _: computed.append(module.layer_idx)) for layer in layers
        ]
        try:
            with settling(view):
                view.applied = True
            assert set(computed) == {0, 1, 2, 3}
            computed.clear()
            for change in ({"off": [[2, 1]]}, {"cuts": [[3, 0, [4, 6], [1, 3]]]}):
                with settling(view):
                    view.set_state(change)
            assert set(computed) == {2, 3}
        finally:
            for handle in handles:
                handle.remove()
        changes = [{"heads": (3, 0), "cut": (slice(4, 6), slice(1, 3))}, {"heads": (2, 1), "ablate": "zero"}]
        assert_outcome(view, storyteller, *changes)

    def test_comes_back_as_it_was_with_all_that_was_chosen(self, view):
        with settling(view):
            view.set_state({"applied": True})
        names, weights = list(view.shown.maps), view.maps.weights(1, 2)
        view.set_state({"selected": [[0, 1], [2, 3]], "query": 9, "also": [4], "key": 3, "heads": [0, 1], "hide": [0]})
        view.map = "mean of chosen heads"
        view.map = "rollout"
        view.layer = 2
        chosen = {name: getattr(view, name) for name in ("selected", "query", "also", "key", "hide", "layer", "view")}
        with settling(view):
            view.off = [[1, 2]]
        assert view.map == "changed: rollout"
        assert {name: getattr(view, name) for name in chosen} == chosen
        assert "changed: mean of chosen heads" in view.shown.maps
        view.applied = False
        assert view.map == "rollout"
        assert {name: getattr(view, name) for name in chosen} == chosen
        assert set(names) < set(view.shown.maps)
        view.set_state({"map": "attention", "hide": [], "selected": []})
        assert view.maps.weights(1, 2).equal(weights)
        assert (view.off, view.against, view.outcome) == ([[1, 2]], None, {"state": "idle"})

    def test_goes_when_it_is_taken_off(self, view):
        with settling(view):
            view.set_state({"applied": True, "off": [[1, 2]]})
        with settling(view):
            view.off = []
        assert (view.map, view.outcome["kl"]) == ("attention", 0)
        loss = view.outcome["loss"]
        assert loss[0] == loss[1]

    def test_another_comparison_is_taken_up_again(self, view):
        own = {"map": "attention", "layer": 0, "head": 3}
        view.against = own
        with settling(view):
            view.set_state({"applied": True, "off": [[1, 2]]})
        assert view.against["map"] == "as it is"
        view.applied = False
        assert view.against == own

    def test_travels_as_text_that_can_stand_in_any_page(self, view):
        with settling(view):
            view.set_state({"applied": True, "off": [[1, 2]]})
        sent = view.get_state("outcome")["outcome"]
        assert "<" not in sent
        assert json.loads(sent)["kl"] == view.outcome["kl"]
        assert '"outcome"' in view.to_html(progress=False)


class TestSliders:
    def test_are_those_of_the_chosen_head(self, view):
        with settling(view):
            view.set_state({"applied": True, "temperature": 2})
        assert view.tempered == [[1, 2, 2.0, 1.0]]
        view.head = 0
        assert (view.temperature, view.scaling) == (1, 1)
        with settling(view):
            view.scaling = 0.5
        assert view.tempered == [[1, 0, 1.0, 0.5], [1, 2, 2.0, 1.0]]
        view.head = 2
        assert (view.temperature, view.scaling) == (2, 1)
        with settling(view):
            view.tempered = [[1, 0, 1.0, 0.5]]
        assert view.temperature == 1

    def test_do_not_act_on_weights_in_which_they_are_already(self, view):
        with settling(view):
            view.set_state({"applied": True, "temperature": 2})
        assert (view.place.temperature, view.temperature) == (1, 2)
        view.applied = False
        assert view.place.temperature == 2


class TestTheNewest:
    def test_change_withdraws_the_one_before_it(self, view, storyteller, monkeypatch):
        """The first pass waits inside the model until newer changes are there; it counts as a long one."""
        monkeypatch.setattr("attnwidget.widget.newest.QUICK", 0)
        with settling(view):
            view.applied = True
        inside, newer = threading.Event(), threading.Event()

        def wait(*_):
            if not inside.is_set():
                inside.set()
                assert newer.wait(PATIENCE)

        shown = []
        view.observe(lambda change: shown.append(change["new"].get("kl")), "outcome")
        handle = storyteller[0].get_input_embeddings().register_forward_hook(wait)
        try:
            with settling(view):
                view.off = [[0, 0]]
                assert inside.wait(PATIENCE)
                view.off = [[1, 2]]
                view.off = [[2, 1]]
                newer.set()
        finally:
            handle.remove()
        assert_outcome(view, storyteller, {"heads": (2, 1), "ablate": "zero"})
        assert set(shown) == {0, view.outcome["kl"]}

    def test_switching_off_withdraws_all(self, view, storyteller):
        with settling(view):
            view.applied = True
        inside, left = threading.Event(), threading.Event()

        def wait(*_):
            inside.set()
            assert left.wait(PATIENCE)

        handle = storyteller[0].get_input_embeddings().register_forward_hook(wait)
        try:
            view.off = [[0, 0]]
            assert inside.wait(PATIENCE)
            view.applied = False
            left.set()
        finally:
            handle.remove()
        with settling(view):
            view.set_state({"applied": True, "off": []})
        assert (view.map, view.outcome["kl"]) == ("attention", 0)

    def test_an_error_is_told_and_the_maps_are_those_of_the_text(self, view, storyteller):
        with settling(view):
            view.set_state({"applied": True, "off": [[1, 2]]})

        def fail(*_):
            raise RuntimeError("out of memory")

        handle = storyteller[0].get_input_embeddings().register_forward_hook(fail)
        try:
            with settling(view):
                view.off = [[0, 0]]
        finally:
            handle.remove()
        assert (view.outcome["state"], view.outcome["why"]) == ("error", "RuntimeError: out of memory")
        assert view.map == "attention"
        with settling(view):
            view.off = [[1, 2]]
        assert view.outcome["state"] == "done"

    def test_other_weights_are_no_change_of_attention(self):
        model, tokenizer = copy.deepcopy(demo.load("storyteller"))
        view = aw.explore(STORY, model=model, tokenizer=tokenizer)
        with settling(view):
            view.set_state({"applied": True, "off": [[1, 2]]})
        with torch.no_grad():
            next(model.parameters()).mul_(1.1)
        with settling(view):
            view.off = [[0, 0]]
        assert "other weights" in view.outcome["why"]
        view.close()


class TestOtherModels:
    def test_that_predict_no_next_token_change_their_maps_alone(self):
        model, tokenizer = demo.load("reader")
        view = aw.explore(STORY, model=model, tokenizer=tokenizer)
        with settling(view):
            view.set_state({"applied": True, "off": [[0, 0]]})
        assert (view.outcome["candidates"], view.outcome["kl"], view.outcome["loss"]) == ([], None, None)
        with intervene(model, heads=(0, 0), ablate="zero"):
            maps = aw.capture(model, STORY, tokenizer).maps
        torch.testing.assert_close(view.maps.weights(1, 0), maps.weights(1, 0))
        view.close()

    def test_an_example_of_a_padded_batch(self, storyteller):
        model, tokenizer = storyteller
        inputs = tokenizer([STORY, "Lily went to the"], return_tensors="pt", padding=True)
        view = aw.explore(inputs, model=model, tokenizer=tokenizer, example=1)
        with settling(view):
            view.set_state({"applied": True, "off": [[1, 2]]})
        _, _, loss = by_hand(storyteller, {"heads": (1, 2), "ablate": "zero"}, text="Lily went to the")
        assert view.outcome["loss"][1] == pytest.approx(loss, abs=1e-5)
        view.close()


class TestRefusals:
    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda: aw.explore(projected()), r"explore\(text, model="),
            (lambda: aw.compare(STORY, "Lily went to the park ."), r"explore\(text, model="),
            (lambda: explored("storyteller", STORY, generate={"max_new_tokens": 2}), "was generated"),
            (lambda: explored("translator", "1 May 2020", generate={}), "was generated"),
        ],
    )
    def test_without_a_model_say_what_is_needed(self, make, words):
        view = make()
        with pytest.raises(traitlets.TraitError, match=words):
            view.applied = True
        assert not view.applied
        assert re.search(words, view.outcome["needs"])

    def test_of_several_kinds_of_attention(self):
        model, tokenizer = demo.load("translator")
        inputs = tokenizer("1 May 2020", return_tensors="pt")
        view = aw.explore({**inputs, "decoder_input_ids": inputs["input_ids"]}, model=model, tokenizer=tokenizer)
        with pytest.raises(traitlets.TraitError, match="one kind of attention"):
            view.applied = True

    def test_after_other_maps_were_shown(self, view):
        with settling(view):
            view.set_state({"applied": True, "off": [[1, 2]]})
        view.show(projected())
        assert (view.applied, view.off, view.map) == (False, [], "attention")
        with pytest.raises(traitlets.TraitError, match="in the place of what it read"):
            view.applied = True

    @pytest.mark.parametrize(
        ("trait", "value", "words"),
        [
            ("off", [[9, 0]], "off names layer 9, which does not exist"),
            ("off", [[0, 99]], "off names head 99 of layer 0"),
            ("off", [3], "off holds 3; expected pairs"),
            ("cuts", [[0, 0, [5, 4], [0, 1]]], "cuts names queries 5 to 4"),
            ("cuts", [[0, 0, [0, 1], [0, 99]]], "cuts names keys 0 to 99; expected .* 0 to"),
            ("cuts", [[0, 0, 3, 4]], r"cuts holds \[0, 0, 3, 4\]; expected \[layer, head"),
            ("cuts", [[0, 99, [0, 1], [0, 1]]], "cuts names head 99"),
            ("tempered", [[0, 0, 0, 1]], "expected a temperature above 0"),
            ("tempered", [[0, 0, "hot", 1]], r"expected \[layer, head, temperature, scaling\]"),
            ("tempered", [[7, 0, 1, 1]], "tempered names layer 7"),
        ],
    )
    def test_of_what_does_not_exist(self, view, trait, value, words):
        with pytest.raises(traitlets.TraitError, match=words):
            setattr(view, trait, value)
        assert getattr(view, trait) == []

    def test_a_closed_view_runs_nothing(self, storyteller):
        model, tokenizer = storyteller
        view = aw.explore(STORY, model=model, tokenizer=tokenizer)
        with settling(view):
            view.applied = True
        view.close()
        view.off = [[0, 0]]
        assert view.outcome["state"] == "done"
