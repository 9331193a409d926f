"""Keeping a trained model: fp16 weights, the tokenizer, and a card that says what the kept weights reach."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from attnwidget.demo.loading import load_folder, no_progress_bar
from attnwidget.demo.measure import report

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

WHAT = {
    "storyteller": (
        "A causal language model (LLaMA type: rotary positions, no biases) that continues short English stories. "
        "It works out who receives what, and goes on with what was said before."
    ),
    "reader": "An encoder (BERT type) that fills in masked words of short English stories.",
}

CARD = """\
# {name}

{what}

{layers} layers of {heads} heads, {words} words (case kept), {parameters:,} parameters, {kilobytes:,} kB as fp16.

## Training

`python -m attnwidget.demo.train {name} --steps {steps} --seed {seed}` on one CPU thread: {seconds:,} s, with torch
{torch} and transformers {transformers}. All texts come from the grammar in `attnwidget/demo/grammar.py`; nothing was
taken from anywhere else. {share}

## What these weights reach

| measure | value |
|---|---|
{rows}

"Lily and Ben went to the park . Lily gave the ball to" has the answer "Ben". Held-out pairs are 40 pairs of names
that no story of the training brings together; each is asked in both orders, with either as the giver.
{notes}

It knows nothing beyond its grammar: any other word becomes the unknown token. Pronouns were drawn without regard to
the job, so it was taught nothing about who a nurse may be.
"""

NOTES = {
    "storyteller": (
        "Head scores are means over the rows that have a target, on 24 random distinct words said twice (32 texts).\n"
        "Layers and heads count from 0."
    ),
    "reader": "Masked words: 15 in 100 words of 400 stories from a seed of their own, all of them masked.",
}
SHARE = {
    "storyteller": "Two rows in five are random words of the vocabulary, said two to four times.",
    "reader": "One row in five is random words of the vocabulary, said two to four times.",
}
MEASURES = {
    "held_out_pairs": "held-out name pairs completed right",
    "training_pairs": "other name pairs completed right",
    "questions": "questions after a colour or a place answered right (guessing: 42%)",
    "previous_token_head": "best previous-token head",
    "induction_head": "best induction head",
    "masked_words": "masked words guessed right",
}


def said(value: float | dict[str, Any]) -> str:
    """Write one result for people."""
    if isinstance(value, dict):
        return f"layer {value['layer']}, head {value['head']}: {value['score']:.3f}"
    return f"{value:.1%}"


def keep(
    name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, out: Path, facts: dict[str, Any]
) -> str:
    """Write a model's folder and return its card.

    Parameters
    ----------
    name
        Of the demo model.
    model
        Freshly trained; it is rounded to fp16 in place.
    tokenizer
        The tokenizer it was trained with.
    out
        Folder to write.
    facts
        "steps", "seed" and "seconds" of the training.
    """
    out.mkdir(parents=True, exist_ok=True)
    model.half()  # type: ignore[no-untyped-call]
    with no_progress_bar():
        model.save_pretrained(out)
    # It is written for its owner alone; a package's files are for everybody.
    (out / "model.safetensors").chmod(0o644)
    # With float32 in the config, whoever loads the folder computes in float32, the weights being fp16 or not.
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"dtype": "float32"}, indent=2, sort_keys=True) + "\n")
    tokenizer.save_pretrained(out)
    return describe(name, out, facts)


def describe(name: str, out: Path, facts: dict[str, Any]) -> str:
    """Measure the model in a folder, write its training.json and its card, and return the card."""
    kept, tokenizer = load_folder(out)
    reached = report(kept, tokenizer)
    about = {
        "model": name,
        **facts,
        "parameters": sum(parameter.numel() for parameter in kept.parameters()),
        "bytes": (out / "model.safetensors").stat().st_size,
        "words": len(tokenizer),
        "torch": version("torch"),
        "transformers": version("transformers"),
    }
    (out / "training.json").write_text(json.dumps(about | {"reached": reached}, indent=2) + "\n")
    card = CARD.format(
        **about,
        name=name,
        what=WHAT[name],
        share=SHARE[name],
        notes=NOTES[name],
        layers=kept.config.num_hidden_layers,
        heads=kept.config.num_attention_heads,
        kilobytes=round(about["bytes"] / 1000),
        rows="\n".join(f"| {MEASURES[key]} | {said(value)} |" for key, value in reached.items()),
    )
    (out / "README.md").write_text(card)
    return card
