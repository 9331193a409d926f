"""Stopping: work that ends before its end keeps what it has, and says why and how to go on."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

import torch

__all__ = ["Stopping", "is_out_of_memory"]


def is_out_of_memory(raised: BaseException | None) -> bool:
    """Whether an error says that memory ran out; on the CPU torch says so in a plain RuntimeError."""
    if isinstance(raised, (torch.OutOfMemoryError, MemoryError)):
        return True
    said = str(raised).lower()
    return isinstance(raised, RuntimeError) and ("out of memory" in said or "can't allocate memory" in said)


class Stopping:
    """Ends the work inside where somebody interrupts it or memory runs out, and lets every other error pass.

    Parameters
    ----------
    done : callable
        How many examples are behind it. Where there are none, running out of memory is an error like others.

    Attributes
    ----------
    reason : str
        Why the work ended early, and how to go on; empty where it came to its end.
    """

    def __init__(self, done: Callable[[], int]) -> None:
        self._done = done
        self.reason = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> bool:
        done = self._done()
        if isinstance(raised, KeyboardInterrupt):
            self.reason = f"interrupted after {done} examples; the rest of the data begins at example {done}."
        elif is_out_of_memory(raised) and done:
            self.reason = (
                f"out of memory after {done} examples; go on with the data from example {done} on, in smaller batches "
                "or cut shorter, and weigh both results by n_examples."
            )
        return bool(self.reason)
