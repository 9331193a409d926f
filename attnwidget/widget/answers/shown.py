"""Shown: what questions are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from torch import Tensor

from attnwidget.lenses import CHOSEN, derived_by_name, derived_name, mean_of_chosen
from attnwidget.maps import AttentionMaps
from attnwidget.widget.answers.measuring import Measuring, own_measures
from attnwidget.widget.answers.runs import Run, Runs

__all__ = ["Shown"]


@dataclass(frozen=True)
class Shown:
    """Maps by name, with those that are derived from them. Other maps are another Shown: a question sees one.

    Parameters
    ----------
    version : int
        Tells the maps from those before and after them: the same text with other weights has another one.
    maps : mapping of str to AttentionMaps
        All that can be chosen.
    measuring : mapping of str to Measuring
        The numbers of those that have heads of their own.
    derived : mapping of str to tuple of str
        Of the others, what they are and what they were derived from.
    lenses : mapping of str to list of dict
        What those that have heads of their own are seen through: ``{"kind", "count"}`` each, "names" of spans, and
        "learned" where sinks are.
    chosen : tuple of str and tuple of pairs of int
        Which heads (layer, head) of which maps have a mean of their own; none where these are fewer than two.
    runs : mapping of str to Run
        Where two runs are compared, of which of them all these maps are.
    unit : float or None
        Where they are effects, what 1 stands for in all of them, in logits.
    strips : mapping of str to dict
        What stands along the keys of those that have heads of their own: "name", "values", and whether they are
        "signed".
    """

    version: int = 0
    maps: Mapping[str, AttentionMaps] = field(default_factory=dict)
    measuring: Mapping[str, Measuring] = field(default_factory=dict)
    derived: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    lenses: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    chosen: tuple[str, tuple[tuple[int, int], ...]] = ("", ())
    runs: Mapping[str, Run] = field(default_factory=dict)
    unit: float | None = None
    strips: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        heads: dict[str, AttentionMaps],
        measures: Mapping[str, Any] | None = None,
        version: int = 1,
        lenses: Mapping[str, list[dict[str, Any]]] | None = None,
        two: Runs | None = None,
        *,
        strips: Mapping[str, dict[str, Any]] | None = None,
        agreeing: Mapping[str, Mapping[str, Tensor]] | None = None,
    ) -> Self:
        """What is shown of some maps, with measures of one's own for every head of the first, and of agreement.

        Of two runs it also says which maps belong together, and how much each head changed.

        Raises
        ------
        TypeError, ValueError
            When the measures do not fit the maps.
        """
        first = next(iter(heads))
        own = own_measures(measures or {}, heads[first])
        agreeing = agreeing or {}
        derived = derived_by_name(heads)
        runs, unit = (two.place, two.unit) if two is not None else ({}, None)
        return cls(
            version,
            heads | {name: maps for name, (maps, _, _) in derived.items()},
            {
                name: Measuring(
                    maps,
                    own if name == first else {},
                    _other(name, heads, runs),
                    shares=unit is None,
                    agreeing=agreeing.get(name),
                )
                for name, maps in heads.items()
            },
            {name: (kind, source) for name, (_, kind, source) in derived.items()},
            lenses or {},
            runs=_places(runs, derived),
            unit=unit,
            strips=strips or {},
        )

    def choosing(self, source: str, heads: Sequence[Sequence[int]]) -> Self:
        """The next version, with the mean of some heads of maps; itself where that is what it has."""
        pairs = tuple((layer, head) for layer, head in heads)
        chosen = (source, pairs) if len(pairs) > 1 else ("", ())
        if chosen == self.chosen:
            return self
        mean = self.mean_of_chosen
        maps = {name: one for name, one in self.maps.items() if name != mean}
        derived = {name: one for name, one in self.derived.items() if name != mean}
        runs = {name: one for name, one in self.runs.items() if name != mean}
        name = derived_name(CHOSEN, source, self.measuring)
        if len(pairs) > 1:
            maps[name] = mean_of_chosen(maps[source], pairs)
            derived[name] = (CHOSEN, source)
            runs |= {name: Run(runs[source].run, CHOSEN)} if source in runs else {}
        return replace(self, version=self.version + 1, maps=maps, derived=derived, chosen=chosen, runs=runs)

    @property
    def mean_of_chosen(self) -> str | None:
        """Name of the mean of the chosen heads; None where fewer than two are chosen."""
        return derived_name(CHOSEN, self.chosen[0], self.measuring) if self.chosen[0] else None

    def source(self, name: str) -> str:
        """Name of the maps with heads that are called so, or that these are derived from; the first for any other."""
        if name in self.derived:
            return self.derived[name][1]
        if name in self.measuring:
            return name
        # The mean of heads that are about to be chosen.
        means = (source for source in self.measuring if name == derived_name(CHOSEN, source, self.measuring))
        return next(means, next(iter(self.measuring)))

    def named(self, name: str) -> AttentionMaps:
        """The maps of a name; ValueError where there are none."""
        if name not in self.maps:
            raise ValueError(f"there are no maps called {name!r}; there are {', '.join(self.maps)}.")
        return self.maps[name]

    def measured(self, name: str) -> Measuring:
        """The numbers of the maps of a name; ValueError where there are none."""
        self.named(name)
        if name not in self.measuring:
            raise ValueError(f"the maps called {name!r} are derived from others, and have no heads to measure.")
        return self.measuring[name]

    def behind(self, name: str) -> Measuring:
        """The numbers of the maps of a name, or of those that they were derived from."""
        self.named(name)
        return self.measured(self.source(name))

    @property
    def measures(self) -> set[str]:
        """Names of all that can be measured."""
        return {fact["name"] for measuring in self.measuring.values() for fact in measuring.facts()}


def _other(name: str, heads: Mapping[str, AttentionMaps], runs: Mapping[str, Run]) -> AttentionMaps | None:
    """The same part of the other run, where that stands on the same tokens."""
    if name not in runs:
        return None
    found = next(heads[one] for one, at in runs.items() if at.part == runs[name].part and at.run != runs[name].run)
    alike = (found.tokens.labels, found.key_tokens.labels) == (heads[name].tokens.labels, heads[name].key_tokens.labels)
    return found if alike else None


def _places(runs: Mapping[str, Run], derived: Mapping[str, tuple[AttentionMaps, str, str]]) -> dict[str, Run]:
    """Of which run all maps are, what was made of them included."""
    several = len({place.part for place in runs.values()}) > 1
    places = dict(runs)
    for name, (_, kind, source) in derived.items():
        if source in runs:
            run, part = runs[source]
            places[name] = Run(run, f"{part}: {kind}" if several else kind)
    return places
