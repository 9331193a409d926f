"""Between: how much of its attention a head gives from tokens of one label to tokens of another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST_LABELS", "Between"]

MOST_LABELS = 100


@dataclass(frozen=True)
class Between:
    """Mass from label to label, added up over texts, put together in any order.

    Of each text it is the mean, over the queries of the first label, of what they give to the keys of the second. Texts
    count where both labels are there; keys without a label take the rest.

    Attributes
    ----------
    labels : tuple of str
        The labels, in alphabetical order.
    masses : array of float [layers, heads, labels, labels]
        Sums over texts; the first label is that of the queries.
    chances : array of float [layers, heads, labels, labels]
        The same of a head that looks everywhere alike.
    count : array of int [layers, heads, labels, labels]
        In how many texts there was something to add.
    """

    labels: tuple[str, ...]
    masses: NDArray[np.float64]
    chances: NDArray[np.float64]
    count: NDArray[np.int64]

    def __add__(self, other: Between) -> Between:
        labels = tuple(sorted({*self.labels, *other.labels}))
        if len(labels) > MOST_LABELS:
            raise ValueError(too_many(labels))
        one, two = self._among(labels), other._among(labels)
        return Between(labels, *(a + b for a, b in zip(one, two, strict=True)))

    def _among(self, labels: tuple[str, ...]) -> list[NDArray[Any]]:
        at = [labels.index(label) for label in self.labels]
        found = []
        for held in (self.masses, self.chances, self.count):
            room = np.zeros((*held.shape[:2], len(labels), len(labels)), dtype=held.dtype)
            room[:, :, np.array(at, dtype=int)[:, None], np.array(at, dtype=int)] = held
            found.append(room)
        return found

    @property
    def mass(self) -> NDArray[np.float64]:
        """Mean over texts, 0 to 1: [layers, heads, labels, labels]; NaN where no text has both labels."""
        return np.where(self.count > 0, self.masses / np.maximum(self.count, 1), math.nan)

    @property
    def chance(self) -> NDArray[np.float64]:
        """What a head would give that looks everywhere alike: [layers, heads, labels, labels]."""
        return np.where(self.count > 0, self.chances / np.maximum(self.count, 1), math.nan)

    def __repr__(self) -> str:
        return f"<Between {len(self.labels)} labels: {', '.join(map(repr, self.labels[:8]))}>"

    def to_frame(self) -> pd.DataFrame:
        """One row for each layer, head, label of queries and label of keys; layers and heads by their place.

        Returns
        -------
        pandas.DataFrame
            Columns "mass", "chance" and "count", the number of texts.
        """
        import pandas as pd

        layers, heads = self.masses.shape[:2]
        index = pd.MultiIndex.from_product(
            [range(layers), range(heads), self.labels, self.labels], names=["layer", "head", "from", "to"]
        )
        columns = {"mass": self.mass, "chance": self.chance, "count": self.count}
        return pd.DataFrame({name: value.reshape(-1) for name, value in columns.items()}, index=index)


def too_many(labels: tuple[str, ...]) -> str:
    """What to say of labels that are no labels."""
    return (
        f"there are more than {MOST_LABELS} different labels of tokens, as {', '.join(map(repr, labels[:5]))}: the "
        "mass between all pairs would be too much to hold. Give fewer, as parts of speech."
    )
