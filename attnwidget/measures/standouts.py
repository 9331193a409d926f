"""Which heads are worth a look: those that do one thing more than all others, and enough of it to be told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

__all__ = ["REASONS", "Standout", "best_of", "standouts"]

MOST = 8


class Reason(NamedTuple):
    """A measure of which the head with most is worth a look, from a value on."""

    measure: str
    least: float
    why: str


# In the order in which people ask. The limits are those of labels (Clark et al. 2019) and sinks (Gu et al. 2025), where
# there are such; the others are what heads of random models stay below.
REASONS = (
    Reason("changed", 0.02, "changed most"),
    Reason("induction", 0.25, "strongest induction"),
    Reason("monotonic", 0.8, "best aligned"),
    Reason("picture", 0.5, "looks most at the picture"),
    Reason("previous", 0.5, "previous token"),
    Reason("duplicate", 0.25, "earlier copies of the token"),
    Reason("next", 0.5, "next token"),
    Reason("sink", 0.5, "strongest sink"),
    Reason("unlike", 0.2, "most unlike its layer"),
    Reason("diagonal", 0.5, "looks at itself"),
    Reason("receiver", 3.0, "few sentences get its attention"),
)


class Standout(NamedTuple):
    """A head that is worth a look.

    Attributes
    ----------
    map : str
        Name of its maps.
    layer, head : int
        Its numbers in the model.
    measures : tuple of str
        What it has most of, and enough; names as in `attnwidget.summarize`.
    values : tuple of float
        How much.
    reason : str
        The same in words.
    """

    map: str
    layer: int
    head: int
    measures: tuple[str, ...]
    values: tuple[float, ...]
    reason: str


def standouts(maps: Any, *, most: int = MOST) -> list[Standout]:
    """Heads that are worth a look, with the reason of each.

    Of each measure that says what a head does (induction, previous token, sink, unlike its layer ...) the head with
    most is named, where that is enough to be told from chance. A head that is first in several is named once.

    Parameters
    ----------
    maps : AttentionMaps, Capture, mapping of str to AttentionMaps, or the DataFrame of `attnwidget.summarize`
        What is looked at.
    most : int
        How many heads at most, 1 or more.

    Returns
    -------
    list of Standout
        Empty where nothing stands out: a text in which no token comes twice shows no induction.

    Raises
    ------
    TypeError
        When ``maps`` is something else.
    ValueError
        When ``most`` is below 1.

    Examples
    --------
    >>> for head in aw.measures.standouts(run):
    ...     print(f"layer {head.layer}, head {head.head}: {head.reason}")
    """
    import pandas as pd

    from attnwidget.measures.table import summarize

    if most < 1:
        raise ValueError(f"most={most}; expected 1 or more.")
    table = maps if isinstance(maps, pd.DataFrame) else summarize(maps, progress=False)
    if list(table.index.names) != ["map", "layer", "head"]:
        raise TypeError(f"this table has the index {list(table.index.names)}; expected that of attnwidget.summarize.")
    found = []
    for name, group in table.groupby(level="map", sort=False):
        columns = {measure: group[measure].to_numpy() for measure in group.columns}
        for at, named in best_of(columns).items():
            _, layer, head = group.index[at]
            values = tuple(value for _, value in named)
            words = "; ".join(f"{reason.why} ({value:.2f})" for reason, value in named)
            measures = tuple(reason.measure for reason, _ in named)
            found.append(Standout(str(name), int(layer), int(head), measures, values, words))
    return found[:most]


def best_of(columns: Mapping[str, Any], most: int = MOST) -> dict[int, list[tuple[Reason, float]]]:
    """Positions of the heads that have most of something, each with what that is and how much; in the order of reasons.

    Parameters
    ----------
    columns : mapping of str to array [heads]
        Measures of all heads; NaN where there is no number.
    """
    found: dict[int, list[tuple[Reason, float]]] = {}
    for reason in REASONS:
        values = np.asarray(columns.get(reason.measure, ()), dtype=float)
        if values.size == 0 or np.isnan(values).all():
            continue
        at = int(np.nanargmax(values))
        value = float(values[at])
        if value >= reason.least and not math.isnan(value) and (at in found or len(found) < most):
            found.setdefault(at, []).append((reason, value))
    return found
