"""Small maps for tests."""

from __future__ import annotations

import torch
from torch import Tensor

from attnwidget import AttentionMaps, Tokens
from attnwidget.layers import Mask, ProjectedLayer

WORDS = ["<s>", "Lily", "and", "Ben", "went", "to", "the", "park", ".", "Lily", "gave", "the", "ball", "to"]


def projected(
    n: int = 14, *, layers: int = 3, heads: int = 4, key_value_heads: int = 2, width: int = 8, causal: bool = True,
    sinks: Tensor | None = None, seed: int = 0, dtype: torch.dtype = torch.float32,
) -> AttentionMaps:  # fmt: skip
    """Maps held as random q and k."""
    draw = torch.Generator().manual_seed(seed)
    held = [
        ProjectedLayer(
            q=(torch.randn(heads, n, width, generator=draw) * 1.5).to(dtype),
            k=torch.randn(key_value_heads, n, width, generator=draw).to(dtype),
            scaling=width**-0.5,
            mask=Mask(causal=causal),
            sinks=sinks,
        )
        for _ in range(layers)
    ]
    words = (WORDS * (n // len(WORDS) + 1))[:n]
    return AttentionMaps(held, Tokens.from_labels(words))


def matrices(*shape: int, seed: int = 0, causal: bool = False) -> Tensor:
    """Random weights of a shape [..., queries, keys]."""
    scores = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    if causal:
        scores = scores.masked_fill(~torch.ones(shape[-2:], dtype=torch.bool).tril(), -torch.inf)
    return scores.softmax(-1)


def by_hand(maps: AttentionMaps, layer: int, head: int, factor: float = 1.0) -> Tensor:
    """Weights written out from q and k, as a textbook does."""
    held = maps.layers[layer]
    group = held.shape[0] // held.key_value_heads
    scores = held.q[head] @ held.k[head // group].T * held.scaling
    if held.mask.causal:
        scores = scores.masked_fill(~torch.ones_like(scores, dtype=torch.bool).tril(), -torch.inf)
    scores = scores * factor
    if held.sinks is not None:
        sink = (held.sinks[head] * factor).expand(len(scores), 1)
        return torch.cat([scores, sink], -1).softmax(-1)[:, :-1]
    return scores.softmax(-1)
