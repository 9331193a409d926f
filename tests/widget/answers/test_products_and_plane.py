"""What the browser is told of the vectors behind a score, and of their places in a plane."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.widget.answers.plane import planes
from attnwidget.widget.answers.products import products
from attnwidget.widget.answers.projections import projections
from tests.make import matrices, projected
from tests.measures.test_products import turned


def read(answer, *shape, at=0, dtype="<f4"):
    return np.frombuffer(answer.buffers[at], dtype).reshape(shape)


def test_one_cell_and_a_whole_head_are_the_same_vectors():
    maps = projected(heads=4, key_value_heads=2)
    layer = maps.layers[1]
    one, whole = products(maps, 1, 3, 9, 4), products(maps, 1, 3)
    assert one.header == {"queries": 1, "keys": 1, "width": 8, "rotary": None}
    np.testing.assert_array_equal(read(one, 8), layer.q[3, 9])
    np.testing.assert_array_equal(read(whole, 14, 8, at=1), layer.k[1])
    np.testing.assert_array_equal(read(whole, 14, 8)[9], read(one, 8))


def test_angles_go_with_them_and_with_the_whole_layer():
    maps, *_ = turned("neighbours", 6)
    rotary = maps.layers[0].rotary
    told = {"pairing": "neighbours", "start": 6, "pairs": 3}
    one = products(maps, 0, 0, 7, 2)
    assert one.header["rotary"] == told
    np.testing.assert_array_equal(read(one, 3, at=2), rotary.queries[7])
    np.testing.assert_array_equal(read(one, 3, at=3), rotary.keys[2])
    layer = projections(maps, 0)
    if layer.header["form"] == "projections":
        assert layer.header["rotary"] == told
    wide = projections(_longer(maps), 0)
    assert wide.header["rotary"] == told
    assert wide.header["buffers"] == ["q", "k", "query_angles"]  # keys are turned as the queries of their places


def _longer(maps):
    """So many tokens that vectors are smaller than codes."""
    from dataclasses import replace

    layer = maps.layers[0]
    many = 20
    rotary = replace(layer.rotary, queries=layer.rotary.queries.repeat(many, 1), keys=layer.rotary.keys.repeat(many, 1))
    longer = replace(layer, q=layer.q.repeat(1, many, 1), k=layer.k.repeat(1, many, 1), rotary=rotary)
    return aw.AttentionMaps([longer], aw.Tokens.positions(longer.shape[1]))


def test_what_cannot_be_answered_is_said():
    with pytest.raises(IndexError, match="query 14 does not exist"):
        products(projected(), 0, 0, 14, 0)
    with pytest.raises(ValueError, match="name both, or neither"):
        products(projected(), 0, 0, 3)
    with pytest.raises(ValueError, match="held as weights"):
        products(aw.AttentionMaps.from_arrays([matrices(2, 5, 5)]), 0, 0, 1, 1)
    with pytest.raises(ValueError, match="too long for all vectors"):
        products(projected(1100, layers=1, heads=1, key_value_heads=1), 0, 0)


def test_all_heads_of_a_layer_stand_where_each_alone_does():
    maps = projected()
    whole = planes(maps, 2)
    assert (whole.header["first"], whole.header["heads"], whole.header["queries"]) == (0, 4, 14)
    points, correlations = read(whole, 4, 14, 2), read(whole, 4, at=2)
    for head in range(4):
        alone = aw.measures.plane(maps, 2, head)
        np.testing.assert_array_equal(points[head], alone.queries)
        assert correlations[head] == np.float32(alone.correlation)
    one = planes(maps, 2, 3)
    np.testing.assert_array_equal(read(one, 1, 14, 2, at=1)[0], read(whole, 4, 14, 2, at=1)[3])


def test_a_long_map_has_an_even_spread_of_points():
    torch.manual_seed(0)
    answer = planes(projected(3000, layers=1, heads=2, key_value_heads=1), 0, 1)
    places = read(answer, answer.header["queries"], at=3, dtype="<i4")
    assert (len(places), places[0], places[-1]) == (2048, 0, 2999)
    assert np.ptp(np.diff(places)) <= 1
    assert sum(map(len, answer.buffers)) < 4 << 20
