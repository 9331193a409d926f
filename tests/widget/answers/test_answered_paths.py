"""The flow that the browser draws is what Python measures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from attnwidget import AttentionMaps, AttentionWarning
from attnwidget.measures.paths import paths as measured
from attnwidget.widget.answers.paths import MOST_EDGES, paths
from tests.make import matrices, projected


def opened(answer):
    """Edges, shares, weights and the shares of nodes by (layers below, token), as the browser reads them."""
    edges = np.frombuffer(answer.buffers[0], "<i4").reshape(-1, 4)
    shares, weights = np.frombuffer(answer.buffers[1], "<f4").reshape(2, -1)
    nodes = np.frombuffer(answer.buffers[2], "<i4").reshape(-1, 2)
    return edges, shares, weights, dict(zip(map(tuple, nodes), np.frombuffer(answer.buffers[3], "<f4"), strict=True))


@pytest.mark.parametrize("heads", ["mean", "each"])
def test_edges_and_nodes_are_those_of_the_measure(heads):
    maps = projected()
    answer = paths(maps, 9, heads, threshold=0.01)
    edges, shares, weights, nodes = opened(answer)
    found = measured(maps, 9, threshold=0.01, heads=heads)
    np.testing.assert_array_equal(edges, found.edges)
    np.testing.assert_allclose(shares, found.shares, atol=1e-7)
    np.testing.assert_allclose(weights, found.weights, atol=1e-7)
    assert nodes[3, 9] == 1
    for (layer, token), share in nodes.items():
        assert share == pytest.approx(float(found.nodes[layer, token]), abs=1e-7)
    assert {(int(layer) + 1, int(above)) for layer, above, _, _ in edges} <= nodes.keys()
    assert {(int(layer), int(below)) for layer, _, below, _ in edges} <= nodes.keys()
    assert (answer.header["left_out"], answer.header["known"]) == (0, 0)


def test_an_answer_is_bounded_and_says_what_it_leaves_out():
    maps = projected(120, layers=4, causal=False)
    answer = paths(maps, 5, threshold=0)
    assert len(opened(answer)[0]) == MOST_EDGES
    assert answer.header["left_out"] == 120 + 3 * 120 * 120 - MOST_EDGES
    assert sum(map(len, answer.buffers)) < 200_000


def test_where_a_row_is_nan_the_flow_ends():
    a = matrices(3, 2, 4, 4)
    a[1, 0, 2] = math.nan
    with pytest.warns(AttentionWarning, match="NaN"):
        maps = AttentionMaps.from_arrays(a, layout="LHQK")
    with pytest.warns(AttentionWarning, match="NaN"):
        answer = paths(maps, 0)
    assert answer.header["known"] == 2
    assert set(opened(answer)[0][:, 0]) == {2}


@pytest.mark.parametrize(
    ("maps", "query", "words"),
    [
        (projected(), 14, "query 14 was asked for; they go from 0 to 13"),
        (
            AttentionMaps.from_arrays(torch.full((2, 1, 2, 3), 1 / 3), layout="LHQK"),
            0,
            "2 queries x 3 keys",
        ),
        (projected(12_000, layers=2), 11_999, r"1\.2 billion weights would be read.*paths\(maps, 11999\)"),
    ],
)
def test_what_cannot_be_followed_is_a_sentence(maps, query, words):
    with pytest.raises(ValueError, match=words):
        paths(maps, query)
