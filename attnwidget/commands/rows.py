"""Rows: one reader a format, each a stream of rows with the names of their columns."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any, BinaryIO

__all__ = ["READERS", "Row", "Rows"]

Row = Mapping[str, Any] | str  # by the names of columns; or why it cannot be read
Rows = tuple[list[str], Iterator[Row]]

AT_ONCE = 1024  # rows of Parquet
BLANK = "it is empty"
MARKS_OF_16 = ("\udcff\udcfe", "\udcfe\udcff")  # how UTF-16 begins, read as UTF-8
LONGEST_CELL = (1 << 31) - 1  # characters, of csv


def _lines(stream: BinaryIO, name: str) -> Rows:
    """One text a line."""
    return ["text"], ({"text": line.removesuffix("\n")} for line in _decoded(stream, name))


def _objects(stream: BinaryIO, name: str) -> Rows:
    """One JSON object a line; a line that is none is a row that cannot be read."""
    lines = _decoded(stream, name)
    begun: list[str] = []  # as far as the first line that is not blank
    for line in lines:
        begun.append(line)
        if line.strip():
            break
    row = _object(begun[-1]) if begun else BLANK
    if isinstance(row, str) and row != BLANK:
        raise ValueError(f"the first line of {name} is no JSON object: {begun[-1].strip()[:60]!r}.")
    return list(row) if isinstance(row, dict) else [], map(_object, chain(begun, lines))


def _object(line: str) -> Row:
    if not line.strip():
        return BLANK
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"it is no JSON ({error.args[0].partition(':')[0].lower()})"
    return found if isinstance(found, dict) else f"it is JSON, and no object but {type(found).__name__}"


def _table(stream: BinaryIO, name: str, *, delimiter: str) -> Rows:
    """A table of text whose first row names the columns."""
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.DictReader(_decoded(stream, name, newline=""), delimiter=delimiter, strict=True)
    return list(reader.fieldnames or []), _told(reader, name)


def _told(reader: csv.DictReader[str], name: str) -> Iterator[Row]:
    try:
        yield from reader
    except csv.Error as error:
        raise ValueError(f"{name} cannot be read from line {reader.reader.line_num} on: {error}.") from error


def _parquet(stream: BinaryIO, name: str) -> Rows:
    """A table of Arrow's."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install 'attnwidget[parquet]'.") from error
    if not stream.seekable():
        raise ValueError("Parquet has its index at its end and cannot be read from a pipe; name the file.")
    try:
        table = pq.ParquetFile(stream)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{name} is no Parquet: {error}") from error
    return table.schema_arrow.names, (row for batch in table.iter_batches(AT_ONCE) for row in batch.to_pylist())


def _decoded(stream: BinaryIO, name: str, newline: str | None = None) -> Iterator[str]:
    """Lines of UTF-8; a byte that is none comes as a lone surrogate, which a reader of rows finds in its row alone."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline=newline)
    for number, line in enumerate(text, 1):
        if "\0" in line or (number == 1 and line.startswith(MARKS_OF_16)):
            what = "begins as UTF-16" if line.startswith(MARKS_OF_16) else f"has NUL bytes in line {number}"
            raise ValueError(f"{name} {what}, and is no text in UTF-8; save it as UTF-8.")
        yield line


READERS: dict[str, Callable[[BinaryIO, str], Rows]] = {
    "txt": _lines,
    "jsonl": _objects,
    "csv": partial(_table, delimiter=","),
    "tsv": partial(_table, delimiter="\t"),
    "parquet": _parquet,
}
