"""Saving: a Timeline as a file whose name says in which form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attnwidget.arguments import refuse_unknown
from attnwidget.files import check_path, write

__all__ = ["save"]

COLUMNS = ["run", "step", "map", "layer", "head"]
PICTURES = (".png", ".svg", ".pdf")
ENDINGS = (".html", *PICTURES, ".csv")


def save(view: Any, path: str | Path, options: Mapping[str, Any]) -> Path:
    """Write a Timeline to a file; what is not known is refused before anything is computed."""
    path = check_path(path, ENDINGS)
    view.check_open()
    ending = path.suffix.lower()
    if ending == ".html":
        refuse_unknown(options, ["limit_mb", "progress"], "a page of a Timeline")
        return write(path, view.to_html(**options).encode(), endings=ENDINGS)
    if ending in PICTURES:
        from attnwidget import figures
        from attnwidget.figures.timeline import draw

        refuse_unknown(options, ["dpi"], "a picture of a Timeline")
        return figures.save(draw(view), path, **options)
    refuse_unknown(options, [], "a table")
    return write(path, table(view).to_csv(index=False).encode("utf-8-sig", errors="replace"), endings=ENDINGS)


def table(view: Any) -> Any:
    """All numbers: a row for each run, step, map, layer and head."""
    import pandas as pd

    frames = []
    for run, track in view.runs.items():
        steps = np.array(track.steps if track.labels is None else track.labels)
        for name, (layers, heads) in track.heads().items():
            places = [one.ravel() for one in np.indices((len(steps), layers, heads))]
            numbers = {measure: track.numbers(name, measure, 0).ravel() for measure in track.measures()}
            layer = np.asarray(track.layer_numbers(name))[places[1]]
            told = {"run": run, "step": steps[places[0]], "map": name, "layer": layer, "head": places[2]}
            frames.append(pd.DataFrame(told | numbers))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)
