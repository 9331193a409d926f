"""attnwidget figure: a picture of one text's attention, for print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnwidget.commands import options
from attnwidget.commands.models import Loading
from attnwidget.commands.reading import read, text_of
from attnwidget.commands.running import Usage, running, say_json, tell, writable

if TYPE_CHECKING:
    from attnwidget.capturing import Capture
    from attnwidget.maps import AttentionMaps

__all__ = ["EXAMPLES", "figure"]

EXAMPLES = options.examples(
    'attnwidget figure storyteller "Lily and Ben went home . Lily gave Ben" -o head.svg --layer 1 --head 2',
    "attnwidget figure ./my-model - -o heads.pdf --layer 5 --width 6.5 < text.txt",
    'attnwidget figure translator "Sat 21.11.26" --target 2026-11-21 --map cross -o cross.png',
)
ENDINGS = (".svg", ".pdf", ".png")


def figure(
    model: options.Model,
    text: options.Text,
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The picture to write: .svg, .pdf or .png.", show_default=False
        ),
    ],
    layer: Annotated[
        int | None, typer.Option(metavar="N", help="Which layer, from 0; -1 is the last.", show_default=False)
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(metavar="N", help='Which head, from 0; "mean" for the mean of a layer.', show_default=False),
    ] = None,
    query: Annotated[
        int | None,
        typer.Option(metavar="N", help="Whose row, from 0: what that token looks at, as bars.", show_default=False),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="lines, entropy, flow, plane, neurons ..., as in attnwidget.figure. [default: follows from layer, "
            "head and query]",
        ),
    ] = None,
    map_name: Annotated[
        str | None, typer.Option("--map", metavar="NAME", help="encoder, decoder or cross, where a model has several.")
    ] = None,
    temperature: Annotated[float, typer.Option(metavar="T", help="Divides the scores before the softmax.")] = 1.0,
    width: Annotated[
        float | None, typer.Option(metavar="INCHES", help="Width of the picture. [default: what the tokens need]")
    ] = None,
    dpi: Annotated[int, typer.Option(metavar="N", min=1, help="Points an inch of a .png.")] = 300,
    target: options.Target = None,
    generate: options.Generate = None,
    prefix: options.Prefix = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    tokenizer: options.Tokenizer = None,
    own: options.Own = None,
    trust_remote_code: options.Trust = False,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Draw attention for print: one head, the heads of a layer, one head through the layers, or all of them.

    With --layer and --head it is the map of one head, with --layer all heads of it, with --head the head in every
    layer, with neither every head of every layer; with --query too one row. In SVG and PDF text stays text.
    """
    with running(debug=debug):
        how = Loading(device, dtype, tokenizer, own, trust_remote_code)
        path, text = writable(output, ENDINGS), text_of(text)
        run = read(how, model, text, target=target, generate=generate, prefix=prefix)

        from attnwidget import figures

        places: dict[str, Any] = {"layer": layer, "head": _head(head), "query": query}
        drawn = figures.figure(_maps(run, map_name), kind=kind, temperature=temperature, width=width, **places)
        figures.save(drawn, path, dpi=dpi)
        if as_json:
            say_json({"written": output, "bytes": path.stat().st_size})
        else:
            tell(f"{output}: {path.stat().st_size / 1e3:,.0f} kB.")


def _head(head: str | None) -> int | str | None:
    if head is None or head == "mean":
        return head
    try:
        return int(head)
    except ValueError:
        raise Usage(f'--head {head}: expected the number of a head, or "mean".') from None


def _maps(run: Capture, name: str | None) -> AttentionMaps:
    """The maps to draw."""
    held = run.by_name
    if name is None and len(held) == 1:
        return next(iter(held.values()))
    if name is None or name not in held:
        asked = f"--map {name} is not one of its maps" if name else "this model has several maps"
        raise Usage(f"{asked}; choose with --map among {', '.join(held)}.")
    return held[name]
