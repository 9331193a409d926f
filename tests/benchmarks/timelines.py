"""Benchmarks of the Timeline: what a frame takes while somebody scrubs, its page, and the maps that a monitor keeps."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

import attnwidget as aw
from attnwidget.widget.module import front_end
from tests.benchmarks.kernel import row
from tests.browser.lab import CHROMIUM_FLAGS, chromium
from tests.make import projected

STEPS, TOKENS = 60, 128
FRAME = 1000 / 60  # ms
_READY = "document.querySelector('[data-attnwidget=timeline]')?.dataset.state === 'ready'"
# Milliseconds from each move of the scrubber to the end of the drawing that it causes, the browser's layout included;
# and how many of the maps that should be seen were.
_SCRUB = """async (steps) => {
  const host = document.querySelector("[data-attnwidget=timeline]");
  const root = host.shadowRoot;
  const slider = root.querySelector("[data-part=scrubber]");
  const cells = root.querySelector("[data-part=map-cells]");
  const times = [];
  let seen = 0;
  for (let at = 0; at < 2 * steps; at++) {
    const step = at < steps ? at : 2 * steps - 1 - at;
    await new Promise(requestAnimationFrame);
    const start = performance.now();
    slider.value = step;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    while (root.querySelector("[data-part=step]").textContent !== `step ${step}`)
      await new Promise((next) => setTimeout(next));
    cells.getContext("2d").getImageData(0, 0, 1, 1);
    root.querySelector("[data-part=step]").getBoundingClientRect();
    times.push(performance.now() - start);
    seen += cells.dataset.step === String(step);
  }
  return [times, seen];
}"""


def timeline_rows() -> Iterator[dict[str, Any]]:
    """Scrubbing over 60 steps of one run and of two, 4 x 8 heads, from a page."""
    yield row("module timeline.js", len(str(front_end("timeline")).encode()) / 1e3, "kB")
    runs = {
        name: [projected(TOKENS, layers=4, heads=8, seed=seed + shift) for seed in range(STEPS)]
        for name, shift in (("a", 0), ("b", STEPS))
    }
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        try:
            for what, shown in (("one run", runs["a"]), ("two runs", runs)):
                view = aw.Timeline(shown, keep=None, progress=False)
                started = time.perf_counter()
                path = view.save(Path(folder) / "t.html", progress=False)
                note = f"written in {time.perf_counter() - started:.1f} s"
                yield row(f"timeline page, {what}, n={TOKENS}", path.stat().st_size / 1e6, "MB", note, budget=21.0)
                page = browser.new_context(viewport={"width": 1400, "height": 1000}, offline=True).new_page()
                page.goto(path.as_uri())
                page.wait_for_function(_READY)
                times, seen = page.evaluate(_SCRUB, STEPS)
                page.context.close()
                note = f"median of {len(times)}, largest {max(times):.0f} ms; {seen} of {len(times)} maps were seen"
                yield row(f"scrubbing, {what}, n={TOKENS}", statistics.median(times), "ms", note, budget=FRAME)
        finally:
            browser.close()
