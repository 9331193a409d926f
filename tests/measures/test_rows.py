"""Measures of rows: by hand, at the edges, and by their invariants."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import attnwidget as aw
from attnwidget import measures
from attnwidget.layers import Mask
from attnwidget.measures import entropy, locality, prefix_mass, sinks, top_targets
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
        with pytest.warns(aw.AttentionWarning) as warned:
            assert entropy(weights, reduce="queries") == pytest.approx(float(value[[0, 3]].mean()))
        assert warned[0].filename == __file__  # the caller's line, and not one of ours

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


class TestLocality:
    # Query 1 looks half at itself and half at key 0, query 2 only at key 0.
    ROWS = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])

    def test_by_hand(self):
        assert locality(self.ROWS, measure="distance") == pytest.approx((0 + 0.5 + 2) / 3)
        assert locality(self.ROWS, measure="window", window=1) == pytest.approx((1 + 1 + 0) / 3)
        assert locality(self.ROWS, measure="window", window=0) == pytest.approx((1 + 0.5 + 0) / 3)
        # A uniform causal head is on average (0 + 1/2 + 1) / 3 away, a bidirectional one (1 + 2/3 + 1) / 3.
        assert locality(self.ROWS, causal=True) == pytest.approx(1 - 2.5 / 1.5)
        assert locality(self.ROWS) == pytest.approx(1 - 2.5 / (1 + 2 / 3 + 1))

    def test_ends_of_the_score(self):
        uniform = torch.ones(6, 6).tril() / torch.arange(1, 7)[:, None]
        assert locality(torch.eye(6)) == 1
        assert locality(uniform, causal=True) == pytest.approx(0, abs=1e-6)
        assert locality(torch.ones(1, 1)).isnan()  # one token has no distance to compare with

    def test_heads_together_as_their_averaged_map(self):
        weights = matrices(2, 3, 7, 7)
        for measure in ("score", "distance", "window"):
            together = locality(weights, measure=measure, reduce="heads")
            torch.testing.assert_close(together, locality(weights.mean(1), measure=measure))

    @pytest.mark.parametrize("side", ["left", "right"])
    def test_padding_changes_nothing(self, side):
        real = matrices(2, 5, 5, causal=True)
        inside = slice(3, 8) if side == "left" else slice(0, 5)
        weights = torch.full((2, 8, 8), 1 / 8)  # what eager transformers gives padding queries
        weights[:, inside] = 0
        weights[:, inside, inside] = real
        mask = torch.zeros(8, 8, dtype=torch.bool)
        mask[inside, inside] = torch.ones(5, 5).tril().bool()
        for measure in ("score", "distance", "window"):
            padded = locality(weights, measure=measure, mask=mask)
            torch.testing.assert_close(padded, locality(real, measure=measure, causal=True))
        torch.testing.assert_close(
            entropy(weights, reduce="queries", normalize=True, mask=mask),
            entropy(real, reduce="queries", normalize=True, causal=True),
        )

    def test_cached_keys_in_front(self):
        whole = matrices(6, 6, causal=True)
        torch.testing.assert_close(
            locality(whole[4:], measure="distance", causal=True),
            (whole[4:] * (torch.tensor([[4], [5]]) - torch.arange(6)).abs()).sum(-1).mean(),
        )
        with pytest.raises(ValueError, match="2 queries x 6 keys and not causal"):
            locality(whole[4:])

    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"window": -1}, ValueError, "window=-1"),
            ({"window": 1.5}, TypeError, "window=1.5 is float"),
            ({"measure": "near"}, ValueError, "measure='near'"),
            ({"reduce": "layers"}, ValueError, "reduce='layers'"),
            ({"reduce": "heads"}, ValueError, "axis of heads"),
        ],
    )
    def test_bad_input(self, options, error, words):
        with pytest.raises(error, match=words):
            locality(matrices(4, 4), **options)


class TestSinks:
    def test_by_hand(self):
        # Six causal queries; key 0 gets 1, then 0.5 from everybody after it; key 1 gets the rest.
        weights = torch.zeros(6, 6)
        weights[0, 0] = 1
        weights[1:, 0] = weights[1:, 1] = 0.5
        found = sinks(weights, causal=True)
        assert found["first"] == pytest.approx((1 + 5 * 0.5) / 6)
        assert found["score"][1] == pytest.approx(0.5)
        assert found["score"][2:].isnan().all()  # fewer than five queries see them
        assert found["top"] == 0
        assert found["rate"][:2].tolist() == [1, 1]
        assert sinks(weights, epsilon=0.55, causal=True)["rate"][:2].tolist() == [1, 0]

    def test_rate_is_a_share_of_heads(self):
        sharp = torch.zeros(8, 8)
        sharp[:, 0] = 1
        weights = torch.stack([sharp, torch.full((8, 8), 1 / 8)])
        assert sinks(weights)["rate"][0] == 0.5

    def test_without_a_score_there_is_no_top(self):
        found = sinks(matrices(3, 3, causal=True), causal=True)
        assert found["top"] == -1
        assert found["top_score"].isnan()

    def test_learned_sinks_are_outside_the_map(self):
        maps = projected(sinks=torch.full((4,), 2.0))
        lacking = 1 - maps.weights(1, 2).sum(-1)
        assert sinks(maps)["outside"][1, 2] == pytest.approx(float(lacking.mean()), abs=1e-6)

    def test_maps_answer_as_their_matrices_do(self):
        maps = projected()
        stacked = torch.stack([maps.weights(1, head) for head in range(4)])
        for name in ("score", "first", "top", "top_score"):
            torch.testing.assert_close(sinks(maps)[name][1], sinks(stacked, causal=True)[name], equal_nan=True)

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"epsilon=2; expected a number from 0 to 1"):
            sinks(matrices(3, 3), epsilon=2)


class TestPrefixMass:
    def test_by_hand(self):
        weights = torch.zeros(2, 4, 4)
        weights[0] = torch.tensor([0.4, 0.2, 0.3, 0.1])
        weights[1] = torch.tensor([0.0, 0.0, 0.5, 0.5])
        found = prefix_mass(weights, 2, [2])
        assert found["prefix"].tolist() == pytest.approx([0.6, 0.0])
        assert found["prefix_without_first"].tolist() == pytest.approx([0.2, 0.0])
        assert found["prefix_chance"].tolist() == [0.5, 0.5]
        assert found["prefix_per_token"].tolist() == pytest.approx([0.3, 0.0])
        assert found["ratio"].tolist() == pytest.approx([1.0, 0.0])
        assert found["prefix_mean"] == pytest.approx(0.3)
        assert found["prefix_std"] == pytest.approx(float(np.std([0.6, 0.0])))

    def test_an_anchor_without_mass_has_no_ratio(self):
        assert prefix_mass(torch.eye(4), [0], [3], queries=0)["ratio"].isnan()

    def test_queries_inside_the_prefix_do_not_count(self):
        weights = matrices(5, 5, causal=True)
        assert prefix_mass(weights, 2, causal=True)["prefix"] == pytest.approx(float(weights[2:, :2].sum(-1).mean()))
        everywhere = prefix_mass(weights, 2, queries="all", causal=True)
        assert everywhere["prefix"] == pytest.approx(float(weights[:, :2].sum(-1).mean()))
        chance = torch.tensor([1, 1, 2 / 3, 2 / 4, 2 / 5]).mean()
        assert everywhere["prefix_chance"] == pytest.approx(float(chance))

    def test_the_last_query_as_courses_do(self):
        weights = matrices(3, 4, 6, 6)
        found = prefix_mass(weights, 2, [3, 4], queries=-1)
        torch.testing.assert_close(found["prefix"], weights[..., -1, :2].sum(-1))
        torch.testing.assert_close(found["anchor_mean"], weights[..., -1, 3:5].sum(-1).mean(-1))
        torch.testing.assert_close(found["prefix_std"], weights[..., -1, :2].sum(-1).std(-1, correction=0))

    def test_cached_prefix_keys_have_no_rows(self):
        weights = matrices(4, 3, 5)
        torch.testing.assert_close(prefix_mass(weights, 2)["prefix"], weights[..., :2].sum(-1).mean(-1))

    @pytest.mark.parametrize(
        ("prefix", "options", "words"),
        [
            (0, {}, "prefix=0; expected 1 to 4"),
            ([7], {}, "prefix names token 7; there are tokens 0 to 3"),
            ([1, 1], {}, "twice"),
            (4, {}, "covers every query"),
            (2, {"queries": "last"}, "queries='last'"),
            (2, {"queries": [9]}, "queries names"),
        ],
    )
    def test_bad_input(self, prefix, options, words):
        with pytest.raises(ValueError, match=words):
            prefix_mass(matrices(4, 4), prefix, **options)


class TestTopTargets:
    def test_by_hand(self):
        weights = torch.tensor([[0.1, 0.6, 0.26, 0.04]]).expand(4, 4)
        found = top_targets(weights, 3, k=4)
        assert found["key"].tolist() == [1, 2, 0, -1]
        assert found["weight"][:3].tolist() == pytest.approx([0.6, 0.26, 0.1])
        assert found["weight"][3].isnan()

    def test_maps_answer_as_their_matrices_do(self):
        maps = projected()
        found = top_targets(maps, -1, k=3)
        assert found["key"].shape == (3, 4, 3)
        torch.testing.assert_close(
            found["weight"][2, 1], top_targets(maps.weights(2, 1), -1, k=3)["weight"], equal_nan=True
        )

    @pytest.mark.parametrize(
        ("query", "options", "error", "words"),
        [
            (4, {}, ValueError, "query names row 4; there are rows 0 to 3"),
            (0, {"k": 5}, ValueError, "k=5; expected 1 to 4"),
            (0, {"k": 0}, ValueError, "k=0"),
            (0, {"k": 2.0}, TypeError, "k=2.0 is float"),
            (0, {"k": 1, "threshold": 2}, ValueError, "threshold=2"),
        ],
    )
    def test_bad_input(self, query, options, error, words):
        with pytest.raises(error, match=words):
            top_targets(matrices(4, 4), query, **options)


class TestWhatAQueryMaySee:
    def additive(self, side="left", n=14, pads=4):
        """Maps held as q and k whose mask is causal and hides padding, and the same maps without the padding."""
        maps = projected(n)
        inside = slice(pads, n) if side == "left" else slice(0, n - pads)
        shown = torch.zeros(n, n, dtype=torch.bool)
        shown[inside, inside] = torch.ones(n - pads, n - pads).tril().bool()
        mask = Mask(additive=torch.zeros(1, n, n).masked_fill(~shown, -math.inf))
        padded = aw.AttentionMaps([replace(layer, mask=mask) for layer in maps.layers], maps.tokens)
        cut = [replace(layer, q=layer.q[:, inside], k=layer.k[:, inside]) for layer in maps.layers]
        return padded, aw.AttentionMaps(cut, maps.tokens[inside])

    @pytest.mark.parametrize("side", ["left", "right"])
    def test_an_additive_mask_that_is_causal_is_causal(self, side):
        padded, trimmed = self.additive(side)
        assert padded.causal
        found, expected = aw.summarize(padded), aw.summarize(trimmed)
        moved = 4 if side == "left" else 0
        expected["sink_key"] += moved
        pd.testing.assert_frame_equal(found, expected, atol=1e-5, rtol=1e-5)

    def test_nan_beside_healthy_heads_does_not_make_them_bidirectional(self):
        weights = matrices(2, 3, 6, 6, causal=True)
        weights[0, 0, 2] = math.nan
        with pytest.warns(aw.AttentionWarning):
            maps = aw.AttentionMaps.from_arrays(weights, layout="LHQK")
        assert maps.causal

    def test_matrices_come_with_what_is_known_of_them(self):
        real = matrices(2, 3, 5, 5, causal=True)
        weights, mask = torch.full((2, 3, 7, 7), 1 / 7), torch.zeros(7, 7, dtype=torch.bool)
        weights[:, :, :5] = 0
        weights[:, :, :5, :5], mask[:5, :5] = real, torch.ones(5, 5).tril().bool()
        maps = aw.AttentionMaps.from_arrays(weights, layout="LHQK", mask=mask)
        torch.testing.assert_close(entropy(maps, reduce="queries"), entropy(real, reduce="queries"))
        cached = aw.AttentionMaps.from_arrays(matrices(1, 2, 6, 6, causal=True)[:, :, 4:], layout="LHQK", causal=True)
        assert cached.causal
        assert locality(cached, measure="distance").isfinite().all()
        with pytest.raises(ValueError, match=r"mask has shape \(1, 3, 3\)"):
            aw.AttentionMaps.from_arrays(weights, layout="LHQK", mask=torch.ones(3, 3, dtype=torch.bool))

    def test_sinks_by_mask_and_by_rule(self):
        weights = matrices(3, 9, 9, causal=True)
        by_mask, by_rule = sinks(weights, mask=torch.ones(9, 9).tril().bool()), sinks(weights, causal=True)
        for name, value in by_rule.items():
            torch.testing.assert_close(by_mask[name], value, equal_nan=True)
        shown = torch.ones(40, 40).tril().triu(-3).bool()
        windowed = (torch.rand(2, 40, 40) * shown + shown * 0.1) / 4
        windowed = windowed / windowed.sum(-1, keepdim=True)
        assert sinks(windowed, mask=shown)["score"][:, :36].isfinite().all()

    def test_the_first_token_after_padding(self):
        padded, trimmed = self.additive()
        torch.testing.assert_close(sinks(padded)["first"], sinks(trimmed)["first"])

    def test_masks_of_every_kind_of_array(self):
        weights, mask = matrices(4, 4, causal=True), np.tri(4, dtype=bool)
        mask.setflags(write=False)
        torch.testing.assert_close(entropy(weights, mask=mask), entropy(weights, causal=True))
        torch.testing.assert_close(entropy(weights, mask=mask[::-1, ::-1].T), entropy(weights, causal=True))


class TestGradients:
    @pytest.mark.parametrize(
        "measure",
        [
            lambda w: entropy(w, normalize=True, causal=True, reduce="queries"),
            lambda w: entropy(w, normalize=True, causal=True, epsilon=1e-10, reduce="queries"),
            lambda w: locality(w, causal=True),
            lambda w: sinks(w, causal=True)["first"],
            lambda w: prefix_mass(w, 2, [3], causal=True)["prefix_std"],
            lambda w: measures.pattern_scores(w, causal=True)["sparse"],
            lambda w: measures.pattern_scores(w, causal=True)["uniform"],
            lambda w: measures.pattern_report(w, causal=True)["deviation"],
            lambda w: measures.head_scores(w, [1, 2, 1, 2, 1, 2])["induction"],
            lambda w: measures.rollout(w[None], causal=True)[-1, 1],
        ],
    )
    @pytest.mark.parametrize("equal", [False, True])
    def test_are_finite_through_a_masked_softmax(self, measure, equal):
        scores = torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(0))
        scores = (scores * 0 if equal else scores).requires_grad_()
        hidden = ~torch.ones(6, 6, dtype=torch.bool).tril()
        measure(scores.masked_fill(hidden, -math.inf).softmax(-1)).nansum().backward()
        assert scores.grad.isfinite().all()

    def test_reach_q_and_k(self):
        maps = projected(6)
        q = maps.layers[0].q.clone().requires_grad_()
        shown = torch.ones(6, 6).tril().bool()
        shown[3] = False
        mask = Mask(additive=torch.zeros(1, 6, 6).masked_fill(~shown, -math.inf))
        for options in ({}, {"mask": mask}, {"softcap": 5.0}):
            layer = replace(maps.layers[0], q=q, **options)
            value = entropy(aw.AttentionMaps([layer], maps.tokens), reduce="queries")
            (grad,) = torch.autograd.grad(value.sum(), q)
            assert grad.isfinite().all()
            assert grad.abs().sum() > 0


class TestBadWeights:
    def test_nan_does_not_hide_them(self):
        with pytest.raises(ValueError, match="weights from -3 to 4"):
            entropy(torch.tensor([[math.nan, 0.5], [-3.0, 4.0]]))
        with pytest.raises(ValueError, match="holds weights from -3 to"):
            aw.AttentionMaps.from_arrays(torch.tensor([[math.nan, 0.5], [-3.0, 4.0]]))

    @pytest.mark.parametrize(
        ("excluded", "error", "words"),
        [
            ([False, True], TypeError, "exclude_tokens=False is bool"),
            ([1.7], TypeError, "exclude_tokens=1.7 is float"),
            ([9], ValueError, "exclude_tokens names token 9; there are tokens 0 to 3"),
        ],
    )
    def test_tokens_that_cannot_be_excluded(self, excluded, error, words):
        with pytest.raises(error, match=words):
            entropy(matrices(4, 4), exclude_tokens=excluded)

    def test_one_warning_says_the_worst(self):
        weights = matrices(2, 3, 3)
        weights[0] *= 0.9
        weights[1] *= 0.1
        with pytest.warns(
            aw.AttentionWarning, match=r"a\[0\]; a\[1\] do not sum to 1 \(the worst to 0.100\)"
        ) as warned:
            entropy(weights)
        assert len(warned) == 1

    def test_a_row_with_one_key_and_little_mass_is_certain(self):
        maps = projected(sinks=torch.full((4,), 2.0))
        assert (entropy(maps)[..., 0] == 0).all()
