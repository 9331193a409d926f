"""Newest: of what is asked for, the newest is done, in a thread of its own, and older ones are withdrawn."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Newest"]

QUICK = 0.1  # seconds: what is done within them is shown though a newer one waits, so that a picture follows the hand


class Newest:
    """Does one thing after another, away from the thread that asks, and of those that wait only the newest.

    Parameters
    ----------
    do : callable
        Does it, with what is asked for and a function that says whether nobody waits for it any more.
    """

    def __init__(self, do: Callable[[Any, Callable[[], bool]], None]) -> None:
        self._do = do
        self._lock = threading.Lock()
        self._waiting: list[Any] = []
        self._busy = False
        self._withdrawn = 0

    def ask(self, wanted: Any) -> None:
        """Have something done instead of all that was asked for before."""
        with self._lock:
            self._waiting = [wanted]
            if not self._busy:
                self._busy = True
                # No daemon: torch cannot be stopped in the middle when Python ends.
                threading.Thread(target=self._work, name="attnwidget: runs again").start()

    def withdraw(self) -> None:
        """Let go all that was asked for."""
        with self._lock:
            self._waiting = []
            self._withdrawn += 1

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    return
                wanted, self._waiting, withdrawn = self._waiting.pop(), [], self._withdrawn
            try:
                self._do(wanted, self._stale(withdrawn))
            except BaseException:
                with self._lock:
                    self._busy = False  # the next one finds somebody who does it
                raise

    def _stale(self, withdrawn: int) -> Callable[[], bool]:
        began = time.monotonic()

        def stale() -> bool:
            late = time.monotonic() - began > QUICK
            return self._withdrawn != withdrawn or (late and bool(self._waiting))

        return stale
