"""Storing: a survey as arrays and plain words, from which nothing is executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnwidget.files import beside
from attnwidget.surveying.between import Between
from attnwidget.surveying.extremes import Extremes
from attnwidget.surveying.moments import Moments
from attnwidget.surveying.sketches import Sketches
from attnwidget.surveying.tally import Left, Skipped, Tally
from attnwidget.surveying.working import Result, Shape

__all__ = ["State", "read", "write"]

FORMAT = 1


@dataclass
class State:
    """What is done of a survey.

    Attributes
    ----------
    tally : Tally or None
        What was found.
    shape : Shape or None
        Of the model.
    left : Left
        What was left out.
    done : dict of int to str
        Chunks that are in it, each with that by which its rows are known.
    whole : bool
        Whether all of the data is in it.
    """

    tally: Tally | None = None
    shape: Shape | None = None
    left: Left = field(default_factory=Left)
    done: dict[int, str] = field(default_factory=dict)
    whole: bool = False

    def add(self, result: Result) -> None:
        """Put a chunk to the others.

        Raises
        ------
        ValueError
            When it comes of a model of other layers or heads.
        """
        if self.shape is not None and result.shape is not None and result.shape != self.shape:
            raise ValueError(f"the model has layers and heads {result.shape}, and before it had {self.shape}.")
        self.shape = self.shape or result.shape
        if result.tally is not None:
            self.tally = result.tally if self.tally is None else self.tally + result.tally
        self.left = self.left + result.left
        self.done[result.number] = result.digest


def write(path: Path, state: State, measures: tuple[str, ...]) -> None:
    """Write a file whole, or leave the one before as it was."""
    from safetensors.numpy import save_file

    held: dict[str, NDArray[Any]] = {}
    head: dict[str, Any] = {
        "format": FORMAT,
        "measures": measures,
        "done": state.done,
        "whole": state.whole,
        "skipped": [[one.number, one.reason] for one in state.left.skipped],
        "n_skipped": state.left.n_skipped,
        "n_cut": state.left.n_cut,
    }
    if state.shape is not None:
        head |= {"layer_numbers": state.shape.layer_numbers, "heads": state.shape.heads}
    tally = state.tally
    if tally is not None:
        parts: dict[str, Moments | Sketches | Extremes] = {"moments": tally.moments}
        parts |= {"sketches": tally.sketches, "extremes": tally.extremes}
        for number, moments in enumerate(tally.groups.values()):
            parts[f"group{number}"] = moments
        held = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.arrays().items()}
        head |= {"count": tally.count, "texts": dict(tally.texts), "groups": list(tally.groups)}
        if tally.between is not None:
            head["labels"] = tally.between.labels
            held |= {f"between.{name}": getattr(tally.between, name) for name in ("masses", "chances", "count")}
        held["broken"] = tally.broken
    # Not in the file's own header, whose size is bounded: texts may be long.
    held["head"] = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    with beside(path) as unfinished:
        save_file({name: np.ascontiguousarray(value) for name, value in held.items()}, unfinished)


def read(path: Path) -> tuple[State, tuple[str, ...]]:
    """What `write` wrote, and the names of its measures.

    Raises
    ------
    ValueError
        When the file is something else, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        head = json.loads(held["head"].tobytes())
        if head["format"] != FORMAT:
            raise ValueError(f"it has format {head['format']!r}, and this version of attnwidget reads {FORMAT}")  # noqa: TRY301
        return _state(head, held), tuple(map(str, head["measures"]))
    except (SafetensorError, KeyError, ValueError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is no survey that can be read: {error}.") from error


def _state(head: Mapping[str, Any], held: Mapping[str, NDArray[Any]]) -> State:
    left = Left(
        tuple(Skipped(int(number), str(reason)) for number, reason in head["skipped"]),
        int(head["n_skipped"]),
        int(head["n_cut"]),
    )
    done = {int(number): str(digest) for number, digest in head["done"].items()}
    if "count" not in head:
        return State(left=left, done=done, whole=bool(head["whole"]))
    shape = Shape(tuple(map(int, head["layer_numbers"])), tuple(map(int, head["heads"])))
    cells = (len(shape.layer_numbers), max(shape.heads), len(head["measures"]))

    def of(name: str) -> dict[str, NDArray[Any]]:
        return {key.removeprefix(f"{name}."): value for key, value in held.items() if key.startswith(f"{name}.")}

    moments, extremes = Moments(**of("moments")), Extremes(**of("extremes"))
    sketches = Sketches.of_arrays(of("sketches"))
    groups = {name: Moments(**of(f"group{number}")) for number, name in enumerate(head["groups"])}
    shapes = [value.shape for one in (moments, *groups.values()) for value in one.arrays().values()]
    shapes += [value.shape[1:-1] for value in extremes.arrays().values()] + [sketches.counts.shape[:-1]]
    if held["broken"].shape != cells[:2] or len(shape.heads) != cells[0] or any(one != cells for one in shapes):
        raise ValueError(f"its arrays are not all of {list(cells)}, layers, heads and measures")
    texts = {int(known): str(text) for known, text in head["texts"].items()}
    sides = {(value.shape[0], value.shape[-1]) for value in extremes.arrays().values()}
    if len(sides) != 1 or next(iter(sides))[0] != 2 or not extremes.texts() <= set(texts):
        raise ValueError("its examples are not all there")
    between = None
    if "labels" in head:
        labels = tuple(map(str, head["labels"]))
        between = Between(labels, **of("between"))
        size = (*cells[:2], len(labels), len(labels))
        if any(getattr(between, name).shape != size for name in ("masses", "chances", "count")):
            raise ValueError(f"its masses between labels are not all of {list(size)}")
    tally = Tally(int(head["count"]), moments, sketches, extremes, texts, held["broken"], groups, between)
    return State(tally, shape, left, done, bool(head["whole"]))
