"""The Explorer's kernel side: choices and requests."""

from __future__ import annotations

import gc
import json
import weakref
from typing import ClassVar

import numpy as np
import pytest
import torch
import traitlets
from IPython.core.interactiveshell import InteractiveShell
from ipywidgets.widgets.widget import _instances

import attnwidget as aw
from attnwidget.tokens import ImageGrid
from attnwidget.widget.answers import QUESTIONS
from tests.capturing.families import FAMILIES
from tests.make import matrices, projected
from tests.widget.asking import ask


class TestChoices:
    def test_can_be_given_and_set(self):
        view = aw.Explorer(projected(), layer=2, head=3, temperature=0.5, view="text", query=4)
        assert (view.layer, view.head, view.temperature, view.view, view.query) == (2, 3, 0.5, "text", 4)
        view.layer, view.head = 1, 0
        assert (view.layer, view.head) == (1, 0)

    def test_take_numbers_of_numpy_and_torch_and_count_from_the_end(self):
        view = aw.Explorer(projected(), layer=np.int64(1))
        view.head = torch.tensor(2)
        assert view.head == 2
        view.head = -1
        assert view.head == 3
        view.temperature = np.float32(0.5)
        assert view.temperature == 0.5

    @pytest.mark.parametrize(
        ("choice", "value", "words"),
        [
            ("layer", 3, "0 to 2"),
            ("head", 4, "0 to 3"),
            ("query", 14, "0 to 13"),
            ("temperature", 0, "above 0"),
            ("temperature", float("inf"), "above 0"),
            ("scaling", -1, "0 or more"),
            ("view", "graph", "heatmap"),
            ("flow_threshold", 2, "a share, 0 to 1"),
            ("flow_heads", "all", "mean"),
            ("map", "cross", "there are attention"),
            ("also", [3, 14], "also=14 does not exist; it goes from 0 to 13"),
            ("heads", [0, 4], "heads=4 does not exist; it goes from 0 to 3"),
            ("heads", [0.5], "heads"),
            ("joined", "max", "joined"),
            ("reading", "diagonal", "reading"),
        ],
    )
    def test_that_do_not_exist_are_refused_and_change_nothing(self, view, choice, value, words):
        before = getattr(view, choice)
        with pytest.raises(traitlets.TraitError, match=words):
            setattr(view, choice, value)
        assert getattr(view, choice) == before

    @pytest.mark.parametrize(
        ("word", "near"), [("layr", "layer"), ("colormap", "color_map"), ("temprature", "temperature")]
    )
    def test_misspelt_ones_list_the_near_misses(self, word, near):
        with pytest.raises(TypeError, match=rf"no choice '{word}'; did you mean .*{near}"):
            aw.explore(projected(), **{word: 1})

    def test_a_layer_with_fewer_heads_keeps_the_head_inside(self):
        view = aw.Explorer(aw.AttentionMaps.from_arrays([matrices(4, 3, 3), matrices(2, 3, 3)]), head=3)
        view.layer = 1
        assert view.head == 1

    def test_several_can_be_given_as_any_list_and_count_from_the_end(self):
        view = aw.Explorer(projected(), query=3, also=np.array([5, -1, 5]), heads=(0, torch.tensor(-1)))
        assert (view.also, view.heads) == ([5, 13], [0, 3])
        assert view.state["also"] == [5, 13]

    def test_nothing_is_pinned_beside_a_word_that_is_unpinned(self):
        view = aw.Explorer(projected(), query=3, also=[5, 7])
        view.query = 4
        assert view.also == [5, 7]
        view.query = None
        assert view.also == []

    def test_other_maps_keep_what_is_listed_inside(self):
        view = aw.Explorer(aw.AttentionMaps.from_arrays([matrices(4, 3, 3), matrices(2, 3, 3)]), heads=[0, 3])
        view.layer = 1
        assert view.heads == [0]
        view = aw.Explorer(projected(), query=2, also=[12, 5])
        view.show(projected(8))
        assert view.also == [5]

    def test_other_maps_keep_the_pin_inside(self):
        make, inputs = FAMILIES["bart"]
        view = aw.explore(aw.capture(make(), inputs)[0], query=6, key=6)
        assert view.map == "encoder"
        view.map = "cross"
        assert view.query is None
        assert view.maps.n_queries == 4

    def test_are_observable_and_linkable(self, view):
        seen = []
        view.observe(lambda change: seen.append(change["new"]), "layer")
        other = aw.Explorer(projected())
        link = traitlets.link((view, "layer"), (other, "layer"))
        view.layer = 2
        assert seen == [2]
        assert other.layer == 2
        link.unlink()


class TestState:
    """What hosts take from a widget and write into their pages."""

    def test_says_what_it_is_where_defaults_are_left_out(self):
        state = aw.Explorer(projected()).get_state(drop_defaults=True)
        assert (state["_view_name"], state["_model_name"]) == ("AnyView", "AnyModel")
        assert state["_esm"] == aw.Explorer._esm
        assert "temperature" not in state

    def test_holds_no_mark_that_a_page_could_take_for_its_own(self):
        labels = ["<!--", "<script>", "</script>", "b"]
        view = aw.Explorer(aw.AttentionMaps.from_arrays(matrices(2, 4, 4), layout="HQK", tokens=labels), title="<!--")
        text = view.get_state()["facts"]
        assert "<" not in text
        assert json.loads(text) == view.facts
        assert view.facts["maps"][0]["queries"]["labels"] == labels


class TestShow:
    """What a generation loop does: the same widget, a longer text."""

    def test_other_maps_are_described_and_answered(self, view):
        before = view.facts
        view.show(projected(20))
        assert view.maps.n_queries == 20
        assert view.facts["maps"][0]["n_queries"] == 20
        assert view.facts["title"] == before["title"]
        content, _ = ask(view, id=1, **TestRequests.TILE | {"rows": [0, 20], "columns": [0, 20]})
        assert content["header"]["shape"] == (20, 20)
        assert view.show(projected(20), title="another") is None
        assert view.facts["title"] == "another"

    def test_the_same_text_with_other_weights_is_told_too(self, view):
        told = []
        view.observe(lambda change: told.append(change["new"]), "facts")
        view.show(projected(seed=1))
        assert len(told) == 1

    def test_a_question_that_comes_late_is_answered_of_all_there_is_now(self, view):
        view.show(projected(20))
        content, _ = ask(view, id=1, **TestRequests.TILE, whole="map")
        assert content["header"]["shape"] == (20, 20)
        assert content["header"]["version"] == view.facts["version"] == 2
        content, _ = ask(view, id=2, **TestRequests.TILE | {"rows": [3, 4], "whole": "row"})
        assert content["header"]["rows"] == (3, 4)
        assert content["header"]["columns"] == (0, 20)

    def test_what_was_chosen_stays(self, view):
        view.layer, view.head, view.query, view.key, view.temperature, view.map = 2, 0, 9, 3, 0.5, "rollout"
        view.view, view.measure = "text", "induction"
        view.show(projected(20))
        assert (view.map, view.layer, view.query, view.key, view.temperature) == ("rollout", 2, 9, 3, 0.5)
        assert (view.view, view.measure) == ("text", "induction")

    def test_what_is_gone_is_let_go(self):
        mine = {"mine": np.zeros((3, 4))}
        view = aw.Explorer({"a": projected(), "b": projected()}, map="b", layer=2, head=3, query=9, measures=mine)
        view.measure = "mine"
        view.show(projected(5, layers=2, heads=2))
        assert (view.map, view.layer, view.head, view.query, view.measure) == ("attention", 1, 1, None, "")

    def test_facts_and_choices_travel_together(self, view):
        view.layer, view.query = 2, 9
        states = []
        view.send_state = lambda key=None: states.append(set(key or ()))
        view.show(projected(5, layers=2))
        assert states == [{"facts", "opening", "layer", "query"}]

    def test_nothing_is_computed_before_it_is_looked_at(self, view, monkeypatch):
        monkeypatch.delattr("attnwidget.lenses.through.rollout")
        monkeypatch.delattr("attnwidget.widget.answers.measuring.vitals_of")
        monkeypatch.delattr("attnwidget.widget.answers.measuring.head_measures")
        view.show(projected(20))

    def test_what_cannot_be_shown_changes_nothing(self, view):
        before = view.facts
        with pytest.raises(TypeError, match=r"maps is Tensor; expected AttentionMaps"):
            view.show(torch.zeros(3))
        with pytest.raises(ValueError, match="expected one number a head"):
            view.show(projected(), measures={"mine": np.zeros(3)})
        assert view.facts == before
        assert view.maps.n_queries == 14
        view.close()
        with pytest.raises(ValueError, match=r"closed.*explore\(\)"):
            view.show(projected())


def pictured(height=40, width=60, start=1):
    """A grid of 4 x 6 patches behind the prefix tokens, and its picture."""
    pixels = torch.arange(height * width * 3, dtype=torch.int64).remainder(251).to(torch.uint8)
    image = ImageGrid(start, 4, 6, pixels.reshape(height, width, 3))
    labels = ["[CLS]"] * start + [f"{row},{column}" for row in range(4) for column in range(6)]
    tokens = aw.Tokens.from_labels(labels).with_image(image)
    return aw.AttentionMaps(projected(24 + start, causal=False).layers, tokens)


class TestPicture:
    def test_is_told_and_sent(self, view):
        maps = pictured()
        view.show(maps)
        (told,) = view.facts["maps"][0]["queries"]["images"]
        assert {**told, "digest": 0} == {"name": "", "start": 1, "rows": 4, "columns": 6, "places": None,
                                         "picture": True, "digest": 0}  # fmt: skip
        content, (pixels,) = ask(view, id=1, op="picture", map="attention", axis="keys")
        assert content["header"] == {"height": 40, "width": 60}
        np.testing.assert_array_equal(np.frombuffer(pixels, np.uint8), maps.tokens.image.picture.flatten().numpy())
        assert ask(view, id=2, op="picture", map="rollout", axis="queries")[0]["ok"]

    @pytest.mark.parametrize(
        ("maps", "axis", "words"),
        [
            (projected(), "keys", "the keys of the maps 'attention' carry no picture 0; give one with"),
            (pictured(), "rows", "expected one of 'queries' or 'keys'"),
            (
                aw.AttentionMaps(
                    projected(4).layers,
                    aw.Tokens.positions(4).with_image(ImageGrid(0, 2, 2, torch.zeros(3, 8, 8))),
                ),
                "keys",
                r"the picture is torch.float32 of shape (3, 8, 8); expected torch.uint8 [height, width, 3]",
            ),
        ],
    )
    def test_that_cannot_be_sent(self, view, maps, axis, words):
        view.show(maps)
        content, _ = ask(view, id=1, op="picture", map="attention", axis=axis)
        assert words in content["error"]

    def test_several_are_sent_one_by_one(self, view):
        maps = pictured()
        first, second = torch.zeros(8, 8, 3, dtype=torch.uint8), torch.full((4, 12, 3), 9, dtype=torch.uint8)
        grids = ImageGrid(1, 2, 3, first, "picture 1"), ImageGrid.at((7, -1, 9, 8), 2, 2, second, "picture 2")
        view.show(aw.AttentionMaps(maps.layers, aw.Tokens.positions(25).with_image(*grids)))
        told = view.facts["maps"][0]["queries"]["images"]
        assert [(one["name"], one["places"]) for one in told] == [("picture 1", None), ("picture 2", [7, -1, 9, 8])]
        content, (pixels,) = ask(view, id=1, op="picture", map="attention", axis="keys", number=1)
        assert content["header"] == {"height": 4, "width": 12}
        np.testing.assert_array_equal(np.frombuffer(pixels, np.uint8), second.flatten().numpy())
        assert "no picture 2" in ask(view, id=2, op="picture", map="attention", axis="keys", number=2)[0]["error"]

    def test_many_are_sent_smaller(self, view):
        pixels = torch.zeros(600, 600, 3, dtype=torch.uint8)
        many = [ImageGrid(at, 1, 1, pixels, f"frame {at + 1}") for at in range(16)]
        view.show(aw.AttentionMaps(pictured().layers, aw.Tokens.positions(25).with_image(*many)))
        content, _ = ask(view, id=1, op="picture", map="attention", axis="keys", number=15)
        assert content["header"] == {"height": 256, "width": 256}

    def test_opens_its_view(self):
        assert aw.Explorer(pictured()).view == "image"
        assert aw.Explorer(pictured(), view="grid").view == "grid"
        assert aw.Explorer(projected()).view == "heatmap"

    def test_its_view_is_for_maps_that_have_one(self, view):
        with pytest.raises(traitlets.TraitError, match="tokens carry the patches of a picture"):
            view.view = "image"
        with pytest.raises(traitlets.TraitError, match="tokens carry the patches of a picture"):
            aw.Explorer(projected(), view="image")
        view.show(pictured())
        view.view = "image"
        view.show(projected())
        assert view.view == "heatmap"


def test_views_through_the_layers_are_for_maps_that_have_several():
    for view, words in (("layers", "more than one layer"), ("flow", "self-attention of more than one layer")):
        with pytest.raises(traitlets.TraitError, match=words):
            aw.Explorer(projected(layers=1), view=view)
    with pytest.raises(traitlets.TraitError, match="maps of more than one head"):
        aw.Explorer(projected(layers=1, heads=1, key_value_heads=1), view="rows")
    make, inputs = FAMILIES["bart"]
    cross = aw.capture(make(), inputs)[0].cross
    with pytest.raises(traitlets.TraitError, match="self-attention"):
        aw.Explorer(cross, view="flow")


class TestTraits:
    def test_hold_no_matrix(self):
        state = aw.Explorer(projected(400, layers=6, heads=8)).get_state()
        state.pop("_esm")
        # Saved notebooks carry the traits: labels and facts, and the answers that are asked for first.
        assert len(state.pop("opening")) <= 64 << 10
        assert len(json.dumps(state, default=str)) < 24_000
        assert not any(isinstance(value, (bytes, memoryview, torch.Tensor, np.ndarray)) for value in state.values())

    def test_say_what_the_model_calls_layers_and_heads_where_that_is_not_their_place(self):
        assert not {"layer_numbers", "head_numbers"} & aw.Explorer(projected()).facts["maps"][0].keys()
        maps = aw.AttentionMaps(projected(layers=1).layers, list("abcdefghijklmn"), layer_numbers=[5])
        view = aw.Explorer(maps)
        assert [list(fact["layer_numbers"]) for fact in view.facts["maps"]] == [[5]] * len(view.facts["maps"])
        assert "layer 5" in view.stands().caption

    def test_the_module_is_text_and_complete(self):
        esm = aw.Explorer(projected())._esm
        assert isinstance(esm, str)
        assert "export" in esm
        assert "://cdn" not in esm
        assert "import(" not in esm

    def test_facts_of_grouped_heads_and_notes(self):
        make, inputs = FAMILIES["gemma2-softcap"]
        facts = aw.explore(aw.capture(make(), inputs)[0]).facts["maps"][0]
        assert facts["heads"] == [4, 4]
        assert facts["key_value_heads"] == [2, 2]
        assert facts["causal"]
        assert any("scores are capped" in note for note in facts["notes"])

    def test_facts_say_what_the_scores_of_each_layer_are_made_of(self):
        make, inputs = FAMILIES["gemma2-softcap"]
        model = make()
        told = aw.explore(aw.capture(model, inputs)[0]).facts["maps"][0]["scores"]
        attention = model.model.layers[0].self_attn
        softcap = model.config.attn_logit_softcapping
        made = {"scaling": attention.scaling, "width": attention.head_dim, "softcap": softcap, "rotary": True}
        assert told == [made] * 2
        q, more = torch.ones(2, 3, 4), {"bias": torch.ones(2, 3, 3), "sinks": torch.ones(2)}
        biased = aw.AttentionMaps.from_queries_keys(q, q, layout="HND", scaling=0.3, **more)
        (one,) = aw.explore(biased).facts["maps"][0]["scores"]
        assert one == {"scaling": 0.3, "width": 4, "bias": True, "sinks": True}

    def test_facts_know_no_scores_of_weights_that_were_given_or_made_of_heads(self):
        assert aw.explore(matrices(2, 5, 5), layout="HQK").facts["maps"][0]["scores"] is None
        derived = aw.explore(projected()).facts["maps"][1:]
        assert derived
        assert {facts["scores"] for facts in derived} == {None}

    def test_a_bidirectional_map_is_not_called_causal(self):
        assert not aw.explore(matrices(2, 5, 5), layout="HQK").facts["maps"][0]["causal"]
        assert aw.explore(matrices(2, 5, 5, causal=True), layout="HQK").facts["maps"][0]["causal"]


class TestRequests:
    TILE: ClassVar = {"op": "tile", "map": "attention", "layer": 1, "head": 2, "rows": [0, 14], "columns": [0, 14],
            "height": 500, "width": 500, "temperature": 1, "scaling": 1}  # fmt: skip

    def test_are_answered_under_their_id(self, view):
        content, buffers = ask(view, id="a-1", **self.TILE)
        assert content["id"] == "a-1"
        assert content["ok"]
        assert len(buffers[0]) == 14 * 14 * 2
        json.dumps(content)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"op": "dance"}, "does not know the request 'dance'; it knows tile, profile, thumbnails"),
            ({"op": None}, "does not know the request None"),
            ({"op": ["tile"]}, "does not know the request ['tile']"),
            ({"map": "cross"}, "no maps called 'cross'"),
            ({"layer": 7}, "layer 7 does not exist"),
            ({"head": -9}, "head -9 does not exist"),
            ({"rows": [0, 99]}, "outside the map"),
            ({"rows": 3}, "cannot be read"),
            ({"layer": "one"}, "cannot be read"),
            ({"extra": 1}, "cannot be read"),
        ],
    )
    def test_that_cannot_be_answered_get_a_sentence(self, view, change, words):
        content, _ = ask(view, id=7, **self.TILE | change)
        assert content["id"] == 7
        assert content["ok"] is False
        assert words in content["error"]

    def test_a_message_without_an_id_is_nobody_s(self, view, caplog):
        view._handle_custom_msg({"op": "tile"}, [])
        view._handle_custom_msg("hello", [])
        assert view.sent == []
        assert "without an id" in caplog.text

    def test_a_fault_of_ours_is_an_answer_too(self, view, monkeypatch):
        def fail(*_args, **_options):
            raise RuntimeError("out of memory")

        monkeypatch.setitem(QUESTIONS, "tile", fail)
        content, _ = ask(view, id=1, **self.TILE)
        assert "out of memory" in content["error"]


class TestClosing:
    def test_gives_the_maps_back(self):
        maps = projected(200)
        gone = weakref.ref(maps.layers[0].q)
        view = aw.Explorer(maps)
        del maps
        view.close()
        gc.collect()
        assert gone() is None

    def test_a_closed_explorer_says_so(self, view):
        view.close()
        formatted, _ = InteractiveShell.instance().display_formatter.format(view)
        assert "closed: make a new one" in formatted["text/plain"]
        with pytest.raises(ValueError, match=r"closed.*explore\(\)"):
            view.maps  # noqa: B018

    def test_fifty_leave_nothing_behind(self):
        before = len(_instances)
        references = []
        for _ in range(50):
            view = aw.Explorer(projected())
            references.append(weakref.ref(view._maps["attention"]))
            view.close()
        del view
        gc.collect()
        assert not any(reference() for reference in references)
        assert len(_instances) == before
