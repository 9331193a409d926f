"""View: a widget in an output, and beside it what is kept for a notebook that is opened without its kernel."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import anywidget
import traitlets as t
from ipywidgets import Layout

from attnwidget.teaching.lesson import Lesson
from attnwidget.widget.kept import KEEPS, Keep, Kept, Stands
from attnwidget.widget.rpc import forget_shell

if TYPE_CHECKING:
    from attnwidget.widget.page import Page

__all__ = ["Placing", "View"]


class Placing(Protocol):
    """A view's place in a page, which is filled with answers."""

    @property
    def title(self) -> str:
        """What it is of."""

    @property
    def widgets(self) -> Sequence[str]:
        """The widgets that have places in it."""

    @property
    def answers(self) -> str:
        """What it was filled with."""

    def fill(self, limit: int, layers: Sequence[int] | None, *, progress: bool) -> None:
        """Put in the answers, at most so many bytes before they are written as text."""

    @property
    def body(self) -> str:
        """All of it, in HTML."""


class View(anywidget.AnyWidget):
    """What every widget of this package has: a theme, a state, ways out, a kept output, and perhaps a lesson.

    Attributes
    ----------
    theme : {"auto", "light", "dark"}
        "auto" follows the notebook.
    guesses : list of dict
        What was answered to the lesson's question, with the answer and the time; see `attnwidget.collect`.
    lesson : Lesson or None
        What is asked.
    """

    kept = t.Unicode(read_only=True).tag(sync=True)
    theme = t.Enum(["auto", "light", "dark"], "auto").tag(sync=True)
    guesses = t.List(t.Dict()).tag(sync=True, record=True)

    # ipywidgets also closes a widget whose making failed half-way.
    _own_layout: Any = None

    def __init__(self, *, keep: Keep | None, lesson: Lesson | None = None, **traits: Any) -> None:
        if lesson is not None and not isinstance(lesson, Lesson):
            raise TypeError(f"lesson is {type(lesson).__name__}; expected attnwidget.Lesson(prompt=...).")
        self.lesson = lesson
        if keep not in KEEPS:
            raise ValueError(f"keep={keep!r}; expected 'picture', 'page' or None.")
        self._kept = Kept(self, uuid.uuid4().hex, keep)
        self.set_trait("kept", self._kept.identity)
        super().__init__(**traits)
        self._own_layout = self.layout  # ipywidgets makes one for every widget, and never closes it
        forget_shell(self.comm)

    @t.default("layout")
    def _whole(self) -> Layout:
        # Shiny cuts whatever has no height of its own to 400 pixels.
        return Layout(height="fit-content")

    @classmethod
    def choices(cls) -> list[str]:
        """Names of the traits that a person sets."""
        hosts = anywidget.AnyWidget.class_traits(sync=True)
        own = {name: trait for name, trait in cls.class_traits(sync=True).items() if name not in hosts}
        return [
            name
            for name, trait in own.items()
            if not (trait.read_only or trait.metadata.get("record") or name.startswith("_"))
        ]

    @property
    def state(self) -> dict[str, Any]:
        """All that was chosen: made with these, another shows the same again."""
        return {name: getattr(self, name) for name in self.choices()}

    @property
    def edition(self) -> Any:
        """What is kept is made again when this is another."""
        return self.state

    def stands(self) -> Stands:
        """What it shows now, in words and numbers."""
        raise NotImplementedError

    def to_html(self) -> str:
        """The view as one page that needs no kernel and no network, in HTML."""
        raise NotImplementedError

    def placed(self, precision: str | None) -> Page | Placing:
        """Its place in a page, with queries and keys in some precision where it holds any."""
        raise NotImplementedError

    def save(self, path: str | Path, **options: Any) -> Path:
        """Write the view to a file."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether it has nothing to show any more."""
        return bool(self.comm is None)

    def check_open(self) -> None:
        """Raise ValueError where it is closed."""
        if self.closed:
            raise ValueError(f"this {type(self).__name__} is closed; make a new one.")

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """Values of the traits as hosts take them; without defaults it still says what it is and holds its module."""
        state: dict[str, Any] = super().get_state(key, drop_defaults)
        if drop_defaults and key is None:
            state |= super().get_state([name for name in self.keys if name.startswith("_")])
        return state

    def close(self) -> None:
        """Close the widget and give its memory back."""
        super().close()
        if self._own_layout is not None:
            self._own_layout.close()

    def keep(self) -> None:
        """Show what the notebook keeps of the view here: for a view inside a box, which displays no output of its own.

        Raises
        ------
        ValueError
            When the view is closed, or was made with ``keep=None``.
        """
        self.check_open()
        if self._kept.form is None:
            raise ValueError("this view was made with keep=None; make it with keep='picture' or keep='page'.")
        self._kept.display()
        self._kept.renew()

    def _ipython_display_(self, **kwargs: Any) -> None:
        """The kept output, then the widget."""
        from IPython.display import display

        bundle = self._repr_mimebundle_(**kwargs)
        keeps = self._kept.form is not None and not self.closed
        if keeps:
            self._kept.display()
        data, metadata = bundle or ({"text/plain": repr(self)}, {})
        display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
        # A picture takes a moment, which must not be the one in which the widget is waited for.
        if keeps:
            self._kept.renew()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None and not self.closed:
            # Read where widgets are not drawn, as in a notebook on the web.
            bundle[0]["text/plain"] = f"{self!r}\nThe live view needs a kernel: run this cell in a notebook."
        return bundle

    def _handle_custom_msg(self, content: Any, buffers: Any) -> None:
        """Choices that a host may have lost with the line to the kernel come a second way; all else is a question."""
        if not (isinstance(content, dict) and isinstance(content.get("chosen"), dict)):
            super()._handle_custom_msg(content, buffers)
            return
        taken = {*self.choices(), *self.class_traits(record=True)}
        self.set_state({name: value for name, value in content["chosen"].items() if name in taken})

    def _send(self, msg: Any, buffers: Any = None) -> None:
        super()._send(msg, buffers)
        forget_shell(self.comm)
