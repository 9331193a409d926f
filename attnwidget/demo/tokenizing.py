"""Tokenizers of few words: an id for each, special tokens first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

__all__ = ["close_up_punctuation", "word_tokenizer"]


def close_up_punctuation() -> decoders.Decoder:
    """Join words with blanks and close up punctuation; there are no word pieces here."""
    return decoders.WordPiece(prefix="##", cleanup=True)


def word_tokenizer(
    words: Sequence[str],
    special: Mapping[str, str],
    *,
    template: str,
    pair_template: str,
    longest: int,
    split: pre_tokenizers.PreTokenizer | None = None,
    join: decoders.Decoder | None = None,
    **options: Any,
) -> PreTrainedTokenizerFast:
    """Build a tokenizer that knows some words.

    Parameters
    ----------
    words
        Every word; the special tokens come before them.
    special
        Special tokens by their names in transformers, in the order of their ids: ``{"bos_token": "<s>", ...}``.
    template, pair_template
        Where the special tokens stand: "<s> $A", "<s> $A $B".
    longest
        Most tokens a text may have.
    split
        How a text falls into words; None splits on blanks and around punctuation, so "late." is two words.
    join
        How words become a text again; None is `close_up_punctuation`.
    **options
        Of PreTrainedTokenizerFast.
    """
    vocabulary = {word: i for i, word in enumerate([*special.values(), *words])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token=special["unk_token"]))
    backend.pre_tokenizer = split or pre_tokenizers.Whitespace()
    backend.decoder = join or close_up_punctuation()
    backend.post_processor = processors.TemplateProcessing(
        single=template,
        pair=pair_template,
        special_tokens=[(token, vocabulary[token]) for token in special.values()],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend, model_max_length=longest, truncation_side="right", **options, **special
    )
