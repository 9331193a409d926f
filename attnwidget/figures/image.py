"""Image: what one query gives to the patches of its pictures, laid over them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from attnwidget.figures.choosing import Chosen
from attnwidget.figures.colours import ACCENT, HATCH, norm
from attnwidget.figures.heatmap import BAR, bar, frame
from attnwidget.figures.reading import Array, row
from attnwidget.figures.row import query_name
from attnwidget.figures.sheet import EDGES, Sheet, entitle
from attnwidget.tokens import ImageGrid

__all__ = ["draw"]

LONGEST = 3.6  # inches
PAGE = 6.5  # inches, where there are several
SEVERAL = 4  # pictures side by side
STRONGEST = 0.85  # how much of the picture the largest weight covers
GAP, HEADING = 0.1, 0.17


def draw(chosen: Chosen) -> Figure | Axes:
    """The pictures, and over them the weights of one query: the larger, the less is seen of the picture."""
    maps, layer, head, query = chosen.maps, chosen.layer, chosen.head, chosen.query
    grids = maps.key_tokens.images
    if not grids:
        raise ValueError(
            "kind='image' needs keys that are the patches of a picture, and these maps have none; give them with "
            "tokens.with_image(ImageGrid(start, rows, columns, picture)), or key_tokens where these are others."
        )
    if chosen.ax is not None and len(grids) > 1:
        raise ValueError(
            f"ax= takes one picture, and these keys are patches of {len(grids)}. Leave it out: they are drawn side by "
            "side."
        )
    weights, visible, outside = row(maps, layer, head, query, factor=chosen.factor)
    panels = [_patches(grid, weights, visible) for grid in grids]
    on_patches = float(sum(panel.filled(0).sum() for panel in panels))
    beside = float(np.nansum(weights)) - on_patches
    captions = [f"{on_patches:.3g} of the weight on the patches, {max(0, beside):.3g} on other tokens."]
    if outside > 0:
        captions.append(f"{outside:.3g} outside the map.")
    if np.isnan(weights).any():
        captions = ["This row has no values."]
    if any(_masked(grid, panel).any() for grid, panel in zip(grids, panels, strict=True)):
        captions.append("Hatched: keys that the query may not see.")
    title = chosen.heading(chosen.place(layer, head), query_name(chosen))
    top = max(float(panel.filled(0).max()) for panel in panels)
    largest = chosen.vmax if isinstance(chosen.vmax, float) else top or 1.0
    if chosen.ax is not None:
        _panel(chosen.ax, chosen, grids[0], panels[0], largest)
        tall, wide = _size(grids[0])
        chosen.ax.set_aspect(tall / wide * grids[0].columns / grids[0].rows)
        return entitle(chosen.ax, title, "", captions)
    columns = len(grids) if len(grids) <= SEVERAL else min(2 * SEVERAL, math.ceil(math.sqrt(len(grids))))
    heading = HEADING if len(grids) > 1 else 0.0
    width = _width(chosen, grids, columns)
    high = width * max(height / wide for height, wide in map(_size, grids))
    rows = math.ceil(len(grids) / columns)
    right, bottom = columns * (width + GAP) - GAP, rows * (high + heading + GAP) - GAP
    sheet = Sheet(right + BAR, bottom, title, captions)
    for number, (grid, panel) in enumerate(zip(grids, panels, strict=True)):
        down, across = divmod(number, columns)
        x, y = across * (width + GAP), down * (high + heading + GAP) + heading
        height, wide = _size(grid)
        image = _panel(sheet.box(x, y, width, width * height / wide), chosen, grid, panel, largest)
        if heading:
            sheet.write(x, y - 0.035, f"{grid.name} · {float(panel.filled(0).sum()):.3g}", va="baseline")
    bar(sheet, image, right + 0.12, heading, bottom - heading, beyond=top > largest * 1.000001)
    return sheet


def _width(chosen: Chosen, grids: tuple[ImageGrid, ...], columns: int) -> float:
    """Inches of one picture."""
    room = chosen.width
    if len(grids) == 1:
        tall, wide = _size(grids[0])
        return LONGEST * min(1, wide / tall) if room is None else max(0.5, room - BAR - EDGES)
    each = ((room or PAGE) - BAR - EDGES - GAP * (columns - 1)) / columns
    return max(0.3, min(LONGEST / 2, each) if room is None else each)


def _size(grid: ImageGrid) -> tuple[int, int]:
    """Height and width of a picture, or of its patches where it did not come."""
    return (grid.rows, grid.columns) if grid.picture is None else (grid.picture.shape[0], grid.picture.shape[1])


def _patches(grid: ImageGrid, weights: Array, visible: Array) -> Any:
    """Weights of the patches, [rows, columns]; masked where there is no token, no weight, or it may not be seen."""
    places = np.array(grid.positions)
    missing = (places < 0) | ~visible[places] | np.isnan(weights[places])
    return np.ma.masked_array(weights[places], missing).reshape(grid.rows, grid.columns)


def _masked(grid: ImageGrid, patches: Any) -> Array:
    """Patches that the query may not see, of those that there are."""
    there = np.array(grid.positions).reshape(grid.rows, grid.columns) >= 0
    hidden: Array = np.ma.getmaskarray(patches) & there
    return hidden


def _panel(axes: Axes, chosen: Chosen, grid: ImageGrid, patches: Any, largest: float) -> AxesImage:
    """One picture, and the weights over it."""
    extent = (-0.5, grid.columns - 0.5, grid.rows - 0.5, -0.5)
    if grid.picture is not None:
        axes.imshow(grid.picture.detach().cpu().numpy(), extent=extent, interpolation="antialiased")
    cmap = chosen.cmap if grid.picture is None else _veil(chosen.cmap)
    image = axes.imshow(
        patches, cmap=cmap, norm=norm(chosen.scale, largest), extent=extent, interpolation="nearest", aspect="auto"
    )
    axes.set(xticks=[], yticks=[])
    frame(axes)
    _mark(axes, chosen, grid, _masked(grid, patches))
    return image


def _veil(cmap: Colormap) -> Colormap:
    """Colours that cover more of what lies under them the larger the weight is; nothing at 0."""
    colours = cmap(np.linspace(0, 1, 256))
    # From the middle of the ramp on: its beginning is the white of paper, which would wash the picture out.
    colours[:, :3] = cmap(np.linspace(0.5, 1, 256))[:, :3]
    colours[:, 3] = STRONGEST * np.linspace(0, 1, 256)
    return ListedColormap(colours, name=cmap.name).with_extremes(bad=(0, 0, 0, 0))


def _mark(axes: Axes, chosen: Chosen, grid: ImageGrid, masked: Array) -> None:
    """Hatch what the query may not see, and frame the query where it is a patch of the same picture."""
    down, across = np.nonzero(masked)
    corners = np.stack([across, down], -1)[:, None] + np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    hatched: Any = {"hatch": "/" * 7, "facecolors": "none", "edgecolors": HATCH, "linewidths": 0}
    axes.add_collection(PolyCollection(list(corners), **hatched), autolim=False)
    own = grid in chosen.maps.tokens.images and chosen.query in grid.positions
    if own:
        place, column = divmod(list(grid.positions).index(chosen.query), grid.columns)
        axes.add_patch(Rectangle((column - 0.5, place - 0.5), 1, 1, fill=False, edgecolor=ACCENT, linewidth=1.6))
