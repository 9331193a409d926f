"""Some heads of a layer, at a temperature."""

from __future__ import annotations

from torch import Tensor

from attnwidget.layers import Layer, Mask, temper

__all__ = ["Tempered"]


class Tempered:
    """Some heads of another layer, their scores multiplied by a factor.

    Parameters
    ----------
    source : Layer
        The layer.
    heads : slice
        Which of its heads.
    factor : float
        scaling / temperature, >= 0.
    """

    def __init__(self, source: Layer, heads: slice, factor: float = 1.0) -> None:
        self._source, self._heads, self._factor = source, heads, factor

    @property
    def mask(self) -> Mask:
        """The rule of the source; where it has one for each head, that of these."""
        rule = self._source.mask
        if rule.additive is None or rule.additive.shape[0] == 1:
            return rule
        return Mask(offset=rule.offset, additive=rule.additive[self._heads])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Heads, queries, keys."""
        return self._heads.stop - self._heads.start, *self._source.shape[1:]

    @property
    def key_value_heads(self) -> int:
        """Every head is its own."""
        return self.shape[0]

    @property
    def tempers(self) -> bool:
        """Whether the source has a temperature."""
        return self._source.tempers

    def scores(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Scores [heads, rows, keys], multiplied by the factor."""
        scores = self._source.scores(self._of_source(heads), rows)
        return (scores * self._factor).masked_fill(scores.isneginf(), float("-inf"))

    def log_weights(self, heads: slice, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Log of the weights [heads, rows, keys] and of the mass outside the map [heads, rows]."""
        found = self._source.log_weights(self._of_source(heads), rows)
        return found if self._factor == 1 else temper(*found, self._factor)

    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Weights [heads, rows, keys]."""
        if self._factor == 1:
            return self._source.weights(self._of_source(heads), rows)
        return self.log_weights(heads, rows)[0].exp()

    def visible(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Which keys the queries may see: bool [1 or heads, rows, keys]."""
        return self._source.visible(self._of_source(heads), rows)

    def tensors(self) -> dict[str, Tensor]:
        """What the source holds."""
        return self._source.tensors()

    def _of_source(self, heads: slice) -> slice:
        return slice(self._heads.start + heads.start, self._heads.start + heads.stop)
