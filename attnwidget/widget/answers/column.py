"""Column: what every query of a head gives to one key."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attnwidget.layers import Layer, ProjectedLayer, blocks, check_factor, temper
from attnwidget.maps import AttentionMaps
from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.encoding import float32

__all__ = ["column"]

READ = 1 << 26  # cells of attention that are read for one column, a weight needing its whole row: half a second


def column(
    maps: AttentionMaps, layer: int, head: int, key: int, *, temperature: float = 1.0, scaling: float = 1.0
) -> Answer:
    """What every query gives to one key.

    Parameters
    ----------
    maps : AttentionMaps
        Where the head is.
    layer, head : int
        Which head.
    key : int
        The key that is looked at.
    temperature, scaling : float
        The weights are those of softmax(scores * scaling / temperature).

    Returns
    -------
    Answer
        Buffer: weights float32 [queries] in [0, 1], NaN where the query may not see the key, has no values, or was not
        read. Header ``read``: how many queries were read, all or an even spread of them.

    Raises
    ------
    IndexError
        When there is no such head or key.
    ValueError
        When temperature or scaling cannot be used.
    """
    source, heads = maps.locate(layer, head)
    if not 0 <= key < maps.n_keys:
        raise IndexError(f"key {key} does not exist: these maps have keys 0 to {maps.n_keys - 1}.")
    check_factor(temperature, scaling)
    # Of a causal map half the cells are there.
    n, most = maps.n_queries, max(2, READ // maps.n_keys * (1 + source.mask.causal))
    rows = torch.arange(n) if n <= most else torch.linspace(0, n - 1, most).round().long()
    weights = torch.full((n,), math.nan)
    with torch.no_grad():
        for part in blocks(len(rows), maps.n_keys):
            weights[rows[part]] = _paid(source, heads, rows[part], key, scaling / temperature).float().cpu()
    return Answer({"read": len(rows)}, [float32(weights)])


def _paid(source: Layer, heads: slice, rows: Tensor, key: int, factor: float) -> Tensor:
    """What some queries give to one key [rows]; NaN where they may not see it, or have no values."""
    keys = slice(0, source.shape[2])
    if isinstance(source, ProjectedLayer):
        keys = source.mask.span(rows, source.shape[2])
        if not keys.start <= key < keys.stop:
            return torch.full((len(rows),), math.nan)
        logs, _ = temper(*source.logits(heads, rows, keys), factor)
    else:
        logs, outside = source.log_weights(heads, rows)
        logs = logs if factor == 1 else temper(logs, outside, factor)[0]
    seen = source.visible(heads, rows)[0, :, key].to(logs.device)
    # A weight of 0 is one; in a row that has none at all it is not.
    empty = logs[0].amax(-1) == -math.inf
    return logs[0, :, key - keys.start].exp().masked_fill(empty | ~seen, math.nan)
