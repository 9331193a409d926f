"""Products: the queries and keys behind the scores of one head, dimension by dimension."""

from __future__ import annotations

import torch

from attnwidget.layers import ProjectedLayer
from attnwidget.maps import AttentionMaps
from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.encoding import float32
from attnwidget.widget.answers.projections import LONGEST

__all__ = ["LARGEST", "products"]

LARGEST = 4 << 20  # bytes of an answer


def products(maps: AttentionMaps, layer: int, head: int, query: int | None = None, key: int | None = None) -> Answer:
    """The vectors of one query and one key, whose products sum to q·k, or all those of a head.

    Returns
    -------
    Answer
        Header: ``queries`` and ``keys``, how many there are, and their ``width``. Buffers: q float32 [queries, width]
        and k float32 [keys, width], as they are multiplied. Where the layer is known to turn them for their positions,
        ``rotary`` (pairing, start, pairs) and two more buffers: the angles of queries float32 [queries, pairs] and of
        keys float32 [keys, pairs] in radians, NaN where one is not known.

    Raises
    ------
    IndexError
        When there is no such head, query or key.
    ValueError
        When the map was given as weights, which do not tell what was multiplied, or when it is too long for all.
    """
    source, heads = maps.locate(layer, head)
    if (query is None) != (key is None):
        raise ValueError(f"products of query {query} and key {key} were asked for; name both, or neither for all.")
    for name, at, n in (("query", query, maps.n_queries), ("key", key, maps.n_keys)):
        if at is not None and not 0 <= at < n:
            raise IndexError(f"{name} {at} does not exist: these maps count them from 0 to {n - 1}.")
    if not isinstance(source, ProjectedLayer):
        raise ValueError(  # noqa: TRY004 - what is shown is no argument
            f"layer {layer} of the maps {maps.name!r} is held as weights, which do not tell what was multiplied; "
            "capture the model (attnwidget.capture), which keeps q and k."
        )
    rows = slice(0, maps.n_queries) if query is None else slice(query, query + 1)
    columns = slice(0, maps.n_keys) if key is None else slice(key, key + 1)
    with torch.no_grad():
        held = [
            source.q[heads.start, rows],
            source.k[heads.start * source.key_value_heads // source.shape[0], columns],
        ]
        rotary = source.rotary
        if rotary is not None:
            held += [rotary.queries[rows], rotary.keys[columns]]
    if query is None and (max(len(one) for one in held) > LONGEST or 4 * sum(one.numel() for one in held) > LARGEST):
        raise ValueError(
            f"the maps {maps.name!r} are too long for all vectors of a head to be sent; name a query and a key."
        )
    turned = rotary and {"pairing": rotary.pairing, "start": rotary.start, "pairs": rotary.pairs}
    header = {"queries": len(held[0]), "keys": len(held[1]), "width": source.q.shape[-1], "rotary": turned}
    return Answer(header, [float32(one) for one in held])
