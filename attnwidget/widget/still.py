"""Still: what a view shows, where no script runs and no widget is drawn: a picture, its numbers, and words."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from attnwidget.layers import temper

__all__ = ["Still", "still"]

ROWS, KEYS = 12, 3  # of the table: the last queries, and what each gives most to
LONGEST_WORD = 40
LARGEST_PICTURE = 100_000  # bytes
SHARPNESS = (160, 110, 80, 50)  # dots per inch, the first that keeps the picture small


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
        The last queries, each with the keys that get most of it and how much that is.
    view : Explorer
        Where the picture comes from.
    """

    title: str
    place: str
    table: list[tuple[str, list[tuple[str, float]]]]
    view: Any

    @property
    def caption(self) -> str:
        """Title and place in a line."""
        return " · ".join(part for part in (self.title, self.place) if part)

    @cached_property
    def png(self) -> bytes:
        """The picture of it, at most 100 KB; empty where there is nothing to draw."""
        from attnwidget.figures import of_view

        if not self.table:
            return b""
        figure = of_view(self.view)
        drawn = b""
        for dots in SHARPNESS:
            written = io.BytesIO()
            figure.savefig(written, format="png", dpi=dots)
            drawn = written.getvalue()
            if len(drawn) <= LARGEST_PICTURE:
                break
        return drawn

    @property
    def text(self) -> str:
        """Title, place and table as plain text."""
        lines = [f"{query} → {', '.join(f'{key} {weight:.3f}' for key, weight in keys)}" for query, keys in self.table]
        return "\n".join([self.caption, *lines])

    @property
    def html(self) -> str:
        """All of it as markup that needs neither script nor style: a figure and its numbers."""
        caption = html.escape(self.caption)
        if not self.table:
            return f"<figure><figcaption>{caption}: there is no attention to show.</figcaption></figure>"
        rows = "".join(
            f"<tr><th>{html.escape(query)}</th>"
            + "".join(f"<td>{html.escape(key)}</td><td>{weight:.3f}</td>" for key, weight in keys)
            + "</tr>"
            for query, keys in self.table
        )
        picture = base64.b64encode(self.png).decode()
        return (
            f'<figure><img alt="{caption}" src="data:image/png;base64,{picture}"><figcaption>{caption}</figcaption>'
            f"<details><summary>The largest weights of the last queries</summary><table>{rows}</table></details>"
            "</figure>"
        )


def still(view: Any) -> Still:
    """What an Explorer shows now."""
    maps, layer, head = view.maps, view.layer, view.head
    title = view.facts["title"] or f"{maps.n_queries} tokens"
    empty = 0 in (maps.n_queries, maps.n_keys, maps.heads[layer])
    place = "" if empty else f"layer {maps.layer_numbers[layer]} · head {maps.head_numbers[layer][head]}"
    if len(view.shown.maps) > 1:
        place = " · ".join(part for part in (view.map, place) if part)
    return Still(_word(title), _word(place), [] if empty else _table(view), view)


def _table(view: Any) -> list[tuple[str, list[tuple[str, float]]]]:
    maps = view.maps
    first = max(0, maps.n_queries - ROWS)
    weights = _weights(view, slice(first, maps.n_queries))
    largest, keys = weights.nan_to_num(0).topk(min(KEYS, maps.n_keys))
    return [
        (
            _word(maps.tokens.labels[first + row]),
            [
                (_word(maps.key_tokens.labels[int(key)]), float(weight))
                for key, weight in zip(keys[row], largest[row], strict=True)
                if weight > 0
            ],
        )
        for row in range(len(weights))
    ]


def _weights(view: Any, rows: slice) -> Tensor:
    """Rows of the chosen head, as they are shown."""
    source, heads = view.maps.locate(view.layer, view.head)
    factor = 1.0 if view.map in view.shown.derived else view.scaling / view.temperature
    with torch.no_grad():
        weights: Tensor = source.weights(heads, rows)
        if factor != 1:
            log_weights, outside = source.log_weights(heads, rows)
            weights = temper(log_weights, outside, factor)[0].exp()
    return weights[0].cpu()


def _word(text: str) -> str:
    """A label as a line: short, and with nothing in it that cannot be written."""
    line = " ".join(text.encode(errors="replace").decode().split()) or "␣"
    return line if len(line) <= LONGEST_WORD else f"{line[: LONGEST_WORD // 2 - 1]}…{line[1 - LONGEST_WORD // 2 :]}"
