"""One row of numbers for every head, from one walk over the maps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attnwidget.maps import AttentionMaps
from attnwidget.measures.alignment import expected_position, tau
from attnwidget.measures.numbers import NUMBERS, Known, numbers_of, row_numbers, what_to_read
from attnwidget.measures.patterns import token_numbers
from attnwidget.measures.pictured import PICTURE_ROWS, holds_pictures, picture_rows
from attnwidget.measures.receivers import UNKNOWN_RECEIVERS, Receiving
from attnwidget.measures.scores import SCORE_ROWS, UNKNOWN_SCORES, holds_scores
from attnwidget.measures.walk import Walk, mean_over_queries

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HEAD_MEASURES", "HeadMeasure", "head_measures", "measured", "summarize"]


@dataclass(frozen=True)
class HeadMeasure:
    """One number a head: how it is called, what it is measured in, and what it says."""

    label: str
    unit: str
    about: str


HEAD_MEASURES = {
    "entropy": HeadMeasure("Entropy", "nats", "How widely a query spreads its attention."),
    "normalized_entropy": HeadMeasure("Normalised entropy", "", "Entropy over its largest value; 1 is uniform."),
    "effective_keys": HeadMeasure("Effective keys", "keys", "How many keys a query looks at: exp of its entropy."),
    "confidence": HeadMeasure("Confidence", "", "Largest weight of a query."),
    "locality": HeadMeasure("Locality", "", "1 all on itself, 0 as a uniform head, negative farther."),
    "distance": HeadMeasure("Distance", "tokens", "How far a query looks."),
    "window": HeadMeasure("Near mass", "", "Attention at most 3 tokens away."),
    "diagonal": HeadMeasure("Diagonal", "", "Attention of a token to itself."),
    "previous": HeadMeasure("Previous token", "", "Attention to the token before."),
    "next": HeadMeasure("Next token", "", "Attention to the token after."),
    "first": HeadMeasure("First token", "", "Attention to the first token, from those after it."),
    "sparse": HeadMeasure("Sparsity", "", "Hoyer's measure: 1 on one key, 0 on all alike."),
    "duplicate": HeadMeasure("Duplicate token", "", "Attention to earlier copies of the token."),
    "induction": HeadMeasure("Induction", "", "Attention to what followed earlier copies of the token."),
    "unlike": HeadMeasure(
        "Unlike its layer", "nats", "How far it is from the mean of its layer's heads: Jensen-Shannon divergence."
    ),
    "monotonic": HeadMeasure("In order", "", "Whether the target goes through the source in order: Kendall's tau."),
    "sink": HeadMeasure("Sink", "", "Largest mean weight that one key gets."),
    "sink_key": HeadMeasure("Sink key", "position", "The key that gets it."),
    "outside": HeadMeasure("Outside", "", "Mass outside the map: learned sinks, or rows that were cut."),
    "receiver": HeadMeasure("Receiver", "", "Whether later sentences look at a few single ones: excess kurtosis."),
    "picture": HeadMeasure("On the picture", "", "Attention of what is no patch to the patches of all pictures."),
    "patches": HeadMeasure("Patches", "patches", "On how many patches that attention lies: exp of its entropy there."),
    "score_max": HeadMeasure("Largest score", "nats", "The largest score, as the softmax sees it."),
    "score_std": HeadMeasure("Score spread", "nats", "How far a query's scores spread: their standard deviation."),
    "lse": HeadMeasure("Log-sum-exp", "nats", "Log of what the softmax divides by, a learned sink's logit included."),
}


def measured(maps: AttentionMaps) -> dict[str, HeadMeasure]:
    """The numbers of `HEAD_MEASURES` that maps of this kind have."""
    unknown = {
        *(() if holds_scores(maps) else SCORE_ROWS),
        *(() if holds_two_texts(maps) else ("monotonic",)),
        *(() if Receiving(maps).known else ("receiver",)),
        *(() if holds_pictures(maps) else PICTURE_ROWS),
    }
    return {name: measure for name, measure in HEAD_MEASURES.items() if name not in unknown}


def holds_two_texts(maps: AttentionMaps) -> bool:
    """Whether queries and keys are tokens of two texts, as in cross-attention."""
    return maps.key_tokens is not maps.tokens and not maps.causal


def head_measures(maps: AttentionMaps, *, rows: Tensor | None = None, progress: bool = False) -> dict[str, Tensor]:
    """Every number of `HEAD_MEASURES` for every head, from one walk.

    Parameters
    ----------
    maps : AttentionMaps
        What is measured.
    rows : Tensor of int or None
        Read these rows only.
    progress : bool
        Show a progress bar where it takes long.

    Returns
    -------
    dict of Tensor [layers, heads]
        NaN where a number does not exist: positions in cross-attention, copies in bidirectional maps, scores of
        weights, sentences of a text that has few, patches without a picture, heads that a layer does not have.
    """
    walk = Walk(maps, rows=rows, trimmed=True, scored=True)
    ids = None
    if walk.causal and walk.n_queries == walk.n_keys:
        ids = token_numbers(maps.tokens, walk.n_queries).to(walk.device)
    known = Known(walk.first_key, walk.has_positions, walk.causal, ids, holds_scores(maps))
    measures, sums = what_to_read(NUMBERS, known)
    if holds_two_texts(maps):
        measures["position"] = expected_position
    if holds_pictures(maps):
        measures |= picture_rows(maps)
    receiving = Receiving(maps, rows)
    with walk.shown(progress=progress):
        found = walk.gather(measures, sums | (receiving.sums if receiving.known else {}))
    numbers = numbers_of(found, row_numbers(found), causal=walk.causal)
    numbers |= {name: mean_over_queries(found[name]) for name in PICTURE_ROWS if name in found}
    if receiving.known:
        numbers["receiver"] = receiving.score(found["receiver"])
    if "position" in found:
        numbers["monotonic"] = tau(found["position"], walk.n_keys)
    nothing = torch.full_like(numbers["entropy"], math.nan)
    return {name: numbers.get(name, nothing) for name in HEAD_MEASURES}


def summarize(maps: AttentionMaps | Mapping[str, AttentionMaps] | Any, *, progress: bool = True) -> pd.DataFrame:
    """Every number of every head as a table.

    Parameters
    ----------
    maps : AttentionMaps, Capture, or mapping of str to AttentionMaps
        What is measured. The rows of queries and keys that a capture holds are read once, in blocks.
    progress : bool
        Show a progress bar where it takes long.

    Returns
    -------
    pandas.DataFrame
        One row for each (map, layer, head), which are its index: the numbers that layers and heads have in the model.
        Means over the queries that have values; those that see one key, as the first of a causal map, count in
        entropy, confidence, distance and near mass, and not in what a single key decides: normalised entropy,
        patterns and sparsity. "picture" is the mass that queries which are no patches give to the patches among the
        keys, 0 to 1, and "patches" on how many of them it lies, 1 to their number: both are there where some maps have
        pictures. NaN where a number does not exist.
        ``attrs["units"]`` and ``attrs["about"]`` say of each column what it is measured in and what it means,
        ``attrs["unknown"]`` why a column has no numbers for maps of some name.

    Raises
    ------
    TypeError
        When ``maps`` is something else.

    Examples
    --------
    >>> table = aw.summarize(aw.capture(model, "A text.", tokenizer))
    >>> table.sort_values("induction", ascending=False).head()
    """
    import pandas as pd

    frames, unknown = [], {}
    held_maps = by_name(maps)
    shown = [name for name in HEAD_MEASURES if name not in PICTURE_ROWS or any(map(holds_pictures, held_maps.values()))]
    for name, one in held_maps.items():
        numbers = head_measures(one, progress=progress)
        reasons = [] if holds_scores(one) else [f"{', '.join(SCORE_ROWS)}: {UNKNOWN_SCORES}"]
        reasons += [] if Receiving(one).known else [f"receiver: {UNKNOWN_RECEIVERS}"]
        if reasons:
            unknown[name] = " ".join(reasons)
        held = [(layer, head) for layer, heads in enumerate(one.heads) for head in range(heads)]
        index = [(name, one.layer_numbers[layer], one.head_numbers[layer][head]) for layer, head in held]
        places = tuple(zip(*held, strict=True))
        columns = {measure: numbers[measure].detach().cpu()[places].numpy() for measure in shown}
        frames.append(pd.DataFrame(columns, index=pd.MultiIndex.from_tuples(index, names=["map", "layer", "head"])))
    table = pd.concat(frames)
    table.attrs["units"] = {name: HEAD_MEASURES[name].unit for name in shown}
    table.attrs["about"] = {name: HEAD_MEASURES[name].about for name in shown}
    table.attrs["unknown"] = unknown
    return table


def by_name(maps: Any) -> dict[str, AttentionMaps]:
    """Maps with their names, from whatever holds several; TypeError where nothing does."""
    if isinstance(maps, AttentionMaps):
        return {maps.name: maps}
    named = getattr(maps, "by_name", maps)
    if isinstance(named, Mapping) and named and all(isinstance(one, AttentionMaps) for one in named.values()):
        return dict(named)
    raise TypeError(
        f"maps is {type(maps).__name__}; expected AttentionMaps, a Capture, or a mapping of names to AttentionMaps. "
        "Matrices become maps with AttentionMaps.from_arrays(weights, layout='LHQK')."
    )
