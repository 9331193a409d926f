"""Thumbnails: a small picture of every head of a layer."""

from __future__ import annotations

import torch
from torch.nn.functional import adaptive_max_pool2d

from attnwidget.maps import AttentionMaps
from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.spread import pictured_rows

__all__ = ["thumbnails"]

THUMBNAIL = 64


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
    for rows in pictured_rows(maps, source):
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
