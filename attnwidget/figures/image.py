"""Image: what one query gives to the patches of a picture, laid over it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attnwidget.figures.choosing import Chosen
from attnwidget.figures.colours import ACCENT, HATCH, norm
from attnwidget.figures.heatmap import BAR, bar, frame
from attnwidget.figures.reading import Array, row
from attnwidget.figures.row import query_name
from attnwidget.figures.sheet import EDGES, Sheet, entitle

__all__ = ["draw"]

LONGEST = 3.6  # inches
STRONGEST = 0.85  # how much of the picture the largest weight covers


def draw(chosen: Chosen) -> Figure | Axes:
    """The picture, and over it the weights of one query: the larger, the less is seen of the picture."""
    maps, layer, head, query = chosen.maps, chosen.layer, chosen.head, chosen.query
    grid = maps.key_tokens.image
    if grid is None:
        raise ValueError(
            "kind='image' needs keys that are the patches of a picture, and these maps have none; give them with "
            "tokens.with_image(ImageGrid(start, rows, columns, picture)), or key_tokens where these are others."
        )
    weights, visible, outside = row(maps, layer, head, query, factor=chosen.factor)
    inside = slice(grid.start, grid.stop)
    shape = (grid.rows, grid.columns)
    patches = np.ma.masked_array(weights[inside], ~visible[inside] | np.isnan(weights[inside])).reshape(shape)
    on_patches = float(patches.filled(0).sum())
    beside = float(np.nansum(weights)) - on_patches
    captions = [f"{on_patches:.3g} of the weight on the patches, {max(0, beside):.3g} on other tokens."]
    if outside > 0:
        captions.append(f"{outside:.3g} outside the map.")
    if np.isnan(weights).any():
        captions = ["This row has no values."]
    if np.ma.getmaskarray(patches).any():
        captions.append("Hatched: keys that the query may not see.")
    picture = None if grid.picture is None else grid.picture.detach().cpu().numpy()
    tall, wide = shape if picture is None else picture.shape[:2]
    title = chosen.heading(chosen.place(layer, head), query_name(chosen))
    if chosen.ax is not None:
        axes, sheet = chosen.ax, None
    else:
        width = LONGEST * min(1, wide / tall) if chosen.width is None else max(0.5, chosen.width - BAR - EDGES)
        sheet = Sheet(width + BAR, width * tall / wide, title, captions)
        axes = sheet.box(0, 0, width, width * tall / wide)
    extent = (-0.5, grid.columns - 0.5, grid.rows - 0.5, -0.5)
    if picture is not None:
        axes.imshow(picture, extent=extent, interpolation="antialiased")
    largest = chosen.vmax if isinstance(chosen.vmax, float) else float(patches.filled(0).max()) or 1.0
    cmap = chosen.cmap if picture is None else _veil(chosen.cmap)
    image = axes.imshow(
        patches, cmap=cmap, norm=norm(chosen.scale, largest), extent=extent, interpolation="nearest", aspect="auto"
    )
    axes.set(xticks=[], yticks=[])
    frame(axes)
    _mark(axes, chosen, np.ma.getmaskarray(patches))
    if sheet is None:
        axes.set_aspect(tall / wide * grid.columns / grid.rows)
        return entitle(axes, title, "", captions)
    bar(sheet, image, width + 0.12, 0, width * tall / wide, beyond=float(patches.filled(0).max()) > largest * 1.000001)
    return sheet


def _veil(cmap: Colormap) -> Colormap:
    """Colours that cover more of what lies under them the larger the weight is; nothing at 0."""
    colours = cmap(np.linspace(0, 1, 256))
    # From the middle of the ramp on: its beginning is the white of paper, which would wash the picture out.
    colours[:, :3] = cmap(np.linspace(0.5, 1, 256))[:, :3]
    colours[:, 3] = STRONGEST * np.linspace(0, 1, 256)
    return ListedColormap(colours, name=cmap.name).with_extremes(bad=(0, 0, 0, 0))


def _mark(axes: Axes, chosen: Chosen, masked: Array) -> None:
    """Hatch what the query may not see, and frame the query where it is a patch of the same picture."""
    down, across = np.nonzero(masked)
    corners = np.stack([across, down], -1)[:, None] + np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    hatched: Any = {"hatch": "/" * 7, "facecolors": "none", "edgecolors": HATCH, "linewidths": 0}
    axes.add_collection(PolyCollection(list(corners), **hatched), autolim=False)
    grid = chosen.maps.tokens.image
    if grid is not None and grid.start <= chosen.query < grid.stop:
        place, column = divmod(chosen.query - grid.start, grid.columns)
        axes.add_patch(Rectangle((column - 0.5, place - 0.5), 1, 1, fill=False, edgecolor=ACCENT, linewidth=1.6))
