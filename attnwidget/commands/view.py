"""attnwidget view: one text in the Explorer, as a page of one file."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from attnwidget.commands import options
from attnwidget.commands.browsing import open_page
from attnwidget.commands.models import Loading
from attnwidget.commands.reading import read, text_of
from attnwidget.commands.running import running, say_json, tell, watched, writable

__all__ = ["EXAMPLES", "view"]

EXAMPLES = options.examples(
    'attnwidget view storyteller "Lily and Ben went to the park . Lily gave the ball to" -o page.html',
    "attnwidget view ./my-model - -o page.html --layer 5 --head 1 --open < text.txt",
    'attnwidget view translator "Sat 21.11.26" --target 2026-11-21 -o dates.html',
)


def view(
    model: options.Model,
    text: options.Text,
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The page to write: .html.", show_default=False)
    ],
    layer: Annotated[
        int | None, typer.Option(metavar="N", help="Layer to open at, from 0.", show_default=False)
    ] = None,
    head: Annotated[int | None, typer.Option(metavar="N", help="Head to open at, from 0.", show_default=False)] = None,
    target: options.Target = None,
    generate: options.Generate = None,
    prefix: options.Prefix = None,
    limit_mb: Annotated[float, typer.Option(metavar="MB", help="Size of the page at most.")] = 20.0,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
    tokenizer: options.Tokenizer = None,
    own: options.Own = None,
    trust_remote_code: options.Trust = False,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Write a page that shows the attention of a model on a text: every layer and head, linked views, sliders.

    The page needs a browser and nothing else, no Python and no network, and can be mailed. Where not all heads fit into
    its size, it says which do not. An older file of its name is replaced.
    """
    with running(debug=debug):
        how = Loading(device, dtype, tokenizer, own, trust_remote_code)
        path, text = writable(output, (".html", ".htm")), text_of(text)
        run = read(how, model, text, target=target, generate=generate, prefix=prefix)

        import attnwidget as aw

        places: dict[str, Any] = {"layer": layer, "head": head}
        chosen = {name: place for name, place in places.items() if place is not None}
        shown = aw.explore(run, title=text, keep=None, **chosen)
        aw.page(shown, path=path, limit_mb=limit_mb, progress=watched())
        if as_json:
            say_json({"written": output, "bytes": path.stat().st_size, "maps": list(run.by_name)})
        else:
            tell(f"{output}: {path.stat().st_size / 1e6:.1f} MB, {', '.join(map(_size, run.by_name.values()))}.")
        if open_it and not open_page(path):
            tell(f"there is no browser to open here; open {path.resolve()} in yours.")


def _size(maps: Any) -> str:
    return f"{'' if maps.name == 'attention' else maps.name + ' '}{maps.n_layers} layers x {max(maps.heads)} heads"
