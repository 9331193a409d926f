"""Measures between runs: how much each head changed, and which tokens belong together where the texts differ."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attnwidget.layers import blocks
from attnwidget.maps import AttentionMaps
from attnwidget.measures.faults import Faults
from attnwidget.measures.given import Given, MaskLike
from attnwidget.measures.information import row_divergence
from attnwidget.measures.walk import Walk, mean_over_queries, stack_layers
from attnwidget.tokens import Tokens

__all__ = ["Comparison", "align_tokens", "compare"]


class Comparison(NamedTuple):
    """What `compare` found.

    Attributes
    ----------
    divergence : Tensor [...]
        Mean Jensen-Shannon divergence of each head between the runs, in [0, ln 2].
    ranked : list of tuple of int
        Positions in ``divergence``, (layer, head) for maps, from the largest down; what is NaN is left out.
    """

    divergence: Tensor
    ranked: list[tuple[int, ...]]


def compare(
    a: Given,
    b: Given,
    *,
    aligned: Tensor | Sequence[tuple[int, int]] | None = None,
    rows: Tensor | Sequence[int] | None = None,
    mask: MaskLike = None,
    causal: bool = False,
) -> Comparison:
    """How much each head changed between two runs on the same tokens.

    Parameters
    ----------
    a, b : AttentionMaps, Tensor or ndarray [..., queries, keys]
        Two runs with the same layers and heads: two models, or one before and after.
    aligned : sequence of pairs of int, or None
        Positions that belong together, from `align_tokens`, where the tokens differ: only their rows and columns are
        compared, rescaled.
    rows : Tensor or sequence of int, or None
        Compare these queries only, of those that would be compared; None for all.
    mask, causal
        As in `attnwidget.measures.entropy`, for both.

    Returns
    -------
    Comparison
        The divergence of each head, averaged over the rows that see more than one key, and the heads ranked.

    Raises
    ------
    TypeError
        When ``a`` or ``b`` is no floating-point array.
    ValueError
        When the runs have other layers or heads, or other tokens.
    """
    walks = [Walk(run, mask=mask, causal=causal) for run in (a, b)]
    pairs = _pairs(a, b, aligned, walks)
    keys = pairs
    if rows is not None:
        pairs = pairs[torch.as_tensor(rows, dtype=torch.long)]
    layers: dict[int | None, list[Tensor]] = {}
    cells = math.prod(walks[0].leading) * max(walk.n_keys for walk in walks)
    faults = Faults()
    for part in blocks(len(pairs), cells):
        sides = [
            Walk(run, mask=mask, causal=causal, rows=pairs[part, side], faults=faults)
            for side, run in enumerate((a, b))
        ]
        for block, other in zip(*sides, strict=True):
            found = [block.weights, other.weights.to(block.weights)]
            if aligned is not None:
                found = [weights[..., keys[:, side]] for side, weights in enumerate(found)]
            value = row_divergence(*found)
            layers.setdefault(block.layer, []).append(value.masked_fill(block.count <= 1, math.nan))
    faults.warn()
    means = [mean_over_queries(torch.cat(found, -1)) for found in layers.values()]
    divergence = means[0] if walks[0].maps is None else stack_layers(means)
    listed = [(value, index) for index, value in np.ndenumerate(divergence.detach().cpu().numpy()) if value == value]  # noqa: PLR0124
    return Comparison(divergence, [index for _, index in sorted(listed, key=lambda pair: -pair[0])])


def align_tokens(a: AttentionMaps | Tokens | Sequence[str], b: AttentionMaps | Tokens | Sequence[str]) -> Tensor:
    """Positions at which two token sequences agree, in order.

    Parameters
    ----------
    a, b : AttentionMaps, Tokens or sequence of str
        What stands at each position of the two runs.

    Returns
    -------
    Tensor of int [pairs, 2]
        Position in ``a`` and in ``b``, both rising; empty where nothing agrees. The longest common runs are taken
        first (Ratcliff & Metzener 1988).
    """
    first, second = ([*run.tokens] if isinstance(run, AttentionMaps) else [*run] for run in (a, b))
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    pairs = [(i + step, j + step) for i, j, size in matcher.get_matching_blocks() for step in range(size)]
    return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2)


def _pairs(a: Given, b: Given, aligned: Tensor | Sequence[tuple[int, int]] | None, walks: list[Walk]) -> Tensor:
    """Which rows are compared: [pairs, 2]."""
    if isinstance(a, AttentionMaps) != isinstance(b, AttentionMaps):
        raise TypeError(
            f"a is {type(a).__name__} and b {type(b).__name__}; expected maps and maps, or arrays and arrays."
        )
    heads = [
        run.heads if isinstance(run, AttentionMaps) else walk.leading for run, walk in zip((a, b), walks, strict=True)
    ]
    if heads[0] != heads[1]:
        raise ValueError(f"a has heads {heads[0]} and b {heads[1]}; expected the same layers and heads.")
    if aligned is not None:
        pairs = torch.as_tensor(aligned)
        if pairs.numel() and (pairs.is_floating_point() or pairs.shape[-1] != 2):
            raise ValueError(
                f"aligned has shape {tuple(pairs.shape)} and holds {pairs.dtype}; expected pairs of integers."
            )
        pairs = pairs.long().reshape(-1, 2)
        for side, (name, walk) in enumerate(zip("ab", walks, strict=True)):
            size = min(walk.n_queries, walk.n_keys)
            if len(pairs) == 0 or not 0 <= int(pairs[:, side].min()) <= int(pairs[:, side].max()) < size:
                raise ValueError(f"aligned names no positions of {name}, or others than 0 to {size - 1}.")
        return pairs
    shapes = [(walk.n_queries, walk.n_keys) for walk in walks]
    same = shapes[0] == shapes[1]
    if same and isinstance(a, AttentionMaps) and isinstance(b, AttentionMaps):
        same = a.tokens.labels == b.tokens.labels and a.key_tokens.labels == b.key_tokens.labels
    if not same:
        raise ValueError(
            f"a and b stand on other tokens ({shapes[0][0]} x {shapes[0][1]} and {shapes[1][0]} x {shapes[1][1]}); "
            "pass aligned=align_tokens(a, b) to compare the positions that agree."
        )
    return torch.arange(walks[0].n_queries)[:, None].expand(-1, 2)
