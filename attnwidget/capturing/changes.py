"""Changes: what others make of attention while it is computed, in the thread that asked for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from attnwidget.capturing.calls import Call

__all__ = ["Attended", "Change", "changes", "changing"]

_local = threading.local()


@dataclass(frozen=True)
class Attended:
    """Attention that was computed, and that nothing was made of yet.

    Parameters
    ----------
    module : nn.Module
        What attended.
    call : Call
        What was computed.
    output : Tensor [batch, heads, queries, width] or None
        What the heads put out; None where that is not seen before they are one.
    queries, keys : Tensor of int [batch]
        Where the first query and the first key of each example stand in its text; below 0 in padding.
    kept : bool
        Whether somebody looks at the call after this: keeps it, or changes it too. Else only the output counts.
    replaced : frozenset of int
        Heads whose output a change has put something else for: it is their weights times their values no more.
    part : str
        "attention"; of a model with an encoder and a decoder "encoder", "decoder" or "cross".
    """

    module: nn.Module
    call: Call
    output: Tensor | None
    queries: Tensor
    keys: Tensor
    kept: bool
    part: str
    replaced: frozenset[int] = frozenset()


# Gives what is to stand for what was computed; None leaves it.
Change = Callable[[Attended], Attended | None]


def changes() -> list[Change]:
    """Changes in force in this thread, the outermost first."""
    in_force: list[Change] = _local.__dict__.setdefault("changes", [])
    return in_force


@contextmanager
def changing(change: Change) -> Iterator[None]:
    """Let a change be in force in this thread."""
    in_force = changes()
    in_force.append(change)
    try:
        yield
    finally:
        in_force.remove(change)
