"""What holds for every measure: the order of heads, padding, precision, and the caller's arrays do not matter."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnwidget import measures
from tests.make import matrices

SIZES = {"heads": st.integers(2, 4), "n": st.integers(6, 10), "seed": st.integers(0, 10**6), "causal": st.booleans()}


def dict_of(value: object) -> dict[str, Tensor]:
    return value if isinstance(value, dict) else {"": value}


# By head: [heads], or more axes after it.
BY_HEAD: dict[str, Callable[..., object]] = {
    "entropy": lambda a, **o: measures.entropy(a, reduce="queries", **o),
    "normalised entropy": lambda a, **o: measures.entropy(a, reduce="queries", normalize=True, **o),
    "locality": measures.locality,
    "distance": lambda a, **o: measures.locality(a, measure="distance", **o),
    "window": lambda a, **o: measures.locality(a, measure="window", window=1, **o),
    "pattern_scores": measures.pattern_scores,
    "small weights": lambda a, **o: {"": measures.pattern_scores(a, sparsity="share", **o)["sparse"]},
    "pattern_report": measures.pattern_report,
    "sinks": lambda a, **o: {k: v for k, v in measures.sinks(a, **o).items() if k in {"first", "top_score", "outside"}},
}
# All heads together.
TOGETHER: dict[str, Callable[..., object]] = {
    "js": measures.head_diversity,
    "cosine": lambda a, **o: measures.head_diversity(a, metric="cosine", **o),
    "euclidean": lambda a, **o: measures.head_diversity(a, metric="euclidean", **o),
    "joint": lambda a, **o: measures.head_diversity(a, metric="joint", **o),
    "rollout": lambda a, **o: measures.rollout(a[None], **o),
    "rollout of the largest": lambda a, **o: measures.rollout(a[None], fusion="max", **o),
    "relevance": lambda a, **o: measures.additive_relevance(a[None], **o),
}
ALL = BY_HEAD | TOGETHER


def padded(real: Tensor, side: str, pads: int, *, causal: bool) -> tuple[Tensor, Tensor, slice]:
    """Maps as eager transformers gives them for a padded text: padding queries look everywhere alike."""
    n = real.shape[-1]
    inside = slice(pads, pads + n) if side == "left" else slice(0, n)
    whole = torch.full((*real.shape[:-2], n + pads, n + pads), 1 / (n + pads), dtype=real.dtype)
    whole[..., inside, :] = 0
    whole[..., inside, inside] = real
    mask = torch.zeros(n + pads, n + pads, dtype=torch.bool)
    shown = torch.ones(n, n, dtype=torch.bool)
    mask[inside, inside] = shown.tril() if causal else shown
    return whole, mask, inside


@pytest.mark.parametrize("name", ALL)
@given(**SIZES)
@settings(deadline=None, max_examples=10)
def test_the_order_of_heads_only_orders_the_results(name, heads, n, seed, causal):
    weights = matrices(heads, n, n, seed=seed, causal=causal)
    order = torch.randperm(heads, generator=torch.Generator().manual_seed(seed))
    before, after = (dict_of(ALL[name](a, causal=causal)) for a in (weights, weights[order]))
    for key, value in before.items():
        expected = value[order] if name in BY_HEAD else value
        torch.testing.assert_close(after[key], expected, equal_nan=True)


@pytest.mark.parametrize("name", ALL)
@given(**SIZES, side=st.sampled_from(["left", "right"]), pads=st.integers(1, 4))
@settings(deadline=None, max_examples=10)
def test_trimming_padding_changes_nothing(name, heads, n, seed, causal, side, pads):  # noqa: PLR0917
    real = matrices(heads, n, n, seed=seed, causal=causal)
    whole, mask, inside = padded(real, side, pads, causal=causal)
    trimmed, found = dict_of(ALL[name](real, causal=causal)), dict_of(ALL[name](whole, mask=mask))
    for key, value in trimmed.items():
        kept = found[key]
        if name.startswith(("rollout", "relevance")):
            kept = kept[..., inside, inside]
        torch.testing.assert_close(kept, value, equal_nan=True)


@pytest.mark.parametrize("name", ALL)
@given(**SIZES)
@settings(deadline=None, max_examples=10)
def test_both_precisions_agree_and_stay_what_they_are(name, heads, n, seed, causal):
    exact = matrices(heads, n, n, seed=seed, causal=causal).double()
    exact = exact / exact.sum(-1, keepdim=True)
    single = dict_of(ALL[name](exact.float(), causal=causal))
    for key, value in dict_of(ALL[name](exact, causal=causal)).items():
        if value.is_floating_point():
            assert (value.dtype, single[key].dtype) == (torch.float64, torch.float32)
            torch.testing.assert_close(single[key].double(), value, atol=1e-5, rtol=1e-5, equal_nan=True)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", ["tensor", "array", "transposed", "bfloat16"])
def test_what_came_is_not_changed(name, kind):
    weights = matrices(3, 8, 8, causal=True)
    given_weights = {
        "tensor": weights,
        "array": weights.numpy(),
        "transposed": weights.mT.contiguous().mT,
        "bfloat16": weights.bfloat16(),
    }[kind]
    before = given_weights.copy() if kind == "array" else given_weights.clone()
    ALL[name](given_weights, causal=True)
    same = np.array_equal(before, given_weights) if kind == "array" else torch.equal(before, given_weights)
    assert same


@pytest.mark.parametrize("name", ALL)
def test_rows_of_half_precision_are_rescaled(name):
    weights = matrices(3, 8, 8, causal=True)
    exact, half = (dict_of(ALL[name](a, causal=True)) for a in (weights, weights.bfloat16()))
    for key, value in exact.items():
        if value.is_floating_point():
            torch.testing.assert_close(half[key], value, atol=2e-2, rtol=2e-2, equal_nan=True)


@given(n=st.integers(1, 64), seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_entropy_of_the_uniform_and_of_the_certain(n, seed):
    uniform = torch.ones(n, n).tril() / torch.arange(1, n + 1)[:, None]
    torch.testing.assert_close(measures.entropy(uniform, causal=True), torch.arange(1, n + 1).log())
    key = torch.randint(n, (n,), generator=torch.Generator().manual_seed(seed))
    certain = measures.entropy(torch.eye(n)[key])
    assert (certain == 0).all()
    assert not torch.signbit(certain).any()


@given(**SIZES)
@settings(deadline=None, max_examples=20)
def test_blocks_of_any_size_give_the_same(heads, n, seed, causal):
    weights = matrices(heads, n, n, seed=seed, causal=causal)
    rows = [measures.entropy(weights[:, row : row + 1], causal=causal and row == n - 1) for row in range(n)]
    assert measures.entropy(weights, causal=causal).allclose(torch.cat(rows, -1), atol=1e-6)


def test_nothing_invents_a_zero():
    weights = matrices(2, 6, 6, causal=True)
    weights[0] = 0
    for name, measure in BY_HEAD.items():
        for key, value in dict_of(measure(weights, causal=True)).items():
            if value.is_floating_point() and "max" not in key and "baseline" not in key:
                assert math.isnan(value[0]), (name, key)
