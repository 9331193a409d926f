"""Parts: which calls of a pass belong together, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from attnwidget.capturing.calls import Call, Projections
from attnwidget.capturing.passes import Pass, StackKey
from attnwidget.capturing.places import side_of

__all__ = ["Part", "parts_of"]


@dataclass
class Part:
    """The calls of one stack of layers that attend to one thing: what becomes one map.

    Parameters
    ----------
    name : str
        "attention", or "encoder", "decoder" and "cross", or after the modules.
    calls : list of Call
        One a layer.
    notes : list of str
        What a reader should know.
    """

    name: str
    calls: list[Call]
    notes: list[str] = field(default_factory=list)

    @property
    def key(self) -> StackKey:
        """What the pass knows it by."""
        place = self.calls[0].place
        return place.stack, place.tail, place.crossing, place.turn

    @property
    def crossing(self) -> bool:
        """Whether its keys come from elsewhere than its queries."""
        return self.calls[0].place.crossing

    @property
    def batch(self) -> int:
        """Examples, or pieces of them."""
        return self.calls[0].batch

    def why_not(self) -> str:
        """Why these calls are no map, or nothing."""
        sizes = [size for size, _ in groupby((call.n_queries, call.n_keys) for call in self.calls)]
        if len(sizes) > 1:
            one, other = sizes[:2]
            return (
                f"its layers attend over {one[0]} x {one[1]} and {other[0]} x {other[1]} queries and keys, and maps of "
                "one stack have one size"
            )
        batches = {call.batch for call in self.calls}
        if len(batches) > 1:
            return (
                f"its layers attend within {' and '.join(map(str, sorted(batches)))} pieces of the input, so that "
                "their maps cover windows and not the whole"
            )
        return ""


def parts_of(recorded: Pass, *, pair: bool) -> list[Part]:
    """The calls of a pass by what they attend to."""
    kinds: dict[tuple[str, str, bool, int], list[Call]] = {}
    for call in recorded.calls:
        place = call.place
        kinds.setdefault((place.stack, "", place.crossing, place.turn), []).append(call)
    split: dict[tuple[str, str, bool, int], list[Call]] = {}
    for (stack, _, crossing, turn), calls in kinds.items():
        numbers = [call.place.layer for call in calls]
        if len(set(numbers)) == len(numbers):
            split[stack, "", crossing, turn] = calls
            continue
        # Several modules of a layer attend to the same: each kind of module is a part of its own.
        for call in calls:
            split.setdefault((stack, call.place.tail, crossing, turn), []).append(call)
    names = _names(list(split), pair=pair)
    parts = []
    for kind, calls in split.items():
        part = Part(names[kind], calls)
        if any(
            (call.place.stack, call.place.tail, call.place.crossing, call.place.turn) in recorded.guessed
            for call in calls
        ):
            part.notes.append(
                "Whether it attends to itself or across was told by the names of its modules alone: "
                f"{calls[0].place.module}."
            )
        part.notes += _notes(calls)
        parts.append(part)
    return parts


def _notes(calls: Sequence[Call]) -> list[str]:
    known = [call for call in calls if isinstance(call, Projections)]
    notes = []
    if any(call.position_bias is not None and call.position_bias.any() for call in known):
        notes.append("This model adds a position bias to its scores; temperature and scaling act on the sum.")
    if any(call.softcap is not None for call in known):
        notes.append("This model caps its scores; temperature and scaling act on the capped scores.")
    if any(call.sinks is not None for call in known):
        notes.append("Part of each row goes to a learned sink that is no token: rows sum to less than 1.")
    return notes


def _names(kinds: list[tuple[str, str, bool, int]], *, pair: bool) -> dict[tuple[str, str, bool, int], str]:
    own = list(dict.fromkeys(stack for stack, _, crossing, _ in kinds if not crossing))
    names: dict[tuple[str, str, bool, int], str] = {}
    for kind in kinds:
        stack, tail, crossing, turn = kind
        path = stack.split(".")
        if tail:
            name = tail.replace("*.", "")
        elif (crossing and any(not other[2] and other[0] == stack for other in kinds)) or (crossing and pair):
            name = "cross"
        elif pair and (side := side_of(stack)):
            name = side
        elif len(own) == 1 and not crossing:
            name = "attention"
        elif not own and len(kinds) == 1:
            name = "cross"
        else:
            name = next((part for i, part in enumerate(path) if _differs([s for s, *_ in kinds], i)), stack)
        if turn:
            name = f"{name} ({turn + 1})"
        names[kind] = name if name and name not in names.values() else f"{name} ({stack})".strip()
    return names


def _differs(stacks: list[str], i: int) -> bool:
    parts = [stack.split(".") for stack in stacks]
    return len({p[i] if i < len(p) else None for p in parts}) > 1
