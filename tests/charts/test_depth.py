"""A measure along depth."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.layers import DenseLayer
from tests.make import matrices, projected


@pytest.fixture
def view():
    explorer = aw.Explorer(projected(), layer=1, head=2)
    yield explorer
    explorer.close()


def numbers(maps, measure):
    table = aw.summarize(maps, progress=False)[measure]
    return table.to_numpy().reshape(maps.n_layers, -1)


@pytest.mark.parametrize("measure", ["entropy", "locality", "induction"])
def test_the_lines_are_the_numbers_of_summarize(measure):
    maps = projected()
    chart = aw.charts.depth(maps, measure=measure)
    expected = numbers(maps, measure)
    np.testing.assert_allclose(chart.mean.y, np.nanmean(expected, 1), rtol=1e-5)
    np.testing.assert_allclose(chart.band.y, [np.nanmin(expected, 1), np.nanmax(expected, 1)], rtol=1e-5)
    assert not chart.own.visible
    chart.close()


def test_axes_have_their_units_and_the_band_says_what_it_is():
    chart = aw.charts.depth(projected())
    assert chart.up.label == "Entropy (nats)"
    assert chart.across.label == "layer · band: lowest to highest head"
    assert chart.title == "Entropy along depth"


def test_the_line_of_the_chosen_head_follows_the_explorer(view):
    chart = aw.charts.depth(view)
    expected = numbers(view.maps, "entropy")
    np.testing.assert_allclose(chart.own.y, expected[:, 2], rtol=1e-5)
    view.layer, view.head = 2, 0
    np.testing.assert_allclose(chart.own.y, expected[:, 0], rtol=1e-5)
    np.testing.assert_allclose(chart.chosen.y, expected[2, :1], rtol=1e-5)
    assert chart.layers.selected.tolist() == [2]
    assert chart.names.text.tolist() == ["mean", "head 0"]
    view.map = "mean of heads"
    assert not chart.own.visible
    assert chart.layers.selected.tolist() == [2]


def test_a_click_on_a_layer_goes_there_and_pressing_it_again_changes_nothing(view):
    chart = aw.charts.depth(view)
    chart.layers.selected = np.array([2])
    assert (view.layer, view.head) == (2, 2)
    chart.layers.selected = None
    assert chart.layers.selected.tolist() == [2]
    view.map = "flow"  # one layer for all
    assert chart.layers.selected is None
    chart.layers.selected = np.array([0])
    assert (view.map, view.layer) == ("attention", 0)


def test_another_measure_and_those_of_ones_own(view):
    view.show(projected(), measures={"mine": np.arange(12.0).reshape(3, 4)})
    chart = aw.charts.depth(view, measure="mine")
    assert chart.mean.y.tolist() == [1.5, 5.5, 9.5]
    chart.measure = "distance"
    assert chart.up.label == "Distance (tokens)"
    with pytest.raises(ValueError, match=r"'distnace' does not exist; there are mine, entropy"):
        chart.measure = "distnace"
    assert chart.measure == "distance"
    chart.measure = "mine"
    view.show(projected())
    assert chart.measure == "entropy"


def test_other_maps_are_drawn_anew_and_nothing_is_measured_twice(view, monkeypatch):
    chart = aw.charts.depth(view)
    view.show(projected(20, layers=2, heads=2))
    np.testing.assert_allclose(chart.mean.y, numbers(view.maps, "entropy").mean(1), rtol=1e-5)
    monkeypatch.setattr("attnwidget.widget.answers.measuring.head_measures", None)
    view.selected = [[0, 0], [1, 1]]
    chart.measure = "locality"
    aw.charts.depth(view)


def test_layers_have_their_numbers_and_fewer_heads_no_points():
    layers = [DenseLayer(matrices(4, 6, 6)), DenseLayer(matrices(2, 6, 6, seed=1))]
    maps = aw.AttentionMaps(layers, list("abcdef"), layer_numbers=[3, 7])
    chart = aw.charts.depth(maps)
    assert chart.mean.x.tolist() == [3, 7]
    expected = aw.measures.entropy(maps)[1, :2]
    np.testing.assert_allclose(chart.mean.y[1], expected.mean(), rtol=1e-5)


def test_one_layer_and_one_head():
    chart = aw.charts.depth(projected(layers=1, heads=1, key_value_heads=1))
    assert np.isfinite(chart.mean.y).all()
    assert chart.band.y.shape == (2, 2)
    assert chart.across.label == "layer"


def test_a_measure_that_these_maps_do_not_have_is_said():
    cross = aw.AttentionMaps.from_arrays(matrices(2, 4, 3, 5), layout="LHQK")
    chart = aw.charts.depth(cross, measure="locality")
    assert chart.title == "Locality does not exist for these maps"
    assert not chart.mean.visible


def test_long_maps_are_read_in_part_and_the_chart_says_so():
    chart = aw.charts.depth(projected(3000, layers=1, heads=8, key_value_heads=8))
    assert "from 349 of 3,000 rows" in chart.across.label


@pytest.mark.parametrize(
    ("what", "error", "words"),
    [
        (3, TypeError, "came is int; expected an Explorer, AttentionMaps"),
        (torch.rand(2, 2, 3, 3), TypeError, r"from_arrays\(weights"),
        ({"a": projected(), "b": projected()}, ValueError, "2 kinds of maps: a, b"),
    ],
)
def test_what_has_no_heads_is_refused(what, error, words):
    with pytest.raises(error, match=words):
        aw.charts.depth(what)


def test_a_closed_explorer_and_a_measure_that_is_none_are_refused(view):
    with pytest.raises(ValueError, match="measure 'entropie' does not exist"):
        aw.charts.depth(view, measure="entropie")
    view.close()
    with pytest.raises(ValueError, match="is closed"):
        aw.charts.depth(view)
