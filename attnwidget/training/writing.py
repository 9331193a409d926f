"""Writing: a file of readings that a crash cannot take back, and that goes on where it ended."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from attnwidget.intake import AttentionWarning
from attnwidget.measures.faults import outside
from attnwidget.training.history import History, Reading, read_lines

__all__ = ["Written"]


class Written:
    """A file of readings that goes on where it ended.

    Where the disk is full, or gone, readings wait in memory and are tried again with the next one; training goes on.

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
        self._torn = self._whole < self.path.stat().st_size
        self._waiting: list[bytes] = []
        self._told = False

    def write(self, reading: Reading) -> None:
        """Write one line, and have it on the disk before anything else happens."""
        self._waiting.append((reading.line() + "\n").encode())
        try:
            self._append(b"".join(self._waiting))
        except OSError as error:
            self._torn = True
            if not self._told:
                self._told = True
                warnings.warn(
                    f"{self.path} cannot be written to ({error}). Training goes on: readings are kept in memory and "
                    "written as soon as that works again; monitor.history.save(path) writes them elsewhere.",
                    AttentionWarning,
                    outside(),
                )
            return
        self._waiting.clear()

    def _append(self, lines: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(0, os.SEEK_END)
            if file.tell() < self._whole or (file.tell() > self._whole and not self._torn):
                raise BlockingIOError("somebody else writes to it too")
            file.truncate(self._whole)  # less what a crash, or a full disk, cut off
            if self._whole:  # a last line that is whole, and was not ended
                file.seek(self._whole - 1)
                lines = lines if file.read(1) == b"\n" else b"\n" + lines
            file.seek(self._whole)
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        self._whole += len(lines)
        self._torn = False
