"""Tables: rows written as they come, so that what is done is there whatever happens next."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnwidget.commands.running import say, writable
from attnwidget.files import beside

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ENDINGS", "Write", "open_table"]

ENDINGS = (".csv", ".jsonl", ".parquet")
AT_ONCE = 1 << 16  # rows of a group of Parquet, which is written and read in one piece

Write = Callable[["pd.DataFrame"], None]


@contextmanager
def open_table(output: str, *, json_lines: bool = False) -> Iterator[Write]:
    """A function that appends a data frame to a table; an older file is replaced when the first comes.

    However the work inside ends, the file holds the frames that were appended.

    Parameters
    ----------
    output : str
        Path that ends in one of `ENDINGS`, or "-" for stdout.
    json_lines : bool
        Whether stdout gets JSON lines in the place of CSV.

    Raises
    ------
    ValueError, OSError
        When the path cannot be written to, as far as that can be seen before, or then.
    ImportError
        When pyarrow is missing, for Parquet.
    """
    path = None if output == "-" else writable(output, ENDINGS)
    if path is None:
        yield _Lines(".jsonl" if json_lines else ".csv", lambda piece: say(piece.decode())).write
    elif path.suffix.lower() == ".parquet":
        groups = _RowGroups(path)
        try:
            yield groups.write
        finally:
            groups.close()
    else:
        growing = _Growing(path)
        try:
            yield _Lines(path.suffix.lower(), growing.append).write
        finally:
            growing.close()


class _Lines:
    """Frames as lines of text, the first behind the names of the columns."""

    def __init__(self, ending: str, put: Callable[[bytes], Any]) -> None:
        self._csv, self._put, self._begun = ending == ".csv", put, False

    def write(self, frame: pd.DataFrame) -> None:
        if self._csv:
            lines = frame.to_csv(index=False, header=not self._begun, lineterminator="\n")
        else:
            lines = frame.to_json(orient="records", lines=True, double_precision=15)
        self._put(lines.encode())
        self._begun = True


class _Growing:
    """A file that holds whole pieces at any time, also where the disk is full."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: io.FileIO | None = None

    def append(self, piece: bytes) -> None:
        if self._file is None:
            self._file = io.FileIO(self._path, "w")
        begin = self._file.tell() if self._file.seekable() else None
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            error.filename = str(self._path)
            if begin is not None:
                with suppress(OSError):
                    self._file.truncate(begin)
            raise

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _RowGroups:
    """A table of Arrow's, written beside the file, whose place it takes at the end."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise ImportError("Parquet needs pyarrow: pip install 'attnwidget[parquet]'. CSV needs nothing.") from error
        self._path, self._pa, self._pq = path, pa, pq
        self._waiting: list[pd.DataFrame] = []
        self._writer: Any = None
        self._stack = ExitStack()

    def write(self, frame: pd.DataFrame) -> None:
        self._waiting.append(frame)
        if sum(map(len, self._waiting)) >= AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        import pandas as pd

        if not self._waiting:
            return
        table = self._pa.Table.from_pandas(pd.concat(self._waiting), preserve_index=False)
        if self._writer is None:
            unfinished = self._stack.enter_context(beside(self._path))
            self._writer = self._stack.enter_context(self._pq.ParquetWriter(unfinished, table.schema))
        self._writer.write_table(table)
        self._waiting = []

    def close(self) -> None:
        try:
            with self._stack:
                self._flush()
        except OSError as error:
            error.filename = error.filename or str(self._path)
            error.add_note("Parquet has its index at its end, so nothing of it could be kept; CSV keeps what is done.")
            raise
