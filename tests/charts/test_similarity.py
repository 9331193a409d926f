"""Every head against every other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import attnwidget as aw
from tests.make import matrices, projected


@pytest.fixture
def view():
    explorer = aw.Explorer(projected(), layer=1, head=2)
    yield explorer
    explorer.close()


def press(chart, row, column):
    chart.cells._handle_custom_msgs(None, {"event": "element_click", "data": {"rowNum": row, "columnNum": column}})


def test_the_heads_of_a_layer_are_compared_as_head_similarity_does():
    maps = projected(40)
    expected = aw.measures.head_similarity(maps)
    for layer in range(3):
        chart = aw.charts.similarity(maps, layer=layer)
        np.testing.assert_allclose(chart.cells.color, expected[layer], atol=1e-6)
        assert chart.title == f"How far apart heads of layer {layer} are"


def test_all_heads_are_compared_where_they_are_few():
    maps = projected(40)
    chart = aw.charts.similarity(maps)
    together = torch.stack([maps.weights(layer, head) for layer in range(3) for head in range(4)])
    expected = aw.measures.head_similarity(together, causal=True)
    np.testing.assert_allclose(chart.cells.color, expected, atol=1e-6)
    assert chart.cells.row[5] == chart.cells.column[5] == "L1 H1"


def test_a_click_shows_the_head_of_the_row_and_the_chosen_head_is_marked(view):
    chart = aw.charts.similarity(view)
    assert chart.here.x.tolist() == ["L1 H2"]
    press(chart, 11, 0)
    assert (view.layer, view.head) == (2, 3)
    assert chart.here.y.tolist() == ["L2 H3"]
    view.selected = [[0, 0], [1, 1]]
    assert chart.here.x.tolist() == ["L0 H0", "L1 H1"]


def test_the_layer_shown_is_followed_and_compared_once(view, monkeypatch):
    chart = aw.charts.similarity(view, layer="shown")
    assert chart.cells.row.tolist() == [f"L1 H{head}" for head in range(4)]
    view.layer = 2
    assert chart.cells.row[0] == "L2 H0"
    monkeypatch.setattr("attnwidget.measures.heads.divergences", None)
    view.layer = 1
    press(chart, 0, 3)
    assert (view.layer, view.head) == (1, 0)
    assert chart.title == "How far apart heads of layer 1 are"


def test_more_heads_than_a_page_can_hold_are_compared_by_layer_and_it_is_said():
    chart = aw.charts.similarity(projected(8, layers=13, heads=12, key_value_heads=12))
    assert chart.cells.color.shape == (12, 12)
    assert chart.across.label == "all 156 are too many to be compared"


def test_long_maps_are_compared_by_some_rows_and_it_is_said():
    chart = aw.charts.similarity(projected(2000, layers=2, heads=32), layer=1)
    assert chart.across.label == "from 32 of 2,000 rows"
    assert np.isfinite(chart.cells.color).all()


def test_other_maps_are_compared_anew(view):
    chart = aw.charts.similarity(view)
    view.show(projected(20, layers=2, heads=2))
    assert chart.cells.color.shape == (4, 4)
    chart.layer = 1
    view.show(projected(20, layers=1, heads=2))
    assert chart.cells.row.tolist() == ["L0 H0", "L0 H1"]


def test_a_head_alone_and_heads_that_nothing_can_be_said_of():
    assert aw.charts.similarity(projected(layers=1, heads=1, key_value_heads=1)).title == (
        "A head alone has none to be compared with"
    )
    blind = aw.AttentionMaps.from_arrays(torch.zeros(1, 2, 4, 4), layout="LHQK")
    assert aw.charts.similarity(blind).title == "These heads have no row in common to be compared by"


@pytest.mark.parametrize("layer", [3, "first", 1.5, None])
def test_a_layer_that_is_none_is_refused(layer):
    with pytest.raises((TypeError, ValueError), match="layer"):
        aw.charts.similarity(projected(), layer=layer)


def test_weights_of_a_given_matrix():
    chart = aw.charts.similarity(aw.AttentionMaps.from_arrays(matrices(2, 4, 3, 5), layout="LHQK"), layer=-1)
    assert chart.cells.row[0] == "L1 H0"
