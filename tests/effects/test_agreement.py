"""Attention against attribution: SciPy's rank correlations over the keys that a query sees."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

import attnwidget as aw
from attnwidget.effects import Attribution, agreement
from attnwidget.tokens import Tokens

N = 8


def attributed(values, position=N - 1):
    tokens = Tokens.from_labels([f"t{i}" for i in range(len(values))])
    return Attribution(
        torch.as_tensor(values, dtype=torch.float32), tokens, "gradient", False, "a", "", position, 1.0, math.nan, ""
    )


@pytest.fixture
def maps():
    scores = torch.randn(3, 4, N, N, generator=torch.Generator().manual_seed(0))
    scores = scores.masked_fill(torch.ones(N, N).triu(1).bool(), -math.inf)
    return aw.AttentionMaps.from_arrays(scores.softmax(-1), layout="LHQK", causal=True)


@pytest.fixture
def values():
    return torch.tensor([3.0, 1, 4, 1, 5, 9, 2, 6])  # a tie


@pytest.mark.parametrize(("method", "scipys"), [("spearman", stats.spearmanr), ("kendall", stats.kendalltau)])
@pytest.mark.parametrize("query", [None, 4, 2])
def test_it_is_scipys_number_over_the_keys_that_the_query_sees(maps, values, method, scipys, query):
    found = agreement(maps, attributed(values), query=query, method=method)
    assert found.shape == (3, 4)
    row = N - 1 if query is None else query
    for layer in range(3):
        for head in range(4):
            seen = slice(0, row + 1)
            expected = scipys(maps.weights(layer, head)[row, seen].numpy(), values[seen].numpy()).statistic
            assert float(found[layer, head]) == pytest.approx(float(expected), abs=1e-6)


def test_attention_to_the_important_tokens_is_perfect_agreement(values):
    rows = values[values.argsort().argsort()].softmax(-1).expand(1, 2, N, N)
    maps = aw.AttentionMaps.from_arrays(rows, layout="LHQK")
    same = attributed(maps.weights(0, 0)[0])
    assert agreement(maps, same).tolist() == [[pytest.approx(1), pytest.approx(1)]]
    assert agreement(maps, replace(same, values=-same.values)).tolist() == [[pytest.approx(-1), pytest.approx(-1)]]


def test_tokens_are_left_out_by_their_kind_or_place(maps, values):
    found = agreement(maps, attributed(values), exclude_tokens=[0, 5])
    kept = np.array([1, 2, 3, 4, 6, 7])
    expected = stats.spearmanr(maps.weights(1, 2)[N - 1, kept].numpy(), values[kept].numpy()).statistic
    assert float(found[1, 2]) == pytest.approx(float(expected), abs=1e-6)
    special = aw.AttentionMaps(maps.layers, Tokens(tuple("abcdefgh"), special=(True, *[False] * 4, True, False, False)))
    torch.testing.assert_close(agreement(special, attributed(values), exclude_tokens="special"), found)


def test_what_has_no_order_has_no_agreement(maps, values):
    assert bool(agreement(maps, attributed(values), query=1).isnan().all())  # two keys
    assert bool(agreement(maps, attributed(torch.ones(N))).isnan().all())
    assert bool(agreement(maps, attributed(torch.ones(N)), method="kendall").isnan().all())
    holed = values.clone()
    holed[2] = math.nan
    assert bool(agreement(maps, attributed(holed)).isnan().all())
    assert bool(agreement(maps, attributed(holed), query=1).isnan().all())
    uniform = aw.AttentionMaps.from_arrays(torch.full((1, 1, N, N), 1 / N), layout="LHQK")
    assert bool(agreement(uniform, attributed(values)).isnan().all())


def test_a_capture_and_an_attribution_of_one_text_fit():
    model, tokenizer = aw.demo.load("storyteller")
    story = "Lily and Ben went to the park . Lily gave the ball to"
    maps = aw.capture(model, story, tokenizer).maps
    found = aw.effects.attribute(model, story, tokenizer, target="Ben")
    values = agreement(maps, found)
    assert values.shape == (4, 4)
    assert bool(values.isfinite().all())
    with pytest.raises(ValueError, match="the keys of the maps are other tokens"):
        agreement(aw.capture(model, story.replace("park", "lake"), tokenizer).maps, found)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda maps: agreement(maps, attributed(range(5))), ValueError, "8 keys and the attribution 5 tokens"),
        (lambda maps: agreement(maps, attributed(range(8), None)), ValueError, "about a class and no position"),
        (lambda maps: agreement(maps, attributed(range(8)), query=8), ValueError, "query names token 8"),
        (lambda maps: agreement(maps, attributed(range(8)), method="pearson"), ValueError, "method='pearson'"),
        (lambda maps: agreement(maps, torch.rand(8)), TypeError, "attribution is Tensor"),
        (lambda _: agreement(torch.rand(1, 1, 8, 8), attributed(range(8))), TypeError, "maps is Tensor"),
    ],
)
def test_bad_input_is_refused(maps, call, error, words):
    with pytest.raises(error, match=words):
        call(maps)
