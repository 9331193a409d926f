"""Welch: two groups of numbers compared place by place, and p-values corrected for how many places there are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special, stats

__all__ = ["FEWEST", "corrected", "welch"]

FEWEST = 2  # numbers of a group: one alone has no spread


def welch(a: Any, b: Any, confidence: float) -> dict[str, Any]:
    """Welch's test and Hedges' g of two groups [runs, layers, heads], NaN left out: of each [layers, heads]."""
    counts = [(~np.isnan(one)).sum(0) for one in (a, b)]
    known = (counts[0] >= FEWEST) & (counts[1] >= FEWEST)
    n_a, n_b = (np.where(known, count, math.nan) for count in counts)
    mean_a, mean_b = (
        np.nansum(one, 0) / np.where(count, count, math.nan) for one, count in zip((a, b), counts, strict=True)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        squares_a, squares_b = _squares(a, mean_a), _squares(b, mean_b)
        error_a, error_b = squares_a / (n_a - 1) / n_a, squares_b / (n_b - 1) / n_b
        error = error_a + error_b
        error = np.where(error > 0, error, math.nan)  # without any spread nothing is known of chance
        freedom = error**2 / (error_a**2 / (n_a - 1) + error_b**2 / (n_b - 1))
        difference = np.where(known, mean_a - mean_b, math.nan)
        half = stats.t.ppf((1 + confidence) / 2, freedom) * np.sqrt(error)
        both = n_a + n_b - 2
        spread = np.sqrt((squares_a + squares_b) / both)
        unbiased = np.exp(special.gammaln(both / 2) - special.gammaln((both - 1) / 2)) / np.sqrt(both / 2)
        return {
            "difference": difference,
            "low": difference - half,
            "high": difference + half,
            "effect_size": difference / np.where(spread > 0, spread, math.nan) * unbiased,
            "p": 2 * stats.t.sf(np.abs(difference) / np.sqrt(error), freedom),
            "mean_a": mean_a,
            "mean_b": mean_b,
            "count_a": counts[0],
            "count_b": counts[1],
        }


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
