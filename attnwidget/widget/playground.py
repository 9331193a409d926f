"""Playground: attention over a handful of tokens, in numbers that can be changed; alive without a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets as t
from numpy.typing import NDArray

from attnwidget.arguments import refuse_unknown
from attnwidget.files import check_path, write
from attnwidget.teaching import steps as arithmetic
from attnwidget.teaching.fitting import fault
from attnwidget.teaching.lesson import Lesson
from attnwidget.teaching.scenes import SCENES
from attnwidget.teaching.steps import Steps
from attnwidget.widget.kept import Keep
from attnwidget.widget.module import front_end
from attnwidget.widget.numbers import Index, Number
from attnwidget.widget.tables import LARGEST, TOKENS, WIDTH, Mask, Places, Table, Words
from attnwidget.widget.telling import as_text
from attnwidget.widget.view import View
from attnwidget.widget.written import Written, written

if TYPE_CHECKING:
    from attnwidget.widget.page import Page

__all__ = ["Playground"]

Array = NDArray[np.float64]

HEADS = 8
WIDEST, LONGEST = 1024, 64  # of random queries and keys
COLDEST, HOTTEST = 1e-6, 1e6
_VECTORS = ("query", "key", "value")
_FITTING = (*_VECTORS, "mask", "rotary", "positions", "heads", "mixing")


class Playground(View):
    """Queries, keys and values that can be seen and changed, and everything that follows from them.

    It needs no model, and in a page no kernel. Every trait can be set before and after the widget is shown, observed
    and linked, and follows what is done in the browser.

    Parameters
    ----------
    scene : {"lookup", "temperature", "scaling", "masking", "position", "words", "heads", "values"}
        What is asked; it brings numbers of its own.
    preset : str or None
        Which numbers of the scene it opens with, by the name in its menu; None for the first.
    keep : {"page", "picture"} or None
        What the notebook keeps of it, to be seen without a kernel: a page in which it is alive (0.2 MB), its numbers
        alone, or nothing.
    lesson : Lesson or None
        A question that is answered before the numbers are shown, and controls that are locked.
    **traits
        Values of the traits below, instead of the scene's.

    Attributes
    ----------
    query, key, value : list of list of float
        A row a token: up to 12 tokens of 8 numbers. Set from lists, numpy, torch or a data frame. Queries and keys are
        of one width, and there are as many values as keys; two that change together are set within
        ``playground.hold_trait_notifications()``.
    query_labels, key_labels : list of str
        Names of the tokens; a text is cut at its spaces. Empty for numbers.
    temperature : float
        What scores are divided by, 10^-6 to 10^6.
    scaling : float or None
        What scores are multiplied with; None for 1 / sqrt(width), as in `AttentionMaps.from_queries_keys`.
    mask : "none", "causal", or list of list of bool
        What each query may see, true where it may.
    row : int
        The query whose row is drawn.
    rotary : bool
        Whether queries and keys are turned by their positions.
    positions : list of int
        Of the tokens; empty for 0, 1, 2 ...
    heads : list of {"previous", "first", "same", "content"}
        Scene "heads": what each head looks for.
    mixing : list of list of float
        Scene "heads": the output projection, [heads * width of a value, width of the output]; empty for the mean.
    width, length, seed : int
        Scene "scaling": random queries and keys, 2 to 1,024 wide, 2 to 64 of them.
    theme : {"auto", "light", "dark"}
        "auto" follows the notebook.
    guesses : list of dict
        What was answered to the lesson's question, with the answer and the time; see `attnwidget.collect`.

    Raises
    ------
    TypeError
        When a trait is not known; the message lists the near misses.
    traitlets.TraitError
        When a value does not fit; what there was stays.

    Examples
    --------
    >>> playground = aw.Playground("temperature", temperature=0.1)
    >>> playground.weights.round(3)
    array([[0.018, 0.981, 0.001]])
    """

    _esm = front_end("playground")

    facts = t.Dict(read_only=True).tag(sync=True, to_json=as_text)
    scene = t.Enum(list(SCENES), "lookup").tag(sync=True)
    preset = t.Unicode().tag(sync=True)
    query = Table("queries").tag(sync=True)
    key = Table("keys").tag(sync=True)
    value = Table("values", column=True).tag(sync=True)
    query_labels = Words().tag(sync=True)
    key_labels = Words().tag(sync=True)
    temperature = Number(1.0).tag(sync=True)
    scaling = Number(None, allow_none=True).tag(sync=True)
    mask = Mask().tag(sync=True)
    row = Index(0).tag(sync=True)
    rotary = t.Bool(False).tag(sync=True)
    positions = Places().tag(sync=True)
    heads = t.List(t.Enum(list(arithmetic.HEADS)), maxlen=HEADS).tag(sync=True)
    mixing = Table("rows", rows=HEADS * WIDTH).tag(sync=True)
    width = Index(64).tag(sync=True)
    length = Index(8).tag(sync=True)
    seed = Index(0).tag(sync=True)

    def __init__(
        self,
        scene: str = "lookup",
        *,
        preset: str | None = None,
        keep: Keep | None = "page",
        lesson: Lesson | None = None,
        **traits: Any,
    ) -> None:
        if scene not in SCENES:
            raise ValueError(f"scene={scene!r} is not known; there are {', '.join(SCENES)}.")
        refuse_unknown(traits, [name for name in self.choices() if name not in {"scene", "preset"}], "Playground")
        chosen = SCENES[scene].preset(preset)
        if SCENES[scene].tied:
            traits = _tied(traits)
        # The row that a scene looks at is one of its own queries.
        whole = chosen.whole | ({"row": 0} if "query" in traits else {})
        self._following = False
        facts = {"scenes": [one.told() for one in SCENES.values()], "limits": _LIMITS}
        self.set_trait("facts", facts | {"lesson": lesson.told() if isinstance(lesson, Lesson) else None})
        super().__init__(keep=keep, lesson=lesson, scene=scene, **(whole | traits | {"preset": chosen.name}))
        self._following = True
        if lesson is not None:
            self._check(lesson)

    def _check(self, lesson: Lesson) -> None:
        """Refuse what is not there to be guessed or locked; nothing stays behind."""
        try:
            self._refuse(lesson)
        except (TypeError, ValueError):
            self.close()
            raise

    def _refuse(self, lesson: Lesson) -> None:
        refuse_unknown(lesson.locked, [*self.choices(), "size", "all"], "Playground", "control")
        asked = lesson.prediction
        if asked is None:
            return
        if asked.kind == "head":
            raise ValueError(
                f"predict={lesson.predict!r} is no step of a Playground; expected one with its place, as "
                "'weights[0, 1]'."
            )
        if self.scene in {"heads", "scaling"}:
            raise ValueError(f"the scene {self.scene!r} has no single table to predict of; ask without predict=.")
        shape = getattr(self, asked.step).shape
        for axis, place in enumerate((asked.row, asked.column)):
            if place is not None and place >= shape[axis]:
                raise ValueError(f"predict={lesson.predict!r} does not exist; {asked.step} is {shape}.")

    @property
    def _steps(self) -> Steps:
        if self.scene == "scaling":
            query, key = arithmetic.seeded(self.seed, self.length, self.width)
            return arithmetic.steps(
                query, key, np.zeros((self.length, 0)), scaling=self.scaling, temperature=self.temperature
            )
        query, key = np.array(self.query), np.array(self.key)
        return arithmetic.steps(
            query,
            key,
            np.array(self.value),
            scaling=self.scaling,
            temperature=self.temperature,
            visible=arithmetic.visibility(self.mask, len(query), len(key)),
            positions=(self.positions or range(len(key))) if self.rotary else None,
        )

    @property
    def _heads(self) -> list[Steps]:
        tables = [np.array(table) for table in (self.query, self.key, self.value)]
        return [
            arithmetic.head_steps(kind, *tables, labels=self.key_labels, temperature=self.temperature)
            for kind in self.heads
        ]

    @property
    def scores(self) -> Array:
        """Products of queries and keys: array [queries, keys]; in the scene "heads" [heads, queries, keys]."""
        return self._stacked("scores")

    @property
    def scaled(self) -> Array:
        """Scores after scaling and temperature, shaped as they are."""
        return self._stacked("scaled")

    @property
    def weights(self) -> Array:
        """Softmax of what is visible, shaped as the scores; a row that sees nothing is NaN."""
        return self._stacked("weights")

    @property
    def output(self) -> Array:
        """Weights times values: array [queries, width of a value]; in the scene "heads" after the output projection."""
        if self.scene == "heads":
            return arithmetic.mixed(self._heads, np.array(self.mixing))[1]
        return self._steps.output

    @property
    def concatenated(self) -> Array:
        """Outputs of all heads side by side: array [queries, heads * width of a value]."""
        if self.scene != "heads":
            return self._steps.output
        return arithmetic.mixed(self._heads, np.array(self.mixing))[0]

    @property
    def entropy(self) -> Array:
        """Of each row of weights, in nats: array [queries], or [heads, queries]; NaN where a row sees nothing."""
        return self._stacked("entropy")

    def _stacked(self, name: str) -> Array:
        if self.scene == "heads":
            return np.stack([getattr(head, name) for head in self._heads])
        array: Array = getattr(self._steps, name)
        return array

    def stands(self) -> Written:
        """Its question, and the weights and outputs as they are now."""
        return written(self)

    def to_html(self) -> str:
        """The playground as one page that needs no kernel and no network, in HTML."""
        from attnwidget.widget.page import page

        return page(self).html

    def placed(self, precision: str | None) -> Page:  # noqa: ARG002 - its numbers are as they were typed
        """Its place in a page: its numbers for those who run no scripts, and what is chosen."""
        from attnwidget.widget.page import Page, place, stood

        self.check_open()
        return Page(SCENES[self.scene].title, place("playground", stood(self, self.facts)), ["playground"])

    def save(self, path: str | Path, **options: Any) -> Path:
        """Write the playground as a page that needs no kernel and no network.

        Parameters
        ----------
        path : str or Path
            Ends in ".html".

        Raises
        ------
        ValueError
            When the ending is another, or the playground is closed.
        OSError
            When there is no such folder, or it cannot be written to.
        """
        refuse_unknown(options, [], "a page of a Playground")
        path = check_path(path, (".html", ".htm"))
        self.check_open()
        return write(path, self.to_html().encode(), endings=(".html", ".htm"))

    def __repr__(self) -> str:
        return f"<Playground {self.scene!r}: {SCENES[self.scene].title}>"

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what the browser says: it brings a scene's numbers together with the scene."""
        with self._taking():
            super().set_state(sync_data)

    @contextmanager
    def hold_trait_notifications(self) -> Iterator[None]:
        """Change several traits together: they fit each other at the end, and travel in one message."""
        with self.hold_sync(), super().hold_trait_notifications():
            yield

    def notify_change(self, change: Any) -> None:
        """Send a change with all that follows from it: no browser sees a scene without its numbers."""
        with self.hold_sync():
            super().notify_change(change)

    @contextmanager
    def _taking(self) -> Iterator[None]:
        following, self._following = self._following, False
        try:
            yield
        finally:
            self._following = following

    @t.observe("scene", "preset")
    def _open(self, change: Any) -> None:
        """Another scene, or other numbers of it."""
        if not self._following:
            return
        scene = SCENES[self.scene]
        # Both may have been set at once; a preset of the scene that was left says nothing.
        known = change["name"] == "preset" or self.preset in [preset.name for preset in scene.presets]
        chosen = scene.preset(self.preset if known else None)
        with self._taking(), self.hold_trait_notifications():
            for name, value in (chosen.whole | {"preset": chosen.name}).items():
                setattr(self, name, value)

    @t.observe(*_VECTORS)
    def _tie(self, change: Any) -> None:
        """Where all three are the same vectors, one change is three."""
        if self._following and SCENES[self.scene].tied:
            with self._taking(), self.hold_trait_notifications():
                self.query = self.key = self.value = change["new"]

    @t.observe("heads")
    def _unmix(self, _change: Any) -> None:
        """Another number of heads needs another projection: their mean, until somebody says otherwise."""
        if self._following and self.mixing and len(self.mixing) != len(self.heads) * len(self.value[0]):
            self.mixing = []

    @t.validate("preset")
    def _valid_preset(self, proposal: Any) -> str:
        name = str(proposal["value"])
        if name:
            try:
                SCENES[self.scene].preset(name)
            except ValueError as error:
                raise t.TraitError(str(error)) from None
        return name

    @t.validate("temperature")
    def _valid_temperature(self, proposal: Any) -> float:
        value = float(proposal["value"])
        if not COLDEST <= value <= HOTTEST:
            raise t.TraitError(f"temperature={value:g}; expected {COLDEST:g} to {HOTTEST:,.0f}.")
        return value

    @t.validate("scaling")
    def _valid_scaling(self, proposal: Any) -> float | None:
        value: float | None = proposal["value"]
        if value is not None and not 0 <= value <= HOTTEST:
            raise t.TraitError(f"scaling={value:g}; expected 0 to {HOTTEST:,.0f}, or None for 1 / sqrt(width).")
        return value

    @t.validate("width", "length", "seed")
    def _valid_size(self, proposal: Any) -> int:
        name, value = proposal["trait"].name, int(proposal["value"])
        least, most = {"width": (2, WIDEST), "length": (2, LONGEST), "seed": (0, 2**32 - 1)}[name]
        if not least <= value <= most:
            raise t.TraitError(f"{name}={value}; expected {least} to {most:,}.")
        return value

    @t.validate("row")
    def _valid_row(self, proposal: Any) -> int:
        row, rows = int(proposal["value"]), max(1, len(self.query))
        if not -rows <= row < rows:
            raise t.TraitError(f"row={row} does not exist; it goes from 0 to {rows - 1}.")
        return row % rows

    @t.validate(*_FITTING)
    def _fitting(self, proposal: Any) -> Any:
        """What does not fit the rest is refused, with what does."""
        name, value = proposal["trait"].name, proposal["value"]
        tables = {one: getattr(self, one) for one in _FITTING} | {name: value}
        # What follows of itself cannot be what does not fit.
        if name in _VECTORS and self._following and SCENES[self.scene].tied:
            tables |= dict.fromkeys(_VECTORS, value)
        if name == "heads" and self._following:
            tables["mixing"] = []
        sentence = fault(self.scene, **tables)
        if sentence:
            raise t.TraitError(f"{sentence} Set what changes together within playground.hold_trait_notifications().")
        return value

    @t.observe("query")
    def _keep_row_inside(self, _change: Any) -> None:
        self.row = min(self.row, max(0, len(self.query) - 1))


_LIMITS = {
    "tokens": TOKENS,
    "width": WIDTH,
    "heads": HEADS,
    "largest": LARGEST,
    "temperature": [COLDEST, HOTTEST],
    "scaling": [0, HOTTEST],
    "widest": WIDEST,
    "longest": LONGEST,
}


def _tied(traits: dict[str, Any]) -> dict[str, Any]:
    """Of vectors that are all the same, one says them all."""
    given = [traits[name] for name in _VECTORS if name in traits]
    return traits | dict.fromkeys(_VECTORS, given[0]) if given else traits
