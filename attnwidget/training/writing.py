"""Writing: a file of readings that a crash cannot take back, and that goes on where it ended."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from attnwidget.intake import AttentionWarning
from attnwidget.measures.faults import outside
from attnwidget.training.history import History, Reading, read_lines

__all__ = ["Written"]


class Written:
    """A file of readings that goes on where it ended.

    Where the disk is full, or gone, readings wait in memory and are tried again with the next one; training goes on. A
    file that was removed is written anew. One that somebody else writes to is theirs from then on.

    Parameters
    ----------
    path : str or Path
        Where; a file that is there is gone on with, less a last line that was cut off.

    Attributes
    ----------
    before : History
        What it held.

    Raises
    ------
    ValueError
        When the file is something else.
    OSError
        When it cannot be written to.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            raise IsADirectoryError(f"path={str(path)!r} is a folder; give the name of a file, as attention.jsonl.")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab"):  # made, or seen to be writable, before training begins
            pass
        readings, self._whole, _ = read_lines(self.path)
        self.before = History(readings)
        self._count = len(readings)  # of those that it holds
        with self.path.open("rb") as file:
            file.seek(self._whole)
            self._cut = file.read()  # what may stand behind them, of which a part may be missing
        self._shared = False
        self._told = False

    def write(self, history: Sequence[Reading]) -> None:
        """Write the readings that are not there yet, and have them on the disk before anything else happens.

        Parameters
        ----------
        history : sequence of Reading
            All readings, those of the file included.
        """
        if not self.is_ours():
            return
        try:
            self._append(history)
        except OSError as error:
            if not self._told:
                self._told = True
                self._tell(
                    f"cannot be written to ({error})", "are kept in memory and written as soon as that works again"
                )

    def is_ours(self) -> bool:
        """Whether nobody else writes to it, or it is gone; once somebody does, that is said and no more is written."""
        if self._shared or not self.path.is_file():
            return not self._shared
        with suppress(OSError), self.path.open("rb") as file:  # out of reach: said where it is written to
            size = file.seek(0, os.SEEK_END)
            file.seek(self._whole)
            behind = file.read(len(self._cut) + 1)
            self._shared = bool(size) and (size < self._whole or not self._cut.startswith(behind))
        if self._shared:
            self._tell("is left alone from here on: somebody else writes to it too", "are kept in memory alone")
        return not self._shared

    def _append(self, history: Sequence[Reading]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            if not file.seek(0, os.SEEK_END):  # new, or removed, or emptied
                self._whole, self._count, self._cut = 0, 0, b""
            lines = "".join(reading.line() + "\n" for reading in history[self._count :]).encode()
            if self._whole:  # a last line that is whole, and was not ended
                file.seek(self._whole - 1)
                lines = lines if file.read(1) == b"\n" else b"\n" + lines
            file.truncate(self._whole)  # less what a crash, or a full disk, cut off
            self._cut = lines
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        self._whole, self._count, self._cut = self._whole + len(lines), len(history), b""

    def _tell(self, what: str, where: str) -> None:
        warnings.warn(
            f"{self.path} {what}. Training goes on: readings {where}; monitor.history.save(path) writes them "
            "elsewhere.",
            AttentionWarning,
            outside(),
        )
