"""Word pieces merged to words: what a word gives is the mean of its pieces, what it gets the sum over them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from attnwidget.layers import Layer, Mask, blocks
from attnwidget.lenses.lensed import Lensed, Masks, beyond, lensed, reach, standing
from attnwidget.maps import AttentionMaps
from attnwidget.tokens import Span, Tokens

__all__ = ["WordsLayer", "merged"]

# Scripts that are written without spaces: a token of theirs is the nearest to a word that there is.
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fff\u3000-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf"
    r"\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
)
_BEGINS = re.compile(rf"[{_UNSPACED}](?!\([2-4]/[2-4]\))")  # not with a later part of a character
_ENDS = re.compile(rf"(?:[{_UNSPACED}](?:\(([2-4])/\1\))?|[\n\r\t])\Z")
_WHOLE = [
    re.compile(rf"(.)\(1/{n}\)" + "".join(rf"\1\({part}/{n}\)" for part in range(2, n + 1)), re.DOTALL)
    for n in (2, 3, 4)
]  # a character whose parts are all there


class Runs:
    """The tokens of an axis as words, each a run of pieces.

    Parameters
    ----------
    starts : sequence of bool
        Where a word begins.
    """

    def __init__(self, starts: list[bool]) -> None:
        self.first = torch.tensor(starts).nonzero()[:, 0]
        self.stop = torch.cat([self.first[1:], torch.tensor([len(starts)])])
        self.owner = torch.tensor(starts).cumsum(0) - 1  # the word of each piece

    def __len__(self) -> int:
        return len(self.first)

    @property
    def joined(self) -> int:
        """How many words have several pieces."""
        return int((self.stop - self.first > 1).sum())

    def pieces(self, rows: slice | Tensor) -> tuple[slice | Tensor, Tensor]:
        """Positions of the pieces of some words, and of each piece the number of its word among these."""
        if isinstance(rows, slice):
            here = slice(int(self.first[rows.start]), int(self.stop[rows.stop - 1]))
            return here, self.owner[here] - rows.start
        rows = rows.to(self.first.device)
        lengths = (self.stop - self.first)[rows]
        owner = torch.arange(len(rows)).repeat_interleave(lengths)
        within = torch.arange(len(owner)) - (lengths.cumsum(0) - lengths)[owner]
        return self.first[rows][owner] + within, owner

    def tokens(self, tokens: Tokens) -> Tokens:
        """The words as tokens."""
        if len(self) == len(tokens):
            return tokens
        tokens = tokens.with_origins()
        runs = list(zip(self.first.tolist(), self.stop.tolist(), strict=True))
        begins = tokens[self.first.tolist()]
        word = self.owner.tolist()
        images = [
            replace(image, places=tuple(word[place] if place >= 0 else -1 for place in image.positions))
            for image in tokens.images
        ]
        return Tokens(
            tuple(_label("".join(tokens.labels[first:stop])) for first, stop in runs),
            None,
            begins.special,
            begins.words,
            tuple(
                Span(span.name, word[span.start], word[span.stop - 1] + 1)
                for span in tokens.spans
                if span.start < span.stop
            ),
            tuple(images),
            begins.origins,
        )


class Merging:
    """Queries and keys as words, and the rules of what words may see.

    Parameters
    ----------
    queries, keys : Runs
        The words of both axes.
    """

    def __init__(self, queries: Runs, keys: Runs) -> None:
        self.queries, self.keys = queries, keys
        self.mask = Masks(self._moved)

    def _moved(self, mask: Mask) -> Mask:
        """A word sees another where any of its pieces sees any of the other's."""
        offset = int(beyond(self.keys.owner, torch.tensor(mask.offset)))
        if mask.additive is not None:
            return Mask(offset=offset, additive=self._any(mask.additive))
        if not mask.causal:
            return Mask(offset=offset)
        earliest, last = reach(mask, self.queries.first, self.queries.stop - 1)
        return Mask.from_spans(beyond(self.keys.owner, earliest), beyond(self.keys.owner, last), len(self.keys))

    def _any(self, additive: Tensor) -> Tensor:
        """Zero where any piece may be seen by any, -inf elsewhere: [heads, queries, keys] of words."""
        found = additive.new_full((additive.shape[0], len(self.queries), len(self.keys)), -torch.inf)
        for rows in blocks(len(self.queries), additive.shape[0] * additive.shape[2]):
            pieces, owner = self.queries.pieces(rows)
            seen = (additive[:, pieces] > -torch.inf).float()
            by_word = seen.new_zeros(seen.shape[0], rows.stop - rows.start, seen.shape[2])
            by_word.index_add_(1, owner.to(seen.device), seen)
            found[:, rows].masked_fill_(self.summed(by_word) > 0, 0)
        return found

    def summed(self, weights: Tensor) -> Tensor:
        """Weights [..., pieces of keys] added up for each word: [..., keys]."""
        if len(self.keys) == weights.shape[-1]:
            return weights
        empty = weights.new_zeros(*weights.shape[:-1], len(self.keys))
        return empty.index_add(-1, self.keys.owner.to(weights.device), weights)


class WordsLayer:
    """A layer of words, made of another's word pieces; its rows are made when they are looked at.

    What a word gives is the mean over its pieces, what it gets is the sum over them, so that rows sum to what they did.
    A piece that sees no key has no part in the mean; one with NaN makes the row NaN.

    Parameters
    ----------
    source : Layer
        The layer of the pieces.
    merging : Merging
        Which pieces make a word.
    """

    tempers = False

    def __init__(self, source: Layer, merging: Merging) -> None:
        self._source, self._merging = source, merging

    @cached_property
    def mask(self) -> Mask:
        """The rule of the source, among words."""
        return self._merging.mask(self._source.mask)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Heads, words that are queries, words that are keys."""
        return self._source.shape[0], len(self._merging.queries), len(self._merging.keys)

    @property
    def key_value_heads(self) -> int:
        """Those of the source."""
        return self._source.key_value_heads

    def scores(self, heads: slice, rows: slice | Tensor) -> Tensor:  # noqa: ARG002
        """Raise: there are none."""
        raise ValueError(
            "scores are not known here: the weights of a word are the sum over its pieces, which is the softmax of no "
            "score. Look at the pieces."
        )

    def log_weights(self, heads: slice, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Log of the weights [heads, rows, keys] and of the mass outside the map [heads, rows]."""
        pieces, owner = self._merging.queries.pieces(rows)

        def parts() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
            for some, whose in self._parts(pieces, owner, heads):
                weights, outside = self._source.log_weights(heads, some)
                yield weights.exp(), outside.exp(), whose

        weights, outside = self._mean(parts(), int(owner[-1]) + 1)
        return weights.log(), outside.log()

    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Weights [heads, rows, keys]."""
        pieces, owner = self._merging.queries.pieces(rows)

        def parts() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
            for some, whose in self._parts(pieces, owner, heads):
                weights = self._source.weights(heads, some)
                yield weights, weights.new_zeros(weights.shape[:2]), whose

        return self._mean(parts(), int(owner[-1]) + 1)[0]

    def visible(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Which keys the queries may see: bool [1 or heads, rows, keys]."""
        device = next(iter(self._source.tensors().values())).device
        seen = self.mask.visible(rows, self.shape[2], device)
        return seen if seen.shape[0] == 1 else seen[heads]

    def tensors(self) -> dict[str, Tensor]:
        """What the source holds."""
        return self._source.tensors()

    def _parts(self, pieces: slice | Tensor, owner: Tensor, heads: slice) -> Iterator[tuple[slice | Tensor, Tensor]]:
        """Some pieces at a time: a word may have any number of them."""
        for part in blocks(len(owner), (heads.stop - heads.start) * self._source.shape[2]):
            here = (
                slice(pieces.start + part.start, pieces.start + part.stop)
                if isinstance(pieces, slice)
                else pieces[part]
            )
            yield here, owner[part]

    def _mean(self, parts: Iterator[tuple[Tensor, Tensor, Tensor]], n_words: int) -> tuple[Tensor, Tensor]:
        """Mean of weights [heads, words, keys] and of mass outside [heads, words], over pieces that see something."""
        weights = outside = seeing = torch.tensor(0.0)
        for part, missing, owner in parts:
            whose = owner.to(part.device)
            sees = part.sum(-1) != 0
            if weights.ndim == 0:
                weights = part.new_zeros(part.shape[0], n_words, len(self._merging.keys))
                outside, seeing = missing.new_zeros(weights.shape[:2]), missing.new_zeros(weights.shape[:2])
            weights = weights.index_add(1, whose, self._merging.summed(part))
            outside = outside.index_add(1, whose, missing.masked_fill(~sees, 0))
            seeing = seeing.index_add(1, whose, sees.to(seeing))
        seeing = seeing.clamp(min=1)
        return weights / seeing[..., None], outside / seeing


def merged(maps: AttentionMaps) -> Lensed:
    """Maps of words, computed when somebody looks: see `AttentionMaps.words`."""
    keys = Runs(_starts(maps.key_tokens))
    offset = standing(maps)
    if maps.key_tokens is maps.tokens:
        queries = keys
    elif offset is not None:
        begins = _starts(maps.key_tokens)[offset : offset + maps.n_queries]
        queries = Runs([True, *begins[1:]])
    else:
        queries = Runs(_starts(maps.tokens))
    joined = keys.joined if queries is keys or offset is not None else keys.joined + queries.joined
    told = [{"kind": "words", "count": joined}]
    if len(keys) == maps.n_keys and len(queries) == maps.n_queries:
        return Lensed(maps, told)
    merging = Merging(queries, keys)
    layers = [WordsLayer(layer, merging) for layer in maps.layers]
    note = (
        f"Word pieces are merged to words ({joined:,} of several pieces): what a word gives is the mean over its "
        "pieces, what it gets is the sum over them."
    )
    return Lensed(lensed(maps, layers, queries.tokens(maps.tokens), keys.tokens(maps.key_tokens), [note]), told)


def _starts(tokens: Tokens) -> list[bool]:
    """Where a word begins. Special tokens and patches stand alone, and no word goes over the end of a span."""
    if len(tokens) == 0:
        return []
    apart = {end for span in tokens.spans for end in (span.start, span.stop)}
    apart |= {edge for image in tokens.images for place in image.positions for edge in (place, place + 1)}
    places = range(1, len(tokens))
    return [True] + [
        after != before
        or at in apart
        or tokens.special[at]
        or tokens.special[at - 1]
        or bool(_BEGINS.match(tokens.labels[at]) or _ENDS.search(tokens.labels[at - 1]))
        for at, (before, after) in zip(places, pairwise(tokens.words), strict=True)
    ]


def _label(text: str) -> str:
    """Pieces as a word: the parts of a character joined, no space in front."""
    for whole in _WHOLE:
        text = whole.sub(r"\1", text)
    return text.lstrip(" ") or text
