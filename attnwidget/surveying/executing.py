"""Executing: chunks on whatever executor, a few at a time, and what became of each as it comes."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any

from attnwidget.surveying.rows import Chunk
from attnwidget.surveying.sources import as_task, loaded, work
from attnwidget.surveying.working import Result, Wish

__all__ = ["WorkerLostError", "results"]

AHEAD = 2  # chunks that wait for each worker


class WorkerLostError(RuntimeError):
    """A worker died, and what it was doing with it."""


def results(
    chunks: Iterator[Chunk], wish: Wish, *, executor: Any, model: Any, tokenizer: Any, device: str | None,
    dtype: str | None,
) -> Iterator[Result]:  # fmt: skip
    """What came of each chunk, in the order in which they are done.

    Raises
    ------
    TypeError
        When the executor is none.
    ValueError
        When the model cannot be had, or cannot be sent to a worker.
    WorkerLostError
        When a worker died.
    """
    if executor is None:
        reader = loaded(model, tokenizer, device, dtype)
        yield from (reader.read(chunk, wish) for chunk in chunks)
        return
    if isinstance(executor, ThreadPoolExecutor):
        shared = loaded(model, tokenizer, device, dtype)
        yield from _spread(chunks, lambda chunk, _again: executor.submit(shared.read, chunk, wish), _workers(executor))
        return
    pool, workers = _pool(executor)
    source = as_task(model, tokenizer, device, dtype)
    if pool is executor:
        _check_sent(wish)

    def submit(chunk: Chunk, again: bool) -> Future[Result | None]:
        sent: Future[Result | None] = pool.submit(work, source if again else source.light, chunk, wish)
        return sent

    yield from _spread(chunks, submit, workers)


def _pool(executor: Any) -> tuple[Any, int]:
    """What takes work as an executor of concurrent.futures, and how many workers it has."""
    if callable(getattr(executor, "get_executor", None)) and callable(getattr(executor, "nthreads", None)):
        # A Dask client. A chunk whose worker died goes to another; one that was done is not taken for another's.
        return executor.get_executor(pure=False), sum(executor.nthreads().values())
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(
            f"executor is {type(executor).__name__}; expected one of concurrent.futures, as ProcessPoolExecutor, or a "
            "Dask client."
        )
    return executor, _workers(executor)


def _workers(executor: Any) -> int:
    return getattr(executor, "_max_workers", None) or os.cpu_count() or 1


def _check_sent(wish: Wish) -> None:
    try:
        pickle.dumps(wish)
    except Exception as error:
        raise ValueError(
            f"labels= cannot be sent to another process: {error}. Give a function that stands at the top of a module "
            "which workers can import, or labels of words in a column."
        ) from error


def _spread(chunks: Iterator[Chunk], submit: Callable[[Chunk, bool], Future[Any]], workers: int) -> Iterator[Result]:
    """Keep every worker busy and no more than a few chunks in hand; a worker without the model is sent it."""
    pending: dict[Future[Any], Chunk] = {}
    try:
        while True:
            while len(pending) < AHEAD * max(1, workers) and (chunk := next(chunks, None)) is not None:
                pending[_sent(submit, chunk, again=False)] = chunk
            if not pending:
                return
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            lost: BaseException | None = None
            for future in done:
                chunk = pending.pop(future)
                try:
                    result = future.result()
                except BaseException as error:  # noqa: BLE001 - told when the others that are done are safe
                    lost = lost or error
                    continue
                if result is None:
                    pending[_sent(submit, chunk, again=True)] = chunk
                else:
                    yield result
            if lost is not None:
                raise _told(lost)
    finally:
        for future in pending:
            future.cancel()


def _sent(submit: Callable[[Chunk, bool], Future[Any]], chunk: Chunk, *, again: bool) -> Future[Any]:
    try:
        return submit(chunk, again)
    except BrokenExecutor as error:
        raise _told(error) from error


def _told(error: BaseException) -> BaseException:
    if isinstance(error, BrokenExecutor | CancelledError) or type(error).__name__ in {
        "KilledWorker",
        "FutureCancelledError",
    }:
        return WorkerLostError(f"a worker died ({type(error).__name__}: {error})".rstrip())
    return error
