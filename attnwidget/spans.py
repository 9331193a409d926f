"""Spans found by themselves: turns of a chat, documents, pictures, paragraphs and sentences among tokens."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias

from attnwidget.prose import Text, paragraphs, sentences
from attnwidget.tokens import Span, Tokens
from attnwidget.turns import turns

__all__ = ["SPAN_KINDS", "find_spans"]

Run: TypeAlias = tuple[str, int, int]

# Between its own tags, or below a heading of its own line that has a number.
_TAG = re.compile(r"<\s?(/?)\s?(document|doc|passage)\b[^<>]*>\s*", re.IGNORECASE)
_HEADING = re.compile(
    r"^[ \t]*(?:document|passage|source)"
    r"(?:\s?\[\s?(\d+)\s?\]|\s?\(\s?(\d+)\s?\)|[ \t](\d+)\s?[:.)]|:[ \t](\d+)[ \t]*$)",
    re.IGNORECASE | re.MULTILINE,
)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n\s*")
_PLACEHOLDER = re.compile(r"<\|?(?:image|img|video|image_soft_token|image_pad|video_pad|patch)\|?>|\[IMG\]")
_PATCH = re.compile(r"(?:(\d+)(?: frame \d+)?: |frame \d+: )?\d+,\d+")  # as captured maps call them
_FEWEST_PATCHES = 4  # a run of fewer alike tokens is no picture


def find_spans(tokens: Tokens | Sequence[str], kinds: str | Iterable[str] | None = None) -> dict[str, tuple[Span, ...]]:
    """Named runs of tokens, found by what the tokens say.

    Parameters
    ----------
    tokens : Tokens or sequence of str
        Tokens of a text, as on an axis of maps; or labels, as `Tokens.from_labels` reads them.
    kinds : str, iterable of str, or None
        Which kinds; None for all:

        * "roles": the turns of a chat, with their markers: ChatML, Llama, Gemma, Mistral, gpt-oss (with the channel),
          Phi, Granite, Cohere, DeepSeek;
        * "named": the spans that the tokens have, as "prompt" and "generated" after a generation; without those that
          overlap one before;
        * "documents": between <document>, <doc> or <passage> and their end, or below headings as "Document [1]" or
          "Passage 2:" at the beginning of a line; the last of these ends at an empty line;
        * "pictures": patches of a picture, or runs of the token that stands for them;
        * "parts", where there are documents or pictures: these, and between them the turns, or else the named spans,
          or else "text";
        * "paragraphs": parted by empty lines;
        * "sentences": up to a full stop, a question or an exclamation mark, of Chinese, Japanese, Arabic, Urdu,
          Hindi, Armenian, Amharic, Burmese and Khmer too; and up to an empty line.

    Returns
    -------
    dict of str to tuple of Span
        The kinds that were found, in the order above, each with runs from the first to the last that do not overlap.
        Of several of one name each has its number, from 1: "user 1", "user 2"; documents have the numbers of their
        headings. Paragraphs and sentences leave out special tokens and markers of a chat.

    Raises
    ------
    TypeError
        When ``tokens`` are none.
    ValueError
        When there is no such kind.

    Notes
    -----
    What a tokenizer drops cannot be found: word-piece tokenizers have no lines, hence no paragraphs and headings. A
    full stop ends no sentence after a single letter, a number at the beginning of a line, and some titles (Mr., Dr.,
    Prof.) and scholarly abbreviations (e.g., i.e., cf., et al., vs., Fig., Eq.). Others cut a sentence in two.

    Examples
    --------
    >>> aw.find_spans(run.maps.tokens)["roles"]
    (Span(name='system', start=0, stop=11), Span(name='user', start=11, stop=40), ...)
    >>> aw.measures.span_mass(run.maps, "roles")
    """
    if hasattr(tokens, "tokens") or isinstance(tokens, str) or not isinstance(tokens, Iterable):
        hint = "pass its .tokens" if hasattr(tokens, "tokens") else "expected Tokens, or a list of labels"
        raise TypeError(f"tokens is {type(tokens).__name__}; {hint}.")
    wanted = [kinds] if isinstance(kinds, str) else list(SPAN_KINDS if kinds is None else kinds)
    for kind in wanted:
        if kind not in _FOUND:
            raise ValueError(f"kind={kind!r} is not known; expected some of {', '.join(map(repr, SPAN_KINDS))}.")
    tokens = tokens if isinstance(tokens, Tokens) else Tokens.from_labels(tokens)
    return {kind: found for kind in SPAN_KINDS if kind in wanted and (found := _spans(tokens, kind))}


@lru_cache(maxsize=32)
def _spans(tokens: Tokens, kind: str) -> tuple[Span, ...]:
    """The spans of one kind, numbered."""
    runs = _FOUND[kind](tokens, _text(tokens))
    often, seen = Counter(name for name, _, _ in runs), Counter[str]()
    spans = []
    for name, start, stop in runs:
        seen[name] += 1
        spans.append(Span(f"{name} {seen[name]}" if often[name] > 1 else name, start, stop))
    return tuple(spans)


@lru_cache(maxsize=4)
def _text(tokens: Tokens) -> Text:
    return Text.of(tokens)


def _roles(_: Tokens, text: Text) -> list[Run]:
    return [(turn.name, *run) for turn in turns(text.text) if (run := text.run(turn.start, turn.stop))]


def _named(tokens: Tokens, _: Text) -> list[Run]:
    runs: list[Run] = []
    for span in sorted(tokens.spans, key=lambda span: (span.start, -span.stop)):
        if span.start < span.stop and (not runs or span.start >= runs[-1][2]):
            runs.append((span.name, span.start, span.stop))
    return runs


def _documents(_: Tokens, text: Text) -> list[Run]:
    found = [("document", *part) for part in _tagged(text.text)]
    headings = [] if found else list(_HEADING.finditer(text.text))
    numbers = [next(number for number in heading.groups() if number) for heading in headings]
    own = len(set(numbers)) == len(numbers)
    stops = [heading.start() for heading in headings[1:]] + [len(text.text)] * bool(headings)
    ends = [end for turn in turns(text.text) for end in (turn.body[1], turn.stop)]
    for heading, number, stop in zip(headings, numbers, stops, strict=True):
        if stop == len(text.text):
            first = len(text.text) - len(text.text[heading.end() :].lstrip())
            blank = _BLANK_LINE.search(text.text, first)
            stop = blank.end() if blank else stop  # noqa: PLW2901
        within = min((end for end in ends if end > heading.start()), default=stop)
        found.append(
            (f"document {number}" if own and len(numbers) > 1 else "document", heading.start(), min(stop, within))
        )
    return [(name, *run) for name, start, stop in found if (run := text.run(start, stop))]


def _tagged(text: str) -> Iterator[tuple[int, int]]:
    """Characters from each opening tag to the next closing one of its name."""
    opened: re.Match[str] | None = None
    for tag in _TAG.finditer(text):
        if not tag[1]:
            opened = tag
        elif opened is not None and opened[2].lower() == tag[2].lower():
            yield opened.start(), tag.end()
            opened = None


def _pictures(tokens: Tokens, _: Text) -> list[Run]:
    runs: list[Run] = []
    for image in tokens.images:
        if not runs or image.start >= runs[-1][2]:  # those that stand in each other are one run
            runs.append((image.name or "picture", image.start, image.stop))
    start, before = 0, None
    for i in range(len(tokens) + 1):
        which = _picture_at(tokens, i) if i < len(tokens) else None
        if which != before:
            inside = any(start < stop and first < i for _, first, stop in runs)
            if before is not None and i - start >= _FEWEST_PATCHES and not inside:
                runs.append(("picture", start, i))
            start, before = i, which
    return sorted(runs, key=_start)


def _picture_at(tokens: Tokens, i: int) -> str | None:
    """Which picture a token is a patch of; None for none."""
    label = tokens.labels[i]
    if _PLACEHOLDER.fullmatch(label):
        return label
    # A number of the text may look like the place of a patch, and is no token that stands there again and again.
    patch = _PATCH.fullmatch(label) if tokens.ids is not None else None
    return None if patch is None or tokens.ids is None else f"{tokens.ids[i]} {patch.group(1)}"


def _parts(tokens: Tokens, text: Text) -> list[Run]:
    pictures = _pictures(tokens, text)
    inner = sorted([*pictures, *_without(_documents(tokens, text), pictures)], key=_start)
    if not inner:
        return []
    outer = _roles(tokens, text) or _named(tokens, text)
    pieces = _without(outer or [("text", 0, len(tokens))], inner)
    return sorted([*inner, *(pieces if outer else _trimmed(pieces, tokens))], key=_start)


def _trimmed(runs: list[Run], tokens: Tokens) -> Iterator[Run]:
    """Runs without the special tokens and empty labels at their ends."""
    for name, start, stop in runs:
        words = [i for i in range(start, stop) if not tokens.special[i] and tokens.labels[i].strip()]
        if words:
            yield name, words[0], words[-1] + 1


def _start(run: Run) -> int:
    return run[1]


def _without(runs: list[Run], holes: list[Run]) -> list[Run]:
    """What is left of runs where others stand in them."""

    def pieces(name: str, start: int, stop: int) -> Iterator[Run]:
        for _, first, end in holes:
            if start < end and first < stop:
                if start < first:
                    yield name, start, first
                start = end
        if start < stop:
            yield name, start, stop

    return [piece for run in runs for piece in pieces(*run)]


def _paragraphs(tokens: Tokens, text: Text) -> list[Run]:
    return [("paragraph", *run) for run in paragraphs(text, _breaks(tokens, text))]


def _sentences(tokens: Tokens, text: Text) -> list[Run]:
    return [("sentence", *run) for run in sentences(text, _breaks(tokens, text))]


def _breaks(tokens: Tokens, text: Text) -> list[tuple[int, int]]:
    """Characters that are no prose: special tokens, patches, and the markers of turns and documents."""
    apart = [(text.starts[i], text.starts[i] + text.sizes[i]) for i, special in enumerate(tokens.special) if special]
    for _, start, stop in _pictures(tokens, text):
        apart.append((text.starts[start], text.starts[stop - 1] + text.sizes[stop - 1]))
    for turn in turns(text.text):
        apart += [(turn.start, turn.body[0]), (turn.body[1], turn.stop)]
    apart += [tag.span() for tag in _TAG.finditer(text.text)]
    return sorted(part for part in apart if part[0] < part[1])


_FOUND: dict[str, Callable[[Tokens, Text], list[Run]]] = {
    "roles": _roles,
    "named": _named,
    "documents": _documents,
    "pictures": _pictures,
    "parts": _parts,
    "paragraphs": _paragraphs,
    "sentences": _sentences,
}
SPAN_KINDS = tuple(_FOUND)
