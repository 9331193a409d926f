"""Lines: queries on the left, keys on the right, and between them a line for each weight, of one head or several."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from attnwidget.figures.choosing import Chosen
from attnwidget.figures.colours import HEADS, norm
from attnwidget.figures.heatmap import BAR, axis_names, bar, clipped, end_of_scale, notes
from attnwidget.figures.lettering import mark_axis, room
from attnwidget.figures.reading import Array, Cells, Head, cells
from attnwidget.figures.sheet import EDGES, Sheet, entitle, inches

__all__ = ["draw"]

MOST = 512  # tokens a side; a page has no room for the lines of more
STRONGEST = 4000  # lines; what is fainter is counted
BETWEEN = 2.6  # inches
PITCH, TALLEST = (0.055, 0.19), 7.5  # inches a token, and of a column
NAMES = 0.2  # inches above the columns
WIDTHS = (0.25, 2.2)  # points of the faintest line and of the strongest
FAINTEST = 0.08


def draw(chosen: Chosen) -> Figure | Axes:
    """One line a weight; its opacity and width are the weight, its colour too, or with several heads the head."""
    maps, heads = chosen.maps, _heads(chosen)
    share = len(heads)
    shown = [cells(maps, chosen.layer, head, factor=chosen.factor, most=MOST, share=share) for head in heads]
    largest = end_of_scale(chosen, shown)
    about = [note.replace("Each cell:", "Each line:") for note in notes(shown) if not note.startswith("Hatched")]
    title = chosen.heading(chosen.place(chosen.layer, heads[0] if share == 1 else None), *_named(chosen, heads))
    rows, columns = shown[0].weights.shape
    segments, weights, owners, said = _strongest(chosen, shown)
    captions = [*said, *(["More than 8 heads: colours repeat."] if share > len(HEADS) else []), *about]
    drawn = segments, weights, owners, largest
    if chosen.ax is not None:
        _fill(chosen, chosen.ax, shown, drawn, inches(chosen.ax)[1], own=False)
        across = f"{axis_names(maps)[0]}, left; {axis_names(maps)[1]}, right"
        return entitle(chosen.ax, title, across, captions)
    pitch = min(PITCH[1], max(PITCH[0], TALLEST / max(rows, columns)))
    height = pitch * max(rows, columns)
    left = room(maps.tokens, height / rows, shown[0].stride[0])
    right = room(maps.key_tokens, height / columns, shown[0].stride[1])
    between = BETWEEN if chosen.width is None else max(0.8, chosen.width - EDGES - left - right - BAR)
    sheet = Sheet(left + between + right + BAR, NAMES + height, title, captions, inset=left)
    axes = sheet.box(left, NAMES, between, height)
    _fill(chosen, axes, shown, drawn, height, own=True)
    down, across = axis_names(maps)
    sheet.write(left, NAMES - 0.05, down, ha="right", va="baseline")
    sheet.write(left + between, NAMES - 0.05, across, ha="left", va="baseline")
    aside = left + between + right + 0.12
    if share == 1:
        ramp = ScalarMappable(norm(chosen.scale, largest), chosen.cmap)
        bar(sheet, ramp, aside, NAMES, height, beyond=clipped(shown, largest))
    for at, head in enumerate(heads if share > 1 else []):
        sheet.write(aside, NAMES + 0.1 + 0.15 * at, f"— {_name(chosen, head)}", colour=HEADS[at % len(HEADS)])
    return sheet


def _heads(chosen: Chosen) -> list[Head]:
    """The heads whose lines are drawn: one, some, or all of the layer."""
    if chosen.head is None:
        return list(range(chosen.maps.heads[chosen.layer]))
    return list(chosen.head) if isinstance(chosen.head, list) else [chosen.head]


def _name(chosen: Chosen, head: Head) -> str:
    return f"head {chosen.maps.head_numbers[chosen.layer][int(head)]}"


def _named(chosen: Chosen, heads: list[Head]) -> list[str]:
    if len(heads) == 1:
        return []
    return [f"heads {', '.join(str(chosen.maps.head_numbers[chosen.layer][int(head)]) for head in heads)}"]


def _strongest(chosen: Chosen, shown: list[Cells]) -> tuple[Array, Array, Array, list[str]]:
    """Ends of lines [lines, 2, 2], weights, places of their heads, the faintest first; and what is left out."""
    found = [np.argwhere(~np.ma.getmaskarray(one.weights)) for one in shown]
    weights = np.concatenate([one.weights.data[tuple(at.T)] for one, at in zip(shown, found, strict=True)])
    owners = np.repeat(np.arange(len(shown)), [len(at) for at in found])
    places = np.concatenate(found)
    kept = np.flatnonzero((weights >= chosen.threshold) & (weights > 0))
    kept = kept[np.argsort(weights[kept], kind="stable")][-STRONGEST:]
    said = []
    if len(kept) < len(weights):
        part = float(weights[kept].sum() / max(weights.sum(), 1e-12))
        said.append(f"{len(kept):,} of {len(weights):,} lines, with {part:.2f} of the weight.")
    rows, columns = shown[0].weights.shape
    segments = np.zeros((len(kept), 2, 2))
    segments[:, 1, 0] = 1
    segments[:, 0, 1] = places[kept, 0]
    segments[:, 1, 1] = (places[kept, 1] + 0.5) / columns * rows - 0.5  # both columns are as tall
    return segments, weights[kept], owners[kept], said


def _fill(
    chosen: Chosen,
    axes: Axes,
    shown: list[Cells],
    drawn: tuple[Array, Array, Array, float],
    height: float,
    *,
    own: bool,
) -> None:
    """Lines between two columns of tokens."""
    segments, weights, owners, largest = drawn
    places = np.asarray(norm(chosen.scale, largest)(weights)).clip(0, 1)
    if len(shown) == 1:
        colours = chosen.cmap(places)
    else:
        colours = np.ones((len(weights), 4))
        colours[:, :3] = [to_rgb(HEADS[owner % len(HEADS)]) for owner in owners] or np.empty((0, 3))
    colours[:, 3] = FAINTEST + (1 - FAINTEST) * places
    points = WIDTHS[0] + (WIDTHS[1] - WIDTHS[0]) * places
    axes.add_collection(LineCollection(list(segments), colors=colours, linewidths=points, capstyle="butt"))
    axes.set(xlim=(0, 1), xticks=[])
    counts, texts = shown[0].weights.shape, (chosen.maps.tokens, chosen.maps.key_tokens)
    for side, one in enumerate((axes, axes.twinx())):
        one.set(ylim=(counts[side] - 0.5, -0.5), facecolor="none")
        one.grid(visible=False)
        one.spines[:].set_visible(False)
        mark_axis(one.yaxis, texts[side], height / counts[side], stride=shown[0].stride[side], own=own)
        one.tick_params(axis="y", length=0, pad=3)
