"""Codec: maps to the bytes that the browser draws. Every answer is a header and a list of buffers.

A tile is a rectangle of one map. Its codes are unsigned 16-bit, little-endian: log-weight = low + code * step, and
65535 where a key is masked. Beside them go, for every row, the mass that is outside the map and the entropy. A tile
that holds whole rows, unpooled, is sent as the model made it, and the browser tempers it; any other tile is tempered
here, before pooling, so that what is shown is always exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d, pad

from attnwidget.layers import DenseLayer, blocks, check_factor, temper
from attnwidget.maps import AttentionMaps
from attnwidget.measures.rows import row_entropy

__all__ = ["SAMPLED_ROWS", "Answer", "profile", "thumbnails", "tile"]

MASKED = 0xFFFF
LOWEST = -104.0  # log-weights below it are below float32, and would spoil the steps of the others
LARGEST_TILE = 1024  # cells on a side: 2 MB of codes
THUMBNAIL = 64
SAMPLED_ROWS = 1024  # thumbnails and profiles of longer maps read that many rows, evenly spread


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
        Most cells wanted; beyond them cells are pooled by their largest weight.
    temperature, scaling : float
        Applied here unless the tile holds whole rows, unpooled.

    Returns
    -------
    Answer
        Buffers: codes uint16 [h, w], missing mass float32 [h], entropy in nats float32 [h].

    Raises
    ------
    IndexError
        When there is no such head, or the rectangle lies outside the map.
    ValueError
        When the temperature, the scaling or a size cannot be used.
    """
    source, heads = maps.locate(layer, head)
    _check_range("rows", rows, maps.n_queries)
    _check_range("columns", columns, maps.n_keys)
    check_factor(temperature, scaling)
    if min(height, width) < 1:
        raise ValueError(f"a tile of {height} x {width} cells cannot be drawn; expected 1 or more.")
    # A single row is small however long it is.
    widest = maps.n_keys if rows[1] - rows[0] == 1 else LARGEST_TILE
    stride = (
        -(-(rows[1] - rows[0]) // min(height, LARGEST_TILE)),
        -(-(columns[1] - columns[0]) // min(width, widest)),
    )
    whole = stride == (1, 1) and columns == (0, maps.n_keys)
    factor = 1.0 if whole else scaling / temperature
    shape = (-(-(rows[1] - rows[0]) // stride[0]), -(-(columns[1] - columns[0]) // stride[1]))
    log_weights = torch.empty(shape)
    missing, entropy = torch.empty(shape[0]), torch.empty(shape[0])
    # Blocks begin at whole cells, so that no cell is pooled from two blocks.
    for cells in blocks(shape[0], stride[0] * maps.n_keys):
        span = slice(rows[0] + cells.start * stride[0], min(rows[0] + cells.stop * stride[0], rows[1]))
        full, outside = source.log_weights(heads, span)
        if factor != 1 or isinstance(source, DenseLayer):  # given rows may sum to more than 1
            full, outside = temper(full, outside, factor)
        weights = full[0].exp()
        # A key that may be seen and has a weight of 0 is not a masked key.
        visible = source.visible(heads, span)[0] & weights.isfinite() & (weights.sum(-1, keepdim=True) > 0)
        full[0].masked_fill_(visible & (full[0] < LOWEST), LOWEST)
        log_weights[cells] = _pool(full[0, :, columns[0] : columns[1]], stride)
        entropy[cells] = _mean_rows(row_entropy(weights), stride[0])
        missing[cells] = _mean_rows(_missing(outside[0], weights), stride[0])
    codes, low, step = _encode(log_weights)
    header = {
        "rows": rows,
        "columns": columns,
        "stride": stride,
        "shape": shape,
        "low": low,
        "step": step,
        "temperature": 1.0 if whole else temperature,
        "scaling": 1.0 if whole else scaling,
    }
    return Answer(header, [codes, _float32(missing), _float32(entropy)])


def profile(maps: AttentionMaps, layer: int) -> Answer:
    """Mean entropy of every head of a layer.

    Returns
    -------
    Answer
        Header ``uniform``: the mean entropy of a head that attends uniformly. Buffer: entropy in nats, float32
        [heads], NaN where no row has one.
    """
    source, _ = maps.locate(layer, 0)
    n_heads, n_queries, n_keys = source.shape
    heads = slice(0, n_heads)
    values, ceilings = [], []
    device = torch.device("cpu")
    for rows in _read_rows(n_queries, n_heads * n_keys):
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
    for rows in _read_rows(n_queries, n_heads * n_keys):
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


def _read_rows(n_queries: int, row_cells: int) -> list[slice | Tensor]:
    """Blocks of rows to read: all, or an even spread of them in a long map."""
    if n_queries <= SAMPLED_ROWS:
        return list(blocks(n_queries, row_cells))
    spread = torch.linspace(0, n_queries - 1, SAMPLED_ROWS).round().long()
    return [spread[block] for block in blocks(SAMPLED_ROWS, row_cells)]


def _missing(outside: Tensor, weights: Tensor) -> Tensor:
    """Mass outside the map of each row; NaN tells the browser that the row has no values."""
    return outside.exp().masked_fill(weights.isnan().any(-1), math.nan)


def _pool(log_weights: Tensor, stride: tuple[int, int]) -> Tensor:
    """Largest value of each cell; the last cells may cover less."""
    if stride == (1, 1):
        return log_weights
    height, width = log_weights.shape
    padded = pad(log_weights, (0, -width % stride[1], 0, -height % stride[0]), value=-math.inf)
    # NaN must not spread over the good rows that share its cell.
    padded = padded.nan_to_num(nan=-math.inf, neginf=-math.inf)
    cells = padded.reshape(padded.shape[0] // stride[0], stride[0], padded.shape[1] // stride[1], stride[1])
    return cells.amax((1, 3))


def _mean_rows(values: Tensor, stride: int) -> Tensor:
    padded = pad(values, (0, -len(values) % stride), value=math.nan)
    return padded.reshape(-1, stride).nanmean(-1)


def _encode(log_weights: Tensor) -> tuple[bytes, float, float]:
    masked = ~log_weights.isfinite()
    low = 0.0 if bool(masked.all()) else min(0.0, float(log_weights.masked_fill(masked, 0).min()))
    step = -low / (MASKED - 1)
    codes = ((log_weights - low) / (step or 1.0)).round_().clamp_(0, MASKED - 1).masked_fill_(masked, MASKED)
    return codes.numpy().astype("<u2").tobytes(), low, step


def _float32(values: Tensor) -> bytes:
    return values.detach().cpu().numpy().astype("<f4").tobytes()


def _check_range(name: str, bounds: tuple[int, int], size: int) -> None:
    start, stop = bounds
    if not 0 <= start < stop <= size:
        raise IndexError(f"{name} {start} to {stop} lie outside the map, which has {name} 0 to {size}.")
