"""Paths: against all paths of tiny maps, one by one, and by what they must add up to."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

import attnwidget as aw
from attnwidget.measures.flow import rollout
from attnwidget.measures.paths import RESIDUAL, paths
from tests.make import matrices, projected


def layers_of(a, residual, heads):
    """Each layer as matrices [heads, n, n] that sum to a_l; the last is the residual path where heads stand alone."""
    n = a.shape[-1]
    for layer in a.double():
        stay = residual * torch.eye(n, dtype=torch.float64)
        moved = (1 - residual) * layer / len(layer)
        yield torch.cat([moved, stay[None]]) if heads == "each" else (moved.sum(0) + stay)[None]


def all_paths(a, query, residual, heads):
    """Every path from a token down, as a tuple of edges (layer, from, to, head), with the product of their weights."""
    split = list(layers_of(a, residual, heads))
    found = {(): 1.0}
    for layer in range(len(split) - 1, -1, -1):
        matrix, longer = split[layer], {}
        for path, weight in found.items():
            start = path[-1][2] if path else query
            for head, key in itertools.product(range(len(matrix)), range(matrix.shape[-1])):
                number = RESIDUAL if head == len(matrix) - 1 else head
                longer[*path, (layer, start, key, number)] = weight * float(matrix[head, start, key])
        found = longer
    return found


@pytest.mark.parametrize("heads", ["mean", "each"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("query", "residual", "threshold"), [(-1, 0.5, 0.04), (1, 0.2, 0.01), (2, 0.0, 0.1)])
def test_is_what_all_paths_one_by_one_come_to(heads, causal, query, residual, threshold):
    a = matrices(3, 2, 4, 4, causal=causal, seed=3)
    found = paths(a, query, threshold=threshold, residual=residual, heads=heads)
    every = all_paths(a, found.query, residual, heads)
    flow: dict[tuple[int, ...], float] = {}
    for path, weight in every.items():
        for edge in path:
            flow[edge] = flow.get(edge, 0.0) + weight
    expected = {edge: share for edge, share in flow.items() if share >= threshold and share > 0}
    edges = [tuple(edge) for edge in found.edges.tolist()]
    assert set(edges) == set(expected)
    assert dict(zip(edges, found.shares.tolist(), strict=True)) == pytest.approx(expected, abs=1e-7)
    carried = sum(weight for path, weight in every.items() if all(edge in expected for edge in path))
    assert found.carried == pytest.approx(carried, abs=1e-7)
    torch.testing.assert_close(found.nodes[0].float(), rollout(a, queries=query, residual=residual)[0])


@pytest.mark.parametrize("heads", ["mean", "each"])
def test_without_a_threshold_all_of_it_is_carried(heads):
    maps = projected(9)
    found = paths(maps, 5, threshold=0, heads=heads)
    assert found.carried == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(found.nodes.sum(-1), torch.ones(4, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.nodes[0].float(), rollout(maps, queries=5)[0], atol=1e-6, rtol=0)
    assert (found.edges[:, 1] <= 5).all()


def test_the_heads_of_an_edge_and_the_residual_path_sum_to_it():
    maps = projected(7, sinks=torch.tensor([0.5, 1.0, -1.0, 2.0]))
    mean, each = (paths(maps, threshold=0, heads=heads).table() for heads in ("mean", "each"))
    summed = each.groupby(["layer", "from", "to"])["share"].sum()
    torch.testing.assert_close(
        torch.tensor(summed.to_numpy()),
        torch.tensor(mean.set_index(["layer", "from", "to"])["share"].sort_index().to_numpy()),
        atol=1e-7,
        rtol=0,
    )
    assert set(each["head"]) == {RESIDUAL, 0, 1, 2, 3}


def test_fewer_edges_of_an_answer_are_what_a_higher_threshold_gives():
    maps = projected(12)
    low, high = paths(maps, threshold=0.001, heads="each"), paths(maps, threshold=0.02, heads="each")
    fewer = low.above(0.02)
    assert torch.equal(fewer.edges, high.edges)
    assert fewer.carried == pytest.approx(high.carried)
    assert high.carried < low.carried < 1
    with pytest.raises(ValueError, match=r"threshold=0.01; these paths begin at 0.02"):
        high.above(0.01)


def test_too_many_edges_are_counted_and_the_heaviest_kept():
    maps = projected(30, causal=False)
    whole, few = paths(maps, threshold=0), paths(maps, threshold=0, most=40)
    assert len(few.shares) == 40
    assert few.left_out == len(whole.shares) - 40
    torch.testing.assert_close(few.shares.sort().values, whole.shares.sort().values[-40:])
    assert few.above(float(few.shares.max())).left_out == 0


def test_a_token_that_sees_nothing_stays_what_it_is():
    a = matrices(2, 2, 3, 3)
    a[1, :, 2] = 0
    seen = torch.ones(2, 1, 3, 3, dtype=torch.bool)
    seen[1, :, 2] = False
    for heads in ("mean", "each"):
        found = paths(a, 2, threshold=0, heads=heads, mask=seen)
        top = found.edges[found.edges[:, 0] == 1]
        assert top.tolist() == [[1, 2, 2, RESIDUAL]]
        assert found.carried == pytest.approx(1, abs=1e-6)


def test_below_a_row_of_nan_nothing_is_known():
    a = matrices(3, 2, 4, 4)
    a[1, 0, 2] = math.nan
    with pytest.warns(aw.AttentionWarning, match="NaN"):
        found = paths(a, 0, threshold=0)
    assert set(found.edges[:, 0].tolist()) == {2}
    assert math.isnan(found.carried)
    assert found.nodes[2].isfinite().all()
    assert found.nodes[:2].isnan().all()


@pytest.mark.parametrize(
    ("given", "options", "words"),
    [
        (matrices(2, 2, 3, 5), {}, "3 queries x 5 keys; flow needs square self-attention"),
        (matrices(2, 4, 2, 3, 3), {}, r"a batch of \(4,\); paths are those of one example"),
        (matrices(2, 2, 3, 3), {"query": 3}, "query names token 3; there are tokens 0 to 2"),
        (matrices(2, 2, 3, 3), {"threshold": 2}, "threshold=2; expected a number from 0 to 1"),
        (matrices(2, 2, 3, 3), {"heads": "all"}, "heads='all' is not known; expected 'mean' or 'each'"),
        (matrices(2, 2, 3, 3), {"most": 0}, "most=0; expected 1 or more edges"),
        (matrices(2, 2, 3, 3), {"residual": 1}, "residual=1; expected a share from 0 to below 1"),
    ],
)
def test_what_cannot_be_followed_is_refused(given, options, words):
    with pytest.raises(ValueError, match=words):
        paths(given, **options)
