"""Keeping a trained model: fp16 weights, the reader's files, and a card that says what the kept weights reach."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from attnwidget.demo.loading import load_folder, no_progress_bar
from attnwidget.demo.recipes import recipe_of

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

CARD = """\
# {model}

{what}

{size}, {parameters:,} parameters, {kilobytes:,} kB as fp16.

## Training

`python -m attnwidget.demo.train {model} --steps {steps} --seed {seed}` on one CPU thread: {seconds:,} s, with torch
{torch} and transformers {transformers}. {data}

## What these weights reach

| measure | value |
|---|---|
{rows}

{notes}
"""


def said(value: float | dict[str, Any]) -> str:
    """Write one result for people."""
    if isinstance(value, dict):
        return f"layer {value['layer']}, head {value['head']}: {value['score']:.3f}"
    return f"{value:.1%}"


def keep(name: str, model: PreTrainedModel, reader: Any, out: Path, facts: dict[str, Any]) -> str:
    """Write a model's folder and return its card.

    Parameters
    ----------
    name
        Of the demo model.
    model
        Freshly trained; it is rounded to fp16 in place.
    reader
        The tokenizer or image processor it was trained with.
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
    reader.save_pretrained(out)
    return describe(name, out, facts)


def describe(name: str, out: Path, facts: dict[str, Any]) -> str:
    """Measure the model in a folder, write its training.json and its card, and return the card."""
    recipe = recipe_of(name)
    kept, reader = load_folder(out)
    reached = recipe.measure(kept, reader)
    about = {
        "model": name,
        **facts,
        "parameters": sum(parameter.numel() for parameter in kept.parameters()),
        "bytes": (out / "model.safetensors").stat().st_size,
        "torch": version("torch"),
        "transformers": version("transformers"),
    }
    (out / "training.json").write_text(json.dumps(about | {"reached": reached}, indent=2) + "\n")
    card = CARD.format(
        **about,
        what=recipe.what,
        size=recipe.size,
        data=recipe.data,
        notes=recipe.notes,
        kilobytes=round(about["bytes"] / 1000),
        rows="\n".join(f"| {recipe.measures[key]} | {said(value)} |" for key, value in reached.items()),
    )
    (out / "README.md").write_text(card)
    return card
