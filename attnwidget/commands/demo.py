"""attnwidget demo: a first look, with nothing to download."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from attnwidget.commands import options
from attnwidget.commands.browsing import open_page
from attnwidget.commands.models import Loading
from attnwidget.commands.reading import read
from attnwidget.commands.running import running, say_json, tell, watched, writable

__all__ = ["EXAMPLES", "demo"]

EXAMPLES = options.examples("attnwidget demo", "attnwidget demo -o first-look.html --no-open")
STORY = "Lily and Ben went to the park . Lily gave the ball to"
LAYER, HEAD, QUERY = 1, 3, 13
WELCOME = """# Attention of a small model

Below is the *storyteller*, a model with 4 layers of 4 heads inside attnwidget. It reads a story and is about to say the
next word. Rows are the words that look, columns the words that they look at. The head that is open looks from the last
word at *Ben*, and that is what the model says next. Click another head in the grid, point at a word, turn the
temperature.
"""
PLAY = """## The same by hand

Queries, keys and values of a handful of words: drag a number, and see what follows from it.
"""


def demo(
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The page to write.")
    ] = "attnwidget-demo.html",
    opened: Annotated[
        bool | None,
        typer.Option(
            "--open/--no-open", help="Open the page in a browser. [default: at a terminal]", show_default=False
        ),
    ] = None,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Write a page about a small model inside this package, and open it in a browser: a first look.

    Nothing is downloaded. The page is a file of this folder and needs neither Python nor a network; delete it when you
    have seen it.
    """
    with running(debug=debug):
        path = writable(output, (".html", ".htm"))
        run = read(Loading(device="cpu"), "storyteller", STORY)

        import attnwidget as aw

        shown = aw.explore(run, title=STORY, keep=None, layer=LAYER, head=HEAD, query=QUERY)
        aw.page(WELCOME, shown, PLAY, aw.Playground("temperature", keep=None), path=path, progress=watched())
        if as_json:
            say_json({"written": output, "bytes": path.stat().st_size})
        wanted = sys.stdout.isatty() and not as_json if opened is None else opened
        if wanted and open_page(path):
            tell(f"{path.resolve()} opens in your browser.")
        else:
            tell(f"open {path.resolve()} in a browser.")
        tell('next: attnwidget view MODEL "your text" -o page.html, or aw.explore("your text") in a notebook.')
