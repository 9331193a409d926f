"""The table of questions answers whoever shows maps: no widget is needed."""

from __future__ import annotations

import numpy as np
import pytest

from attnwidget.widget.answers import QUESTIONS, Shown, answer
from tests.make import projected


def test_every_question_is_answered_without_a_widget():
    shown = Shown.of({"attention": projected(), "other": projected(20)}, version=7)
    span = {"rows": [0, 14], "columns": [0, 14], "height": 14, "width": 14}
    asked = {"tile": {"layer": 1, "head": 2, **span}, "scores": {"layer": 1, "head": 2, "query": 5}}
    asked |= {"products": {"layer": 1, "head": 2, "query": 5, "key": 3}}
    asked |= {"spans": {}} | {op: {"layer": 1, "kind": "sentences"} for op in ("span_mass", "span_rows")}
    asked |= {"findings": {}, "standouts": {}, "rows": {"layer": 1, "query": 5}, "paths": {"query": 5}}
    asked |= {"column": {"layer": 1, "head": 2, "key": 5}}
    for op in QUESTIONS.keys() - {"picture"}:
        answered = answer(shown, {"op": op, "map": "attention", **asked.get(op, {"layer": 1})})
        assert isinstance(answered.header, dict)
        assert all(isinstance(buffer, bytes) for buffer in answered.buffers)
    assert answer(shown, {"op": "tile", "map": "other: rollout", **asked["tile"], "head": 0}).header["version"] == 7


def test_your_own_measures_are_those_of_the_first_maps():
    shown = Shown.of({"a": projected(), "b": projected()}, {"mine": np.ones((3, 4))})
    own, other = (answer(shown, {"op": "measures", "map": name, "layer": 0}).buffers[0] for name in "ab")
    assert len(own) - len(other) == 4 * 4
    assert shown.measured("a").facts()[0]["name"] == "mine"


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        ({"op": "dance"}, ValueError, "does not know the request 'dance'; it knows tile"),
        ({}, ValueError, "does not know the request None"),
        ({"op": "profile", "map": "cross", "layer": 0}, ValueError, "no maps called 'cross'; there are attention"),
        ({"op": "profile", "map": "attention"}, TypeError, "layer"),
        ({"op": "measures", "map": "rollout", "layer": 0}, ValueError, "derived from others"),
    ],
)
def test_what_cannot_be_answered(request_, error, words):
    with pytest.raises(error, match=words):
        answer(Shown.of({"attention": projected()}), request_)
