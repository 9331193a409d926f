"""Looking: the lenses that an Explorer's maps are seen through."""

from __future__ import annotations

import difflib
import operator
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import traitlets as t

from attnwidget.lenses.leaving import keep_only, leave_out
from attnwidget.lenses.words import merged
from attnwidget.maps import AttentionMaps
from attnwidget.tokens import Tokens
from attnwidget.widget.answers import Shown
from attnwidget.widget.answers.runs import Runs
from attnwidget.widget.appearance import Appearance
from attnwidget.widget.facts import facts_of
from attnwidget.widget.strip import Strip

__all__ = ["Lens", "Looking", "Seen", "see"]

HIDDEN = ("special", "sinks")


class Lens(NamedTuple):
    """What maps are seen through. Positions are those of the text, as `Tokens.begins` gives them for the chosen keys.

    Attributes
    ----------
    words : bool
        Whether word pieces are merged, after all else.
    hide : tuple
        "special", "sinks", and positions that are left out.
    only : tuple
        Names of spans, and positions that alone are kept.
    """

    words: bool = False
    hide: tuple[str | int, ...] = ()
    only: tuple[str | int, ...] = ()

    @classmethod
    def of(cls, choices: Mapping[str, Any], text: Tokens) -> Lens:
        """What was chosen, in its plain form, for a text; TypeError or ValueError where it is no lens."""
        words = choices.get("words", False)
        if words not in (True, False):
            raise TypeError(f"words={words!r}; expected True or False.")
        return cls(bool(words), *(_listed(name, choices.get(name, ()), text) for name in ("hide", "only")))

    def fitting(self, heads: Mapping[str, AttentionMaps], text: Tokens) -> Lens:
        """What of it there still is, of other maps."""
        names = {*HIDDEN, *_spans(heads)}
        there = {*text.begins}
        hide, only = (tuple(one for one in listed if one in names or one in there) for listed in self[1:])
        return Lens(self.words, hide, only)


class Seen(NamedTuple):
    """Maps seen through a lens.

    Attributes
    ----------
    maps : AttentionMaps
        What is seen.
    pieces : AttentionMaps
        The same before words were merged.
    told : list of dict
        What the lens did, as the screen says it.
    """

    maps: AttentionMaps
    pieces: AttentionMaps
    told: list[dict[str, Any]]

    def place(self, axis: str, before: Seen, at: int | None) -> int | None:
        """Where a token is that stood somewhere before, or the word that has it; None where it is hidden."""
        if at is None:
            return None
        origin = getattr(before.maps, axis).begins[at]
        if origin not in getattr(self.pieces, axis).begins:
            return None
        return bisect_right(getattr(self.maps, axis).begins, origin) - 1


def see(heads: Mapping[str, AttentionMaps], lens: Lens, text: Tokens) -> dict[str, Seen]:
    """Maps of one run through a lens: tokens left out and kept at the positions of the text, then words.

    Positions are about every axis on which that text stands, names of spans about every axis that has such a span.

    Raises
    ------
    ValueError
        When a span or a position is not known, or nothing is left.
    """
    spans = _spans(heads)
    for name in lens.only:
        if isinstance(name, str) and name not in spans:
            raise ValueError(f"only names {name!r}, and no span is called so; {_near(name, spans)}")
    return {name: _through(maps, lens, text) for name, maps in heads.items()}


class Looking(Appearance):
    """A view of maps that are seen through lenses: `Explorer` says what its traits mean."""

    words = t.Bool(False).tag(sync=True)
    hide: t.List[Any] = t.List().tag(sync=True)
    only: t.List[Any] = t.List().tag(sync=True)

    map: Any
    query: Any
    key: Any
    also: Any
    facts: Any
    _shown: Shown
    _given: dict[str, AttentionMaps] = {}  # noqa: RUF012 - never changed, but replaced
    _seen: dict[str, Seen] = {}  # noqa: RUF012
    _measures: Mapping[str, Any] | None = None
    _strip: Strip | None = None
    _looked: tuple[Any, dict[str, Seen]] | None = None

    def _take(
        self,
        heads: dict[str, AttentionMaps],
        title: str | None,
        measures: Mapping[str, Any] | None,
        seen: dict[str, Seen],
    ) -> None:
        """Hold maps, and tell the browser what is seen of them."""
        if not isinstance(title, str | None):
            raise TypeError(f"title is {type(title).__name__}; expected a text, or None.")
        looked = {name: one.maps for name, one in seen.items()}
        told = {name: one.told for name, one in seen.items()}
        two = heads if isinstance(heads, Runs) else None
        strips = self._strip.told(heads, seen) if self._strip else None
        weights = two is None or two.unit is None  # there is nothing to agree with in effects
        agreeing = self._strip.agreeing(heads) if self._strip and weights else None
        self._shown = Shown.of(looked, measures, self._shown.version + 1, told, two, strips=strips, agreeing=agreeing)
        self._given, self._measures, self._seen = heads, measures, seen
        self.set_trait("facts", facts_of(self._shown, title or ""))

    def _settle(self) -> None:
        """Let what was chosen stay where it still exists."""
        raise NotImplementedError

    def _see(self, heads: Mapping[str, AttentionMaps], lens: Lens, chosen: Any) -> dict[str, Seen]:
        """What is seen of maps through a lens; the last look is remembered."""
        text = text_of(heads, chosen)
        key = (lens, text.labels, *heads.values())
        if self._looked is None or self._looked[0] != key:
            self._looked = key, see(heads, lens, text)
        return self._looked[1]

    def _lens(self, heads: Mapping[str, AttentionMaps], choices: Mapping[str, Any]) -> Lens:
        """The lens that is chosen, if maps can be seen through it; TraitError where they cannot."""
        try:
            lens = Lens.of(choices, text_of(heads, choices.get("map")))
            self._see(heads, lens, choices.get("map"))
        except (TypeError, ValueError) as error:
            raise t.TraitError(str(error)) from error
        return lens

    def _fitting(self, heads: Mapping[str, AttentionMaps]) -> tuple[Lens, dict[str, Seen]]:
        """What of the chosen lens there is for other maps, and these through it; none where nothing would be left."""
        lens = Lens(self.words, tuple(self.hide), tuple(self.only)).fitting(heads, text_of(heads, self.map))
        try:
            return lens, self._see(heads, lens, self.map)
        except ValueError:
            return Lens(), self._see(heads, Lens(), self.map)

    def _choose(self, lens: Lens) -> None:
        """Set all of a lens together."""
        with self.hold_trait_notifications():
            self.words, self.hide, self.only = lens.words, [*lens.hide], [*lens.only]

    @t.validate("words", "hide", "only")
    def _valid_lens(self, proposal: Any) -> Any:
        name, value = proposal["trait"].name, proposal["value"]
        if not self._given:
            return value
        chosen = {one: getattr(self, one) for one in ("map", *Lens._fields)} | {name: value}
        value = getattr(self._lens(self._given, chosen), name)
        return value if name == "words" else [*value]

    @t.observe("words", "hide", "only")
    def _seen_otherwise(self, _change: Any) -> None:
        if self._given:
            lens = Lens(self.words, tuple(self.hide), tuple(self.only))
            self._look(self._see(self._given, lens, self.map))

    def _look(self, seen: dict[str, Seen]) -> None:
        """Show what is seen, if it is something else; what is pinned goes along."""
        if seen is self._seen:
            return
        source = self._shown.source(self.map)
        before, after = self._seen[source], seen[source]
        query, key = after.place("tokens", before, self.query), after.place("key_tokens", before, self.key)
        also = [after.place("tokens", before, one) for one in self.also]
        with self.hold_sync():
            self._take(self._given, self.facts["title"], self._measures, seen)
            if self.map not in self._shown.maps:  # too short to be made of these
                self.map = source
            self.query, self.key = query, key
            self.also = [] if query is None else [one for one in also if one not in (None, query)]
            self._settle()

    @t.observe("map")
    def _let_positions_go(self, change: Any) -> None:
        """Positions are about one text, and another may have been chosen."""
        if self._own_layout is None or not self._given:  # it is being made, or closed
            return
        if text_of(self._given, change["old"]).labels != text_of(self._given, change["new"]).labels:
            hide, only = (tuple(one for one in listed if isinstance(one, str)) for listed in (self.hide, self.only))
            self._choose(Lens(self.words, hide, only))


def text_of(heads: Mapping[str, AttentionMaps], chosen: Any) -> Tokens:
    """The text that positions are about: the keys of the chosen maps, or of those that they are derived from."""
    names = (name for name in heads if chosen == name or str(chosen).startswith(f"{name}: "))
    return heads[next(names, next(iter(heads)))].key_tokens


def _through(maps: AttentionMaps, lens: Lens, text: Tokens) -> Seen:
    wanted = [{one for one in listed if not isinstance(one, str)} for listed in (lens.hide, lens.only)]
    axes = ("tokens", "key_tokens")

    def positions(among: AttentionMaps, axis: str, origins: set[int]) -> set[int]:
        """Where some tokens of the text are now, on an axis that has it."""
        if getattr(maps, axis).labels != text.labels:
            return set()
        return {at for at, origin in enumerate(getattr(among, axis).begins) if origin in origins}

    queries, keys = (positions(maps, axis, wanted[0]) for axis in axes)
    left, told = leave_out(maps, special="special" in lens.hide, sinks="sinks" in lens.hide, queries=queries, keys=keys)
    named = [bool(wanted[1]) and getattr(maps, axis).labels == text.labels for axis in axes]
    named = [
        one or any(span.name in lens.only for span in getattr(maps, axis).spans)
        for one, axis in zip(named, axes, strict=True)
    ]
    if any(named):
        kept = [
            positions(left, axis, wanted[1])
            | {i for span in getattr(left, axis).spans if span.name in lens.only for i in range(span.start, span.stop)}
            for axis in axes
        ]
        left, only = keep_only(left, *(one if is_named else None for one, is_named in zip(kept, named, strict=True)))
        told += only if wanted[1] else [{**only[0], "names": [*lens.only]}]
    whole = left
    if lens.words:
        whole, words = merged(left)
        told += words
    return Seen(whole, left, told)


def _listed(name: str, chosen: Any, text: Tokens) -> tuple[str | int, ...]:
    """A list of names and positions, each once."""
    if not isinstance(chosen, Iterable):
        raise TypeError(f"{name}={chosen!r} is {type(chosen).__name__}; expected a list, as [{chosen!r}].")
    found: dict[str | int, None] = {}
    for one in [chosen] if isinstance(chosen, str) else chosen:
        if isinstance(one, str):
            if name == "hide" and one not in HIDDEN:
                raise ValueError(f"hide names {one!r}; expected 'special', 'sinks', or positions of tokens.")
            found[one] = None
        elif isinstance(one, bool) or not hasattr(one, "__index__"):
            raise TypeError(f"{name} holds {one!r}, {type(one).__name__}; expected names and positions.")
        else:
            at, begins = operator.index(one), text.begins
            at = begins[at] if -len(text) <= at < 0 else at
            if not begins or not begins[0] <= at <= begins[-1]:
                there = f"the tokens are {begins[0]} to {begins[-1]}" if begins else "there are no tokens"
                raise ValueError(f"{name} names token {at}, which is not there; {there}.")
            if at in begins:  # else it was hidden before the maps came, or is inside one of their words
                found[at] = None
    return tuple(found)


def _spans(heads: Mapping[str, AttentionMaps]) -> list[str]:
    """Names of all spans."""
    axes = [axis for maps in heads.values() for axis in (maps.tokens, maps.key_tokens)]
    return list(dict.fromkeys(span.name for axis in axes for span in axis.spans))


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"there are {', '.join(map(repr, known))}." if known else "these maps have none."
