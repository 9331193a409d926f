"""Measures between heads: by hand, by their invariants, and at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster import hierarchy
from scipy.spatial.distance import jensenshannon

import attnwidget as aw
from attnwidget.measures import align_tokens, compare, head_clusters, head_diversity, head_similarity
from tests.make import matrices, projected

METRICS = ["js", "cosine", "euclidean", "joint"]


class TestHeadSimilarity:
    def test_divergence_by_hand(self):
        # One row: a half on each of two keys against all on the first. The mixture is 3/4, 1/4.
        a, b = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
        mixture = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
        found = head_similarity(torch.stack([a, b]))
        assert found[0, 1] == pytest.approx(mixture - math.log(2) / 2)
        assert head_similarity(torch.eye(2)[:, None])[0, 1] == pytest.approx(math.log(2))

    @given(heads=st.integers(1, 5), n=st.integers(2, 12), seed=st.integers(0, 10**6))
    @settings(deadline=None, max_examples=30)
    def test_agrees_with_scipy(self, heads, n, seed):
        weights = matrices(heads, n, n, seed=seed).double()
        found = head_similarity(weights)
        for one in range(heads):
            for other in range(heads):
                expected = (jensenshannon(weights[one], weights[other], axis=-1) ** 2).mean()
                assert found[one, other] == pytest.approx(np.nan_to_num(expected), abs=1e-9)

    @pytest.mark.parametrize("metric", ["js", "cosine", "euclidean"])
    def test_symmetric_and_exact_for_equal_heads(self, metric):
        weights = matrices(2, 4, 6, 6)
        weights[:, 3] = weights[:, 0]
        found = head_similarity(weights, metric=metric)
        torch.testing.assert_close(found, found.transpose(-1, -2))
        assert found.shape == (2, 4, 4)
        expected = 1 if metric == "cosine" else 0
        assert found[:, 0, 3].tolist() == pytest.approx([expected] * 2, abs=1e-6)
        if metric != "cosine":
            assert (found[:, 0, 3] == 0).all()

    def test_rows_that_see_one_key_are_left_out(self):
        weights = matrices(2, 3, 3, causal=True)
        informative, whole = head_similarity(weights, causal=True), head_similarity(weights, rows="all", causal=True)
        assert informative[0, 1] * 2 / 3 == pytest.approx(float(whole[0, 1]))

    def test_padding_changes_nothing(self):
        real = matrices(3, 5, 5)
        weights, mask = torch.full((3, 7, 7), 1 / 7), torch.zeros(7, 7, dtype=torch.bool)
        weights[:, :5] = 0
        weights[:, :5, :5], mask[:5, :5] = real, True
        for metric in ("js", "cosine", "euclidean"):
            torch.testing.assert_close(
                head_similarity(weights, metric=metric, mask=mask), head_similarity(real, metric=metric)
            )

    def test_maps_answer_as_their_matrices_do(self):
        maps = projected()
        stacked = torch.stack([maps.weights(1, head) for head in range(4)])
        for metric in ("js", "cosine", "euclidean"):
            torch.testing.assert_close(
                head_similarity(maps, metric=metric)[1], head_similarity(stacked, metric=metric, causal=True)
            )

    def test_a_row_with_nan_counts_for_neither(self):
        weights = matrices(1, 4, 4).repeat(2, 1, 1)
        weights[0, 2] = math.nan
        with pytest.warns(aw.AttentionWarning):
            assert head_similarity(weights, metric="cosine")[0, 1] == pytest.approx(1)

    def test_layers_with_fewer_heads(self):
        maps = aw.AttentionMaps.from_arrays([matrices(2, 4, 4), matrices(3, 4, 4)])
        found = head_similarity(maps)
        assert found[0, 2].isnan().all()
        assert not found[1].isnan().any()

    @pytest.mark.parametrize(
        ("a", "options", "words"),
        [
            (matrices(2, 3, 3), {"metric": "kl"}, "metric='kl'"),
            (matrices(2, 3, 3), {"rows": "some"}, "rows='some'"),
            (matrices(2, 3, 3), {"query": 3}, "query names row 3"),
            (matrices(3, 3), {}, "a is a single map"),
        ],
    )
    def test_bad_input(self, a, options, words):
        with pytest.raises(ValueError, match=words):
            head_similarity(a, **options)


class TestHeadDiversity:
    def test_is_the_mean_over_pairs(self):
        weights = matrices(3, 6, 6)
        pairs = head_similarity(weights)[torch.ones(3, 3).triu(1).bool()]
        assert head_diversity(weights) == pytest.approx(float(pairs.mean()))
        assert head_diversity(weights, normalize=True) == pytest.approx(float(pairs.mean()) / math.log(2))

    @pytest.mark.parametrize("metric", METRICS)
    def test_a_single_head_has_none(self, metric):
        assert head_diversity(matrices(1, 4, 4), metric=metric).isnan()

    @pytest.mark.parametrize("metric", METRICS)
    def test_equal_heads_have_none(self, metric):
        weights = matrices(1, 5, 5).expand(3, 5, 5)
        assert head_diversity(weights, metric=metric) == pytest.approx(0, abs=1e-6)

    @pytest.mark.parametrize("metric", METRICS)
    def test_the_order_of_heads_does_not_matter(self, metric):
        weights = matrices(2, 4, 5, 5)
        mixed = weights[:, torch.tensor([2, 0, 3, 1])]
        torch.testing.assert_close(head_diversity(mixed, metric=metric), head_diversity(weights, metric=metric))

    def test_ends_of_the_joint_divergence(self):
        apart = torch.eye(4)[:, None].expand(4, 3, 4)
        assert head_diversity(apart, metric="joint") == pytest.approx(math.log(4))
        assert head_diversity(apart, metric="joint", normalize=True) == pytest.approx(1)

    def test_cosine_as_courses_compute_it(self):
        weights = matrices(4, 6, 6, causal=True).double()
        flat = weights.flatten(1).numpy()
        unit = flat / np.linalg.norm(flat, axis=1, keepdims=True)
        cosines = unit @ unit.T
        expected = 1 - cosines[~np.eye(4, dtype=bool)].mean()
        assert head_diversity(weights, metric="cosine", rows="all", causal=True) == pytest.approx(expected, abs=1e-6)
        assert head_diversity(weights, metric="cosine", causal=True) > expected  # row 0 is the same in every head

    def test_distance_of_cls_rows_as_courses_compute_it(self):
        weights = matrices(2, 3, 5, 5)
        rows = weights[:, :, 0]
        expected = torch.stack([torch.pdist(layer).mean() for layer in rows])
        torch.testing.assert_close(head_diversity(weights, metric="euclidean", query=0), expected)

    @pytest.mark.parametrize("metric", METRICS)
    def test_can_stand_in_a_training_loss(self, metric):
        scores = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
        hidden = ~torch.ones(5, 5, dtype=torch.bool).tril()
        weights = scores.masked_fill(hidden, -torch.inf).softmax(-1)
        before = head_diversity(weights, metric=metric, causal=True)
        before.backward()
        assert scores.grad.isfinite().all()
        step = (scores + 0.1 * scores.grad).masked_fill(hidden, -torch.inf).softmax(-1)
        assert head_diversity(step, metric=metric, causal=True) > before

    def test_bad_input(self):
        with pytest.raises(ValueError, match="normalize=True is for"):
            head_diversity(matrices(2, 3, 3), metric="cosine", normalize=True)


class TestHeadClusters:
    def copies(self):
        """Six heads in two layers that are noisy copies of two."""
        two = matrices(2, 10, 10)
        noise = matrices(6, 10, 10, seed=1)
        kind = torch.tensor([0, 1, 0, 1, 0, 1])
        weights = 0.97 * two[kind] + 0.03 * noise
        return weights.reshape(2, 3, 10, 10), kind.reshape(2, 3)

    def test_finds_the_copies(self):
        weights, kind = self.copies()
        found = head_clusters(weights, 2)
        assert len({(int(kind[place]), int(found.labels[place])) for place in found.order}) == 2
        assert [int(found.labels[place]) for place in found.order] == [0, 0, 0, 1, 1, 1]
        assert sorted(found.order) == [(layer, head) for layer in range(2) for head in range(3)]
        assert hierarchy.is_valid_linkage(found.linkage)

    def test_distances_are_those_of_the_layer(self):
        maps = projected(20)
        found = head_clusters(maps, max_queries=None)
        torch.testing.assert_close(found.distance[4:8, 4:8], head_similarity(maps)[1].sqrt(), atol=1e-4, rtol=1e-4)
        assert found.labels is None

    def test_one_head(self):
        assert head_clusters(matrices(1, 1, 4, 4), 1).order == [(0, 0)]

    def test_bad_input(self):
        with pytest.raises(ValueError, match="max_queries=-1"):
            head_clusters(self.copies()[0], max_queries=-1)
        with pytest.raises(TypeError, match=r"k=1\.5 is float"):
            head_clusters(self.copies()[0], 1.5)
        with pytest.raises(ValueError, match="k=7; expected 1 to 6"):
            head_clusters(self.copies()[0], 7)
        with pytest.raises(ValueError, match=r"expected \[layers, heads, queries, keys\]"):
            head_clusters(matrices(3, 4, 4))


class TestCompare:
    def test_finds_the_head_that_changed(self):
        maps = projected()
        changed = projected()
        changed.layers[1].q[2] *= 3
        found = compare(maps, changed)
        assert found.ranked[0] == (1, 2)
        assert found.divergence[1, 2] > 0.01
        assert (found.divergence.flatten().sort().values[:-1] == 0).all()

    def test_arrays(self):
        a, b = matrices(2, 4, 4), matrices(2, 4, 4, seed=1)
        found = compare(a, b)
        expected = head_similarity(torch.stack([a, b], 1))[:, 0, 1]
        torch.testing.assert_close(found.divergence, expected)
        assert compare(a, a).divergence.tolist() == [0, 0]

    def test_texts_that_differ_in_a_word(self):
        one = aw.AttentionMaps.from_arrays(matrices(1, 2, 4, 4), tokens=["a", "b", "c", "d"], layout="LHQK")
        two = aw.AttentionMaps.from_arrays(matrices(1, 2, 5, 5), tokens=["a", "x", "y", "c", "d"], layout="LHQK")
        with pytest.raises(ValueError, match=r"pass aligned=align_tokens\(a, b\)"):
            compare(one, two)
        pairs = align_tokens(one, two)
        assert pairs.tolist() == [[0, 0], [2, 3], [3, 4]]
        found = compare(one, two, aligned=pairs)
        rows = [one.weights(0, 1)[[0, 2, 3]][:, [0, 2, 3]], two.weights(0, 1)[[0, 3, 4]][:, [0, 3, 4]]]
        p, q = (row / row.sum(-1, keepdim=True) for row in rows)
        assert found.divergence[0, 1] == pytest.approx((jensenshannon(p, q, axis=-1) ** 2).mean(), abs=1e-6)

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"a has heads \(4, 4, 4\) and b \(4, 4\)"):
            compare(projected(), projected(layers=2))
        uneven = [aw.AttentionMaps.from_arrays([matrices(h, 4, 4) for h in heads]) for heads in ((4, 2), (4, 1))]
        with pytest.raises(ValueError, match=r"a has heads \(4, 2\) and b \(4, 1\)"):
            compare(*uneven)
        with pytest.raises(TypeError, match="expected maps and maps"):
            compare(uneven[0], matrices(2, 4, 4))
        with pytest.raises(ValueError, match="expected pairs of integers"):
            compare(projected(), projected(), aligned=[0, 1, 2])
        with pytest.raises(ValueError, match="aligned names no positions of a"):
            compare(projected(), projected(), aligned=[])

    def test_nothing_agrees(self):
        assert align_tokens(["a"], ["b"]).shape == (0, 2)
