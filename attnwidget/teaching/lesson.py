"""Lesson: what a student is asked in front of a widget, what is locked meanwhile, and what counts as right."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite
from numbers import Real
from typing import Any

__all__ = ["STEPS", "Lesson", "Prediction"]

STEPS = ("scores", "scaled", "weights", "output", "entropy")
_CELL = re.compile(r"(?P<largest>largest\s+)?(?P<step>[a-z]+)\[\s*(?P<row>\d+)\s*(?:,\s*(?P<column>\d+)\s*)?\]")


@dataclass(frozen=True)
class Prediction:
    """What is guessed.

    Parameters
    ----------
    kind : {"number", "bars", "cell", "head"}
        A number, a row of weights as bars, the largest of a row by a click, or a head by a click.
    step : str
        The step of the formula; empty for a head.
    row, column : int or None
        Its place.
    measure : str
        In which the head is to be the highest; empty where it is none.
    """

    kind: str
    step: str = ""
    row: int | None = None
    column: int | None = None
    measure: str = ""


@dataclass(frozen=True)
class Lesson:
    """What a student is asked: predict, then reveal.

    Parameters
    ----------
    prompt : str
        The question, shown above the widget.
    predict : str
        What is guessed before it is shown; empty for a prompt alone.

        * ``"weights[0, 1]"``: a number of a Playground; the steps are scores, scaled, weights, output, and
          ``"entropy[0]"``;
        * ``"weights[0]"``: a row of weights, as bars that are dragged to a height;
        * ``"largest weights[0]"``: the largest of a row, by a click on its cell, in a Playground, or in an Explorer,
          where it is asked of the head that the view opens with;
        * ``"previous"``: in an Explorer the name of a measure; the guess is the head where it is highest, by a click on
          the grid.
    answer : float, list of float, or list of [int, int]
        What is right, where that is not to be computed: a number, heights of bars, or places, each [layer, head] or
        [query, key], of which several may be right.
    locked : sequence of str
        Controls that cannot be moved: names of traits, "size" for the number of tokens and their width, "scene" for the
        menus of a Playground, or "all".
    reveal : str
        Said after the guess.
    tolerance : float
        How far a number may be off and still be right; of bars, each of them.

    Raises
    ------
    TypeError, ValueError
        When something is of another kind, or not known.

    Examples
    --------
    >>> lesson = aw.Lesson("How much does the second key get?", predict="weights[0, 1]", locked=["key", "value"])
    >>> aw.Playground("temperature", lesson=lesson)
    >>> aw.explore(text, lesson=aw.Lesson("Which head looks at the previous word?", predict="previous"))
    """

    prompt: str
    predict: str = ""
    answer: Any = None
    locked: Sequence[str] = ()
    reveal: str = ""
    tolerance: float = 0.05
    prediction: Prediction | None = field(init=False)

    def __post_init__(self) -> None:
        for name in ("prompt", "predict", "reveal"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise TypeError(f"{name} is {type(value).__name__}; expected a string.")
        if not self.prompt.strip():
            raise ValueError("prompt is empty; expected the question that is asked.")
        several = isinstance(self.locked, Iterable) and not isinstance(self.locked, str)
        if not several or not all(isinstance(name, str) for name in self.locked):
            raise TypeError(f"locked={self.locked!r}; expected a list of names, as ['key', 'value'].")
        if not _is_number(self.tolerance) or self.tolerance < 0:
            raise ValueError(f"tolerance={self.tolerance!r}; expected a number of 0 or more.")
        object.__setattr__(self, "tolerance", float(self.tolerance))
        object.__setattr__(self, "locked", tuple(self.locked))
        object.__setattr__(self, "prediction", _read(self.predict))
        object.__setattr__(self, "answer", _right(self.answer, self.prediction))

    def told(self, **more: Any) -> dict[str, Any]:
        """What the browser is told of it.

        Parameters
        ----------
        **more
            What only the widget knows.
        """
        asked = self.prediction
        return {
            "prompt": self.prompt,
            "predict": None if asked is None else {name: value for name, value in vars(asked).items() if value != ""},
            "what": self.predict,
            "answer": self.answer,
            "locked": list(self.locked),
            "reveal": self.reveal,
            "tolerance": self.tolerance,
            **more,
        }


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


def _is_place(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(at) is int and at >= 0 for at in value)


def _are_all(kind: Callable[[Any], bool], value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(map(kind, value))


def _right(answer: Any, asked: Prediction | None) -> Any:
    """The answer that was given, as the browser takes it; None where it is to be computed."""
    if answer is None:
        return None
    if asked is None:
        raise ValueError(f"answer={answer!r} came, and nothing is asked; say what is guessed by predict=.")
    with suppress(AttributeError):
        answer = answer.tolist()
    if isinstance(answer, Sequence) and not isinstance(answer, str):
        answer = [list(one) if isinstance(one, tuple) else one for one in answer]
    if asked.kind == "number":
        fits, expected = _is_number(answer), "a number, as 0.25"
    elif asked.kind == "bars":
        fits, expected = _are_all(_is_number, answer), "a list of numbers, one a key"
    else:
        fits, expected = _is_place(answer) or _are_all(_is_place, answer), "places, as [[0, 1]]"
    if not fits:
        raise ValueError(f"answer={answer!r} is none that can be guessed; expected {expected}.")
    return answer


def _read(predict: str) -> Prediction | None:
    """What is guessed, from its name."""
    text = predict.strip()
    if not text:
        return None
    if "[" not in text:
        return Prediction("head", measure=text)
    found = _CELL.fullmatch(text)
    if found is None or found["step"] not in STEPS:
        raise ValueError(
            f"predict={predict!r} cannot be read; expected a step with its place, as 'weights[0, 1]', 'weights[0]' or "
            f"'largest weights[0]' (the steps are {', '.join(STEPS)}), or the name of a measure, as 'previous'."
        )
    step, row = found["step"], int(found["row"])
    column = None if found["column"] is None else int(found["column"])
    if found["largest"]:
        kind = "cell"
    elif column is not None or step == "entropy":
        kind = "number"
    else:
        kind = "bars"
    wrong = {
        "cell": step == "entropy" or column is not None,
        "number": step == "entropy" and column is not None,
        "bars": step != "weights",
    }[kind]
    if wrong:
        raise ValueError(
            f"predict={predict!r} is no {kind} that can be guessed; expected a number, as 'output[0, 0]' or "
            "'entropy[0]', bars of a row of weights, as 'weights[0]', or the largest of a row, as 'largest weights[0]'."
        )
    return Prediction(kind, step, row, column)
