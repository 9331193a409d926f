"""Layouts: what the axes of an array are, one letter each, and the layers that are taken out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

__all__ = ["MATRICES", "VECTORS", "Letters", "arrange", "ask", "by_layer"]


@dataclass(frozen=True)
class Letters:
    """The letters that a layout is made of.

    Parameters
    ----------
    meanings : mapping of str to str
        What each letter stands for.
    layer : str
        The axes of one layer, in the order in which it is held. One that an array lacks has the length 1.
    needed : str
        The axes that no array can lack.
    single : str
        What is done with an axis that has no letter, of an array called {0}.
    """

    meanings: Mapping[str, str]
    layer: str
    needed: str
    single: str

    def others(self, name: str) -> str:
        """What to do with axes that have no letter."""
        return (
            f"Of an axis that is none of these {self.single.format(name)}, and axes that are one together, as the rows "
            f"and columns of a picture, are joined before ({name}.reshape)."
        )

    def __str__(self) -> str:
        return ", ".join(f"{letter} {meaning}" for letter, meaning in self.meanings.items())


_OUTER = {"L": "layers", "B": "examples", "H": "heads"}
MATRICES = Letters(
    _OUTER | {"Q": "queries", "K": "keys"},
    layer="HQK",
    needed="K",
    single="one place is chosen before, or the mean taken ({0}[:, 3], {0}.mean(1))",
)
# The weights of mean queries are no mean of weights.
VECTORS = Letters(
    _OUTER | {"N": "tokens", "D": "width"}, layer="HND", needed="ND", single="one place is chosen before ({0}[:, 3])"
)


def ask(array: Tensor, name: str, letters: Letters, likely: str = "") -> ValueError:
    """The question for the layout of an array whose axes are not known."""
    return ValueError(
        f"{name} has shape {tuple(array.shape)}, which can be read in more than one way. Say what its axes are with "
        f"layout=, one letter an axis in their order: {letters}.{likely} {letters.others(name)}"
    )


def by_layer(array: Tensor, layout: str, example: int | None, name: str, letters: Letters) -> list[Tensor]:
    """The layers of one array, each with the axes of a layer.

    Parameters
    ----------
    array : Tensor
        All layers, or one.
    layout : str
        One letter an axis.
    example : int or None
        Which example of a batch.
    name : str
        What the array is called in errors.
    letters : Letters
        What a layout may say.

    Raises
    ------
    ValueError
        When the layout does not fit, when a batch came without a choice, or when an axis is empty.
    """
    _check_layout(array, layout, name, letters)
    if "L" not in layout:
        return [arrange(array, layout, example, name, letters)]
    rest = layout.replace("L", "")
    return [arrange(layer, rest, example, name, letters) for layer in array.unbind(layout.index("L"))]


def arrange(
    array: Tensor, layout: str, example: int | None, name: str, letters: Letters, *, assumed: bool = False
) -> Tensor:
    """One layer with its axes in order; where nobody said the layout it is ``assumed``, and errors say so."""
    _check_layout(array, layout, name, letters)
    if example is not None and (not isinstance(example, int) or "B" not in layout):
        raise ValueError(
            f"example={example!r} chooses from a batch, by its number; {name} has layout {layout!r}"
            + (" and no batch." if "B" not in layout else ".")
        )
    if "B" in layout:
        axis = layout.index("B")
        size = array.shape[axis]
        if example is None and size != 1:
            raise ValueError(
                f"{name} holds a batch of {size} examples (shape {tuple(array.shape)}, layout {layout!r}); a map shows "
                "one. Choose it with example=0."
                if not assumed
                else f"{name} has shape {tuple(array.shape)}. If it is a batch of {size} examples (layout {layout!r}), "
                f"choose one with example=0. If its axes are others, say them with layout=: {letters}. "
                + letters.others(name)
            )
        if example is not None and not -size <= example < size:
            raise ValueError(f"example={example} is outside the batch of {size} in {name}.")
        array = array.select(axis, example or 0)
        layout = layout.replace("B", "")
    for letter in letters.layer:
        if letter not in layout:
            array, layout = array[None], letter + layout
    array = array.permute([layout.index(letter) for letter in letters.layer])
    if 0 in array.shape:
        axes = ", ".join(letters.meanings[letter] for letter in letters.layer)
        raise ValueError(f"{name} is empty: {axes} are {tuple(array.shape)}.")
    return array


def _check_layout(array: Tensor, layout: str, name: str, letters: Letters) -> None:
    known = isinstance(layout, str) and set(letters.needed) <= set(layout) <= set(letters.meanings)
    if not known or len(set(layout)) < len(layout):
        raise ValueError(
            f"layout={layout!r} is no layout; expected one letter an axis, {' and '.join(letters.needed)} among them: "
            f"{letters}. {letters.others(name)}"
        )
    if len(layout) != array.ndim:
        raise ValueError(
            f"{name} has {array.ndim} dimensions (shape {tuple(array.shape)}) and layout={layout!r} names "
            f"{len(layout)}."
        )
