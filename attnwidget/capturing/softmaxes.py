"""Softmaxes that modules compute by themselves, made into calls: as queries and keys where these prove right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.calls import Call, Projections, Weights
from attnwidget.capturing.lineage import Node
from attnwidget.layers import HIDDEN, blocks

__all__ = ["Softmax", "call_of_softmax", "heads_of", "split_heads"]

# What language and vision models and their many copies call the number of their heads.
_HEADS = ("num_heads", "n_heads", "n_head", "num_attention_heads", "heads", "nhead")


@dataclass(eq=False)
class Softmax:
    """One softmax while its pass runs.

    Parameters
    ----------
    scores, weights : Tensor
        What went in and what came out.
    axis : int
        The axis that sums to 1.
    module : str
        Name of the module that was running.
    operands : tuple of Tensor or None
        The two factors that the scores were multiplied from, where they were.
    queries, keys : Node or None
        Where those came from; None for what was there before the pass.
    logarithm : bool
        Whether what came out are the logarithms of weights.
    told : bool
        Whether its weights were multiplied with values.
    used : bool
        Whether anything was made of its weights.
    n_keys : int or None
        Of its columns, the first that are keys; None where all are.
    """

    scores: Tensor
    weights: Tensor
    axis: int
    module: str
    operands: tuple[Tensor, ...] | None = None
    queries: Node | None = None
    keys: Node | None = None
    logarithm: bool = False
    told: bool = False
    used: bool = False
    n_keys: int | None = None

    def __post_init__(self) -> None:
        self._version = _version(self.weights)

    @property
    def as_made(self) -> Tensor:
        """The weights as they came out, whatever was done to them in place since then."""
        if _version(self.weights) != self._version:
            return self.scores.softmax(self.axis).to(self.weights)
        return self.weights.exp() if self.logarithm else self.weights

    def without_last(self, part: Tensor) -> bool:
        """Whether something is these weights without their last columns, which then were no keys."""
        whole = self.weights
        cut = self.axis == whole.ndim - 1 and part.shape[:-1] == whole.shape[:-1] and part.shape[-1] < whole.shape[-1]
        if cut and part.data_ptr() == whole.data_ptr() and part.stride() == whole.stride():
            self.n_keys = part.shape[-1]
            return True
        return False

    @property
    def n_weights(self) -> int:
        """How many numbers came out."""
        return self.weights.numel()


def heads_of(module: nn.Module | None) -> int | None:
    """How many heads a module says it has."""
    return next((heads for name in _HEADS if type(heads := getattr(module, name, None)) is int), None)


def split_heads(leading: torch.Size, batch: int, module: nn.Module | None) -> tuple[int, int] | str:
    """Examples and heads in the axes before queries and keys, or why they cannot be told apart."""
    if len(leading) > 2:
        return f"it attends in blocks: weights of {len(leading) + 2} axes, {list(leading)} before queries and keys"
    if len(leading) == 2:
        return leading[0], leading[1]
    if not leading:
        return 1, 1
    (together,) = leading
    heads = heads_of(module)
    if heads is not None and together % heads == 0:
        return together // heads, heads
    if batch and together % batch == 0:
        return batch, together // batch
    return f"heads, examples and windows cannot be told apart in its {together} maps for a batch of {batch}"


def call_of_softmax(softmax: Softmax, batch: int, module: nn.Module | None) -> Call | str:
    """The call that a softmax belongs to, or why it cannot be shown.

    Parameters
    ----------
    softmax : Softmax
        Its weights were multiplied with values.
    batch : int
        Examples in the pass; 0 where that is not known.
    module : nn.Module or None
        The module that multiplied.
    """
    weights, scores = softmax.as_made, softmax.scores
    if softmax.axis != weights.ndim - 1:
        return f"its softmax is over axis {softmax.axis} of {weights.ndim}, so that its rows are no queries over keys"
    if weights.ndim < 2:
        return "its softmax is over a single row"
    found = split_heads(weights.shape[:-2], batch, module)
    if isinstance(found, str):
        return found
    shape = (*found, *weights.shape[-2:])
    seeing = _seeing(scores.reshape(shape))
    whole = None if softmax.n_keys is not None else _from_factors(softmax, shape, seeing)
    if whole is not None:
        return whole
    seeing = None if seeing is None else seeing[..., : softmax.n_keys]
    return Weights(weights=weights.reshape(shape)[..., : softmax.n_keys], seeing=seeing, all_heads=shape[1])


def _seeing(scores: Tensor) -> Tensor | None:
    """Which keys each query may see: what was added to hide the others is lower than any score."""
    seeing = scores > HIDDEN
    seeing |= scores.isnan()
    if bool(seeing.all()):
        return None
    # Nearly always the same for all heads, and often for all examples.
    for axis in (1, 0):
        if seeing.shape[axis] > 1 and bool((seeing == seeing.narrow(axis, 0, 1)).all()):
            seeing = seeing.narrow(axis, 0, 1)
    return seeing.clone()


def _from_factors(softmax: Softmax, shape: tuple[int, int, int, int], seeing: Tensor | None) -> Call | None:
    """The call as queries and keys, where the scores are a constant times their product, in every visible place."""
    if softmax.operands is None or len(softmax.operands) != 2:
        return None
    q, k = softmax.operands
    # What else was added cannot be told from the rounding of half precision.
    if q.dtype not in {torch.float32, torch.float64} or k.dtype != q.dtype or q.ndim < 2 or k.ndim != q.ndim:
        return None
    if q.shape[-1] != k.shape[-2] or q.shape[:-2] != k.shape[:-2]:
        return None
    if (q.shape[-2], k.shape[-1]) != shape[2:] or q.shape[:-2].numel() != shape[0] * shape[1]:
        return None
    query, key = q.reshape(*shape[:3], -1), k.mT.reshape(shape[0], shape[1], shape[3], -1)
    scores = softmax.scores.reshape(shape)
    scaling = _scaling(query, key, scores, seeing)
    if scaling is None:
        return None
    call = Projections(query=query, key=key, mask=seeing, scaling=scaling, all_heads=shape[1])
    return call if call.query.isfinite().all() and call.key.isfinite().all() else None


def _scaling(query: Tensor, key: Tensor, scores: Tensor, seeing: Tensor | None) -> float | None:
    """The constant between products and scores; None where there is none."""
    scaling: float | None = None
    n_heads, n_queries, n_keys = scores.shape[1:]
    bound = 64 * torch.finfo(query.dtype).eps
    for rows in blocks(n_queries, scores.shape[0] * n_heads * n_keys):
        product, wanted = query[:, :, rows] @ key.mT, scores[:, :, rows]
        if seeing is not None:
            seen = seeing[:, :, rows].expand_as(wanted)
            product, wanted = product.masked_fill(~seen, 0), wanted.masked_fill(~seen, 0)
        if scaling is None:
            energy = float((product * product).sum())
            scaling = float((product * wanted).sum()) / energy if energy else None
            if scaling is None or scaling <= 0:
                return None
        off = (product * scaling - wanted).abs().max()
        if not bool(off <= bound * max(1.0, float(wanted.abs().max()), float(product.abs().max()) * scaling)):
            return None
    return scaling


def _version(tensor: Tensor) -> int:
    """Rises when a tensor is changed in place; tensors of inference mode do not count."""
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001


def described(softmax: Softmax) -> str:
    """A softmax whose weights were never multiplied with values, if it may be attention all the same."""
    shape: Any = list(softmax.weights.shape)
    return (
        f"a softmax over {shape[softmax.axis]} places, {shape}, whose weights are not multiplied with values as they "
        "stand: bands around each query, points that are sampled, or attention that is written as sums"
    )
