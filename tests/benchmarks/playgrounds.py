"""Benchmarks of the Playground: the frame in which a dragged number is drawn, the modules, and a page of it."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, sync_playwright

import attnwidget as aw
from attnwidget.widget.module import front_end
from tests.benchmarks.kernel import row
from tests.browser.lab import CHROMIUM_FLAGS, chromium

TOKENS, WIDTH, MOVES = 12, 8, 60
FRAME = 16.0  # ms
MODULE = 150.0  # kB
_READY = "document.querySelector('[data-attnwidget=playground]')?.dataset.state === 'ready'"
# Milliseconds from each move of a pointer to the end of the drawing that it causes, the browser's layout included.
_DRAG = """async ([part, moves]) => {
  const root = document.querySelector("[data-attnwidget=playground]").shadowRoot;
  const cell = root.querySelector(`[data-part=${part}][data-row="0"][data-column="0"]`);
  const box = cell.getBoundingClientRect();
  Element.prototype.setPointerCapture = Element.prototype.releasePointerCapture = () => {};
  const send = (type, x) => cell.dispatchEvent(
    new PointerEvent(type, { bubbles: true, composed: true, pointerId: 1, clientX: box.x + x, clientY: box.y }),
  );
  send("pointerdown", 0);
  const times = [];
  for (let move = 1; move <= moves; move++) {
    await new Promise(requestAnimationFrame);
    const text = cell.textContent;
    const start = performance.now();
    send("pointermove", 4 * move);
    while (cell.textContent === text) await new Promise((next) => setTimeout(next));
    root.querySelector("[data-part=output]")?.getBoundingClientRect();
    times.push(performance.now() - start);
  }
  send("pointerup", 4 * moves);
  return times;
}"""


def playground_rows() -> Iterator[dict[str, Any]]:
    """A drag over many moves in the largest tables, bytes of every module, and bytes of a page."""
    for name in ("explorer", "playground"):
        size = len(str(front_end(name)).encode()) / 1e3
        yield row(f"module {name}.js", size, "kB", budget=MODULE if name == "playground" else None)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        try:
            for scene, part in (("masking", "query"), ("lookup", "key"), ("words", "key"), ("heads", "value")):
                sizes = {"as it opens": aw.Playground(scene), f"{TOKENS} tokens of {WIDTH}": _full(scene)}
                for size, playground in sizes.items():
                    path = playground.save(Path(folder) / f"{scene}.html")
                    times, spent = _dragged(browser, path, part)
                    # Of a machine that has other things to do, the processor's own time says more.
                    note = f"median of {MOVES}, largest {max(times):.0f} ms; {spent:.1f} ms of the processor"
                    yield row(f"a number dragged, {scene}, {size}", statistics.median(times), "ms", note, budget=FRAME)
                yield row(f"page of the playground {scene}", path.stat().st_size / 1e3, "kB")
        finally:
            browser.close()


def _dragged(browser: Browser, path: Path, part: str) -> tuple[list[float], float]:
    """Milliseconds of each move of a drag, and of the processor a move."""
    page = browser.new_context(viewport={"width": 1400, "height": 1000}, offline=True).new_page()
    page.goto(path.as_uri())
    page.wait_for_function(_READY)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = _spent(session)
    times = page.evaluate(_DRAG, [part, MOVES])
    spent = (_spent(session) - before) / MOVES * 1e3
    page.context.close()
    return times, spent


def _spent(session: Any) -> float:
    """Seconds of the page's own thread in scripts, styles and layout."""
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return float(sum(metrics[name] for name in ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration")))


def _full(scene: str) -> aw.Playground:
    """As many numbers as a scene can show."""
    numbers = np.random.RandomState(0).standard_normal((3, TOKENS, WIDTH)).round(2)
    query, key, value = numbers if scene != "words" else numbers[[0, 0, 0]]
    labels = [f"token{at}" for at in range(TOKENS)]
    return aw.Playground(
        scene, keep=None, query=query, key=key, value=value, query_labels=labels, key_labels=labels, mask="causal"
    )
