"""All charts of an Explorer together."""

from __future__ import annotations

import numpy as np
import pytest
from ipywidgets import Dropdown, ToggleButtons
from ipywidgets.widgets.widget import _instances

import attnwidget as aw
from attnwidget.charts.chart import FOLLOWED, parts_of
from tests.make import matrices, projected

OBSERVED = [*FOLLOWED, "comm"]


@pytest.fixture
def view():
    explorer = aw.Explorer(projected(), layer=1, head=2)
    yield explorer
    explorer.close()


def observers(view):
    return [len(view._trait_notifiers.get(name, {}).get("change", [])) for name in OBSERVED]


def controls(board, kind):
    return [part for part in parts_of(board) if isinstance(part, kind)]


def told(board):
    return board.children[1].value


def test_every_chart_follows_one_choice(view):
    board = aw.dashboard(view)
    board.scatter.dots.selected = np.array([11])
    assert (view.layer, view.head) == (2, 3)
    assert board.depth.layers.selected.tolist() == [2]
    assert board.similarity.here.x.tolist() == ["L2 H3"]
    board.depth.layers.selected = np.array([0])
    assert board.scatter.dots.selected.tolist() == [3]


def test_what_is_chosen_is_told_in_words(view):
    board = aw.dashboard(view)
    entropy = aw.summarize(view.maps, progress=False)["entropy"].iloc[6]
    assert 'role="status"' in told(board)
    assert f"L1 H2: entropy {entropy:.3g}" in told(board)
    view.selected = [[0, 1], [1, 2]]
    assert "2 heads together: L0 H1, L1 H2" in told(board)
    view.selected = []
    view.map = "rollout"
    assert "rollout" in told(board)


def test_the_menus_say_what_the_charts_show_and_the_other_way(view):
    board = aw.dashboard(view)
    measure, up, across = controls(board, Dropdown)
    measure.value = "sink"
    assert board.depth.title == "Sink along depth"
    board.scatter.x = "distance"
    assert across.value == "distance"
    up.value = "confidence"
    assert board.scatter.y == "confidence"
    several, whose = controls(board, ToggleButtons)
    several.value = True
    assert board.scatter.interaction is board.scatter.brush
    whose.value = "shown"
    assert board.similarity.cells.row[0] == "L1 H0"


def test_other_maps_keep_what_was_asked_and_bring_their_own_measures(view):
    board = aw.dashboard(view)
    measure = controls(board, Dropdown)[0]
    measure.value = "sink"
    view.show(projected(20, layers=2), measures={"mine": np.zeros((2, 4))})
    assert measure.value == board.depth.measure == "sink"
    assert ("mine", "mine") in measure.options
    measure.value = "mine"
    view.show(projected())
    assert measure.value == board.depth.measure == "entropy"
    assert view.map == "attention"


@pytest.mark.parametrize("what", ["dashboard", "view"])
def test_closing_leaves_nothing_behind(what):
    before = len(_instances)
    view = aw.Explorer(projected())
    watched = observers(view)
    alive = len(_instances)
    board = aw.dashboard(view)
    board.scatter.brushing = True
    assert len(_instances) > alive
    (board if what == "dashboard" else view).close()
    assert observers(view) == watched
    assert len(_instances) == (alive if what == "dashboard" else before)
    board.close()
    view.close()
    assert len(_instances) == before


@pytest.mark.parametrize("chart", ["depth", "scatter", "similarity", "span_mass"])
def test_a_chart_alone_leaves_nothing_behind_either(view, chart):
    alive, watched = len(_instances), observers(view)
    figure = getattr(aw.charts, chart)(view)
    figure.close()
    assert (len(_instances), observers(view)) == (alive, watched)
    other = aw.Explorer(projected())
    getattr(aw.charts, chart)(other)
    other.close()
    assert len(_instances) == alive


def test_spans_have_a_chart_where_there_are_any(view):
    board = aw.dashboard(view, spans=[("first", 0, 6), ("second", 6, 14)])
    assert board.span_mass.layers.selected.tolist() == [1]
    assert board.span_mass.title == "Where the layers look"
    *_, grid = board.children
    assert grid.children[3].layout.display is None
    *_, grid = aw.dashboard(view).children
    assert grid.children[3].layout.display == "none"


def test_maps_with_other_heads_are_drawn_and_what_they_lack_is_said():
    both = {
        "encoder": aw.AttentionMaps.from_arrays(matrices(2, 4, 5, 5), layout="LHQK"),
        "cross": aw.AttentionMaps.from_arrays(matrices(1, 3, 3, 5), layout="LHQK"),
    }
    view = aw.Explorer(both, layer=1, head=3)
    board = aw.dashboard(view)
    view.map = "cross"
    assert len(board.depth.mean.y) == 1
    assert board.scatter.title == "Locality does not exist for these maps"
    assert board.similarity.cells.color.shape == (3, 3)
    view.map = "encoder"
    assert len(board.scatter.dots.x) == 8


def test_what_is_no_explorer_is_refused(view):
    with pytest.raises(TypeError, match=r"view is AttentionMaps; expected an Explorer.*attnwidget\.charts"):
        aw.dashboard(projected())
    view.close()
    with pytest.raises(ValueError, match="closed"):
        aw.dashboard(view)
