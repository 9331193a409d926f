"""Parts: which calls of a pass belong together, and what they are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from attnwidget.capturing.calls import Call
from attnwidget.capturing.passes import Pass, StackKey
from attnwidget.capturing.places import side_of
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.weighed import Weights

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


def parts_of(recorded: Pass, *, pair: bool) -> list[Part]:
    """The calls of a pass by what they attend to."""
    kinds: dict[tuple[str, str, bool, int], list[Call]] = {}
    again: set[str] = set()
    for call in recorded.calls:
        place = call.place
        if place.turn and _is_repeated(call, recorded.calls):
            again.add(place.stack)
            continue
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
    for name, calls in _by_size({names[kind]: calls for kind, calls in split.items()}):
        part = Part(name, calls)
        if any(
            (call.place.stack, call.place.tail, call.place.crossing, call.place.turn) in recorded.guessed
            for call in calls
        ):
            part.notes.append(
                "Whether it attends to itself or across was told by the names of its modules alone: "
                f"{calls[0].place.module}."
            )
        if any(isinstance(call, Weights) and call.changed for call in calls):
            part.notes.append(
                "What weighs the values is not what came out of the softmax: it was changed in between, as by a mask, "
                "a gate or another softmax. Shown is what the values were multiplied with."
            )
        if calls[0].place.stack in again:
            part.notes.append(
                "Its layers attend several times with the same queries and keys, to other values: these are one map."
            )
        parts.append(part)
    return parts


def _is_repeated(call: Call, calls: Sequence[Call]) -> bool:
    """Whether a module had attended with the same queries and keys before."""
    first = next((one for one in calls if one.place.module == call.place.module and one.place.turn == 0), None)
    if not isinstance(call, Projections) or not isinstance(first, Projections):
        return False
    if call.query.shape != first.query.shape or call.key.shape != first.key.shape:
        return False
    return torch.equal(call.query, first.query) and torch.equal(call.key, first.key)


def _by_size(named: Mapping[str, Sequence[Call]]) -> Iterator[tuple[str, list[Call]]]:
    """Layers of one size are a map; a stack that pools on its way, or looks back less far in some, is several."""
    for name, calls in named.items():
        sizes: dict[tuple[int, int, int], list[Call]] = {}
        for call in calls:
            sizes.setdefault((call.n_queries, call.n_keys, call.batch), []).append(call)
        for (n_queries, n_keys, batch), own in sizes.items():
            size = f"{n_queries} x {n_keys}"
            again = sum(other[:2] == (n_queries, n_keys) for other in sizes) > 1
            yield (name if len(sizes) == 1 else f"{name} {size} ({batch})" if again else f"{name} {size}"), own


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
