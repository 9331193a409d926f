"""Applying: what is changed in an Explorer is done to the model itself, which is run again."""

from __future__ import annotations

import operator
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import traitlets as t

from attnwidget.lenses import derived_name
from attnwidget.maps import AttentionMaps
from attnwidget.widget.answers import Shown
from attnwidget.widget.answers.runs import Runs
from attnwidget.widget.holding import Place
from attnwidget.widget.newest import Newest
from attnwidget.widget.numbers import Number
from attnwidget.widget.reference import Comparing
from attnwidget.widget.selecting import Selecting
from attnwidget.widget.several import Heads, chosen_heads
from attnwidget.widget.subject import Change, Passed, Subject, Withdrawn
from attnwidget.widget.telling import as_text

__all__ = ["AS_IT_IS", "CHANGED", "GENERATED", "REPLACED", "Applying", "unapplied"]

AS_IT_IS, CHANGED = "as it is", "changed"
WITHOUT = (
    "Applying runs the model again, and these maps came without one: make the view from a text and a model, "
    "explore(text, model=...)."
)
GENERATED = "Applying runs the model once on a text, and this text was generated: explore it as a text of its own."
SEVERAL = "Applying changes models with one kind of attention, and this one has several."
REPLACED = "Applying runs the model again, and these maps were shown in the place of what it read."


class Applying(Selecting, Comparing):
    """A view whose changes can be done to the model: `Explorer` says what its traits mean."""

    applied = t.Bool(False).tag(sync=True)
    off = Heads().tag(sync=True)
    cuts = Heads().tag(sync=True)
    tempered = Heads().tag(sync=True)
    outcome = t.Dict(read_only=True).tag(sync=True, to_json=as_text)

    _changing: threading.RLock
    _newest: Newest
    _subject: Subject | None = None
    _as_it_is: Mapping[str, AttentionMaps] = {}
    _before: Passed | None = None
    _wanted: list[Change] | None = None
    _against: Any = None

    def _run_of(self, subject: Subject | str | None, maps: Mapping[str, AttentionMaps]) -> None:
        """What is run again, or why nothing is."""
        several = isinstance(subject, Subject) and len(maps) > 1
        self._subject = subject if isinstance(subject, Subject) and not several else None
        self._as_it_is = maps
        needs = SEVERAL if several else subject if isinstance(subject, str) else WITHOUT
        self.set_trait("outcome", {"state": "idle"} if self._subject else {"state": "idle", "needs": needs})

    def _leave(self, why: str, maps: Mapping[str, AttentionMaps]) -> None:
        """Run nothing any more: other maps are not what the model read."""
        with self._changing:
            self._newest.withdraw()
            had, self._subject = self._subject, None
            self._wanted, self._before, self._as_it_is = None, None, maps
            self.applied, self.off, self.cuts, self.tempered = False, [], [], []
            if had is not None:
                self.set_trait("outcome", {"state": "idle", "needs": why})

    def _handle_msg(self, msg: Any) -> None:
        """What the browser says is not heard in the middle of a change."""
        with self._changing:
            super()._handle_msg(msg)

    def _place(self, choices: Mapping[str, Any]) -> Place:
        """What is applied is in the weights already."""
        sharp = {"temperature": 1.0, "scaling": 1.0} if choices.get("applied") else {}
        return super()._place({**choices, **sharp})

    @t.validate("applied")
    def _valid_applied(self, proposal: Any) -> bool:
        if proposal["value"] and self._subject is None and self._shown.maps:
            raise t.TraitError(f"applied=True: {self.outcome.get('needs', WITHOUT)}")
        return bool(proposal["value"])

    @t.validate("off")
    def _valid_off(self, proposal: Any) -> list[list[int]]:
        return chosen_heads(proposal["value"], self._read, "off") if self._shown.maps else []

    @t.validate("cuts")
    def _valid_cuts(self, proposal: Any) -> list[list[Any]]:
        return _each(proposal["value"], self._cut) if self._shown.maps else []

    @t.validate("tempered")
    def _valid_tempered(self, proposal: Any) -> list[list[Any]]:
        return _each(proposal["value"], self._sharpened) if self._shown.maps else []

    @property
    def _read(self) -> AttentionMaps:
        """The maps of the text as it came."""
        return next(iter((self._as_it_is or self._given).values()))

    def _cut(self, cut: Any) -> list[Any]:
        expected = "expected [layer, head, [first query, end], [first key, end]], as [2, 0, [5, 8], [1, 4]]"
        try:
            layer, head, *sides = cut
            [[q0, q1], [k0, k1]] = [[operator.index(at) for at in side] for side in sides]
        except (TypeError, ValueError):
            raise t.TraitError(f"cuts holds {cut!r}; {expected}.") from None
        [[layer, head]] = chosen_heads([[layer, head]], self._read, "cuts")
        for axis, start, stop, size in (("queries", q0, q1, self._read.n_queries), ("keys", k0, k1, self._read.n_keys)):
            if not 0 <= start < stop <= size:
                raise t.TraitError(
                    f"cuts names {axis} {start} to {stop}; expected a first one and an end behind it, in 0 to {size}."
                )
        return [layer, head, [q0, q1], [k0, k1]]

    def _sharpened(self, one: Any) -> list[Any]:
        try:
            layer, head, temperature, scaling = one
            temperature, scaling = (Number().validate(self, number) for number in (temperature, scaling))
        except (TypeError, ValueError, t.TraitError):
            raise t.TraitError(
                f"tempered holds {one!r}; expected [layer, head, temperature, scaling], as [3, 1, 2.0, 1.0]."
            ) from None
        [[layer, head]] = chosen_heads([[layer, head]], self._read, "tempered")
        if not (0 < temperature < float("inf") and 0 <= scaling < float("inf")):
            raise t.TraitError(
                f"tempered holds temperature {temperature} and scaling {scaling}; expected a temperature above 0 and a "
                "scaling of 0 or more."
            )
        return [layer, head, temperature, scaling]

    @t.observe("temperature", "scaling", "applied")
    def _temper_chosen(self, _change: Any) -> None:
        """The sliders are those of the chosen head."""
        if not self.applied or self.map in self._shown.derived:
            return
        others = [one for one in self.tempered if one[:2] != [self.layer, self.head]]
        own = [self.layer, self.head, self.temperature, self.scaling]
        tempered = sorted(others if self.temperature == self.scaling == 1 else [*others, own])
        if tempered != self.tempered:
            self.tempered = tempered

    @t.observe("layer", "head", "tempered")
    def _turn_sliders(self, _change: Any) -> None:
        """Each head has a temperature of its own while these are applied."""
        if self.applied:
            own = (one[2:] for one in self.tempered if one[:2] == [self.layer, self.head])
            with self.hold_trait_notifications():
                self.temperature, self.scaling = next(own, (1.0, 1.0))

    @t.observe("applied", "off", "cuts", "tempered")
    def _run_again(self, _change: Any) -> None:
        if self._own_layout is None or not self._shown.maps:  # it is being made, or closed
            return
        if self.applied:
            changes = self._changes()
            if changes != self._wanted:
                self._wanted = changes
                self._newest.ask(changes)
        elif self._subject is not None:
            with self._changing, self.hold_sync():
                self._newest.withdraw()
                self._subject.forget()
                self._wanted = self._before = None
                self._show_run(None)
                self.set_trait("outcome", {"state": "idle"})

    def _changes(self) -> list[Change]:
        """What is changed, as `intervene` takes it, in the order in which it acts."""
        maps = self._read

        def own(layer: int, head: int) -> tuple[int, int]:
            return maps.layer_numbers[layer], maps.head_numbers[layer][head]

        changes: list[Change] = [
            {"heads": [own(layer, head)], "temperature": temperature, "scaling": scaling}
            for layer, head, temperature, scaling in self.tempered
            if temperature != scaling
        ]
        blocks: dict[tuple[int, int], list[tuple[slice, slice]]] = {}
        for layer, head, queries, keys in self.cuts:
            blocks.setdefault(own(layer, head), []).append((slice(*queries), slice(*keys)))
        changes += [{"heads": [head], "cut": cut} for head, cut in blocks.items()]
        return [*changes, {"heads": [own(*one) for one in self.off], "ablate": "zero"}] if self.off else changes

    def _run(self, changes: list[Change], stale: Callable[[], bool]) -> None:
        """Run the model and show what came of it, unless nobody waits for that any more."""
        subject, began = self._subject, time.perf_counter()
        if subject is None:
            return
        before, after = self._before, None
        self._tell({**self.outcome, "state": "running"}, stale)
        try:
            before = before or replace(subject.before(stale), maps={})
            after = subject.after(changes, stale) if changes else None
            told: dict[str, Any] = {"state": "done", **subject.told(before, after or before)}
        except Withdrawn:
            return
        except Exception as error:  # noqa: BLE001 - whatever it was, the view must say so
            told = {"state": "error", "why": f"{type(error).__name__}: {error}"}
        with self._changing, self.hold_sync():
            if not stale() and self._shown.maps:
                self._before = before
                if told["state"] == "error":
                    self._wanted = None
                self._show_run(after)
                self.set_trait("outcome", {**told, "ms": round(1000 * (time.perf_counter() - began))})
                self.send_state("outcome")  # numbers do not wait for what the maps bring along

    def _tell(self, outcome: Mapping[str, Any], stale: Callable[[], bool]) -> None:
        with self._changing:
            if not stale():
                self.set_trait("outcome", dict(outcome))

    def _show_run(self, after: Passed | None) -> None:
        """Show the text as it was read before and after, or before alone; all that was chosen stays."""
        pairs = {name: (maps, after.maps[name]) for name, maps in self._as_it_is.items()} if after else {}
        if self._shown.runs or pairs:
            self._show_in_place(Runs((AS_IT_IS, CHANGED), pairs) if pairs else dict(self._as_it_is))

    def _show_in_place(self, heads: dict[str, AttentionMaps], measures: Mapping[str, Any] | None = None) -> None:
        """Show other maps of the same text; all that was chosen stays, and of two runs the difference is seen."""
        was, name, at, selected = self._shown, self.map, (self.layer, self.head), self.selected
        if not was.runs:
            self._against = self.against
        lens, seen = self._fitting(heads)
        self._take(heads, self.facts["title"], measures or self._measures, seen)
        self._choose(lens)
        self.map = _named_alike(was.source(name), "", was, self._shown)
        self.selected = selected
        if name in was.derived:
            self.map = _named_alike(was.source(name), was.derived[name][0], was, self._shown)
        self.layer, self.head = at
        if isinstance(heads, Runs):
            self.against = {"map": heads.labels[0], "layer": None, "head": None}
        elif was.runs:
            self.against = self._against
        self._settle()


def _named_alike(source: str, kind: str, before: Shown, after: Shown) -> str:
    """The maps among others that are of the same part; of two runs those of the same, or of the changed one."""
    place = before.runs.get(source)
    part = place.part if place else source
    alike = [name for name, one in after.runs.items() if one.part == part]
    same = [name for name in alike if place and after.runs[name].run == place.run]
    found = next(iter([*same, *alike]), part)
    name = derived_name(kind, found, after.measuring) if kind else found
    return name if name in after.maps else next(iter(after.maps))


def unapplied(choices: Mapping[str, Any], first: str) -> dict[str, Any]:
    """Choices of a view that was applied, for one that will be: its maps are yet to be run."""
    found = dict(choices)
    if not found.get("applied"):
        return found
    for run in (AS_IT_IS, CHANGED):
        if found.get("map") == run:
            found["map"] = first
        found["map"] = str(found.get("map", first)).removeprefix(f"{run}: ")
    against = found.get("against")
    if isinstance(against, Mapping) and against.get("map") == AS_IT_IS:
        found["against"] = None
    return found


def _each(given: Any, read: Callable[[Any], list[Any]]) -> list[list[Any]]:
    """A list, each once."""
    found: list[list[Any]] = []
    for one in given if isinstance(given, Iterable) else [given]:
        if (checked := read(one)) not in found:
            found.append(checked)
    return found
