"""Probes: some rows of a call as it ran, by which is seen whether what was made of it later is still the same."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attnwidget.layers import Layer, ProjectedLayer

__all__ = ["Probe", "agrees", "probed_rows"]


@dataclass(frozen=True)
class Probe:
    """Some rows of a call as it ran, by which is seen whether what was made of it later is still the same.

    Parameters
    ----------
    rows : Tensor of int [probed]
        Positions of the rows among the queries.
    total : Tensor [batch, heads, probed]
        Logarithm of the sum of each row's exponentiated scores, sinks included; of weights, of their sum.
    """

    rows: Tensor
    total: Tensor


def probed_rows(n: int) -> Tensor:
    """The first, the middle and the last of n rows."""
    return torch.tensor(sorted({0, n // 2, n - 1}))


def agrees(layer: Layer, probe: Probe, rows: Tensor | None, example: int) -> bool:
    """Whether the probed rows that are still there are what they were when the call ran."""
    kept = torch.arange(layer.shape[1]) if rows is None else rows.cpu()
    place = {int(old): new for new, old in enumerate(kept.tolist())}
    known = [(i, place[int(row)]) for i, row in enumerate(probe.rows.tolist()) if int(row) in place]
    if not known or not layer.shape[2]:
        return True
    wanted = probe.total[min(example, len(probe.total) - 1)][:, [i for i, _ in known]].cpu()
    total = _total(layer, torch.tensor([new for _, new in known]), slice(0, layer.shape[0])).cpu()
    same = torch.isclose(total, wanted, rtol=1e-4, atol=2e-3) | (total.isnan() & wanted.isnan())
    same |= ~total.isfinite() | ~wanted.isfinite()  # rows of nothing, and overflow, which is said elsewhere
    return bool(same.all())


def _total(layer: Layer, rows: Tensor, heads: slice) -> Tensor:
    """Logarithm of the sum of rows, before they are divided by it: [heads, rows]."""
    if isinstance(layer, ProjectedLayer):
        scores, outside = layer.logits(heads, rows)
        return torch.logaddexp(scores.logsumexp(-1), outside)
    return layer.weights(heads, rows).sum(-1).log()
