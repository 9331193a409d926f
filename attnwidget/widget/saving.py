"""Saving: what a view shows, as a file whose name says in which form."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attnwidget.arguments import refuse_unknown
from attnwidget.files import as_cell, check_path, write
from attnwidget.widget.weights import shown_weights

__all__ = ["save"]

PICTURES = (".png", ".svg", ".pdf")
LARGEST_TABLE = 1 << 24  # cells: some 150 MB of text


def save(view: Any, path: str | Path, options: Mapping[str, Any]) -> Path:
    """Write a view to a file; what is not known is refused before anything is computed."""
    path = check_path(path, tuple(ENDINGS))
    view.maps  # noqa: B018 - a closed view says so itself
    return ENDINGS[path.suffix.lower()](view, path, dict(options))


def _page(view: Any, path: Path, options: dict[str, Any]) -> Path:
    refuse_unknown(options, ["limit_mb", "layers", "precision", "progress"], "a page")
    return write(path, view.to_html(**options).encode(), endings=tuple(ENDINGS))


def _picture(view: Any, path: Path, options: dict[str, Any]) -> Path:
    from attnwidget import figures

    dpi = options.pop("dpi", 300)
    return figures.save(figures.of_view(view, **options), path, dpi=dpi)


def _table(view: Any, path: Path, options: dict[str, Any]) -> Path:
    """Weights of the chosen head, or the difference that is shown; masked cells are empty."""
    refuse_unknown(options, [], "a table")
    maps = view.maps
    if maps.n_queries * maps.n_keys > LARGEST_TABLE:
        raise ValueError(
            f"{maps.n_queries:,} x {maps.n_keys:,} weights are too many for a table; take rows of "
            f"maps.weights({view.layer}, {view.head}), or save a picture."
        )
    shown, seen = shown_weights(view, slice(0, maps.n_queries))
    weights, hidden = shown.float().numpy(), ~seen.numpy()
    cells = np.char.mod("%.9g", weights).astype(object).reshape(weights.shape)  # older numpy flattens what is empty
    cells[hidden] = ""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(["", *map(as_cell, maps.key_tokens.labels)])
    writer.writerows([as_cell(label), *row] for label, row in zip(maps.tokens.labels, cells.tolist(), strict=True))
    # The mark in front tells spreadsheets that it is UTF-8; others skip it.
    return write(path, written.getvalue().encode("utf-8-sig", errors="replace"), endings=tuple(ENDINGS))


ENDINGS: dict[str, Callable[[Any, Path, dict[str, Any]], Path]] = {
    ".html": _page,
    **dict.fromkeys(PICTURES, _picture),
    ".csv": _table,
}
