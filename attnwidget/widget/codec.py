"""Codec: maps to the bytes that the browser draws. Every answer is a header and a list of buffers.

A tile is a rectangle of one map. Its codes are unsigned 16-bit, little-endian: log-weight = low + code * step, and
65535 where a key is masked. Beside them go, for every row, the mass that is outside the map and the entropy. A tile
that holds whole rows, unpooled, is sent as the model made it, and the browser tempers it; any other tile is tempered
here, before pooling, so that what is shown is always exact; or it is read from an even spread of rows, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, get_args

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from attnwidget.layers import Layer, ProjectedLayer, blocks, check_factor
from attnwidget.maps import AttentionMaps
from attnwidget.measures.rows import row_entropy
from attnwidget.widget.pooling import Grid, Pooling, pool

__all__ = ["PICTURED", "Answer", "even_rows", "profile", "thumbnails", "tile"]

MASKED = 0xFFFF
LARGEST_TILE = 1024  # cells on a side: 2 MB of codes
THUMBNAIL = 64
LONG = 1024  # maps with more rows than that are read in part by what looks at all heads
FEWEST_ROWS = 32
PICTURED = 1 << 24  # cells that thumbnails and profiles read of all heads of a layer: a fifth of a second


@dataclass(frozen=True)
class Answer:
    """What goes back to the browser."""

    header: dict[str, Any]
    buffers: list[bytes] = field(default_factory=list)


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
        Applied here unless the tile holds whole rows, unpooled.
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
    factor = 1.0 if whole else scaling / temperature
    work = _work(source, rows)
    read = stride[0] if cells is None else max(1, min(stride[0], stride[0] * cells // work))
    grid = Grid(rows, columns, stride, read)
    with torch.no_grad():
        pooled = pool(source, heads, grid, factor=factor, pooling=pooling)
        codes, low, step = _encode(pooled.log_weights)
    header = {
        "rows": rows,
        "columns": columns,
        "stride": stride,
        "shape": grid.shape,
        "low": low,
        "step": step,
        "temperature": 1.0 if whole else temperature,
        "scaling": 1.0 if whole else scaling,
        "pooling": pooling,
        "sampled": (read, stride[0]) if grid.sampled else None,
        "work": work,
    }
    return Answer(header, [codes, _float32(pooled.missing), _float32(pooled.entropy)])


def _work(source: Layer, rows: tuple[int, int]) -> int:
    """Cells that must be computed for some rows: a causal query has no later keys."""
    n_keys = source.shape[2]
    if not isinstance(source, ProjectedLayer):
        return (rows[1] - rows[0]) * n_keys
    ends = [source.mask.span(slice(row, row + 1), n_keys) for row in (rows[0], rows[1] - 1)]
    seen: int = sum(span.stop - span.start for span in ends)
    return max(1, (rows[1] - rows[0]) * seen // 2)


def profile(maps: AttentionMaps, layer: int) -> Answer:
    """Mean entropy of every head of a layer.

    Returns
    -------
    Answer
        Header ``uniform``: the mean entropy of a head that attends uniformly. Buffer: entropy in nats, float32
        [heads], NaN where no row has one.
    """
    source, _ = maps.locate(layer, 0)
    n_heads = source.shape[0]
    heads = slice(0, n_heads)
    values, ceilings = [], []
    device = torch.device("cpu")
    for rows in _blocks(maps, source):
        value = row_entropy(source.weights(heads, rows)).to(device)
        ceiling = source.visible(heads, rows).sum(-1).to(device).float().log().expand_as(value)
        values.append(value)
        ceilings.append(ceiling.masked_fill(value.isnan(), math.nan))  # of the rows that have an entropy
    uniform = torch.cat(ceilings, -1).nanmean()
    return Answer(
        {"heads": n_heads, "uniform": float(uniform.nan_to_num(0))}, [_float32(torch.cat(values, -1).nanmean(-1))]
    )


def thumbnails(maps: AttentionMaps, layer: int) -> Answer:
    """Small pictures of every head of a layer, each cell the largest weight under it.

    Returns
    -------
    Answer
        Header ``shape`` of one picture and ``peak``, each head's largest weight among rows that see more than one
        key. Buffer: uint8 [heads, h, w], 255 * sqrt(weight).
    """
    source, _ = maps.locate(layer, 0)
    n_heads, n_queries, n_keys = source.shape
    heads = slice(0, n_heads)
    pooled, peaks = [], [torch.zeros(n_heads)]
    for rows in _blocks(maps, source):
        weights = source.weights(heads, rows).nan_to_num(0).clamp(max=1)
        informative = source.visible(heads, rows).sum(-1) > 1
        peaks.append((weights.amax(-1) * informative).amax(-1).cpu())
        pooled.append(adaptive_max_pool2d(weights[None], (weights.shape[1], min(n_keys, THUMBNAIL)))[0].cpu())
    picture = torch.cat(pooled, 1)
    picture = adaptive_max_pool2d(picture[None], (min(n_queries, THUMBNAIL), picture.shape[-1]))[0]
    return Answer(
        {
            "layer": layer,
            "heads": n_heads,
            "shape": tuple(picture.shape[1:]),
            "peak": torch.stack(peaks).amax(0).tolist(),
        },
        [(picture.sqrt() * 255).round().to(torch.uint8).numpy().tobytes()],
    )


def even_rows(maps: AttentionMaps, cells: int) -> Tensor | None:
    """Positions of an even spread of rows of a long map, about so many cells in all heads of a layer; None for all."""
    most = max(FEWEST_ROWS, cells // (max(maps.heads) * maps.n_keys))
    if maps.n_queries <= max(LONG, most):
        return None
    return torch.linspace(0, maps.n_queries - 1, min(most, LONG)).round().long()


def _blocks(maps: AttentionMaps, source: Layer) -> Iterator[slice | Tensor]:
    """The rows that thumbnails and profiles read."""
    rows = even_rows(maps, PICTURED)
    for part in blocks(maps.n_queries if rows is None else len(rows), source.shape[0] * maps.n_keys):
        yield part if rows is None else rows[part]


def _encode(log_weights: Tensor) -> tuple[bytes, float, float]:
    masked = ~log_weights.isfinite()
    low, high = (float(end) for end in log_weights.masked_fill(masked, 0).aminmax())  # 0 is the log of all mass
    low, high = min(0.0, low), max(0.0, high)
    step = (high - low) / (MASKED - 1)
    codes = ((log_weights - low) / (step or 1.0)).round_().clamp_(0, MASKED - 1).masked_fill_(masked, MASKED)
    return codes.numpy().astype("<u2").tobytes(), low, step


def _float32(values: Tensor) -> bytes:
    return values.detach().cpu().numpy().astype("<f4").tobytes()


def _check_range(name: str, bounds: tuple[int, int], size: int) -> None:
    start, stop = bounds
    if not 0 <= start < stop <= size:
        raise IndexError(f"{name} {start} to {stop} lie outside the map, which has {name} 0 to {size}.")
