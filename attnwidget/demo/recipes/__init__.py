"""How each demo model is made and measured: one file a model, named after it, that holds its RECIPE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

    import torch
    from transformers import PreTrainedModel

__all__ = ["Recipe", "recipe_of"]


@dataclass(frozen=True)
class Recipe:
    """What the training of a demo model and its card need to know.

    A reader is what turns text or pictures into the model's inputs: a tokenizer, or an image processor.

    Parameters
    ----------
    what : str
        What the model is, for its card.
    size : str
        Layers, heads and words.
    data : str
        What it is trained on, and whose that is.
    steps : int
        Batches of the training.
    rate : float
        Highest learning rate.
    build : callable
        Returns the model with fresh random weights, and its reader.
    loss : callable of (model, reader, rng, progress)
        Draws a batch and returns its loss, in nats; progress is the share of the training that is over, in [0, 1).
    measure : callable of (model, reader)
        Returns what the weights reach: shares in [0, 1], or the "layer", "head" and "score" of one head.
    measures : mapping of str to str
        What each of these is called on the card.
    notes : str
        How that was measured, and what the model cannot do.
    probe : callable of (reader)
        Returns inputs on which the attention of the model can be read while it trains.
    """

    what: str
    size: str
    data: str
    steps: int
    rate: float
    build: Callable[[], tuple[PreTrainedModel, Any]]
    loss: Callable[[PreTrainedModel, Any, random.Random, float], torch.Tensor]
    measure: Callable[[PreTrainedModel, Any], dict[str, Any]]
    measures: Mapping[str, str]
    notes: str
    probe: Callable[[Any], Any]


def recipe_of(name: str) -> Recipe:
    """Return the recipe of a demo model."""
    recipe: Recipe = import_module(f"{__name__}.{name}").RECIPE
    return recipe
