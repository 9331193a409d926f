"""Rows: what the data yields, one text after the other; a row that cannot be read is named and left out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from attnwidget.surveying.tally import Group, Skipped

__all__ = ["CHUNK", "BrokenOffError", "Chunk", "Columns", "Row", "chunks", "said"]

CHUNK = 256  # rows: batches of like length are found among so many, and so many are done or not done
MOST_FAILURES = 100  # one after the other: then the data is broken, and not a row of it


class BrokenOffError(Exception):
    """The data ended with an error, and what it was."""


@dataclass(frozen=True)
class Row:
    """A text and what goes with it.

    Parameters
    ----------
    number : int
        Which row of the data it is, from 0.
    text : str
        The text.
    group : str, int, float, bool or None
        Its group.
    labels : tuple of str or None, or None
        A label for each of its words.
    """

    number: int
    text: str
    group: Group | None = None
    labels: tuple[str | None, ...] | None = None


@dataclass
class Chunk:
    """Rows that are done together, or not at all.

    Attributes
    ----------
    number : int
        Which chunk it is, from 0.
    rows : list of Row
        Those that can be read.
    skipped : list of Skipped
        Those that cannot.
    whole : bool
        Whether no more of its rows can come, when the data is had again.
    """

    number: int
    rows: list[Row] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    whole: bool = True

    def __len__(self) -> int:
        return len(self.rows) + len(self.skipped)

    @property
    def digest(self) -> str:
        """By which is seen later whether these are the same rows."""
        held = [(one.number, one.text, one.group, one.labels) for one in self.rows]
        return hashlib.sha256(repr((held, [one.number for one in self.skipped])).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Columns:
    """Where in a row the text is, its group, and the labels of its words.

    Parameters
    ----------
    text : str or None
        Name of the column; None finds it.
    by : str, callable or None
        Name of a column, or a function of the row.
    labels : str or None
        Name of a column.
    """

    text: str | None
    by: str | Callable[[Any], Any] | None
    labels: str | None

    def found(self, row: Any) -> Columns:
        """The same with the column of the text, found in the first row.

        Raises
        ------
        ValueError
            When the row has no such column, or it is not clear which is meant.
        """
        if not isinstance(row, Mapping):
            named = [name for name in (self.text, self.labels, self.by) if isinstance(name, str)]
            if named:
                raise ValueError(
                    f"a row of data is {type(row).__name__} and has no column {named[0]!r}; expected mappings, as "
                    "{'text': ...}."
                )
            return self
        for name in (self.text, self.labels, self.by):
            if isinstance(name, str) and name not in row:
                raise ValueError(f"the data has no column {name!r}; it has {', '.join(map(repr, row))}.")
        if self.text is not None:
            return self
        texts = [
            str(name) for name, value in row.items() if isinstance(value, str) and name not in (self.by, self.labels)
        ]
        name = "text" if "text" in row else texts[0] if len(texts) == 1 else None
        if name is None:
            raise ValueError(
                f"which column holds the text? The data has {', '.join(map(repr, row))}; name it: column='...'."
            )
        return Columns(name, self.by, self.labels)

    def row(self, number: int, row: Any) -> Row:
        """A row with its text, group and labels; ValueError where it has none."""
        text, group = row, None
        if isinstance(row, Mapping):
            text = self._of(row, self.text)
        elif isinstance(row, tuple) and len(row) == 2:
            text, group = row
        if isinstance(text, list) and all(isinstance(word, str) for word in text):
            text = " ".join(text)
        if not isinstance(text, str):
            raise ValueError(f"its text is {type(text).__name__}; expected a string.")  # noqa: TRY004 - it is told
        if not text.strip():
            raise ValueError("it is empty.")
        if self.by is not None:
            group = self.by(row) if callable(self.by) else self._of(row, self.by)
        labels = None if self.labels is None else _labels(self._of(row, self.labels), text)
        return Row(number, text, _plain(group), labels)

    def _of(self, row: Any, name: str | None) -> Any:
        if not isinstance(row, Mapping) or name not in row:
            raise ValueError(f"it has no column {name!r}.")
        return row[name]


def chunks(data: Any, columns: Columns, max_examples: int | None) -> Iterator[Chunk]:
    """The rows of the data, some at a time; no more than those are held.

    Raises
    ------
    TypeError
        When data is nothing that yields texts.
    ValueError
        When the first row lacks a column, when there is no row, or when reading fails again and again.
    BrokenOffError
        When the data ends with an error, after a chunk that is not whole.
    """
    rows = islice(_numbered(data), max_examples)
    chunk, known, failures = Chunk(0), False, 0
    for number, row in rows:
        if isinstance(row, BrokenOffError):
            chunk.whole = False
            if len(chunk):
                yield chunk
            raise row
        if isinstance(row, Exception):
            failures += 1
            if failures >= MOST_FAILURES:
                raise ValueError(
                    f"{failures} rows in a row cannot be read, the last of them row {number}: {said(row)}."
                ) from row
            chunk.skipped.append(Skipped(number, f"it cannot be read: {said(row)}."))
        else:
            failures = 0
            columns, known = (columns, True) if known else (columns.found(row), True)
            try:
                chunk.rows.append(columns.row(number, row))
            except Exception as error:  # noqa: BLE001 - one row does not end the others
                chunk.skipped.append(Skipped(number, str(error) if isinstance(error, ValueError) else said(error)))
        if len(chunk) == CHUNK:
            yield chunk
            chunk = Chunk(chunk.number + 1)
    if len(chunk):
        yield chunk
    elif chunk.number == 0:
        raise ValueError("data is empty: give at least one text.")


def _numbered(data: Any) -> Iterator[tuple[int, Any]]:
    """Rows with their numbers; what cannot be read comes as its error."""
    if isinstance(data, str | bytes | Mapping) or not (isinstance(data, Iterable) or hasattr(data, "__getitem__")):
        raise TypeError(
            f"data is {type(data).__name__}; expected something that yields texts, rows with a column of text, or "
            "pairs (text, label): a list, a generator, a DataFrame, a data set."
        )
    if hasattr(data, "iloc"):  # of pandas, whose [] is by label
        names = list(data.columns) if hasattr(data, "columns") else None
        for number in range(len(data)):
            yield number, data.iloc[number] if names is None else dict(zip(names, data.iloc[number], strict=True))
    elif hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, set | frozenset):
        for number in range(len(data)):
            try:
                row = data[number]
            except Exception as error:  # noqa: BLE001 - told with the row
                yield number, error
            else:
                yield number, row
    else:
        yield from _stream(iter(data))


def _stream(rows: Iterator[Any]) -> Iterator[tuple[int, Any]]:
    number, failed = 0, None
    while True:
        try:
            row = next(rows)
        except StopIteration:
            if failed is not None:
                yield number - 1, BrokenOffError(f"the data broke off at row {number - 1}: {said(failed)}.")
            return
        except Exception as error:  # noqa: BLE001 - told with the row
            row = error
        if failed is not None:
            yield number - 1, failed
        failed = row if isinstance(row, Exception) else None
        if failed is None:
            yield number, row
        number += 1


def _labels(given: Any, text: str) -> tuple[str | None, ...]:
    words = text.split()
    if isinstance(given, str):
        given = given.split()
    if not isinstance(given, Iterable):
        raise ValueError(f"its labels are {type(given).__name__}; expected one for each word.")  # noqa: TRY004
    labels = tuple(None if label is None else str(label) for label in given)
    if len(labels) != len(words):
        raise ValueError(f"it has {len(labels)} labels for {len(words)} words; expected one for each.")
    return labels


def _plain(group: Any) -> Group | None:
    """A group as a plain value; None where there is none."""
    group = group.item() if hasattr(group, "item") else group
    if group is None or _is_missing(group) or (isinstance(group, str) and not group.strip()):
        return None
    return group if isinstance(group, str | int | float | bool) else str(group)


def _is_missing(value: Any) -> bool:
    """Whether it is one of the values that differ from themselves: NaN, NaT, and NA, which says not even that."""
    try:
        return bool(value != value)  # noqa: PLR0124
    except (TypeError, ValueError):
        return type(value).__name__ == "NAType"


def said(error: BaseException) -> str:
    """An error in a word and its sentence, without a stop."""
    return f"{type(error).__name__}: {error}".rstrip(".")
