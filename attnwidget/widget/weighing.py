"""Weighing: what a cell of the map says: its weight, that times the size of its value, or its effect on a token."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import traitlets as t

from attnwidget.effects.direct import Effects
from attnwidget.effects.split import SplitEffects
from attnwidget.lenses import value_weighted
from attnwidget.lenses.lensed import lensed
from attnwidget.lenses.weighted import TimesFactors
from attnwidget.maps import AttentionMaps
from attnwidget.values import values_of
from attnwidget.widget.answers.runs import Runs
from attnwidget.widget.applying import GENERATED, REPLACED, SEVERAL, Applying
from attnwidget.widget.newest import Newest
from attnwidget.widget.subject import Withdrawn
from attnwidget.widget.telling import as_text

__all__ = ["Weighing"]

WORDS = 6  # that a head promotes and suppresses, of each
NO_VALUES = (
    "These maps came without values: make the view from a text and a model, explore(text, model=...), or of "
    "capture(..., values=True)."
)
NO_MODEL = "An effect on a token needs the model: make the view from a text and a model, explore(text, model=...)."
OTHERWISE = {
    SEVERAL: "Values and effects are found in models with one kind of attention, and this one has several.",
    GENERATED: "This text was generated: explore it as a text of its own for its values and effects.",
    REPLACED: "These maps were shown in the place of what the model read: make a view of that text for its effects.",
}
WHILE_APPLIED = "Weights are shown while changes are applied to the model: turn that off first."


class Wish(NamedTuple):
    """What cells are to say, and of which token."""

    weighing: str
    target: str
    versus: str
    position: int


class Weighing(Applying):
    """A view whose cells can say more than weights: `Explorer` says what its traits mean."""

    weighing = t.Enum(["weight", "value", "effect"], "weight").tag(sync=True)
    target = t.Unicode().tag(sync=True)
    versus = t.Unicode().tag(sync=True)
    weighed = t.Dict(read_only=True).tag(sync=True, to_json=as_text)

    measure: Any
    sort: Any
    compared: Any
    _weigher: Newest
    _wish: Wish | None = None
    _effects: Effects | None = None
    _valued: Mapping[str, AttentionMaps] | None = None
    _badged: tuple[str, str, str] | None = None

    def _tell_weighing(self) -> None:
        """Say what cells can say of these maps, and why not."""
        layers = [layer for maps in self._as_it_is.values() for layer in maps.layers]
        held = bool(layers) and all(values_of(layer) is not None for layer in layers)
        without = OTHERWISE.get(self.outcome.get("needs", ""))
        needs = {
            "value": None if held or self._subject else without or NO_VALUES,
            "effect": None if self._subject else without or NO_MODEL,
        }
        self.set_trait("weighed", {"state": "idle", "needs": needs})

    def _leave(self, why: str, maps: Mapping[str, AttentionMaps]) -> None:
        with self._changing:
            self._weigher.withdraw()
            self._wish = self._effects = self._valued = self._badged = None
            self.weighing = "weight"
        super()._leave(why, maps)
        self._tell_weighing()

    @t.validate("weighing")
    def _valid_weighing(self, proposal: Any) -> str:
        chosen = str(proposal["value"])
        if chosen != "weight" and self._shown.maps:
            why = WHILE_APPLIED if self.applied else self.weighed.get("needs", {}).get(chosen)
            if why:
                raise t.TraitError(f"weighing={chosen!r}: {why}")
        return chosen

    @t.observe("applied")
    def _weights_alone(self, _change: Any) -> None:
        if self.applied:
            self.weighing = "weight"

    @t.observe("weighing", "target", "versus", "query", "map")
    def _weigh_again(self, _change: Any) -> None:
        if self._own_layout is None or not self._shown.maps:  # it is being made, or closed
            return
        if self.weighing == "weight":
            if self._wish is not None:
                with self._changing, self.hold_sync():
                    self._weigher.withdraw()
                    self._wish = self._effects = None
                    self._show_in_place(dict(self._as_it_is))
                    self._take_badge_off()
                    self._tell_weighing()
            return
        wish = Wish(self.weighing, self.target, self.versus, self._position())
        if self.weighing == "value":
            wish = Wish("value", "", "", 0)
        if wish != self._wish:
            self._wish = wish
            self._weigher.ask(wish)

    @t.observe("layer", "head")
    def _promote_of_chosen(self, _change: Any) -> None:
        if self._effects is not None:
            self.set_trait("weighed", {**self.weighed, "promoted": self._promoted(self._effects)})

    def _position(self) -> int:
        """Whose next token an effect is on: the pinned query's, by its place in the text, else the last one's."""
        maps = self._shown.maps.get(self.map)
        return -1 if self.query is None or maps is None else maps.tokens.begins[self.query]

    def _weigh(self, wish: Wish, stale: Callable[[], bool]) -> None:
        """Find what cells are to say, and show it, unless nobody waits for that any more."""
        subject = self._subject
        self._told({**self.weighed, "state": "running"}, stale)
        effects: Effects | None = None
        try:
            if wish.weighing == "value":
                if self._valued is None:
                    held = all(values_of(layer) for maps in self._as_it_is.values() for layer in maps.layers)
                    self._valued = dict(self._as_it_is) if held or subject is None else subject.valued(stale)
                heads = {name: value_weighted(maps) for name, maps in self._valued.items()}
            elif subject is not None:
                effects = subject.effects(wish.target, wish.versus, wish.position, stale)
                heads = _signed(effects, next(iter(self._as_it_is)))
                self._check_whole(effects)
            else:
                return
        except Withdrawn:
            return
        except Exception as error:  # noqa: BLE001 - whatever it was, the view must say so
            with self._changing:
                self._wish = None
            self._told({**self.weighed, "state": "error", "why": f"{error}"}, stale)
            return
        with self._changing, self.hold_sync():
            if not stale() and self._shown.maps:
                self._effects = effects
                chosen = self._badged or (self.measure, self.sort, self.compared)
                self._show_in_place(heads, None if effects is None else {_badge(effects): effects.heads.numpy()})
                self._badge(effects, chosen)
                told = {"state": "done", "needs": self.weighed.get("needs", {})}
                self.set_trait("weighed", told | ({} if effects is None else self._said(effects)))

    def _check_whole(self, effects: Effects) -> None:
        """That effects stand on the tokens that are shown."""
        shown, found = next(iter(self._as_it_is.values())), effects.split
        if found is not None and found.maps.tokens.labels != shown.tokens.labels:
            raise ValueError("what the model reads now is not what these maps were made of: make the view again.")

    def _badge(self, effects: Effects | None, chosen: tuple[str, str, str]) -> None:
        """The grid is sorted by effect while cells say it, as the difference of its two sides."""
        if effects is None:
            self._take_badge_off()
            return
        self._badged = chosen
        self.measure, self.sort, self.compared = _badge(effects), "highest", "difference"

    def _take_badge_off(self) -> None:
        if self._badged is not None:
            measure, self.sort, self.compared = self._badged
            self.measure = measure if measure in self._shown.measures else ""
            self._badged = None

    def _said(self, effects: Effects) -> dict[str, Any]:
        return {
            "target": effects.target,
            "versus": effects.against,
            "position": effects.position,
            "logit": effects.logit,
            "candidates": effects.likely,
            "caveat": effects.caveat,
            "promoted": self._promoted(effects),
        }

    def _promoted(self, effects: Effects) -> dict[str, Any] | None:
        """Words that the chosen head makes likelier and less likely, at the position."""
        if self.map in self._shown.derived or not self.layer < len(effects.heads):
            return None
        if not self.head < effects.heads.shape[1] or math.isnan(float(effects.heads[self.layer, self.head])):
            return None
        more, less = effects.promoted(self.layer, self.head, WORDS)
        return {"layer": self.layer, "head": self.head, "more": more, "less": less}

    def _told(self, told: Mapping[str, Any], stale: Callable[[], bool]) -> None:
        with self._changing:
            if not stale():
                self.set_trait("weighed", dict(told))


def _badge(effects: Effects) -> str:
    return f"effect on {effects.target!r}" + (f" against {effects.against!r}" if effects.against else "")


def _signed(effects: Effects, part: str) -> Runs:
    """What speaks for a token and what speaks against it, as two runs whose difference is the effect."""
    if effects.target == effects.against:
        raise ValueError(f"{effects.target!r} is held against itself, and nothing is left; choose two tokens.")
    split = effects.split
    if split is None:
        raise ValueError("the values of this model are not seen, so that no effect can be split by where it is from.")
    unit = _unit(split)
    against = f"against {effects.target!r}" if not effects.against else f"for {effects.against!r}"
    note = "Weights times what the value of each key adds to the logit, with the norms behind it held as they were."
    sides = []
    for sign in (-1, 1):
        layers = [
            TimesFactors(layer, (of_keys * sign / unit).clamp(min=0), of_queries.abs())
            for layer, of_keys, of_queries in zip(split.maps.layers, split.of_keys, split.of_queries, strict=True)
        ]
        sides.append(lensed(split.maps, layers, split.maps.tokens, split.maps.key_tokens, [note, effects.caveat]))
    return Runs((against, f"for {effects.target!r}"), {part: (sides[0], sides[1])}, unit=unit)


def _unit(split: SplitEffects) -> float:
    """A power of ten that no row of any head sums to more than."""
    most = max(split.largest(layer) for layer in range(split.maps.n_layers))
    return 10.0 ** max(0, math.ceil(math.log10(most))) if 0 < most < math.inf else 1.0
