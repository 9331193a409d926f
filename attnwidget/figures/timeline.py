"""Timeline: the curves of a measure over the steps, and maps of the chosen head at a few of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from attnwidget.figures.colours import ACCENT, FAINT, HEADS, MUTED, TEXT
from attnwidget.figures.lettering import SMALL, drawable, literal
from attnwidget.figures.row import rule
from attnwidget.figures.sheet import Sheet

__all__ = ["draw"]

WIDTH, HEIGHT, LEFT, BELOW, LEGEND = 6.2, 1.9, 0.5, 0.36, 0.2
MAP, GAP = 1.1, 0.14  # inches of a map, and between two
MOST = 4  # maps
CELLS = 128  # on a side of a map
EVENTS = 6  # that are named


def draw(view: Any) -> Sheet:
    """What a Timeline shows: curves of all heads, the chosen one in colour, events, and its map at a few steps."""
    told = next((one for one in view.facts["measures"] if one["name"] == view.measure), {"label": view.measure})
    title = " · ".join(part for part in (view.facts["title"], f"layer {view.layer_number} head {view.head}") if part)
    maps = _maps(view)
    above = MAP + 0.42 if maps else 0.0
    events = view.events()
    captions = [f"{_step(view, one.place)}: {one.text}." for one in events[:EVENTS]]
    if len(events) > EVENTS:
        captions.append(f"{len(events) - EVENTS} more events.")
    sheet = Sheet(LEFT + WIDTH, above + LEGEND + HEIGHT + BELOW, title, captions, inset=LEFT)
    for at, (name, one) in enumerate(maps):
        _map(sheet.box(LEFT + at * (MAP + GAP), 0.18, MAP, MAP), one, view, name)
    axes = sheet.box(LEFT, above + LEGEND, WIDTH, HEIGHT)
    for run, (name, track) in enumerate(view.runs.items()):
        if view.map not in track.heads() or view.measure not in track.measures():
            continue
        numbers = track.numbers(view.map, view.measure, 0)
        steps = np.asarray(track.steps, dtype=float)
        colour = ACCENT if run == 0 else HEADS[run]
        if len(view.runs) == 1:
            axes.plot(steps, numbers.reshape(len(steps), -1), color=FAINT, linewidth=0.6, alpha=0.8)
        label = drawable(name) if name else f"layer {view.layer_number} head {view.head}"
        axes.plot(steps, numbers[:, view.layer, view.head], color=colour, linewidth=1.4, label=label)
    for one in events:
        axes.axvline(_first(view).steps[one.place], color=MUTED, linewidth=0.6, linestyle=(0, (2, 2)))
    axes.margins(x=0.01)
    rule(axes)
    unit = f" ({told['unit']})" if told.get("unit") else ""
    axes.set_ylabel(drawable(f"{told['label']}{unit}"), **literal(size=SMALL, colour=MUTED))
    axes.set_xlabel("step", **literal(size=SMALL, colour=MUTED))
    axes.tick_params(labelsize=SMALL, colors=MUTED)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            frameon=False, fontsize=SMALL, ncols=4, handlelength=1.6, loc="lower left", bbox_to_anchor=(0, 1),
            borderaxespad=0.2, borderpad=0,
        )  # fmt: skip
    return sheet


def _first(view: Any) -> Any:
    return next(iter(view.runs.values()))


def _step(view: Any, place: int) -> str:
    track = _first(view)
    return f"step {track.steps[place]:,}" if track.labels is None else str(track.labels[place])


def _maps(view: Any) -> list[tuple[str, Any]]:
    """The chosen head at an even spread of the steps whose maps were kept, each with its name."""
    track = _first(view)
    places = [place for place, kept in enumerate(track.kept()) if kept]
    if not places or not view.map:
        return []
    spread = np.unique(np.linspace(0, len(places) - 1, min(MOST, len(places))).round().astype(int))
    found = []
    for at in spread:
        maps = track.maps(places[at]).get(view.map)
        if maps is not None:
            found.append((_step(view, places[at]), maps))
    return found


def _map(axes: Axes, maps: Any, view: Any, name: str) -> None:
    from attnwidget.figures.colours import colour_map
    from attnwidget.pooling import Grid, pool

    source, heads = maps.locate(view.layer, view.head)
    stride = max(1, -(-max(maps.n_queries, maps.n_keys) // CELLS))
    grid = Grid((0, maps.n_queries), (0, maps.n_keys), (stride, stride), stride)
    weights = pool(source, heads, grid, factor=1.0, pooling="max").log_weights.float().exp().cpu().numpy()
    axes.imshow(np.nan_to_num(weights), cmap=colour_map("ink"), interpolation="nearest", aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])
    for edge in axes.spines.values():
        edge.set(color=FAINT, linewidth=0.5)
    axes.set_title(drawable(name), **literal([name], SMALL, TEXT), pad=3)
