"""The scores of one query: what its weights come of."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.layers import Mask, ProjectedLayer
from attnwidget.widget.answers.scores import scores
from tests.make import matrices, projected

N, WIDTH = 12, 8


def held(**options):
    draw = torch.Generator().manual_seed(1)
    q, k = torch.randn(4, N, WIDTH, generator=draw), torch.randn(2, N, WIDTH, generator=draw)
    layer = ProjectedLayer(q, k, WIDTH**-0.5, **{"mask": Mask(causal=True)} | options)
    return aw.AttentionMaps([layer], aw.Tokens.positions(N))


HELD = {
    "plain": held(),
    "bias": held(bias=torch.linspace(-1, 1, N * N).view(1, N, N)),
    "softcap": held(softcap=0.7),
    "sinks": held(sinks=torch.tensor([1.0, -1.0, 0.5, 0.0])),
    "bias in the mask": held(mask=Mask(additive=torch.linspace(-1, 1, N * N).view(1, N, N))),
    "half precision": projected(N, dtype=torch.bfloat16),
}


def read(answer):
    return [np.frombuffer(buffer, "<f4") for buffer in answer.buffers]


@pytest.mark.parametrize("maps", HELD.values(), ids=HELD)
@pytest.mark.parametrize("head", [0, 3])
def test_they_are_those_of_the_maps_and_give_their_weights(maps, head):
    layer = maps.layers[0]
    for query in (0, 5, N - 1):
        products, of_keys, sink = read(scores(maps, 0, head, query))
        by_hand = layer.k[head // 2].float() @ layer.q[head, query].float()
        np.testing.assert_allclose(products, by_hand, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(of_keys, maps.scores(0, head)[query], atol=1e-6)
        assert sink[0] == (-math.inf if layer.sinks is None else layer.sinks[head])
        exps, outside = np.exp(of_keys.astype(float)), np.exp(float(sink[0]))
        for temperature, scaling in ((1, 1), (0.5, 2)):
            factor = scaling / temperature
            weights = exps**factor / ((exps**factor).sum() + outside**factor)
            wanted = maps.weights(0, head, temperature=temperature, scaling=scaling)[query]
            np.testing.assert_allclose(weights, wanted, atol=1e-6)


def test_a_key_that_is_masked_has_a_product_and_no_score():
    products, of_keys, _ = read(scores(HELD["plain"], 0, 0, 3))
    assert np.isfinite(products).all()
    assert np.isneginf(of_keys[4:]).all()


@pytest.mark.parametrize(
    ("maps", "place", "error", "words"),
    [
        (projected(), (0, 0, 14), IndexError, "query 14 does not exist: these maps have queries 0 to 13"),
        (projected(), (0, 0, -1), IndexError, "query -1 does not exist"),
        (projected(), (0, 4, 0), IndexError, "head 4 does not exist"),
        (aw.AttentionMaps.from_arrays(matrices(1, 4, 4), layout="HQK"), (0, 0, 0), ValueError, "held as weights"),
        (projected().mean_of_heads(), (0, 0, 0), ValueError, "held as weights"),
    ],
)
def test_what_has_none(maps, place, error, words):
    with pytest.raises(error, match=words):
        scores(maps, *place)
