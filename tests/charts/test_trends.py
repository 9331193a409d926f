"""A measure over the steps of a Timeline."""

from __future__ import annotations

import numpy as np
import pytest

import attnwidget as aw
from attnwidget.training.history import History, Reading
from tests.make import projected


@pytest.fixture
def view():
    timeline = aw.Timeline([projected(seed=seed) for seed in range(4)], steps=[0, 10, 20, 30], progress=False)
    timeline.layer, timeline.head, timeline.measure = 1, 2, "entropy"
    yield timeline
    timeline.close()


def curve(view, measure, layer, head):
    return view.runs[""].numbers("attention", measure, 0)[:, layer, head]


def test_the_chosen_head_stands_out_and_follows(view):
    chart = aw.charts.trends(view)
    np.testing.assert_allclose(chart.chosen[0].y, curve(view, "entropy", 1, 2))
    np.testing.assert_allclose(chart.chosen[0].x, [0, 10, 20, 30])
    assert np.shape(chart.others.y) == (11, 4)
    assert chart.up.label == "Entropy (nats)"
    view.head = 0
    np.testing.assert_allclose(chart.chosen[0].y, curve(view, "entropy", 1, 0))
    view.measure = "previous"
    np.testing.assert_allclose(chart.chosen[0].y, curve(view, "previous", 1, 0))


def test_a_measure_of_its_own_stays(view):
    chart = aw.charts.trends(view, measure="sink")
    view.measure = "previous"
    np.testing.assert_allclose(chart.chosen[0].y, curve(view, "sink", 1, 2))
    chart.measure = "confidence"
    np.testing.assert_allclose(chart.chosen[0].y, curve(view, "confidence", 1, 2))


def test_a_click_goes_to_a_step_and_the_step_is_marked(view):
    chart = aw.charts.trends(view)
    assert list(chart.cursor.x) == [30, 30]
    chart.selector.selected = np.array([11.2])
    assert view.step == 10
    assert list(chart.cursor.x) == [10, 10]


def test_follows_what_comes():
    draw = np.random.default_rng(0)
    numbers = [{"attention": {"entropy": draw.random((2, 3))}} for _ in range(3)]
    history = History([Reading(0, numbers[0])])
    view = aw.Timeline(history)
    chart = aw.charts.trends(view)
    history.add(Reading(5, numbers[1]))
    view.asked({"op": "readings", "run": 0, "after": 1})
    assert list(chart.chosen[0].x) == [0, 5]
    assert list(chart.cursor.x) == [5, 5]


def test_several_runs_are_a_line_each():
    runs = {name: [projected(seed=seed) for seed in range(count)] for name, count in (("a", 3), ("b", 2))}
    chart = aw.charts.trends(aw.Timeline(runs, progress=False, measure="entropy"))
    assert [len(one.y) for one in chart.chosen] == [3, 2]
    assert [one.labels[0] for one in chart.chosen] == ["a", "b"]
    assert not chart.others.visible


def test_what_does_not_fit_is_refused(view):
    with pytest.raises(TypeError, match="expected a Timeline"):
        aw.charts.trends(projected())
    with pytest.raises(ValueError, match="'wisdom' was not read"):
        aw.charts.trends(view, measure="wisdom")
    chart = aw.charts.trends(view)
    view.close()
    assert chart.comm is None
    with pytest.raises(ValueError, match="is closed"):
        aw.charts.trends(view)
