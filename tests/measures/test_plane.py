"""Queries and keys in the plane: what the picture may be read for, and that it says so itself."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import spearmanr

import attnwidget as aw
from attnwidget.layers import Mask, ProjectedLayer
from tests.make import matrices, projected


def maps_of(q, k, **options):
    layer = ProjectedLayer(q[None], k[None], q.shape[-1] ** -0.5, **{"mask": Mask(causal=True)} | options)
    return aw.AttentionMaps([layer], aw.Tokens.positions(len(q)))


def planar(n=40, width=16, seed=0):
    """Queries and keys whose scores need two directions only, with a middle far off that says nothing."""
    draw = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(width, width, generator=draw))[0]
    points = torch.randn(2, n, 2, generator=draw) * 3
    far = 40 * axes[3]
    return points[0] @ axes[:2] + torch.randn(n, 1, generator=draw) * axes[4], points[1] @ axes[:2] + far


def test_scores_of_two_directions_can_be_read_however_far_apart_the_middles_are():
    found = aw.measures.plane(maps_of(*planar()), 0, 0)
    assert found.correlation > 0.6
    assert (len(found.queries), len(found.keys)) == (40, 40)


def test_scores_of_many_directions_cannot():
    draw = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 200, 64, generator=draw)
    assert aw.measures.plane(maps_of(q, k), 0, 0).correlation < 0.5


def test_the_correlation_is_that_of_the_picture():
    """Measured anew from the points that were given, with scipy, over all visible pairs."""
    maps = projected(20, layers=1)
    found = aw.measures.plane(maps, 0, 1)
    scores = maps.scores(0, 1)
    seen = scores > -math.inf
    means = scores.masked_fill(~seen, 0).sum(-1) / seen.sum(-1)
    away = torch.cdist(found.queries, found.keys)
    expected = spearmanr(-away[seen], (scores - means[:, None])[seen]).statistic
    assert found.correlation == pytest.approx(expected, abs=2e-3)
    assert (found.pairs, found.sampled) == (20 * 21 // 2, False)


def test_the_same_maps_give_the_same_picture_and_another_shift_of_the_keys_too():
    q, k = planar()
    one, again = (aw.measures.plane(maps_of(q, k), 0, 0) for _ in range(2))
    assert torch.equal(one.queries, again.queries)
    shifted = aw.measures.plane(maps_of(q, k + torch.linspace(-3, 5, 16)), 0, 0)
    assert torch.allclose(one.keys, shifted.keys, atol=1e-3)
    assert shifted.correlation == pytest.approx(one.correlation, abs=1e-3)


def test_keys_that_heads_share_are_those_of_their_group():
    maps = projected(12, layers=1, heads=4, key_value_heads=2)
    layer = maps.layers[0]
    alone = maps_of(layer.q[3], layer.k[1])
    found, expected = aw.measures.plane(maps, 0, 3), aw.measures.plane(alone, 0, 0)
    assert torch.allclose(found.keys, expected.keys, atol=1e-5)


def test_a_long_map_is_sampled_evenly_and_says_so():
    q, k = planar(3000)
    found = aw.measures.plane(maps_of(q, k), 0, 0)
    assert (len(found.queries), found.pairs, found.sampled) == (3000, 4096, True)
    assert found.correlation > 0.6


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_tokens_have_no_correlation(n):
    found = aw.measures.plane(projected(n, layers=1), 0, 0)
    assert found.queries.shape == (n, 2)
    assert found.queries.isfinite().all()
    if n == 1:
        assert math.isnan(found.correlation)


def test_what_is_no_number_stands_nowhere_and_moves_nothing_else():
    q, k = planar()
    q[5] = math.nan
    found = aw.measures.plane(maps_of(q, k), 0, 0)
    assert found.queries[5].isnan().all()
    assert found.queries[[*range(5), *range(6, 40)]].isfinite().all()
    assert found.correlation > 0.6


def test_vectors_of_one_dimension_lie_on_a_line():
    found = aw.measures.plane(projected(10, layers=1, width=1), 0, 0)
    assert found.keys[:, 1].abs().max() == 0


def test_keys_may_be_made_equally_long():
    found = aw.measures.plane(projected(30, layers=1), 0, 0, normalize=True)
    assert found.keys.isfinite().all()
    assert -1 <= found.correlation <= 1


def test_weights_do_not_tell_queries_and_keys():
    maps = aw.AttentionMaps.from_arrays([matrices(2, 5, 5)])
    with pytest.raises(ValueError, match="held as weights, which do not tell the queries and keys"):
        aw.measures.plane(maps, 0, 0)
    with pytest.raises(TypeError, match="maps is Tensor; expected AttentionMaps"):
        aw.measures.plane(matrices(2, 5, 5), 0, 0)
    with pytest.raises(IndexError):
        aw.measures.plane(projected(), 0, 9)
