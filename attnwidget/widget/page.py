"""Page: one file that shows views without a kernel, opened from disk, from a mail, or in a frame."""

from __future__ import annotations

import html
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnwidget.files import write
from attnwidget.widget.module import inline_module, opening_call
from attnwidget.widget.view import View

if TYPE_CHECKING:
    from attnwidget.widget.view import Placing

__all__ = ["Page", "page", "place", "stood"]

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
    *parts : str, Explorer, Timeline, Playground, AttentionMaps, Capture, IPython.display.HTML, Page ...
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
    seen = [_seen(part, precision) for part in parts]
    shown = [one for one in seen if not isinstance(one, str)]
    named = next(one for one in [title, *(one.title for one in shown), "Attention"] if one)
    widgets = sorted({widget for one in shown for widget in one.widgets})

    def made() -> Page:
        body = [one if isinstance(one, str) else one.body for one in seen]
        return Page(named, "\n".join(body), widgets)

    room = _room(limit_mb, len(made().html.encode()))
    asking = [one for one in shown if not isinstance(one, Page)]
    for at, one in enumerate(asking):
        # What one view leaves is for those after it.
        limit = room // (len(asking) - at)
        one.fill(int(limit * 3 / 4), layers, progress=progress)
        room -= len(one.answers)
    whole = made()
    if path is not None:
        whole.save(path)
    return whole


def stood(view: View, facts: Mapping[str, Any], **told: Any) -> str:
    """A view as it stands: what is seen without scripts, what is chosen, and what else is told."""
    traits = json.dumps({"facts": facts, **told, **view.state}).replace("<", "\\u003c")
    return (
        f'<div data-part="still">{view.stands().markup()}</div>'
        f'<script type="application/json" data-part="traits">{traits}</script>'
    )


def place(widget: str, stood: str, answers: str | None = None) -> str:
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


def _seen(part: Any, precision: str | None) -> str | Page | Placing:
    """A part as it goes into a page: as HTML, or as what can say its own."""
    from IPython.display import HTML

    if isinstance(part, HTML):
        return str(part.data)
    if isinstance(part, Page):
        return part
    if isinstance(part, str):
        return _markdown(part)
    if isinstance(part, View):
        placed: Page | Placing = part.placed(precision)
        return placed
    from attnwidget.widget.placing import explored  # it imports torch, which a page of Playgrounds does without

    return explored(part).placed(precision)


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
