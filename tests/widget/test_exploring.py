"""explore(): attention of whatever comes."""

from __future__ import annotations

import pytest
import torch

import attnwidget as aw
from tests.capturing.families import FAMILIES
from tests.make import matrices, projected


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


class TestGoingOnWithAText:
    def test_prompt_and_generated_part_are_told_apart(self):
        view = aw.explore("Lily went to the", generate={"max_new_tokens": 4, "do_sample": False})
        fact = view.facts["maps"][0]
        assert [name for name, _, _ in fact["queries"]["spans"]] == ["prompt", "generated"]
        assert fact["following"]
        view.close()

    def test_needs_a_model(self):
        with pytest.raises(TypeError, match=r"generate= lets a model go on.*pass model= too"):
            aw.explore([[[[1.0]]]], generate={})
