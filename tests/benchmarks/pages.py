"""Benchmarks of saved pages: size, time to the first picture from disk, and the same maps in BertViz's saved HTML."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import sync_playwright

import attnwidget as aw
from tests.benchmarks.kernel import row
from tests.browser.lab import CHROMIUM_FLAGS, chromium
from tests.make import projected

LENGTHS = (64, 512, 2048)
LAYERS = HEADS = 12
WIDTH = 64
LETTERS = 21  # of a number as BertViz writes it, with its comma
_READY = "document.querySelector('[data-attnwidget=explorer]')?.dataset.state === 'ready'"


def page_rows() -> Iterator[dict[str, Any]]:
    """Pages of 12 x 12 heads in single precision and in bfloat16."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        try:
            for n in LENGTHS:
                for dtype in (torch.float32, torch.bfloat16):
                    yield from _page(browser, Path(folder) / "page.html", n, dtype)
        finally:
            browser.close()


def _page(browser: Any, path: Path, n: int, dtype: torch.dtype) -> Iterator[dict[str, Any]]:
    maps = projected(n, layers=LAYERS, heads=HEADS, key_value_heads=HEADS, width=WIDTH, dtype=dtype)
    view = aw.Explorer(maps, layer=5)
    started = time.perf_counter()
    view.save(path, progress=False)
    written = time.perf_counter() - started
    page = browser.new_context(viewport={"width": 1400, "height": 1000}, offline=True).new_page()
    started = time.perf_counter()
    page.goto(f"file://{path}")
    page.wait_for_function(_READY)
    seen = time.perf_counter() - started
    left = page.evaluate("JSON.stringify(document.querySelector('[data-part=status]')?.textContent ?? '')")
    page.context.close()
    theirs = LETTERS * LAYERS * HEADS * n * n
    what = f"page, {LAYERS} x {HEADS} heads, n={n}, {str(dtype).removeprefix('torch.')}"
    theirs_note = f"BertViz's HTML would hold about {theirs / 1e6:.0f} MB of numbers"
    note = f"written in {written:.1f} s; {theirs_note} {left.strip(chr(34))}"
    yield row(f"{what}: size", path.stat().st_size / 1e6, "MB", note, budget=20.0)
    yield row(f"{what}: first picture from disk", seen, "s")
