"""Grid: every head of every layer, each as a small picture."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from attnwidget.figures.choosing import Chosen
from attnwidget.figures.colours import FAINT, MUTED, norm
from attnwidget.figures.heatmap import BAR, NAME, bar, clipped, end_of_scale, notes
from attnwidget.figures.lettering import SMALL, literal, width_of
from attnwidget.figures.reading import Cells, cells
from attnwidget.figures.sheet import EDGES, Sheet, entitle

__all__ = ["draw", "name_heads"]

MOST = 64  # cells a side
WIDTH = 6.5  # inches, a page of text
SIDE = (0.16, 0.9)  # inches of one picture
GAP = 0.1  # of a picture
_MASKED = "#e9ecef"  # what a hatch would be, this small


def draw(chosen: Chosen) -> Figure | Axes:
    """Layers down and heads across, in one Axes: the picture of a layer's head lies around (head, layer)."""
    maps = chosen.maps
    places = [(layer, head) for layer, n in enumerate(maps.heads) for head in range(n)]
    # Read and pooled head by head: no layer's matrices are ever held together.
    shown = [cells(maps, *place, factor=chosen.factor, most=MOST, share=len(places)) for place in places]
    largest = end_of_scale(chosen, shown)
    title = chosen.heading(f"{maps.n_layers} layers, {len(places)} heads")
    captions = [note.replace("Hatched", "Grey") for note in notes(shown)]
    aspect = min(3.0, max(1 / 3, maps.n_queries / maps.n_keys))
    n_heads = max(maps.heads)
    if chosen.ax is not None:
        axes = chosen.ax
    else:
        left = NAME + width_of([str(number) for number in maps.layer_numbers]) + 0.08
        beside = 0.0 if chosen.vmax == "each" else BAR
        side = ((chosen.width or WIDTH) - EDGES - left - beside) / n_heads
        side = max(SIDE[0], side if chosen.width else min(SIDE[1], side))
        width, height = n_heads * side, maps.n_layers * side * aspect
        sheet = Sheet(left + width + beside, height + NAME + 0.2, title, captions, inset=left)
        axes = sheet.box(left, 0, width, height)
    images = [
        _picture(axes, chosen, one, place, one.largest if chosen.vmax == "each" else largest)
        for one, place in zip(shown, places, strict=True)
    ]
    axes.set(xlim=(-0.5, n_heads - 0.5), ylim=(maps.n_layers - 0.5, -0.5), aspect="auto")
    name_heads(axes, chosen)
    if chosen.ax is not None:
        return entitle(axes, title, axes.get_xlabel(), captions)
    if chosen.vmax != "each":
        bar(sheet, images[0], left + width + 0.12, 0, height, beyond=clipped(shown, largest))
    return sheet


def _picture(axes: Axes, chosen: Chosen, one: Cells, place: tuple[int, int], largest: float) -> AxesImage:
    layer, head = place
    half = 0.5 - GAP / 2
    extent = (head - half, head + half, layer + half, layer - half)
    # Of many pictures each is a flat grey where it is masked: a hatch would be wider than their cells.
    image = axes.imshow(
        one.weights,
        cmap=chosen.cmap.with_extremes(bad=_MASKED),
        norm=norm(chosen.scale, largest),
        interpolation="nearest",
        extent=extent,
    )
    axes.add_patch(Rectangle((extent[0], extent[3]), 2 * half, 2 * half, fill=False, linewidth=0.4, edgecolor=FAINT))
    return image


def name_heads(axes: Axes, chosen: Chosen) -> None:
    """Numbers of layers and heads along the axes; where layers have kept other heads, only where these stand."""
    maps = chosen.maps
    longest = max(maps.head_numbers, key=len)
    alike = all(tuple(numbers) == tuple(longest[: len(numbers)]) for numbers in maps.head_numbers)
    heads: Sequence[int] = longest if alike else range(len(longest))
    for axis, numbers, name in (
        (axes.yaxis, maps.layer_numbers, "layer"),
        (axes.xaxis, heads, "head" if alike else "head, counted among those kept"),
    ):
        every = max(1, -(-len(numbers) // 40))
        at = range(0, len(numbers), every)
        axis.set_ticks(at, [str(numbers[i]) for i in at], **literal(size=SMALL))
        axis.set_tick_params(length=0, pad=3)
        axis.set_label_text(name, **literal(size=SMALL, colour=MUTED))
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)
