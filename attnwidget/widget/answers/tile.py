"""Tile: a rectangle of one map, as the browser draws it.

Beside the codes of the cells go, for every row, the mass that is outside the map and the entropy. A tile that holds
whole rows, unpooled, is sent as the model made it, and the browser tempers it; any other tile is tempered here, before
pooling, so that what is shown is always exact; or it is read from an even spread of rows, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import torch

from attnwidget.layers import Layer, ProjectedLayer, check_factor
from attnwidget.maps import AttentionMaps
from attnwidget.pooling import Grid, Pooling, pool
from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.encoding import encode, float32

__all__ = ["asked_tile", "tile"]

LARGEST_TILE = 1024  # cells on a side: 2 MB of codes


def asked_tile(
    maps: AttentionMaps, rows: Sequence[int], columns: Sequence[int], whole: str | None = None, **wanted: Any
) -> Answer:
    """A tile as the browser asks for it; ``whole``, a "row" or the "map", is all there is now of it.

    That may be more than the browser knew when it asked.
    """
    if whole is not None:
        columns, wanted["width"] = (0, maps.n_keys), maps.n_keys
    if whole == "map":
        rows, wanted["height"] = (0, maps.n_queries), maps.n_queries
    (top, bottom), (left, right) = rows, columns
    return tile(maps, rows=(top, bottom), columns=(left, right), **wanted)


def tile(
    maps: AttentionMaps,
    layer: int,
    head: int,
    *,
    rows: tuple[int, int],
    columns: tuple[int, int],
    height: int,
    width: int,
    temperature: float = 1.0,
    scaling: float = 1.0,
    pooling: Pooling = "max",
    cells: int | None = None,
) -> Answer:
    """A rectangle of one map, in at most height x width cells.

    Parameters
    ----------
    maps : AttentionMaps
        Where the map is.
    layer, head : int
        Which map.
    rows, columns : tuple of int
        Half-open ranges of queries and keys.
    height, width : int
        Most cells wanted; beyond them cells are pooled.
    temperature, scaling : float
        Applied here unless the tile holds whole rows, unpooled, or no temperature can act on them.
    pooling : {"max", "mean"}
        What a pooled cell shows of the keys that may be seen: the largest weight, or the mean weight.
    cells : int or None
        How many cells of the map may be computed. Where the rectangle needs more (a weight needs the whole row),
        an even spread of the rows of each pooled cell is read instead of all, one at least.

    Returns
    -------
    Answer
        Buffers: codes uint16 [h, w], missing mass float32 [h], entropy in nats float32 [h]. Header ``sampled``: rows
        read of each pooled cell and rows that it has, None where all were read; ``work``: cells that reading all takes.

    Raises
    ------
    IndexError
        When there is no such head, or the rectangle lies outside the map.
    ValueError
        When the temperature, the scaling, the pooling or a size cannot be used.
    """
    source, heads = maps.locate(layer, head)
    _check_range("rows", rows, maps.n_queries)
    _check_range("columns", columns, maps.n_keys)
    check_factor(temperature, scaling)
    if min(height, width) < 1:
        raise ValueError(f"a tile of {height} x {width} cells cannot be drawn; expected 1 or more.")
    if pooling not in get_args(Pooling):
        raise ValueError(f"pooling={pooling!r}; expected one of {', '.join(map(repr, get_args(Pooling)))}.")
    if cells is not None and cells < 1:
        raise ValueError(f"cells={cells} leaves nothing to compute; expected 1 or more, or None for all.")
    # A single row is small however long it is.
    widest = maps.n_keys if rows[1] - rows[0] == 1 else LARGEST_TILE
    stride = (
        -(-(rows[1] - rows[0]) // min(height, LARGEST_TILE)),
        -(-(columns[1] - columns[0]) // min(width, widest)),
    )
    whole = stride == (1, 1) and columns == (0, maps.n_keys)
    tempered = not whole and source.tempers
    factor = scaling / temperature if tempered else 1.0
    work = _work(source, rows)
    read = stride[0] if cells is None else max(1, min(stride[0], stride[0] * cells // work))
    grid = Grid(rows, columns, stride, read)
    with torch.no_grad():
        pooled = pool(source, heads, grid, factor=factor, pooling=pooling)
        codes, low, step = encode(pooled.log_weights)
    header = {
        "rows": rows,
        "columns": columns,
        "stride": stride,
        "shape": grid.shape,
        "low": low,
        "step": step,
        "temperature": temperature if tempered else 1.0,
        "scaling": scaling if tempered else 1.0,
        "pooling": pooling,
        "sampled": (read, stride[0]) if grid.sampled else None,
        "work": work,
    }
    return Answer(header, [codes.tobytes(), float32(pooled.missing), float32(pooled.entropy)])


def _work(source: Layer, rows: tuple[int, int]) -> int:
    """Cells that must be computed for some rows: a causal query has no later keys."""
    n_keys = source.shape[2]
    if not isinstance(source, ProjectedLayer):
        return (rows[1] - rows[0]) * n_keys
    ends = [source.mask.span(slice(row, row + 1), n_keys) for row in (rows[0], rows[1] - 1)]
    seen: int = sum(span.stop - span.start for span in ends)
    return max(1, (rows[1] - rows[0]) * seen // 2)


def _check_range(name: str, bounds: tuple[int, int], size: int) -> None:
    start, stop = bounds
    if not 0 <= start < stop <= size:
        raise IndexError(f"{name} {start} to {stop} lie outside the map, which has {name} 0 to {size}.")
