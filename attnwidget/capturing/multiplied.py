"""Multiplied: weights as they stood in the product with values, with queries as rows and keys as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

__all__ = ["Multiplied", "as_multiplied"]


@dataclass(frozen=True)
class Multiplied:
    """Weights in a product.

    Parameters
    ----------
    weights : Tensor [..., queries, keys]
        What the values were multiplied with; keys are what was summed over.
    order : tuple of int
        The axes of the tensor that was multiplied, in the order that they have here.
    values : Tensor [..., keys, width] or None
        What they were multiplied with; None where that has other axes.
    """

    weights: Tensor
    order: tuple[int, ...]
    values: Tensor | None = None


def as_multiplied(name: str, args: Any, operands: Sequence[Tensor], place: int) -> Multiplied | None:
    """The weights among the operands of a product; None where values differ from query to query, as experts' do.

    Parameters
    ----------
    name : str
        Of the function: "matmul", "bmm", "einsum" ...
    args : tuple
        What it was given.
    operands : sequence of Tensor
        The tensors that were multiplied.
    place : int
        Which of them are the weights.
    """
    weights = operands[place]
    axes = tuple(range(weights.ndim))
    if name == "einsum":
        return _of_einsum(args, operands, place)
    if weights.ndim < 2:
        return None
    # The first factor is summed over its last axis, the second over the one before it; ``a.__rmatmul__(b)`` is b @ a.
    if (place == 0) != (name == "__rmatmul__"):
        return Multiplied(weights, axes, operands[1 - place] if len(operands) == 2 else None)
    order = (*axes[:-2], axes[-1], axes[-2])
    other = operands[1 - place] if len(operands) == 2 else None
    return Multiplied(weights.permute(order), order, None if other is None else other.mT)


def _of_einsum(args: Any, operands: Sequence[Tensor], place: int) -> Multiplied | None:
    if len(operands) != 2 or not args or not isinstance(args[0], str) or "->" not in args[0]:
        return None
    terms, made = args[0].replace(" ", "").split("->")
    first, second = terms.split(",")
    # The axes that dots stand for are the same in both, counted from the last.
    dots = [one.ndim - len(term.replace("...", "")) for one, term in zip(operands, (first, second), strict=True)]
    names = "123456789"[: max(0, *dots)]
    first = first.replace("...", names[len(names) - dots[0] :])
    second = second.replace("...", names[len(names) - dots[1] :])
    own, other, made = (first, second)[place], (first, second)[1 - place], made.replace("...", names)
    summed = [letter for letter in own if letter not in made and letter in other]
    queries = [letter for letter in own if letter in made and letter not in other]
    if len(summed) != 1 or len(queries) != 1 or len(own) != operands[place].ndim:
        return None
    leading = [letter for letter in own if letter not in {summed[0], queries[0]}]
    order = tuple(own.index(letter) for letter in (*leading, queries[0], summed[0]))
    width = [letter for letter in other if letter in made and letter not in own]
    values: Tensor | None = None
    if len(width) == 1 and sorted(other) == sorted([*leading, summed[0], width[0]]):
        values = operands[1 - place].permute([other.index(letter) for letter in (*leading, summed[0], width[0])])
    return Multiplied(operands[place].permute(order), order, values)
