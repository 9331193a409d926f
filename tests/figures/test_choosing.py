"""What can be asked of a figure, and what is said of the rest."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.capturing import Capture
from attnwidget.capturing.captured import Example
from attnwidget.layers import Mask, ProjectedLayer
from tests.figures.test_heatmap import texts
from tests.make import matrices, projected


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"kind": "heatmap"}, ValueError, "kind='heatmap' is not known; did you mean 'head' or 'heads'?"),
        ({"kind": "gibberish"}, ValueError, "expected one of 'head', 'heads'"),
        ({"haed": 1}, TypeError, "figure has no argument 'haed'; did you mean head?"),
        ({"layer": 3}, IndexError, "layer 3 does not exist: these maps have layers 0 to 2."),
        ({"layer": 1, "head": 4}, IndexError, "head 4 does not exist: layer 1 has heads 0 to 3."),
        ({"head": -5}, IndexError, "head -5 does not exist: layer 0 has heads 0 to 3."),
        ({"layer": 0, "head": 0, "query": 14}, IndexError, "query 14 does not exist: these maps have queries 0 to 13."),
        ({"layer": 0.5}, TypeError, "layer=0.5 is float; expected an integer."),
        ({"layer": 0, "head": "all"}, ValueError, "head='all' is not known; expected a number or 'mean'."),
        ({"query": 3}, ValueError, "kind='row' needs layer=, head=;"),
        ({"kind": "head", "layer": 0}, ValueError, "kind='head' needs head=;"),
        ({"kind": "grid", "layer": 0}, ValueError, "kind='grid' has no use for layer=; leave it out."),
        ({"kind": "entropy", "query": 0}, ValueError, "kind='entropy' has no use for query="),
        ({"temperature": 0}, ValueError, "temperature=0; expected a number above 0."),
        ({"scaling": -1}, ValueError, "scaling=-1; expected 0 or more."),
        ({"vmax": "row", "kind": "grid"}, ValueError, "vmax='row' is for the map of one head"),
        ({"threshold": 2}, ValueError, "threshold"),
        ({"vmax": 0}, ValueError, "vmax=0.0; expected a number above 0"),
        ({"vmax": "all"}, TypeError, "vmax='all'; expected a number above 0, 'row', 'each', or None."),
        ({"cmap": "virdis"}, ValueError, "cmap='virdis' is not known; did you mean viridis"),
        ({"cmap": 3}, TypeError, "cmap is int; expected the name of a matplotlib colormap"),
        ({"scale": "square"}, ValueError, "scale='square' is not known; expected 'linear', 'sqrt' or 'log'."),
        ({"width": 0.2}, ValueError, "width=0.2; expected a number from 1 to 100."),
        ({"width": "wide"}, TypeError, "width='wide' is str; expected a number."),
        ({"title": 3}, TypeError, "title is int; expected a string"),
        ({"ax": "left"}, TypeError, "ax is str; expected matplotlib Axes."),
    ],
)
def test_bad_input_gets_a_sentence(options, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        aw.figure(projected(), **options)


def test_maps_without_a_query_are_nothing_to_draw():
    layer = ProjectedLayer(torch.ones(1, 0, 2), torch.ones(1, 3, 2), 1.0, Mask())
    with pytest.raises(ValueError, match="0 queries x 3 keys: there is nothing to draw"):
        aw.figure(aw.AttentionMaps([layer], [], ["a", "b", "c"]))


def test_a_layer_that_was_not_kept_is_told_by_those_that_were():
    maps = aw.AttentionMaps(projected(layers=2).layers, ["t"] * 14, layer_numbers=[3, 7])
    with pytest.raises(
        IndexError,
        match=re.escape("layer 7 does not exist: these maps have layers 0 to 1, which are 3, 7 of the model."),
    ):
        aw.figure(maps, layer=7)


def test_the_only_layer_and_the_only_head_need_no_name():
    assert "layer 0 · head 1" in texts(aw.figure([matrices(2, 3, 3)], head=1))
    assert len(aw.figure([matrices(2, 3, 3)]).axes) == 3  # both heads, and the colour bar
    single = aw.figure(matrices(3, 4))
    np.testing.assert_allclose(single.axes[0].images[0].get_array(), matrices(3, 4), atol=1e-6)


def test_a_capture_of_one_kind_of_maps_is_drawn_and_others_are_asked_for():
    maps = projected()
    one = Capture([Example({"attention": maps})])
    np.testing.assert_allclose(
        aw.figure(one, layer=0, head=0).axes[0].images[0].get_array(), maps.weights(0, 0), atol=1e-6
    )
    two = Capture([Example({"encoder": maps, "decoder": maps})])
    with pytest.raises(ValueError, match="2 kinds of maps: encoder, decoder"):
        aw.figure(two)
    with pytest.raises(ValueError, match="2 kinds of maps: encoder, decoder"):
        aw.figure(two.by_name)


def test_what_is_no_attention_is_refused_as_elsewhere():
    with pytest.raises(ValueError, match="weights after softmax"):
        aw.figure(torch.randn(3, 3))
    with pytest.raises(TypeError):
        aw.figure("a text")
