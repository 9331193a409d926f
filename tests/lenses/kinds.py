"""Layers of every kind, and the lenses written out with dense matrices."""

from __future__ import annotations

import math

import torch

import attnwidget as aw
from attnwidget.layers import DenseLayer, Mask, ProjectedLayer
from attnwidget.lenses.heads import MeanOfHeads
from attnwidget.tokens import Span, Tokens
from tests.make import matrices

N, WIDTH = 24, 4
# Words of one piece, two and four; two special tokens; one span that ends inside a word.
PIECES = ["<s>", "a", "new", "##est", "b", "re", "##turn", "##ing", "##ly", "c", "d", "<s>"] * 2


def tokens_of(n=N):
    return Tokens.from_labels(PIECES[:n]).with_spans(Span("first", 1, 8), Span("second", 12, 20))


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def held(queries=N, mask=None, key_value_heads=2, dtype=torch.float64, **options):
    """A layer of random queries and keys."""
    q, k = drawn(4, queries, WIDTH, seed=1, dtype=dtype) * 1.5, drawn(key_value_heads, N, WIDTH, seed=2, dtype=dtype)
    return ProjectedLayer(q, k, 0.5, Mask(causal=True) if mask is None else mask, **options)


def hiding(heads, *, added=False):
    """An arbitrary mask that leaves a row without any key, and perhaps adds to the scores of the others."""
    hide = drawn(heads, N, N, seed=3) < -0.5
    hide[:, 17] = True
    terms = drawn(heads, N, N, seed=4) if added else torch.zeros(heads, N, N, dtype=torch.float64)
    return Mask(additive=terms.masked_fill(hide, -math.inf))


def lacking(share=0.8):
    """Weights whose rows miss some mass, and one that is empty."""
    weights = matrices(4, N, N, causal=True).double() * share
    weights[:, 5] = 0
    return DenseLayer(weights)


KINDS = {
    "causal": held(),
    "not causal": held(mask=Mask()),
    "single keys": held(key_value_heads=4),
    "one key head": held(key_value_heads=1),
    "window": held(mask=Mask(causal=True, window=6)),
    "offset": held(queries=15, mask=Mask(causal=True, offset=9)),
    "offset and window": held(queries=15, mask=Mask(causal=True, offset=9, window=7)),
    "learned sinks": held(sinks=drawn(4, seed=5)),
    "sinks and window": held(mask=Mask(causal=True, window=5), sinks=drawn(4, seed=5)),
    "arbitrary mask": held(mask=hiding(1)),
    "mask for each head": held(mask=hiding(4)),
    "mask that adds": held(mask=hiding(4, added=True)),
    "bias": held(bias=drawn(4, N, N, seed=6)),
    "one bias, capped": held(bias=drawn(1, N, N, seed=7), softcap=2.0),
    "weights": DenseLayer(matrices(4, N, N).double()),
    "causal weights": DenseLayer(matrices(4, N, N, causal=True).double()),
    "weights that lack mass": lacking(),
    "mean of heads": MeanOfHeads(held(sinks=drawn(4, seed=5))),
}


def maps_of(layer, **options):
    """Maps of two such layers; queries that are fewer than the keys are the last of them."""
    tokens = tokens_of()
    queries = tokens[N - layer.shape[1] :]
    return aw.AttentionMaps([layer, layer], queries, None if len(queries) == N else tokens, **options)


def dense(maps):
    """All weights of the last layer [heads, queries, keys], and the mass outside [heads, queries]."""
    layer = maps.layers[-1]
    heads, queries, _ = layer.shape
    whole = slice(0, heads), slice(0, queries)
    return layer.weights(*whole).double(), layer.log_weights(*whole)[1].exp().double()


def without_by_hand(weights, outside, queries, keys):
    """Rows and columns that stay, each row divided by what is left of it and the mass outside."""
    left, outside = weights[:, queries][:, :, keys], outside[:, queries]
    total = left.sum(-1) + outside
    total = total.masked_fill(total == 0, 1)
    return left / total[..., None], outside / total


def words_by_hand(weights, outside, queries, keys):
    """Mean over the pieces of queries that see something, sum over the pieces of keys; each a list of positions."""
    summed = torch.stack([weights[:, :, word].sum(-1) for word in keys], -1)
    rows, missing = [], []
    for word in queries:
        sees = (summed[:, word].sum(-1) != 0).double()
        number = sees.sum(-1).clamp(min=1)
        rows.append((summed[:, word] * sees[..., None]).sum(1) / number[:, None])
        missing.append((outside[:, word] * sees).sum(1) / number)
    return torch.stack(rows, 1), torch.stack(missing, 1)


def assert_same(maps, expected, *, tolerance=1e-12):
    """A lens gives what was worked out by hand: weights, their logs, mass outside, single rows, and what is visible."""
    weights, outside = expected
    layer = maps.layers[-1]
    heads, queries, keys = layer.shape
    assert weights.shape == (heads, queries, keys)
    close = {"rtol": 0, "atol": tolerance}
    found, missing = dense(maps)
    torch.testing.assert_close(found, weights, **close)
    torch.testing.assert_close(missing, outside, **close)
    every = slice(0, heads)
    torch.testing.assert_close(layer.log_weights(every, slice(0, queries))[0].exp().double(), weights, **close)
    rows = torch.tensor([0, queries - 2, queries - 1]) if queries > 2 else torch.tensor([0])
    torch.testing.assert_close(
        layer.weights(slice(1, 2) if heads > 1 else every, rows)[0].double(), weights[min(1, heads - 1), rows], **close
    )
    seen = layer.visible(every, slice(0, queries)).expand(heads, -1, -1)
    assert not (weights.masked_fill(seen, 0) > 0).any()
    by_rule = layer.mask.visible(slice(0, queries), keys, torch.device("cpu"))
    assert by_rule.expand(heads, -1, -1).equal(seen)
    assert by_rule[:, rows].equal(layer.mask.visible(rows, keys, torch.device("cpu")))
