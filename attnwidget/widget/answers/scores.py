"""Scores: what the weights of one query come of, before the softmax."""

from __future__ import annotations

from dataclasses import replace

import torch

from attnwidget.layers import Mask, ProjectedLayer
from attnwidget.maps import AttentionMaps
from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.encoding import float32

__all__ = ["scores"]


def scores(maps: AttentionMaps, layer: int, head: int, query: int) -> Answer:
    """What one query's weights come of.

    Returns
    -------
    Answer
        Buffers: the products q·k as they are, float32 [keys]; the scores that the softmax takes, scaled, biased and
        capped as in the model, float32 [keys], -inf where masked; and the sink's score, float32 [1], -inf where there
        is none.

    Raises
    ------
    IndexError
        When there is no such head or query.
    ValueError
        When the map was given as weights, from which scores cannot be known.
    """
    source, heads = maps.locate(layer, head)
    if not 0 <= query < maps.n_queries:
        raise IndexError(f"query {query} does not exist: these maps have queries 0 to {maps.n_queries - 1}.")
    if not isinstance(source, ProjectedLayer):
        raise ValueError(  # noqa: TRY004 - what is shown is no argument
            f"layer {layer} of the maps {maps.name!r} is held as weights, which do not tell the scores they came from; "
            "capture the model (attnwidget.capture), which keeps q and k."
        )
    row = slice(query, query + 1)
    with torch.no_grad():
        plain = replace(source, scaling=1.0, mask=Mask(), bias=None, softcap=None, sinks=None)
        products = plain.scores(heads, row)
        of_keys, sink = source.logits(heads, row)
    return Answer({}, [float32(products), float32(of_keys), float32(sink)])
