"""What a model of stories reached: names moved, heads found, masked words guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnwidget import measures
from attnwidget.capturing import capture
from attnwidget.demo import name_pairs, repeated_words
from attnwidget.demo.grammar import colored, hidden, source, story
from attnwidget.demo.stream import hide, reading

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def pair_accuracy(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, held_out: bool = True, seed: int = 0
) -> float:
    """Return the share of name prompts that the model completes right."""
    return completed(model, tokenizer, name_pairs(held_out=held_out, seed=seed))


def question_accuracy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, questions: int = 200) -> float:
    """Return the share of right answers to "What color is the kite ?" and "Where is the ball ?", half of each.

    Guessing among the colours or places of the story would get 5 in 12.
    """
    rng = source("questions")
    stories = [maker(rng).split() for maker in (colored, hidden) for _ in range(questions // 2)]
    return completed(model, tokenizer, [(" ".join(words[:-2]), words[-2]) for words in stories])


@torch.no_grad()
def completed(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: list[tuple[str, str]]) -> float:
    """Return the share of prompts whose next word is the model's first choice of its whole vocabulary.

    A decoder answers after the prompt; an encoder fills in the mask in "prompt [MASK] .".
    """
    right = 0
    for prompt, answer in prompts:
        masked = tokenizer.mask_token
        inputs = tokenizer(f"{prompt} {masked} ." if masked else prompt, return_tensors="pt")
        place = -3 if masked else -1
        best = int(model(**inputs).logits[0, place].argmax())
        right += best == tokenizer.convert_tokens_to_ids(answer)
    return right / len(prompts)


def head_scores(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, length: int = 24, texts: int = 32
) -> dict[str, torch.Tensor]:
    """Score every head as previous-token and as induction head, on random words said twice.

    Returns
    -------
    dict with "previous" and "induction", each a tensor [layers, heads] between 0 and 1
    """
    runs = (capture(model, repeated_words(length, seed=seed), tokenizer) for seed in range(texts))
    found = [measures.head_scores(run.maps) for run in runs]
    return {name: torch.stack([scores[name] for scores in found]).mean(0) for name in ("previous", "induction")}


def best_head(scores: torch.Tensor) -> dict[str, Any]:
    """Name the head with the highest score, counting layers and heads from 0."""
    layer, head = divmod(int(scores.argmax()), scores.shape[1])
    return {"layer": layer, "head": head, "score": round(float(scores.max()), 4)}


@torch.no_grad()
def masked_accuracy(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, stories: int = 400, seed: str = "held-out text"
) -> float:
    """Return the share of hidden words (15 in 100) that an encoder guesses right in stories it was not shown."""
    rng, dice = source(seed), np.random.default_rng(len(seed))
    read = reading(tokenizer)
    right = asked = 0
    for _ in range(stories):
        ids = tokenizer(story(rng), return_tensors="np")["input_ids"]
        _, labels = hide(dice, ids, read)
        places = labels >= 0
        # Every word that is asked for is masked: guessing a word that is there would be no test.
        guesses = model(torch.from_numpy(np.where(places, read.mask, ids))).logits.argmax(-1).numpy()
        right += int((guesses == labels)[places].sum())
        asked += int(places.sum())
    return right / asked
