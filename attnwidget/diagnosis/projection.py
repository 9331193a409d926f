"""What the queries and keys of a layer say by themselves, and how near scores are to the end of their precision."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attnwidget.layers import Layer, Mask, ProjectedLayer, blocks

__all__ = ["Precision", "Projection", "projection_of"]

HALF = (torch.float16, torch.bfloat16)
NOTHING = 1e-4  # a spread of scores that tells nothing apart in any precision


@dataclass(frozen=True)
class Precision:
    """Scores beside what their precision can hold; every tensor is [heads]."""

    dtype: torch.dtype
    largest: Tensor  # |score|, as the softmax sees it, or |q k| before it is scaled, whichever is larger
    lse: Tensor  # largest log-sum-exp of a row, learned sinks included
    score: Tensor  # largest |score|, as the softmax sees it
    coarse: Tensor  # median over rows: step of the precision at the row's largest score, over the spread of its scores

    @property
    def end(self) -> float:
        """The largest number that the precision has."""
        return torch.finfo(self.dtype).max

    @property
    def name(self) -> str:
        """The precision in a word."""
        return str(self.dtype).removeprefix("torch.")


@dataclass(frozen=True)
class Projection:
    """What the queries and keys of a layer say; every tensor is [heads]."""

    query_size: Tensor  # root mean square
    query_spread: Tensor  # root mean square about the mean query, over the size: 0 where all are the same
    key_size: Tensor
    key_spread: Tensor  # root mean square about the mean key: equal keys cannot be told apart, however large
    factor: float  # of the scores, over 1 / sqrt(width)
    longest: Tensor  # position of the longest key
    length: Tensor  # its length, over the median
    biased: bool  # whether something is added to the scores
    shared: bool  # whether several heads share keys
    precision: Precision | None  # where queries are held in half precision

    def of_heads(self, chosen: Tensor) -> Projection:
        """What the queries and keys of some heads say."""
        names = ("query_size", "query_spread", "key_size", "key_spread", "longest", "length")
        return replace(self, precision=None, **{name: getattr(self, name)[chosen] for name in names})


def projection_of(held: Layer, rows: Tensor | None = None) -> Projection | None:
    """What the queries and keys of a layer say; None where they are not held. Scores are read of some rows, or all."""
    if not isinstance(held, ProjectedLayer):
        return None
    group = held.shape[0] // held.key_value_heads
    q, k = held.q.detach().float().cpu(), held.k.detach().float().cpu()
    size, key_size = (one.square().mean((1, 2)).sqrt() for one in (q, k))
    spread, key_spread = ((one - one.mean(1, keepdim=True)).square().mean((1, 2)).sqrt() for one in (q, k))
    lengths = k.norm(dim=-1)
    longest, position = lengths.max(-1)
    over_median = longest / lengths.median(-1).values.clamp(min=torch.finfo(torch.float32).tiny)
    mask = held.mask.additive
    return Projection(
        query_size=size,
        query_spread=spread / size.clamp(min=torch.finfo(torch.float32).tiny),
        key_size=key_size.repeat_interleave(group),
        key_spread=key_spread.repeat_interleave(group),
        factor=held.scaling * math.sqrt(q.shape[-1]),
        longest=position.repeat_interleave(group),
        length=over_median.repeat_interleave(group),
        biased=held.bias is not None or (mask is not None and bool(((mask != 0) & mask.isfinite()).any())),
        shared=group > 1,
        precision=_precision_of(held, rows) if held.q.dtype in HALF else None,
    )


def _precision_of(held: ProjectedLayer, rows: Tensor | None) -> Precision:
    heads, n_queries, n_keys = held.shape
    every, found = slice(0, heads), []
    bare = replace(held, scaling=1.0, mask=Mask(), bias=None, softcap=None, sinks=None)
    for part in [*blocks(n_queries, heads * n_keys)] if rows is None else [rows]:
        scores, sink = held.logits(every, part)
        visible = scores > -math.inf  # NaN is a finding of its own
        count = visible.sum(-1)
        mean = scores.masked_fill(~visible, 0).sum(-1, keepdim=True) / count[..., None]
        spread = ((scores - mean).masked_fill(~visible, 0).square().sum(-1) / count).sqrt()
        size = scores.masked_fill(~visible, 0).abs().amax(-1)
        step = torch.finfo(held.q.dtype).eps * 2 ** size.log2().floor()
        coarse = (step / spread).masked_fill((count <= 1) | (spread < NOTHING), math.nan)
        lse = torch.logaddexp(scores.logsumexp(-1), sink).masked_fill(count == 0, math.nan)
        found.append((size, lse, coarse, bare.scores(every, part).abs().amax(-1)))
    size, lse, coarse, product = (torch.cat(parts, -1).cpu() for parts in zip(*found, strict=True))
    score = size.amax(-1)
    return Precision(
        held.q.dtype,
        largest=score.maximum(product.amax(-1)),
        lse=lse.nan_to_num(-math.inf).amax(-1),
        score=score,
        coarse=coarse.nanmedian(-1).values,
    )
