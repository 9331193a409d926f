"""Projections: queries and keys that people have, checked and made into layers that are held as such."""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnwidget.intake import AttentionWarning, as_tensor, listed
from attnwidget.layers import HIDDEN, Mask, ProjectedLayer
from attnwidget.layouts import VECTORS, arrange, ask, by_layer
from attnwidget.tokens import Tokens, as_tokens

__all__ = ["Rule", "about_terms", "labels_of", "projected_layers"]

_LIKELY = (
    " Torch's scaled_dot_product_attention takes 'BHND'; flash attention, JAX and TransformerLens have 'BNHD', vLLM "
    "'NHD'."
)


@dataclass(frozen=True)
class Rule:
    """What is made of queries and keys, as a caller says it; the parameters of `AttentionMaps.from_queries_keys`."""

    scaling: Any = None
    causal: bool = False
    mask: Any = None
    bias: Any = None
    softcap: Any = None
    sinks: Any = None
    window: Any = None
    first_query: int | None = None


def projected_layers(
    q: Any,
    k: Any,
    rule: Rule,
    *,
    layout: str | None = None,
    example: int | None = None,
    n_tokens: int | None = None,
    called: tuple[Sequence[str] | None, Sequence[str] | None] = (None, None),
) -> tuple[list[ProjectedLayer], list[str]]:
    """Layers of queries and keys.

    Parameters
    ----------
    q, k : tuple or list of arrays, or array
        One array a layer, or one for all with its ``layout``.
    rule : Rule
        What is made of them.
    layout : str or None
        One letter an axis: L layers, B examples, H heads, N tokens, D width.
    example : int or None
        Which example of a batch.
    n_tokens : int or None
        How many labels there are for the queries, where there are any.
    called : tuple of sequence of str or None
        What the arrays of q and of k are called in errors.

    Returns
    -------
    tuple of list of ProjectedLayer and list of str
        The layers, and what a reader of them should know.

    Raises
    ------
    TypeError, ValueError
        When something does not fit.
    """
    queries, keys = (
        _vectors(given, name, layout, example, names)
        for given, name, names in zip((q, k), ("q", "k"), called, strict=True)
    )
    if len(queries) != len(keys):
        raise ValueError(f"q holds {len(queries)} layers and k {len(keys)}; expected the same number of both.")
    pairs = list(zip(queries, keys, strict=True))
    for number, (one, other) in enumerate(pairs):
        _check_pair(one, other, number, assumed=layout is None, n_tokens=n_tokens)
    each = {
        name: _each(getattr(rule, name), len(pairs), name)
        for name in ("scaling", "mask", "bias", "softcap", "sinks", "window")
    }
    masks: dict[Any, Mask] = {}  # layers share what is said of all
    layers = []
    for number, (one, other) in enumerate(pairs):
        shape = (one.shape[0], one.shape[1], other.shape[1])
        said = {name: values[number] for name, values in each.items()}
        terms = {
            name: None if said[name] is None else _term(said[name], shape, name, example).to(one.device)
            for name in ("mask", "bias")
        }
        plain = _plain_rule(rule, said["window"], shape)
        place = (id(said["mask"]), shape, plain, one.device)
        if place not in masks:
            placed = rule.causal or rule.first_query is not None
            masks[place] = plain if terms["mask"] is None else _mask(terms["mask"], plain, placed=placed)
        layers.append(
            ProjectedLayer(
                *_of_one_type(one, other),
                scaling=one.shape[2] ** -0.5 if said["scaling"] is None else _number(said["scaling"], "scaling"),
                mask=masks[place],
                bias=None if terms["bias"] is None else _bias(terms["bias"]),
                softcap=None if said["softcap"] is None else _number(said["softcap"], "softcap"),
                sinks=None if said["sinks"] is None else _sinks(said["sinks"], shape[0]).to(one.device),
            )
        )
    notes = [*about_terms(layers), *_not_finite(layers)]
    return layers, notes


def labels_of(
    layers: Sequence[ProjectedLayer],
    rule: Rule,
    tokens: Tokens | Sequence[str] | None,
    key_tokens: Tokens | Sequence[str] | None,
) -> tuple[Tokens, Tokens]:
    """Labels of the queries and of the keys: queries that stand among the keys have theirs.

    Raises
    ------
    ValueError
        When the labels of the keys came as those of the queries.
    """
    n_queries, n_keys = layers[0].shape[1:]
    if tokens is not None and key_tokens is None and n_queries != n_keys == len(tokens):
        raise ValueError(
            f"tokens has {n_keys} labels, as many as there are keys, and there are {n_queries} queries. Pass them "
            "as key_tokens=; with causal=True or first_query= the queries take theirs from them."
        )
    keys = as_tokens(tokens if key_tokens is None and n_queries == n_keys else key_tokens, n_keys)
    if tokens is not None:
        return as_tokens(tokens, n_queries), keys
    if n_queries == n_keys:
        return keys, keys
    if (rule.causal or rule.first_query is not None) and len(keys) == n_keys:
        first = layers[0].mask.offset
        return keys[first : first + n_queries], keys
    return Tokens.positions(n_queries), keys


def _vectors(
    given: Any, name: str, layout: str | None, example: int | None, names: Sequence[str] | None
) -> list[Tensor]:
    """Vectors [heads, tokens, width] of every layer."""
    if not isinstance(given, (tuple, list)):
        array = as_tensor(given, name).detach()
        if layout is None:
            raise ask(array, name, VECTORS, _LIKELY)
        layers = by_layer(array, layout, example, name, VECTORS)
        if not layers:
            raise ValueError(f"{name} is empty: it holds no layer.")
        return layers
    called = [f"{name}[{i}]" for i in range(len(given))] if names is None else names
    arrays = [as_tensor(one, place).detach() for one, place in zip(given, called, strict=True)]
    if not arrays:
        raise ValueError(f"{name} is empty: it holds no layer.")
    likely = {3: "HND", 4: "BHND"}
    for array, place in zip(arrays, called, strict=True):
        if layout is None and array.ndim not in likely:
            raise ask(array, place, VECTORS, _LIKELY)
    return [
        arrange(
            array,
            likely[array.ndim] if layout is None else layout.removeprefix("L"),
            example,
            place,
            VECTORS,
            assumed=layout is None,
        )
        for array, place in zip(arrays, called, strict=True)
    ]


def _check_pair(q: Tensor, k: Tensor, layer: int, *, assumed: bool, n_tokens: int | None) -> None:
    read = f"layer {layer}: q has {_axes(q)} and k {_axes(k)}"
    turned = (
        " They were read as [heads, tokens, width]; where tokens stand in front of heads, as in vLLM and JAX, say "
        "layout='NHD' ('BNHD' with a batch)."
        if assumed
        else ""
    )
    if q.shape[2] != k.shape[2]:
        raise ValueError(f"{read}; expected the same width.{turned}")
    if q.shape[0] % k.shape[0]:
        raise ValueError(f"{read}; expected as many key heads as query heads, or a number that divides it.{turned}")
    if not assumed:
        return
    # The same first axis, and a second one that divides: grouped heads of the same tokens look like that too.
    grouped = q.shape[0] == k.shape[0] and q.shape[1] > k.shape[1] and q.shape[1] % k.shape[1] == 0
    if n_tokens is None and grouped:
        raise ValueError(
            f"{read}, if they are [heads, tokens, width]. If tokens stand in front of heads, it is {q.shape[1]} heads "
            f"that share {k.shape[1]}, and {q.shape[0]} tokens. Say which with layout='HND' or layout='NHD' ('BHND' or "
            "'BNHD' with a batch)."
        )
    if n_tokens is not None and n_tokens != q.shape[1] and n_tokens == q.shape[0]:
        raise ValueError(f"{read}, and there are labels for {n_tokens} queries.{turned}")


def _axes(vectors: Tensor) -> str:
    heads, tokens, width = vectors.shape
    return f"{heads} heads x {tokens} tokens x width {width}"


def _of_one_type(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    if k.device != q.device:
        k = k.to(q.device)
    if q.dtype != k.dtype:
        common = torch.promote_types(q.dtype, k.dtype)
        q, k = q.to(common), k.to(common)
    return q, k


def _each(value: Any, n_layers: int, name: str) -> list[Any]:
    """What is said of every layer: a list has one a layer, and so have numbers and sinks in one array."""
    if isinstance(value, np.ndarray | Tensor):
        several = {"scaling": 1, "softcap": 1, "window": 1, "sinks": 2}.get(name) == value.ndim
        value = list(value) if several else value
    if isinstance(value, (tuple, list)) and _is_one_term(value, name):
        value = np.asarray(value)
    if not isinstance(value, (tuple, list)):
        return [value] * n_layers
    if len(value) != n_layers:
        raise ValueError(
            f"{name} holds {len(value)} entries and there are {n_layers} layers; give one for all, or each."
        )
    return list(value)


def _is_one_term(value: Sequence[Any], name: str) -> bool:
    """Whether nested lists are one array, and not one array a layer."""
    depth, inner = 0, value
    while isinstance(inner, (tuple, list)) and inner:
        depth, inner = depth + 1, inner[0]
    plain = isinstance(inner, (bool, int, float))
    return plain and depth == {"sinks": 1, "mask": 2, "bias": 2}.get(name)


def _number(value: Any, name: str) -> float:
    try:
        number = float(value) if not isinstance(value, str) else None
    except (TypeError, ValueError, RuntimeError):
        number = None
    if number is None:
        raise TypeError(f"{name} is {type(value).__name__}; expected one number, or one a layer.")
    if not 0 < number < math.inf:
        raise ValueError(f"{name} is {number}; expected a number above 0.")
    return number


def _plain_rule(rule: Rule, window: Any, shape: tuple[int, int, int]) -> Mask:
    """The rule of what may be seen, without a mask."""
    _, queries, keys = shape
    if rule.first_query is None:
        if rule.causal and queries > keys:
            raise ValueError(
                f"causal=True with {queries} queries and {keys} keys: the last query would see all keys, and the first "
                "stand before them. Pass all keys, those in the cache too; cross-attention is not causal."
            )
        first = keys - queries if rule.causal else 0
    else:
        first = _whole(rule.first_query, "first_query")
        if not 0 <= first <= keys - queries:
            raise ValueError(
                f"first_query={first} with {queries} queries and {keys} keys: expected the position of the first query "
                f"among the keys, 0 to {keys - queries}."
                if queries <= keys
                else f"first_query={first}: {queries} queries have no places among {keys} keys. Pass all keys, those "
                "in the cache too."
            )
    if window is not None:
        window = _whole(window, "window")
        if window < 1:
            raise ValueError(f"window={window}; expected how many keys a query sees at most, itself included.")
        if not rule.causal:
            raise ValueError("window= is how far a causal query looks back; pass causal=True too, or a mask.")
        window = None if window >= first + queries else window
    return Mask(causal=bool(rule.causal), offset=first, window=window)


def _whole(value: Any, name: str) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        raise TypeError(f"{name} is {value!r}; expected a whole number.") from error


def _term(given: Any, shape: tuple[int, int, int], name: str, example: int | None) -> Tensor:
    """A mask or bias [1 or heads, queries, keys], bool or floating-point."""
    heads, queries, keys = shape
    term = given if isinstance(given, Tensor) else None
    if term is None:
        array = np.asarray(given)
        term = torch.from_numpy(array.copy()) if array.dtype == bool else None
    if term is None or term.dtype != torch.bool:
        try:
            term = as_tensor(given, name)
        except TypeError as error:
            raise TypeError(
                f"{error} {name} is bool, True where a query may attend, or numbers that are added to the scores; of "
                "1 and 0, pass mask == 1."
                if name == "mask"
                else str(error)
            ) from error
    term = term.detach()
    what = f"{name} has shape {tuple(term.shape)}"
    if term.ndim == 4:
        if example is None and term.shape[0] != 1:
            raise ValueError(f"{what}, a batch of {term.shape[0]}; choose one with example=0, or pass {name}[0].")
        if example is not None and not -term.shape[0] <= example < term.shape[0] and term.shape[0] != 1:
            raise ValueError(f"{what}, and example={example} is outside of its batch.")
        term = term[0 if term.shape[0] == 1 else example]
    full = term[(None,) * max(0, 3 - term.ndim)]
    fits = full.ndim == 3 and full.shape[0] in {1, heads} and full.shape[1] in {1, queries} and full.shape[2] == keys
    if not fits:
        raise ValueError(
            f"{what}; expected [{queries}, {keys}] (queries, keys), or [{heads}, {queries}, {keys}] with the heads in "
            f"front. One row for all queries is [1, {keys}]."
        )
    return full.expand(-1, queries, -1)


def _mask(term: Tensor, plain: Mask, *, placed: bool) -> Mask:
    """The mask that was given and the plain rule, as one rule wherever there is one."""
    queries, keys = term.shape[1:]
    if term.dtype == torch.bool:
        upper = torch.ones(queries, keys, dtype=torch.bool, device=term.device).triu(keys - queries + 1)
        if queries > 1 and bool((term == upper).all()):
            raise ValueError(
                "mask lets every query see later keys only: it says what is hidden, as in torch.nn.Transformer, and "
                "here True may attend. Pass ~mask, or causal=True."
            )
        term = torch.zeros(term.shape, device=term.device).masked_fill(~term, -math.inf)
    elif bool((term.isnan() | (term == math.inf)).any()):
        raise ValueError("mask holds NaN or plus infinity, which no score can be added to; -inf hides a key.")
    elif bool((term == 1).any()) and bool(((term == 0) | (term == 1)).all()):
        raise ValueError(
            "mask holds the numbers 0 and 1 alone. Numbers are added to the scores: if 1 means that a key may be seen, "
            "pass mask == 1; if it is to be added, pass it as bias."
        )
    if plain.causal:
        seen = plain.visible(slice(0, queries), keys, term.device)
        term = term.masked_fill(~seen, -math.inf)
    if bool((term <= HIDDEN).all()):
        raise ValueError(
            "mask hides every key from every query" + " together with causal=True" * plain.causal + ". True, or 0 in "
            "a mask that is added, is a key that may be seen: a mask that says what is hidden is turned with ~mask."
        )
    found = Mask.from_additive(term)
    if found.additive is None and not found.causal:
        return plain
    if not placed or (found.additive is None and found.offset == plain.offset):
        return found
    # The rule that was found has another place for the first query than the one that was said.
    return Mask(offset=plain.offset, additive=term.float().masked_fill(term <= HIDDEN, -math.inf))


def _bias(term: Tensor) -> Tensor:
    if term.dtype == torch.bool:
        raise TypeError("bias holds bool; expected numbers that are added to the scores. What may be seen is mask=.")
    if not bool(term.isfinite().all()) or bool((term <= HIDDEN).any()):
        raise ValueError("bias holds NaN, infinity or numbers that hide keys; pass what hides keys as mask=.")
    return term


def _sinks(given: Any, heads: int) -> Tensor:
    sinks = as_tensor(given, "sinks").detach()
    if tuple(sinks.shape) != (heads,):
        raise ValueError(f"sinks has shape {tuple(sinks.shape)}; expected [{heads}], one logit a head.")
    if not bool(sinks.isfinite().all()):
        raise ValueError("sinks holds NaN or infinity; expected one logit a head.")
    return sinks


def about_terms(layers: Sequence[ProjectedLayer]) -> list[str]:
    """What a reader should know of what is done to the scores, one sentence each."""
    notes = []
    if any(layer.bias is not None for layer in layers):
        notes.append("A position bias is added to the scores; temperature and scaling act on the sum.")
    if any(layer.softcap is not None for layer in layers):
        notes.append("The scores are capped; temperature and scaling act on the capped scores.")
    if any(layer.sinks is not None for layer in layers):
        notes.append("Part of each row goes to a learned sink that is no token: rows sum to less than 1.")
    return notes


def _not_finite(layers: Sequence[ProjectedLayer]) -> list[str]:
    """Say where NaN or infinity is: rows made from it have no values."""
    notes = []
    for number, layer in enumerate(layers):
        for what, vectors in (("queries", layer.q), ("keys", layer.k)):
            heads = (~vectors.isfinite()).flatten(1).any(-1).nonzero().flatten().tolist()
            if heads:
                notes.append(
                    f"The {what} of layer {number} hold NaN or infinity in heads {listed(heads)}: rows made from them "
                    "have no values."
                )
    for note in notes:
        warnings.warn(note, AttentionWarning, stacklevel=4)
    return notes
