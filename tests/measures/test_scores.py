"""Health of the scores: against loops that spell out the definition, for every kind of layer that knows its scores."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest
import torch

import attnwidget as aw
from attnwidget.layers import Mask, ProjectedLayer
from attnwidget.measures import score_health
from tests.make import matrices, projected

N = 11
NAMES = ("score_max", "score_std", "lse")


def score_of(layer, head, i, j):
    """One score as a textbook writes it; -inf where the query may not look."""
    last = i + layer.mask.offset
    if layer.mask.causal and not (last - (layer.mask.window or math.inf) < j <= last):
        return -math.inf
    group = layer.shape[0] // layer.key_value_heads
    score = float(layer.q[head, i].double() @ layer.k[head // group, j].double()) * layer.scaling
    if layer.bias is not None:
        score += float(layer.bias[head % len(layer.bias), i, j])
    if layer.softcap is not None:
        score = layer.softcap * math.tanh(score / layer.softcap)
    if layer.mask.additive is not None:
        score += float(layer.mask.additive[head % len(layer.mask.additive), i, j])
    return score


def naive(layer):
    """Every number of every head, pair by pair: [heads] each."""
    heads, queries, keys = layer.shape
    found = {name: [] for name in NAMES}
    for head in range(heads):
        every = [[score_of(layer, head, i, j) for j in range(keys)] for i in range(queries)]
        rows = [[score for score in row if score > -math.inf] for row in every]
        rows = [row for row in rows if row]
        sink = 0 if layer.sinks is None else math.exp(float(layer.sinks[head]))
        found["score_max"].append(max(map(max, rows)))
        found["score_std"].append(statistics.mean(statistics.pstdev(row) for row in rows if len(row) > 1))
        found["lse"].append(statistics.mean(math.log(sum(map(math.exp, row)) + sink) for row in rows))
    return {name: torch.tensor(values) for name, values in found.items()}


def holey():
    """A mask of additive numbers: a bias of its own, padding, and a row that sees nothing."""
    additive = torch.randn(1, N, N, generator=torch.Generator().manual_seed(3))
    additive = additive.masked_fill(~torch.ones(N, N).tril().bool(), -math.inf)
    additive[:, :, :2], additive[:, 5] = -math.inf, -math.inf
    return Mask(additive=additive)


draw = torch.Generator().manual_seed(1)
KINDS = {
    "causal, keys shared by heads": {},
    "bidirectional": {"mask": Mask()},
    "window": {"mask": Mask(causal=True, window=3)},
    "bias": {"bias": torch.randn(1, N, N, generator=draw)},
    "bias of each head": {"bias": torch.randn(4, N, N, generator=draw)},
    "cap": {"softcap": 0.7},
    "bias and cap": {"bias": torch.randn(1, N, N, generator=draw), "softcap": 2.0},
    "learned sinks": {"sinks": torch.tensor([0.0, 3.0, -2.0, 1.0])},
    "learned sinks that hold everything": {"sinks": torch.full((4,), 300.0)},
    "padding, and a row that sees nothing": {"mask": holey()},
    "the same with sinks": {"mask": holey(), "sinks": torch.tensor([0.0, 3.0, -2.0, 1.0])},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_against_a_loop(kind, dtype):
    maps = projected(N, layers=2)
    layers = [replace(layer, q=layer.q.to(dtype), k=layer.k.to(dtype), **KINDS[kind]) for layer in maps.layers]
    found = score_health(aw.AttentionMaps(layers, maps.tokens))
    table = aw.summarize(aw.AttentionMaps(layers, maps.tokens))
    for number, layer in enumerate(layers):
        for name, expected in naive(layer).items():
            value = found[name][number].double()
            torch.testing.assert_close(value, expected.double(), rtol=2e-6, atol=2e-6)
            column = torch.tensor(table.loc[("attention", number), name].tolist())
            torch.testing.assert_close(column.double(), value, rtol=1e-6, atol=1e-6)


def test_cached_keys_in_front():
    layer = projected(N).layers[0]
    step = replace(layer, q=layer.q[:, -2:], mask=Mask(causal=True, offset=N - 2))
    found = score_health(aw.AttentionMaps([step], ["a", "b"], [*"abcdefghijk"]))
    for name, expected in naive(step).items():
        torch.testing.assert_close(found[name][0], expected, rtol=1e-5, atol=1e-5)


def test_scores_that_are_large_and_differ_little_keep_their_spread():
    """Keys that share a large part: every score is near 10,000 and they spread by 1."""
    torch.manual_seed(0)
    q = torch.zeros(1, 200, 2)
    q[..., 0], q[..., 1] = 100, 1
    k = torch.stack([torch.full((200,), 100.0), torch.randn(200)], -1)[None]
    found = score_health(aw.AttentionMaps([ProjectedLayer(q, k, 1.0, Mask())], ["a"] * 200))
    assert float(found["score_std"]) == pytest.approx(float(k[..., 1].std(correction=0)), rel=2e-3)  # float32 near 1e4


def test_padding_that_is_masked_counts_nowhere():
    maps = projected(N)
    shown = torch.zeros(N, N, dtype=torch.bool)
    shown[:7, :7] = True
    mask = Mask(additive=torch.zeros(1, N, N).masked_fill(~shown, -math.inf))
    padded = aw.AttentionMaps([replace(layer, mask=mask) for layer in maps.layers], maps.tokens)
    cut = [replace(layer, q=layer.q[:, :7], k=layer.k[:, :7], mask=Mask()) for layer in maps.layers]
    expected = score_health(aw.AttentionMaps(cut, maps.tokens[:7]))
    for name, value in score_health(padded).items():
        torch.testing.assert_close(value, expected[name])


def test_excluded_tokens_have_no_part():
    maps = projected(N, causal=False)
    rest = [0, 1, 3, 4, 6, 7, 8, 9, 10]
    cut = [replace(layer, q=layer.q[:, rest], k=layer.k[:, rest]) for layer in maps.layers]
    expected = score_health(aw.AttentionMaps(cut, ["a"] * len(rest)))
    for name, value in score_health(maps, exclude_tokens=[2, 5]).items():
        torch.testing.assert_close(value, expected[name])


def test_one_token_has_no_spread():
    found = score_health(projected(1, layers=1))
    assert found["score_std"].isnan().all()
    torch.testing.assert_close(found["score_max"], found["lse"])


def test_a_row_with_nan_counts_nowhere_and_infinity_is_shown():
    maps = projected(N, layers=1, causal=False)
    layer = replace(maps.layers[0], q=maps.layers[0].q.clone())
    layer.q[1, 4] = math.nan
    with pytest.warns(aw.AttentionWarning, match="layer 0, head 1"):
        found = score_health(aw.AttentionMaps([layer], maps.tokens))
    rest = [i for i in range(N) if i != 4]
    expected = naive(replace(maps.layers[0], q=maps.layers[0].q[:, rest]))
    for name, value in found.items():
        torch.testing.assert_close(value[0, 1], expected[name][1], rtol=1e-5, atol=1e-5)
    layer.q[1, 4] = 1e38
    layer.k[:] = 1e38
    with pytest.warns(aw.AttentionWarning):
        assert score_health(aw.AttentionMaps([layer], maps.tokens))["score_max"][0, 1] == math.inf


def test_weights_know_no_scores_and_say_so_once():
    maps = aw.AttentionMaps.from_arrays(matrices(2, 3, 5, 5), layout="LHQK", name="given")
    with pytest.raises(ValueError, match=r"queries and keys are held.*from_queries_keys"):
        score_health(maps)
    with pytest.raises(TypeError, match="maps is Tensor; expected AttentionMaps"):
        score_health(matrices(3, 5, 5))
    table = aw.summarize({"given": maps, "held": projected(5)})
    assert table.loc["given"][list(NAMES)].isna().all(axis=None)
    assert table.loc["held"][list(NAMES)].notna().all(axis=None)
    assert "score_max, score_std, lse" in table.attrs["unknown"]["given"]
    assert "score_max" not in table.attrs["unknown"]["held"]


def test_a_layer_of_weights_among_others():
    maps = projected(N, layers=2, causal=False)
    given = aw.AttentionMaps.from_arrays(matrices(3, N, N)[None], layout="LHQK").layers[0]
    for value in score_health(aw.AttentionMaps([maps.layers[0], given], maps.tokens)).values():
        assert value.isnan().tolist() == [[False] * 4, [True] * 4]


def test_gradients_reach_q():
    maps = projected(6, layers=1)
    q = maps.layers[0].q.clone().requires_grad_()
    for name, value in score_health(aw.AttentionMaps([replace(maps.layers[0], q=q)], maps.tokens)).items():
        (grad,) = torch.autograd.grad(value.sum(), q, retain_graph=True)
        assert grad.isfinite().all(), name
        assert grad.abs().sum() > 0, name
