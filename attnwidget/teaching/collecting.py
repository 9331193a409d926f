"""collect(): guesses of a class, from widgets, from the files that pages save, and from codes in a mail."""

from __future__ import annotations

import json
import math
import re
import sys
import warnings
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["collect"]

COLUMNS = ("student", "prompt", "predict", "guess", "answer", "right", "error", "time", "seconds", "source")
# A code may be broken into lines by a mail, and quoted in its answer.
_CODE = re.compile(r"aw1\.([A-Za-z0-9_\-\s>]+)\.([0-9a-f]{8})")
_LARGEST = 1 << 20  # bytes, of what a stranger sent


def collect(sources: Any) -> pd.DataFrame:
    """Guesses of several widgets, pages or students in one table.

    Parameters
    ----------
    sources : widget, path, str, or iterable of these
        * a Playground or an Explorer with a lesson;
        * a file that a page saved, or a folder of such files;
        * a code that a page made, or a text with codes in it, as a mail.

    Returns
    -------
    DataFrame
        A row a guess, in the order in which they came: student, prompt, predict, guess, answer, right, error (how far
        a number is off; of bars the largest), time (UTC), seconds (from when the question was shown) and source.
        NaN where something does not exist. What cannot be read is named in a warning, and the rest is there.

    Raises
    ------
    TypeError
        When something is none of these.
    ValueError
        When nothing could be read.

    Examples
    --------
    >>> aw.collect([playground, "answers/", "aw1.eJyrVkrLz1eyUkpKLFKqBQAdwQPX.1f0a8c22"])
    """
    import pandas as pd

    listed = list(sources) if _is_many(sources) else [sources]
    rows: list[dict[str, Any]] = []
    unread: list[str] = []
    for source in listed:
        for name, read in _opened(source):
            if isinstance(read, str):
                unread.append(f"{name}: {read}")
            else:
                rows += [_row(guess, read.get("student") or None, name) for guess in read["guesses"]]
    if unread and not rows:
        raise ValueError("nothing could be read. " + " ".join(unread))
    if unread:
        from attnwidget.intake import AttentionWarning

        warnings.warn(f"not everything could be read. {' '.join(unread)}", AttentionWarning, stacklevel=2)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table["time"] = pd.to_datetime(table["time"], utc=True, errors="coerce", format="ISO8601")
    return table


def _is_many(sources: Any) -> bool:
    return isinstance(sources, Iterable) and not isinstance(sources, (str, Path, Mapping))


def _opened(source: Any) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Each part of a source: its name, and what is in it, or why that cannot be read."""
    if hasattr(source, "guesses"):
        yield type(source).__name__, {"student": None, "guesses": list(source.guesses)}
    elif isinstance(source, Path) or (isinstance(source, str) and not _CODE.search(source)):
        yield from _files(Path(source))
    elif isinstance(source, str):
        for at, found in enumerate(_CODE.finditer(source)):
            yield f"code {at}", _decoded(found[1], found[2])
    else:
        raise TypeError(
            f"{type(source).__name__} came; expected a widget with a lesson, a file or folder that pages saved, or a "
            "code."
        )


def _files(path: Path) -> Iterator[tuple[str, dict[str, Any] | str]]:
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except (OSError, ValueError):  # longer than a name may be
        is_file = is_folder = False
    if is_folder:
        found = sorted(path.glob("*.json"))
        if not found:
            yield str(path), "the folder has no .json file."
        for one in found:
            yield from _files(one)
        return
    if not is_file:
        yield str(path)[:80], "there is no such file, and it is no code of a page."
        return
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        yield path.name, f"it cannot be read: {error.strerror}."
        return
    too_large = len(text) > _LARGEST
    yield path.name, "the file is larger than any that a page saves." if too_large else _checked(text)


def _decoded(letters: str, sum_of_all: str) -> dict[str, Any] | str:
    packed = "".join(letters.replace(">", "").split())
    try:
        data = urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
        if f"{zlib.crc32(data):08x}" != sum_of_all:
            return "the code is damaged: a letter is missing or another."
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        text = unpacking.decompress(data, _LARGEST)
    except (ValueError, zlib.error):
        return "the code is damaged."
    return "the code is larger than any that a page makes." if unpacking.unconsumed_tail else _checked(text)


def _checked(text: bytes) -> dict[str, Any] | str:
    """Guesses as a page writes them; a sentence where they are not."""
    try:
        told = json.loads(text, parse_int=_number)
    except (ValueError, RecursionError):
        return "it is no JSON."
    fits = isinstance(told, dict) and told.get("attnwidget") == "guesses" and isinstance(told.get("guesses"), list)
    if not fits or not all(isinstance(guess, dict) for guess in told["guesses"]):
        return "it does not hold guesses of a page."
    student = told.get("student")
    return {"student": student if isinstance(student, str) else None, "guesses": told["guesses"]}


def _number(digits: str) -> int | float:
    """A whole number; NaN for one that is larger than any a page knows, at which older pandas fails."""
    return int(digits) if len(digits) <= sys.float_info.max_10_exp else math.nan


def _row(guess: Mapping[str, Any], student: str | None, source: str) -> dict[str, Any]:
    row = {name: guess.get(name) for name in COLUMNS}
    return row | {"student": student, "source": source, "error": _error(guess)}


def _error(guess: Mapping[str, Any]) -> float:
    """How far a number is off, of several the largest; NaN where there is no distance."""
    said: Any = guess.get("guess")
    right: Any = guess.get("answer")
    if guess.get("kind") not in ("number", "bars"):
        return math.nan
    pairs = zip(said, right, strict=False) if isinstance(said, list) and isinstance(right, list) else [(said, right)]
    try:
        return max(abs(float(one) - float(other)) for one, other in pairs)
    except (TypeError, ValueError, OverflowError):
        return math.nan
