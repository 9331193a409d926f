"""Look: colours, axes and tooltips that all charts share, on light and on dark."""

from __future__ import annotations

from typing import Any

import numpy as np
from bqplot import Axis, ColorAxis, ColorScale, Figure, LinearScale, Tooltip
from ipywidgets import Layout

__all__ = [
    "CHOSEN",
    "HEADS",
    "RAMP",
    "RIM",
    "TEXT",
    "axis",
    "colour_axis",
    "figure_look",
    "ticks",
    "tooltip",
    "unit_scale",
]

# Told apart by every kind of colour vision, and seen on white and on black (Okabe & Ito 2008).
HEADS, CHOSEN = "#0072b2", "#d55e00"
RIM = "#8c8c8c"  # around what may be as light or as dark as the page
RAMP = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"]
TEXT, MUTED = "var(--jp-content-font-color1, #777)", "var(--jp-content-font-color2, #777)"
HEIGHT = 320  # pixels


def figure_look(**margins: int) -> dict[str, Any]:
    """What a figure is made with."""
    return {
        "layout": Layout(width="auto", height=f"{HEIGHT}px", min_width="0"),
        "fig_margin": {"top": 36, "bottom": 54, "left": 62, "right": 20} | margins,
        "title_style": {"font-size": "14px", "fill": TEXT},
        "padding_y": 0.05,
        **({"display_toolbar": False} if hasattr(Figure, "display_toolbar") else {}),  # bqplot before 0.13 has none
    }


def axis(scale: Any, side: str, **options: Any) -> Axis:
    """An axis without lines across the plot."""
    return Axis(
        scale=scale,
        side=side,
        grid_lines="none",
        label_color=TEXT,
        label_offset="44px" if side == "left" else "38px",
        tick_style={"fill": MUTED},
        **options,
    )


def colour_axis(scale: ColorScale, label: str) -> ColorAxis:
    """A legend of colours at the right."""
    return ColorAxis(scale=scale, side="right", label=label, label_color=TEXT, tick_style={"fill": MUTED}, num_ticks=4)


def tooltip(**fields: tuple[str, str]) -> dict[str, Any]:
    """What a mark tells of what is under the pointer: fields with their labels and formats."""
    labels, formats = zip(*fields.values(), strict=True)
    return {
        "tooltip": Tooltip(fields=[*fields], labels=[*labels], formats=[*formats]),
        "tooltip_style": {"opacity": 0.95, "color": TEXT},
    }


def ticks(values: Any, most: int = 6) -> Any:
    """Round numbers across some values, at most so many: bqplot's own overlap in a narrow chart."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    if high == low:
        return np.array([low])
    raw = (high - low) / (most - 1)
    size = 10.0 ** np.floor(np.log10(raw))
    step = size * next(factor for factor in (1, 2, 5, 10) if factor * size >= raw)
    return np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step


def unit_scale() -> LinearScale:
    """A scale that fills the plot from 0 to 1, whatever else is in it."""
    return LinearScale(min=0, max=1, allow_padding=False)
