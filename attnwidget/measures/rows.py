"""Measures of rows, all in one walk over blocks of rows, so that no layer's matrices are ever held together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnwidget.intake import as_tensor
from attnwidget.layers import ROW_SUM_TOLERANCE, blocks
from attnwidget.maps import AttentionMaps
from attnwidget.tokens import Tokens

__all__ = ["entropy", "head_scores", "row_entropy"]


@dataclass(frozen=True)
class Rows:
    """A block of rows of every head of one layer: weights [heads, rows, keys], and which keys are visible."""

    layer: int
    rows: slice
    weights: Tensor
    visible: Tensor


def walk(maps: AttentionMaps) -> Iterator[Rows]:
    """Every row of every head once, block by block."""
    for number, layer in enumerate(maps.layers):
        n_heads, n_queries, n_keys = layer.shape
        heads = slice(0, n_heads)
        for rows in blocks(n_queries, n_heads * n_keys):
            yield Rows(number, rows, layer.weights(heads, rows), layer.visible(heads, rows))


def row_entropy(weights: Tensor, epsilon: float = 0.0) -> Tensor:
    """Entropy of each row in nats.

    Parameters
    ----------
    weights : Tensor [..., keys]
        Weights; a row that does not sum to 1 is rescaled first.
    epsilon : float
        Added inside the logarithm, as some course texts do; rows are then taken as they are.

    Returns
    -------
    Tensor [...]
        NaN for a row without mass or with NaN.
    """
    total = weights.sum(-1)
    if epsilon:
        return (-(weights * (weights + epsilon).log()).sum(-1)).masked_fill(total == 0, math.nan)
    # H(w / s) = H(w) / s + log s, without a second tensor of rescaled rows.
    rescaled: Tensor = torch.special.entr(weights).sum(-1) / total + total.log()
    return rescaled.clamp(min=0).masked_fill(total == 0, math.nan)


def entropy(
    a: AttentionMaps | Tensor | np.ndarray[Any, Any],
    *,
    normalize: bool = False,
    unit: str = "nats",
    epsilon: float = 0.0,
    reduce: str | None = None,
    mask: Tensor | np.ndarray[Any, Any] | None = None,
    causal: bool = False,
) -> Tensor:
    """Entropy of attention rows: how widely a query spreads its attention.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., queries, keys]
        Weights after softmax.
    normalize : bool
        Divide by the logarithm of the number of keys the query may see. Rows that see one key are NaN.
    unit : {"nats", "bits"}
        Unit of the result; a normalised entropy has none.
    epsilon : float
        Added to the weight inside the logarithm. 1e-10 is what some course texts do; 0 is right.
    reduce : {None, "queries"}
        "queries" takes the mean over rows that are not NaN.
    mask : Tensor or ndarray of bool [..., queries, keys] or None
        True where a query may attend, for bare arrays. Maps know their own.
    causal : bool
        For bare arrays: query i sees keys 0 to i.

    Returns
    -------
    Tensor [..., queries], or [...] when reduced
        Entropy in [0, log k], k the number of keys the query may see, or in [0, 1] when normalised. NaN for rows
        that see no key. For maps the leading axes are layers x heads, NaN where a layer has fewer heads.

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array.
    ValueError
        When an argument has a value that is not listed.

    References
    ----------
    Clark et al., BlackboxNLP 2019.
    """
    if unit not in {"nats", "bits"}:
        raise ValueError(f"unit={unit!r} is not known; expected 'nats' or 'bits'.")
    if reduce not in {None, "queries"}:
        raise ValueError(f"reduce={reduce!r} is not known; expected None or 'queries'.")
    if epsilon < 0:
        raise ValueError(f"epsilon={epsilon} is negative; expected 0 or more.")

    def measure(weights: Tensor, visible: Tensor) -> Tensor:
        value = row_entropy(weights, epsilon)
        if normalize:
            count = visible.sum(-1)
            value = (value / count.log()).masked_fill(count <= 1, math.nan)
        elif unit == "bits":
            value = value / math.log(2)
        return value

    if isinstance(a, AttentionMaps):
        if mask is not None or causal:
            raise ValueError("mask and causal are for bare arrays; these maps know what their queries may see.")
        result = _by_head(a)
        for block in walk(a):
            n_heads = block.weights.shape[0]
            result[block.layer, :n_heads, block.rows] = measure(block.weights, block.visible).to(result)
    else:
        weights = _as_weights(a)
        result = measure(weights, _visible(weights, mask, causal=causal))
    return result.nanmean(-1) if reduce == "queries" else result


def head_scores(
    a: AttentionMaps | Tensor | np.ndarray[Any, Any], tokens_or_ids: Tokens | Sequence[Any] | Tensor | None = None
) -> dict[str, Tensor]:
    """How much a head attends to the previous token, to earlier copies of the token, and to what followed them.

    The score is the mean, over the queries that have such a key, of the attention it gets: 1 for an ideal head,
    however many tokens repeat.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., queries, keys]
        Causal self-attention.
    tokens_or_ids : Tokens, sequence, Tensor or None
        What stands at each position; equal ids are copies. None takes the tokens of the maps.

    Returns
    -------
    dict of Tensor [...]
        "previous", "duplicate" and "induction", each in [0, 1], NaN where no query has such a key. For maps the
        axes are layers x heads.

    Raises
    ------
    ValueError
        When the maps are not square, when a query sees later keys, or when the tokens do not fit.

    References
    ----------
    Olsson et al., In-context Learning and Induction Heads, Transformer Circuits Thread 2022.
    """
    if isinstance(a, AttentionMaps):
        tokens_or_ids = a.tokens if tokens_or_ids is None else tokens_or_ids
        ids = _token_numbers(tokens_or_ids, _square(a.n_queries, a.n_keys))
        if not a.causal:
            raise ValueError(_NOT_CAUSAL)
        sums = {name: torch.zeros(2, a.n_layers, max(a.heads), dtype=torch.float64) for name in _PATTERNS}
        for block in walk(a):
            for name, hit, counted in _hits(block.weights, ids, block.rows):
                heads = block.weights.shape[0]
                sums[name][0, block.layer, :heads] += hit.sum(-1).double().cpu()
                sums[name][1, block.layer, :heads] += counted.sum(-1).double().cpu()
        return {name: (hit / counted).float() for name, (hit, counted) in sums.items()}
    weights = _as_weights(a)
    ids = _token_numbers(tokens_or_ids, _square(*weights.shape[-2:]))
    if bool((weights.triu(1) > ROW_SUM_TOLERANCE).any()):
        raise ValueError(_NOT_CAUSAL)
    found = _hits(weights, ids, slice(0, len(ids)))
    return {name: hit.sum(-1) / counted.sum(-1) for name, hit, counted in found}


_PATTERNS = ("previous", "duplicate", "induction")
_NOT_CAUSAL = (
    "these maps let queries see later keys; previous-token, duplicate-token and induction heads are defined for causal "
    "attention."
)


def _square(n_queries: int, n_keys: int) -> int:
    if n_queries != n_keys:
        raise ValueError(f"the maps are {n_queries} queries x {n_keys} keys; head scores need square self-attention.")
    return n_queries


def _hits(weights: Tensor, ids: Tensor, rows: slice) -> Iterator[tuple[str, Tensor, Tensor]]:
    """For each pattern the attention its keys get [..., rows], and which rows count: a target, and a distribution."""
    valid = weights.sum(-1) > 0  # False for empty rows and for NaN
    for name, target in _targets(ids.to(weights.device), rows).items():
        counted = valid & target.any(-1)
        yield name, (weights * target).sum(-1).masked_fill(~counted, 0), counted


def _targets(ids: Tensor, rows: slice) -> dict[str, Tensor]:
    """For each pattern the keys [rows, keys] that a query of that pattern attends to."""
    key = torch.arange(len(ids), device=ids.device)
    query = key[rows, None]
    same_before = (ids[rows, None] == ids) & (key < query)
    induction = torch.zeros_like(same_before)
    induction[:, 1:] = same_before[:, :-1]
    return {"previous": key == query - 1, "duplicate": same_before, "induction": induction}


def _token_numbers(tokens: Tokens | Sequence[Any] | Tensor | None, expected: int) -> Tensor:
    if tokens is None:
        raise ValueError("the tokens are not known; pass token ids or labels as tokens_or_ids.")
    values: Sequence[Any]
    if isinstance(tokens, Tokens):
        values = tokens.labels if tokens.ids is None else tokens.ids
    else:
        values = tokens.tolist() if isinstance(tokens, (Tensor, np.ndarray)) else list(tokens)
    if len(values) != expected:
        raise ValueError(f"tokens_or_ids has {len(values)} entries and the maps have {expected} positions.")
    numbers: dict[Any, int] = {}
    return torch.tensor([numbers.setdefault(value, len(numbers)) for value in values])


def _by_head(maps: AttentionMaps) -> Tensor:
    """Room for one number a row: [layers, heads, queries], NaN where a layer has fewer heads."""
    first = next(iter(maps.layers[0].tensors().values()))
    dtype = torch.float64 if first.dtype == torch.float64 else torch.float32
    shape = (maps.n_layers, max(maps.heads), maps.n_queries)
    return torch.full(shape, math.nan, dtype=dtype, device=first.device)


def _as_weights(a: Any) -> Tensor:
    if not isinstance(a, (Tensor, np.ndarray)):
        raise TypeError(f"a is {type(a).__name__}; expected AttentionMaps, a torch tensor or a numpy array.")
    weights = as_tensor(a, "a")
    if weights.ndim < 2:
        raise ValueError(f"a has shape {tuple(weights.shape)}; expected [..., queries, keys].")
    return weights if weights.dtype in {torch.float32, torch.float64} else weights.float()


def _visible(weights: Tensor, mask: Any, *, causal: bool) -> Tensor:
    n_queries, n_keys = weights.shape[-2:]
    visible = torch.ones(n_queries, n_keys, dtype=torch.bool, device=weights.device)
    if causal:
        visible = visible.tril(n_keys - n_queries)
    if mask is not None:
        given = torch.as_tensor(mask, device=weights.device)
        if given.dtype != torch.bool:
            raise TypeError(f"mask holds {given.dtype}; expected bool, True where a query may attend.")
        try:
            visible = visible & given.expand_as(weights)
        except RuntimeError as error:
            raise ValueError(
                f"mask has shape {tuple(given.shape)}, which does not fit weights of shape {tuple(weights.shape)}."
            ) from error
    return visible
