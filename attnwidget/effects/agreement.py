"""Agreement: whether heads look at the tokens that an attribution finds important."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from attnwidget.effects.attribution import Attribution
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import choice, positions
from attnwidget.measures.given import Excluded, excluded_keys
from attnwidget.measures.walk import Walk, stack_layers

__all__ = ["agreement"]

FEWEST = 3  # keys; two are always in perfect agreement, or in perfect disagreement


def agreement(
    maps: AttentionMaps,
    attribution: Attribution,
    *,
    query: int | None = None,
    exclude_tokens: Excluded = None,
    method: str = "spearman",
) -> Tensor:
    """Rank correlation of each head's attention with an attribution over the same tokens.

    Parameters
    ----------
    maps : AttentionMaps
        Of the same text, as `attnwidget.capture` gives them.
    attribution : Attribution
        What `attribute` found.
    query : int or None
        Whose row of attention; None is the position that the attribution is about.
    exclude_tokens : "special", sequence of int, or None
        Keys to leave out.
    method : {"spearman", "kendall"}
        Spearman's rho, with average ranks for ties, or Kendall's tau-b.

    Returns
    -------
    Tensor [layers, heads]
        In [-1, 1], over the keys that the query may see. NaN where these are fewer than 3, where attention or
        attribution is the same for all of them, and where a layer has fewer heads.

    Raises
    ------
    TypeError
        When maps or attribution is of another kind.
    ValueError
        When they are of different tokens, the query does not exist or is not known, or an argument has a value that is
        not listed.

    Notes
    -----
    One number of one text: take it of many, and their mean and spread. Whether the attribution is signed changes it.

    References
    ----------
    Jain & Wallace, NAACL 2019; against reading too much into it: Wiegreffe & Pinter, EMNLP 2019.
    """
    choice("method", method, ("spearman", "kendall"))
    _check(maps, attribution)
    if query is None:
        if attribution.position is None:
            raise ValueError("the attribution is about a class and no position; say whose attention is meant: query=0.")
        query = attribution.position
    (query,) = positions(query, maps.n_queries, "query", "token")
    kept = torch.ones(maps.n_keys, dtype=torch.bool)
    kept[excluded_keys(exclude_tokens, maps.n_keys, maps, "exclude_tokens")] = False
    values, found = attribution.values.double().numpy(), []
    for block in Walk(maps, rows=torch.tensor([query])):
        weights = block.weights[:, 0].detach().cpu().double()
        seen = block.visible[:, 0].cpu().expand_as(weights) & kept
        correlation = _spearman if method == "spearman" else _kendall
        found.append(torch.from_numpy(correlation(weights.numpy(), values, seen.numpy())))
    return stack_layers(found).float()


def _check(maps: Any, attribution: Any) -> None:
    if not isinstance(maps, AttentionMaps):
        raise TypeError(f"maps is {type(maps).__name__}; expected AttentionMaps, as run.maps of a capture.")
    if not isinstance(attribution, Attribution):
        raise TypeError(f"attribution is {type(attribution).__name__}; expected what attribute() returned.")
    keys, tokens = maps.key_tokens, attribution.tokens
    if len(keys) != len(tokens):
        raise ValueError(
            f"the maps have {len(keys)} keys and the attribution {len(tokens)} tokens; take both of the same text, and "
            "of maps without words joined or tokens hidden."
        )
    if keys.ids is not None and tokens.ids is not None and keys.ids != tokens.ids:
        raise ValueError("the keys of the maps are other tokens than those of the attribution; take both of one text.")


def _spearman(weights: Any, values: Any, seen: Any) -> Any:
    """Rho of each row of weights [heads, keys] with values [keys], over the keys it sees: [heads]."""
    both = np.stack([weights, np.broadcast_to(values, weights.shape)])
    unknown = (np.isnan(both) & seen).any((0, -1))
    ranks = stats.rankdata(np.where(seen, both, math.nan), axis=-1, nan_policy="omit")
    count = seen.sum(-1)
    ranks = np.where(seen, ranks - (count[:, None] + 1) / 2, 0)  # the mean of ranks, ties or none
    product, sizes = ranks.prod(0).sum(-1), (ranks**2).sum(-1).prod(0)
    enough = (count >= FEWEST) & (sizes > 0) & ~unknown
    return np.where(enough, product / np.sqrt(np.where(enough, sizes, 1)), math.nan)


def _kendall(weights: Any, values: Any, seen: Any) -> Any:
    """Tau-b of each row of weights [heads, keys] with values [keys], over the keys it sees: [heads]."""
    return np.array(
        [
            stats.kendalltau(row[there], values[there]).statistic if there.sum() >= FEWEST else math.nan
            for row, there in zip(weights, seen, strict=True)
        ]
    )
