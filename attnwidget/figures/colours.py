"""Colours: what a weight looks like on white paper."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Colormap, FuncNorm, ListedColormap, LogNorm, Normalize, PowerNorm

__all__ = [
    "ACCENT",
    "FAINT",
    "HATCH",
    "HEADS",
    "MUTED",
    "SCALES",
    "TEXT",
    "colour_map",
    "diverging",
    "ink_on",
    "norm",
    "signed_norm",
]

TEXT, MUTED, FAINT, HATCH, ACCENT = "#1d2125", "#626b75", "#b4bbc3", "#dde1e6", "#1f66c1"
# Apart on white for every kind of colour vision; the Explorer's.
HEADS = ("#3b51d3", "#f25914", "#901308", "#5590f3", "#31079a", "#a18b95", "#510840", "#7d5279")
SCALES = ("linear", "sqrt", "log")
Array: TypeAlias = np.ndarray[Any, Any]
DECADES = 4  # how far below the largest weight the logarithmic scale reaches, in powers of ten
_PAPER, _INK = (1.0, 0.0, 0.0), (0.36, -0.0289, -0.1234)  # in OKLab: equal steps between them look equal
_LESS, _MORE = ((0.45, 0.13 * np.cos(hue), 0.13 * np.sin(hue)) for hue in (0.95, 4.45))  # orange and blue


@cache
def _ink() -> Colormap:
    """From paper to a dark blue in equal steps of lightness: the Explorer's, paler by what sRGB cannot show."""
    return ListedColormap(_between(_PAPER, _INK), name="ink")


@cache
def diverging() -> Colormap:
    """From orange through paper to dark blue, alike on both sides: the Explorer's colours of less and more."""
    rows = np.concatenate([_between(_PAPER, _LESS)[::-1], _between(_PAPER, _MORE)])
    return ListedColormap(rows, name="less and more")


def _between(start: Sequence[float], end: Sequence[float]) -> Array:
    """Colours in equal steps from one to another."""
    share = np.linspace(0, 1, 256)[:, None]
    lab = (1 - share) * np.array(start) + share * np.array(end)
    cones = lab @ np.array(
        [[1, 1, 1], [0.3963377774, -0.1055613458, -0.0894841775], [0.2158037573, -0.0638541728, -1.291485548]]
    )
    linear = cones**3 @ np.array(
        [
            [4.0767416621, -1.2684380046, -0.0041960863],
            [-3.3077115913, 2.6097574011, -0.7034186147],
            [0.2309699292, -0.3413193965, 1.707614701],
        ]
    )
    linear = linear.clip(0, 1)
    encoded: Array = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).round(6)
    return encoded


def colour_map(chosen: Any) -> Colormap:
    """A colour map by its name, itself, or "ink" for None; masked cells are transparent in it.

    Raises
    ------
    TypeError, ValueError
        When it is none.
    """
    if chosen is None or chosen == "ink":
        found = _ink()
    elif isinstance(chosen, Colormap):
        found = chosen
    elif not isinstance(chosen, str):
        raise TypeError(f"cmap is {type(chosen).__name__}; expected the name of a matplotlib colormap, or one itself.")
    elif chosen in mpl.colormaps:
        found = mpl.colormaps[chosen]
    else:
        near = difflib.get_close_matches(chosen, ["ink", *mpl.colormaps], n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "expected 'ink', or any colormap of matplotlib."
        raise ValueError(f"cmap={chosen!r} is not known; {hint}")
    return found.with_extremes(bad=(0, 0, 0, 0))


def norm(scale: str, largest: float) -> Normalize:
    """Where weights from 0 to the largest fall on the colours; what is larger has the last colour."""
    if scale == "sqrt":
        return PowerNorm(0.5, 0, largest, clip=True)
    if scale == "log":
        return LogNorm(largest * 10.0**-DECADES, largest, clip=True)
    return Normalize(0, largest, clip=True)


def signed_norm(scale: str, largest: float) -> Normalize:
    """Where differences from -largest to the largest fall on the colours, 0 in the middle."""
    if scale == "linear":
        return Normalize(-largest, largest, clip=True)
    one = norm(scale, largest)

    def place(values: Any) -> Any:
        sizes = np.ma.filled(one(np.maximum(np.abs(values), np.finfo(float).tiny)), 0)
        return np.sign(values) * np.clip(sizes, 0, 1)

    def value(places: Any) -> Any:
        return np.sign(places) * np.where(np.asarray(places) == 0, 0, one.inverse(np.abs(places)))

    return FuncNorm((place, value), -largest, largest, clip=True)


def ink_on(colour: tuple[float, ...]) -> str:
    """Black or white, whichever contrasts more with a colour (relative luminance as WCAG defines it)."""
    rgb = np.array(colour[:3])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "black" if float(linear @ (0.2126, 0.7152, 0.0722)) > 0.179 else "white"
