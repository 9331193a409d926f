"""Still: a Timeline as it stood, where no script runs and no widget is drawn: a picture, its numbers, and words."""

from __future__ import annotations

import base64
import html
import io
from functools import cached_property
from typing import Any

import numpy as np

__all__ = ["Still"]

ROWS = 10


class Still:
    """What a Timeline shows now.

    Parameters
    ----------
    view : Timeline
        What it is of.
    """

    def __init__(self, view: Any) -> None:
        self._view = view
        measure = next((one["label"] for one in view.facts["measures"] if one["name"] == view.measure), view.measure)
        place = f"layer {view.layer_number} · head {view.head} · {measure}" if view.map else "nothing has been read yet"
        self.caption = " · ".join(one for one in (view.facts["title"], place) if one)
        self._rows = _rows(view)

    @property
    def text(self) -> str:
        """Words and numbers as plain text."""
        return "\n".join([self.caption, *(f"{run} {step}: {number}".strip() for run, step, number in self._rows)])

    @cached_property
    def png(self) -> bytes:
        """The curves, and the map at the step; empty where there is nothing to draw."""
        from attnwidget.figures.timeline import draw

        if not self._rows:
            return b""
        written = io.BytesIO()
        draw(self._view).savefig(written, format="png", dpi=80)
        return written.getvalue()

    def markup(self, *, pictured: bool = True, folded: str = "") -> str:
        """The same as markup that needs neither script nor style; what is folded comes where nobody looks."""
        caption = html.escape(self.caption)
        picture = ""
        if pictured and self.png:
            data = base64.b64encode(self.png).decode()
            picture = f'<p><img alt="{caption}" src="data:image/png;base64,{data}"></p>'
        rows = "".join(
            f"<tr><th>{html.escape(f'{run} {step}'.strip())}</th><td>{number}</td></tr>"
            for run, step, number in self._rows
        )
        table = f"<table><thead><tr><th>step</th><th>value</th></tr></thead><tbody>{rows}</tbody></table>"
        return (
            f"<p><b>{caption}</b></p>{picture}<details><summary>The curve in numbers</summary>{table}{folded}</details>"
        )


def _rows(view: Any) -> list[tuple[str, str, str]]:
    """Steps of each run, an even spread of them, and the chosen number there."""
    found = []
    for run, track in view.runs.items():
        if view.map not in track.heads() or view.measure not in track.measures():
            continue
        curve = track.numbers(view.map, view.measure, 0)[:, view.layer, view.head]
        last = max(0, len(curve) - 1)
        spread = np.linspace(0, last, min(ROWS, len(curve))).round()
        places: list[int] = np.unique(spread).astype(int).tolist()
        names = track.steps if track.labels is None else track.labels
        found += [(run, _said(names[at]), "NaN" if np.isnan(curve[at]) else f"{curve[at]:.4g}") for at in places]
    return found


def _said(step: Any) -> str:
    return f"step {step:,}" if isinstance(step, int) else str(step)
