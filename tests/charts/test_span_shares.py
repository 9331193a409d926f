"""Where the layers look, as shares of spans."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import attnwidget as aw
from tests.make import matrices, projected

HALVES = [("first", 0, 6), ("second", 6, 14)]


@pytest.fixture
def view():
    explorer = aw.Explorer(projected(), layer=1, head=2)
    yield explorer
    explorer.close()


def tops(chart):
    """What the areas reach, from the lowest up."""
    return chart.areas.y[::-1]


def test_the_areas_are_the_mean_mass_on_each_span():
    maps = projected()
    chart = aw.charts.span_mass(maps, spans=HALVES)
    weights = torch.stack([torch.stack([maps.weights(layer, head) for head in range(4)]) for layer in range(3)])
    first = weights[..., :6].sum(-1).mean((1, 2))
    np.testing.assert_allclose(tops(chart)[0], first, atol=1e-5)
    np.testing.assert_allclose(tops(chart)[1], 1, atol=1e-5)
    assert chart.names.text.tolist() == ["first", "second"]
    assert chart.up.label == "share of the attention"


def test_more_spans_than_colours_are_others_together():
    spans = [(f"span {number}", number, number + 1) for number in range(14)]
    chart = aw.charts.span_mass(projected(), spans=spans)
    assert len(chart.areas.y) == 8
    np.testing.assert_allclose(tops(chart)[-1], 1, atol=1e-5)


def test_it_is_linked_and_follows_other_maps(view):
    chart = aw.charts.span_mass(view, spans=HALVES)
    assert chart.layers.selected.tolist() == [1]
    chart.layers.selected = np.array([2])
    assert view.layer == 2
    view.show(projected(20, layers=2))
    assert chart.areas.y.shape == (2, 2)
    view.show(projected(5))
    assert not chart.areas.visible
    assert "5" in chart.title


def test_tokens_without_spans_and_one_span_of_one_layer():
    assert not aw.charts.span_mass(projected()).areas.visible
    chart = aw.charts.span_mass(projected(layers=1), spans=[("all", 0, 14)])
    np.testing.assert_allclose(tops(chart)[0], 1, atol=1e-5)


def test_rows_that_see_nothing_count_in_no_share():
    weights = matrices(1, 2, 4, 4)
    weights[:, :, 3] = 0
    maps = aw.AttentionMaps.from_arrays(weights, layout="LHQK")
    chart = aw.charts.span_mass(maps, spans=[("a", 0, 2), ("b", 2, 3), ("c", 3, 4)])
    expected = weights[0, :, :3, :2].sum(-1).mean()
    np.testing.assert_allclose(tops(chart)[0][0], expected, atol=1e-5)
