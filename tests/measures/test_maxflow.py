"""Attention flow: on paper, against another solver, within its bounds."""

from __future__ import annotations

import math

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import attnwidget as aw
from attnwidget.measures.flow import rollout
from attnwidget.measures.maxflow import attention_flow
from tests.make import matrices, projected

# Two layers of two tokens: the capacities are [[1, 0], [1/2, 1/2]] below and [[3/4, 1/4], [0, 1]] above.
TWO = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]], [[[0.5, 0.5], [0.0, 1.0]]]])


def by_networkx(a, query, key):
    """Flow with floating-point capacities, through the algorithm of another library."""
    graph = nx.DiGraph()
    n = a.shape[-1]
    for number, layer in enumerate(a.double()):
        capacity = 0.5 * torch.eye(n) + 0.5 * layer.mean(0)
        capacity = capacity / capacity.sum(-1, keepdim=True)
        for i in range(n):
            for j in range(n):
                graph.add_edge((number + 1, i), (number, j), capacity=float(capacity[i, j]))
    return nx.maximum_flow_value(graph, (len(a), query), (0, key))


def test_on_paper():
    # From token 0: 3/4 by way of token 0, 1/4 by way of token 1, which has room for either target.
    assert torch.equal(attention_flow(TWO, queries="all", raw=True), torch.tensor([[1.0, 0.25], [0.5, 0.5]]))
    assert torch.equal(attention_flow(TWO, queries="all"), torch.tensor([[0.8, 0.2], [0.5, 0.5]]))


@given(
    layers=st.integers(1, 4),
    n=st.integers(1, 6),
    heads=st.integers(1, 3),
    seed=st.integers(0, 10**6),
    causal=st.booleans(),
)
@settings(deadline=None, max_examples=25)
def test_agrees_with_networkx(layers, n, heads, seed, causal):
    a = matrices(layers, heads, n, n, seed=seed, causal=causal).double()
    a = (a / a.sum(-1, keepdim=True)) ** 3  # some capacities are small
    a = a / a.sum(-1, keepdim=True)
    flows = attention_flow(a, queries="all", raw=True, causal=causal)
    for query in range(n):
        for key in range(n):
            expected = by_networkx(a, query, key)
            assert expected - 1e-7 <= float(flows[query, key]) <= expected + 1e-12
    into = (0.5 * torch.eye(n) + 0.5 * a[0].mean(0)).sum(0)
    assert (flows >= 0).all()
    assert (flows <= into.clamp(max=1) + 1e-12).all()
    if causal:
        assert (flows.triu(1) == 0).all()
    torch.testing.assert_close(attention_flow(a, queries="all", causal=causal).sum(-1), torch.ones(n).double())


def test_of_one_layer_is_the_capacity():
    a = matrices(1, 3, 7, 7).double()
    assert torch.equal(attention_flow(a, queries="all", raw=True), rollout(a))
    assert torch.equal(
        attention_flow(matrices(3, 3, 7, 7).double(), queries=2, start_layer=2, raw=True).isnan().any(),
        torch.tensor(False),
    )


def test_identity_gives_identity_and_one_token_itself():
    assert torch.equal(attention_flow(torch.eye(4).expand(3, 2, 4, 4), queries="all"), torch.eye(4))
    assert torch.equal(attention_flow(torch.ones(3, 2, 1, 1)), torch.ones(1, 1))


def test_the_query_is_the_last_token_of_a_causal_map_and_otherwise_the_first():
    a = matrices(2, 2, 5, 5, causal=True)
    whole = attention_flow(a, queries="all", causal=True)
    torch.testing.assert_close(attention_flow(a, causal=True), whole[-1:])
    torch.testing.assert_close(attention_flow(a), whole[:1])
    torch.testing.assert_close(attention_flow(a, queries=[-1, 2]), whole[[-1, 2]])
    maps = projected(n=6)
    assert maps.causal
    torch.testing.assert_close(attention_flow(maps), attention_flow(maps, queries=5))


def test_keeps_axes_dtype_and_input():
    a = matrices(2, 3, 2, 4, 4)
    before = a.clone()
    flows = attention_flow(a, queries="all")
    assert flows.shape == (3, 4, 4)
    assert flows.dtype == torch.float32
    assert torch.equal(a, before)
    torch.testing.assert_close(attention_flow(a[:, 1], queries="all"), flows[1])
    torch.testing.assert_close(attention_flow(a.flip(2), queries="all"), flows)
    torch.testing.assert_close(attention_flow(a.double(), queries="all").float(), flows, rtol=0, atol=1e-5)
    torch.testing.assert_close(attention_flow(list(a.numpy()), queries="all"), flows)


@pytest.mark.parametrize(("left", "right"), [(2, 0), (0, 1)])
def test_trimming_padding_changes_nothing(left, right):
    a = matrices(2, 2, 3, 3)
    n = 3 + left + right
    wide, mask = torch.full((2, 2, n, n), 1 / n), torch.zeros(n, n, dtype=torch.bool)
    real = slice(left, left + 3)
    wide[..., real, :] = 0
    wide[..., real, real] = a
    mask[real, real] = True
    flows = attention_flow(wide, queries="all", raw=True, mask=mask)
    torch.testing.assert_close(flows[real, real], attention_flow(a, queries="all", raw=True))
    assert flows[~mask.any(-1)].isnan().all()
    assert (flows[real][:, ~mask.any(0)] == 0).all()


def test_nan_reaches_only_what_looks_at_it():
    a = matrices(2, 2, 4, 4, causal=True)
    a[0, 1, 2] = math.nan
    with pytest.warns(aw.AttentionWarning, match="layer 0, head 1"):
        flows = attention_flow(a, queries="all", causal=True)
    assert flows.isnan().all(-1).tolist() == [False, False, True, True]


def test_excluded_tokens_are_disconnected():
    a = matrices(2, 2, 4, 4).double()
    flows = attention_flow(a, queries="all", exclude_tokens=[0])
    inner = a[..., 1:, 1:]
    torch.testing.assert_close(flows[1:, 1:], attention_flow(inner / inner.sum(-1, keepdim=True), queries="all"))
    assert flows[0].isnan().all()
    assert (flows[1:, 0] == 0).all()


def test_long_work_is_refused_with_a_way_round_it():
    maps = projected(n=500, layers=12, heads=1, key_value_heads=1)
    with pytest.raises(
        ValueError, match=r"500 queries over 12 layers of 500 tokens would take about [\d,]+ s.*queries=\[-1\]"
    ):
        attention_flow(maps, queries="all")
    with pytest.raises(ValueError, match=r"limit is 0\.001 s"):
        attention_flow(matrices(2, 2, 4, 4), limit=0.001)
    assert attention_flow(matrices(2, 2, 4, 4), limit=None).shape == (1, 4)


@pytest.mark.parametrize(
    ("a", "options", "error", "words"),
    [
        (matrices(3, 3), {}, ValueError, r"shape \(3, 3\)"),
        (matrices(2, 2, 3, 4), {}, ValueError, "square"),
        (matrices(2, 2, 3, 3), {"queries": "some"}, ValueError, "queries='some'"),
        (matrices(2, 2, 3, 3), {"queries": [3]}, ValueError, "there are tokens 0 to 2"),
        (matrices(2, 2, 3, 3), {"fusion": "sum"}, ValueError, "fusion='sum'"),
        (matrices(2, 2, 3, 3), {"residual": -0.5}, ValueError, "residual=-0.5"),
        (matrices(2, 2, 3, 3), {"start_layer": 5}, ValueError, "start_layer=5"),
        ("attention", {}, TypeError, "a is str"),
    ],
)
def test_bad_input(a, options, error, words):
    with pytest.raises(error, match=words):
        attention_flow(a, **options)
