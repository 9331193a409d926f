"""Plane: queries and keys of one head, or of all heads of a layer, as points."""

from __future__ import annotations

import torch
from torch import Tensor

from attnwidget.maps import AttentionMaps
from attnwidget.measures.plane import plane
from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.encoding import float32

__all__ = ["planes"]

MOST = 2048  # queries, and keys, of one head
OF_ALL = 1 << 14  # of all heads of a layer together
FEWEST = 64


def planes(maps: AttentionMaps, layer: int, head: int | None = None) -> Answer:
    """Where queries and keys stand, as `attnwidget.measures.plane` places them.

    Returns
    -------
    Answer
        Buffers: queries float32 [heads, points, 2], keys float32 [heads, points, 2], the correlation of each head
        float32 [heads], and the positions of the points, int32 [points] each. Header: ``first`` and ``heads``, which
        heads these are; ``queries`` and ``keys``, how many points; ``pairs`` of each head, on which the correlation
        was measured, and ``sampled``, whether these are not all. Of long maps an even spread of the tokens.

    Raises
    ------
    IndexError
        When there is no such head.
    ValueError
        When the map was given as weights.
    """
    first, heads = (0, maps.heads[layer]) if head is None else (head, 1)
    maps.locate(layer, first)
    most = MOST if head is not None else min(MOST, max(FEWEST, OF_ALL // max(1, heads)))
    queries, keys = _places(maps.n_queries, most), _places(maps.n_keys, most)
    found = [plane(maps, layer, number) for number in range(first, first + heads)]
    header = {
        "first": first,
        "heads": heads,
        "queries": len(queries),
        "keys": len(keys),
        "pairs": [one.pairs for one in found],
        "sampled": any(one.sampled for one in found),
    }
    return Answer(
        header,
        [
            float32(torch.stack([one.queries[queries] for one in found])),
            float32(torch.stack([one.keys[keys] for one in found])),
            float32(torch.tensor([one.correlation for one in found])),
            queries.numpy().astype("<i4").tobytes(),
            keys.numpy().astype("<i4").tobytes(),
        ],
    )


def _places(n: int, most: int) -> Tensor:
    return torch.arange(n) if n <= most else torch.linspace(0, n - 1, most).round().long()
