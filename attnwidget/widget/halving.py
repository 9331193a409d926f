"""Halving: queries and keys in half precision, for a smaller page, and what that does to the weights."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from attnwidget.layers import ProjectedLayer
from attnwidget.maps import AttentionMaps
from attnwidget.widget.answers import Answer
from attnwidget.widget.answers.projections import LONGEST, form_of

__all__ = ["halved", "halving_error"]

ROWS = 64  # of each head that are compared


def halved(answered: Answer) -> Answer:
    """A layer as projections, its queries and keys in half precision where that is less and can hold them."""
    header = answered.header
    if header["form"] != "projections" or header["dtype"] != "float32":
        return answered
    buffers = []
    for name, buffer in zip(header["buffers"], answered.buffers, strict=True):
        if name not in {"q", "k"}:
            buffers.append(buffer)
            continue
        values = np.frombuffer(buffer, "<f4")
        if not _fits(float(np.abs(values).max(initial=0))):
            return answered
        buffers.append(values.astype("<f2").tobytes())
    return Answer(header | {"dtype": "float16", "narrowed": True}, buffers)


def halving_error(maps: AttentionMaps) -> float | None:
    """By how much weights are off at most when layers are halved, in an even spread of rows; None where none is."""
    if 0 in (maps.n_queries, maps.n_keys) or max(maps.n_queries, maps.n_keys) > LONGEST:
        return None
    rows = torch.linspace(0, maps.n_queries - 1, min(ROWS, maps.n_queries)).round().long()
    worst = None
    for layer in maps.layers:
        if not isinstance(layer, ProjectedLayer) or not _is_halved(layer):
            continue
        half = replace(layer, q=layer.q.half().float(), k=layer.k.half().float())
        heads = slice(0, layer.shape[0])
        with torch.no_grad():
            off = (layer.weights(heads, rows) - half.weights(heads, rows)).abs().nan_to_num(0)
        worst = max(worst or 0.0, float(off.max()))
    return worst


def _is_halved(layer: ProjectedLayer) -> bool:
    small = layer.q.dtype == layer.k.dtype and layer.q.dtype in {torch.float16, torch.bfloat16}
    fits = all(_fits(float(part.detach().abs().max())) for part in (layer.q, layer.k))
    return fits and not small and form_of(layer) == "projections"


def _fits(largest: float) -> bool:
    """Whether half precision holds a number of this size; it holds NaN."""
    return math.isnan(largest) or largest <= float(np.finfo(np.float16).max)
