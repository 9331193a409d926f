"""Attention flow: the most that can flow between tokens through the layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow
from torch import Tensor

from attnwidget.measures.arguments import positions
from attnwidget.measures.given import Excluded, MaskLike
from attnwidget.measures.transitions import GivenLayers, Layers, Recipe, steps
from attnwidget.progress import progress_bar

__all__ = ["attention_flow"]

_SCALE = 1 << 30  # capacities are int32: what leaves one node, 1 in all, must fit


def attention_flow(
    a: GivenLayers,
    *,
    queries: int | Sequence[int] | str | None = None,
    raw: bool = False,
    residual: float = 0.5,
    fusion: str = "mean",
    start_layer: int = 0,
    progress: bool = True,
    limit: float | None = 120.0,
    mask: MaskLike = None,
    causal: bool = False,
    exclude_tokens: Excluded = None,
) -> Tensor:
    """Attention flow: the most that can flow from a token of the output to one of the input, layer by layer.

    Tokens of neighbouring layers are joined by pipes, whose capacities are the matrices of `rollout`. Each input token
    is the target by itself, so that the raw flows of a row compete for nothing and do not sum to 1.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [layers, ..., heads, n, n], or sequence of them [..., heads, n, n], one a layer
        Self-attention after softmax, as for `rollout`.
    queries : int, sequence of int, "all", or None
        Rows to compute, negative ones from the end. None takes one: the last token of a causal map, and token 0, the
        place of [CLS], of any other.
    raw : bool
        The flows themselves. Otherwise each row is divided by its sum, as in the paper's code.
    residual, fusion, start_layer, mask, causal, exclude_tokens
        As for `rollout`.
    progress : bool
        Show a progress bar where the work is estimated to take longer than 2 seconds.
    limit : float or None
        Refuse work that is estimated to take longer, in seconds; None refuses nothing.

    Returns
    -------
    Tensor [..., queries, n]
        Shares in [0, 1] whose rows sum to 1, or flows in [0, min(1, capacity into the token)]. NaN as in `rollout`,
        and where nothing flows. The solver counts in units of 2^-30 and capacities are rounded down: a flow is never
        too large, and too small by at most 2^-30 for each pipe in a narrowest cut, about n * 2^-30. Not differentiable.

    Raises
    ------
    TypeError, ValueError
        As for `rollout`; and ValueError when the work is estimated to exceed ``limit``.

    Warns
    -----
    AttentionWarning
        When rows hold NaN; and when rows of bare arrays do not sum to 1.

    References
    ----------
    Abnar & Zuidema, Quantifying Attention Flow in Transformers, ACL 2020, section 3. Solver: Dinic 1970, in SciPy.
    """
    layers = Layers.square(a, "attention flow", mask=mask, causal=causal, exclude_tokens=exclude_tokens)
    layers.start_at(start_layer)
    n = layers.n_keys
    if isinstance(queries, str) and queries != "all":
        raise ValueError(f"queries={queries!r} is not known; expected positions, 'all', or None for one.")
    if queries is None:
        queries = n - 1 if layers.causal else 0
    wanted = list(range(n)) if isinstance(queries, str) else positions(queries, n, "queries")
    recipe = Recipe(fusion=fusion, residual=residual)
    seconds = _seconds(layers, len(wanted))
    if limit is not None and seconds > limit:
        raise ValueError(
            f"attention flow of {len(wanted)} queries over {len(layers.order)} layers of {n} tokens would take about "
            f"{seconds:,.0f} s, and limit is {limit:g} s. Ask for fewer queries (queries=[-1] is the last), for fewer "
            "layers (start_layer), use rollout, or pass limit=None."
        )
    capacity, absent = _capacities(layers, recipe)
    if len(layers.order) == 1:
        flows = capacity[0][..., wanted, :]
    else:
        flows = _max_flows(capacity, wanted, progress=progress and seconds > 2)
    flows = flows.masked_fill(absent[..., wanted, None], math.nan)
    if not raw:
        total = flows.sum(-1, keepdim=True)
        flows = (flows / total).masked_fill(total == 0, math.nan)
    return flows.to(layers.dtype)


def _seconds(layers: Layers, n_queries: int) -> float:
    """About how long the flows take: 0.6 ms a flow and 0.1 us a pipe, as measured."""
    if len(layers.order) == 1:
        return 0.0
    n = layers.n_keys
    pipes = (len(layers.order) - 1) * (n * (n + 1) // 2 if layers.causal else n * n) + n * n_queries
    return math.prod(layers.batch) * n_queries * n * (6e-4 + 1e-7 * pipes)


@torch.no_grad()
def _capacities(layers: Layers, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Matrices of all layers, [layers, ..., n, n], the lowest first; and which tokens lack a row in one [..., n]."""
    found = [step for layer in layers.each() for step in steps(layers, layer, recipe, whole=True)]
    capacity = torch.stack([step.matrix.shown(step.matrix.unknown) for step in found])
    return capacity, torch.stack([step.absent for step in found]).any(0)


def _max_flows(capacity: Tensor, wanted: list[int], *, progress: bool) -> Tensor:
    """Flow from each wanted token of the last layer to each token of the input: [..., queries, n]."""
    n = capacity.shape[-1]
    examples = capacity.flatten(1, -3) if capacity.ndim > 3 else capacity[:, None]
    found = [_flows_of(pipes, wanted, progress=progress) for pipes in examples.transpose(0, 1).cpu().numpy()]
    flows = torch.from_numpy(np.stack(found)).to(capacity)
    return flows.view(*capacity.shape[1:-2], len(wanted), n)


def _flows_of(capacity: np.ndarray[Any, Any], wanted: list[int], *, progress: bool) -> np.ndarray[Any, Any]:
    """Flows of one example, [queries, n]. Token i of layer l is node l * n + i, the input is layer 0."""
    n_layers, n, _ = capacity.shape
    unknown = np.isnan(capacity).any(-1)
    units = np.floor(np.where(unknown[..., None], 0, capacity) * _SCALE).astype(np.int32)
    units[-1, np.setdiff1d(np.arange(n), wanted)] = 0  # pipes that no query uses
    reached, lost = np.eye(n, dtype=bool)[wanted], np.zeros(len(wanted), dtype=bool)
    for layer in reversed(range(n_layers)):
        lost |= (reached & unknown[layer]).any(-1)
        reached = reached.astype(np.float32) @ (units[layer] > 0) > 0
    below, query, key = (place.astype(np.int32) for place in np.nonzero(units))  # scipy 1.11's flow takes no others
    size = (n_layers + 1) * n
    graph = csr_array((units[below, query, key], ((below + 1) * n + query, below * n + key)), shape=(size, size))
    flows = np.zeros((len(wanted), n))
    flows[lost] = math.nan
    todo: list[list[int]] = np.argwhere(reached & ~lost[:, None]).tolist()
    with progress_bar("attention flow", len(todo), shown=progress, unit="flow") as bar:
        for row, target in todo:
            flows[row, target] = maximum_flow(graph, n_layers * n + wanted[row], target).flow_value / _SCALE
            bar.update()
    return flows
