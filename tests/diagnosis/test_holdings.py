"""diagnose: what attention is held as changes nothing of what is wrong with it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import attnwidget as aw
from attnwidget import diagnose
from attnwidget.layers import Mask
from tests.diagnosis.cases import HEADS, TRIL, N, accused, draw, names
from tests.make import projected


def held_as_weights(maps):
    """The same maps as matrices."""
    weights = torch.stack([torch.stack([maps.weights(at, h) for h in range(HEADS)]) for at in range(maps.n_layers)])
    return aw.AttentionMaps.from_arrays(weights, layout="LHQK")


def changed(n=N, *, causal=True, **changes):
    maps = projected(n, layers=2, width=16, causal=causal)
    layers = [replace(layer, **{name: change(layer) for name, change in changes.items()}) for layer in maps.layers]
    return aw.AttentionMaps(layers, maps.tokens)


def hiding(shown):
    """An additive mask that shows what is True: [1 or heads, queries, keys]."""
    shown = shown if shown.ndim == 3 else shown[None]
    return Mask(additive=torch.zeros(shown.shape).masked_fill(~shown, -math.inf))


BLIND = torch.ones(HEADS, N, N, dtype=torch.bool)
BLIND[2] = False
PADDED = TRIL.clone()
PADDED[:, :4] = False
SHUT = TRIL.clone()
SHUT[7] = False

CASES = {
    "healthy": (changed(), []),
    "bidirectional": (changed(causal=False), []),
    "a window": (changed(mask=lambda _: Mask(causal=True, window=6)), []),
    "a head that may see nothing": (changed(mask=lambda _: hiding(BLIND)), ["masked"]),
    "everything masked": (changed(mask=lambda _: hiding(TRIL & False)), ["masked"]),
    "a row that sees nothing": (changed(mask=lambda _: hiding(SHUT)), ["masked"]),
    "padding on the left": (changed(mask=lambda _: hiding(PADDED)), []),
    "queries that are all the same": (changed(q=lambda layer: layer.q[:, :1].expand_as(layer.q)), ["constant"]),
    "the same, bidirectional": (
        changed(causal=False, q=lambda layer: layer.q[:, :1].expand_as(layer.q)),
        ["constant"],
    ),
    "keys that are all the same": (changed(k=lambda layer: layer.k[:, :1].expand_as(layer.k)), ["uniform"]),
    "one head whose keys are all the same": (
        changed(k=lambda layer: torch.cat([layer.k[:1, :1].expand(1, N, -1), layer.k[1:]])),
        ["uniform"],
    ),
    "too little variance": (changed(q=lambda layer: layer.q * 1e-3), ["uniform"]),
}


@pytest.mark.parametrize("case", CASES)
def test_queries_and_keys_and_their_weights_are_judged_alike(case):
    maps, expected = CASES[case]
    assert accused(diagnose(maps)) == expected
    assert accused(diagnose(held_as_weights(maps))) == expected
    for one, other in zip(diagnose(maps), diagnose(held_as_weights(maps)), strict=True):
        assert (one.severity, one.places) == (other.severity, other.places)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("case", ["healthy", "queries that are all the same", "keys that are all the same"])
def test_in_half_precision_too(case, dtype):
    maps, expected = CASES[case]
    layers = [replace(layer, q=layer.q.to(dtype), k=layer.k.to(dtype)) for layer in maps.layers]
    assert accused(diagnose(aw.AttentionMaps(layers, maps.tokens))) == expected
    weights = torch.stack([layer.weights(slice(0, HEADS), slice(0, N)) for layer in maps.layers]).to(dtype)
    assert accused(diagnose(weights)) == expected


class TestWhatCarriesNothing:
    def test_the_side_that_is_the_same_is_named(self):
        found = diagnose(CASES["queries that are all the same"][0]).named("constant")
        assert found.severity == "alarm"
        assert found.causes == ("The queries are the same vector at every position.",)
        found = diagnose(CASES["keys that are all the same"][0]).named("uniform")
        assert "keys are the same vector at every position" in found.causes[0]
        assert len(found.causes) == 1

    def test_of_ones_own_attention(self):
        q, k = draw(2, HEADS, N, 64), draw(2, HEADS, N, 64, seed=1)
        assert names(diagnose(query=q[:, :, :1].expand_as(q), key=k)) == ["constant"]
        weights = (q[:, :, :1].expand_as(q) @ k.mT / 8).softmax(-1)
        found = diagnose(weights, query=q[:, :, :1].expand_as(q), key=k).named("constant")
        assert found.causes == ("The queries are the same vector at every position.",)

    def test_heads_that_rest_on_the_first_token_are_not_accused(self):
        torch.manual_seed(0)
        scores = torch.randn(3, HEADS, 40, 40)
        scores[1:, ..., 0] += 9  # in all layers but the first, as in large models
        assert accused(diagnose(scores.masked_fill(~torch.ones(40, 40).tril().bool(), -math.inf).softmax(-1))) == []

    def test_one_query(self):
        assert accused(diagnose(draw(2, HEADS, 1, N).softmax(-1))) == []


def test_a_head_that_may_see_nothing_of_a_model():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = nn.MultiheadAttention(12, 3, batch_first=True)

        def forward(self, x):
            hidden = torch.tensor([False, False, True]).view(-1, 1, 1).expand(-1, 6, 6)
            return self.attn(x, x, x, attn_mask=hidden, need_weights=False)[0]

    torch.manual_seed(0)
    run = aw.capture(Net(), 3 * torch.randn(1, 6, 12))
    found = [diagnose(run), diagnose(torch.stack([run.maps.weights(0, head) for head in range(3)]))]
    for findings in found:
        masked = findings.named("masked")
        assert masked.places == ((0, 2),)
        assert masked.causes == ("The mask of these heads hides every key from every query.",)
