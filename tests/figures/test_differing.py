"""One head less another, as it is printed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.figures.colours import diverging
from tests.figures.test_heatmap import texts
from tests.make import matrices, projected


def cells(drawn):
    return drawn.axes[0].images[0].get_array()


def test_another_run_is_taken_from_the_same_head():
    before, after = projected(), projected(seed=1)
    drawn = aw.figure(after, layer=1, head=2, against=before, labels=("base", "tuned"))
    np.testing.assert_allclose(cells(drawn).filled(0), after.weights(1, 2) - before.weights(1, 2), atol=1e-6)
    image = drawn.axes[0].images[0]
    assert (image.norm.vmin, image.cmap.name) == (-image.norm.vmax, "less and more")
    assert "layer 1 · head 2, tuned \N{MINUS SIGN} base" in texts(drawn)
    assert drawn.axes[1].get_ylabel() == "difference"


@pytest.mark.parametrize("scale", ["linear", "sqrt", "log"])
def test_another_head_of_the_same_maps_is_taken(scale):
    maps = projected()
    drawn = aw.figure(maps, layer=1, head=2, against=(0, 3), scale=scale, temperature=0.5)
    options = {"temperature": 0.5}
    np.testing.assert_allclose(
        cells(drawn).filled(0), maps.weights(1, 2, **options) - maps.weights(0, 3, **options), atol=1e-5
    )
    assert "layer 1 · head 2 \N{MINUS SIGN} layer 0 · head 3" in texts(drawn)
    norm = drawn.axes[0].images[0].norm
    assert float(norm(0.0)) == pytest.approx(0.5, abs=1e-6)


def test_colours_are_as_light_on_both_sides():
    rgb = diverging()(np.linspace(0, 1, 512))[:, :3]
    grey = rgb @ (0.2126, 0.7152, 0.0722)
    assert np.abs(grey - grey[::-1]).max() < 0.06
    np.testing.assert_allclose(rgb[[255, 256]], 1, atol=1e-3)  # white paper in the middle


def test_a_key_that_one_of_both_sees_is_what_that_one_gives():
    causal = aw.AttentionMaps.from_arrays(matrices(1, 4, 4, causal=True), layout="HQK", causal=True)
    whole = aw.AttentionMaps.from_arrays(matrices(1, 4, 4, seed=1), layout="HQK")
    shown = cells(aw.figure(whole, layer=0, head=0, against=causal))
    assert not np.ma.getmaskarray(shown).any()
    np.testing.assert_allclose(shown, whole.weights(0, 0) - causal.weights(0, 0), atol=1e-6)


def test_a_row_that_is_nan_in_either_has_no_difference():
    weights = matrices(1, 4, 4)
    weights[0, 2] = torch.nan
    with pytest.warns(aw.AttentionWarning):
        broken = aw.AttentionMaps.from_arrays(weights, layout="HQK")
    whole = aw.AttentionMaps.from_arrays(matrices(1, 4, 4, seed=1), layout="HQK")
    drawn = aw.figure(whole, layer=0, head=0, against=broken)
    assert np.ma.getmaskarray(cells(drawn))[2].all()
    assert "1 row has no values: NaN." in texts(drawn)


def test_two_heads_stand_side_by_side():
    before, after = projected(), projected(seed=1)
    drawn = aw.figure(after, kind="beside", layer=1, head=2, against=before, labels=("base", "tuned"))
    for axes, maps in zip(drawn.axes, (before, after), strict=False):
        np.testing.assert_allclose(axes.images[0].get_array().filled(0), maps.weights(1, 2), atol=1e-6)
    assert {axes.images[0].norm.vmax for axes in drawn.axes[:2]} == {drawn.axes[0].images[0].norm.vmax}
    assert "base" in texts(drawn)


def test_long_maps_are_compared_point_by_point_and_say_so():
    drawn = aw.figure(projected(600, layers=1), layer=0, head=0, against=projected(600, layers=1, seed=1))
    assert "the difference of the largest weights of 2 x 2" in texts(drawn)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "difference"}, "needs against="),
        ({"kind": "row", "query": 1, "against": (0, 0)}, "against= is for kind='difference' or 'beside'"),
        ({"against": projected(5)}, "stands on other tokens"),
        ({"against": (0, 9)}, "head 9 does not exist"),
        ({"against": (0, 0), "labels": ("one",)}, "expected two names"),
    ],
)
def test_what_cannot_be_compared_is_refused(options, said):
    with pytest.raises((ValueError, IndexError), match=said):
        aw.figure(projected(), layer=0, head=0, **options)
