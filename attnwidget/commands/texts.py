"""Texts: the examples of a file, read as a stream, with what was left out and why."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

from attnwidget.commands.rows import READERS, Row
from attnwidget.commands.running import Usage

__all__ = ["Example", "Skipped", "Texts"]


BROKEN = "it is not UTF-8"


class Example(NamedTuple):
    """A text with its place.

    Parameters
    ----------
    number : int
        Its place among all rows of the file, from 0, those that are left out counted.
    text : str
        What the model reads.
    target : str or None
        What its decoder reads.
    """

    number: int
    text: str
    target: str | None


class Skipped:
    """Examples that were left out, by their reason."""

    def __init__(self) -> None:
        self.by_reason: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return sum(map(len, self.by_reason.values()))

    def add(self, number: int, reason: str) -> None:
        """Note one."""
        self.by_reason.setdefault(reason.rstrip("."), []).append(number)

    def sentences(self) -> Iterator[str]:
        """One for each reason, with the first places."""
        for reason, places in self.by_reason.items():
            more = f" and {len(places) - 5:,} more" if len(places) > 5 else ""
            named = f"example{'s' if len(places) > 1 else ''} {', '.join(map(str, places[:5]))}{more}"
            yield f"left out {named}, counted from 0: {reason}."


class Texts:
    """The examples of a file or of stdin, from first to last, once; a context that closes what it opened.

    Parameters
    ----------
    source : str
        Path, or "-" for stdin.
    column : str or None
        Column of the texts; None takes the only one, or "text".
    target : str or None
        Column of what a decoder reads.
    form : str or None
        "txt", "jsonl", "csv", "tsv" or "parquet"; None goes by the name of the file, and takes stdin for lines of text.
    most : int or None
        Read so many rows at most.

    Attributes
    ----------
    column : str
        The column of the texts.
    skipped : Skipped
        What was left out so far: texts that are empty, rows that cannot be read.

    Raises
    ------
    Usage
        When the format is not known, or a column is not there or not chosen.
    OSError, ValueError
        When the file cannot be read.
    """

    def __init__(
        self,
        source: str,
        *,
        column: str | None = None,
        target: str | None = None,
        form: str | None = None,
        most: int | None = None,
    ) -> None:
        self.skipped = Skipped()
        self._most = most
        self._name = "stdin" if source == "-" else source
        reader = READERS[_form(source, form)]
        with ExitStack() as stack:
            columns, self._rows = reader(stack.enter_context(_opened(source)), self._name)
            self._columns = columns
            self.column = _chosen(self._name, columns, column, "--column")
            self._target = None if target is None else _chosen(self._name, columns, target, "--target-column")
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def __iter__(self) -> Iterator[Example]:
        for number, row in enumerate(islice(self._rows, self._most)):
            try:
                text = _text(row, self.column)
                target = None if self._target is None else _text(row, self._target)
            except ValueError as error:
                self.skipped.add(number, str(error))
            else:
                yield Example(number, text, target)

    def check(self, option: str, column: str | None) -> None:
        """See that a column is there, where one is asked for; Usage says which are."""
        if column is not None:
            _chosen(self._name, self._columns, column, option)

    def as_they_come(self) -> Iterator[Mapping[str, Any]]:
        """Rows with all their columns; where one cannot be read ValueError is raised, and the next one follows."""
        return _Rows(self._rows)


class _Rows(Iterator[Mapping[str, Any]]):
    """A generator would be at its end after the first row that cannot be read."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows

    def __next__(self) -> Mapping[str, Any]:
        row = next(self._rows)
        if isinstance(row, str):
            raise ValueError(row)  # noqa: TRY004 - the file is at fault, and says so
        if any(_is_broken(value) for value in row.values()):
            raise ValueError(BROKEN)
        return row


def _form(source: str, form: str | None) -> str:
    found = form or ("txt" if source == "-" else Path(source).suffix.lower().lstrip("."))
    if found not in READERS:
        *others, last = READERS
        what, also = (f"--format {form}", "") if form else (f"{source}: its ending", ", or say which it is: --format")
        raise Usage(f"{what} is not known; expected {', '.join(others)} or {last}{also}.")
    return found


def _opened(source: str) -> BinaryIO:
    if source == "-":
        return sys.stdin.buffer
    if Path(source).is_dir():
        raise IsADirectoryError(f"{source} is a folder; name a file of texts.")
    return Path(source).open("rb")


def _chosen(name: str, columns: Sequence[str], wanted: str | None, option: str) -> str:
    """The name of a column that is there."""
    if not columns:
        raise ValueError(f"{name} is empty: there is no text in it.")
    column = wanted or (columns[0] if len(columns) == 1 else "text")
    if column not in columns:
        asked = f"has no column {wanted!r}" if wanted else "has several columns, and none is called 'text'"
        raise Usage(f"{name} {asked}; choose with {option} among {', '.join(map(repr, columns))}.")
    return column


def _text(row: Row, column: str) -> str:
    """The text of a row; ValueError says why there is none."""
    if isinstance(row, str):
        raise ValueError(row)  # noqa: TRY004 - the file is at fault, and says so
    if column not in row:
        raise ValueError(f"it has no {column!r}")
    text = row[column]
    if text is None or (isinstance(text, str) and not text.strip()):
        raise ValueError("it is empty")
    if not isinstance(text, str):
        raise ValueError(f"its {column!r} is {type(text).__name__}, and no text")  # noqa: TRY004 - as above
    if _is_broken(text):
        raise ValueError(BROKEN)
    return text


def _is_broken(value: Any) -> bool:
    """Whether a text came of bytes that are no UTF-8: these stand in it as lone surrogates."""
    return isinstance(value, str) and not value.isascii() and any("\ud800" <= one <= "\udfff" for one in value)
