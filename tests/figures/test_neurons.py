"""The products behind a score, and the plane, on paper."""

from __future__ import annotations

import numpy as np
import pytest

import attnwidget as aw
from tests.make import matrices, projected
from tests.measures.test_products import turned


def said(figure):
    return " ".join(text.get_text() for text in figure.texts).replace("\n", " ")


def test_bars_are_the_products_from_the_largest_to_the_least():
    maps = projected()
    figure = aw.figure(maps, kind="neurons", layer=1, head=2, query=9, key=4)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    expected = aw.measures.score_products(maps, 1, 2, 9, 4).products
    np.testing.assert_allclose(heights, expected.sort(descending=True).values, rtol=1e-6)
    (line,) = [line for line in figure.axes[1].lines if line.get_label() == "all"]
    assert line.get_ydata()[-1] == pytest.approx(float(expected.sum()), rel=1e-5)
    assert f"q·k = {expected.sum():.4g}" in said(figure)


def test_without_a_key_it_is_the_heaviest_and_says_so():
    maps = projected()
    heaviest = int(maps.weights(1, 2)[9].argmax())
    figure = aw.figure(maps, kind="neurons", layer=1, head=2, query=9)
    assert "the heaviest key of this query" in said(figure)
    assert f"at {heaviest}" in said(figure)


def test_content_and_distance_are_told_apart():
    maps, *_ = turned("halves", 0)
    found = aw.measures.score_products(maps, 0, 0, 7, 2)
    figure = aw.figure(maps, kind="neurons", layer=0, head=0, query=7, key=2)
    assert f"their sum is {found.content.sum():.4g}, and distance adds" in said(figure)


def test_the_plane_says_how_far_it_can_be_read():
    maps = projected(40, width=64)
    figure = aw.figure(maps, kind="plane", layer=0, head=0)
    found = aw.measures.plane(maps, 0, 0)
    assert f"rank correlation of {found.correlation:.2f} over 820 pairs" in said(figure)
    assert ("Not readable" in said(figure)) == (found.correlation < 0.5)
    drawn = np.concatenate([np.asarray(one.get_offsets()) for one in figure.axes[0].collections])
    np.testing.assert_allclose(drawn, np.concatenate([found.keys, found.queries]), rtol=1e-5)


def test_views_of_one_score_leave_as_what_they_are():
    view = aw.explore(projected(), view="neurons", layer=1, head=2, query=9, key=4)
    assert "q·k = " in said(aw.figure(view))
    view.view = "plane"
    assert "Circles: queries" in said(aw.figure(view))


@pytest.mark.parametrize("kind", ["neurons", "plane"])
def test_weights_have_neither(kind):
    given = {"layer": 0, "head": 0} | ({"query": 1} if kind == "neurons" else {})
    with pytest.raises(ValueError, match="held as weights"):
        aw.figure([matrices(2, 5, 5)], kind=kind, **given)
    with pytest.raises(ValueError, match="about one head's queries and keys"):
        aw.figure(projected(), kind=kind, **given | {"head": "mean"})


def test_a_key_is_for_the_products_alone():
    with pytest.raises(ValueError, match="has no use for key="):
        aw.figure(projected(), kind="row", layer=0, head=0, query=1, key=1)
    with pytest.raises(IndexError, match="key 14 does not exist"):
        aw.figure(projected(), kind="neurons", layer=0, head=0, query=1, key=14)
