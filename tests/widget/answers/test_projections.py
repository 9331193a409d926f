"""A layer sent whole: the browser makes from it what the maps say."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.layers import DenseLayer, Mask, ProjectedLayer
from attnwidget.widget.answers import Shown, answer
from attnwidget.widget.answers.projections import held_form, layer_bytes, projections
from tests.make import matrices, projected
from tests.widget.answers.reading import decoded, made, opened, whole

N, WIDTH = 40, 4


def held(*, q=None, k=None, queries=N, keys=N, heads=4, key_value_heads=4, mask=None, **options):
    """A layer of random queries and keys."""
    draw = torch.Generator().manual_seed(3)
    q = torch.randn(heads, queries, WIDTH, generator=draw) * 1.5 if q is None else q
    k = torch.randn(key_value_heads, keys, WIDTH, generator=draw) if k is None else k
    return ProjectedLayer(q, k, 0.5, Mask(causal=True) if mask is None else mask, **options)


def maps_of(layer):
    _, queries, keys = layer.shape
    return aw.AttentionMaps([layer], aw.Tokens.positions(queries), aw.Tokens.positions(keys))


def weights_of(layer):
    return np.stack([maps_of(layer).weights(0, head).double().numpy() for head in range(layer.shape[0])])


def hidden(heads, share=0.4, seed=5):
    """An arbitrary mask that leaves some rows without any key."""
    hide = torch.rand(heads, N, N, generator=torch.Generator().manual_seed(seed)) < share
    hide[:, [0, 17]] = True
    return Mask(additive=torch.zeros(heads, N, N).masked_fill(hide, -math.inf))


def half(dtype):
    draw = torch.Generator().manual_seed(4)
    q, k = torch.randn(4, N, WIDTH, generator=draw), torch.randn(4, N, WIDTH, generator=draw)
    return {"q": q.to(dtype), "k": k.to(dtype)}


LAYERS = {
    "no mask": held(mask=Mask()),
    "causal": held(),
    "window": held(mask=Mask(causal=True, window=7)),
    "offset": held(queries=25, mask=Mask(causal=True, offset=15)),
    "offset and window": held(queries=25, mask=Mask(causal=True, offset=15, window=6)),
    "cross": held(queries=11, mask=Mask()),
    "arbitrary mask": held(mask=hidden(1)),
    "mask for each head": held(mask=hidden(4)),
    "softcap": held(softcap=2.0),
    "sinks": held(sinks=torch.tensor([2.0, -1.0, 0.5, 0.0])),
    "sinks and masked rows": held(mask=hidden(1), sinks=torch.tensor([2.0, -1.0, 0.5, 0.0])),
    "grouped keys": held(key_value_heads=2),
    "one key head": held(key_value_heads=1),
    "bfloat16": held(**half(torch.bfloat16)),
    "float16": held(**half(torch.float16)),
    "float64": held(**half(torch.float64)),
    "two precisions": held(q=half(torch.bfloat16)["q"], k=half(torch.float16)["k"]),
    "float8": held(**half(torch.float8_e5m2)),
    "not contiguous": held(q=torch.randn(N, 4, WIDTH).transpose(0, 1), k=torch.randn(4, WIDTH, N).transpose(1, 2)),
    "not contiguous bfloat16": held(
        q=torch.randn(N, 4, WIDTH).bfloat16().transpose(0, 1), k=torch.randn(4, N, 2 * WIDTH).bfloat16()[..., ::2]
    ),
    "asking for gradients": held(q=torch.randn(4, N, WIDTH, requires_grad=True)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_browser_makes_the_weights_itself(name):
    layer = LAYERS[name]
    sent = projections(maps_of(layer), 0)
    assert sent.header["form"] == "projections"
    json.dumps(sent.header, allow_nan=False)
    weights, missing, entropy = made(sent.header, sent.buffers)
    expected = weights_of(layer) if not layer.q.requires_grad else weights_of(held(q=layer.q.detach()))
    np.testing.assert_allclose(weights, expected, atol=1e-6)
    for head in range(layer.shape[0]):
        _, tile_missing, tile_entropy = decoded(whole(maps_of(layer), 0, head))
        np.testing.assert_allclose(missing[head], tile_missing, atol=1e-6)
        np.testing.assert_allclose(entropy[head], tile_entropy, atol=1e-5)
    assert sum(map(len, sent.buffers)) == layer_bytes(layer)[0]


@pytest.mark.parametrize(
    ("name", "dtype", "narrowed", "size"),
    [
        ("causal", "float32", False, 4),
        ("bfloat16", "bfloat16", False, 2),
        ("float16", "float16", False, 2),
        ("float64", "float32", True, 4),
        ("two precisions", "float32", False, 4),
        ("float8", "float32", False, 4),
    ],
)
def test_numbers_travel_in_their_own_precision(name, dtype, narrowed, size):
    sent = projections(maps_of(LAYERS[name]), 0)
    assert (sent.header["dtype"], sent.header["narrowed"]) == (dtype, narrowed)
    assert [len(buffer) for buffer in sent.buffers] == [4 * N * WIDTH * size] * 2


def test_what_a_header_says():
    layer = held(mask=hidden(4), sinks=torch.zeros(4), key_value_heads=2, softcap=3.0)
    assert answer(Shown.of({"a": maps_of(layer)}, version=3), {"op": "projections", "map": "a", "layer": 0}).header == {
        "form": "projections",
        "buffers": ["q", "k", "sinks", "mask"],
        "dtype": "float32",
        "narrowed": False,
        "key_value_heads": 2,
        "width": WIDTH,
        "scaling": 0.5,
        "softcap": 3.0,
        "mask": None,
        "mask_heads": 4,
        "layer": 0,
        "heads": 4,
        "n_queries": N,
        "n_keys": N,
        "version": 3,
    }
    rule = projections(maps_of(LAYERS["offset and window"]), 0).header
    assert (rule["mask"], rule["mask_heads"]) == ({"causal": True, "offset": 15, "window": 6}, None)
    assert rule["buffers"] == ["q", "k"]


BIAS = torch.randn(1, N, N, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("layer", "triangle"),
    [
        (held(bias=BIAS), True),
        (held(mask=Mask(additive=BIAS)), False),
        (held(mask=Mask(causal=True, window=3), bias=BIAS, sinks=torch.ones(4)), True),
        (held(queries=25, mask=Mask(causal=True, offset=15), bias=BIAS[:, :25]), False),
        (held(mask=hidden(1), bias=BIAS), False),
        (DenseLayer(matrices(4, 12, 12, causal=True)), True),
        (DenseLayer(matrices(4, 12, 12)), False),
        (DenseLayer(matrices(3, 5, 9)), False),
        (held(queries=6, keys=6), True),  # so few tokens that the codes are smaller
        (projected(30).max_of_heads().layers[0], True),
        (projected(30, causal=False).mean_of_heads().layers[0], False),
        (held(q=torch.full((4, N, WIDTH), math.nan), bias=BIAS), True),
    ],
)
def test_else_all_heads_are_sent_as_the_codes_of_their_tiles(layer, triangle):
    maps = maps_of(layer)
    sent = projections(maps, 0)
    assert (sent.header["form"], sent.header["triangle"]) == ("codes", triangle)
    assert sent.header["buffers"] == ["codes", "missing", "entropy"]
    json.dumps(sent.header, allow_nan=False)
    weights, missing, entropy = opened(sent.header, sent.buffers)
    for head in range(layer.shape[0]):
        tile = whole(maps, 0, head)
        assert (sent.header["low"][head], sent.header["step"][head]) == (tile.header["low"], tile.header["step"])
        logs, tile_missing, tile_entropy = decoded(tile)
        np.testing.assert_array_equal(weights[head], np.exp(logs))
        np.testing.assert_array_equal(missing[head], tile_missing)
        np.testing.assert_array_equal(entropy[head], tile_entropy)
    assert sum(map(len, sent.buffers)) == layer_bytes(layer)[1]


def test_weights_behind_their_own_mask_are_sent_all_the_same():
    layer = DenseLayer(matrices(2, 6, 6), Mask(causal=True))
    sent = projections(maps_of(layer), 0)
    assert not sent.header["triangle"]
    np.testing.assert_allclose(opened(sent.header, sent.buffers)[0], layer.matrix.numpy(), atol=1e-4)


def test_a_layer_takes_the_form_of_fewer_bytes():
    for n in (4, 12, 24, 40, 80):
        layer = held(queries=n, keys=n)
        as_projections, as_codes = layer_bytes(layer)
        sent = projections(maps_of(layer), 0)
        assert sum(map(len, sent.buffers)) == min(as_projections, as_codes)
    assert layer_bytes(held(bias=BIAS))[0] is None
    assert layer_bytes(DenseLayer(matrices(4, 12, 12, causal=True))) == (None, 4 * (12 * 13 + 12 * 8))


@pytest.mark.parametrize(("queries", "keys"), [(1025, 1025), (3, 1025), (1025, 3)])
def test_longer_maps_are_asked_for_in_tiles(queries, keys):
    layer = held(queries=queries, keys=keys, mask=Mask())
    with pytest.raises(ValueError, match=rf"{queries:,} queries x {keys:,} keys.* up to 1,024; ask for tiles"):
        projections(maps_of(layer), 0)
    assert held_form(layer) is None
    with pytest.raises(IndexError, match="layer 5 does not exist"):
        projections(projected(), 5)


def test_the_facts_tell_how_each_layer_is_best_held():
    bias = torch.zeros(1, 300, 300)
    layers = [
        held(queries=300, keys=300),
        held(queries=300, keys=300, bias=bias),
        DenseLayer(matrices(1, 300, 300)),
        DenseLayer(matrices(4, 300, 300)),
    ]
    maps = aw.AttentionMaps(layers, aw.Tokens.positions(300))
    facts = {one["name"]: one["held"] for one in aw.Explorer(maps).facts["maps"]}
    assert facts["attention"] == ["projections", None, "codes", None]
    assert facts["mean of heads"] == ["codes"] * 4
    assert aw.Explorer(projected(6)).facts["maps"][0]["held"] == ["codes"] * 3
    assert aw.Explorer(projected(1100, layers=1)).facts["maps"][0]["held"] == [None]
