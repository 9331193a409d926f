"""Still: what a view shows, where no script runs and no widget is drawn: a picture, its numbers, and words."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from attnwidget.widget.weights import differs, name_of, shown_weights

__all__ = ["Still", "still"]

ROWS, KEYS = 12, 3  # of the table: the last queries, and what each gives most to
LONGEST_WORD = 40
LARGEST_PICTURE = 16_000  # bytes: an output holds it twice, and a notebook many outputs
DOTS = 110  # an inch
COLOURS = (96, 64, 48, 32)  # tried one after another


@dataclass(frozen=True)
class Still:
    """A view as it stood.

    Parameters
    ----------
    title : str
        What it is of.
    place : str
        Which head, in the model's numbers.
    table : list of tuple of str and list of tuple of str and float
        The last queries, each with the keys that get most of it and how much that is; of a difference, what is
        farthest from 0.
    view : Explorer
        Where the picture comes from.
    signed : bool
        Whether the numbers are differences.
    effects : bool
        Whether these are effects, in logits.
    along : str
        What stands along the keys, with its largest numbers; empty for nothing.
    """

    title: str
    place: str
    table: list[tuple[str, list[tuple[str, float]]]]
    view: Any
    signed: bool = False
    effects: bool = False
    along: str = ""

    @property
    def caption(self) -> str:
        """Title and place in a line."""
        return " · ".join(part for part in (self.title, self.place) if part)

    @cached_property
    def png(self) -> bytes:
        """The picture of it, in few colours; empty where there is nothing to draw."""
        from attnwidget.figures import of_view

        if not self.table:
            return b""
        figure = of_view(self.view)
        dots, drawn = DOTS, b""
        for colours in COLOURS:
            drawn = _reduced(figure, dots, colours)
            if len(drawn) <= LARGEST_PICTURE:
                break
            # Bytes go with the dots, and a drawing takes its time.
            dots = max(30, round(dots * 0.95 * (LARGEST_PICTURE / len(drawn)) ** 0.5))
        return drawn

    @property
    def text(self) -> str:
        """Title, place and table as plain text."""
        lines = [
            f"{query} → {', '.join(f'{key} {self._number(weight)}' for key, weight in keys)}"
            for query, keys in self.table
        ]
        return "\n".join([self.caption, *lines, *([self.along] if self.along else [])])

    def markup(self, *, pictured: bool = True, folded: str = "") -> str:
        """Caption, picture and numbers as markup that needs neither script nor style.

        Parameters
        ----------
        pictured : bool
            Whether the picture is in it.
        folded : str
            Markup that comes where nobody looks, whatever a host makes of it.
        """
        caption = html.escape(self.caption)
        if not self.table:
            return f"<p>{caption}: there is no attention to show.</p>{folded}"
        picture = (
            f'<p><img alt="{caption}" src="data:image/png;base64,{base64.b64encode(self.png).decode()}"></p>'
            if pictured
            else ""
        )
        along = f"<p>{html.escape(self.along)}</p>" if self.along else ""
        number = "logits" if self.effects else "weight"
        head = "".join(f"<th>{name} key</th><th>{number}</th>" for name in ("largest", "second", "third")[: self._keys])
        rows = "".join(
            f"<tr><th>{html.escape(query)}</th>"
            + "".join(f"<td>{html.escape(key)}</td><td>{self._number(weight)}</td>" for key, weight in keys)
            + "</tr>"
            for query, keys in self.table
        )
        what = "The largest effects" if self.effects else "What changed most" if self.signed else "The largest weights"
        summary = f"{what} of the last queries"
        return (
            f"<p><b>{caption}</b></p>{picture}{along}<details><summary>{summary}</summary>"
            f"<table><thead><tr><th>query</th>{head}</tr></thead><tbody>{rows}</tbody></table>{folded}</details>"
        )

    def _number(self, weight: float) -> str:
        return f"{weight:{'+' if self.signed else ''}.3f}".replace("-", "\N{MINUS SIGN}")

    @property
    def _keys(self) -> int:
        return max(len(keys) for _, keys in self.table)


def still(view: Any) -> Still:
    """What an Explorer shows now."""
    maps, layer, head = view.maps, view.layer, view.head
    title = view.facts["title"] or f"{maps.n_queries} tokens"
    empty = 0 in (maps.n_queries, maps.n_keys, maps.heads[layer])
    derived = view.map in view.shown.derived
    runs = view.shown.runs if view.place.against else {}
    one = derived and maps.heads == (1,)  # made of several layers, and in none of them
    place = "" if empty or one else f"layer {maps.layer_numbers[layer]} · head {maps.head_numbers[layer][head]}"
    if len(view.shown.measuring) > 1 or derived:
        name = runs[view.map].part if view.map in runs and derived else "" if view.map in runs else view.map
        place = " · ".join(part for part in (name, place) if part)
    place = " · ".join(_word(part) for part in (place, name_of(view)) if part)
    effects = view.shown.unit is not None
    return Still(_word(title), place, [] if empty else _table(view), view, differs(view), effects, _along(view))


def _reduced(figure: Any, dots: int, colours: int) -> bytes:
    """A figure as a PNG of few colours: a third of the size of one of all."""
    from PIL import Image

    drawn, written = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dots)
    picture = (
        Image.open(drawn).convert("RGB").quantize(colours, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    picture.save(written, format="png", optimize=True)
    return written.getvalue()


def _table(view: Any) -> list[tuple[str, list[tuple[str, float]]]]:
    maps = view.maps
    first = max(0, maps.n_queries - ROWS)
    weights = shown_weights(view, slice(first, maps.n_queries))[0].nan_to_num(0)
    keys = weights.abs().topk(min(KEYS, maps.n_keys))[1]
    largest = weights.gather(1, keys)
    return [
        (
            _word(maps.tokens.labels[first + row]),
            [
                (_word(maps.key_tokens.labels[int(key)]), float(weight))
                for key, weight in zip(keys[row], largest[row], strict=True)
                if weight != 0
            ],
        )
        for row in range(len(weights))
    ]


def _along(view: Any) -> str:
    strip = view.shown.strips.get(view.shown.source(view.map))
    if strip is None:
        return ""
    values, labels = strip["values"], view.maps.key_tokens.labels
    keys = sorted(range(len(values)), key=lambda key: -abs(values[key]))[:KEYS]
    sign = "+" if strip["signed"] else ""
    numbers = [f"{values[key]:{sign}.3g}".replace("-", "\N{MINUS SIGN}") for key in keys]
    largest = ", ".join(f"{_word(labels[key])} {number}" for key, number in zip(keys, numbers, strict=True))
    return f"{_word(strip['name'])}, largest: {largest}"


def _word(text: str) -> str:
    """A label as a line: short, and with nothing in it that cannot be written."""
    line = " ".join(text.encode(errors="replace").decode().split()) or "␣"
    return line if len(line) <= LONGEST_WORD else f"{line[: LONGEST_WORD // 2 - 1]}…{line[1 - LONGEST_WORD // 2 :]}"
