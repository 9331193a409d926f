"""The flow on paper: as wide as its shares, with what it carries below."""

from __future__ import annotations

import numpy as np
import pytest

import attnwidget as aw
from attnwidget.measures.paths import paths
from tests.figures.test_heatmap import labels, texts
from tests.make import projected


def test_lines_are_the_edges_and_dots_the_tokens_that_it_goes_through():
    maps = projected()
    found = paths(maps, 9, threshold=0.03)
    drawn = aw.figure(maps, kind="flow", query=9, threshold=0.03)
    (axes,) = drawn.axes
    lines, dots = axes.collections
    assert len(lines.get_segments()) == len(found.shares)
    assert max(lines.get_linewidths()) == pytest.approx(7 * float(found.shares.max()))
    touched = {
        (int(layer) + up, int(token)) for layer, *ends, _ in found.edges for up, token in zip((1, 0), ends, strict=True)
    }
    assert {(int(y), int(x)) for x, y in dots.get_offsets()} == touched
    assert labels(axes.yaxis) == ["input", "after layer 0", "after layer 1", "after layer 2"]
    said = " ".join(texts(drawn).split())
    assert f"Their paths carry {found.carried:.3g} of what reaches the first layer." in said
    assert "query “Lily” at 9" in said


def test_edges_of_single_heads_are_one_line_where_they_join_the_same_tokens():
    maps = projected()
    found = paths(maps, 9, threshold=0.005, heads="each")
    (axes,) = aw.figure(maps, kind="flow", query=9, threshold=0.005, head="each").axes
    segments = axes.collections[0].get_segments()
    assert len(segments) == len(np.unique(found.edges[:, :3].numpy(), axis=0)) < len(found.shares)


def test_a_long_text_has_columns_where_it_is_touched():
    drawn = aw.figure(projected(300), kind="flow", query=-1)
    assert "Of 300 tokens the" in texts(drawn)
    assert drawn.axes[0].get_xlim()[1] < 100


def test_a_view_is_drawn_as_it_stands():
    maps = projected()
    view = aw.Explorer(maps, view="flow", flow_threshold=0.04, temperature=0.5)
    (axes,) = aw.figure(view).axes
    assert len(axes.collections[0].get_segments()) == len(paths(maps, threshold=0.04).shares)
    view.map = "rollout"
    assert view.figure_kind == "head"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, r"kind='flow' needs query="),
        ({"query": 1, "head": 2}, "takes head='mean' or 'each'"),
        ({"query": 1, "temperature": 2}, "no temperature"),
        ({"query": 1, "head": "all"}, "expected a number or 'mean' or 'each'"),
        ({"query": 1, "layer": 0}, "has no use for layer="),
    ],
)
def test_what_does_not_fit_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        aw.figure(projected(), kind="flow", **options)
