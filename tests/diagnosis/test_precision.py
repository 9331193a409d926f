"""diagnose: scores at the end of float16, and scores whose steps are coarser than what separates them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import attnwidget as aw
from attnwidget import diagnose
from attnwidget.layers import Mask, ProjectedLayer
from tests.diagnosis.cases import HEADS, TRIL, accused, draw, names, q_and_k
from tests.make import projected


def captured(q, k, dtype, **options):
    """Maps of two layers in half precision, as a capture holds them."""
    layers = [ProjectedLayer(q[i].to(dtype), k[i].to(dtype), 0.125, Mask(causal=True), **options) for i in range(2)]
    return aw.AttentionMaps(layers, ["a"] * q.shape[2])


def alike(size, apart=1.0):
    """Queries and keys whose products have a large part in common, and differ by little."""
    q, k = q_and_k(n=64)
    return q * 0.05 + size, k * apart + size


class TestTheEndOfFloat16:
    @pytest.mark.parametrize("size", [25, 40])  # q k^T near 20,000 and 50,000 of 65,504
    def test_near_it(self, size):
        q, k = q_and_k(n=64)
        for found in (diagnose(captured(q * size, k * size, torch.float16)), diagnose(
            query=(q * size).half(), key=(k * size).half(), mask=torch.ones(64, 64).tril().bool()
        )):  # fmt: skip
            overflow = found.named("overflow")
            assert overflow.title == "Scores near the end of float16"
            assert overflow.severity == "warning"
            assert "65,504" in overflow.sentence
            assert "Scale q before the product" in overflow.remedies[0]

    def test_beyond_it(self):
        q, k = q_and_k(n=64)
        found = diagnose(captured(q * 300, k * 300, torch.float16))
        assert found.named("overflow").title == "Scores overflow in float16"

    def test_a_bias_counts_too(self):
        q, k = q_and_k(n=64)
        bias = torch.zeros(1, 64, 64)
        bias[0, 40, 3] = 30000
        assert "overflow" in names(diagnose(captured(q, k, torch.float16, bias=bias)))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_other_precisions_do_not_end_there(self, dtype):
        q, k = q_and_k(n=64)
        assert "overflow" not in names(diagnose(captured(q * 60, k * 60, dtype)))


class TestStepsOfAPrecision:
    @pytest.mark.parametrize(("dtype", "size"), [(torch.bfloat16, 12), (torch.float16, 30)])
    def test_scores_that_differ_by_less_than_a_step(self, dtype, size):
        q, k = alike(size, apart=0.05)
        found = diagnose(captured(q, k, dtype)).named("precision")
        name = str(dtype).removeprefix("torch.")
        assert found.title == f"Scores that {name} cannot tell apart"
        assert found.severity == "warning"
        assert found.evidence[0].healthy == "below 1"
        assert "large part in common" in found.causes[0]
        assert "float32" in " ".join(found.remedies)
        # What it claims is so: rounded to the precision, the scores make other weights.
        layer = captured(q, k, dtype).layers[0]
        scores = layer.scores(slice(0, HEADS), slice(63, 64)).float()
        assert (scores.softmax(-1) - scores.to(dtype).float().softmax(-1)).abs().sum(-1).mean() > 0.1

    def test_the_same_in_float32_is_no_fault(self):
        q, k = alike(12, apart=0.05)
        assert "precision" not in names(diagnose(captured(q, k, torch.float32)))

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    @pytest.mark.parametrize("size", [0.1, 1.0, 2.0])
    def test_healthy_scores_are_not_accused(self, dtype, size):
        q, k = q_and_k(n=64)
        found = names(diagnose(captured(q * size, k, dtype)))
        assert not {"precision", "overflow"} & set(found)

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_heads_that_rest_on_the_first_token_are_not_accused(self, dtype):
        q, k = q_and_k(n=256)
        q[..., 0], k[..., 0, 0] = 8, 20  # a score of 20 among scores of about 1
        k[..., 1:, 0] = 0
        assert not {"precision", "overflow"} & set(names(diagnose(captured(q, k, dtype))))

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_trained_models_are_not_accused(self, dtype):
        for name in ("storyteller", "reader"):
            model, tokenizer = aw.demo.load(name)
            run = aw.capture(model.to(dtype), aw.demo.sentences(1, seed=3)[0], tokenizer)
            assert not {"precision", "overflow"} & {finding.name for finding in diagnose(run)}

    def test_a_cap_and_sinks(self):
        maps = projected(sinks=torch.full((4,), 2.0))
        layers = [replace(layer, q=layer.q.bfloat16(), k=layer.k.bfloat16(), softcap=30.0) for layer in maps.layers]
        assert accused(diagnose(aw.AttentionMaps(layers, maps.tokens))) == []

    def test_rows_that_see_nothing(self):
        q, k = q_and_k()
        mask = TRIL.clone()
        mask[:, :5] = False
        assert accused(diagnose(query=q.half(), key=k.half(), mask=mask, causal=True)) == []

    def test_one_vector_everywhere_is_no_question_of_precision(self):
        k = draw(2, HEADS, 1, 64).expand(2, HEADS, 64, 64)
        assert "precision" not in names(diagnose(captured(draw(2, HEADS, 64, 64), k, torch.bfloat16)))
