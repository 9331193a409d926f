"""The mass that spans give to each other, drawn."""

from __future__ import annotations

import numpy as np
import pytest

import attnwidget as aw
from attnwidget import Span
from attnwidget.measures import span_mass
from tests.figures.test_heatmap import labels, texts
from tests.make import projected

SPANS = [("first", 0, 5), ("last", 20, 28)]


def drawn_mass(drawn):
    return drawn.axes[0].images[0].get_array()


def test_cells_are_the_mass_and_have_their_numbers():
    maps = projected(28)
    drawn = aw.figure(maps, kind="spans", layer=1, head=2, spans=SPANS)
    mass = span_mass(maps, SPANS)[1, 2].numpy()
    np.testing.assert_allclose(drawn_mass(drawn).filled(0), mass, atol=1e-6)
    assert labels(drawn.axes[0].xaxis) == labels(drawn.axes[0].yaxis) == ["first", "last"]
    assert f"{mass[1, 0]:.2f}" in texts(drawn)
    assert drawn_mass(drawn).mask.tolist() == [[False, True], [False, False]], "a causal query sees nothing later"
    assert "Hatched: spans of which the queries see nothing." in texts(drawn)
    assert "mass on keys in none of these spans" in texts(drawn)


def test_the_mean_of_heads_at_a_temperature():
    maps = projected(28)
    drawn = aw.figure(maps, layer=0, head="mean", spans="sentences")
    kept = drawn_mass(drawn)
    np.testing.assert_allclose(kept.filled(0), span_mass(maps, "sentences")[0].mean(0), atol=1e-6)
    sharper = drawn_mass(aw.figure(maps, layer=0, head=1, spans="sentences", temperature=0.25))
    weights = maps.weights(0, 1, temperature=0.25)
    spans = aw.find_spans(maps.tokens)["sentences"]
    np.testing.assert_allclose(sharper.filled(0), span_mass(weights, spans, causal=True), atol=1e-5)
    assert "mass between sentences" in texts(drawn)


def test_without_spans_what_was_found_or_named_is_drawn():
    maps = projected(28)
    assert "mass between" in texts(aw.figure(maps, kind="spans", layer=0, head=0))
    named = aw.AttentionMaps(maps.layers, maps.tokens.with_spans(Span("prompt", 0, 20), Span("generated", 20, 28)))
    assert labels(aw.figure(named, kind="spans", layer=0, head=0).axes[0].xaxis) == ["prompt", "generated"]
    with pytest.raises(ValueError, match="no spans of their own"):
        aw.figure(projected(3), kind="spans", layer=0, head=0)


def test_spans_are_for_a_map_of_spans():
    with pytest.raises(ValueError, match="kind='head' has no use for spans="):
        aw.figure(projected(28), kind="head", layer=0, head=0, spans=SPANS)
    with pytest.raises(ValueError, match="kind='spans' needs layer=, head="):
        aw.figure(projected(28), spans=SPANS)
