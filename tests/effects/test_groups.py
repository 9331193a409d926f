"""Two groups of runs: a planted difference is found with its sign, and chance is not taken for one."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from scipy import stats

import attnwidget as aw
from attnwidget.effects import groups

N = 6


def run(seed, sharper=None, n=N):
    """Maps of random heads, one of which may look at fewer keys."""
    scores = torch.randn(2, 3, n, n, generator=torch.Generator().manual_seed(seed))
    if sharper is not None:
        scores[sharper] *= 5
    return aw.AttentionMaps.from_arrays(scores.softmax(-1), layout="LHQK")


@cache
def stand_ins(layers, heads):
    """Maps that say nothing, made once."""
    even = torch.full((layers, heads, 2, 2), 0.5)
    return [aw.AttentionMaps.from_arrays(even, layout="LHQK") for _ in range(18)]


def compared(a, b, **options):
    """Groups whose numbers are known: [runs, layers, heads] each."""
    maps = stand_ins(*a.shape[1:])[: len(a) + len(b)]
    known = {id(one): torch.as_tensor(value) for one, value in zip(maps, [*a, *b], strict=True)}
    return groups(maps[: len(a)], maps[len(a) :], lambda one: known[id(one)], **options)


def test_a_planted_difference_is_found_with_its_sign():
    plain, sharp = [run(seed) for seed in range(10)], [run(seed, (1, 2)) for seed in range(10, 20)]
    found = groups(sharp, plain, "entropy")
    assert found.significant.nonzero().tolist() == [[1, 2]]
    assert float(found.difference[1, 2]) < float(found.high[1, 2]) < 0
    assert float(found.effect_size[1, 2]) < -2
    assert found.ranked[0] == (1, 2)
    table = found.to_frame()
    assert table.index[table["significant"]].tolist() == [(1, 2)]
    assert table.loc[(1, 2), "runs_a"] == 10
    assert "Holm" in table.attrs["correction"]
    assert repr(found) == "<GroupDifference in entropy, 10 against 10 runs, 2 layers x 3 heads: 1 significant (holm)>"


@pytest.mark.parametrize("correction", ["holm", "fdr"])
def test_where_there_is_none_at_most_one_in_twenty_finds_any(correction):
    alarms = 0
    for seed in range(200):
        numbers = np.random.default_rng(seed).normal(size=(16, 6, 8))
        alarms += bool(compared(numbers[:8], numbers[8:], correction=correction).significant.any())
    assert alarms <= 10


def test_each_head_is_welchs_test_and_hedges_g():
    generator = np.random.default_rng(0)
    a, b = generator.normal(1, 1, (7, 2, 3)), generator.normal(0, 3, (5, 2, 3))
    a[2:4, 0, 1] = math.nan
    found = compared(a, b, confidence=0.9)
    assert found.counts[0].tolist() == [[7, 5, 7], [7, 7, 7]]
    for place in np.ndindex(2, 3):
        one, other = a[:, *place][~np.isnan(a[:, *place])], b[:, *place]
        expected = stats.ttest_ind(one, other, equal_var=False)
        interval = expected.confidence_interval(0.9)
        assert float(found.p[place]) == pytest.approx(expected.pvalue)
        assert float(found.low[place]) == pytest.approx(interval.low)
        assert float(found.high[place]) == pytest.approx(interval.high)
        degrees = len(one) + len(other) - 2
        pooled = ((len(one) - 1) * one.var(ddof=1) + (len(other) - 1) * other.var(ddof=1)) / degrees
        g = (one.mean() - other.mean()) / math.sqrt(pooled) * (1 - 3 / (4 * degrees - 1))
        assert float(found.effect_size[place]) == pytest.approx(g, rel=2e-3)  # the factor by its usual approximation


def test_p_values_are_corrected_step_by_step():
    generator = np.random.default_rng(1)
    a, b = generator.normal(0.8, 1, (9, 2, 3)), generator.normal(0, 1, (9, 2, 3))
    holm, fdr = (compared(a, b, correction=one) for one in ("holm", "fdr"))
    values = np.sort(holm.p.numpy().ravel())
    by_hand = np.maximum.accumulate([min(1, one * (6 - i)) for i, one in enumerate(values)])
    assert np.sort(holm.corrected.numpy().ravel()) == pytest.approx(by_hand)
    assert fdr.corrected.numpy().ravel() == pytest.approx(stats.false_discovery_control(fdr.p.numpy().ravel()))
    assert bool((holm.corrected >= fdr.corrected).all())


def test_what_has_no_number_or_no_spread_is_nan_and_counts_nowhere():
    numbers = np.random.default_rng(0).normal(size=(8, 2, 3))
    numbers[:3, 0, 0] = math.nan  # one of four is left
    numbers[:, 1, 1] = 0.1
    found = compared(numbers[:4], numbers[4:])
    for values in (found.difference, found.p, found.corrected, found.effect_size):
        assert math.isnan(float(values[0, 0]))
    assert float(found.difference[1, 1]) == pytest.approx(0)
    assert math.isnan(float(found.p[1, 1]))
    assert int(found.counts[0][0, 0]) == 1
    assert float(found.means[0][0, 0]) == pytest.approx(numbers[3, 0, 0])
    assert float(found.corrected.nan_to_num().max()) <= 1
    smallest = float(found.p.nan_to_num(1).min())
    assert float(found.corrected.nan_to_num(1).min()) == pytest.approx(min(1, 4 * smallest))


def test_measures_come_by_name_as_functions_and_from_captures():
    runs = [run(seed, n=4 + seed) for seed in range(6)]
    by_name = groups(runs[:3], runs[3:], "entropy")
    by_function = groups(runs[:3], runs[3:], aw.measures.entropy)  # a number for each query
    torch.testing.assert_close(by_name.difference, by_function.difference, atol=1e-6, rtol=0)
    assert groups(runs[:3], runs[3:], "locality").measure == "locality"
    model, tokenizer = aw.demo.load("storyteller")
    texts = ["Lily was sad .", "Ben was happy .", "Lily and Ben went to the park .", "Ben gave the ball to Lily ."]
    captures = [aw.capture(model, text, tokenizer) for text in texts]
    found = groups(captures[:2], captures[2:], "previous")
    assert found.difference.shape == (4, 4)
    expected = aw.summarize(captures[0])["previous"].to_numpy() + aw.summarize(captures[1])["previous"].to_numpy()
    assert found.means[0].numpy().ravel() == pytest.approx(expected / 2, abs=1e-6)


RUNS = [run(0), run(1)]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: groups(RUNS[:1], RUNS, "entropy"), ValueError, "runs_a holds 1 runs; at least 2"),
        (lambda: groups(RUNS, RUNS[0], "entropy"), TypeError, "runs_b is AttentionMaps; expected a list"),
        (lambda: groups(RUNS, [1, 2], "entropy"), TypeError, "a run is int"),
        (lambda: groups(RUNS, RUNS, "magic"), ValueError, "measure='magic' is not known; expected entropy"),
        (lambda: groups(RUNS, RUNS, 3), TypeError, "measure is int"),
        (lambda: groups(RUNS, RUNS, lambda _: torch.rand(3)), ValueError, r"gives shape \[3\]; expected \[2, 3\]"),
        (lambda: groups(RUNS, RUNS, "entropy", confidence=1), ValueError, "confidence=1"),
        (lambda: groups(RUNS, RUNS, "entropy", correction="none"), ValueError, "correction='none'"),
        (
            lambda: groups(
                RUNS, [aw.AttentionMaps.from_arrays(torch.full((2, 2, 4, 4), 0.25), layout="LHQK")] * 2, "entropy"
            ),
            ValueError,
            "runs are of other layers or heads",
        ),
    ],
)
def test_bad_input_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
