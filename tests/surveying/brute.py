"""The same numbers the slow way: each text captured by itself, and numpy over all of them."""

from __future__ import annotations

import warnings

import numpy as np
import torch

import attnwidget as aw
from attnwidget.measures.table import head_measures


def numbers(model, tokenizer, texts, measures):
    """Numbers of every head of every text: [texts, layers, heads, measures]."""
    found = []
    for text in texts:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", aw.AttentionWarning)
            known = head_measures(aw.capture(model, text, tokenizer, progress=False, logits="none").maps)
        found.append(torch.stack([known[name].double() for name in measures], -1).numpy())
    return np.stack(found)


def mean(values):
    """Mean over texts of what is not NaN."""
    there = ~np.isnan(values)
    return np.where(there.any(0), np.nansum(values, 0) / np.maximum(there.sum(0), 1), np.nan)


def assert_same(survey, values, tolerance=1e-9):
    """A survey says what these numbers say: counts, means, spreads, ends."""
    deviation = np.full(values.shape[1:], np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        deviation = np.nanstd(values, 0, ddof=1)
        ends = np.nanmin(values, 0), np.nanmax(values, 0)
    for at, name in enumerate(survey.measures):
        np.testing.assert_array_equal(survey.arrays("count")[name], (~np.isnan(values[..., at])).sum(0), name)
        for statistic, wanted in (("mean", mean(values)), ("std", deviation), ("min", ends[0]), ("max", ends[1])):
            np.testing.assert_allclose(
                survey.arrays(statistic)[name], wanted[..., at], rtol=tolerance, atol=tolerance, err_msg=name
            )
