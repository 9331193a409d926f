"""Profile: the mean entropy of every head of a layer."""

from __future__ import annotations

import math

import torch

from attnwidget.maps import AttentionMaps
from attnwidget.measures.information import row_entropy
from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.encoding import float32
from attnwidget.widget.answers.spread import pictured_rows

__all__ = ["profile"]


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
    for rows in pictured_rows(maps, source):
        value = row_entropy(source.weights(heads, rows)).to(device)
        ceiling = source.visible(heads, rows).sum(-1).to(device).float().log().expand_as(value)
        values.append(value)
        ceilings.append(ceiling.masked_fill(value.isnan(), math.nan))  # of the rows that have an entropy
    uniform = torch.cat(ceilings, -1).nanmean()
    return Answer(
        {"heads": n_heads, "uniform": float(uniform.nan_to_num(0))}, [float32(torch.cat(values, -1).nanmean(-1))]
    )
