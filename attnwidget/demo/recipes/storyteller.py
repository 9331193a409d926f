"""The storyteller: a decoder that continues stories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM

from attnwidget.demo import repeated_words, stories
from attnwidget.demo.measure import best_head, head_scores
from attnwidget.demo.recipes import Recipe
from attnwidget.demo.stories import HEADS, INNER, LAYERS, LONGEST, WIDTH
from attnwidget.demo.stream import batch, reading
from attnwidget.demo.tokenizing import word_tokenizer
from attnwidget.demo.words import WORDS

if TYPE_CHECKING:
    import random

    from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
REPEATS = 0.4  # share of the rows that hold repeated random words


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer: a word a token, <s> in front."""
    return word_tokenizer(
        WORDS,
        SPECIAL,
        template="<s> $A",
        pair_template="<s> $A $B",
        longest=LONGEST,
        # New words are appended on the right, so a decoder's padding goes to the left.
        padding_side="left",
        model_input_names=["input_ids", "attention_mask"],
    )


def build() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Build the model with fresh random weights, and its tokenizer."""
    tokenizer = build_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=LONGEST,
        # Rows are short: faster rotations tell neighbours apart better.
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config), tokenizer


def loss(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rng: random.Random, progress: float
) -> torch.Tensor:
    """Draw a batch and return the weighted mean cross-entropy of the next word, in nats."""
    ids, weights = (torch.from_numpy(part) for part in batch(rng, reading(tokenizer), progress, REPEATS))
    logits = model(ids).logits[:, :-1]
    losses = functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return (losses * weights[:, 1:]).sum() / weights[:, 1:].sum()


def measure(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Measure names, questions, and the heads that repeated words show."""
    scores = head_scores(model, tokenizer)
    return stories.measure(model, tokenizer) | {
        "previous_token_head": best_head(scores["previous"]),
        "induction_head": best_head(scores["induction"]),
    }


RECIPE = Recipe(
    what=(
        "A causal language model (LLaMA type: rotary positions, no biases) that continues short English stories. "
        "It works out who receives what, and goes on with what was said before."
    ),
    size=f"{LAYERS} layers of {HEADS} heads, {len(SPECIAL) + len(WORDS)} words (case kept)",
    data=f"{stories.DATA} Two rows in five are random words of the vocabulary, said two to four times.",
    steps=2500,
    rate=3e-3,
    build=build,
    loss=loss,
    measure=measure,
    measures=stories.MEASURES
    | {"previous_token_head": "best previous-token head", "induction_head": "best induction head"},
    notes=f"""\
{stories.PAIRS}
Head scores are means over the rows that have a target, on 24 random distinct words said twice (32 texts).
Layers and heads count from 0.

{stories.LIMITS}""",
    probe=lambda _: repeated_words(24),
)
