"""Steps: attention over a handful of tokens, one step of the formula after another, in double precision.

The browser has the same arithmetic in js/src/attention/steps.ts; vectors that Python writes hold the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["HEADS", "Steps", "head_steps", "mixed", "ranges", "rotated", "seeded", "slopes", "steps", "visibility"]

Array = NDArray[np.float64]

ROTARY_BASE = 10_000.0
CERTAIN = 4.0  # score of what a ruled head looks for; all else has 0
HEADS = ("previous", "first", "same", "content")


@dataclass(frozen=True)
class Steps:
    """What follows from queries, keys and values.

    Parameters
    ----------
    scores : array [queries, keys]
        Products of queries and keys.
    scaled : array [queries, keys]
        Scores * scaling / temperature.
    visible : array of bool [queries, keys]
        What each query may see.
    weights : array [queries, keys]
        Softmax over what is visible; 0 where it is not. A row that sees nothing is NaN.
    output : array [queries, width of a value]
        Weights times values; NaN in a row that sees nothing.
    entropy : array [queries]
        Of each row, in nats; NaN in a row that sees nothing.
    """

    scores: Array
    scaled: Array
    visible: NDArray[np.bool_]
    weights: Array
    output: Array
    entropy: Array


def steps(
    query: Array,
    key: Array,
    value: Array,
    *,
    scaling: float | None = None,
    temperature: float = 1.0,
    visible: NDArray[np.bool_] | None = None,
    positions: Sequence[int] | None = None,
) -> Steps:
    """Attention, step by step.

    Parameters
    ----------
    query : array [queries, width]
    key : array [keys, width]
    value : array [keys, width of a value]
    scaling : float or None
        What products are multiplied with; None for 1 / sqrt(width) (Vaswani et al. 2017).
    temperature : float
        What scaled scores are divided by; above 0.
    visible : array of bool [queries, keys] or None
        What each query may see; None for everything.
    positions : sequence of int or None
        Of the tokens, as many as there are queries and keys: both are turned by them (rotary positions, Su et al.
        2021). None for no positions.
    """
    if positions is not None:
        query, key = rotated(query, positions), rotated(key, positions)
    scores = query @ key.T
    factor = 1 / np.sqrt(max(1, query.shape[1])) if scaling is None else scaling
    if visible is None:
        visible = np.ones(scores.shape, dtype=bool)
    return _weighed(scores, scores * factor / temperature, visible, value)


def _weighed(scores: Array, scaled: Array, visible: NDArray[np.bool_], value: Array) -> Steps:
    """The steps from scaled scores on."""
    seen = np.where(visible, scaled, -np.inf)
    top = seen.max(axis=1, keepdims=True, initial=-np.inf)
    sees = np.isfinite(top)
    exponentials = np.exp(seen - np.where(sees, top, 0))
    sums = exponentials.sum(axis=1, keepdims=True)
    weights = np.where(sees, exponentials / np.where(sees, sums, 1), np.nan)
    logs = np.log(np.where(weights > 0, weights, 1))
    entropy = np.abs((weights * logs).sum(axis=1))
    return Steps(scores, scaled, visible, weights, weights @ value, entropy)


def rotated(vectors: Array, positions: Sequence[int]) -> Array:
    """Vectors turned by their positions, each pair of neighbouring numbers by an angle of its own.

    Pair i of a vector of width d at position p turns by p / 10,000^(2 i / d) radians (Su et al. 2021). Of an odd width
    the last number stays.
    """
    width = vectors.shape[1]
    pairs = width // 2
    angles = np.outer(positions, ROTARY_BASE ** (-2 * np.arange(pairs) / max(1, width)))
    even, odd = vectors[:, 0 : 2 * pairs : 2], vectors[:, 1 : 2 * pairs : 2]
    turned = vectors.copy()
    turned[:, 0 : 2 * pairs : 2] = even * np.cos(angles) - odd * np.sin(angles)
    turned[:, 1 : 2 * pairs : 2] = even * np.sin(angles) + odd * np.cos(angles)
    return turned


def visibility(mask: str | Sequence[Sequence[bool]], queries: int, keys: int) -> NDArray[np.bool_]:
    """What each query may see: under "none" everything, under "causal" itself and what came before, or as given."""
    if mask == "none":
        return np.ones((queries, keys), dtype=bool)
    if mask == "causal":
        return np.tril(np.ones((queries, keys), dtype=bool), keys - queries)
    return np.array(mask, dtype=bool).reshape(queries, keys)


def head_steps(
    kind: str, query: Array, key: Array, value: Array, *, labels: Sequence[str], temperature: float = 1.0
) -> Steps:
    """One causal head over a sentence.

    Parameters
    ----------
    kind : {"previous", "first", "same", "content"}
        What it looks for: the token before, the first token, the same word, or what its keys say. The first three are
        ruled: what they look for has a scaled score of 4 before the temperature, all else 0.
    labels : sequence of str
        The words. A token that has none is no other's.
    """
    n = len(key)
    visible = visibility("causal", n, n)
    if kind == "content":
        return steps(query, key, value, temperature=temperature, visible=visible)
    at = np.arange(n)
    wanted = {
        "previous": at[None] == np.maximum(at - 1, 0)[:, None],
        "first": np.broadcast_to(at[None] == 0, (n, n)),
        "same": _same(labels, n),
    }[kind]
    scores = wanted * CERTAIN
    return _weighed(scores, scores / temperature, visible, value)


def _same(labels: Sequence[str], n: int) -> NDArray[np.bool_]:
    """Which tokens are the same word."""
    words = np.array([labels[at] if at < len(labels) else "" for at in range(n)], dtype=object)
    same: NDArray[np.bool_] = (words[:, None] == words[None]) & (words != "")[None]
    return same | np.eye(n, dtype=bool)


def mixed(heads: Sequence[Steps], mixing: Array) -> tuple[Array, Array]:
    """Outputs of all heads side by side, and what an output projection makes of them.

    Parameters
    ----------
    heads : sequence of Steps
    mixing : array [heads * width of a value, width of the output]
        Empty for the mean of the heads.

    Returns
    -------
    concatenated : array [queries, heads * width of a value]
    output : array [queries, width of the output]
    """
    concatenated = np.concatenate([head.output for head in heads], axis=1)
    width = heads[0].output.shape[1]
    matrix = mixing if mixing.size else np.tile(np.eye(width), (len(heads), 1)) / len(heads)
    return concatenated, concatenated @ matrix


def ranges(visible: NDArray[np.bool_]) -> Array:
    """The largest entropy that each row can have: the logarithm of the keys that it sees; NaN where it sees none."""
    seen = visible.sum(axis=1)
    return np.where(seen > 0, np.log(np.maximum(seen, 1)), np.nan)


def slopes(weights: Array) -> Array:
    """How much of a change of its scores comes through each row's softmax, 0 to 1.

    The trace of the softmax's derivative is 1 - sum of squared weights. It is divided by what a row gives that is
    spread evenly over as many keys, 1 - 1 / keys, so 1 is the most there can be, and 0 a row that is all on one key.
    NaN for rows of one key, and for rows that see nothing.
    """
    keys = weights.shape[1]
    if keys < 2:
        return np.full(len(weights), np.nan)
    squares: Array = (weights**2).sum(axis=1)
    shares: Array = (1 - squares) / (1 - 1 / keys)
    return shares


def seeded(seed: int, length: int, width: int) -> tuple[Array, Array]:
    """Queries and keys of independent standard normal numbers, the same here as in the browser.

    Returns
    -------
    query, key : array [length, width]
    """
    count = length * width
    drawn = _normals(seed, 2 * count)
    return drawn[:count].reshape(length, width), drawn[count:].reshape(length, width)


def _normals(seed: int, count: int) -> Array:
    """Standard normal numbers, two of each pair of uniform ones (Box & Muller 1958)."""
    pairs = -(-count // 2)
    uniform = _uniforms(seed, 2 * pairs).reshape(pairs, 2)
    radius = np.sqrt(-2 * np.log(uniform[:, 0] + 2.0**-33))
    angle = 2 * np.pi * uniform[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:count]


def _uniforms(seed: int, count: int) -> Array:
    """Numbers from 0 to below 1 in steps of 2^-32: a counter with mixed bits (mulberry32, in the public domain)."""
    every = np.uint64(0xFFFFFFFF)
    start = (seed * 0x9E3779B9) & 0xFFFFFFFF
    state = (start + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x6D2B79F5)) & every

    def times(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint64]:
        return (one * other) & every  # the upper bits of 64 are not looked at

    mixed_bits = times(state ^ (state >> np.uint64(15)), state | np.uint64(1))
    step = times(mixed_bits ^ (mixed_bits >> np.uint64(7)), mixed_bits | np.uint64(61))
    mixed_bits = (mixed_bits ^ ((mixed_bits + step) & every)) & every
    return (mixed_bits ^ (mixed_bits >> np.uint64(14))) / 2.0**32
