"""Page: one file that shows views without a kernel, opened from disk, from a mail, or in a frame."""

from __future__ import annotations

import base64
import html
import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attnwidget.files import write
from attnwidget.intake import AttentionWarning
from attnwidget.maps import AttentionMaps
from attnwidget.teaching.scenes import SCENES
from attnwidget.widget.explorer import Explorer
from attnwidget.widget.exploring import explore
from attnwidget.widget.facts import facts_of
from attnwidget.widget.halving import halving_error
from attnwidget.widget.holding import hold, paged
from attnwidget.widget.module import inline_module, opening_call
from attnwidget.widget.playground import Playground
from attnwidget.widget.view import View

__all__ = ["Page", "page"]

LIMIT_MB = 20.0
FRAME_HEIGHT = 760
_STYLE = """
:root { color-scheme: light dark }
body { margin: 24px auto; padding: 0 24px; max-width: 1500px; font: 15px/1.55 system-ui, sans-serif }
body { overflow-wrap: anywhere }
body > :is(p, ul, ol, blockquote, h1, h2, h3) { max-width: 44em }
figure { margin: 0 } figure img { max-width: 100% } table { border-collapse: collapse } :is(td, th) { padding: 2px 8px }
[data-attnwidget-place] { margin: 20px 0 36px }
@media (prefers-color-scheme: dark) { :root { background: #15181c } }
@media print { body { margin: 0; padding: 0 } }
""".strip()


class Page:
    """A page of one file: ``str(page)`` is its HTML, ``page.save(path)`` writes it, a notebook shows it in a frame.

    Parameters
    ----------
    title : str
        Of the document.
    body : str
        What stands in it, in HTML.
    widgets : sequence of str
        The widgets that have places in it.
    """

    def __init__(self, title: str, body: str, widgets: Sequence[str] = ()) -> None:
        self.title, self.body, self.widgets = title, body, tuple(widgets)

    @property
    def html(self) -> str:
        """The document."""
        return _document(self.title, self.body, self.widgets)

    def __str__(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"<Page of {len(self.html.encode()) / 1e6:.2f} MB; save it with .save('page.html')>"

    def save(self, path: str | Path) -> Path:
        """Write the page to a file, whole or not at all.

        Raises
        ------
        ValueError
            When the name does not end in ".html".
        OSError
            When there is no such folder, or it cannot be written to.
        """
        return write(path, self.html.encode(), endings=(".html", ".htm"))

    def _repr_html_(self) -> str:
        """The page in a frame that can reach nothing."""
        document = html.escape(self.html, quote=True)
        return (
            f'<iframe sandbox="allow-scripts allow-downloads" srcdoc="{document}" title="attention" '
            f'style="width:100%;height:{FRAME_HEIGHT}px;border:0"></iframe>'
        )


def page(
    *parts: Any,
    title: str | None = None,
    path: str | Path | None = None,
    limit_mb: float = LIMIT_MB,
    layers: Sequence[int] | None = None,
    precision: str | None = None,
    progress: bool = True,
) -> Page:
    """Several views in one document, with headings and text between them: a page that needs no kernel and no network.

    Parameters
    ----------
    *parts : str, Explorer, Playground, AttentionMaps, Capture, IPython.display.HTML, Page ...
        From top to bottom. A str is text in Markdown (headings, lists, emphasis, links, tables; HTML and images stay
        text); HTML goes in as it is; a Page is what was made before, as it stood then; all else is a view, or what
        `explore` makes one of. Every view stands as it stands now.
    title : str or None
        Of the document; None is that of its first heading or view.
    path : str, Path or None
        Where to write it; None writes nothing.
    limit_mb : float
        Size of the page, in 10^6 bytes. All heads of all layers are in it where they fit. Where they do not, the layers
        around the chosen one are, the rest in coarse points, and the page says so.
    layers : sequence of int or None
        Which layers of the chosen maps are held whole; None for as many as fit.
    precision : {"float32", "float16"} or None
        "float16" keeps queries and keys in half precision, which halves the page of a model in single precision;
        weights are then off by a thousandth or so, by more where scores are large, and the page says by how much at
        most. None keeps them as they are.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Page
        Its ``html``; as the last line of a cell it shows itself.

    Raises
    ------
    TypeError
        When nothing that can be seen was given.
    ValueError
        When the limit leaves no room for the chosen head, or something given cannot be shown.
    OSError
        When the file cannot be written; an older one stays as it was.

    Examples
    --------
    >>> aw.page("# What heads do", before, "After fine-tuning:", after, path="lesson.html")
    """
    if not parts:
        raise TypeError("page() came without anything to show; pass views, maps, or text in Markdown.")
    if title is not None and not isinstance(title, str):
        raise TypeError(f"title is {type(title).__name__}; expected a string, or None.")
    places = [_place(part, precision) for part in parts]
    views = [place for place in places if isinstance(place, _Place)]
    pages = [place for place in places if isinstance(place, Page)]
    titles = [title, *(place.view.facts["title"] for place in views), *(one.title for one in pages), "Attention"]
    named = next(one for one in titles if one)
    widgets = sorted({"explorer" for _ in views}.union(*(one.widgets for one in pages)))

    def made() -> Page:
        body = [place if isinstance(place, str) else place.body for place in places]
        return Page(named, "\n".join(body), widgets)

    room = _room(limit_mb, len(made().html.encode()))
    for at, part in enumerate(views):
        # What one view leaves is for those after it.
        limit = room // (len(views) - at)
        part.fill(int(limit * 3 / 4), layers, progress=progress)
        room -= len(part.answers)
    whole = made()
    if path is not None:
        whole.save(path)
    return whole


class _Place:
    """A view's place in a page: a picture for those who run no scripts, what is chosen, and the answers."""

    def __init__(self, view: Explorer, precision: str | None) -> None:
        self.view, self.precision = view, precision
        self.shown = paged(view.shown, view.map)
        self.answers = ""
        facts = facts_of(self.shown, view.facts["title"]) | {"lesson": view.facts.get("lesson")}
        if precision == "float16":
            for fact in facts["maps"]:
                fact["notes"] += _rounding(self.shown.maps[fact["name"]])
        self._stood = _stood(view, facts)

    def fill(self, limit: int, layers: Sequence[int] | None, *, progress: bool) -> None:
        """Put in the answers, at most so many bytes before they are written as text."""
        options: dict[str, Any] = {"layers": layers, "precision": self.precision, "progress": progress}
        self.answers = base64.b64encode(hold(self.shown, self.view.place, limit=limit, **options)).decode()

    @property
    def body(self) -> str:
        """All of it, in HTML."""
        return _html("explorer", self._stood, self.answers)


def _stood(view: View, facts: Mapping[str, Any]) -> str:
    """A view as it stands: what is seen without scripts, and what is chosen."""
    traits = json.dumps({"facts": facts, **view.state}).replace("<", "\\u003c")
    return (
        f'<div data-part="still">{view.stands().markup()}</div>'
        f'<script type="application/json" data-part="traits">{traits}</script>'
    )


def _html(widget: str, stood: str, answers: str | None = None) -> str:
    """A view's place in a page, with answers where it asks for any."""
    packed = "" if answers is None else f'<script type="text/plain" data-part="answers">{answers}</script>'
    return f'<div data-attnwidget-place="{widget}">{stood}{packed}</div>'


def _document(title: str, body: str, widgets: Sequence[str]) -> str:
    title = title.encode(errors="replace").decode()
    scripts = "".join(
        f'<script type="module">\n{inline_module(name)}\n{opening_call(name)}\n</script>\n' for name in widgets
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n{scripts}</body>\n"
        "</html>\n"
    )


def _place(part: Any, precision: str | None) -> str | Page | _Place:
    """A part as it goes into a page: as HTML, or as what can say its own."""
    from IPython.display import HTML

    if isinstance(part, HTML):
        return str(part.data)
    if isinstance(part, Page):
        return part
    if isinstance(part, Playground):
        return _playground(part)
    return _markdown(part) if isinstance(part, str) else _Place(_view(part), precision)


def _playground(part: Playground) -> Page:
    """A Playground's place: its numbers for those who run no scripts, and what is chosen; it asks nobody anything."""
    part.check_open()
    return Page(SCENES[part.scene].title, _html("playground", _stood(part, part.facts)), ["playground"])


def _view(part: Any) -> Explorer:
    if isinstance(part, Explorer):
        part.maps  # noqa: B018 - a closed one says so itself
        return part
    with warnings.catch_warnings():
        warnings.simplefilter("always", AttentionWarning)
        return explore(part)


def _rounding(maps: AttentionMaps) -> list[str]:
    """What half precision does to the weights, where it does anything."""
    error = halving_error(maps)
    if error is None:
        return []
    return [f"Queries and keys are in half precision here: weights are off by {error:.2g} at most, in rows compared."]


def _markdown(text: str) -> str:
    from markdown_it import MarkdownIt

    return str(
        MarkdownIt("commonmark", {"html": False})
        .enable("table")
        .disable("image")
        .render(text.encode(errors="replace").decode())
    )


def _room(limit_mb: float, taken: int) -> int:
    """Bytes that a page has for answers."""
    if isinstance(limit_mb, (bool, str)) or not hasattr(limit_mb, "__float__") or not limit_mb > 0:
        raise ValueError(f"limit_mb={limit_mb!r}; expected a number above 0, in units of 10^6 bytes.")
    room = int(min(float(limit_mb) * 1e6, sys.maxsize)) - taken
    if room <= 0:
        raise ValueError(
            f"limit_mb={limit_mb:g} is less than the {taken / 1e6:.1f} MB that the page takes without any attention in "
            "it; give more."
        )
    return room
