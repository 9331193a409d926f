"""Lettering: tokens as text that a printer takes, measured before it is set."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import matplotlib as mpl
from matplotlib.axis import Axis, XAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font

from attnwidget.figures.colours import MUTED, TEXT
from attnwidget.tokens import Tokens

__all__ = [
    "HINTED",
    "LABELLED",
    "SMALL",
    "depth",
    "drawable",
    "literal",
    "mark_axis",
    "quiet",
    "readable",
    "room",
    "width_of",
    "wrapped",
    "written",
]

LABELLED = 60  # tokens that are written out along an axis; more are counted
SMALL = 7.0  # points
HINTED = 1.03  # by so much are letters of few dots wider
SMALLEST, LARGEST = 4.5, 8.0
_FINE = 288  # dots per inch that text is measured at, where hinting moves nothing
READABLE = 0.075  # inches from one label to the next
LONGEST = 18  # characters of a label
_PICTURES = {code: chr(0x2400 + code) for code in range(32)}  # Unicode has one of every control character
_SIGNS = _PICTURES | {0x7F: "␡", 0x0A: "⏎", 0x09: "⇥", 0xFEFF: "<BOM>", 0xFFFE: "?", 0xFFFF: "?"}
# What nobody sees: a break that may be, and what turns the text around it around.
_SIGNS |= {0xAD: "<SHY>", 0x200B: "<ZWSP>", 0x2060: "<WJ>", 0x200E: "<LRM>", 0x200F: "<RLM>", 0x61C: "<ALM>"}
_SIGNS |= {0x202A: "<LRE>", 0x202B: "<RLE>", 0x202C: "<PDF>", 0x202D: "<LRO>", 0x202E: "<RLO>"}
_SIGNS |= {0x2066: "<LRI>", 0x2067: "<RLI>", 0x2068: "<FSI>", 0x2069: "<PDI>"}
# They join letters and the parts of an emoji, and are named only where they stand alone.
_JOINERS = {0x200C: "<ZWNJ>", 0x200D: "<ZWJ>", 0xA0: "<NBSP>"}
_NAMED = frozenset(map(chr, (*_SIGNS, *_JOINERS, 0x20)))
_NOTHING_SEEN = re.compile(r"[\s\u00ad\u061c\u115f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff]+")


def readable(label: str) -> str:
    """A token with nothing invisible left in it, cut where it would fill the page."""
    if not label:
        return "∅"
    if not label.strip(" "):
        label = "␣" * len(label)
    if _NOTHING_SEEN.fullmatch(label) and label.strip(" \n\t"):
        label = label.translate(_JOINERS | {ord(sign): f"<U+{ord(sign):04X}>" for sign in label if sign not in _NAMED})
    short = label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"
    return written(short.replace("\n", "⏎"))


def written(text: str) -> str:
    """A text that fits every file: half of a surrogate pair is no character, and XML has no control characters."""
    return "\n".join(line.encode(errors="replace").decode().translate(_SIGNS) for line in text.split("\n"))


def literal(texts: Iterable[str] = (), size: float = SMALL, colour: str = TEXT) -> dict[str, Any]:
    """How these texts are set: to the letter, "$" included, in fonts that have their signs."""
    signs = frozenset("".join(texts))
    return {
        "parse_math": False,
        "usetex": False,
        "fontsize": size,
        "color": colour,
        "fontfamily": [*mpl.rcParams["font.family"], *_others(signs, tuple(mpl.rcParams["font.family"]))],
    }


def drawable(text: str) -> str:
    """A text without the signs that no font has, for figures that are not ours and would warn of each."""
    family = tuple(mpl.rcParams["font.family"])
    known = _signs_of(findfont(FontProperties(family=list(family))))
    for name in _others(frozenset(text), family):
        known |= _signs_of(findfont(FontProperties(family=[name])))
    return "".join(sign if ord(sign) in known else "□" for sign in text)


@cache
def _signs_of(path: str) -> frozenset[int]:
    return frozenset(FT2Font(path).get_charmap())


@cache
def _others(signs: frozenset[str], family: tuple[str, ...]) -> tuple[str, ...]:
    """Installed fonts that have what the first one lacks."""
    lacking = {ord(sign) for sign in signs} - _signs_of(findfont(FontProperties(family=list(family))))
    found = []
    if lacking:
        for entry in sorted(
            fontManager.ttflist, key=lambda entry: (str(entry.weight) not in {"400", "normal"}, entry.name)
        ):
            has = _scalable_signs(entry.fname) & lacking
            # Matplotlib's own last resort has a box for everything.
            if has and not entry.name.startswith("Last Resort"):
                found.append(entry.name)
                lacking -= has
            if not lacking:
                break
    return tuple(dict.fromkeys(found))


@cache
def _scalable_signs(path: str) -> frozenset[int]:
    """Signs of a font that can be drawn at any size: pictures of emoji cannot."""
    try:
        font = FT2Font(path)
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (OSError, RuntimeError):
        return frozenset()


@contextmanager
def quiet() -> Iterator[None]:
    """Signs that no font has are drawn as boxes, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        warnings.filterwarnings("ignore", "Matplotlib currently does not support .* natively", UserWarning)
        yield


@cache
def _renderer() -> Any:
    canvas: Any = FigureCanvasAgg(Figure((1, 1), dpi=_FINE))
    return canvas.get_renderer()


def width_of(texts: Sequence[str], size: float = SMALL) -> float:
    """Inches that the widest of some texts takes."""
    style = literal(texts, size)
    properties = FontProperties(family=style["fontfamily"], size=size)
    with quiet():
        return (
            max((_renderer().get_text_width_height_descent(t, properties, ismath=False)[0] for t in texts), default=0)
            / _FINE
        )


def wrapped(text: str, width: float, size: float = SMALL) -> list[str]:
    """Lines of a text, none wider than so many inches unless a single word is."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of([longer], size) * HINTED <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def size_for(pitch: float) -> float:
    """Size in points of labels that stand so many inches apart."""
    return min(LARGEST, max(SMALLEST, 72 * pitch * 0.78))


def written_out(tokens: Tokens, pitch: float, stride: int = 1) -> bool:
    """Whether tokens that stand so many inches apart are written along an axis; where not, they are counted."""
    return len(tokens) <= LABELLED and stride == 1 and pitch >= READABLE


def room(tokens: Tokens, pitch: float, stride: int = 1) -> float:
    """Inches that labels beside an axis take."""
    if not written_out(tokens, pitch, stride):
        return width_of([f"{len(tokens):,}"]) + 0.08
    return width_of([readable(label) for label in tokens], size_for(pitch)) + 0.06


def depth(tokens: Tokens, pitch: float, stride: int = 1) -> float:
    """Inches that labels below an axis take: lying where they fit, standing where not."""
    if not written_out(tokens, pitch, stride):
        return 0.19
    labels, size = [readable(label) for label in tokens], size_for(pitch)
    return (width_of(labels, size) if _standing(labels, size, pitch) else size * 1.3 / 72) + 0.06


def _standing(labels: Sequence[str], size: float, pitch: float) -> bool:
    return width_of(labels, size) > 0.92 * pitch


def _step(n: int, most: int) -> int:
    """Positions from one number on an axis to the next: 10, 50, 100, 500 ..."""
    step = 10 if n > LABELLED // 2 else 5
    while n / step > most:
        step *= 2 if str(step)[0] == "5" else 5
    return step


def mark_axis(axis: Axis, tokens: Tokens, pitch: float, *, stride: int = 1, own: bool = True) -> None:
    """Write tokens along an axis of cells, or their positions where there are too many.

    Parameters
    ----------
    axis : Axis
        Of x or y; cell i lies from i - 0.5 to i + 0.5.
    tokens : Tokens
        What stands on it.
    pitch : float
        Inches from one cell to the next.
    stride : int
        Tokens of a cell.
    own : bool
        Whether the figure is ours, and silent about signs that no font has.
    """
    if written_out(tokens, pitch, stride):
        labels = [readable(label) for label in tokens]
        labels = labels if own else [drawable(label) for label in labels]
        style = literal(labels, size_for(pitch))
        if isinstance(axis, XAxis) and _standing(labels, size_for(pitch), pitch):
            style |= {"rotation": 90, "va": "top", "ha": "center"}
        axis.set_ticks(range(len(labels)), labels, **style)
        axis.set_tick_params(length=0, pad=2.5)
        return
    length = pitch * len(tokens) / stride
    positions = range(0, len(tokens), _step(len(tokens), max(2, int(length / 0.45))))
    axis.set_ticks([(i + 0.5) / stride - 0.5 for i in positions], [f"{i:,}" for i in positions], **literal(size=SMALL))
    axis.set_tick_params(length=2.5, width=0.6, color=MUTED, pad=2)
