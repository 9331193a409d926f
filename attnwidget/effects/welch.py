"""Welch: two groups of numbers compared place by place, and p-values corrected for how many places there are."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import special, stats

__all__ = ["FEWEST", "Group", "corrected", "welch", "welch_of"]

FEWEST = 2  # numbers of a group: one alone has no spread


class Group(NamedTuple):
    """A group of numbers in each place: how many, their mean, and their squared distances from it added up."""

    count: Any
    mean: Any
    squares: Any


def welch(a: Any, b: Any, confidence: float) -> dict[str, Any]:
    """Welch's test and Hedges' g of two groups [runs, layers, heads], NaN left out: of each [layers, heads]."""
    return welch_of(_group(a), _group(b), confidence)


def welch_of(a: Group, b: Group, confidence: float) -> dict[str, Any]:
    """The same of groups of which no more is known than this: of each [layers, heads]."""
    known = (a.count >= FEWEST) & (b.count >= FEWEST)
    n_a, n_b = (np.where(known, one.count, math.nan) for one in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        error_a, error_b = a.squares / (n_a - 1) / n_a, b.squares / (n_b - 1) / n_b
        error = error_a + error_b
        error = np.where(error > 0, error, math.nan)  # without any spread nothing is known of chance
        freedom = error**2 / (error_a**2 / (n_a - 1) + error_b**2 / (n_b - 1))
        difference = np.where(known, a.mean - b.mean, math.nan)
        half = stats.t.ppf((1 + confidence) / 2, freedom) * np.sqrt(error)
        both = n_a + n_b - 2
        spread = np.sqrt((a.squares + b.squares) / both)
        unbiased = np.exp(special.gammaln(both / 2) - special.gammaln((both - 1) / 2)) / np.sqrt(both / 2)
        return {
            "difference": difference,
            "low": difference - half,
            "high": difference + half,
            "effect_size": difference / np.where(spread > 0, spread, math.nan) * unbiased,
            "p": 2 * stats.t.sf(np.abs(difference) / np.sqrt(error), freedom),
            "mean_a": a.mean,
            "mean_b": b.mean,
            "count_a": a.count,
            "count_b": b.count,
        }


def _group(values: Any) -> Group:
    count = (~np.isnan(values)).sum(0)
    with np.errstate(invalid="ignore"):
        mean = np.nansum(values, 0) / np.where(count, count, math.nan)
        return Group(count, mean, _squares(values, mean))


def _squares(group: Any, mean: Any) -> Any:
    """Sum of squares about the mean; 0 where all are the same, which a rounded mean would hide."""
    alike = np.fmax.reduce(group, 0) == np.fmin.reduce(group, 0)
    return np.where(alike, 0, np.nansum((group - mean) ** 2, 0))


def corrected(p: Any, correction: str) -> Any:
    """P-values corrected for how many there are; NaN has no part."""
    known = ~np.isnan(p)
    found = np.full_like(p, math.nan)
    if not known.any():
        return found
    if correction == "fdr":
        found[known] = stats.false_discovery_control(p[known])
        return found
    values = p[known]
    order = values.argsort()
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)).clip(max=1)
    adjusted = np.empty_like(values)
    adjusted[order] = stepped
    found[known] = adjusted
    return found
