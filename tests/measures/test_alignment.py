"""Cross-attention measures: by hand, at the edges, by their invariants, and for the transpose."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import attnwidget as aw
from attnwidget.measures.alignment import alignment_entropy, coverage, coverage_penalty, focus, monotonicity
from tests.make import matrices

# Two target tokens, four source tokens, of which the third is hardly looked at.
C = torch.tensor([[0.7, 0.2, 0.05, 0.05], [0.1, 0.3, 0.05, 0.55]])
RECEIVED = [0.8, 0.5, 0.1, 0.6]
MEASURES = [
    coverage,
    lambda c, **options: coverage(c, measure="max", **options),
    lambda c, **options: coverage_penalty(c, "gnmt", **options),
    lambda c, **options: coverage_penalty(c, "deviation", **options),
    lambda c, **options: coverage_penalty(c, "summary", **options),
    monotonicity,
    lambda c, **options: monotonicity(c, measure="steps", **options),
    focus,
    alignment_entropy,
]


def cross_maps():
    """Maps of two layers, one with two heads and one with three, over five source tokens."""
    layers = [matrices(2, 4, 5, seed=0), matrices(3, 4, 5, seed=1)]
    tokens = {"tokens": ["<s>", "a", "b", "c"], "key_tokens": ["x", "y", "z", "w", "</s>"]}
    return aw.AttentionMaps.from_arrays(layers, name="cross", **tokens), layers


class TestCoverage:
    def test_by_hand(self):
        torch.testing.assert_close(coverage(C, measure="vector"), torch.tensor(RECEIVED))
        assert coverage(C) == 0.75  # 0.5 T / S is 0.25
        assert coverage(C, threshold=1.1) == 0.5
        assert coverage(C, measure="max") == 0.75
        assert coverage(C, measure="max", threshold=0.5) == 0.5

    def test_of_uniform_rows_is_full_and_of_one_token_a_share(self):
        assert coverage(torch.full((3, 6), 1 / 6)) == 1
        assert coverage(torch.tensor([[0.0, 1.0, 0.0, 0.0]] * 3)) == 0.25

    def test_adds_up_to_the_target_length(self):
        torch.testing.assert_close(coverage(matrices(2, 3, 7, 5), measure="vector").sum(-1), torch.full((2, 3), 7.0))

    def test_excluded_source_tokens_count_nowhere(self):
        sink = torch.tensor([[0.05, 0.05, 0.9], [0.1, 0.0, 0.9]])
        assert coverage(sink, exclude_source=[-1]) == 1
        vector = coverage(sink, measure="vector", exclude_source=[2])
        torch.testing.assert_close(vector, torch.tensor([1.5, 0.5, math.nan]), equal_nan=True)
        square = matrices(4, 4)
        rest = square[:, 1:] / square[:, 1:].sum(-1, keepdim=True)
        # A source token is no target token, also where there are as many of both.
        torch.testing.assert_close(coverage(square, measure="vector", exclude_source=[0])[1:], rest.sum(0))


class TestCoveragePenalty:
    def test_by_hand(self):
        gnmt = -sum(math.log(min(c, 1)) for c in RECEIVED)
        deviation = sum(math.log(1 / (1 + abs(1 - c) ** 6)) for c in RECEIVED) / 4
        assert coverage_penalty(C) == pytest.approx(gnmt)
        assert coverage_penalty(C, "deviation") == pytest.approx(deviation)
        assert coverage_penalty(C, "summary") == 0
        assert coverage_penalty(torch.tensor([[0.9, 0.1], [0.8, 0.2]]), "summary") == pytest.approx(0.7)

    def test_of_one_to_one_attention_is_zero_exactly(self):
        for style in ("gnmt", "deviation", "summary"):
            assert coverage_penalty(torch.eye(4), style) == 0

    def test_a_token_that_gets_nothing_is_an_infinite_penalty(self):
        assert coverage_penalty(torch.tensor([[1.0, 0.0], [1.0, 0.0]])) == math.inf

    def test_of_the_transpose_is_nothing(self):
        wrong = C.T / C.T.sum(0)  # what a transposed map looks like: its columns sum to 1
        with pytest.warns(aw.AttentionWarning):
            assert coverage_penalty(wrong) == pytest.approx(0, abs=1e-6)
        assert coverage_penalty(C) > 1


class TestMonotonicity:
    @given(t=st.integers(2, 30), s=st.integers(2, 12), seed=st.integers(0, 10**6))
    @settings(deadline=None, max_examples=40)
    def test_tau_agrees_with_scipy(self, t, s, seed):
        c = matrices(2, t, s, seed=seed).double()
        c = c / c.sum(-1, keepdim=True)
        expected = [stats.kendalltau(np.arange(t), (head * np.arange(s)).sum(-1)).statistic for head in c.numpy()]
        np.testing.assert_allclose(monotonicity(c), expected, atol=1e-12)

    def test_tau_with_ties(self):
        c = torch.eye(4)[[0, 1, 1, 3, 2]]
        assert monotonicity(c) == pytest.approx(stats.kendalltau(range(5), [0, 1, 1, 3, 2]).statistic)
        assert monotonicity(c, measure="steps") == 0.75

    def test_in_order_and_against_it(self):
        assert monotonicity(torch.eye(5)) == 1
        assert monotonicity(torch.eye(5).flip(0)) == -1
        assert monotonicity(torch.eye(5), measure="steps") == 1
        assert monotonicity(torch.eye(5).flip(0), measure="steps") == 0

    @pytest.mark.parametrize("measure", ["tau", "steps"])
    def test_a_constant_alignment_has_no_order(self, measure):
        for constant in (torch.full((5, 7), 1 / 7), torch.eye(4)[[2, 2, 2]], torch.eye(4)[[1]]):
            assert monotonicity(constant, measure=measure).isnan()

    def test_rounding_is_no_order(self):
        noise = torch.rand(50, 300, generator=torch.Generator().manual_seed(0))
        uniform = torch.full((50, 300), 1 / 300) * (1 + 1e-7 * noise)
        assert monotonicity(uniform).isnan()

    def test_rows_in_blocks_are_the_rows(self, monkeypatch):
        c = matrices(3, 20, 9)
        expected = monotonicity(c)
        monkeypatch.setattr(
            "attnwidget.measures.alignment.blocks", lambda n, _: (slice(i, min(i + 3, n)) for i in range(0, n, 3))
        )
        torch.testing.assert_close(monotonicity(c), expected)

    def test_a_target_row_without_values_is_stepped_over(self):
        c = torch.eye(4)[[0, 3, 1, 2]]
        c[1] = 0
        assert monotonicity(c, measure="steps") == 1
        assert monotonicity(c) == 1


class TestFocusAndEntropy:
    def test_by_hand(self):
        assert focus(C) == pytest.approx((0.7 + 0.55) / 2)
        entropy = [stats.entropy(row) for row in C.double().numpy()]
        assert alignment_entropy(C) == pytest.approx(np.mean(entropy) / math.log(4))
        assert alignment_entropy(C, normalize=False) == pytest.approx(np.mean(entropy))

    def test_extremes(self):
        assert focus(torch.eye(3)) == 1
        assert alignment_entropy(torch.eye(3)) == 0
        assert alignment_entropy(torch.full((2, 3), 1 / 3)) == pytest.approx(1)
        assert alignment_entropy(torch.ones(3, 1)).isnan()  # one source token: 0/0

    def test_excluded_source_tokens_leave_the_length(self):
        c = torch.tensor([[0.05, 0.05, 0.9]])
        assert alignment_entropy(c, exclude_source=[2]) == pytest.approx(1)
        assert focus(c, exclude_source=[2]) == pytest.approx(0.5)


@pytest.mark.parametrize("measure", MEASURES)
class TestAll:
    def test_trimming_padding_changes_nothing(self, measure):
        c = matrices(2, 5, 4)
        for top, left in ((0, 0), (2, 1)):
            wide, mask = torch.full((2, 8, 7), 1 / 7), torch.zeros(8, 7, dtype=torch.bool)
            wide[:, top : top + 5] = 0
            wide[:, top : top + 5, left : left + 4] = c
            mask[top : top + 5, left : left + 4] = True
            torch.testing.assert_close(measure(wide, mask=mask), measure(c))

    def test_examples_of_different_length(self, measure):
        c = matrices(2, 1, 4, 5)
        mask = torch.ones(2, 1, 4, 5, dtype=torch.bool)
        mask[1, :, 3:], mask[1, :, :, 4:] = False, False
        c = c * mask
        c = c / c.sum(-1, keepdim=True).clamp(min=1e-9)
        value = measure(c, mask=mask)
        assert value.shape == (2, 1)
        torch.testing.assert_close(value[0], measure(c[0]))
        torch.testing.assert_close(value[1], measure(c[1, :, :3, :4]))

    def test_rows_without_values_do_not_count(self, measure):
        c = matrices(5, 4)
        c[2] = 0
        expected = measure(c[[0, 1, 3, 4]])
        torch.testing.assert_close(measure(c), expected)
        c[2, 1] = math.nan
        with pytest.warns(aw.AttentionWarning, match="NaN in rows"):
            torch.testing.assert_close(measure(c), expected)
        assert measure(torch.zeros(3, 4)).isnan()

    def test_maps_answer_as_their_matrices_do(self, measure):
        maps, layers = cross_maps()
        value = measure(maps)
        assert value.shape == (2, 3)
        assert value[0, 2].isnan()
        torch.testing.assert_close(value[0, :2], measure(layers[0]))
        torch.testing.assert_close(value[1], measure(layers[1]))
        special = measure(maps, exclude_source="special")
        torch.testing.assert_close(special[1], measure(layers[1], exclude_source=[4]))

    def test_keeps_dtype_and_input(self, measure):
        c = matrices(3, 6, 5)
        before = c.clone()
        value = measure(c)
        assert value.shape == (3,)
        assert value.dtype == torch.float32
        assert measure(c.double()).dtype == torch.float64
        torch.testing.assert_close(measure(c.double()).float(), value, rtol=0, atol=1e-5)
        assert measure(c.half()).dtype == torch.float32
        torch.testing.assert_close(measure(c.numpy()), value)
        measure(c, exclude_source=[1])
        assert torch.equal(c, before)

    def test_bad_input(self, measure):
        for c, options, error, words in (
            ("cross", {}, TypeError, "c is str"),
            (torch.ones(3), {}, ValueError, r"c has shape \(3,\)"),
            (torch.randn(3, 3), {}, ValueError, "apply softmax"),
            (C, {"exclude_source": [4]}, ValueError, "exclude_source names token 4; there are tokens 0 to 3"),
            (C, {"exclude_source": "special"}, ValueError, "'special' for maps"),
            (C, {"exclude_source": ["x"]}, TypeError, "exclude_source='x' is str"),
            (C, {"mask": torch.ones(3, 4)}, TypeError, "mask holds"),
            (cross_maps()[0], {"mask": torch.ones(4, 5, dtype=torch.bool)}, ValueError, "for bare arrays"),
        ):
            with pytest.raises(error, match=words):
                measure(c, **options)


@pytest.mark.parametrize("measure", [*MEASURES[2:5], *MEASURES[7:], lambda c: coverage(c, measure="vector")[..., 0]])
def test_gradients_flow(measure):
    c = (matrices(2, 4, 3) * 2).softmax(-1).requires_grad_()
    measure(c).sum().backward()
    assert c.grad.isfinite().all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: coverage(C, measure="mean"), "measure='mean'"),
        (lambda: coverage_penalty(C, "google"), "style='google'"),
        (lambda: monotonicity(C, measure="rho"), "measure='rho'"),
    ],
)
def test_unknown_names(call, words):
    with pytest.raises(ValueError, match=words):
        call()
