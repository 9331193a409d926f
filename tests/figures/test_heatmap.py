"""The map of one head, as it is printed."""

from __future__ import annotations

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text

import attnwidget as aw
from attnwidget.figures.colours import colour_map, norm
from attnwidget.layers import Mask, ProjectedLayer
from tests.make import WORDS, by_hand, matrices, projected

GERMAN, ENGLISH = ["das", "Haus", "ist", "klein"], ["the", "house", "is", "small", "."]


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def texts(figure):
    return " ".join(text.get_text().replace("\n", " ") for text in figure.findobj(Text))


def test_shows_the_weights_of_the_head_with_queries_down_and_keys_across():
    maps = projected()
    drawn = aw.figure(maps, layer=1, head=2)
    axes, bar = drawn.axes
    np.testing.assert_allclose(axes.images[0].get_array(), maps.weights(1, 2), atol=1e-6)
    assert labels(axes.xaxis) == labels(axes.yaxis) == WORDS
    assert (axes.get_ylabel(), axes.get_xlabel(), bar.get_ylabel()) == ("query", "key", "weight")
    assert "layer 1 · head 2" in texts(drawn)


def test_tells_a_masked_cell_from_a_weight_of_zero():
    weights = torch.zeros(1, 3, 3)
    weights[0, :, 0] = 1
    maps = aw.AttentionMaps.from_arrays(weights, layout="HQK", causal=True)
    drawn = aw.figure(maps, layer=0, head=0)
    axes = drawn.axes[0]
    shown = axes.images[0].get_array()
    assert np.array_equal(np.ma.getmaskarray(shown), ~np.tri(3, dtype=bool))
    colours = axes.images[0].to_rgba(shown)
    assert colours[0, 1, 3] == 0  # the hatch behind is seen
    assert axes.patch.get_hatch()
    assert tuple(colours[1, 1]) == (1, 1, 1, 1)  # white paper
    assert "Hatched: keys that the query may not see." in texts(drawn)


def test_is_re_tempered_as_the_maps_are():
    maps = projected(sinks=torch.tensor([0.5, -3.0, 2.0, 0.0]))
    drawn = aw.figure(maps, layer=0, head=2, temperature=0.5, scaling=0.8)
    np.testing.assert_allclose(drawn.axes[0].images[0].get_array().filled(0), by_hand(maps, 0, 2, 1.6), atol=1e-5)
    assert "temperature 0.5, scaling 0.8" in texts(drawn)


def test_the_mean_of_heads_is_their_mean():
    maps = projected()
    mean = torch.stack([maps.weights(1, head) for head in range(4)]).mean(0)
    shown = aw.figure(maps, layer=1, head="mean").axes[0].images[0].get_array()
    np.testing.assert_allclose(shown.filled(0), mean, atol=1e-6)


def test_the_colours_end_at_the_largest_weight_of_rows_that_see_more_than_one_key():
    maps = projected()
    image = aw.figure(maps, layer=1, head=1).axes[0].images[0]
    assert image.norm.vmax == pytest.approx(float(maps.weights(1, 1)[1:].max()), rel=1e-5)
    assert aw.figure(maps, layer=1, head=1, vmax=0.3).axes[0].images[0].norm.vmax == 0.3


def test_takes_any_colormap_and_three_scales():
    maps = projected()
    assert aw.figure(maps, layer=0, head=0).axes[0].images[0].cmap.name == "ink"
    assert aw.figure(maps, layer=0, head=0, cmap="magma").axes[0].images[0].cmap.name == "magma"
    assert aw.figure(maps, layer=0, head=0, cmap=mpl.colormaps["Greys"]).axes[0].images[0].cmap.name == "Greys"
    assert norm("sqrt", 0.5)(0.125) == pytest.approx(0.5)
    assert list(norm("log", 0.5)(np.array([0.0, 0.5, 0.005]))) == pytest.approx([0, 1, 0.5])


def test_ink_runs_evenly_from_white_to_dark():
    colours = colour_map(None)(np.linspace(0, 1, 64))[:, :3]
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    lightness = np.cbrt(linear @ (0.2126, 0.7152, 0.0722))
    assert tuple(colours[0]) == (1, 1, 1)
    assert (np.diff(lightness) < 0).all()
    assert np.diff(lightness).std() < 0.2 * abs(np.diff(lightness).mean())


def test_cells_have_their_numbers_where_there_is_room():
    def numbers(n, **options):
        drawn = aw.figure(projected(n), layer=0, head=0, **options)
        return [text.get_text() for text in drawn.axes[0].texts]

    assert len(numbers(5)) == 15  # not the masked ones
    assert numbers(1) == ["1.00"]
    assert numbers(5, values=False) == numbers(13) == []
    assert len(numbers(13, values=True)) == 91
    with pytest.raises(ValueError, match="at most 40 x 40, and this map has 50 x 50"):
        numbers(50, values=True)


def test_cross_attention_names_both_texts():
    maps = aw.AttentionMaps.from_arrays(
        matrices(2, 3, 4, 5), layout="LHQK", tokens=GERMAN, key_tokens=ENGLISH, name="cross"
    )
    drawn = aw.figure(maps, layer=0, head=1)
    axes = drawn.axes[0]
    assert (labels(axes.yaxis), labels(axes.xaxis)) == (GERMAN, ENGLISH)
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("query (target)", "key (source)")
    assert "cross, layer 0 · head 1" in texts(drawn)


def test_titles_bear_the_numbers_of_the_model():
    maps = aw.AttentionMaps(
        projected(layers=2, heads=2).layers, WORDS, layer_numbers=[3, 7], head_numbers=[[1, 4], [0, 5]]
    )
    assert "layer 7 · head 5" in texts(aw.figure(maps, layer=-1, head=1))
    assert "my title" in texts(aw.figure(maps, layer=0, head=1, title="my title"))
    assert "layer" not in texts(aw.figure(maps, layer=0, head=1, title=""))


def test_what_rows_lack_is_stated():
    drawn = aw.figure(projected(sinks=torch.full((4,), 3.0)), layer=0, head=0)
    assert "on average and" in texts(drawn)
    assert "mass outside the map" in texts(drawn)
    assert "mass outside the map" not in texts(aw.figure(projected(), layer=0, head=0))


@pytest.mark.filterwarnings("ignore::attnwidget.AttentionWarning")
def test_a_row_of_nan_has_no_colour_and_is_counted():
    weights = matrices(1, 6, 6)
    weights[0, 3] = torch.nan
    drawn = aw.figure(aw.AttentionMaps.from_arrays(weights, layout="HQK"))
    masked = np.ma.getmaskarray(drawn.axes[0].images[0].get_array())
    assert masked[3].all()
    assert not masked[[0, 1, 2, 4, 5]].any()
    assert "1 row has no values: NaN." in texts(drawn)


def test_maps_in_which_no_query_sees_anything_are_drawn():
    nothing = Mask.from_visible(torch.zeros(1, 4, 4, dtype=torch.bool))
    layer = ProjectedLayer(torch.ones(1, 4, 2), torch.ones(1, 4, 2), 1.0, nothing)
    drawn = aw.figure(aw.AttentionMaps([layer], list("abcd")))
    drawn.canvas.draw()
    assert np.ma.getmaskarray(drawn.axes[0].images[0].get_array()).all()


def test_a_long_map_is_pooled_by_its_largest_and_says_so():
    maps = projected(1300, layers=1)
    drawn = aw.figure(maps, layer=0, head=0)
    shown = drawn.axes[0].images[0].get_array()
    assert shown.shape == (434, 434)
    assert shown[100, 50] == pytest.approx(float(maps.weights(0, 0)[300:303, 150:153].max()), rel=1e-4)
    assert "Each cell: the largest weight of 3 x 3." in texts(drawn)
    assert labels(drawn.axes[0].xaxis)[:3] == ["0", "500", "1,000"]


def test_forty_thousand_tokens_are_a_picture_that_says_what_was_read():
    q = torch.randn(1, 40_000, 2)
    maps = aw.AttentionMaps.from_queries_keys([q], [q], causal=True)
    drawn = aw.figure(maps, vmax=0.1)
    assert max(drawn.axes[0].images[0].get_array().shape) <= 512
    assert ", read in " in texts(drawn)


def test_draws_into_axes_of_ones_own():
    own = Figure(figsize=(8, 4))
    left, right = own.subplots(1, 2)
    left.plot([1, 2])
    maps = projected()
    assert aw.figure(maps, layer=0, head=1, ax=right) is right
    np.testing.assert_allclose(right.images[0].get_array(), maps.weights(0, 1), atol=1e-6)
    assert labels(right.yaxis) == WORDS
    assert right.get_title() == "layer 0 · head 1"
    assert "Hatched" in right.get_xlabel()
    assert own.axes == [left, right]


def test_axes_of_ones_own_warn_of_no_sign_that_a_font_lacks():
    own = Figure()
    tokens = ["\U0010fffd", "ok"]  # a private sign, which no font has
    maps = aw.AttentionMaps.from_arrays(matrices(1, 2, 2), layout="HQK", tokens=tokens)
    axes = aw.figure(maps, ax=own.subplots())
    own.canvas.draw()
    assert labels(axes.yaxis) == ["□", "ok"]


@pytest.mark.parametrize("n", [1, 2, 14, 40, 60, 61, 300])
def test_nothing_leaves_the_sheet_and_no_labels_overlap(n):
    drawn = aw.figure(projected(n), layer=0, head=0)
    renderer = drawn.canvas.get_renderer()
    needed, (width, height) = drawn.get_tightbbox(renderer), drawn.get_size_inches()
    assert min(needed.x0, needed.y0) >= 0
    assert needed.x1 <= width
    assert needed.y1 <= height
    for axis, low, high in ((drawn.axes[0].xaxis, "x0", "x1"), (drawn.axes[0].yaxis, "y0", "y1")):
        boxes = [label.get_window_extent(renderer) for label in axis.get_ticklabels()]
        spans = sorted((getattr(box, low), getattr(box, high)) for box in boxes)
        assert all(before[1] <= after[0] + 2 for before, after in pairwise(spans))


def test_the_colours_of_each_row_may_end_at_its_largest_weight():
    maps = projected()
    drawn = aw.figure(maps, layer=1, head=2, vmax="row")
    axes, bar = drawn.axes
    weights = maps.weights(1, 2)
    np.testing.assert_allclose(
        axes.images[0].get_array().filled(0), weights / weights.amax(-1, keepdim=True), atol=1e-6
    )
    assert axes.images[0].norm.vmax == 1
    assert bar.get_ylabel() == "share of its row's largest"


def test_weights_below_a_threshold_look_like_none():
    maps = projected()
    weights = maps.weights(1, 2)
    shown = aw.figure(maps, layer=1, head=2, threshold=0.1).axes[0].images[0].get_array().filled(0)
    np.testing.assert_allclose(shown, weights * (weights >= 0.1), atol=1e-6)
