"""What one query gives, before and after a temperature."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import attnwidget as aw
from tests.figures.test_heatmap import labels, texts
from tests.make import WORDS, by_hand, projected


def heights(axes):
    return [[bar.get_height() for bar in bars] for bars in axes.containers]


def test_bars_stand_for_the_keys_that_the_query_sees():
    maps = projected()
    drawn = aw.figure(maps, layer=1, head=2, query=5)
    (axes,) = drawn.axes
    (bars,) = heights(axes)
    np.testing.assert_allclose(bars, maps.weights(1, 2)[5, :6], atol=1e-6)
    assert labels(axes.xaxis) == WORDS[:6]
    assert "query “to” at 5" in texts(drawn)
    assert "8 keys that it may not see are left out." in texts(drawn)


def test_a_temperature_shows_before_and_after():
    maps = projected()
    drawn = aw.figure(maps, layer=1, head=2, query=-1, temperature=0.5)
    before, after = heights(drawn.axes[0])
    np.testing.assert_allclose(before, maps.weights(1, 2)[-1], atol=1e-6)
    np.testing.assert_allclose(after, by_hand(maps, 1, 2, 2.0)[-1], atol=1e-5)
    legend = [text.get_text() for text in drawn.axes[0].get_legend().get_texts()]
    assert legend == ["before", "temperature 0.5"]


def test_what_goes_to_a_sink_is_stated():
    maps = projected(sinks=torch.full((4,), 3.0))
    outside = [1 - by_hand(maps, 0, 0, factor)[-1].sum() for factor in (1.0, 2.0)]
    drawn = aw.figure(maps, layer=0, head=0, query=-1, temperature=0.5)
    assert f"Outside the map: {outside[0]:.3g} before and {outside[1]:.3g} after." in texts(drawn)


def test_a_long_row_is_pooled_by_its_largest():
    maps = projected(1000, layers=1)
    drawn = aw.figure(maps, layer=0, head=0, query=-1)
    (bars,) = heights(drawn.axes[0])
    assert len(bars) == 200
    assert bars[7] == pytest.approx(float(maps.weights(0, 0)[-1, 35:40].max()), rel=1e-4)
    assert "Each bar: the largest weight of 5 keys." in texts(drawn)


def test_a_row_that_sees_nothing_says_so():
    mask = torch.ones(4, 4, dtype=torch.bool)
    mask[2] = False
    maps = aw.AttentionMaps.from_queries_keys([torch.ones(1, 4, 2)], [torch.ones(1, 4, 2)], mask=mask)
    drawn = aw.figure(maps, query=2)
    drawn.canvas.draw()
    assert "This row has no values." in texts(drawn)


def test_draws_into_axes_of_ones_own():
    axes = Figure().subplots()
    assert aw.figure(projected(), layer=0, head=0, query=3, ax=axes) is axes
    assert len(axes.patches) == 4
    assert "left out" in axes.get_xlabel()


def test_several_queries_are_their_mean():
    maps = projected()
    drawn = aw.figure(maps, layer=1, head=2, query=[3, -1])
    (bars,) = heights(drawn.axes[0])
    np.testing.assert_allclose(bars, maps.weights(1, 2)[[3, 13]].mean(0), atol=1e-6)
    assert "mean of queries 3, 13" in texts(drawn)


def test_words_pinned_together_in_a_view_are_their_mean():
    maps = projected()
    view = aw.Explorer(maps, view="text", layer=1, query=3, also=[7, 9])
    (bars,) = heights(aw.figure(view).axes[0])
    np.testing.assert_allclose(bars, maps.weights(1, 0)[[3, 7, 9], :10].mean(0), atol=1e-6)
