"""Figures show themselves once, leave pyplot alone, and are written to files as text."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

import attnwidget as aw
from attnwidget.figures import save
from tests.make import matrices, projected

KINDS = {
    "head": {"layer": 0, "head": 1},
    "heads": {"layer": 0},
    "layers": {"head": 0},
    "grid": {},
    "row": {"layer": 0, "head": 1, "query": 5, "temperature": 0.5},
    "entropy": {"kind": "entropy"},
}
ODD = [
    "$x_1$",
    "$",
    "\ud800",
    "\ufeff",
    "\U0001f600",
    "שלום",
    "中文",
    "x" * 10_000,
    "",
    "  ",
    "\n",
    "\x00\uffff",
    "_^{",
    "<&>",
]


def odd():
    return aw.AttentionMaps(projected(14, causal=False).layers, aw.Tokens(tuple(ODD)))


def words(path):
    return ["".join(text.itertext()) for text in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_every_kind_is_written_to_every_file_the_same_each_time(kind, ending, tmp_path):
    paths = [save(aw.figure(projected(), **KINDS[kind]), tmp_path / f"{i}.{ending}") for i in range(2)]
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"0.{ending}", f"1.{ending}"]


def test_text_stays_text_in_svg(tmp_path):
    maps = projected()
    drawn = aw.figure(maps, layer=1, head=2)
    drawn.savefig(tmp_path / "own.svg")
    save(drawn, tmp_path / "saved.svg")
    for name in ("own.svg", "saved.svg"):
        found = words(tmp_path / name)
        assert found.count("Lily") == 4
        assert {"query", "key", "weight", "layer 1 · head 2"} <= set(found)


def test_labels_are_drawn_to_the_letter(tmp_path):
    found = words(save(aw.figure(odd(), layer=0, head=0), tmp_path / "odd.svg"))
    for label in (
        "$x_1$",
        "$",
        "?",
        "<BOM>",
        "\U0001f600",
        "שלום",
        "中文",
        "x" * 17 + "…",
        "∅",
        "␣␣",
        "⏎",
        "␀?",
        "_^{",
        "<&>",
    ):
        assert found.count(label) == 2, label


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_as_wide_as_it_is_asked_to_be(kind):
    drawn = aw.figure(projected(), width=4.5, **KINDS[kind])
    assert drawn.get_size_inches()[0] == pytest.approx(4.5, abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_of_others_do_not_move_it(kind, tmp_path):
    plain = save(aw.figure(projected(), **KINDS[kind]), tmp_path / "plain.png")
    theirs = {"axes.grid": True, "figure.constrained_layout.use": True, "figure.figsize": (1, 1), "font.size": 20}
    with mpl.rc_context(theirs):
        other = save(aw.figure(projected(), **KINDS[kind]), tmp_path / "other.png")
    assert plain.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_no_token_makes_any_kind_fail_or_warn(kind, tmp_path):
    save(aw.figure(odd(), title="$\\frac{1$ \ud800", **KINDS[kind]), tmp_path / "odd.pdf")
    save(aw.figure(odd(), **KINDS[kind]), tmp_path / "odd.png", dpi=50)
    assert (tmp_path / "odd.pdf").stat().st_size > 1000


def test_a_figure_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "head.png"
    path.write_bytes(b"before")
    drawn = aw.figure(projected(), layer=0, head=0)
    drawn.draw = lambda renderer: 1 / 0
    with pytest.raises(ZeroDivisionError):
        save(drawn, path)
    assert path.read_bytes() == b"before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["head.png"]


def test_other_endings_and_missing_folders_are_refused(tmp_path):
    drawn = aw.figure(projected(), layer=0, head=0)
    with pytest.raises(ValueError, match=re.escape("'head.jpg' does not end in .png, .svg or .pdf")):
        save(drawn, tmp_path / "head.jpg")
    with pytest.raises(FileNotFoundError, match="make it first"):
        save(drawn, tmp_path / "nowhere" / "head.png")


def test_dots_per_inch_are_those_of_the_file(tmp_path):
    drawn = aw.figure(projected(), layer=0, head=0)
    with Image.open(save(drawn, tmp_path / "head.png", dpi=200)) as picture:
        assert picture.size == pytest.approx(tuple(200 * drawn.get_size_inches()), abs=1)


def test_pyplot_is_never_imported_and_the_package_imports_no_matplotlib():
    code = (
        "import sys, attnwidget as aw\n"
        "assert not {'matplotlib', 'torch', 'numpy'} & set(sys.modules)\n"
        "import torch\n"
        "drawn = aw.figure(torch.ones(3, 3) / 3)\n"
        "drawn._repr_png_(), drawn.savefig('/dev/null', format='svg')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert not [name for name in sys.modules if name.startswith(('anywidget', 'attnwidget.widget.explorer'))]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "magic", ["", "%matplotlib inline\n", "import matplotlib.pyplot as plt; plt.figure(); plt.close()\n"]
)
def test_a_notebook_shows_a_figure_exactly_once(magic):
    source = f"{magic}import torch, attnwidget as aw\naw.figure(torch.ones(3, 3) / 3)"
    quiet = "drawn = aw.figure(torch.ones(3, 3) / 3)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (source, quiet)])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown, silent = ([o for o in cell.outputs if "image/png" in o.get("data", {})] for cell in notebook.cells)
    assert (len(shown), len(silent)) == (1, 0)


def test_the_picture_of_a_notebook_is_sharp():
    drawn = aw.figure(matrices(3, 3))
    png, size = drawn._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20], "big") == pytest.approx(2 * size["width"], abs=2)


@pytest.mark.parametrize("dpi", [0, -1, float("nan"), 1e9, "300", True])
def test_dots_that_cannot_be_drawn_are_refused(dpi, tmp_path):
    for ending in ("png", "svg", "pdf"):
        with pytest.raises((TypeError, ValueError), match=r"dpi=.*; expected a number"):
            save(aw.figure(projected()), tmp_path / f"a.{ending}", dpi=dpi)
    assert list(tmp_path.iterdir()) == []
