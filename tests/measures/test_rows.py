"""Entropy and head scores: by hand, at the edges, and by their invariants."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import attnwidget as aw
from attnwidget.measures import entropy, head_scores
from tests.make import matrices, projected


class TestEntropy:
    def test_by_hand(self):
        rows = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0]])
        expected = torch.tensor([0.0, math.log(4), math.log(2)])
        torch.testing.assert_close(entropy(rows), expected)
        torch.testing.assert_close(entropy(rows, unit="bits"), torch.tensor([0.0, 2.0, 1.0]))

    def test_of_certainty_is_zero_exactly(self):
        value = entropy(torch.eye(5))
        assert (value == 0).all()
        assert not torch.signbit(value).any()

    @given(n=st.integers(1, 40), seed=st.integers(0, 10**6))
    @settings(deadline=None, max_examples=40)
    def test_agrees_with_scipy(self, n, seed):
        weights = matrices(3, n, n, seed=seed).double()
        expected = stats.entropy(weights.numpy(), axis=-1)
        np.testing.assert_allclose(entropy(weights).numpy(), expected, atol=1e-12)

    def test_normalised_by_the_keys_a_query_may_see(self):
        uniform = torch.ones(6, 6).tril() / torch.arange(1, 7)[:, None]
        value = entropy(uniform, normalize=True, causal=True)
        assert value[0].isnan()  # one key: 0/0 is neither 0 nor 1
        torch.testing.assert_close(value[1:], torch.ones(5))
        assert entropy(uniform, normalize=True, causal=True, reduce="queries") == pytest.approx(1)
        assert entropy(uniform, normalize=True)[1] == pytest.approx(math.log(2) / math.log(6))

    def test_a_masked_row_and_a_row_with_nan_have_none(self):
        weights = matrices(4, 4)
        weights[1], weights[2, 0] = 0, math.nan
        with pytest.warns(aw.AttentionWarning, match="NaN in rows of the map"):
            value = entropy(weights)
        assert value.isnan().tolist() == [False, True, True, False]
        with pytest.warns(aw.AttentionWarning):
            assert entropy(weights, reduce="queries") == pytest.approx(float(value[[0, 3]].mean()))

    def test_missing_mass_is_left_out(self):
        weights = matrices(4, 4)
        with pytest.warns(aw.AttentionWarning, match=r"do not sum to 1 \(the worst to 0.300\)"):
            torch.testing.assert_close(entropy(weights * 0.3), entropy(weights))

    def test_with_the_epsilon_of_course_texts(self):
        weights = matrices(5, 5)
        torch.testing.assert_close(entropy(weights, epsilon=1e-10), -(weights * (weights + 1e-10).log()).sum(-1))

    def test_maps_answer_as_their_matrices_do(self):
        maps = projected()
        value = entropy(maps)
        assert value.shape == (3, 4, 14)
        torch.testing.assert_close(value[2, 1], entropy(maps.weights(2, 1)))
        normal = entropy(maps, normalize=True, reduce="queries")
        torch.testing.assert_close(
            normal[1, 3], entropy(maps.weights(1, 3), normalize=True, causal=True, reduce="queries")
        )

    def test_layers_with_fewer_heads_are_nan_where_there_is_no_head(self):
        maps = aw.AttentionMaps.from_arrays([matrices(2, 4, 4), matrices(3, 4, 4)])
        assert entropy(maps, reduce="queries").isnan().tolist() == [[False, False, True], [False, False, False]]

    def test_keeps_axes_dtype_gradient_and_input(self):
        weights = matrices(2, 3, 4, 4).double().requires_grad_()
        before = weights.detach().clone()
        value = entropy(weights)
        value.sum().backward()
        assert value.shape == (2, 3, 4)
        assert value.dtype == torch.float64
        assert weights.grad is not None
        assert torch.equal(weights.detach(), before)
        assert entropy(matrices(4, 4).bfloat16()).dtype == torch.float32
        assert isinstance(entropy(matrices(4, 4).numpy()), torch.Tensor)

    @pytest.mark.parametrize(
        ("a", "options", "error", "words"),
        [
            ([[1.0]], {}, TypeError, "a is list"),
            (torch.ones(2, 2, dtype=torch.int32), {}, TypeError, "torch.int32"),
            (torch.ones(3), {}, ValueError, r"shape \(3,\)"),
            (matrices(3, 3), {"unit": "hartleys"}, ValueError, "'nats' or 'bits'"),
            (matrices(3, 3), {"reduce": "heads"}, ValueError, "reduce='heads'"),
            (matrices(3, 3), {"epsilon": -1}, ValueError, "epsilon=-1"),
            (projected(3), {"causal": True}, ValueError, "for bare arrays"),
            (matrices(3, 3), {"mask": torch.ones(2, 3, dtype=torch.bool)}, ValueError, r"shape \(2, 3\)"),
            (matrices(3, 3), {"mask": torch.ones(3, 3)}, TypeError, "mask holds torch.float32"),
        ],
    )
    def test_bad_input(self, a, options, error, words):
        with pytest.raises(error, match=words):
            entropy(a, **options)


class TestHeadScores:
    IDS = (7, 1, 2, 3, 1, 2, 3)

    def ideal(self, pairs):
        weights = torch.zeros(7, 7)
        weights[:, 0] = 1
        for query, key in pairs:
            weights[query] = torch.eye(7)[key]
        return weights

    def test_an_ideal_head_gets_one(self):
        induction = self.ideal([(4, 2), (5, 3), (6, 4)])
        duplicate = self.ideal([(4, 1), (5, 2), (6, 3)])
        previous = self.ideal([(i, i - 1) for i in range(1, 7)])
        scores = head_scores(torch.stack([induction, duplicate, previous]), self.IDS)
        assert scores["induction"].tolist() == [1, 0, 0]
        assert scores["duplicate"].tolist() == [0, 1, 0]
        assert scores["previous"].tolist() == pytest.approx([1 / 6, 1 / 6, 1])  # row 1 of each looks at token 0

    def test_rows_without_values_do_not_count(self):
        weights = self.ideal([(i, i - 1) for i in range(1, 7)])
        weights[3], weights[5] = 0, math.nan
        with pytest.warns(aw.AttentionWarning, match="NaN"):
            assert head_scores(weights, self.IDS)["previous"] == 1

    def test_equal_neighbours_put_induction_on_the_diagonal(self):
        assert head_scores(torch.eye(3), (5, 5, 6))["induction"] == 1

    def test_nothing_repeats(self):
        scores = head_scores(torch.eye(3), (1, 2, 3))
        assert scores["duplicate"].isnan()
        assert scores["induction"].isnan()
        assert scores["previous"] == 0

    def test_maps_answer_as_their_matrices_do(self):
        maps = projected()
        scores, stacked = head_scores(maps), torch.stack([maps.weights(1, head) for head in range(4)])
        for name, value in head_scores(stacked, maps.tokens).items():
            torch.testing.assert_close(scores[name][1], value)

    def test_bad_input(self):
        with pytest.raises(ValueError, match="square"):
            head_scores(matrices(2, 3), (1, 2))
        with pytest.raises(ValueError, match="later keys"):
            head_scores(matrices(3, 3), (1, 2, 1))
        with pytest.raises(ValueError, match="2 entries and the maps have 3"):
            head_scores(matrices(3, 3, causal=True), (1, 2))
        with pytest.raises(ValueError, match="tokens are not known"):
            head_scores(matrices(3, 3, causal=True))
