"""Softmaxes that modules compute by themselves, made into calls: as queries and keys where these prove right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.calls import Call
from attnwidget.capturing.lineage import Lineage, Node
from attnwidget.capturing.multiplied import Multiplied
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.weighed import Weights
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
    apart : bool
        Whether they were multiplied with values that differ from query to query.
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
    apart: bool = False
    n_keys: int | None = None

    def __post_init__(self) -> None:
        self._version, self._scores_version = _version(self.weights), _version(self.scores)

    @property
    def scores_as_given(self) -> Tensor | None:
        """What went in; None where that was changed in place since then."""
        return self.scores if _version(self.scores) == self._scores_version else None

    @property
    def as_made(self) -> Tensor | None:
        """The weights as they came out; None where that was changed in place since then."""
        if _version(self.weights) != self._version:
            return None
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


def split_heads(
    leading: torch.Size, batch: int, module: nn.Module | None, *, queries: Node | None = None
) -> tuple[int, int, bool] | str:
    """Examples and heads in the axes before queries and keys, and whether heads come first; or why not."""
    if len(leading) > 2:
        return f"it attends in blocks: weights of {len(leading) + 2} axes, {list(leading)} before queries and keys"
    heads = heads_of(module)
    if len(leading) == 2:
        heads_first = heads == leading[0] != batch == leading[1]
        return (leading[1], leading[0], True) if heads_first else (leading[0], leading[1], False)
    if not leading:
        return 1, 1, False
    (together,) = leading
    if heads is not None and together % heads == 0:
        return together // heads, heads, _heads_side_by_side(queries, together, together // heads)
    if batch and together % batch == 0:
        return batch, together // batch, _heads_side_by_side(queries, together, batch)
    return f"heads, examples and windows cannot be told apart in its {together} maps for a batch of {batch}"


def _heads_side_by_side(queries: Node | None, together: int, batch: int) -> bool:
    """Whether heads were put one behind the other, each for the whole batch."""
    for step, node in enumerate(Lineage.behind(queries)):
        if step > 8:
            return False
        if node.kind == "cat" and node.what[0] == 0:
            lengths = [length for _, length in node.what[1]]
            return sum(lengths) == together and len(lengths) > 1 and set(lengths) == {batch}
    return False


def call_of_softmax(
    softmax: Softmax, multiplied: Multiplied, batch: int, module: nn.Module | None, *, dropped: bool = False
) -> Call | str:
    """The call that a softmax belongs to, or why it cannot be shown.

    Parameters
    ----------
    softmax : Softmax
        What came out of it was multiplied with values.
    multiplied : Multiplied
        What it was in that product.
    batch : int
        Examples in the pass; 0 where that is not known.
    module : nn.Module or None
        The module that multiplied.
    dropped : bool
        Whether some of the weights were dropped on the way.
    """
    seen = multiplied.weights
    found = split_heads(seen.shape[:-2], batch, module, queries=softmax.queries)
    if isinstance(found, str):
        return found
    n_examples, n_heads, heads_first = found
    shape = (n_examples, n_heads, *seen.shape[-2:])

    def arranged(tensor: Tensor) -> Tensor:
        if heads_first:
            return tensor.reshape(n_heads, n_examples, *tensor.shape[-2:]).transpose(0, 1)
        return tensor.reshape(n_examples, n_heads, *tensor.shape[-2:])

    value, leading = multiplied.values, seen.shape[:-2].numel()
    if value is not None:
        fits = value.ndim >= 2 and value.shape[-2] == seen.shape[-1] and value.shape[:-2].numel() == leading
        value = arranged(value) if fits else None
    made, scores = _in_that_order(softmax, multiplied)
    if made is None or scores is None or not (dropped or _is_same(made, seen)):
        changed = _changed(arranged(seen), n_heads)
        return changed if isinstance(changed, str) else replace(changed, value=value)
    seeing = _seeing(arranged(scores))
    whole = None
    if softmax.n_keys is None and not heads_first and multiplied.weights.numel() == softmax.n_weights:
        whole = _from_factors(softmax, shape, seeing, arranged(scores))
    if whole is not None:
        return replace(whole, value=value)
    return Weights(weights=arranged(made), seeing=seeing, value=value, all_heads=n_heads)


def _in_that_order(softmax: Softmax, multiplied: Multiplied) -> tuple[Tensor | None, Tensor | None]:
    """What came out of a softmax, and what went in, as they were multiplied; None where that is lost."""
    made, scores, wanted = softmax.as_made, softmax.scores_as_given, multiplied.weights.shape
    if made is None or scores is None:
        return None, None
    made, scores = made[..., : softmax.n_keys], scores[..., : softmax.n_keys]
    moved = made.ndim == len(multiplied.order)
    order = multiplied.order
    if moved and made.permute(order).shape == wanted and softmax.axis == order[-1]:
        return made.permute(order), scores.permute(order)
    if softmax.axis == made.ndim - 1 and made.shape[-2:] == wanted[-2:] and made.numel() == multiplied.weights.numel():
        return made.reshape(wanted), scores.reshape(wanted)
    if softmax.axis == made.ndim - 1 and made.numel() == multiplied.weights.numel() and made.shape[-1] == wanted[-1]:
        return made.reshape(wanted), scores.reshape(wanted)
    return None, None


def _is_same(made: Tensor, seen: Tensor) -> bool:
    bound = 1e-6 if min(made.dtype.itemsize, seen.dtype.itemsize) >= 4 else 1e-2
    close = torch.isclose(made.float(), seen.float(), rtol=bound, atol=bound, equal_nan=True)
    # A row that sees nothing is NaN, and some make zeros of it.
    return bool((close | made.isnan()).all())


def _changed(seen: Tensor, n_heads: int) -> Call | str:
    """Weights that are not what came out of their softmax when they are multiplied."""
    total = seen.float().sum(-1)
    by_columns = seen.float().sum(-2)
    sums_to_one = bool(((total - 1).abs() < 1e-3).all())
    if not sums_to_one and bool(((by_columns - 1).abs() < 1e-3).all()):
        return "its softmax is over queries and not over keys: columns of its map sum to 1, and rows do not"
    if bool((seen < -1e-6).any()):
        return (
            "what weighs the values is not what came out of its softmax: it was changed in between, and some of it is "
            "below 0"
        )
    return Weights(weights=seen, all_heads=n_heads, changed=True)


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


def _from_factors(
    softmax: Softmax, shape: tuple[int, int, int, int], seeing: Tensor | None, scores: Tensor
) -> Call | None:
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
    if softmax.apart:
        return (
            f"a softmax over {shape[softmax.axis]} places, {shape}, by which each position mixes values of its own, as "
            "of experts"
        )
    return (
        f"a softmax over {shape[softmax.axis]} places, {shape}, whose weights are not multiplied with values as they "
        "stand: bands around each query, points that are sampled, or attention that is written as sums"
    )
