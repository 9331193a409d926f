"""Prose: the text that tokens make together, and its paragraphs and sentences."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from attnwidget.tokens import Tokens

__all__ = ["Text", "paragraphs", "sentences"]

_PART = re.compile(r"(.)\((\d+)/(\d+)\)", re.DOTALL)  # a character that several tokens share
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n\s*")
_STOPS = "\u3002\uff01\uff1f\uff61\uff0e"  # Chinese and Japanese
_STOPS += "\u0964\u0965\u061f\u06d4\u0589\u1362\u1367\u104b\u17d4"  # Hindi, Arabic, Urdu, Armenian, Amharic ...
_CLOSERS = "\u300d\u300f\u201d\u2019\uff09\u3011\u300b\u3009\u00bb)\\]"
# A full stop may stand in a number or a name, and only ends a sentence before a space; the others need none.
_END = re.compile(
    rf"(?:[{_STOPS}]+(?:\s?[\"'{_CLOSERS}])*\s*|(?<![.!?\u2026])(?P<dot>[.!?\u2026]+)[\"'*_`]*(?:\s?[{_CLOSERS}])*(?:\s+|\Z))"
)
_LETTER = "A-Za-z\u00c0-\u024f\u0370-\u04ff"
_ABBREVIATED = re.compile(
    rf"(?:(?:\A|[^\w])(?:mr|mrs|ms|dr|prof|vs|cf|fig|eq|et\sal|[{_LETTER}])|(?:\A|\n)[ \t]*\d{{1,3}})\s?\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Text:
    """The text of tokens, and where in it each begins.

    Parameters
    ----------
    text : str
        All of it, with a space between words that have none.
    starts, sizes : tuple of int
        First character of each token, and how many it has.
    """

    text: str
    starts: tuple[int, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, tokens: Tokens) -> Self:
        """The text of tokens. A character that several share is in the last of them."""
        parts: list[str] = []
        starts, sizes, length = [], [], 0
        for i, label in enumerate(tokens.labels):
            own = _PART.sub(lambda part: part[1] * (part[2] == part[3]), label)
            apart = i > 0 and tokens.words[i] != tokens.words[i - 1]
            if (
                apart
                and not (tokens.special[i] or tokens.special[i - 1])
                and not own[:1].isspace()
                and parts[-1][-1:] != "\n"
            ):
                parts.append(" ")
                length += 1
            parts.append(own)
            starts.append(length)
            sizes.append(len(own))
            length += len(own)
        return cls("".join(parts), tuple(starts), tuple(sizes))

    def run(self, start: int, stop: int) -> tuple[int, int] | None:
        """The tokens that begin among some characters; None for none."""
        first = bisect_left(self.starts, start)
        last = len(self.starts) if stop >= len(self.text) else bisect_left(self.starts, stop)
        return (first, last) if first < last else None


def paragraphs(text: Text, breaks: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Tokens of each paragraph, between breaks and empty lines."""
    return [run for part in _paragraphs(text.text, breaks) if (run := text.run(*part))]


def sentences(text: Text, breaks: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Tokens of each sentence; what has no letter goes to the sentence before."""
    return [
        run
        for part in _paragraphs(text.text, breaks)
        for one in _sentences(text.text, *part)
        if (run := text.run(*one))
    ]


def _paragraphs(text: str, breaks: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    start = 0
    for first, end in [*breaks, (len(text), len(text))]:
        blank = [match.end() for match in _BLANK_LINE.finditer(text, start, max(start, first))]
        for stop in [*blank, first]:
            if text[start:stop].strip():
                yield start, stop
            start = max(start, stop)
        start = max(start, end)


def _sentences(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    ends = [match.end() for match in _END.finditer(text, start, stop) if not _goes_on(text, start, match)]
    parts: list[tuple[int, int]] = []
    for end in [*ends, stop]:
        if any(sign.isalnum() for sign in text[start:end]) or not parts:
            parts.append((start, end))
        else:
            parts[-1] = (parts[-1][0], end)
        start = end
    return (part for part in parts if part[0] < part[1])


def _goes_on(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a full stop is part of a name, an abbreviation or a number."""
    if match["dot"] != ".":
        return False
    before, after = text[max(start, match.start() - 8) : match.start()], text[match.end() : match.end() + 1]
    if before[-1:].isspace() and before.rstrip()[-1:].isdigit() and after.isdigit():
        return True  # "3 . 14", as word pieces have it
    return _ABBREVIATED.search(before) is not None and not re.search(r"(?:\A|\W)[Ii]\s?\Z", before)
