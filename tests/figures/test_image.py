"""The weights of one query over the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import attnwidget as aw
from tests.figures.test_heatmap import texts
from tests.make import projected


def pictured(picture=True, causal=False):
    pixels = torch.arange(60 * 40 * 3).remainder(251).to(torch.uint8).view(60, 40, 3)
    tokens = aw.Tokens.from_labels(["[CLS]", *map(str, range(6))])
    tokens = tokens.with_image(aw.ImageGrid(1, 3, 2, pixels if picture else None))
    return aw.AttentionMaps(projected(7, causal=causal).layers, tokens), pixels


def test_lays_the_weights_over_the_picture_the_stronger_the_larger():
    maps, pixels = pictured()
    drawn = aw.figure(maps, layer=0, head=1, query=0)
    axes, _bar = drawn.axes
    under, over = axes.images
    assert np.array_equal(under.get_array(), pixels)
    row = maps.weights(0, 1)[0]
    np.testing.assert_allclose(over.get_array(), row[1:].view(3, 2), atol=1e-6)
    assert under.get_extent() == over.get_extent()
    strength = over.to_rgba(over.get_array())[..., 3]
    assert np.array_equal(strength.ravel().argsort(), row[1:].numpy().argsort())
    assert f"{row[1:].sum():.3g} of the weight on the patches, {row[0]:.3g} on other tokens." in texts(drawn)
    width, height = (axes.get_window_extent().width, axes.get_window_extent().height)
    assert height / width == pytest.approx(1.5, rel=0.01)


def test_the_query_is_framed_where_it_is_a_patch():
    maps, _ = pictured()
    assert len(aw.figure(maps, layer=0, head=1, query=0).axes[0].patches) == 0
    (frame,) = aw.figure(maps, layer=0, head=1, query=4).axes[0].patches
    assert (frame.get_x(), frame.get_y()) == (0.5, 0.5)  # patch 3: row 1, column 1


def test_masked_patches_are_hatched():
    maps, _ = pictured(causal=True)
    drawn = aw.figure(maps, layer=0, head=0, query=2)
    (hatched,) = drawn.axes[0].collections
    assert hatched.get_hatch()
    assert len(hatched.get_paths()) == 4
    assert "Hatched" in texts(drawn)


def test_a_grid_without_a_picture_shows_its_weights():
    maps, _ = pictured(picture=False)
    axes, _bar = aw.figure(maps, layer=0, head=0, query=1, temperature=2.0).axes
    (image,) = axes.images
    np.testing.assert_allclose(image.get_array(), maps.weights(0, 0, temperature=2.0)[1, 1:].view(3, 2), atol=1e-6)


def test_several_pictures_stand_side_by_side():
    red, blue = (torch.full((4, 8, 3), value, dtype=torch.uint8) for value in (200, 50))
    images = aw.ImageGrid(1, 1, 2, red, "picture 1"), aw.ImageGrid.at((5, -1, 3, 4), 2, 2, blue, "picture 2")
    maps = aw.AttentionMaps(projected(7, causal=False).layers, aw.Tokens.positions(7).with_image(*images))
    drawn = aw.figure(maps, layer=0, head=1, query=5)
    first, second, _bar = drawn.axes
    row = maps.weights(0, 1)[5]
    np.testing.assert_allclose(first.images[1].get_array(), row[1:3].view(1, 2), atol=1e-6)
    over = second.images[1].get_array()
    np.testing.assert_allclose(over.filled(0), [[row[5], 0], [row[3], row[4]]], atol=1e-6)
    assert over.mask.tolist() == [[False, True], [False, False]]
    assert (len(first.patches), len(second.patches)) == (0, 1)  # the query is a patch of the second
    assert [len(axes.collections[0].get_paths()) for axes in (first, second)] == [0, 0]
    assert f"picture 1 · {row[1:3].sum():.3g}" in texts(drawn)
    with pytest.raises(ValueError, match="ax= takes one picture, and these keys are patches of 2"):
        aw.figure(maps, layer=0, head=1, query=5, ax=Figure().subplots())


def test_keys_that_are_no_patches_have_no_picture():
    with pytest.raises(ValueError, match="kind='image' needs keys that are the patches"):
        aw.figure(projected(), kind="image", layer=0, head=0, query=0)


def test_draws_into_axes_of_ones_own():
    axes = Figure().subplots()
    assert aw.figure(pictured()[0], layer=0, head=0, query=0, ax=axes) is axes
    assert len(axes.images) == 2
