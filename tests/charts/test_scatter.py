"""One measure against another, a dot for every head."""

from __future__ import annotations

import numpy as np
import pytest

import attnwidget as aw
from tests.make import matrices, projected

MEAN = "mean of chosen heads"


@pytest.fixture
def view():
    explorer = aw.Explorer(projected(), layer=1, head=2)
    yield explorer
    explorer.close()


def drag(chart, dots):
    """What a browser sends of a drag over some dots: the dots as they are covered, then where the brush ended."""
    chart.brush.set_state({"brushing": True})
    chart.dots.selected = np.array(dots[:1])
    chart.dots.selected = np.array(dots)
    x, y = chart.dots.x[dots], chart.dots.y[dots]
    chart.brush.set_state(
        {"brushing": False, "selected_x": [x.min(), x.max()], "selected_y": [y.min(), y.max()]} if dots else
        {"brushing": False, "selected_x": None, "selected_y": None}
    )  # fmt: skip


def test_there_is_a_dot_for_every_head_at_its_numbers(view):
    chart = aw.charts.scatter(view)
    table = aw.summarize(view.maps, progress=False)
    np.testing.assert_allclose(chart.dots.x, table["locality"], rtol=1e-5)
    np.testing.assert_allclose(chart.dots.y, table["entropy"], rtol=1e-5)
    assert chart.dots.names[6] == "L1 H2"
    assert (chart.across.label, chart.up.label) == ("Locality", "Entropy (nats)")
    assert chart.title == "Entropy against locality"


def test_a_click_shows_the_head_and_the_explorers_head_is_marked(view):
    chart = aw.charts.scatter(view)
    assert chart.dots.selected.tolist() == [6]
    chart.dots.selected = np.array([11])
    assert (view.layer, view.head) == (2, 3)
    view.layer, view.head = 0, 1
    assert chart.dots.selected.tolist() == [1]
    assert chart.here.x.tolist() == [chart.dots.x[1]]
    view.map = "rollout"
    assert chart.dots.selected is None
    chart.dots.selected = np.array([4])
    assert (view.map, view.layer, view.head) == ("attention", 1, 0)


def test_a_view_is_told_once_of_a_click(view):
    chart = aw.charts.scatter(view)
    told = []
    view.observe(lambda change: told.append((change["name"], change["new"])), ["map", "layer", "head", "selected"])
    chart.dots.selected = np.array([11])
    assert told == [("layer", 2), ("head", 3)]


def test_several_dots_show_the_mean_of_their_heads(view):
    chart = aw.charts.scatter(view)
    chart.dots.selected = np.array([1, 6])
    assert view.selected == [[0, 1], [1, 2]]
    assert view.map == MEAN
    assert chart.dots.selected.tolist() == [1, 6]
    assert chart.dots.unselected_style
    chart.dots.selected = None
    assert (view.selected, view.map, view.layer, view.head) == ([], "attention", 1, 2)
    assert chart.dots.selected.tolist() == [6]
    assert not chart.dots.unselected_style


def test_a_brush_shows_the_mean_when_it_ends(view):
    chart = aw.charts.scatter(view, brushing=True)
    assert chart.interaction is chart.brush
    versions = []
    view.observe(lambda change: versions.append(change["new"]["version"]), "facts")
    order = np.argsort(chart.dots.x)[:2].tolist()
    drag(chart, order)
    assert len(versions) == 1
    assert view.map == MEAN
    inside = {tuple(head) for head in view.selected}
    assert {(dot // 4, dot % 4) for dot in order} <= inside
    drag(chart, [])
    assert (view.selected, view.map, view.layer, view.head) == ([], "attention", 1, 2)
    drag(chart, [9])
    assert (view.layer, view.head) == (2, 1)
    chart.brushing = False
    assert chart.interaction is None


def test_a_brush_that_is_made_ready_ends_no_choice(view):
    chart = aw.charts.scatter(view)
    view.selected = [[0, 0], [2, 2]]
    chart.brushing = True
    chart.dots.selected = None  # as browsers do
    assert view.selected == [[0, 0], [2, 2]]
    assert chart.dots.selected.tolist() == [0, 10]


def test_heads_chosen_elsewhere_are_marked_beside_the_one_that_is_shown(view):
    chart = aw.charts.scatter(view)
    view.selected = [[0, 0], [2, 2]]
    assert chart.dots.selected.tolist() == [0, 10]
    assert chart.here.x.tolist() == [chart.dots.x[6]]
    view.map = MEAN
    assert not len(chart.here.x)


def test_other_axes_and_other_maps(view):
    chart = aw.charts.scatter(view, x="distance")
    chart.y = "sink"
    np.testing.assert_allclose(chart.dots.y, aw.summarize(view.maps, progress=False)["sink"], rtol=1e-5)
    view.show(projected(20, layers=2, heads=2))
    assert len(chart.dots.x) == 4
    chart.dots.selected = np.array([3])
    assert (view.layer, view.head) == (1, 1)
    with pytest.raises(ValueError, match="measure 'sinc' does not exist"):
        chart.y = "sinc"


def test_cross_maps_have_no_locality_and_the_chart_says_so():
    cross = aw.AttentionMaps.from_arrays(matrices(2, 4, 3, 5), layout="LHQK")
    both = {"encoder": aw.AttentionMaps.from_arrays(matrices(2, 4, 5, 5), layout="LHQK"), "cross": cross}
    assert aw.charts.scatter(cross).title == "Locality does not exist for these maps"
    view = aw.Explorer(both)
    chart = aw.charts.scatter(view)
    assert len(chart.dots.x) == 8
    view.map = "cross"
    assert not len(chart.dots.x)
    assert chart.title == "Locality does not exist for these maps"
    chart.x = "confidence"
    assert len(chart.dots.x) == 8
    chart.dots.selected = np.array([5])
    assert (view.map, view.layer, view.head) == ("cross", 1, 1)


def test_a_chart_of_maps_alone_can_be_clicked_too():
    chart = aw.charts.scatter(projected())
    assert chart.dots.selected is None
    chart.dots.selected = np.array([2])
    assert len(chart.dots.x) == 12
