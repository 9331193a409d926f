"""The reader: an encoder that fills in masked words of stories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional
from transformers import BertConfig, BertForMaskedLM

from attnwidget.demo import sentences, stories
from attnwidget.demo.measure import masked_accuracy
from attnwidget.demo.recipes import Recipe
from attnwidget.demo.stories import HEADS, INNER, LAYERS, LONGEST, WIDTH
from attnwidget.demo.stream import IGNORED, batch, hide, reading
from attnwidget.demo.tokenizing import word_tokenizer
from attnwidget.demo.words import WORDS

if TYPE_CHECKING:
    import random

    from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

SPECIAL = {
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "mask_token": "[MASK]",
}
REPEATS = 0.2  # share of the rows that hold repeated random words


def build() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Build the model with fresh random weights, and its tokenizer: a word a token, between [CLS] and [SEP]."""
    tokenizer = word_tokenizer(
        WORDS,
        SPECIAL,
        template="[CLS] $A [SEP]",
        pair_template="[CLS] $A [SEP] $B:1 [SEP]:1",
        longest=LONGEST,
        padding_side="right",
    )
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=LONGEST,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
    )
    return BertForMaskedLM(config), tokenizer


def loss(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rng: random.Random, progress: float
) -> torch.Tensor:
    """Draw a batch and return the mean cross-entropy of the hidden words, in nats."""
    read = reading(tokenizer)
    ids, _ = batch(rng, read, progress, REPEATS)
    seen, labels = (torch.from_numpy(part) for part in hide(np.random.default_rng(rng.getrandbits(32)), ids, read))
    return functional.cross_entropy(model(seen).logits.transpose(1, 2), labels, ignore_index=IGNORED)


def measure(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Measure names, questions and masked words."""
    return stories.measure(model, tokenizer) | {"masked_words": round(masked_accuracy(model, tokenizer), 4)}


RECIPE = Recipe(
    what="An encoder (BERT type) that fills in masked words of short English stories.",
    size=f"{LAYERS} layers of {HEADS} heads, {len(SPECIAL) + len(WORDS)} words (case kept)",
    data=f"{stories.DATA} One row in five is random words of the vocabulary, said two to four times.",
    steps=3000,
    rate=1e-3,
    build=build,
    loss=loss,
    measure=measure,
    measures=stories.MEASURES | {"masked_words": "masked words guessed right"},
    notes=f"""\
{stories.PAIRS}
Masked words: 15 in 100 words of 400 stories from a seed of their own, all of them masked.

{stories.LIMITS}""",
    probe=lambda _: sentences(1)[0],
)
