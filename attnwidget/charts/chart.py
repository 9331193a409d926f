"""Chart: a bqplot figure of the heads of some maps, linked both ways where an Explorer shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import traitlets as t
from bqplot import Figure
from ipywidgets import Widget

from attnwidget.maps import AttentionMaps
from attnwidget.measures.table import by_name
from attnwidget.progress import progress_bar
from attnwidget.widget.answers import Shown
from attnwidget.widget.answers.measuring import MEASURED, Measuring
from attnwidget.widget.answers.spread import even_rows
from attnwidget.widget.explorer import Explorer

__all__ = ["Array", "Chart", "Head", "close_all", "short_name", "view_of"]

Array = np.ndarray[Any, Any]
Head = tuple[int, int]
FOLLOWED = ["facts", "map", "layer", "head", "selected"]
LONG_WORK = 1 << 27  # cells that are measured before a progress bar could be read


class Chart(Figure):
    """What every chart has: the maps it is about, their numbers, and a link with the Explorer that shows them.

    A chart of an Explorer follows it to other maps, and closes with it. `_take` comes first, then what the figure is
    made of, then ``__init__``.

    Parameters
    ----------
    **traits : Any
        Traits of the figure.

    Attributes
    ----------
    known : list of tuple of str
        Label and name of everything that is measured of the maps.
    """

    known = t.List(t.Tuple(t.Unicode(), t.Unicode()))
    view: Explorer | None = None
    _drawn: AttentionMaps | None = None
    _following = False

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._follow(None)
        if self.view is not None:
            self.view.observe(self._follow, FOLLOWED)
            self.view.observe(self._close_too, "comm")

    def _take(self, what: Any) -> None:
        """Take an Explorer, AttentionMaps, a Capture, or a mapping of one name to AttentionMaps."""
        self.view = what if isinstance(what, Explorer) else None
        if self.view is not None:
            view_of(self.view)
        self._alone = Shown() if self.view else Shown.of({"": _maps_of(what)})

    def _draw(self) -> None:
        """Draw other maps."""
        raise NotImplementedError

    def _mark(self) -> None:
        """Mark what is chosen in the Explorer."""

    @property
    def shown(self) -> Shown:
        """What the Explorer shows, or the maps alone."""
        return self._alone if self.view is None else self.view.shown

    @property
    def source(self) -> str:
        """Name of the maps whose heads are drawn."""
        return self.shown.source("" if self.view is None else self.view.map)

    @property
    def maps(self) -> AttentionMaps:
        """The maps whose heads are drawn."""
        return self.shown.maps[self.source]

    @property
    def measuring(self) -> Measuring:
        """Their numbers."""
        return self.shown.measuring[self.source]

    @property
    def heads(self) -> list[Head]:
        """Every head, as (layer, head)."""
        return [(layer, head) for layer, number in enumerate(self.maps.heads) for head in range(number)]

    @property
    def chosen_head(self) -> Head | None:
        """The head that the Explorer shows; None where that is made of several."""
        view = self.view
        if view is None or view.map in view.shown.derived:
            return None
        return (view.layer, view.head) if (view.layer, view.head) in self.heads else None

    @property
    def chosen_layer(self) -> int | None:
        """The layer that the Explorer shows; None where that is made of several."""
        view = self.view
        if view is None or view.shown.maps[view.map].n_layers != self.maps.n_layers:
            return None
        return min(int(view.layer), self.maps.n_layers - 1)

    @property
    def chosen_heads(self) -> list[Head]:
        """The heads that are chosen together, or the one that is shown."""
        one = self.chosen_head
        return [*self.shown.chosen[1]] or ([one] if one else [])

    def choose(self, heads: Sequence[Head]) -> None:
        """Show a head in the Explorer, or the mean of several; none ends the choice of several."""
        view = self.view
        if view is None or self._following:
            return
        with view.hold_sync():
            view.selected = [[*head] for head in heads] if len(heads) > 1 else []
            if len(heads) > 1:
                view.map = view.shown.mean_of_chosen or view.map
            elif heads:
                view.map = self.source
                view.layer, view.head = heads[0]

    def choose_layer(self, layer: int) -> None:
        """Show a layer in the Explorer."""
        view = self.view
        if view is None or self._following:
            return
        with view.hold_sync():
            if self.chosen_layer is None:
                view.map = self.source
            view.layer = layer

    def numbers(self) -> dict[str, Array]:
        """Everything measured of every head: [layers, heads], NaN where there is no number or no head."""
        maps, measuring = self.maps, self.measuring
        rows = even_rows(maps, MEASURED)
        work = sum(maps.heads) * maps.n_keys * (maps.n_queries if rows is None else len(rows))
        names = [fact["name"] for fact in measuring.facts()]
        found = np.full((len(names), maps.n_layers, max(maps.heads)), np.nan)
        with progress_bar("layers measured", maps.n_layers, shown=work > LONG_WORK) as bar:
            for layer, heads in enumerate(maps.heads):
                found[:, layer, :heads] = measuring.numbers(layer).numpy()
                bar.update()
        return dict(zip(names, found, strict=True))

    def named(self, measure: str) -> tuple[str, str]:
        """What a measure is called, and the same with its unit, for an axis."""
        fact = next(fact for fact in self.measuring.facts() if fact["name"] == measure)
        return fact["label"], f"{fact['label']} ({fact['unit']})" if fact["unit"] else fact["label"]

    def check_measure(self, name: str) -> str:
        """A measure by its name; ValueError where it is none of these maps."""
        names = [fact["name"] for fact in self.measuring.facts()]
        if name not in names:
            raise ValueError(f"measure {name!r} does not exist; there are {', '.join(names)}.")
        return name

    @property
    def reading(self) -> str:
        """How many rows of long maps the numbers were read from; empty where it was all."""
        rows = even_rows(self.maps, MEASURED)
        return "" if rows is None else f"from {len(rows):,} of {self.maps.n_queries:,} rows"

    @contextmanager
    def following(self) -> Iterator[None]:
        """What is marked inside was chosen elsewhere, and is chosen no second time."""
        before, self._following = self._following, True
        try:
            yield
        finally:
            self._following = before

    def _follow(self, _change: Any, *, anew: bool = False) -> None:
        if self.view is not None and self.view.map not in self.view.shown.maps:
            return  # amid other maps: their name follows
        with self.following(), ExitStack() as together:
            for widget in (self, *self.marks):
                together.enter_context(widget.hold_sync())
            if anew or self.maps is not self._drawn:
                self._drawn = self.maps
                self._draw()  # with measures that are known still
                self.known = [(fact["label"], fact["name"]) for fact in self.measuring.facts()]
            self._mark()

    def _close_too(self, change: Any) -> None:
        if change["new"] is None:
            self.close()

    def close(self) -> None:
        """Close the figure with all it is made of, and let go of the Explorer."""
        view, self.view = self.view, None
        if view is not None and self._drawn is not None:  # ipywidgets also closes what was made half-way
            view.unobserve(self._follow, FOLLOWED)
            view.unobserve(self._close_too, "comm")
        self._alone, self._drawn = Shown(), None
        close_all(self)


def view_of(what: Any) -> Explorer:
    """The Explorer that came; TypeError where none did, ValueError where it is closed."""
    if not isinstance(what, Explorer):
        raise TypeError(
            f"view is {type(what).__name__}; expected an Explorer, as explore() returns. Charts of maps alone are made "
            "by attnwidget.charts."
        )
    what.maps  # noqa: B018 - a closed one says so itself
    return what


def short_name(maps: AttentionMaps, layer: int, head: int) -> str:
    """A head by its numbers in the model, in a few letters."""
    return f"L{maps.layer_numbers[layer]} H{maps.head_numbers[layer][head]}"


def parts_of(widget: Widget) -> Iterator[Widget]:
    """The widgets that a widget is made of, at any depth."""
    for name in widget.keys:
        value = getattr(widget, name)
        values = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else [value]
        for one in values:
            if isinstance(one, Widget):
                yield one
                yield from parts_of(one)


def close_all(widget: Widget) -> None:
    """Close a widget and all that it is made of: ipywidgets closes the one alone."""
    for part in [*parts_of(widget)]:
        part.close()
    Widget.close(widget)


def _maps_of(what: Any) -> AttentionMaps:
    try:
        named = by_name(what)
    except TypeError as error:
        raise TypeError(
            f"what came is {type(what).__name__}; expected an Explorer, AttentionMaps, or a Capture. Matrices become "
            "maps with AttentionMaps.from_arrays(weights, layout='LHQK')."
        ) from error
    if len(named) > 1:
        raise ValueError(f"these are {len(named)} kinds of maps: {', '.join(named)}. Choose one of them.")
    return next(iter(named.values()))
