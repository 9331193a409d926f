"""The heads of a layer, and one head through the layers, side by side."""

from __future__ import annotations

import numpy as np
import pytest

import attnwidget as aw
from tests.figures.test_heatmap import labels, texts
from tests.make import WORDS, projected


def test_a_layer_has_a_map_for_each_of_its_heads_on_one_scale():
    maps = projected(heads=6, key_value_heads=3)
    drawn = aw.figure(maps, layer=2)
    *panels, bar = drawn.axes
    assert len(panels) == 6
    for head, axes in enumerate(panels):
        np.testing.assert_allclose(axes.images[0].get_array(), maps.weights(2, head), atol=1e-6)
    assert len({axes.images[0].norm.vmax for axes in panels}) == 1
    assert bar.get_ylabel() == "weight"
    assert all(f"head {head}" in texts(drawn) for head in range(6))


def test_each_map_may_have_a_scale_of_its_own():
    drawn = aw.figure(projected(), layer=2, vmax="each")
    assert len(drawn.axes) == 4  # without a colour bar, which would be of one of them
    assert len({axes.images[0].norm.vmax for axes in drawn.axes}) == 4


def test_one_head_goes_through_the_layers():
    maps = projected(layers=5)
    *panels, _bar = aw.figure(maps, head=3).axes
    assert len(panels) == 5
    np.testing.assert_allclose(panels[4].images[0].get_array(), maps.weights(4, 3), atol=1e-6)
    mean = aw.figure(maps, head="mean")
    assert "mean of heads" in texts(mean)
    assert len(mean.axes) == 6


def test_labels_stand_at_the_edges_only():
    *panels, _bar = aw.figure(projected(heads=6, key_value_heads=6), layer=0).axes
    assert [labels(axes.yaxis) == WORDS for axes in panels] == [True, False, False] * 2
    assert [labels(axes.xaxis) == WORDS for axes in panels] == [False] * 3 + [True] * 3


def test_long_texts_are_counted():
    drawn = aw.figure(projected(200), layer=0)
    assert drawn.axes[0].images[0].get_array().shape == (100, 100)
    assert labels(drawn.axes[0].xaxis) == ["0", "100"]


@pytest.mark.parametrize("options", [{"layer": 0}, {"head": 0}])
def test_several_maps_do_not_fit_one_axes(options):
    axes = aw.figure(projected(), layer=0, head=0).axes[0]
    with pytest.raises(ValueError, match="ax= takes one picture"):
        aw.figure(projected(), ax=axes, **options)
