"""Spans as the browser asks for them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import attnwidget as aw
from attnwidget import Span
from attnwidget.measures import span_mass, span_rows
from attnwidget.widget.answers import Shown, answer
from tests.make import by_hand, matrices, projected

ASKED = {"op": "span_mass", "map": "attention", "layer": 1}
BY_HAND = [["first", 0, 5], ["rest", 5, 28]]


def masses(answered):
    """Mass [heads, spans, key spans] and chance [spans, key spans]."""
    header = answered.header
    shape = len(header["spans"]), len(header["key_spans"])
    mass, chance = (np.frombuffer(buffer, "<f4") for buffer in answered.buffers)
    return mass.reshape(header["heads"], *shape), chance.reshape(shape)


def rows(answered):
    """Mass [rows, spans + 2] and the query of each row."""
    mass, queries = answered.buffers
    return np.frombuffer(mass, "<f4").reshape(-1, len(answered.header["spans"]) + 2), np.frombuffer(queries, "<u4")


@pytest.fixture
def maps():
    return projected(28)


def test_facts_tell_how_many_spans_were_found_and_the_answer_which(maps):
    view = aw.Explorer(maps)
    found = aw.find_spans(maps.tokens)
    for told in view.facts["maps"]:
        assert told["queries"]["found"] == {kind: len(spans) for kind, spans in found.items()}
    listed = answer(view.shown, {"op": "spans", "map": "attention"}).header
    assert listed["keys"] is None
    assert listed["queries"] == {
        kind: [(span.name, span.start, span.stop) for span in spans] for kind, spans in found.items()
    }
    json.dumps(listed)


def test_one_run_that_is_the_whole_text_is_not_told():
    maps = aw.AttentionMaps(projected(6).layers, ["[CLS]", "only", "one", "sentence", ".", "[SEP]"])
    assert aw.Explorer(maps).facts["maps"][0]["queries"].get("found") is None


@pytest.mark.parametrize(("temperature", "scaling"), [(1, 1), (0.5, 1), (2, 3)])
def test_mass_of_a_kind_for_every_head_at_any_temperature(maps, temperature, scaling):
    asked = {**ASKED, "kind": "sentences", "temperature": temperature, "scaling": scaling}
    answered = answer(Shown.of({"attention": maps}), asked)
    mass, chance = masses(answered)
    spans = [tuple(span) for span in answered.header["spans"]]
    assert spans == [(span.name, span.start, span.stop) for span in aw.find_spans(maps.tokens)["sentences"]]
    assert answered.header["sampled"] is None
    for head in range(4):
        weights = by_hand(maps, 1, head, scaling / temperature)
        expected = span_mass(weights, spans, causal=True)
        np.testing.assert_allclose(mass[head], expected, atol=2e-6)
    np.testing.assert_allclose(chance, span_mass(maps, spans, measure="chance")[1, 0], atol=1e-6)


def test_spans_named_by_hand(maps):
    mass, _ = masses(answer(Shown.of({"attention": maps}), {**ASKED, "spans": BY_HAND}))
    np.testing.assert_allclose(mass, span_mass(maps, BY_HAND)[1], atol=1e-6)
    np.testing.assert_allclose(mass.sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("head", [2, None])
def test_where_each_query_looks(maps, head):
    asked = {**ASKED, "op": "span_rows", "head": head, "spans": [["first", 0, 5], ["last", 20, 28]]}
    answered = answer(Shown.of({"attention": maps}), asked)
    mass, queries = rows(answered)
    assert queries.tolist() == list(range(28))
    expected = span_rows(maps, 1, "mean" if head is None else head, answered.header["spans"], own=True)
    np.testing.assert_allclose(mass, expected, atol=1e-6)
    np.testing.assert_allclose(mass.sum(-1), 1, atol=1e-6)


def test_in_cross_attention_nobody_looks_at_itself():
    cross = aw.AttentionMaps.from_arrays(matrices(2, 2, 6, 9), layout="LHQK", name="cross")
    shown = Shown.of({"attention": cross})
    spans, key_spans = [["a", 0, 6]], [["x", 0, 4], ["y", 4, 8]]
    mass, _ = masses(answer(shown, {**ASKED, "spans": spans, "key_spans": key_spans}))
    assert mass.shape == (2, 1, 2)
    mass, _ = rows(answer(shown, {**ASKED, "op": "span_rows", "head": 0, "spans": key_spans}))
    assert np.isnan(mass[:, 2]).all()
    np.testing.assert_allclose(mass[:, [0, 1, 3]].sum(-1), 1, atol=1e-6)


def test_long_maps_read_some_rows_of_each_span_and_say_so():
    n = 6000
    maps = projected(n, layers=1, heads=4)
    maps = aw.AttentionMaps(maps.layers, maps.tokens.with_spans(Span("one", 0, 5), Span("many", 5, n)))
    answered = answer(Shown.of({"attention": maps}), {**ASKED, "layer": 0, "kind": "named"})
    read, of = answered.header["sampled"]
    assert of == n
    assert 1000 < read < 2000
    mass, _ = masses(answered)
    np.testing.assert_allclose(mass, span_mass(maps)[0], atol=0.05)
    assert not np.isnan(mass).any()
    answered = answer(
        Shown.of({"attention": maps}), {**ASKED, "op": "span_rows", "layer": 0, "head": 1, "kind": "named"}
    )
    mass, queries = rows(answered)
    assert answered.header["sampled"] == (len(queries), n)
    expected = span_rows(maps, 0, 1, own=True, queries=queries.tolist())
    np.testing.assert_allclose(mass, expected, atol=1e-6)


def test_where_some_queries_look_of_a_long_map():
    maps = projected(6000, layers=1, heads=4)
    asked = {**ASKED, "op": "span_rows", "layer": 0, "spans": [["prompt", 0, 5900]], "rows": [5900, 6000]}
    answered = answer(Shown.of({"attention": maps}), asked)
    mass, queries = rows(answered)
    assert answered.header["sampled"] is None
    assert queries.tolist() == list(range(5900, 6000))
    np.testing.assert_allclose(mass[:, 0], span_rows(maps, 0, "mean", asked["spans"])[5900:, 0], atol=1e-6)
    with pytest.raises(IndexError, match="rows 5900 to 6001 lie outside the map, which has rows 0 to 6000"):
        answer(Shown.of({"attention": maps}), asked | {"rows": [5900, 6001]})


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, "names a kind of them, or lists them"),
        ({"kind": "roles"}, "no roles were found in these tokens"),
        ({"spans": [["a", 0, 5], ["b", 3, 9]]}, "'a' .* and 'b' .* overlap"),
        ({"spans": [["a", 0, 29]]}, "'a' goes from 0 to 29"),
        ({"spans": [["a", i, i + 1] for i in range(28)] * 10}, "overlap"),
        ({"kind": "sentences", "temperature": 0}, "temperature=0"),
    ],
)
def test_what_cannot_be_answered(maps, asked, sentence):
    with pytest.raises(ValueError, match=sentence):
        answer(Shown.of({"attention": maps}), {**ASKED, **asked})


def test_more_spans_than_can_be_shown_are_told_as_such():
    words = ["Hi", "."] * 300
    maps = aw.AttentionMaps(projected(600, layers=1, heads=1, key_value_heads=1).layers, words)
    view = aw.Explorer(maps)
    assert "sentences" not in view.facts["maps"][0]["queries"].get("found", {})
    assert any(
        "300 sentences; spans are shown where there are 256 at most" in n for n in view.facts["maps"][0]["notes"]
    )
    with pytest.raises(ValueError, match="these are 300 spans, and 256 can be shown"):
        answer(view.shown, {**ASKED, "layer": 0, "kind": "sentences"})


def test_a_map_of_one_token():
    mass, chance = masses(answer(Shown.of({"attention": projected(1)}), {**ASKED, "spans": [["it", 0, 1]]}))
    assert mass.flatten().tolist() == [1.0] * 4
    assert chance.tolist() == [[1.0]]
