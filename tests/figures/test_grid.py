"""All heads as small pictures."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from matplotlib.figure import Figure

import attnwidget as aw
from attnwidget.layers import Mask, ProjectedLayer
from tests.figures.test_heatmap import labels, texts
from tests.make import projected


def test_every_head_stands_in_its_layer_and_column():
    maps = projected(layers=3, heads=4)
    drawn = aw.figure(maps)
    axes, _bar = drawn.axes
    assert len(axes.images) == 12
    for image in axes.images:
        left, right, bottom, top = image.get_extent()
        layer, head = round((bottom + top) / 2), round((left + right) / 2)
        np.testing.assert_allclose(image.get_array(), maps.weights(layer, head), atol=1e-6)
    assert (labels(axes.yaxis), labels(axes.xaxis)) == (["0", "1", "2"], ["0", "1", "2", "3"])
    assert len({image.norm.vmax for image in axes.images}) == 1


def test_numbers_are_those_of_the_model_and_layers_may_have_fewer_heads():
    layers = [
        ProjectedLayer(torch.randn(heads, 5, 2), torch.randn(heads, 5, 2), 1.0, Mask(causal=True)) for heads in (2, 3)
    ]
    maps = aw.AttentionMaps(layers, list("abcde"), layer_numbers=[4, 8])
    drawn = aw.figure(maps)
    assert len(drawn.axes[0].images) == 5
    assert labels(drawn.axes[0].yaxis) == ["4", "8"]
    assert labels(drawn.axes[0].xaxis) == ["0", "1", "2"]


def test_other_heads_in_each_layer_are_counted():
    maps = aw.AttentionMaps(projected(layers=2, heads=2).layers, ["t"] * 14, head_numbers=[[1, 4], [0, 5]])
    axes = aw.figure(maps).axes[0]
    assert axes.get_xlabel() == "head, counted among those kept"


class Watched(ProjectedLayer):
    """A layer that remembers how many scores were asked of it at once."""

    asked: ClassVar[list[int]] = []

    def scores(self, heads, rows, keys=None):
        found = super().scores(heads, rows, keys)
        self.asked.append(found.numel())
        return found


def test_heads_of_1024_tokens_are_never_held_together():
    layers = [Watched(torch.randn(12, 1024, 4), torch.randn(12, 1024, 4), 1.0, Mask(causal=True)) for _ in range(3)]
    drawn = aw.figure(aw.AttentionMaps(layers, list(map(str, range(1024)))))
    assert {image.get_array().shape for image in drawn.axes[0].images} == {(64, 64)}
    assert len(drawn.axes[0].images) == 36
    assert max(Watched.asked) <= 1024 * 1024  # one head of the 36
    assert "Each cell: the largest weight of 16 x 16." in texts(drawn)


def test_draws_into_axes_of_ones_own():
    axes = Figure().subplots()
    assert aw.figure(projected(), ax=axes, vmax="each") is axes
    assert len(axes.images) == 12
    assert axes.get_title() == "3 layers, 12 heads"
