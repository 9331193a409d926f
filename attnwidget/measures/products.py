"""Products: where one score comes from, dimension by dimension, or pair by pair where these turn with position."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from attnwidget.layers import ProjectedLayer
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import whole

__all__ = ["ScoreProducts", "score_products"]


class ScoreProducts(NamedTuple):
    """What `score_products` found.

    Attributes
    ----------
    q, k : Tensor [width]
        Query and key as they are multiplied.
    products : Tensor [terms]
        What each term adds to q·k; they sum to it.
    dimensions : list of tuple of int
        Of each term: one dimension, or the two that turn together.
    content, distance : Tensor [terms] or None
        The two parts of each term: what it would add if query and key stood side by side, and the rest. NaN where the
        place of the key is not known; None where the layer is not known to turn its vectors.
    """

    q: Tensor
    k: Tensor
    products: Tensor
    dimensions: list[tuple[int, ...]]
    content: Tensor | None
    distance: Tensor | None


def score_products(maps: AttentionMaps, layer: int, head: int, query: int, key: int) -> ScoreProducts:
    """Where q·k of one query and one key comes from, before any factor, bias, cap or mask.

    With rotary positions two dimensions turn together, by an angle for each token. Of such a pair, with q and k as they
    are after the turning, ``|q| |k| cos(phi)`` is what it adds, phi being the angle between the two. Turned back to the
    same place it would add ``|q| |k| cos(phi')``, which depends on what the two vectors hold and not on how far apart
    the tokens are: that is the content. The distance is the difference of the two. Dimensions that do not turn are
    content.

    Parameters
    ----------
    maps : AttentionMaps
        Maps that hold queries and keys.
    layer, head : int
        Which head, from 0.
    query, key : int
        Positions, from 0.

    Returns
    -------
    ScoreProducts
        In the model's order: pairs first where there are any, and then what is not turned. In float32 at least.

    Raises
    ------
    TypeError
        When ``maps`` is no AttentionMaps.
    IndexError
        When there is no such head, query or key.
    ValueError
        When the layer is held as weights.

    References
    ----------
    Su et al., RoFormer, 2021 (rotary positions).

    Examples
    --------
    >>> found = aw.measures.score_products(run.maps, 5, 3, query=12, key=4)
    >>> found.products.sum(), found.content.sum()
    """
    if not isinstance(maps, AttentionMaps):
        raise TypeError(f"maps is {type(maps).__name__}; expected AttentionMaps that hold queries and keys.")
    source, heads = maps.locate(layer, head)
    for name, at, n in (("query", whole("query", query), maps.n_queries), ("key", whole("key", key), maps.n_keys)):
        if not 0 <= at < n:
            raise IndexError(f"{name} {at} does not exist; there are {n}, from 0.")
    if not isinstance(source, ProjectedLayer):
        raise ValueError(  # noqa: TRY004 - what a layer holds is no argument
            f"layer {layer} of the maps {maps.name!r} is held as weights, which do not tell what was multiplied; "
            "capture the model (attnwidget.capture), or pass q and k (AttentionMaps.from_queries_keys)."
        )
    shared = heads.start * source.key_value_heads // source.shape[0]
    with torch.no_grad():
        q, k = source.q[heads.start, query], source.k[shared, key].to(source.q.device)
        q, k = (one if one.dtype == torch.float64 else one.float() for one in (q, k))
        each = q * k
        rotary = source.rotary
        if rotary is None:
            return ScoreProducts(q, k, each, [(i,) for i in range(len(q))], None, None)
        pairs = rotary.dimensions()
        turned = set(pairs.flatten().tolist())
        alone = [i for i in range(len(q)) if i not in turned]
        products = torch.cat([each[pairs.to(each.device)].sum(-1), each[alone]])
        content = torch.cat([rotary.content(q, k, query, key), each[alone]])
    dimensions = [*(tuple(pair) for pair in pairs.tolist()), *((i,) for i in alone)]
    return ScoreProducts(q, k, products, dimensions, content, products - content)
