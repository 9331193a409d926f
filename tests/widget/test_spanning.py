"""Spans that a person names in an Explorer."""

from __future__ import annotations

import re

import numpy as np
import pytest
import traitlets as t

import attnwidget as aw
from attnwidget.widget.spanning import named_spans
from tests.make import matrices, projected

OWN = [["first", 0, 5], ["second", 5, 12]]


def test_spans_are_named_before_and_after_the_view_is_made():
    view = aw.Explorer(projected(), spans=[aw.Span("second", 5, 12), ("first", 0, 5)])
    assert view.spans == OWN
    view.spans = [("all", 0, 14)]
    assert view.spans == [["all", 0, 14]]
    assert view.state["spans"] == [["all", 0, 14]]


@pytest.mark.parametrize(
    ("spans", "words"),
    [
        ([("a", 0, 5), ("b", 4, 8)], "'a' (0 to 5) and 'b' (4 to 8) overlap"),
        ([("a", 3, 3)], "goes from 3 to 3; expected 0 <= start < stop of 14 tokens"),
        ([("a", 3, 15)], "goes from 3 to 15"),
        ([("", 0, 2)], "is called ''; expected a name"),
        ([("a", 0)], "expected (name, start, stop)"),
        ("roles", "spans holds 'roles'; expected (name, start, stop)"),
    ],
)
def test_what_is_no_span_is_refused_and_changes_nothing(spans, words):
    view = aw.Explorer(projected(), spans=OWN)
    with pytest.raises(t.TraitError, match=re.escape(words)):
        view.spans = spans
    assert view.spans == OWN


def test_before_there_are_maps_their_length_is_not_known():
    assert named_spans([("a", 0, 10**6)], None) == [["a", 0, 10**6]]


def test_of_other_maps_those_that_fit_stay():
    view = aw.Explorer(projected(), spans=OWN)
    view.show(projected(8))
    assert view.spans == [["first", 0, 5]]


def test_a_figure_of_the_view_is_about_them_wherever_a_lens_has_put_them():
    maps = projected()
    view = aw.Explorer(maps, spans=OWN, view="spans", layer=1, head=2, hide=[0, 6])
    assert view.spans_of(view.maps) == [("first", 0, 4), ("second", 4, 10)]
    drawn = aw.figure(view).axes[0].images[0].get_array()
    wanted = aw.measures.span_mass(view.maps, view.spans_of(view.maps))[1, 2]
    np.testing.assert_allclose(drawn.filled(0), wanted, atol=1e-6)


@pytest.mark.parametrize("kind", ["", "own", "sentences", "roles"])
@pytest.mark.parametrize("across", [False, True])
def test_a_text_without_spans_leaves_as_its_map(tmp_path, kind, across):
    tokens = aw.Tokens.from_labels(["Lily", "gave", "the", "ball", "to", "Ben"])
    words = {"key_tokens": aw.Tokens.from_labels(list("abcd"))} if across else {}
    weights = matrices(2, 3, 6, 4 if across else 6)
    view = aw.Explorer(
        aw.AttentionMaps.from_arrays(weights, layout="LHQK", tokens=tokens, **words), view="spans", span_kind=kind
    )
    for name in ("view.html", "view.svg"):
        view.save(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    assert "mass between" not in (tmp_path / "view.svg").read_text()
    assert aw.figure(view).axes
