"""Encoding: texts as tokens, with a label for each, in batches of like length."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from attnwidget.surveying.rows import Row, said
from attnwidget.surveying.tally import Skipped
from attnwidget.tokens import Tokens

__all__ = ["Encoded", "batches", "encode", "padded"]


@dataclass(frozen=True)
class Encoded:
    """A text as tokens.

    Parameters
    ----------
    row : Row
        The text.
    ids : tuple of int
        Its tokens.
    labels : tuple of str or None, or None
        A label for each token.
    """

    row: Row
    ids: tuple[int, ...]
    labels: tuple[str | None, ...] | None = None

    @property
    def known_by(self) -> int:
        """What the text is known by, the same wherever it is read."""
        digest = hashlib.blake2b(f"{self.row.number} {self.row.text}".encode(errors="replace"), digest_size=8)
        return int.from_bytes(digest.digest(), "big", signed=True)


def encode(
    rows: Sequence[Row],
    tokenizer: Any,
    *,
    limit: int | None,
    max_tokens: int | None,
    labels: Callable[[list[str]], Sequence[Any]] | None,
) -> tuple[list[Encoded], list[Skipped], int]:
    """Texts as tokens, those that are left out, and how many were cut.

    Parameters
    ----------
    rows : sequence of Row
        The texts.
    tokenizer : transformers.PreTrainedTokenizerBase
        Makes tokens of them.
    limit : int or None
        How many the model reads.
    max_tokens : int or None
        Texts are cut to so many; None leaves out what is too long.
    labels : callable or None
        Gives a label for each of a list of tokens.

    Raises
    ------
    ValueError
        When words have labels, and the tokenizer does not say which token belongs to which.
    """
    placed = any(row.labels is not None for row in rows)
    if placed and not getattr(tokenizer, "is_fast", False):
        raise ValueError(
            "labels of words need a tokenizer that says where its tokens stand in the text, a fast one; "
            f"{type(tokenizer).__name__} does not. Give labels= as a function of the tokens."
        )
    if not rows:
        return [], [], 0
    options = {"verbose": False, "return_offsets_mapping": placed}
    made = _together(rows, tokenizer, options)
    found: list[Encoded] = []
    skipped: list[Skipped] = []
    n_cut = 0
    for at, row in enumerate(rows):
        try:
            own = tokenizer(row.text, **options) if made is None else {name: made[name][at] for name in made}
            cut = max_tokens is not None and len(own["input_ids"]) > max_tokens
            if cut:
                own = tokenizer(row.text, truncation=True, max_length=max_tokens, **options)
        except Exception as error:  # noqa: BLE001 - one text does not end the others
            skipped.append(Skipped(row.number, f"the tokenizer refuses it: {said(error)}."))
            continue
        ids, offsets, n_cut = own["input_ids"], own["offset_mapping"] if placed else None, n_cut + cut
        why = _why_not(len(ids), limit)
        if not why:
            one = Encoded(row, tuple(ids))
            try:
                found.append(_labelled(one, offsets, tokenizer, labels))
            except ValueError as error:
                why = str(error)
        if why:
            skipped.append(Skipped(row.number, why))
    return found, skipped, n_cut


def _together(rows: Sequence[Row], tokenizer: Any, options: dict[str, Any]) -> Any:
    """What the tokenizer makes of all texts at once; None where it refuses one of them."""
    try:
        return tokenizer([row.text for row in rows], **options)
    except Exception:  # noqa: BLE001 - which text it is shows when each is read by itself
        return None


def _why_not(n: int, limit: int | None) -> str:
    if n == 0:
        return "the tokenizer makes no token of it."
    if limit is not None and n > limit:
        return f"it is {n} tokens long and the model reads {limit}; max_tokens={limit} cuts such texts."
    return ""


def _labelled(one: Encoded, offsets: Any, tokenizer: Any, labels: Any) -> Encoded:
    if labels is not None:
        tokens = list(Tokens.from_tokenizer(tokenizer, one.ids).labels)
        try:
            given = [None if label is None else str(label) for label in labels(tokens)]
        except Exception as error:
            raise ValueError(f"labels= fails for it: {said(error)}.") from error
        if len(given) != len(tokens):
            raise ValueError(f"labels= gave {len(given)} labels for {len(tokens)} tokens; expected one for each.")
        return replace(one, labels=tuple(given))
    if one.row.labels is None:
        return one
    word_at: list[int | None] = []
    word = -1
    for before, letter in zip(" " + one.row.text, one.row.text, strict=False):
        word += before.isspace() and not letter.isspace()
        word_at.append(None if letter.isspace() else word)
    # The last letter of a token: a space in front of a word belongs to it, and is none of its letters.
    words = [word_at[stop - 1] if stop > start else None for start, stop in offsets]
    own = one.row.labels
    return replace(one, labels=tuple(None if at is None else own[at] for at in words))


def batches(texts: Sequence[Encoded], size: int, *, same_length: bool) -> Iterator[list[Encoded]]:
    """Texts of like length together, the longest first, where memory would run out if it does."""
    ordered = sorted(texts, key=lambda one: (-len(one.ids), one.row.number))
    batch: list[Encoded] = []
    for one in ordered:
        if batch and (len(batch) == size or (same_length and len(batch[0].ids) != len(one.ids))):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def padded(batch: Sequence[Encoded], padding: int) -> tuple[Tensor, Tensor]:
    """Ids [batch, tokens] and what is real of them, bool; padding stands behind."""
    lengths = torch.tensor([len(one.ids) for one in batch])
    longest = int(lengths.max())
    ids = torch.tensor([[*one.ids, *[padding] * (longest - len(one.ids))] for one in batch])
    return ids, torch.arange(longest) < lengths[:, None]
