"""Tokens: what stands on the axes of a map, in words a person can read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ImageGrid", "Span", "Tokens", "as_tokens"]

_SPECIAL_FORM = re.compile(
    r"\[(?:CLS|SEP|PAD|MASK|UNK|BOS|EOS)\]|<(?:s|/s|pad|unk|mask|bos|eos|cls|sep)>|<\|[^|]*\|>",
    re.IGNORECASE,
)
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_WORD_PIECE = re.compile(r"##\S")
_SPACE_MARK = "\u2581"  # the mark that sentence-piece puts where a space was


@dataclass(frozen=True)
class Span:
    """A named run of tokens: "prompt", "generated", "prefix", "anchor", or any other.

    Parameters
    ----------
    name : str
        What the run is.
    start, stop : int
        First position, and the one after the last.
    """

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class ImageGrid:
    """The patches of a picture among the tokens, row by row from its top left.

    Parameters
    ----------
    start : int
        Position of the first token that is a patch of it.
    rows, columns : int
        Size of the grid.
    picture : Tensor uint8 [height, width, 3] or None
        What the model saw, as it can be shown.
    name : str
        Which of several pictures it is: "picture 1", "overview", "tile 1, 2", "frame 3"; "" where there is one.
    places : tuple of int or None
        Position of each patch, row by row, and -1 where no token stands for it; None where they follow each other
        from ``start`` on.
    """

    start: int
    rows: int
    columns: int
    picture: Tensor | None = field(default=None, compare=False)
    name: str = ""
    places: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.places is None:
            return
        if len(self.places) != self.rows * self.columns:
            raise ValueError(
                f"{self.rows} x {self.columns} patches came with {len(self.places)} places; give one for each, -1 "
                "where no token stands for it."
            )
        known = [place for place in self.places if place >= 0]
        if len(set(known)) != len(known) or not known:
            raise ValueError("the places of patches are positions, each given once; expected at least one.")
        in_a_row = self.places == tuple(range(known[0], known[0] + len(self.places)))
        object.__setattr__(self, "start", min(known))
        object.__setattr__(self, "places", None if in_a_row else self.places)

    @classmethod
    def at(cls, places: Sequence[int], rows: int, columns: int, picture: Tensor | None = None, name: str = "") -> Self:
        """A grid whose patches stand anywhere, by the position of each; -1 where no token stands for one."""
        return cls(0, rows, columns, picture, name, tuple(places))

    @property
    def positions(self) -> Sequence[int]:
        """Position of each patch, row by row; -1 where no token stands for it."""
        return range(self.start, self.start + self.rows * self.columns) if self.places is None else self.places

    @property
    def stop(self) -> int:
        """The position after the last patch."""
        return self.start + self.rows * self.columns if self.places is None else max(self.places) + 1


@dataclass(frozen=True)
class Tokens:
    """The tokens along one axis of a map.

    Parameters
    ----------
    labels : tuple of str
        Readable text of each token: byte-level symbols decoded, marks of word pieces removed. A character
        that several tokens share is shown in each of them with its part, as in ``"\N{GRINNING FACE}(1/2)"``.
    ids : tuple of int or None
        The token ids, where they are known.
    special : tuple of bool
        True for [CLS], <s> and their like.
    words : tuple of int
        Number of the word each token belongs to, from 0. Pieces of one word share a number.
    spans : tuple of Span
        Named runs of tokens, drawn as boundaries.
    images : tuple of ImageGrid
        Which tokens are the patches of which pictures, tiles or frames.
    origins : tuple of int or None
        Where each token begins among the tokens of the text, rising, after some were left out or joined; None where
        all are there.
    """

    labels: tuple[str, ...]
    ids: tuple[int, ...] | None = None
    special: tuple[bool, ...] = ()
    words: tuple[int, ...] = ()
    spans: tuple[Span, ...] = ()
    images: tuple[ImageGrid, ...] = ()
    origins: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        n = len(self.labels)
        if not self.special:
            object.__setattr__(self, "special", (False,) * n)
        if not self.words:
            object.__setattr__(self, "words", tuple(range(n)))
        for name in ("ids", "special", "words", "origins"):
            values = getattr(self, name)
            if values is not None and len(values) != n:
                raise ValueError(f"{n} labels came with {len(values)} {name}; give one for each label.")
        for span in self.spans:
            if not 0 <= span.start <= span.stop <= n:
                raise ValueError(
                    f"the span {span.name!r} goes from {span.start} to {span.stop} and there are {n} tokens."
                )
        taken: set[int] = set()
        for image in self.images:
            if image.rows < 1 or image.columns < 1 or not 0 <= image.start < image.stop <= n:
                raise ValueError(
                    f"a grid of {image.rows} x {image.columns} patches from position {image.start} on does not fit {n} "
                    "tokens."
                )
            own = {place for place in image.positions if place >= 0}
            if own & taken:
                raise ValueError(
                    f"position {min(own & taken)} is a patch of two pictures; a token can stand for one patch only."
                )
            taken |= own

    @property
    def image(self) -> ImageGrid | None:
        """The one picture among the tokens; None where there is none, or where there are several (see ``images``)."""
        return self.images[0] if len(self.images) == 1 else None

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __getitem__(self, index: int | slice | Sequence[int]) -> Tokens:
        """Tokens at the given positions (always Tokens, also for one position)."""
        if isinstance(index, int):
            chosen: Sequence[int] = [range(len(self))[index]]
        elif isinstance(index, slice):
            chosen = range(len(self))[index]
        else:
            chosen = index
        return Tokens(
            labels=tuple(self.labels[i] for i in chosen),
            ids=None if self.ids is None else tuple(self.ids[i] for i in chosen),
            special=tuple(self.special[i] for i in chosen),
            words=tuple(self.words[i] for i in chosen),
            spans=tuple(moved for span in self.spans if (moved := _moved_span(span, chosen)) is not None),
            images=_moved_images(self.images, chosen),
            origins=None if self.origins is None else tuple(self.origins[i] for i in chosen),
        )

    def with_spans(self, *spans: Span) -> Tokens:
        """The same tokens with more named runs; runs of no token are left out."""
        return replace(self, spans=(*self.spans, *(span for span in spans if span.start < span.stop)))

    def with_image(self, *images: ImageGrid) -> Tokens:
        """The same tokens, some of which are the patches of a picture, or of several."""
        return replace(self, images=images)

    def with_origins(self) -> Tokens:
        """The same tokens, which go on knowing where they stood in the text when some are left out or joined."""
        return replace(self, origins=tuple(self.begins))

    @property
    def begins(self) -> Sequence[int]:
        """Where each token begins among the tokens of the text."""
        return range(len(self)) if self.origins is None else self.origins

    @classmethod
    def positions(cls, n: int) -> Tokens:
        """Numbered positions, for a map whose tokens are not known."""
        return cls(tuple(str(i) for i in range(n)))

    @classmethod
    def from_labels(cls, labels: Sequence[Any]) -> Tokens:
        """Tokens from strings as a tokenizer prints them, or as a person wrote them.

        Parameters
        ----------
        labels : sequence of str
            One string for each position. Byte-level symbols, word pieces and sentence-piece marks are decoded
            where the strings carry them; plain words stay as they are.

        Raises
        ------
        TypeError
            When one string was given instead of a sequence, or an element is not a string.
        """
        if isinstance(labels, str):
            raise TypeError(
                f"tokens is one string ({_shorten(labels)}); expected a sequence of strings, one a token. "
                "Split it as the model's tokenizer does: tokenizer.convert_ids_to_tokens(ids)."
            )
        for i, label in enumerate(labels):
            if not isinstance(label, str):
                raise TypeError(
                    f"tokens[{i}] is {type(label).__name__} ({label!r}); expected strings. "
                    "Ids become strings with tokenizer.convert_ids_to_tokens(ids)."
                )
        # Half of a surrogate pair is no character, and could not be sent to a browser.
        pieces = [label.encode(errors="replace").decode() for label in labels]
        special = [bool(_SPECIAL_FORM.fullmatch(piece)) for piece in pieces]
        # Without a tokenizer, byte-level symbols are only believed where one marks a space or a line break.
        byte_level = any(piece[:1] in {"Ġ", "Ċ"} for piece in pieces)
        return cls._from_pieces(pieces, special, byte_level=byte_level)

    @classmethod
    def from_tokenizer(cls, tokenizer: Any, ids: Sequence[int]) -> Tokens:
        """Tokens for ids of a transformers tokenizer.

        Parameters
        ----------
        tokenizer : transformers.PreTrainedTokenizerBase
            The tokenizer that made the ids.
        ids : sequence of int
            Token ids of one text.
        """
        ids = [int(i) for i in ids]
        size = len(tokenizer)
        found = [tokenizer.convert_ids_to_tokens(i) if 0 <= i < size else None for i in ids]
        # An id outside the vocabulary has no piece, as -100 in labels.
        pieces = [piece if isinstance(piece, str) else f"<{i}>" for i, piece in zip(ids, found, strict=True)]
        added = set(getattr(tokenizer, "added_tokens_decoder", {}))
        known_special = set(tokenizer.all_special_ids)
        special = [i in known_special for i in ids]
        plain = [s or i in added for s, i in zip(special, ids, strict=True)]  # written as they are
        tokens = cls._from_pieces(pieces, plain, byte_level=_is_byte_level(tokenizer))
        return cls(tokens.labels, tuple(ids), tuple(special), tokens.words)

    @classmethod
    def _from_pieces(cls, pieces: list[str], special: list[bool], *, byte_level: bool) -> Tokens:
        plain = [piece for piece, is_special in zip(pieces, special, strict=True) if not is_special]
        if byte_level:
            encoded = [None if s else _symbols_to_bytes(p) for p, s in zip(pieces, special, strict=True)]
            return cls._from_bytes(pieces, special, encoded)
        if any(_SPACE_MARK in piece for piece in plain) or any(_BYTE_TOKEN.fullmatch(p) for p in plain):
            encoded = [None if s else _sentence_piece_bytes(p) for p, s in zip(pieces, special, strict=True)]
            return cls._from_bytes(pieces, special, encoded)
        if any(_WORD_PIECE.match(piece) for piece in plain):
            joined = [not s and bool(_WORD_PIECE.match(p)) for p, s in zip(pieces, special, strict=True)]
            labels = [p[2:] if j else p for p, j in zip(pieces, joined, strict=True)]
            return cls(tuple(labels), None, tuple(special), _number_words([not j for j in joined]))
        return cls(tuple(pieces), None, tuple(special))

    @classmethod
    def _from_bytes(cls, pieces: list[str], special: list[bool], encoded: list[bytes | None]) -> Tokens:
        labels = list(pieces)
        starts = [True] * len(pieces)
        run: list[int] = []
        for i in range(len(pieces) + 1):
            if i < len(pieces) and encoded[i] is not None:
                run.append(i)
                continue
            texts = _decode_run([encoded[j] or b"" for j in run])
            for position, (j, text) in enumerate(zip(run, texts, strict=True)):
                stripped = text.removeprefix(" ")
                starts[j] = position == 0 or text != stripped or text.startswith(("\n", "\t"))
                labels[j] = stripped or text
            run = []
        # A special token ends a word, so whatever follows it starts one.
        return cls(tuple(labels), None, tuple(special), _number_words(starts))


def _moved_span(span: Span, chosen: Sequence[int]) -> Span | None:
    """Where a run is among chosen tokens; None where it is gone, or no run any more."""
    inside = [new for new, old in enumerate(chosen) if span.start <= old < span.stop]
    if not inside or inside[-1] - inside[0] + 1 != len(inside):
        return None
    return Span(span.name, inside[0], inside[-1] + 1)


def _moved_images(images: Sequence[ImageGrid], chosen: Sequence[int]) -> tuple[ImageGrid, ...]:
    """Where the patches are among chosen tokens; a picture of which none is left is gone."""
    if not images:
        return ()
    new = {old: place for place, old in reversed(list(enumerate(chosen)))}
    moved = [(image, tuple(new.get(old, -1) for old in image.positions)) for image in images]
    return tuple(replace(image, places=places) for image, places in moved if max(places) >= 0)


def _shorten(text: str, limit: int = 40) -> str:
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


def _number_words(starts: list[bool]) -> tuple[int, ...]:
    word, words = -1, []
    for i, start in enumerate(starts):
        word += start or i == 0
        words.append(word)
    return tuple(words)


def _decode_run(chunks: list[bytes]) -> list[str]:
    """Text of each chunk of a UTF-8 stream; a character split over chunks is named in each, with its part."""
    stream = b"".join(chunks)
    owner = [k for k, chunk in enumerate(chunks) for _ in chunk]
    texts = [""] * len(chunks)
    i = 0
    while i < len(stream):
        width = _utf8_width(stream, i)
        if width == 0:
            texts[owner[i]] += f"\\x{stream[i]:02x}"
            i += 1
            continue
        character = stream[i : i + width].decode()
        holders = sorted(set(owner[i : i + width]))
        for part, k in enumerate(holders, 1):
            texts[k] += character if len(holders) == 1 else f"{character}({part}/{len(holders)})"
        i += width
    return texts


def _utf8_width(stream: bytes, i: int) -> int:
    """Bytes of the character that starts at i, or 0 where no valid character starts."""
    lead = stream[i]
    width = 1 if lead < 0x80 else 2 if lead >> 5 == 0b110 else 3 if lead >> 4 == 0b1110 else 4
    try:
        return width if len(stream[i : i + width].decode()) == 1 else 0
    except UnicodeDecodeError:
        return 0


def as_tokens(labels: Tokens | Sequence[str] | None, expected: int) -> Tokens:
    """Labels as tokens; None numbers the positions."""
    if labels is None:
        return Tokens.positions(expected)
    return labels if isinstance(labels, Tokens) else Tokens.from_labels(labels)


@cache
def _byte_of_symbol() -> dict[str, int]:
    """Byte of each symbol of a byte-level tokenizer.

    Printable bytes stand for themselves, the others follow from U+0100 on, in order (Radford et al. 2019).
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in set(printable)]
    return {chr(b): b for b in printable} | {chr(0x100 + k): b for k, b in enumerate(others)}


def _symbols_to_bytes(piece: str) -> bytes:
    table = _byte_of_symbol()
    if all(c in table for c in piece):
        return bytes(table[c] for c in piece)
    # Added tokens are written in plain text, with characters that no byte has.
    return piece.encode(errors="replace")


def _sentence_piece_bytes(piece: str) -> bytes:
    if match := _BYTE_TOKEN.fullmatch(piece):
        return bytes([int(match.group(1), 16)])
    return piece.replace(_SPACE_MARK, " ").encode(errors="replace")


def _is_byte_level(tokenizer: Any) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return hasattr(tokenizer, "byte_decoder")
    return "ByteLevel" in f"{backend.decoder}{backend.pre_tokenizer}"
