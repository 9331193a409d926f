"""QK: what a module attends with, in the words of whoever says it, and checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NotRequired, Required, TypedDict

import torch
from torch import Tensor, nn

from attnwidget.capturing.projected import Projections
from attnwidget.capturing.softmaxes import split_heads
from attnwidget.layers import HIDDEN

__all__ = ["QK", "Masks", "additive", "as_call", "call_of_sdpa", "causal_mask", "of_sdpa"]


class QK(TypedDict):
    """What one call of an attention module attends with: a dict of q, k, and whatever else changes its weights.

    The weights are softmax(q k^T * scaling + bias + mask) over the keys.

    Keys
    ----
    q : Tensor [batch, heads, queries, width]
        Queries, after any norm and rotation.
    k : Tensor [batch, heads, keys, width]
        Keys, likewise; with fewer heads where several share one, not repeated for them.
    v : Tensor [batch, heads, keys, width]
        Values, with as many heads as keys or with one for each head; only for what is asked of values.
    scaling : float
        Factor on q k^T; width ** -0.5 where left out.
    mask : Tensor [batch or 1, heads or 1, queries, keys], or [queries, keys]
        bool, True where a query may attend, or numbers added to the scores, -inf where it may not.
    causal : bool
        Whether query i sees only keys j <= i + keys - queries.
    bias : Tensor, of a shape like the mask's
        Position bias, added to the scaled scores.
    softcap : float
        Scores, bias included, are capped by softcap * tanh(scores / softcap).
    sinks : Tensor [heads]
        Logits that take part in the softmax and are no keys.
    dropout : float
        Share of the weights that the call drops.

    Examples
    --------
    >>> def of_my_attention(module, x):
    ...     q, k, _ = module.qkv(x).unflatten(-1, (3, module.heads, -1)).permute(2, 0, 3, 1, 4)
    ...     return {"q": q, "k": k, "causal": True}
    """

    q: Required[Tensor]
    k: Required[Tensor]
    v: NotRequired[Tensor | None]
    scaling: NotRequired[float | None]
    mask: NotRequired[Tensor | None]
    causal: NotRequired[bool]
    bias: NotRequired[Tensor | None]
    softcap: NotRequired[float | None]
    sinks: NotRequired[Tensor | None]
    dropout: NotRequired[float]


class Masks:
    """Masks of one pass, each made once for all layers that are given the same."""

    def __init__(self) -> None:
        self._made: dict[Any, tuple[Tensor | None, Any]] = {}

    def shared(self, key: tuple[Any, ...], make: Callable[[], Tensor | None], *given: Tensor | None) -> Tensor | None:
        """The mask that ``make`` makes of the tensors given, or that it made before."""
        key = (*key, *((id(tensor), _version(tensor)) for tensor in given))
        if key not in self._made:
            self._made[key] = make(), given  # what is given is held, so that no other tensor gets its id
        return self._made[key][0]


def _version(tensor: Tensor | None) -> int:
    """Rises when a tensor is changed in place; tensors of inference mode do not count."""
    return 0 if tensor is None or tensor.is_inference() else tensor._version  # noqa: SLF001


def as_call(said: Any, who: str, masks: Masks) -> Projections:
    """The call that a QK describes.

    Parameters
    ----------
    said : QK
        What was said, by whomever.
    who : str
        Whose attention it is, for messages.
    masks : Masks
        Those of the pass, to which it adds its own.

    Raises
    ------
    TypeError, ValueError
        When something is missing, unknown, or of a shape that does not fit.
    """
    if not isinstance(said, Mapping):
        raise TypeError(
            f"what was said of {who} is {type(said).__name__}; expected a dict: return {{'q': q, 'k': k}}, each "
            "[batch, heads, tokens, width]."
        )
    known = QK.__required_keys__ | QK.__optional_keys__
    if unknown := sorted(map(str, set(said) - known)):
        raise ValueError(
            f"what was said of {who} has {', '.join(map(repr, unknown))}, which is not known; the keys are "
            f"{', '.join(sorted(known))}."
        )
    for name in ("q", "k"):
        _check_vectors(said.get(name), name, who)
    q, k = said["q"], said["k"]
    if q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3] or q.shape[1] % k.shape[1]:
        raise ValueError(
            f"q of {who} is {list(q.shape)} and its k {list(k.shape)}; expected [batch, heads, tokens, width] with "
            "the same batch and width, and a number of heads that those of k divide."
        )
    shape = (q.shape[0], q.shape[1], q.shape[2], k.shape[2])
    v = said.get("v")
    if v is not None:
        _check_vectors(v, "v", who)
        if v.shape[0] != k.shape[0] or v.shape[2] != k.shape[2] or q.shape[1] % v.shape[1]:
            raise ValueError(
                f"v of {who} is {list(v.shape)} and its k {list(k.shape)}; expected one vector for each key, of a "
                f"number of heads that divides {q.shape[1]}."
            )
    mask, bias, sinks = said.get("mask"), said.get("bias"), said.get("sinks")
    if mask is not None:
        mask = _fitted(mask, shape, "mask", who)
    causal = bool(said.get("causal"))
    if causal and mask is not None:
        key = ("said", shape, q.dtype, q.device)
        given: Tensor = mask
        mask = masks.shared(key, lambda: _with_causality(given, q, k), said.get("mask"))
        causal = False
    if sinks is not None and (not isinstance(sinks, Tensor) or sinks.numel() != shape[1]):
        raise ValueError(f"sinks of {who} are {_describe(sinks)}; expected one logit a head: a tensor [{shape[1]}].")
    scaling = said.get("scaling")
    return Projections(
        query=q,
        key=k,
        value=v,
        mask=mask,
        scaling=q.shape[-1] ** -0.5 if scaling is None else float(scaling),
        position_bias=None if bias is None else _fitted(bias, shape, "bias", who),
        softcap=said.get("softcap"),
        sinks=sinks,
        dropout=float(said.get("dropout") or 0.0),
        causal=causal,
        all_heads=shape[1],
    )


def of_sdpa(  # noqa: PLR0917 - the arguments of scaled_dot_product_attention, which come by place
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,  # noqa: ARG001
) -> QK:
    """What a call of scaled_dot_product_attention attends with."""
    said: QK = {"q": query, "k": key, "v": value, "scaling": scale, "dropout": dropout_p}
    if is_causal and query.shape[-2] == key.shape[-2]:
        said["causal"] = True
    elif is_causal:
        said["mask"] = causal_mask(query.shape[-2], key.shape[-2], query.device)
    elif attn_mask is not None:
        # Numbers that hide nothing are a position bias, which the maps tell from a mask.
        hides = attn_mask.dtype == torch.bool or bool((attn_mask <= HIDDEN).any())
        said["mask" if hides else "bias"] = attn_mask
    return said


def call_of_sdpa(said: QK, batch: int, module: nn.Module | None, masks: Masks) -> Projections | str:
    """The call that a call of scaled_dot_product_attention is, or why it cannot be shown."""
    q, k = said["q"], said["k"]
    if q.is_nested or k.is_nested:
        return "it attends over nested tensors, whose rows are of different lengths"
    if q.ndim != 4:
        found = split_heads(q.shape[:-2], batch, module)
        if isinstance(found, str) or found[2] or found[0] * found[1] != q.shape[:-2].numel():
            return (
                f"it gives scaled_dot_product_attention queries {list(q.shape)}, in which heads, examples and windows "
                "cannot be told apart"
            )
        split = found[:2]
        grouped = split[0], k.shape[:-2].numel() // split[0]
        v = said["v"]
        said = {
            **said, "q": q.reshape(*split, *q.shape[-2:]), "k": k.reshape(*grouped, *k.shape[-2:]),
            "v": None if v is None else v.reshape(*grouped, *v.shape[-2:]),
        }  # fmt: skip
        for name in ("mask", "bias"):
            term = said.get(name)
            if isinstance(term, Tensor) and term.ndim == 3 and term.shape[0] == q.shape[:-2].numel():
                said = {**said, name: term.reshape(*split, *term.shape[-2:])}  # type: ignore[misc]
    return as_call(said, "a call of scaled_dot_product_attention", masks)


def _with_causality(mask: Tensor, q: Tensor, k: Tensor) -> Tensor:
    rule = causal_mask(q.shape[2], k.shape[2], q.device, offset=k.shape[2] - q.shape[2])
    return mask & rule if mask.dtype == torch.bool else mask + additive(rule, q)


def additive(mask: Tensor, like: Tensor) -> Tensor:
    """A mask as numbers added to scores; of a bool one, True is what may be seen."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=like.dtype, device=mask.device).masked_fill_(~mask, -math.inf)


def causal_mask(n_queries: int, n_keys: int, device: torch.device, *, offset: int = 0) -> Tensor:
    """Query i sees keys j <= i + offset: bool [1, 1, queries, keys]."""
    return torch.ones(1, 1, n_queries, n_keys, dtype=torch.bool, device=device).tril_(offset)


def _check_vectors(vectors: Any, name: str, who: str) -> None:
    if not isinstance(vectors, Tensor) or vectors.ndim != 4 or not vectors.is_floating_point():
        raise ValueError(
            f"{name} of {who} is {_describe(vectors)}; expected a floating-point tensor [batch, heads, tokens, width]. "
            "Vectors [batch, tokens, heads * width] become that by .unflatten(-1, (heads, -1)).transpose(1, 2)."
        )


def _fitted(term: Any, shape: tuple[int, int, int, int], name: str, who: str) -> Tensor:
    """A mask or bias with all four axes, those of queries and keys in full; broadcast, not copied."""
    if isinstance(term, Tensor) and 2 <= term.ndim <= 4:
        whole = term[(None,) * (4 - term.ndim)]
        fits = all(came in {1, wanted} for came, wanted in zip(whole.shape, shape, strict=True))
        if fits and (term.dtype == torch.bool or term.is_floating_point()):
            return whole.expand(*whole.shape[:2], *shape[2:])
    raise ValueError(
        f"{name} of {who} is {_describe(term)}; expected bool or floating-point numbers [batch or 1, heads or 1, "
        f"queries, keys], here {[f'{shape[0]} or 1', f'{shape[1]} or 1', shape[2], shape[3]]}."
    )


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {value.dtype} {list(value.shape)}"
    return "missing" if value is None else type(value).__name__
