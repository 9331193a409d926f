"""Heads worth a look: named with their reasons, few, and none where none stands out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import attnwidget as aw
from attnwidget.measures import standouts


def run(n=12):
    """Three heads in one layer: one looks at the token before, one at the first, one everywhere."""
    seen = torch.ones(n, n).tril()
    even = seen / seen.sum(-1, keepdim=True)
    before = torch.zeros(n, n)
    before[torch.arange(1, n), torch.arange(n - 1)] = 1
    before[0, 0] = 1
    first = torch.zeros(n, n)
    first[:, 0] = 1
    return torch.stack([even, before, first])


def test_a_head_that_does_one_thing_is_named_with_it():
    found = standouts(aw.AttentionMaps.from_arrays([run()], causal=True))
    reasons = {head.head: head.reason for head in found}
    assert "previous token (1.00)" in reasons[1]
    assert "strongest sink (1.00)" in reasons[2]
    assert 0 not in reasons


def test_nothing_stands_out_of_heads_that_look_everywhere():
    q, k = torch.randn(2, 8, 64, 32, generator=torch.Generator().manual_seed(0)) * 0.3
    assert standouts(aw.AttentionMaps.from_queries_keys([q, q], [k, k], causal=True)) == []


def test_layers_and_heads_go_by_their_numbers_in_the_model():
    maps = aw.AttentionMaps.from_arrays([run()], causal=True)
    few = aw.AttentionMaps(maps.layers, maps.tokens, layer_numbers=[7], head_numbers=[[4, 9, 2]])
    assert {(head.layer, head.head) for head in standouts(few)} == {(7, 9), (7, 2)}


def test_a_table_is_enough_and_measures_of_one_s_own_count():
    table = aw.summarize(aw.AttentionMaps.from_arrays([run()], causal=True))
    table["changed"] = [0.5, 0.1, 0.2]
    first = standouts(table)[0]
    assert (first.head, first.measures[0], first[4][0]) == (0, "changed", 0.5)


def test_no_more_than_asked_for():
    maps = aw.AttentionMaps.from_arrays([run()], causal=True)
    assert len(standouts(maps, most=1)) == 1
    with pytest.raises(ValueError, match="most=0; expected 1 or more"):
        standouts(maps, most=0)


def test_what_is_no_summary_is_refused():
    with pytest.raises(TypeError, match=r"expected that of attnwidget\.summarize"):
        standouts(pd.DataFrame({"induction": [1.0]}))


def test_unlike_its_layer_is_the_divergence_from_the_mean_of_its_heads():
    weights = run()
    table = aw.summarize(aw.AttentionMaps.from_arrays([weights], causal=True))
    p, m = weights.double().numpy(), weights.double().mean(0).numpy()

    def entropy(x):
        return -np.where(x > 0, x * np.log(np.where(x > 0, x, 1)), 0).sum(-1)

    for head in range(3):
        rows = entropy((p[head] + m) / 2) - (entropy(p[head]) + entropy(m)) / 2
        assert table["unlike"].iloc[head] == pytest.approx(rows[1:].mean(), abs=1e-6)


def test_one_head_is_unlike_nobody():
    table = aw.summarize(aw.AttentionMaps.from_arrays([run()[:1]], causal=True))
    assert np.isnan(table["unlike"]).all()


def test_cross_attention_in_order_is_aligned():
    steps = torch.zeros(1, 6, 8)
    steps[0, torch.arange(6), torch.arange(1, 7)] = 1
    maps = aw.AttentionMaps.from_arrays([steps], tokens=list("abcdef"), key_tokens=list("ABCDEFGH"), name="cross")
    table = aw.summarize(maps)
    assert table["monotonic"].item() == pytest.approx(float(aw.measures.monotonicity(maps)))
    assert "best aligned (1.00)" in standouts(maps)[0].reason
