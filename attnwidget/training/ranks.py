"""Ranks: what the processes of a training that is shared out tell each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import distributed

__all__ = ["first", "gathered", "together", "told_by_first", "world"]

T = TypeVar("T")


def world() -> int:
    """Number of ranks; 1 where torch.distributed is not in use."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def first() -> bool:
    """Whether this is the rank that writes and speaks."""
    return world() == 1 or distributed.get_rank() == 0


def together(work: Callable[[], T]) -> T:
    """What some work gives here, once it has succeeded on every rank, so that none waits for one that is gone.

    Raises
    ------
    RuntimeError
        Where it failed on another rank; where it failed here, that error.
    """
    if world() == 1:
        return work()
    done: list[T] = []
    failed: Exception | None = None
    try:
        done.append(work())
    except Exception as error:  # noqa: BLE001 - raised below, once the others know
        failed = error
    told = gathered(None if failed is None else f"{type(failed).__name__}: {failed}")
    if failed is not None:
        raise failed
    broken = [f"rank {number}: {why}" for number, why in enumerate(told) if why is not None]
    if broken:
        raise RuntimeError(f"the probe cannot be read on {'; '.join(broken)}")
    return done[0]


def gathered(value: T) -> list[T]:
    """What each rank has."""
    if world() == 1:
        return [value]
    told: list[Any] = [None] * world()
    distributed.all_gather_object(told, value)
    return told


def told_by_first(value: T) -> T:
    """What rank 0 has, on every rank."""
    if world() == 1:
        return value
    held = [value]
    distributed.broadcast_object_list(held, src=0)
    return held[0]
