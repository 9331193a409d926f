"""Relations: whether a call attends across, and whether it goes on from an earlier call of its module."""

from __future__ import annotations

from collections.abc import Collection

from torch import nn

from attnwidget.capturing.lineage import Lineage, Node
from attnwidget.capturing.listening import Heard
from attnwidget.capturing.places import Places

__all__ = ["Turns", "attends_across"]


def attends_across(heard: Heard, wholes: Collection[nn.Module]) -> bool | None:
    """Whether keys come from another sequence than queries, by what the layer was handed; None if not known."""
    if heard.queries is None:
        return None
    if heard.keys is None:
        return True  # keys that were there before the pass, with none of its own among them
    inner = heard.running[-1]
    prefix = Places.layer_prefix(inner.name)
    levels = [one for one in heard.running if one.name.startswith(prefix)]
    outside = heard.running[: -len(levels)] if levels else heard.running
    if prefix == inner.name and outside and outside[-1].module not in wholes:
        levels = [outside[-1], *levels]  # nothing is counted here: the module around it
    told = False
    for one in reversed(levels):
        queries = Lineage.sources(heard.queries, one.since)
        keys = Lineage.sources(heard.keys, one.since)
        if queries & keys:
            return False
        told = told or bool(queries or keys)
    if levels and heard.keys.order <= levels[0].since:
        # The keys were there before the layer: some layers look at those of others.
        return not (Lineage.roots(heard.queries) & Lineage.roots(heard.keys))
    return True if told else None


class Turns:
    """How often each module of a pass has run, and for what."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bool], int] = {}

    def of(self, name: str, crossing: bool, queries: Node | None) -> tuple[int, bool]:
        """How often a module ran before for something else, and whether it goes on from its own last call."""
        before = self._known.get((name, crossing))
        # One module for several layers goes on from its own last call; called for something else, it does not.
        goes_on = before is not None and any(
            node.kind == "attention" and node.what == name for node in Lineage.behind(queries)
        )
        turn = 0 if before is None else before if goes_on else before + 1
        self._known[name, crossing] = turn
        return turn, goes_on
