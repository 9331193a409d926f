"""Numbers of heads: what has to be read of every row for them, and what is made of that."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from attnwidget.measures.heads import row_unlike
from attnwidget.measures.information import over_largest
from attnwidget.measures.patterns import copy_rows, pattern_rows
from attnwidget.measures.rows import (
    SINK_SUMS,
    locality_score,
    row_distance,
    row_outside,
    row_window,
    sink_scores,
    uniform_distance,
)
from attnwidget.measures.scores import SCORE_ROWS, largest
from attnwidget.measures.walk import Measure, mean_over_queries

__all__ = ["NUMBERS", "SINKS", "Known", "numbers_of", "row_numbers", "what_to_read"]

WINDOW = 3
PLACED = ("distance", "uniform_distance", "window", "diagonal", "previous", "next", "first")  # of rows with a position
COPIES = ("duplicate", "induction")
SINKS = ("sink", "sink_key")

# Of each number the rows it is made of; sinks are made of sums over rows.
_MADE_OF = {
    "entropy": ("entropy",),
    "normalized_entropy": ("entropy", "count"),
    "effective_keys": ("entropy",),
    "confidence": ("confidence",),
    "locality": ("distance", "uniform_distance"),
    "distance": ("distance",),
    "window": ("window",),
    "diagonal": ("diagonal",),
    "previous": ("previous",),
    "next": ("next",),
    "first": ("first",),
    "sparse": ("sparse",),
    "duplicate": ("duplicate",),
    "induction": ("induction",),
    "unlike": ("unlike",),
    "sink": (),
    "sink_key": (),
    "outside": ("outside",),
    "score_max": ("score_max",),
    "score_std": ("score_std",),
    "lse": ("lse",),
}
NUMBERS = tuple(_MADE_OF)  # all that rows of attention alone tell


@dataclass(frozen=True)
class Known:
    """What is known of attention before its rows are read.

    Parameters
    ----------
    first : Tensor of int [..., 1]
        Position of the first key that anybody sees.
    positions : bool
        Whether every query has a position among the keys.
    causal : bool
        Whether no query sees a later key.
    ids : Tensor of int [..., tokens] or None
        A number for each position, equal where the same token stands; None where copies do not exist.
    scores : bool
        Whether blocks of rows come with their scores.
    """

    first: Tensor
    positions: bool
    causal: bool
    ids: Tensor | None
    scores: bool


def what_to_read(names: Collection[str], known: Known) -> tuple[dict[str, Measure], dict[str, Measure]]:
    """What has to be read for some of `NUMBERS`: one number a row, and sums over rows; less what does not exist."""
    patterns = pattern_rows(known.first)
    there: dict[str, Measure] = {
        "entropy": lambda block: block.entropy,
        "count": lambda block: block.count.expand_as(block.total),
        "confidence": lambda block: block.top,
        "outside": row_outside,
        "unlike": row_unlike,
        "sparse": patterns["sparse"],
    }
    if known.positions:
        there |= {"distance": row_distance, "uniform_distance": uniform_distance}
        there["window"] = lambda block: row_window(block, WINDOW)
        there |= {name: patterns[name] for name in ("diagonal", "previous", "next", "first")}
    if known.ids is not None:
        copies = copy_rows(known.ids)
        there |= {name: copies[name] for name in COPIES}
    if known.scores:
        there |= SCORE_ROWS
    wanted = {part for name in names for part in _MADE_OF[name]}
    sums = SINK_SUMS if set(names) & set(SINKS) else {}
    return {name: measure for name, measure in there.items() if name in wanted}, dict(sums)


def row_numbers(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Numbers of each row [..., queries], of what was read of them: those of `NUMBERS` that a row has by itself."""
    rows = {name: value for name, value in found.items() if name in _MADE_OF}
    if "entropy" in found:
        rows["effective_keys"] = found["entropy"].exp()
    if "count" in found:
        rows["normalized_entropy"] = over_largest(found["entropy"], found["count"])
    return rows


def numbers_of(found: dict[str, Tensor], rows: dict[str, Tensor], *, causal: bool) -> dict[str, Tensor]:
    """Numbers of each head [...]: means over its rows, and what is made of sums.

    Parameters
    ----------
    found : dict of Tensor
        What was read: [..., queries], and sums [..., keys].
    rows : dict of Tensor [..., queries]
        `row_numbers` of it.
    causal : bool
        Whether no query sees a later key.
    """
    numbers = {"score_max": largest(rows["score_max"])} if "score_max" in rows else {}
    names = [name for name in rows if name not in numbers]
    if names:  # one mean of all of them: on short texts it is calls that take the time
        whole = max((rows[name] for name in names), key=Tensor.numel)  # some are the same for all heads
        means = mean_over_queries(torch.stack([rows[name].expand_as(whole) for name in names]))
        numbers |= dict(zip(names, means, strict=True))
    if "uniform_distance" in found:
        numbers["locality"] = locality_score(numbers["distance"], mean_over_queries(found["uniform_distance"]))
    if "mass" in found:
        score = sink_scores(found["mass"], found["seen"], found["passed"] if causal else None)
        top, key = score.nan_to_num(-1).max(-1)
        numbers["sink"] = top.masked_fill(top < 0, math.nan)
        numbers["sink_key"] = key.to(top.dtype).masked_fill(top < 0, torch.nan)
    return numbers
