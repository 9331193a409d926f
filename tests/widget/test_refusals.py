"""What bad input gets: what came, what was expected, and nothing from inside."""

from __future__ import annotations

import numpy as np
import pytest
import traitlets as t

import attnwidget as aw
from tests.make import matrices, projected


def crossed():
    keys = aw.Tokens.from_labels([f"k{at}" for at in range(14)])
    return aw.AttentionMaps.from_arrays(
        matrices(3, 4, 5, 14), layout="LHQK", tokens=aw.Tokens.from_labels(list("vwxyz")), key_tokens=keys
    )


def closed():
    view = aw.Explorer(projected())
    view.close()
    return view


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: aw.Explorer(projected(), map="zz"), t.TraitError, "map='zz' does not exist; there are attention"),
        (lambda: aw.Explorer(projected(), map="zz", layer=1, head=2), t.TraitError, "map='zz' does not exist"),
        (lambda: aw.Explorer(projected(), title=3), TypeError, "title is int; expected a text"),
        (lambda: aw.Explorer(projected(), span_kind="zz"), t.TraitError, "span_kind='zz' is not known"),
        (lambda: aw.Explorer(projected(), measures={"": np.zeros((3, 4))}), TypeError, "measures names ''"),
        (lambda: aw.Explorer(projected(), measures={3: np.zeros((3, 4))}), TypeError, "measures names 3"),
        (lambda: aw.measures.span_mass(projected(), [("a", 0, 2)], queries=[]), ValueError, "queries is empty"),
        (lambda: aw.find_spans(projected()), TypeError, "tokens is AttentionMaps; pass its .tokens"),
        (lambda: aw.find_spans(None), TypeError, "tokens is NoneType"),
        (lambda: closed().findings, ValueError, "this Explorer is closed"),
        (lambda: aw.Explorer(projected()).save(3), TypeError, "path is int"),
        (lambda: aw.explore({"a": projected(), "b": 3}), TypeError, r"what\['b'\] is int; expected AttentionMaps"),
        (lambda: aw.explore([projected(), projected()]), TypeError, "shown by name"),
        (
            lambda: aw.compare(
                crossed(),
                aw.AttentionMaps.from_arrays(
                    matrices(3, 4, 5, 14), layout="LHQK", tokens=list("abcde"), key_tokens=crossed().key_tokens
                ),
            ),
            ValueError,
            "no query token in common: one begins 'v w x y', the other 'a b c d'",
        ),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_title_may_be_none():
    assert aw.Explorer(projected(), title=None).facts["title"] == ""
