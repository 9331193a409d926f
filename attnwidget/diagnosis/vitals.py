"""Vitals: what is measured of a layer before anything is judged."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from attnwidget.diagnosis.projection import Projection, projection_of
from attnwidget.intake import AttentionWarning
from attnwidget.layers import DenseLayer, Layer, blocks
from attnwidget.maps import AttentionMaps
from attnwidget.measures.heads import divergences
from attnwidget.measures.information import over_largest
from attnwidget.measures.rows import mass_received, sink_scores, times_seen
from attnwidget.measures.walk import Measure, Rows, Walk, mean_over_queries

__all__ = ["Vitals", "vitals_of"]

LOWEST = -104.0  # log of the least number above 0 in float32
FEW = 4  # keys; fewer say little of how scores spread
COMPARED_ROWS = 64  # heads are compared with one another, and layers with the next, on so many rows


@dataclass(frozen=True)
class Vitals:
    """What was measured of one layer; tensors are [heads] unless it says more, on the CPU."""

    rows: int  # that were read
    without_values: Tensor  # rows that hold NaN
    masked: Tensor  # rows that see no key, or give nothing to any
    padding_rows: Tensor  # of those, rows of tokens that no head looks at, and that look at nothing in any
    masked_first: Tensor  # of those that are no padding, how many stand in front of all others
    normalized_entropy: Tensor
    confidence: Tensor  # mean of the largest weight
    row_sums: Tensor  # [heads, 3]: least, mean, largest
    zeros: Tensor  # share of visible cells that are exactly 0
    later: Tensor  # most mass of a row on keys after the query; NaN without positions
    hidden_later: Tensor  # most mass of a row on later keys that the mask hides
    hidden_padding: Tensor  # most mass of a row on keys that the mask hides from everyone
    column_sums: Tensor  # largest distance of a column's sum from 1
    sink: Tensor  # [heads, keys]: mean weight of a key that most queries see, from those with a choice; else NaN
    open_lack: Tensor  # mean mass that rows lack which give something to every key; NaN where there is none
    shut_lack: Tensor  # mean mass that rows lack which give nothing to some keys; NaN where there is none
    ignored: Tensor  # keys that get exactly nothing from all rows
    spread: Tensor  # standard deviation of a row's scores, from its log-weights
    change: Tensor  # of a row's scores from one query to the next, over their spread; NaN where rows share few keys
    twice: Tensor  # least weight that a softmax before the softmax can have given: below 0, there was none
    divergence: Tensor  # [heads, heads]: Jensen-Shannon, in nats
    mean_rows: Tensor  # [rows, keys]: mean over heads, of the rows that are compared
    reach: tuple[int, int] | None  # least and largest of last visible key - query; None without positions
    upside_down: bool  # the mask shows later keys and hides earlier ones
    projection: Projection | None

    def with_projection(self, projection: Projection | None) -> Vitals:
        """The same vitals, with what is known of queries and keys."""
        return replace(self, projection=projection)


def vitals_of(maps: AttentionMaps, layer: int, *, rows: Tensor | None = None) -> Vitals:
    """Measure one layer.

    Parameters
    ----------
    maps : AttentionMaps
        The maps.
    layer : int
        Which layer.
    rows : Tensor of int or None
        Read these rows only.
    """
    held = maps.layers[layer]
    alone = AttentionMaps([held], maps.tokens, maps.key_tokens)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AttentionWarning)  # what is wrong becomes a finding
        walk = Walk(alone, rows=rows, trimmed=True)
        found = {name: value[0].cpu() for name, value in walk.gather(_measures(walk), _SUMS).items()}
        # Where few rows are read, comparing many would be the larger part of the work.
        compared = _even_rows(maps.n_queries, COMPARED_ROWS if rows is None else max(16, len(rows) // 2))
        weights, counted = _compared_rows(alone, compared)
    hidden = _hidden_mass(alone, rows)
    reach, upside_down = _mask_shape(walk, alone)
    nan = found["total"].isnan()
    masked = found["masked"].bool()
    silent = masked | (found["total"] == 0)
    sums = (found["total"] + hidden.of_rows).masked_fill(masked | nan | (found["total"] == 0), math.nan)
    read = torch.arange(maps.n_queries) if rows is None else rows
    padding = _padding(found, silent, read) if maps.n_queries == maps.n_keys else torch.zeros_like(silent[0])
    lacking = (1 - sums).masked_fill(found["reached"].isnan(), math.nan)
    everywhere = found["reached"] == maps.n_keys
    spread, change, twice = _of_scores(held, counted, compared)
    return Vitals(
        rows=len(read),
        without_values=nan.sum(-1),
        masked=silent.sum(-1),
        padding_rows=(silent & padding).sum(-1),
        masked_first=(silent & ~padding).long().cumprod(-1).sum(-1),
        normalized_entropy=mean_over_queries(found["entropy"]),
        confidence=mean_over_queries(found["confidence"]),
        row_sums=torch.stack([_least(sums), mean_over_queries(sums), -_least(-sums)], -1),
        zeros=mean_over_queries(found["zeros"]),
        later=-_least(-found["later"]) if walk.has_positions else torch.full((held.shape[0],), math.nan),
        column_sums=(found["mass"] + hidden.of_columns - 1).abs().amax(-1)
        if rows is None
        else torch.full((held.shape[0],), math.nan),
        sink=_sink(found),
        projection=projection_of(held, rows),
        hidden_later=hidden.later,
        hidden_padding=hidden.padding,
        reach=reach,
        upside_down=upside_down,
        open_lack=mean_over_queries(lacking.masked_fill(~everywhere, math.nan)),
        shut_lack=mean_over_queries(lacking.masked_fill(everywhere, math.nan)),
        ignored=(found["mass"] == 0).sum(-1),
        spread=spread,
        change=change,
        twice=twice,
        divergence=_divergence(weights, counted),
        mean_rows=weights.mean(0).masked_fill(~counted.all(0)[:, None], math.nan),
    )


def _padding(found: dict[str, Tensor], silent: Tensor, read: Tensor) -> Tensor:
    """Rows that are read of tokens that are padding: they look at nothing, and no query looks at them, in any head."""
    alone = (found["mass"] == 0).all(0)
    # Somebody must look at something: where nothing is seen at all, everything is masked.
    return silent.all(0) & alone[read] & ~alone.all()


def _with_a_choice(rows: Rows) -> Rows:
    """Rows that see one key made rows without values."""
    return replace(rows, weights=rows.weights.masked_fill((rows.count <= 1)[..., None], math.nan))


_SUMS: dict[str, Measure] = {
    "mass": mass_received,
    "seen": times_seen,
    "chosen": lambda rows: mass_received(_with_a_choice(rows)),
    "choosing": lambda rows: times_seen(_with_a_choice(rows)),
}


def _sink(found: dict[str, Tensor]) -> Tensor:
    """Mean weight of every key that at least half of the queries with a choice can see."""
    score = sink_scores(found["chosen"], found["choosing"])
    return score.masked_fill(2 * found["choosing"] < found["choosing"].amax(-1, keepdim=True), math.nan)


def _measures(walk: Walk) -> dict[str, Measure]:
    def informative(rows: Rows, value: Tensor) -> Tensor:
        return value.masked_fill(rows.count <= 1, math.nan)

    measures: dict[str, Measure] = {
        "total": lambda rows: rows.total,
        "masked": lambda rows: (rows.count == 0).to(rows.total).expand_as(rows.total),
        "entropy": lambda rows: over_largest(rows.entropy, rows.count),
        "confidence": lambda rows: informative(rows, rows.weights.amax(-1)),
        "reached": lambda rows: (rows.weights > 0).sum(-1).to(rows.total).masked_fill(rows.without, math.nan),
        "zeros": lambda rows: informative(rows, (rows.visible & (rows.weights == 0)).sum(-1) / rows.count),
    }
    if walk.has_positions:
        measures["later"] = lambda rows: rows.weights.masked_fill(
            (rows.key <= rows.query) & ~rows.weights.isnan(), 0
        ).sum(-1)
    return measures


def _least(values: Tensor) -> Tensor:
    least = values.nan_to_num(math.inf).amin(-1)
    return least.masked_fill(least == math.inf, math.nan)


def _compared_rows(alone: AttentionMaps, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of all heads side by side [heads, rows, keys], and which have values to compare."""
    found = list(Walk(alone, rows=wanted))
    weights = torch.cat([block.weights.float().cpu() for block in found], -2)
    counted = torch.cat([(~block.weights[..., 0].isnan() & (block.count > 1)).cpu() for block in found], -1)
    return weights, counted


def _divergence(weights: Tensor, counted: Tensor) -> Tensor:
    """Mean Jensen-Shannon divergence of the rows that two heads share: [heads, heads]; NaN where they share none."""
    shared = counted.float() @ counted.float().transpose(-1, -2)
    return divergences(weights, counted) / shared.masked_fill(shared == 0, math.nan)


def _of_scores(held: Layer, counted: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What log-weights say of the scores of some rows, which they are but for a constant of each: [heads] each.

    Their standard deviation in a row, how much of it changes from one row to the next, and the least weight of the
    softmax before this one, if there was one: log-weights would then be its weights, and these sum to 1.
    """
    log_weights = held.log_weights(slice(0, held.shape[0]), wanted)[0].float().cpu()
    there = log_weights.isfinite()
    number = there.sum(-1)
    apart, deviation = _centred(log_weights, there)
    first = (apart + 1 / number[..., None]).masked_fill(~there, math.inf).amin(-1)
    first = first.masked_fill(~counted | (number < FEW), math.nan)
    # A given row that is exactly one-hot has lost its scores below what float32 holds.
    spread = mean_over_queries(deviation.masked_fill(number == 1, -LOWEST).masked_fill(~counted, math.nan))
    both = there[:, 1:] & there[:, :-1]
    (one, size), (other, _) = _centred(log_weights[:, 1:], both), _centred(log_weights[:, :-1], both)
    _, moved = _centred(one - other, both)
    change = (moved / size).masked_fill((both.sum(-1) < FEW) | (size == 0), math.nan)
    return spread, change.nanmedian(-1).values if change.shape[-1] else torch.full_like(spread, math.nan), _least(first)


def _centred(values: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Values about the mean of those that are there, 0 elsewhere, and their standard deviation [..., rows]."""
    number = there.sum(-1)
    values = values.masked_fill(~there, 0)
    apart = (values - (values.sum(-1) / number)[..., None]).masked_fill(~there, 0)
    return apart, (apart.square().sum(-1) / number).sqrt()


def _even_rows(n_queries: int, most: int = COMPARED_ROWS) -> Tensor:
    return torch.linspace(0, n_queries - 1, min(COMPARED_ROWS, most, n_queries)).round().long()


@dataclass(frozen=True)
class _Hidden:
    """Mass that a given matrix puts on keys that the mask hides; what is made from q and k has none."""

    of_rows: Tensor | float = 0.0  # [heads, rows]
    of_columns: Tensor | float = 0.0  # [heads, keys]
    later: Tensor = field(default_factory=lambda: torch.zeros(1))  # [heads], most of a row
    padding: Tensor = field(default_factory=lambda: torch.zeros(1))  # [heads], most of a row, where nobody may look


def _hidden_mass(alone: AttentionMaps, rows: Tensor | None) -> _Hidden:
    held = alone.layers[0]
    heads, n_queries, n_keys = held.shape
    if not isinstance(held, DenseLayer) or (held.mask.additive is None and not held.mask.causal):
        return _Hidden(later=torch.zeros(heads), padding=torch.zeros(heads))
    every = slice(0, heads)
    read = [*blocks(n_queries, heads * n_keys)] if rows is None else [rows]
    nobody = torch.ones(n_keys, dtype=torch.bool, device=held.matrix.device)
    for part in read:
        nobody &= ~held.visible(every, part).any(0).any(0)
    key = torch.arange(n_keys, device=nobody.device)
    of_rows, later, padding = [], [], []
    of_columns = torch.zeros(heads, n_keys, device=nobody.device)
    for part in read:
        seen = held.visible(every, part)
        hidden = held.weights(every, part).nan_to_num(0).float().masked_fill(seen, 0)
        hidden = hidden * seen.any(-1, keepdim=True)  # a row that sees nothing has a finding of its own
        position = (torch.arange(part.start, part.stop) if isinstance(part, slice) else part).to(key.device)
        after = (key > position[:, None] + held.mask.offset) & ~nobody
        of_rows.append(hidden.sum(-1))
        of_columns += hidden.sum(-2)
        later.append((hidden * after).sum(-1))
        padding.append(hidden[..., nobody].sum(-1))
    most = [torch.cat(parts, -1).amax(-1).cpu() for parts in (later, padding)]
    return _Hidden(torch.cat(of_rows, -1).cpu(), of_columns.cpu(), *most)


def _mask_shape(walk: Walk, alone: AttentionMaps) -> tuple[tuple[int, int] | None, bool]:
    """How far past its own position a query sees, by the mask alone, and whether it sees later keys only."""
    held = alone.layers[0]
    n_queries, n_keys = held.shape[1:]
    if not walk.has_positions or held.mask.additive is None or n_queries < 4:
        return None, False
    wanted = _even_rows(n_queries)
    visible = held.visible(slice(0, 1), wanted)[0].cpu()
    key, position = torch.arange(n_keys), wanted[:, None] + held.mask.offset
    banded = not bool((visible | (key > position))[:-1].all())
    earlier, after = (visible & (key < position)).any(), (visible & (key > position)).any(-1)
    # The last row has no later key, and says nothing.
    inner = visible[:-1].any(-1)
    last = torch.where(visible, key, -1).amax(-1)[:-1][inner] - wanted[:-1][inner] - held.mask.offset
    # A band around the diagonal sees later keys on purpose.
    reach = (int(last.min()), int(last.max())) if len(last) and not banded else None
    return reach, bool(after[:-1].any()) and not bool(earlier)
