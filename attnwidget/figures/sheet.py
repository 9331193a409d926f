"""Sheet: a matplotlib figure that is laid out in inches, shows itself, and is written to files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from attnwidget.figures.colours import MUTED, TEXT
from attnwidget.figures.lettering import HINTED, SMALL, drawable, literal, quiet, width_of, wrapped
from attnwidget.files import beside, check_path
from attnwidget.measures.arguments import numeric

__all__ = ["EDGES", "ENDINGS", "Sheet", "entitle", "inches", "save"]

ENDINGS = (".png", ".svg", ".pdf")
SCREEN, PRINT = 110, 300  # dots per inch
DPI = 10, 2400  # of a file
TITLE = 9.0
LINE = 1.35  # of the size of the letters
EDGE = 0.06
EDGES = 2 * EDGE
_DATELESS = {".png": None, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
# Text stays text, and the same figure is the same file.
_PRINTED: Any = {"svg.fonttype": "none", "svg.hashsalt": "attnwidget", "pdf.fonttype": 42, "ps.fonttype": 42}


class Sheet(Figure):
    """A figure of its own canvas: pyplot does not know it, and a notebook shows it once.

    Parameters
    ----------
    width, height : float
        Of what is drawn, in inches; title and captions come on top of it and below.
    title : str
        Above it.
    captions : sequence of str
        Sentences below it.
    inset : float
        Where the title begins, in inches from the left, if there is room.
    """

    def __init__(
        self, width: float, height: float, title: str = "", captions: Sequence[str] = (), inset: float = 0.0
    ) -> None:
        inset = inset if width_of([title], TITLE) * HINTED <= width - inset else 0.0
        above = wrapped(title, width - inset, TITLE)
        below = wrapped(" ".join(captions), width, SMALL)
        top = len(above) * TITLE * LINE / 72 + (0.06 if above else 0)
        bottom = len(below) * SMALL * LINE / 72 + (0.05 if below else 0)
        self._top = top + EDGE
        size = width + EDGES, height + top + bottom + EDGES
        super().__init__(figsize=size, dpi=SCREEN, facecolor="white")
        self.set_layout_engine("none")  # whatever the settings say: everything has its place already
        FigureCanvasAgg(self)
        if above:
            self.write(inset, -top, "\n".join(above), size=TITLE, colour=TEXT, va="top", linespacing=1.15)
        if below:
            self.write(0, height + bottom, "\n".join(below), va="bottom", linespacing=1.15)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        width, height = self.get_size_inches()
        return (x + EDGE) / width, 1 - (y + self._top) / height

    def box(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes at a place in inches, from the top left of what is drawn."""
        x, y = self._at(left, top + height)
        whole_width, whole_height = self.get_size_inches()
        axes = self.add_axes((x, y, width / whole_width, height / whole_height))
        axes.grid(visible=False)
        return axes

    def write(self, x: float, y: float, text: str, *, size: float = SMALL, colour: str = MUTED, **placed: Any) -> None:
        """Text at a place in inches."""
        across, up = self._at(x, y)
        self.text(across, up, text, **literal([text], size, colour), **placed)

    def draw(self, renderer: Any) -> None:
        """Draw it, silent about signs that no font has."""
        with quiet():
            super().draw(renderer)

    def get_tightbbox(self, *args: Any, **options: Any) -> Any:
        """What is drawn on, as silent."""
        with quiet():
            return super().get_tightbbox(*args, **options)

    def savefig(self, *args: Any, **options: Any) -> None:
        """As any figure's, with text that stays text and dots enough for print."""
        options.setdefault("dpi", PRINT)
        with mpl.rc_context(_PRINTED):
            super().savefig(*args, **options)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """What a notebook shows where `%matplotlib inline` does not already: sharp on screens of twice the dots."""
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=2 * SCREEN)
        width, height = self.get_size_inches()
        return picture.getvalue(), {"width": round(width * SCREEN), "height": round(height * SCREEN)}


def inches(axes: Axes) -> tuple[float, float]:
    """Width and height of axes."""
    figure: Any = axes.figure
    box = axes.get_window_extent()
    return box.width / figure.dpi, box.height / figure.dpi


def entitle(axes: Axes, title: str, across: str, captions: Sequence[str]) -> Axes:
    """Write on axes of somebody's own what a sheet has above and below."""
    title = drawable(title)
    lines = [across, *wrapped(" ".join(captions), inches(axes)[0])]
    axes.set_title(title, **literal([title], TITLE))
    axes.set_xlabel("\n".join(lines), **literal(size=SMALL, colour=MUTED))
    return axes


def save(figure: Figure, path: str | Path, *, dpi: float = PRINT) -> Path:
    """Write a figure to a file: whole, or not at all.

    Parameters
    ----------
    figure : Figure
        Any of matplotlib.
    path : str or Path
        Ends in ".png", ".svg" or ".pdf". In the last two text stays text. An existing file is replaced.
    dpi : float
        Dots per inch of a PNG, and of the pictures inside the others.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    TypeError, ValueError
        When the ending is another, or dpi no number from 10 to 2,400.
    FileNotFoundError
        When there is no such folder.
    """
    path = check_path(path, ENDINGS)
    dpi = numeric("dpi", dpi, *DPI)
    ending = path.suffix.lower()
    written = io.BytesIO()
    with mpl.rc_context(_PRINTED):
        figure.savefig(written, format=ending[1:], dpi=dpi, metadata=_DATELESS[ending])
    with beside(path) as unfinished:
        unfinished.write_bytes(written.getvalue())
    return path
