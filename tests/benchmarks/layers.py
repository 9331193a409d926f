"""Benchmarks of layers in the browser, beside the same through tiles: another head, and the bytes of both."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from attnwidget.widget.answers import Shown, answer
from tests.benchmarks.kernel import row
from tests.benchmarks.lab import SETUP, SHOW, SWITCH, WATCH, settle
from tests.browser.lab import CHROMIUM_FLAGS, Lab, Notebook, chromium, write_notebook
from tests.make import projected

LENGTHS = (64, 128, 512, 1024)
LAYERS, HEADS, WIDTH = 4, 12, 64
# As the widget was before: no layer is said to be one that can be sent whole, and nothing travels with the widget.
TILES = """
import attnwidget.widget.facts, attnwidget.widget.explorer
attnwidget.widget.facts.held_form = lambda layer: None
attnwidget.widget.explorer.opening = lambda shown, place: b""
"""


def layer_rows() -> Iterator[dict[str, Any]]:
    """Another head of a layer that is in the browser and of one that is not, and first pictures."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        lab = Lab(Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        try:
            for n in LENGTHS:
                layers, tiles = (_times(lab, browser, n, before) for before in ("", TILES))
                for what, budget in (("first picture", None), ("same layer", 16.7), ("other layer", 50)):
                    unit = "s" if what == "first picture" else "ms"
                    note = f"through tiles {tiles[what]:.3g} {unit}, ratio {layers[what] / tiles[what]:.2f}"
                    name = what if what == "first picture" else f"another head, {what}"
                    kept = budget if n == 512 else None
                    yield row(f"{name}, {LAYERS} x {HEADS} heads, n={n}", layers[what], unit, note, budget=kept)
        finally:
            browser.close()
            lab.stop()
    for n in LENGTHS:
        yield from _bytes(n)


def _times(lab: Lab, browser: Any, n: int, before: str) -> dict[str, float]:
    page = browser.new_context(viewport={"width": 1500, "height": 1400}).new_page()
    setup = f"{SETUP}{before}maps = make({n}, layers={LAYERS}, heads={HEADS})\nwarm = aw.Explorer(make(4))"
    notebook = Notebook(
        lab, page, write_notebook(lab.folder / "work" / f"layers-{n}-{len(before)}.ipynb", [setup, SHOW])
    )
    notebook.run_cell(0)
    page.evaluate(WATCH)
    notebook.run_cell(1)
    first = page.evaluate("window.firstPicture") / 1000 - notebook.value("called")
    settle(page)
    # Not the neighbours: these are made before anybody asks.
    same = [page.evaluate(SWITCH, [0, head]) for head in (3, 6, 9) if settle(page) is None]
    # Layers beside the chosen one are there already: the one after next is not.
    notebook.execute("view.layer = 0")
    settle(page)
    other = []
    for layer, head in ((2, 2), (0, 5), (3, 8)):
        other.append(page.evaluate(SWITCH, [layer, head]))
        settle(page)
    notebook.close()
    return {"first picture": first, "same layer": statistics.median(same), "other layer": statistics.median(other)}


def _bytes(n: int) -> Iterator[dict[str, Any]]:
    """What travels for one head, and for all of a layer."""
    shown = Shown.of({"attention": projected(n, layers=1, heads=HEADS, key_value_heads=HEADS, width=WIDTH)})
    whole = {"rows": (0, n), "columns": (0, n), "height": n, "width": n}
    tile = _size(shown, {"op": "tile", "layer": 0, "head": 0, **whole})
    layer = _size(shown, {"op": "projections", "layer": 0})
    note = f"as tiles {HEADS * tile / 1e3:.0f} kB, ratio {layer / (HEADS * tile):.2f}; one tile {tile / 1e3:.0f} kB"
    yield row(f"bytes of all heads of a layer, {HEADS} heads, n={n}", layer / 1e3, "kB", note)


def _size(shown: Shown, request: dict[str, Any]) -> int:
    return sum(len(buffer) for buffer in answer(shown, {"map": "attention", **request}).buffers)
