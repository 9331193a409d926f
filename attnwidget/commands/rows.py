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
LONGEST_CELL = (1 << 31) - 1  # characters, of csv


def _lines(stream: BinaryIO, _name: str) -> Rows:
    """One text a line."""
    return ["text"], ({"text": line.removesuffix("\n")} for line in _decoded(stream))


def _objects(stream: BinaryIO, name: str) -> Rows:
    """One JSON object a line; a line that is none is a row that cannot be read."""
    lines = iter(_decoded(stream))
    first = next(lines, "")
    row = _object(first)
    if isinstance(row, str) and first:
        raise ValueError(f"the first line of {name} is no JSON object: {first.strip()[:60]!r}.")
    return list(row) if isinstance(row, dict) else [], map(_object, chain([first] if first else [], lines))


def _object(line: str) -> Row:
    if not line.strip():
        return "it is empty"
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"it is no JSON ({error.args[0].partition(':')[0].lower()})"
    return found if isinstance(found, dict) else f"it is JSON, and no object but {type(found).__name__}"


def _table(stream: BinaryIO, name: str, *, delimiter: str) -> Rows:
    """A table of text whose first row names the columns."""
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.DictReader(_decoded(stream, newline=""), delimiter=delimiter, strict=True)
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


def _decoded(stream: BinaryIO, newline: str | None = None) -> io.TextIOWrapper:
    """Text of UTF-8; a byte that is none comes as a lone surrogate, which a reader of rows finds in its row alone."""
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline=newline)


READERS: dict[str, Callable[[BinaryIO, str], Rows]] = {
    "txt": _lines,
    "jsonl": _objects,
    "csv": partial(_table, delimiter=","),
    "tsv": partial(_table, delimiter="\t"),
    "parquet": _parquet,
}
