"""Unembedding: the linear module that makes logits, of words or of classes, and what these are called."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.passes import is_pair
from attnwidget.capturing.registry import of_this_thread, transformers_in
from attnwidget.effects.examples import evaluating
from attnwidget.effects.targets import class_name, class_number, token_name, token_number

__all__ = ["Unembedding", "unembedding_of"]


@dataclass(frozen=True)
class Unembedding:
    """What makes logits.

    Parameters
    ----------
    module : nn.Module
        Its weight has a row for each logit.
    number : callable
        The row of a token or a class; ValueError where there is none.
    name : callable
        What a row is called.
    said : Tensor [classes] or None
        What a model of classes says; None of one that predicts the next token at every position.
    """

    module: nn.Module
    number: Callable[[Any], int]
    name: Callable[[int], str]
    said: Tensor | None = None

    @cached_property
    def weight(self) -> Tensor:
        """Rows of the unembedding: [words, width]; of one whose numbers are elsewhere until it runs, by running it."""
        held = self.module.get_parameter("weight").detach()
        if not held.is_meta:
            return held
        with torch.no_grad():
            each = torch.eye(held.shape[1], dtype=held.dtype)
            rows: Tensor = (self.module(each) - self.module(torch.zeros_like(each[:1]))).T
            return rows

    @cached_property
    def bias(self) -> Tensor | None:
        """What it adds: [words], or None."""
        held = getattr(self.module, "bias", None)
        if not isinstance(held, Tensor) or not held.is_meta:
            return held if isinstance(held, Tensor) else None
        with torch.no_grad():
            width = self.module.get_parameter("weight").shape[1]
            added: Tensor = self.module(torch.zeros(1, width, dtype=held.dtype))[0]
            return added


def unembedding_of(model: nn.Module, tokenizer: Any, named: dict[str, Any]) -> Unembedding:
    """What makes the logits of a model for some inputs, to which is added what such a model must be told.

    Raises
    ------
    ValueError
        When there is no such module.
    """
    roots = transformers_in(model)
    found: Any = roots[0].get_output_embeddings() if roots else None  # type: ignore[no-untyped-call]
    pair = bool(roots) and is_pair(roots[0])
    if isinstance(found, nn.Module) and not pair and isinstance(getattr(found, "weight", None), Tensor):
        named["use_cache"] = False
        size = len(found.get_parameter("weight"))
        return Unembedding(
            found, lambda one: token_number(one, tokenizer, size), lambda number: token_name(number, tokenizer)
        )
    with evaluating(model), torch.no_grad():
        made, said = (None, None) if pair else _of_classes(model, named)
    if made is None or said is None:
        raise ValueError(
            f"{type(model).__name__} makes no logits of one text by one linear module; load it with "
            "AutoModelForCausalLM, or with a head for classes."
        )
    return Unembedding(
        made, lambda one: class_number(one, model, len(said)), lambda number: class_name(number, model), said
    )


def _of_classes(model: nn.Module, named: dict[str, Any]) -> tuple[nn.Module | None, Tensor | None]:
    """The linear module whose output the logits of classes are, and these [classes]."""
    ran: list[tuple[nn.Module, Tensor]] = []

    def keep(module: nn.Module, _args: Any, made: Any) -> None:
        if isinstance(made, Tensor):
            ran.append((module, made))

    with ExitStack() as stack:
        for module in model.modules():
            weight = getattr(module, "weight", None)
            if isinstance(weight, Tensor) and weight.ndim == 2 and not isinstance(module, nn.Embedding):
                stack.callback(module.register_forward_hook(of_this_thread(keep)).remove)
        logits = getattr(model(**named), "logits", None)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        return None, None
    for module, made in reversed(ran):
        if made.shape[-1] == logits.shape[-1] and bool((made.reshape(-1, made.shape[-1]) == logits[0]).all(-1).any()):
            return module, logits[0]
    return None, None
