"""Norms: weights times the size of what they bring: a large weight on a small value brings little."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from attnwidget.capturing import Capture
from attnwidget.lenses import size_of_sum
from attnwidget.lenses import value_weighted as weighted
from attnwidget.lenses.weighted import SizeOfSum, products_of, sizes_of
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import choice, whole

__all__ = ["value_norms", "value_weighted"]

HEADS = ("each", "together")


def value_weighted(run: Capture | AttentionMaps, *, heads: str = "each") -> AttentionMaps:
    """Maps of weights times the size of what each key adds through its value.

    A lens like any other: nothing is computed before it is looked at, and other lenses go on it.

    Parameters
    ----------
    run : Capture or AttentionMaps
        Made by ``capture(..., values=True)``.
    heads : {"each", "together"}
        "each" is ||A_ij f_h(x_j)|| for each head; "together" one map a layer, ||sum_h A_ij f_h(x_j)||, in which what
        heads add in opposite directions cancels. The bias of the output projection is in neither.

    Returns
    -------
    AttentionMaps
        Each row divided by its sum, so that it compares with attention: in [0, 1]. Without scores. `value_norms` has
        the norms themselves; `mixing` counts the residual stream as well.

    Raises
    ------
    TypeError
        When run is neither.
    ValueError
        When values were not kept, or the heads of a layer cannot be told apart in what it adds; says why.

    References
    ----------
    Kobayashi, Kuribayashi, Yokoi & Inui, EMNLP 2020.

    Examples
    --------
    >>> run = aw.capture(model, text, tokenizer, values=True)
    >>> aw.explore(aw.effects.value_weighted(run))
    """
    choice("heads", heads, HEADS)
    maps = _maps(run)
    sizes_of(maps.layers)  # says why not
    made = weighted(maps) if heads == "each" else size_of_sum(maps)
    made.name = f"{maps.name} x value" if heads == "each" else made.name
    return made


def value_norms(run: Capture | AttentionMaps, layer: int, head: int | None = None) -> Tensor:
    """Size of what each key adds to each query, in one head or in all of a layer together.

    Parameters
    ----------
    run : Capture or AttentionMaps
        Made by ``capture(..., values=True)``.
    layer : int
        Place of the layer.
    head : int or None
        Number of the head; None for all together.

    Returns
    -------
    Tensor [queries, keys]
        ||A_ij f_h(x_j)||, or ||sum_h A_ij f_h(x_j)||: 0 or more, in the units of the residual stream.

    Raises
    ------
    TypeError
        When run is neither.
    IndexError
        When there is no such layer or head.
    ValueError
        When values were not kept, or the heads of the layer cannot be told apart in what it adds.

    References
    ----------
    Kobayashi, Kuribayashi, Yokoi & Inui, EMNLP 2020.
    """
    maps = _maps(run)
    source, heads = maps.locate(whole("layer", layer), 0 if head is None else whole("head", head))
    rows = slice(0, maps.n_queries)
    if head is None:
        return SizeOfSum(source, *products_of([source])).sizes(rows)[0]
    (sizes,) = sizes_of([source])
    weights = source.weights(heads, rows)[0]
    return weights * sizes[heads].to(weights)


def _maps(run: Any) -> AttentionMaps:
    if isinstance(run, Capture):
        return run.maps
    if isinstance(run, AttentionMaps):
        return run
    raise TypeError(f"run is {type(run).__name__}; expected a Capture or AttentionMaps, of capture(..., values=True).")
