"""diagnose: healthy attention is not accused."""

from __future__ import annotations

import math

import pytest
import torch

import attnwidget as aw
from attnwidget import diagnose
from tests.diagnosis.cases import HEADS, TRIL, N, accused, draw, names, q_and_k
from tests.make import matrices


@pytest.fixture(scope="module")
def storyteller():
    return aw.demo.load("storyteller")


@pytest.fixture(scope="module")
def reader():
    return aw.demo.load("reader")


class TestTenHealthyCases:
    """No alarm and no warning; what is only worth knowing may be noted."""

    @pytest.mark.parametrize("seed", range(3))
    def test_storyteller_on_stories(self, storyteller, seed):
        for text in aw.demo.sentences(4, seed=seed):
            model, tokenizer = storyteller
            assert accused(diagnose(aw.capture(model, text, tokenizer))) == []

    @pytest.mark.parametrize("length", [8, 20, 60])
    def test_storyteller_on_repeated_words(self, storyteller, length):
        model, tokenizer = storyteller
        assert accused(diagnose(aw.capture(model, aw.demo.repeated_words(length), tokenizer))) == []

    def test_storyteller_causal_as_asked(self, storyteller):
        model, tokenizer = storyteller
        run = aw.capture(model, "Lily and Ben went to the park . Lily gave the ball to", tokenizer)
        assert accused(diagnose(run, causal=True)) == []

    def test_reader(self, reader):
        model, tokenizer = reader
        for text in aw.demo.sentences(4, seed=5):
            assert accused(diagnose(aw.capture(model, text, tokenizer))) == []

    def test_reader_in_a_padded_batch(self, reader):
        model, tokenizer = reader
        batch = tokenizer(["Lily gave Ben the ball .", "Ben ran ."], padding=True, return_tensors="pt")
        run = aw.capture(model, batch, tokenizer)
        for example in range(2):
            assert accused(diagnose(run[example])) == []

    @pytest.mark.parametrize(
        "text",
        [
            "The nurse examined the farmer for ticks because she was late.",
            "hello",
            "The quick brown fox jumps over the lazy dog. " * 12,
            "def attention(q, k): return softmax(q @ k.T)",
        ],
    )
    def test_minilm(self, minilm, text):
        from transformers import AutoModel, AutoTokenizer

        model, tokenizer = AutoModel.from_pretrained(minilm), AutoTokenizer.from_pretrained(minilm)
        assert accused(diagnose(aw.capture(model, text, tokenizer))) == []

    def test_own_attention(self):
        q, k = q_and_k()
        assert accused(diagnose(query=q, key=k, value=q, mask=TRIL, causal=True)) == []
        assert accused(diagnose(query=q.bfloat16(), key=k.bfloat16(), value=q.bfloat16())) == []

    def test_own_attention_with_padding_on_the_left(self):
        q, k = q_and_k()
        mask = TRIL.clone()
        mask[:, :5] = False  # leaves the padding queries without a key, which is nobody's loss
        assert accused(diagnose(query=q, key=k, mask=mask, causal=True)) == []

    def test_additive_mask_and_shared_keys(self):
        q, k = q_and_k()
        mask = torch.zeros(N, N).masked_fill(~TRIL, torch.finfo(torch.float32).min)
        assert accused(diagnose(query=q, key=k[:, :2], mask=mask, causal=True)) == []

    def test_cross_attention_and_weights_alone(self):
        assert accused(diagnose(matrices(3, 4, 9, 12))) == []
        assert accused(diagnose(draw(2, HEADS, 9, 12).softmax(-1))) == []

    @pytest.mark.parametrize("mass", [0.95, 0.999])
    def test_sinks_in_all_but_the_first_layers(self, mass):
        weights = matrices(20, 4, 24, 24, causal=True)
        weights[1:] *= 1 - mass
        weights[1:, ..., 0] += mass
        found = diagnose(weights)
        assert accused(found) == []
        assert names(found) == ["sink"]

    def test_tokens_that_see_only_themselves(self):
        mask = TRIL.clone()
        mask[:, :8] = torch.eye(N, 8, dtype=torch.bool)
        q, k = q_and_k()
        weights = (q @ k.mT / 8).masked_fill(~mask, -math.inf).softmax(-1)
        assert diagnose(query=q, key=k, mask=mask, causal=True) == diagnose(weights, mask=mask) == []

    def test_a_sharp_layer_by_itself(self, storyteller):
        model, tokenizer = storyteller
        layer = aw.capture(model, aw.demo.repeated_words(12), tokenizer).maps.layers[1]
        assert accused(diagnose(query=layer.q, key=layer.k, causal=True)) == []
        found = diagnose(layer.weights(slice(0, 4), slice(0, layer.shape[1])))
        assert [finding.severity for finding in found] == ["warning"]  # weights alone cannot tell

    def test_scores_that_are_not_scaled_on_purpose(self):
        q, k = q_and_k()
        assert accused(diagnose(query=q / 8, key=k, scaling=1.0)) == []

    def test_attentions_as_a_model_returns_them(self):
        assert accused(diagnose(tuple(matrices(1, 3, 9, 9, seed=seed) for seed in range(3)))) == []

    def test_a_band_around_the_diagonal(self):
        q, k = q_and_k()
        assert accused(diagnose(query=q, key=k, mask=torch.ones(N, N, dtype=torch.bool).triu(-1).tril(1))) == []

    def test_causal_without_a_mask_is_the_rule_itself(self):
        q, k = q_and_k()
        assert accused(diagnose(query=q.numpy(), key=k.numpy(), causal=True)) == []

    def test_a_long_text_of_modest_scores(self):
        draws = draw(1, 2, 2048, 32, seed=3), draw(1, 2, 2048, 32, seed=4)
        assert accused(diagnose(query=draws[0] * 0.6, key=draws[1])) == []

    def test_two_exact_previous_token_heads(self):
        maps = matrices(2, 3, 12, 12, causal=True)
        maps[:, 1:] = torch.eye(12).roll(1, 0).tril(0)
        maps[:, 1:, 0, 0] = 1
        assert accused(diagnose(maps)) == []

    def test_a_head_that_looks_at_the_first_token_is_no_fault(self):
        weights = 0.3 * matrices(3, 4, 12, 12, causal=True)
        weights[..., 0] += 0.7
        found = diagnose(weights)
        assert accused(found) == []
        assert names(found) == ["sink"]
