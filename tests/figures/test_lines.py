"""Lines between two columns of tokens."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import attnwidget as aw
from attnwidget.figures.colours import HEADS
from tests.figures.test_heatmap import labels, texts
from tests.make import WORDS, projected


def lines_of(drawn):
    (lines,) = drawn.axes[0].collections
    return lines


def test_each_line_is_a_weight_from_its_query_to_its_key():
    maps = projected()
    drawn = aw.figure(maps, kind="lines", layer=1, head=2)
    lines = lines_of(drawn)
    weights = maps.weights(1, 2).numpy()
    ends = np.array(lines.get_segments())
    assert len(ends) == (weights > 0).sum()
    np.testing.assert_array_equal(ends[:, :, 0], [[0, 1]] * len(ends))
    found = weights[tuple(ends[:, :, 1].round().astype(int).T)]
    assert (np.diff(found) >= 0).all()  # the strongest lies on top
    assert np.corrcoef(found, lines.get_linewidths())[0, 1] > 0.99
    assert np.corrcoef(found, lines.get_colors()[:, 3])[0, 1] > 0.99
    left, right, *_ = drawn.axes
    assert labels(left.yaxis) == labels(right.yaxis) == WORDS
    assert {"query", "key"} <= {text.get_text() for text in drawn.texts}


def test_a_threshold_leaves_lines_out_and_says_how_much():
    maps = projected()
    drawn = aw.figure(maps, kind="lines", layer=1, head=2, threshold=0.1)
    weights = maps.weights(1, 2).numpy()
    kept, seen = (weights >= 0.1).sum(), np.tri(14).sum()
    assert len(lines_of(drawn).get_segments()) == kept
    share = weights[weights >= 0.1].sum() / weights.sum()
    assert f"{kept} of {seen:.0f} lines, with {share:.2f} of the weight." in texts(drawn)


@pytest.mark.parametrize(("heads", "named"), [([0, 3], "heads 0, 3"), (None, "heads 0, 1, 2, 3"), ([3], "head 3")])
def test_several_heads_have_a_colour_each(heads, named):
    drawn = aw.figure(projected(), kind="lines", layer=1, head=heads)
    assert f"layer 1{' · ' if heads == [3] else ', '}{named}" in texts(drawn)
    if heads != [3]:
        colours = {to_hex(colour[:3]) for colour in lines_of(drawn).get_colors()}
        assert colours == set(HEADS[: len(heads or range(4))])


def test_of_a_view_it_is_the_heads_that_are_switched_on():
    maps = projected()
    view = aw.Explorer(maps, view="lines", layer=2, head=1)
    assert "layer 2 · head 1" in texts(aw.figure(view))
    view.heads = [1, 2]
    assert "heads 1, 2" in texts(aw.figure(view))


def test_two_texts_stand_side_by_side_and_draw_into_axes_of_ones_own():
    maps = aw.AttentionMaps.from_arrays(
        np.full((1, 2, 5), 0.2), layout="HQK", tokens=list("ab"), key_tokens=list("cdefg")
    )
    axes = Figure().subplots()
    assert aw.figure(maps, kind="lines", ax=axes) is axes
    ends = np.array(axes.collections[0].get_segments())
    # Both columns are as tall: a key of five stands between the two queries.
    assert {round(float(y), 2) for y in ends[:, 1, 1]} == {-0.3, 0.1, 0.5, 0.9, 1.3}


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"kind": "lines"}, ValueError, "kind='lines' needs layer=;"),
        ({"kind": "lines", "layer": 0, "head": [0, 4]}, IndexError, "head 4 does not exist: layer 0 has heads 0 to 3."),
        ({"kind": "lines", "layer": 0, "head": []}, ValueError, "head=[] names none"),
        ({"layer": 0, "head": [0, 1]}, ValueError, "head=[0, 1] are several, and kind='head' is of one"),
        ({"layer": 0, "head": 0, "query": [0, 14]}, IndexError, "query 14 does not exist"),
        ({"kind": "lines", "layer": 0, "query": 0}, ValueError, "kind='lines' has no use for query=; leave it out."),
    ],
)
def test_bad_input_gets_a_sentence(options, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        aw.figure(projected(), **options)
