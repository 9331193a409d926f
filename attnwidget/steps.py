"""Steps: the attentions that generate() returned step by step, joined into the maps of one text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

__all__ = ["join"]


def join(steps: Sequence[Tensor]) -> Tensor | None:
    """One layer's rows of all steps.

    Keys of a step are those of the cache: all so far, all places of a static cache with the later ones unused, or the
    last ones of a sliding cache. In cross-attention every step has the keys of the whole source.

    Parameters
    ----------
    steps : sequence of Tensor [batch, heads, rows, keys]
        The prompt, and what came after it, as a rule one row a step.

    Returns
    -------
    Tensor [batch, heads, all rows, keys] or None
        None where the steps do not fit each other.
    """
    if len(steps) == 1:
        return steps[0]
    if any(step.ndim != 4 or step.shape[:2] != steps[0].shape[:2] for step in steps):
        return None
    rows, keys = [step.shape[2] for step in steps], [step.shape[3] for step in steps]
    ends = list(accumulate(rows))  # how many tokens have been read after each step
    before = keys[0] - rows[0]  # keys that were in the cache at the start
    if before >= 0 and all(n == before + end for n, end in zip(keys, ends, strict=True)):
        return _placed(steps, [before + end for end in ends])
    if set(keys) != {1} and _fills_a_buffer(steps, ends):  # a source of one token, and no window of one
        return _placed(steps, ends)
    return torch.cat(list(steps), 2) if len(set(keys)) == 1 else None


def _fills_a_buffer(steps: Sequence[Tensor], ends: Sequence[int]) -> bool:
    """Whether places after the last token are empty, and those that lack are the first ones of a window."""
    sizes = [(*step.shape[2:], end) for step, end in zip(steps, ends, strict=True)]
    windows = {keys for _, keys, end in sizes if keys < end}
    if len(windows) > 1 or any(rows > 1 and keys < end for rows, keys, end in sizes):
        return False
    # A window that has been full stays so.
    if windows and any(end <= keys and end > max(windows) for _, keys, end in sizes[1:]):
        return False
    if not all(_nothing_from(end, step, i == 0) for i, (step, end) in enumerate(zip(steps, ends, strict=True))):
        return False
    # A source as long as the prompt has no places to spare either: only self-attention is causal there.
    first = steps[0]
    return first.shape[3] > ends[0] or not bool(((first > 0) & ~_padding(first)).triu(1).any())


def _nothing_from(end: int, step: Tensor, is_first: bool) -> bool:
    seen = step[..., end:] > 0
    return not bool((seen & ~_padding(step) if is_first else seen).any())


def _padding(prompt: Tensor) -> Tensor:
    """Rows of padding in front of a prompt: every key is hidden there, and all get the same."""
    return (prompt == prompt[..., :1]).all(-1, keepdim=True) & (prompt.shape[2] > 1)


def _placed(steps: Sequence[Tensor], ends: Sequence[int]) -> Tensor:
    """Rows below each other, every key in its own column."""
    first, total = steps[0], ends[-1]
    n_rows = sum(step.shape[2] for step in steps)
    whole = first.new_zeros(*first.shape[:2], n_rows, total)
    row = 0
    for step, end in zip(steps, ends, strict=True):
        width = min(step.shape[3], end)
        whole[:, :, row : row + step.shape[2], end - width : end] = step[..., :width]
        row += step.shape[2]
    return whole
