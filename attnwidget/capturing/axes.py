"""Axes: which positions of a map are real, and what stands on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from attnwidget.tokens import Span, Tokens

__all__ = ["Axis", "Labels", "token_label"]


@dataclass(frozen=True)
class Labels:
    """What a caller says of the positions, beside their ids.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Gives the ids their labels.
    tokens : Tokens or None
        Labels of positions that have no ids; without those of the prefix.
    prefix : int
        Number of learned positions in front of the tokens: embeddings, or keys and values.
    spans : tuple of Span
        Named runs of positions, the prefix counted.
    picture : Tensor uint8 [height, width, 3] or None
        The picture that the model saw.
    """

    tokenizer: Any = None
    tokens: Tokens | None = None
    prefix: int = 0
    spans: tuple[Span, ...] = ()
    picture: Tensor | None = None

    @classmethod
    def of(cls, tokenizer: Any, tokens: Any, prefix: Any, spans: Any, picture: Any) -> Labels:
        """What a caller gave, checked.

        Raises
        ------
        TypeError, ValueError
            When prefix is no number of positions, or spans are no ranges of positions.
        """
        if isinstance(prefix, bool) or not isinstance(prefix, int) or prefix < 0:
            raise ValueError(f"prefix={prefix!r}; expected the number of learned positions in front of the tokens.")
        if spans is not None and not isinstance(spans, Mapping):
            raise TypeError(f"spans is {type(spans).__name__}; expected names and ranges: spans={{'anchor': (5, 9)}}.")
        named = []
        for name, place in (spans or {}).items():
            try:
                start, stop = (int(edge) for edge in place)
            except (TypeError, ValueError):
                raise ValueError(f"spans[{name!r}]={place!r}; expected (start, stop), stop not included.") from None
            if not 0 <= start < stop:
                raise ValueError(f"spans[{name!r}]=({start}, {stop}); expected 0 <= start < stop.")
            named.append(Span(str(name), start, stop))
        if tokens is not None and not isinstance(tokens, Tokens):
            tokens = Tokens.from_labels(tokens)
        return cls(tokenizer, tokens, prefix, tuple(named), picture)


@dataclass(frozen=True)
class Axis:
    """One side of the maps, for the whole batch.

    Parameters
    ----------
    ids : Tensor of int [batch, positions] or None
        What was read at each position; negative where that is no id, or is not known.
    cached : int
        Number of keys of earlier passes in front.
    prompt : int
        Length of what was given, where the rest was generated; 0 where nothing was.
    labels : Labels
        What the caller says.
    """

    ids: Tensor | None = None
    cached: int = 0
    prompt: int = 0
    labels: Labels = field(default_factory=Labels)

    def tokens(self, example: int, length: int) -> Tokens:
        """The tokens of one example, padding included."""
        known = self._known(example, length)
        before = length - len(known)
        spans = []
        prefix = min(self.labels.prefix, before or length)
        if before:
            gone = max(0, self.cached - before)  # a sliding cache has dropped its first keys
            cached = Tokens(tuple(map(str, range(gone + prefix, gone + before))))
            known = _join(_join(_prefix(prefix), cached), known)
        elif prefix and (known.ids is None or max(known.ids[:prefix]) < 0):
            known = replace(known, labels=_prefix(prefix).labels + known.labels[prefix:])
        else:
            prefix = 0
        front = min(self.cached, length)
        spans += [Span("prefix", 0, prefix), *([Span("cached", prefix, front)] if front > prefix else [])]
        if self.prompt and self.prompt < length:
            spans += [Span("prompt", front if front < self.prompt else 0, self.prompt)]
            spans += [Span("generated", self.prompt, length)]
        for span in self.labels.spans:
            if span.stop > length:
                raise ValueError(
                    f"spans[{span.name!r}] ends at {span.stop} and there are {length} positions, prefix and padding "
                    "counted."
                )
        return known.with_spans(*spans, *self.labels.spans)

    def _known(self, example: int, length: int) -> Tokens:
        """Tokens of the positions at the end that have some; the ones in front are a prefix, or cached keys."""
        given = self.labels.tokens
        front = max(self.cached, self.labels.prefix)
        if given is None:
            return self._read(example, length, front)
        if len(given) in {length, length - front}:
            return given
        if self.prompt and len(given) in {self.prompt, self.prompt - front}:
            read = self._read(example, length, front)
            return _join(given, read[len(read) - (length - self.prompt) :])
        raise ValueError(
            f"tokens has {len(given)} labels and there are {length - front} positions"
            + (f" behind a prefix of {front}." if front else ".")
            + " Give one label for each."
        )

    def _read(self, example: int, length: int, front: int) -> Tokens:
        """Tokens by their ids, or numbered positions."""
        if self.ids is None or self.ids.shape[1] != length:
            return Tokens(tuple(map(str, range(min(front, length), length))))
        ids = self.ids[min(example, self.ids.shape[0] - 1)].tolist()
        unread = next((i for i, one in enumerate(ids) if one >= 0), length)
        start = min(front, unread)
        ids = ids[start:]
        if max(ids, default=-1) < 0:
            return Tokens(tuple(map(str, range(start, length))))
        if self.labels.tokenizer is None:
            return Tokens(tuple(str(start + i) if one < 0 else str(one) for i, one in enumerate(ids)), tuple(ids))
        known = Tokens.from_tokenizer(self.labels.tokenizer, ids)
        labels = tuple(
            str(start + i) if one < 0 else label for i, (one, label) in enumerate(zip(ids, known.labels, strict=True))
        )
        return replace(known, labels=labels)


def _prefix(n: int) -> Tokens:
    return Tokens(tuple(f"prefix {i}" for i in range(n)), special=(True,) * n)


def _join(first: Tokens, second: Tokens) -> Tokens:
    if not len(first) or not len(second):
        return second if not len(first) else first
    return Tokens(
        first.labels + second.labels,
        None,
        first.special + second.special,
        first.words + tuple(first.words[-1] + 1 + word for word in second.words),
    )


def token_label(tokenizer: Any, number: int) -> str:
    """Label of one id."""
    return str(number) if tokenizer is None else Tokens.from_tokenizer(tokenizer, [number]).labels[0]
