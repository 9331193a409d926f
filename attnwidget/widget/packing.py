"""Packing: answers as one run of bytes, which a page, an output or a widget carries with it.

The buffers of all answers come first, one after another; then the index, JSON that says of each answer which question
it answers, its header and the sizes of its buffers; then four bytes, the length of the index. A page has it compressed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from attnwidget.widget.answers import Answer

__all__ = ["Packer"]

GZIP = 31  # zlib's name for it
LIKELY = 0.6  # of its size is what little a layer is compressed to: what could not fit even so is not tried
WIDTHS = {"float32": 4, "float16": 2, "bfloat16": 2}  # bytes of a number


class Packer:
    """Takes answers while they fit.

    Parameters
    ----------
    version : int
        Of what is shown, to tell later whether the answers are about it.
    limit : int or None
        Bytes of all of it; None for any number.
    level : int
        Of compression, 0 to 9; what is to be read at once is not compressed.
    """

    def __init__(self, version: int, limit: int | None = None, *, level: int = 6) -> None:
        self._version, self._limit = version, limit
        self._entries: list[dict[str, Any]] = []
        self._packed = bytearray()
        self._stream: Any = zlib.compressobj(level, wbits=GZIP) if level else _Plain()
        self._index = 0

    def add(self, question: Mapping[str, Any], answer: Answer, *, coarse: bool = False, spare: int = 0) -> bool:
        """Take an answer, or say that there is no room for it.

        Parameters
        ----------
        question : mapping
            What it answers.
        answer : Answer
            It.
        coarse : bool
            Whether a kernel would give a better one.
        spare : int
            Bytes that must be left when it is in.
        """
        planes = [_width(answer.header, name) for name in answer.header.get("buffers", ())]
        entry: dict[str, Any] = {
            "question": dict(question),
            "header": answer.header,
            "sizes": [len(buffer) for buffer in answer.buffers],
            **({"planes": planes} if any(width > 1 for width in planes) else {}),
            **({"coarse": True} if coarse else {}),
        }
        room = None if self._limit is None else self._limit - len(self._packed) - self._index - spare
        if room is not None and LIKELY * sum(entry["sizes"]) > room:
            return False
        widths = planes or [1] * len(answer.buffers)
        bytes_ = b"".join(_planes(buffer, width) for buffer, width in zip(answer.buffers, widths, strict=True))
        stream = self._stream.copy()
        packed = stream.compress(bytes_) + stream.flush(zlib.Z_SYNC_FLUSH)
        index = len(zlib.compress(json.dumps(entry).encode()))
        if room is not None and len(packed) + index > room:
            return False
        self._stream = stream
        self._packed += packed
        self._index += index
        self._entries.append(entry)
        return True

    def finished(self, missing: str = "") -> bytes:
        """All of it; ``missing`` says what was left out, why, and how it is had."""
        made = datetime.now(UTC).date().isoformat()
        about = {"version": self._version, "made": made, "entries": self._entries, "missing": missing}
        index = json.dumps(about).encode()
        end = self._stream.compress(index + len(index).to_bytes(4, "little")) + self._stream.flush()
        return bytes(self._packed + end)


class _Plain:
    """A stream that changes nothing."""

    def copy(self) -> _Plain:
        return self

    def compress(self, data: bytes) -> bytes:
        return data

    def flush(self, _mode: int = 0) -> bytes:
        return b""


def _width(header: Mapping[str, Any], name: str) -> int:
    """Bytes of a number of queries and keys: of these the first bytes are much alike, and the last are not."""
    return WIDTHS[header["dtype"]] if name in {"q", "k"} else 1


def _planes(buffer: bytes, width: int) -> bytes:
    """All first bytes of its numbers, then all second ones ..."""
    return buffer if width == 1 else np.frombuffer(buffer, np.uint8).reshape(-1, width).T.tobytes()
