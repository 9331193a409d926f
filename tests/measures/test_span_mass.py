"""Mass between spans, held against loops over dense matrices."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch

import attnwidget as aw
from attnwidget import Span
from attnwidget.measures import receiver_score, span_mass, span_rows, summarize
from tests.make import WORDS, by_hand, matrices, projected

SPANS = [("first", 0, 5), ("last", 20, 28), ("middle", 5, 20)]


def loop(weights, spans, key_spans=None):
    """Mean over the queries of a span of their mass on another, from one dense matrix."""
    mass = [
        [weights[start:stop, first:end].double().sum(-1).mean() for _, first, end in key_spans or spans]
        for _, start, stop in spans
    ]
    return torch.tensor(mass)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("sinks", [None, torch.tensor([2.0, 0.0, -1.0, 4.0])])
def test_mass_is_that_of_a_loop_over_dense_matrices(causal, sinks):
    maps = projected(28, causal=causal, sinks=sinks)
    found = span_mass(maps, SPANS)
    assert found.shape == (3, 4, 3, 3)
    for layer in range(3):
        for head in range(4):
            weights = by_hand(maps, layer, head)
            total = weights.sum(-1, keepdim=True)
            weights = weights / torch.where((total - 1).abs() <= 1e-2, total, 1)  # the policy for such rows
            torch.testing.assert_close(found[layer, head].double(), loop(weights, SPANS), atol=1e-6, rtol=0)
    whole = found.sum(-1)
    assert ((whole - 1).abs() < 1e-6).all() if sinks is None else (whole[:, 3] < 0.9).all()


def test_bare_arrays_masks_and_leading_axes():
    weights = matrices(2, 3, 28, 28)
    torch.testing.assert_close(span_mass(weights, SPANS)[1, 2].double(), loop(weights[1, 2], SPANS), atol=1e-6, rtol=0)
    torch.testing.assert_close(span_mass(weights.numpy(), SPANS), span_mass(weights, SPANS))
    assert span_mass(weights[0, 0], SPANS).shape == (3, 3)
    padded = torch.ones(28, 28, dtype=torch.bool)
    padded[22:] = padded[:, 22:] = False
    rest = torch.where(padded, weights[0, 0], 0)
    rest = rest / rest.sum(-1, keepdim=True)
    found = span_mass(rest.nan_to_num(0), SPANS, mask=padded)
    torch.testing.assert_close(
        found[1].double(),
        torch.stack([rest[20:22, a:b].double().sum(-1).mean() for _, a, b in SPANS]),
        atol=1e-6,
        rtol=0,
    )


def test_chance_is_what_a_uniform_head_gives():
    maps = projected(28)
    uniform = torch.ones(28, 28).tril() / torch.arange(1, 29)[:, None]
    chance = span_mass(maps, SPANS, measure="chance")
    torch.testing.assert_close(chance[2, 3].double(), loop(uniform, SPANS), atol=1e-6, rtol=0)
    torch.testing.assert_close(span_mass(uniform, SPANS, causal=True), chance[0, 0], atol=1e-6, rtol=0)


def test_per_token_and_only_some_queries():
    maps = projected(28)
    lengths = torch.tensor([5, 8, 15])
    torch.testing.assert_close(span_mass(maps, SPANS, measure="per_token"), span_mass(maps, SPANS) / lengths)
    found = span_mass(maps, SPANS, queries=[25, 21, 3])
    weights = by_hand(maps, 1, 1)
    expected = torch.stack([weights[[21, 25], a:b].sum(-1).mean() for _, a, b in SPANS])
    torch.testing.assert_close(found[1, 1, 1], expected)
    assert found[:, :, 2].isnan().all(), "no row of it was asked for"


def test_excluded_tokens_leave_rows_and_keys():
    maps = projected(28)
    found = span_mass(maps, SPANS, exclude_tokens="special")
    kept = [i for i in range(28) if not maps.tokens.special[i]]
    weights = by_hand(maps, 0, 0)[kept][:, kept]
    weights = weights / weights.sum(-1, keepdim=True)
    place = {old: new for new, old in enumerate(kept)}
    spans = [
        (n, place[a + maps.tokens.special[a]], b - (28 - len(kept)) * (b > 14) - (0 < b <= 14)) for n, a, b in SPANS
    ]
    torch.testing.assert_close(found[0, 0].double(), loop(weights, spans), atol=1e-6, rtol=0)
    per_token = span_mass(maps, SPANS, exclude_tokens="special", measure="per_token")
    torch.testing.assert_close(per_token, found / torch.tensor([b - a for _, a, b in spans]))


def test_cross_attention_has_spans_of_both_axes():
    maps = aw.AttentionMaps.from_arrays(matrices(1, 2, 6, 9), layout="LHQK", name="cross")
    down, across = [("a", 0, 2), ("b", 2, 6)], [Span("x", 0, 4), Span("y", 4, 9)]
    found = span_mass(maps, down, across)
    expected = loop(maps.weights(0, 1), down, [("x", 0, 4), ("y", 4, 9)])
    torch.testing.assert_close(found[0, 1].double(), expected, atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match=r"runs of the 6 queries, and the 9 keys are other tokens; give key_spans="):
        span_mass(maps, down)


def test_a_kind_by_name_and_the_spans_that_tokens_have():
    maps = projected(28)
    spans = aw.find_spans(maps.tokens, "sentences")["sentences"]
    torch.testing.assert_close(span_mass(maps, "sentences"), span_mass(maps, spans))
    named = aw.AttentionMaps(maps.layers, maps.tokens.with_spans(Span("prompt", 0, 20), Span("generated", 20, 28)))
    assert span_mass(named).shape == (3, 4, 2, 2)
    with pytest.raises(ValueError, match=r"no spans of their own, but .*'sentences'"):
        span_mass(maps)
    with pytest.raises(ValueError, match=r"no roles were found in these tokens"):
        span_mass(maps, "roles")


@pytest.mark.parametrize(
    ("spans", "error", "sentence"),
    [
        ([("a", 0, 5), ("b", 4, 9)], ValueError, r"'a' \(0 to 5\) and 'b' \(4 to 9\) overlap"),
        ([("b", 4, 9), ("a", 4, 9)], ValueError, r"'b' .* and 'a' .* overlap"),
        ([("a", 0, 29)], ValueError, r"'a' goes from 0 to 29; expected a run of tokens among 0 to 28"),
        ([("a", 5, 5)], ValueError, r"'a' goes from 5 to 5"),
        ([("a", -2, 5)], ValueError, r"'a' goes from -2 to 5"),
        ([("a", 0, 5.5)], TypeError, r"'a'=5.5 is float; expected an integer"),
        ([(0, 5)], TypeError, r"spans holds \(0, 5\); expected spans, or \(name, start, stop\)"),
        ([], ValueError, r"spans is empty"),
        ("words", ValueError, r"kind='words' is not known"),
    ],
)
def test_what_are_no_spans_is_refused(spans, error, sentence):
    with pytest.raises(error, match=sentence):
        span_mass(projected(28), spans)


def test_other_bad_input():
    with pytest.raises(ValueError, match="measure='lift' is not known"):
        span_mass(projected(28), SPANS, measure="lift")
    with pytest.raises(ValueError, match="an array has no tokens to find spans in"):
        span_mass(matrices(4, 4), "sentences")


def test_rows_without_values_count_nowhere_and_missing_heads_are_nan():
    weights = matrices(2, 28, 28)
    weights[1, 21, 3] = math.nan
    with pytest.warns(aw.AttentionWarning):
        maps = aw.AttentionMaps.from_arrays([matrices(3, 28, 28), weights])
    with pytest.warns(aw.AttentionWarning, match="layer 1, head 1"):
        found = span_mass(maps, SPANS)
    rest = [i for i in range(20, 28) if i != 21]
    torch.testing.assert_close(found[1, 1, 1, 0], weights[1, rest, :5].sum(-1).mean())
    assert found[1, 2].isnan().all()


def test_gradients_reach_q():
    maps = projected(28, layers=1)
    q = maps.layers[0].q.clone().requires_grad_()
    found = span_mass(aw.AttentionMaps([replace(maps.layers[0], q=q)], maps.tokens), SPANS)
    (grad,) = torch.autograd.grad(found[..., 0].sum(), q)
    assert grad.isfinite().all()
    assert grad.abs().sum() > 0


class TestRows:
    def test_each_query_and_itself_and_the_rest(self):
        maps = projected(28)
        spans = [("first", 0, 5), ("last", 20, 28)]
        weights = by_hand(maps, 1, 2)
        found = span_rows(maps, 1, 2, spans)
        expected = torch.stack([weights[:, :5].sum(-1), weights[:, 20:].sum(-1), weights[:, 5:20].sum(-1)], -1)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
        own = span_rows(maps, 1, 2, spans, own=True)
        torch.testing.assert_close(own[:, 2], weights.diagonal(), atol=1e-6, rtol=0)
        torch.testing.assert_close(own[25, 1], weights[25, 20:].sum() - weights[25, 25], atol=1e-6, rtol=0)
        torch.testing.assert_close(own.sum(-1), torch.ones(28), atol=1e-6, rtol=0)

    def test_the_mean_of_heads_and_chosen_queries(self):
        maps = projected(28)
        every = torch.stack([span_rows(maps, 0, head, SPANS) for head in range(4)]).mean(0)
        torch.testing.assert_close(span_rows(maps, 0, "mean", SPANS), every, atol=1e-6, rtol=0)
        torch.testing.assert_close(span_rows(maps, 0, spans=SPANS, queries=[27, 3]), every[[27, 3]], atol=1e-6, rtol=0)

    def test_generated_tokens_after_a_cache_have_their_place(self):
        q, k = torch.randn(1, 2, 4), torch.randn(1, 6, 4)
        maps = aw.AttentionMaps.from_queries_keys([q], [k], causal=True, key_tokens=list("abcdef"))
        own = span_rows(maps, 0, 0, [("all", 0, 6)], own=True)
        torch.testing.assert_close(own[:, 1], maps.weights(0, 0)[[0, 1], [4, 5]])

    def test_bad_input(self):
        cross = aw.AttentionMaps.from_arrays(matrices(1, 2, 6, 9), layout="LHQK", name="cross")
        with pytest.raises(ValueError, match="6 queries x 9 keys and not causal; own=True needs self-attention"):
            span_rows(cross, 0, 0, [("a", 0, 3)], own=True)
        with pytest.raises(TypeError, match="maps is Tensor; expected AttentionMaps"):
            span_rows(matrices(3, 3), 0, 0, [("a", 0, 3)])
        with pytest.raises(ValueError, match="head='all' is not known; expected a number or 'mean'"):
            span_rows(projected(), 0, "all", [("a", 0, 3)])
        with pytest.raises(IndexError, match="head 4 does not exist"):
            span_rows(projected(), 0, 4, [("a", 0, 3)])


class TestReceivers:
    EVEN = [(str(i), 4 * i, 4 * i + 4) for i in range(10)] + [("tail", 40, 56)]

    def expected(self, weights, spans, gap):
        """As the paper defines it, one sentence after another."""
        mass = loop(weights, spans)
        received = [
            np.mean([float(mass[i, s]) / (spans[s][2] - spans[s][1]) for i in range(s + gap, len(spans))])
            for s in range(len(spans) - gap)
        ]
        return scipy.stats.kurtosis(received) if len(received) >= 8 else math.nan

    @pytest.mark.parametrize(("gap", "known"), [(1, True), (3, True), (4, False)])
    def test_kurtosis_of_what_later_sentences_give(self, gap, known):
        maps = projected(56)
        found = receiver_score(maps, self.EVEN, gap)
        for layer, head in [(0, 0), (2, 3)]:
            expected = self.expected(by_hand(maps, layer, head), self.EVEN, gap)
            assert found[layer, head] == pytest.approx(expected, abs=1e-4, nan_ok=True)
        assert found.isnan().all() != known

    def test_one_sentence_that_all_look_at_stands_out(self):
        weights = torch.ones(100, 100).tril()
        weights[:, 20:25] *= 50
        weights = weights / weights.sum(-1, keepdim=True)
        spans = [(str(i), 5 * i, 5 * i + 5) for i in range(20)]
        assert receiver_score(weights, spans, causal=True) > 5
        reordered = receiver_score(weights, spans[::-1], causal=True)
        assert reordered == pytest.approx(float(receiver_score(weights, spans, causal=True)))

    def test_all_alike_has_no_kurtosis(self):
        assert receiver_score(torch.ones(100, 100) / 100, [(str(i), 5 * i, 5 * i + 5) for i in range(20)]).isnan()

    def test_it_is_a_column_of_the_table_where_there_are_sentences(self):
        words = [word for word in WORDS if word != "<s>"]
        maps = aw.AttentionMaps(projected(150).layers, (words * 12)[:150])
        assert len(aw.find_spans(maps.tokens)["sentences"]) >= 12
        table = summarize(maps, progress=False)
        expected = receiver_score(maps).flatten().numpy()
        np.testing.assert_allclose(table["receiver"].to_numpy(), expected, rtol=1e-4)
        short = summarize(projected(28), progress=False)
        assert short["receiver"].isna().all()
        assert "receiver: It needs self-attention over a text of 12 sentences" in short.attrs["unknown"]["attention"]

    def test_bad_input(self):
        with pytest.raises(ValueError, match="gap=0; expected 1 or more"):
            receiver_score(projected(28), SPANS, gap=0)
        with pytest.raises(ValueError, match="6 queries x 9 keys; a receiver score needs square self-attention"):
            receiver_score(matrices(6, 9), [("a", 0, 3)])
