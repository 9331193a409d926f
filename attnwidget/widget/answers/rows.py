"""Rows: what one query gives to every key, in every head of a layer."""

from __future__ import annotations

import operator

import torch
from torch.nn.functional import pad

from attnwidget.maps import AttentionMaps
from attnwidget.widget.answers.answer import Answer

__all__ = ["rows"]

MOST_CELLS = 1024


def rows(maps: AttentionMaps, layer: int, query: int) -> Answer:
    """One query's row in every head of a layer, as the model has it: no temperature, no scaling.

    Parameters
    ----------
    maps : AttentionMaps
        Whose rows.
    layer, query : int
        Which.

    Returns
    -------
    Answer
        Header ``layer``, ``query``, ``heads``; ``stride``, how many keys a cell stands for; ``shape`` (heads, cells),
        at most 1,024 cells; ``peak``, the largest weight of each head's row, 0 where it has no values. Buffer: uint16
        [heads, cells], 65535 * sqrt(the largest weight among a cell's keys); masked keys and rows without values are 0.

    Raises
    ------
    ValueError
        When there is no such query.
    """
    query = operator.index(query)
    if not 0 <= query < maps.n_queries:
        raise ValueError(f"query {query} was asked for; they go from 0 to {maps.n_queries - 1}.")
    source, _ = maps.locate(layer, 0)
    n_heads, _, n_keys = source.shape
    row = source.weights(slice(0, n_heads), slice(query, query + 1))[:, 0].float().nan_to_num(0).clamp(0, 1).cpu()
    stride = max(1, -(-n_keys // MOST_CELLS))
    cells = pad(row, (0, -n_keys % stride)).reshape(n_heads, -1, stride).amax(-1)
    codes = (cells.sqrt() * 65535).round().to(torch.int32).numpy().astype("<u2")
    header = {"layer": layer, "query": query, "heads": n_heads, "stride": stride, "shape": tuple(cells.shape)}
    return Answer(header | {"peak": row.amax(-1).tolist()}, [codes.tobytes()])
