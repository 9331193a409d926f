"""Heads of several layers, side by side as one layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor

from attnwidget.layers import Layer, Mask, blocks

__all__ = ["ChosenHeads"]


class ChosenHeads:
    """A layer whose heads are those that were chosen, of whatever layers; its rows are made when they are looked at.

    Parameters
    ----------
    heads : sequence of tuple of Layer and int
        Each with the layer it is in, in order; layers of the same queries and keys.
    """

    def __init__(self, heads: Sequence[tuple[Layer, int]]) -> None:
        self._heads = [(layer, slice(head, head + 1)) for layer, head in heads]
        first, _ = self._heads[0]
        self.shape = (len(self._heads), *first.shape[1:])
        self.key_value_heads = len(self._heads)

    @cached_property
    def mask(self) -> Mask:
        """The rule of what any of them may see."""
        rules = list({id(rule): rule for layer, _ in self._heads if (rule := layer.mask)}.values())
        if len(rules) == 1 and (rules[0].additive is None or rules[0].additive.shape[0] == 1):
            return rules[0]
        if not all(rule.is_rule for rule in rules):
            n_heads, n_queries, n_keys = self.shape
            parts = [self.visible(slice(0, n_heads), rows) for rows in blocks(n_queries, n_heads * n_keys)]
            return Mask.from_visible(torch.cat([part.any(0, keepdim=True) for part in parts], 1))
        offset = max(rule.offset for rule in rules)
        if not all(rule.causal for rule in rules):
            return Mask(offset=offset)
        known = [rule.offset - int(rule.window) for rule in rules if rule.window is not None]
        return Mask(causal=True, offset=offset, window=offset - min(known) if len(known) == len(rules) else None)

    @property
    def tempers(self) -> bool:
        """Whether a temperature can act on every one of them."""
        return all(layer.tempers for layer, _ in self._heads)

    def scores(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Scores before softmax [heads, rows, keys]; ValueError where a layer was given as weights."""
        return self._each(heads, lambda layer, head: layer.scores(head, rows))

    def log_weights(self, heads: slice, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Log of the weights [heads, rows, keys] and of the mass outside the map [heads, rows]."""
        found = [layer.log_weights(head, rows) for layer, head in self._heads[heads]]
        return _together([weights for weights, _ in found]), _together([outside for _, outside in found])

    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Weights [heads, rows, keys]."""
        return self._each(heads, lambda layer, head: layer.weights(head, rows))

    def visible(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Which keys the queries may see: bool [heads, rows, keys]."""
        return self._each(heads, lambda layer, head: layer.visible(head, rows))

    def tensors(self) -> dict[str, Tensor]:
        """What their layers hold."""
        layers = list({id(layer): layer for layer, _ in self._heads}.values())
        return {f"{at}.{role}": tensor for at, layer in enumerate(layers) for role, tensor in layer.tensors().items()}

    def _each(self, heads: slice, ask: Callable[[Layer, slice], Tensor]) -> Tensor:
        return _together([ask(layer, head) for layer, head in self._heads[heads]])


def _together(parts: Sequence[Tensor]) -> Tensor:
    """One head after the other, where the first is: layers may live on several devices."""
    return torch.cat([part.to(parts[0]) for part in parts])
