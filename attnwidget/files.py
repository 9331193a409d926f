"""Files: written beside the old one and then put in its place, so that no half of one is ever there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["as_cell", "beside", "check_path", "write"]

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def as_cell(text: str) -> str:
    """A text as a cell of CSV that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def check_path(path: str | Path, endings: Sequence[str]) -> Path:
    """A path that can be written to, as far as its name and its folder tell.

    Raises
    ------
    TypeError
        When it is no path.
    ValueError
        When it ends in something else.
    FileNotFoundError
        When there is no such folder.
    IsADirectoryError
        When it is a folder itself.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path is {type(path).__name__}; expected the name of a file.")
    path = Path(path)
    if path.suffix.lower() not in endings:
        expected = endings[0] if len(endings) == 1 else f"{', '.join(endings[:-1])} or {endings[-1]}"
        raise ValueError(f"{path.name!r} does not end in {expected}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}; make it first.")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file.")
    return path


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A file beside another, that takes its place at the end and is gone where that fails."""
    path = path.resolve()  # what a link leads to is written, and the link stays
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write(path: str | Path, content: bytes, *, endings: Sequence[str]) -> Path:
    """Write a file whole, or not at all; an older one is replaced.

    Raises
    ------
    ValueError, OSError
        As `check_path`; or when the folder cannot be written to.
    """
    path = check_path(path, endings)
    with beside(path) as unfinished:
        unfinished.write_bytes(content)
    return path
