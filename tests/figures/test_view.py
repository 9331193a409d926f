"""An Explorer, as it stands, on paper."""

from __future__ import annotations

import numpy as np
import pytest

import attnwidget as aw
from attnwidget.figures import of_view
from tests.figures.test_heatmap import texts
from tests.figures.test_image import pictured
from tests.make import by_hand, projected


def test_the_heatmap_is_the_head_with_its_temperature_and_colours():
    maps = projected()
    view = aw.Explorer(
        maps, layer=1, head=2, temperature=0.5, color_map="greys", color_scale="sqrt", color_range="shared"
    )
    image = aw.figure(view).axes[0].images[0]
    np.testing.assert_allclose(image.get_array().filled(0), by_hand(maps, 1, 2, 2.0), atol=1e-5)
    assert (image.cmap.name, image.norm.vmax, type(image.norm).__name__) == ("Greys", 1, "PowerNorm")


def test_no_temperature_acts_on_what_is_made_of_several_heads():
    maps = projected()
    for kind in ("heatmap", "text", "grid"):
        view = aw.Explorer(maps, map="mean of heads", layer=1, temperature=0.25, scaling=2.0, view=kind)
        assert "temperature" not in texts(aw.figure(view))
    view.view = "heatmap"
    drawn = aw.figure(view).axes[0].images[0].get_array()
    np.testing.assert_allclose(drawn.filled(0), maps.mean_of_heads().weights(1, 0), atol=1e-6)


def test_the_grid_is_the_grid_with_a_scale_for_each_head_unless_shared():
    view = aw.Explorer(projected(), view="grid")
    assert len({image.norm.vmax for image in of_view(view).axes[0].images}) == 12
    view.color_range = "shared"
    assert {image.norm.vmax for image in of_view(view).axes[0].images} == {1}


@pytest.mark.parametrize(("pinned", "query"), [(5, 5), (None, 0)])
def test_the_text_is_the_row_of_the_pinned_query_or_the_first(pinned, query):
    maps = projected()
    view = aw.Explorer(maps, view="text", layer=1, head=3, query=pinned)
    bars = [bar.get_height() for bar in of_view(view).axes[0].patches]
    np.testing.assert_allclose(bars, maps.weights(1, 3)[query, : query + 1], atol=1e-6)


def test_the_picture_is_the_picture():
    maps, pixels = pictured()
    view = aw.Explorer(maps, view="image", head=1, query=2)
    under, over = of_view(view).axes[0].images
    assert np.array_equal(under.get_array(), pixels)
    np.testing.assert_allclose(over.get_array(), maps.weights(0, 1)[2, 1:].view(3, 2), atol=1e-6)


def test_derived_maps_are_drawn_under_their_name():
    view = aw.Explorer(projected(), map="mean of heads", layer=2)
    assert "mean of heads, layer 2" in texts(aw.figure(view))


def test_arguments_win_over_what_is_shown():
    maps = projected()
    view = aw.Explorer(maps, layer=1, head=2, temperature=0.5)
    drawn = aw.figure(view, head=0, title="other")
    np.testing.assert_allclose(drawn.axes[0].images[0].get_array().filled(0), by_hand(maps, 1, 0, 2.0), atol=1e-5)
    assert "other" in texts(drawn)
    assert len(aw.figure(view, kind="heads").axes) == 4


def test_a_closed_explorer_says_so():
    view = aw.Explorer(projected())
    view.close()
    with pytest.raises(ValueError, match="this Explorer is closed"):
        aw.figure(view)


def test_the_layers_are_the_chosen_head_through_them():
    maps = projected()
    *panels, _ = [*aw.figure(aw.Explorer(maps, view="layers", head=3, color_range="shared")).axes]
    assert len(panels) == 3
    np.testing.assert_allclose(panels[2].images[0].get_array(), maps.weights(2, 3), atol=1e-6)
    assert {axes.images[0].norm.vmax for axes in panels} == {1}
