"""Passes: what one forward pass was given, what attention it computed, and what of it is not shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.calls import Call, Place
from attnwidget.capturing.grids import Laid
from attnwidget.capturing.reading import Read

if TYPE_CHECKING:
    from attnwidget.capturing.projecting import Projection

__all__ = ["Pass", "StackKey", "batch_if_second", "batch_of", "encoder_of", "is_pair", "n_tokens", "padding_of"]

# Path of a stack, what attends in its layers, whether it attends across, and how many times it had run before.
StackKey = tuple[str, str, bool, int]


def is_pair(module: nn.Module) -> bool:
    """Whether a model has an encoder and a decoder."""
    return bool(getattr(getattr(module, "config", None), "is_encoder_decoder", False))


def encoder_of(model: nn.Module) -> nn.Module | None:
    """The encoder of an encoder-decoder model."""
    if not is_pair(model):
        return None
    module = model.get_encoder()  # type: ignore[operator]
    return module if isinstance(module, nn.Module) and module is not model else None


@dataclass(eq=False)
class Pass:
    """One forward pass: what went in, what attention was computed, and what was not heard of it."""

    inputs: dict[str, Any] = field(default_factory=dict)
    encoder_inputs: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    logits: Tensor | None = None
    whole: bool = False  # the model's own pass, and not one of a part called by itself
    past: int = 0  # keys before this pass's own
    learned: int = 0  # of them, those that a wrapper has learned
    before: Pass | None = None  # the pass that left the keys that this one begins with
    reordered: bool = False  # the rows of the batch are not in the order they had before, as in beam search
    missed: dict[str, str] = field(default_factory=dict)  # modules whose attention is not shown, and why
    cache: Callable[[], Any] = lambda: None
    newest: Tensor | None = None  # new keys of one layer, by which the next pass knows what it goes on from
    main: StackKey | None = None  # the stack whose tokens grow
    n_queries: int = 0
    prompt: int = 0  # length of what was given, in a generation
    several: bool = False  # some step of a generation chose more than one token
    following: Tensor | None = None  # ids of the tokens generated last, [batch]
    counts: Counter[StackKey] = field(default_factory=Counter)
    layers: dict[StackKey, set[int]] = field(default_factory=dict)  # numbers of the layers that attended
    read: dict[StackKey, tuple[Read | None, Read | None]] = field(default_factory=dict)  # ids of queries and keys
    reached: dict[StackKey, frozenset[str]] = field(default_factory=dict)  # inputs that its queries were made of
    reached_by_keys: dict[StackKey, frozenset[str]] = field(default_factory=dict)
    # where patches stand among so many queries, 0, or keys, 1: a stack that pools has several sizes
    grids: dict[tuple[StackKey, int, int], Laid | None] = field(default_factory=dict)
    projections: Mapping[Place, Projection | str] = field(
        default_factory=dict
    )  # where heads are one vector, or why not
    notes: list[str] = field(default_factory=list)  # what a reader of its maps should know
    guessed: set[StackKey] = field(default_factory=set)  # whether they attend across was told by names alone
    shared: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)  # masks that layers share, and what is kept

    @property
    def continues(self) -> bool:
        """Whether the pass goes on where an earlier one ended."""
        return self.before is not None

    @property
    def length(self) -> int:
        """Keys after this pass."""
        return self.past + self.n_queries


def batch_of(inputs: Mapping[str, Any], roots: Sequence[nn.Module]) -> int:
    """Examples in a pass, by its inputs; 0 where they do not tell."""
    main = [str(getattr(root, "main_input_name", "")) for root in roots]
    named = ("decoder_input_ids", "input_ids", "inputs_embeds", "pixel_values", "input_features", "input_values")
    for name in (*named, *main):
        value = inputs.get(name)
        if isinstance(value, Tensor) and value.ndim > 1:
            return value.shape[0]
    first = _first_of(inputs)
    return 0 if first is None else first.shape[0]


def batch_if_second(inputs: Mapping[str, Any]) -> int:
    """Examples in a pass whose batch comes second, in torch's older way; 0 where no input has such an axis."""
    first = _first_of(inputs)
    if first is None or first.ndim != (3 if first.is_floating_point() else 2):
        return 0
    return first.shape[1]


def padding_of(current: Pass, names: Sequence[str], batch: int) -> Tensor:
    """How many positions of padding stand in front of each example, by the masks of a pass: int [batch]."""
    for name in names:
        for inputs in (current.inputs, current.encoder_inputs):
            mask = inputs.get(name)
            if isinstance(mask, Tensor) and mask.ndim == 2 and len(mask) == batch:
                return mask.bool().int().argmax(1)
    return torch.zeros(batch, dtype=torch.int64)


def _first_of(inputs: Mapping[str, Any]) -> Tensor | None:
    return next((value for value in inputs.values() if isinstance(value, Tensor) and value.ndim > 1), None)


def n_tokens(inputs: Mapping[str, Any]) -> int:
    """How many tokens a pass reads, by its inputs."""
    for name in ("decoder_inputs_embeds", "decoder_input_ids", "inputs_embeds", "input_ids"):
        if isinstance(inputs.get(name), Tensor) and inputs[name].ndim > 1:
            return int(inputs[name].shape[1])
    return 0
