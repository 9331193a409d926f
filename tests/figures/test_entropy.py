"""Entropy of heads and of queries, beside the most that it can be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import attnwidget as aw
from attnwidget.measures import entropy
from attnwidget.measures.information import row_entropy
from tests.figures.test_heatmap import labels, texts
from tests.make import WORDS, by_hand, projected

MOST = np.log(np.arange(1, 15))


def test_all_heads_are_a_matrix_whose_colours_end_at_uniform_attention():
    maps = projected()
    drawn = aw.figure(maps, kind="entropy")
    axes, bar = drawn.axes
    np.testing.assert_allclose(axes.images[0].get_array(), entropy(maps).mean(-1), atol=1e-5)
    assert axes.images[0].norm.vmax == pytest.approx(MOST.mean(), rel=1e-5)
    assert (axes.get_ylabel(), axes.get_xlabel(), bar.get_ylabel()) == ("layer", "head", "entropy (nats)")
    assert len(axes.texts) == 12


def test_the_queries_of_a_head_are_a_line_below_the_most_it_can_be():
    maps = projected()
    drawn = aw.figure(maps, kind="entropy", layer=1, head=2)
    most, line = drawn.axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), entropy(maps)[1, 2], atol=1e-5)
    np.testing.assert_allclose(most.get_ydata(), MOST, atol=1e-5)
    assert labels(drawn.axes[0].xaxis) == WORDS


def test_a_temperature_changes_the_entropy():
    maps = projected()
    _, line = aw.figure(maps, kind="entropy", layer=1, head=2, temperature=3.0).axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), row_entropy(by_hand(maps, 1, 2, 1 / 3)), atol=1e-5)


@pytest.mark.parametrize(("options", "across"), [({"layer": 1}, "head"), ({"head": 2}, "layer")])
def test_the_heads_of_a_layer_and_a_head_through_the_layers_are_bars(options, across):
    maps = projected()
    drawn = aw.figure(maps, kind="entropy", **options)
    axes = drawn.axes[0]
    expected = entropy(maps).mean(-1)[options.get("layer", slice(None)), options.get("head", slice(None))]
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], expected, atol=1e-5)
    assert axes.get_xlabel() == across
    segments = axes.collections[0].get_segments()
    assert [segment[0, 1] for segment in segments] == pytest.approx([MOST.mean()] * len(expected), rel=1e-5)


def test_rows_that_see_nothing_are_left_out_and_counted():
    mask = torch.ones(4, 4, dtype=torch.bool)
    mask[2] = False
    maps = aw.AttentionMaps.from_queries_keys([torch.ones(1, 4, 2)], [torch.ones(1, 4, 2)], mask=mask)
    drawn = aw.figure(maps, kind="entropy", layer=0, head=0)
    assert np.isnan(drawn.axes[0].lines[1].get_ydata()).tolist() == [False, False, True, False]
    assert "1 query has no values." in texts(drawn)
    cells = aw.figure(maps, kind="entropy").axes[0].images[0].get_array()
    assert float(cells[0, 0]) == pytest.approx(np.log(4))


@pytest.mark.parametrize("options", [{}, {"layer": 0}, {"layer": 0, "head": 0}])
def test_draws_into_axes_of_ones_own(options):
    axes = Figure().subplots()
    assert aw.figure(projected(), kind="entropy", ax=axes, **options) is axes
    assert "entropy" in axes.get_title()
