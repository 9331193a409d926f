"""Metrics: what a change in a model is measured by, one number for each example."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from attnwidget.capturing.passes import is_pair
from attnwidget.capturing.registry import transformers_in
from attnwidget.effects.examples import Batch, losses, read_positions
from attnwidget.effects.targets import class_number, token_number
from attnwidget.measures.arguments import whole as whole_number

__all__ = ["Divergence", "Loss", "Metric", "TargetLogit"]


class Metric(Protocol):
    """Begun with a batch and what the whole model says of it, it measures what a changed one says."""

    text: str

    def begin(self, batch: Batch, whole: Tensor, first: int) -> Callable[[Tensor], Tensor]:
        """What makes logits into one number for each example, [batch]; ``first`` is the number of the first one."""
        ...


class Loss:
    """The loss of an example."""

    text = "change of the loss (nats)"

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def begin(self, batch: Batch, whole: Tensor, first: int) -> Callable[[Tensor], Tensor]:  # noqa: ARG002
        """As `Metric.begin`."""
        return lambda logits: losses(self._model, batch, logits)


class Divergence:
    """KL(whole || changed), the mean over positions that are no padding; 0 for the whole model."""

    text = "KL divergence of the output from the whole model's (nats)"

    def __init__(self, model: nn.Module) -> None:
        self._decoded = any(map(is_pair, transformers_in(model)))

    def begin(self, batch: Batch, whole: Tensor, first: int) -> Callable[[Tensor], Tensor]:  # noqa: ARG002
        """As `Metric.begin`."""
        p = whole.float().log_softmax(-1)

        def measure(logits: Tensor) -> Tensor:
            q = logits.float().log_softmax(-1)
            each = (p.exp() * (p - q)).masked_fill(p == -torch.inf, 0).sum(-1)
            if each.ndim == 1:
                return each
            real = read_positions(batch, each.shape, decoded=self._decoded).to(each.device)
            return each.masked_fill(~real, 0).sum(1) / real.sum(1)

        return measure


class TargetLogit:
    """The logit of a token at a position, or of a class, or how far it is above another one.

    Parameters
    ----------
    model, tokenizer
        As in `ablate`.
    target, against : str, int, sequence of them (one for each example), or None
        As in `ablate`.
    position : int
        Among the tokens of an example that are no padding.
    n_examples : int
        How many there are.

    Raises
    ------
    ValueError
        When there are several targets, and not one for each example.
    """

    text = "change of the logit"

    def __init__(
        self, model: nn.Module, tokenizer: Any, target: Any, against: Any, *, position: int, n_examples: int
    ) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._position = whole_number("position", position)
        self._target, self._against = (
            None if one is None else _for_each(name, one, n_examples)
            for name, one in (("target", target), ("against", against))
        )
        self._decoded = any(map(is_pair, transformers_in(model)))
        self.text = f"{self.text} of {_named(target)}" + ("" if against is None else f" above {_named(against)}")

    def begin(self, batch: Batch, whole: Tensor, first: int) -> Callable[[Tensor], Tensor]:
        """As `Metric.begin`."""
        at = None if whole.ndim == 2 else self._places(batch, whole, first)
        here = slice(first, first + len(whole))
        targets = _at(whole, at).argmax(-1) if self._target is None else self._numbers(self._target[here], whole)
        others = None if self._against is None else self._numbers(self._against[here], whole)

        def measure(logits: Tensor) -> Tensor:
            said = _at(logits, at).float()
            found = said.gather(-1, targets[:, None])[:, 0]
            return found if others is None else found - said.gather(-1, others[:, None])[:, 0]

        return measure

    def _numbers(self, chosen: Sequence[Any], whole: Tensor) -> Tensor:
        size = whole.shape[-1]
        return torch.tensor(
            [
                class_number(one, self._model, size) if whole.ndim == 2 else token_number(one, self._tokenizer, size)
                for one in chosen
            ],
            device=whole.device,
        )

    def _places(self, batch: Batch, whole: Tensor, first: int) -> Tensor:
        """Where the position is in each example: int [batch]."""
        real = read_positions(batch, whole.shape[:2], decoded=self._decoded).to(whole.device)
        lengths = real.sum(1)
        wanted = lengths + self._position if self._position < 0 else torch.full_like(lengths, self._position)
        outside = ((wanted < 0) | (wanted >= lengths)).nonzero().flatten().tolist()
        if outside:
            raise ValueError(
                f"position={self._position} does not exist in example {first + outside[0]}; it has "
                f"{int(lengths[outside[0]])} tokens."
            )
        return (real & (real.cumsum(1) - 1 == wanted[:, None])).int().argmax(1)


def _at(logits: Tensor, at: Tensor | None) -> Tensor:
    """Logits at one position of each example: [batch, words]; of classes as they are."""
    return logits if at is None else logits[torch.arange(len(at), device=logits.device), at]


def _for_each(name: str, chosen: Any, n_examples: int) -> Sequence[Any]:
    if isinstance(chosen, Tensor) and chosen.ndim:
        chosen = chosen.tolist()
    if not isinstance(chosen, list | tuple):
        return [chosen] * n_examples
    if len(chosen) != n_examples:
        raise ValueError(
            f"{name} has {len(chosen)} entries for {n_examples} examples; give one for all, or one for each."
        )
    return chosen


def _named(chosen: Any) -> str:
    if chosen is None:
        return "the whole model's first choice"
    return repr(chosen) if isinstance(chosen, str | int) else "each example's target"
