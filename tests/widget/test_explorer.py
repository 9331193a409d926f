"""The Explorer's kernel side: choices, requests, and what explore() takes."""

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
from tests.capturing.families import FAMILIES
from tests.make import matrices, projected


@pytest.fixture
def view():
    explorer = aw.Explorer(projected())
    explorer.sent = []
    explorer.send = lambda content, buffers=None: explorer.sent.append((content, buffers or []))
    yield explorer
    explorer.close()


def ask(view, **message):
    view._handle_custom_msg(message, [])
    return view.sent[-1]


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
            ("map", "cross", "there are attention"),
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


class TestTraits:
    def test_hold_no_matrix(self):
        state = aw.Explorer(projected(400, layers=6, heads=8)).get_state()
        state.pop("_esm")
        # Saved notebooks carry the traits: labels and facts only.
        assert len(json.dumps(state, default=str)) < 20_000
        assert not any(isinstance(value, (bytes, memoryview, torch.Tensor, np.ndarray)) for value in state.values())

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
        assert any("caps its scores" in note for note in facts["notes"])

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

        monkeypatch.setattr("attnwidget.widget.codec.tile", fail)
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


class TestExplore:
    def test_a_sentence_needs_nothing_else(self):
        view = aw.explore("The nurse examined the farmer for ticks because she was late.")
        assert "nurse" in view.maps.tokens.labels
        assert view.facts["title"].startswith("The nurse")

    def test_words_the_storyteller_does_not_know_are_named(self):
        with pytest.warns(aw.AttentionWarning, match=r"not among them: xylophone"):
            aw.explore("Lily gave the xylophone to Ben .")

    def test_a_model_and_a_text(self):
        model, tokenizer = aw.demo.load("reader")
        view = aw.explore("Lily and Ben went to the park .", model=model, tokenizer=tokenizer)
        assert view.maps.tokens.special[0]
        assert view.maps.tokens.special[-1]

    def test_a_model_and_inputs(self):
        make, inputs = FAMILIES["llama-grouped"]
        view = aw.explore({"input_ids": inputs["input_ids"][:1]}, model=make())
        assert view.maps.n_layers == 2

    @pytest.mark.parametrize(
        "what",
        [
            lambda: (tuple(matrices(1, 2, 4, 4) for _ in range(3)), {}),
            lambda: (matrices(3, 2, 4, 4).numpy(), {"layout": "LHQK"}),
            lambda: (projected(4), {}),
            lambda: (aw.capture(FAMILIES["t5"][0](), FAMILIES["t5"][1]), {"example": 1}),
            lambda: (matrices(1, 1), {}),
        ],
    )
    def test_attention_you_have(self, what):
        given, options = what()
        assert aw.explore(given, **options).facts["maps"]

    @pytest.mark.parametrize(
        ("what", "options", "error", "words"),
        [
            ("", {}, ValueError, "the text is empty"),
            (None, {}, ValueError, "weights is None"),
            ((), {}, ValueError, "empty tuple"),
            ("hello", {"tokens": ["hello"]}, TypeError, "come from its tokenizer"),
            (["one", "two"], {}, TypeError, "inputs of a model"),
            ({"input_ids": torch.ones(1, 2)}, {}, TypeError, r"pass model="),
            ("hello", {"tokenizer": object()}, TypeError, "without its model"),
            (projected(3), {"tokens": ["a", "b", "c"]}, TypeError, "describe arrays"),
            (projected(3), {"example": 7}, TypeError, "describe arrays"),
            ("hello", {"model": "no/such-model"}, ValueError, "pass its path"),
            (object(), {}, TypeError, "no array"),
        ],
    )
    def test_what_cannot_be_shown(self, what, options, error, words):
        with pytest.raises(error, match=words):
            aw.explore(what, **options)

    def test_a_batch_needs_a_choice(self):
        make, inputs = FAMILIES["llama-grouped"]
        with pytest.raises(ValueError, match="choose one"):
            aw.explore(aw.capture(make(), inputs))
