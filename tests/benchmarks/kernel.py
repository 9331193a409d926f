"""Benchmarks of the kernel's side: answers to the browser, and the import."""

from __future__ import annotations

import gc
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any


def seconds(work: Callable[[], Any], repeats: int = 5) -> float:
    """Median time of some work after one run to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def cpu_seconds(work: Callable[[], Any], repeats: int = 5) -> float:
    """Median time of the processor in one thread, after one run to warm up: what others do meanwhile counts little."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    torch.set_num_threads(threads)
    return statistics.median(times)


def peak() -> int:
    """Largest resident size of this process so far, in bytes."""
    # Not ru_maxrss: a child process inherits its parent's.
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024


def answer_rows() -> list[dict[str, Any]]:
    """Time of the answers to the browser, as a ratio to one softmax of the same size."""
    import torch

    from attnwidget.layers import Mask, ProjectedLayer
    from attnwidget.maps import AttentionMaps
    from attnwidget.tokens import Tokens
    from attnwidget.widget.answers.thumbnails import thumbnails
    from attnwidget.widget.answers.tile import tile

    rows = []
    for n in (512, 1024):
        layer = ProjectedLayer(torch.randn(12, n, 64), torch.randn(12, n, 64), 0.125, Mask(causal=True))
        maps = AttentionMaps([layer], Tokens.positions(n))
        one, twelve = torch.randn(n, n), torch.randn(12, n, n)
        span = {"rows": (0, n), "columns": (0, n), "height": 1024, "width": 1024}
        one_tile = seconds(lambda: tile(maps, 0, 3, **span))  # noqa: B023
        softmax = seconds(lambda: one.softmax(-1))  # noqa: B023
        rows.append(row(f"tile / one softmax, n={n}", one_tile / softmax, "x", f"{one_tile * 1000:.0f} ms"))
        thumbs = seconds(lambda: thumbnails(maps, 0))  # noqa: B023
        softmaxes = seconds(lambda: twelve.softmax(-1))  # noqa: B023
        rows.append(
            row(f"thumbnails of 12 heads / their softmax, n={n}", thumbs / softmaxes, "x", f"{thumbs * 1000:.0f} ms")
        )
        gc.collect()
    return rows + _tile_rows()


def _tile_rows() -> list[dict[str, Any]]:
    """Time of a whole causal map of one head at the size of a screen: every row, and within the browser's budget."""
    import torch

    from attnwidget.layers import Mask, ProjectedLayer
    from attnwidget.maps import AttentionMaps
    from attnwidget.tokens import Tokens
    from attnwidget.widget.answers.tile import tile

    rows = []
    for n in (64, 512, 2048, 8192, 32768):
        layer = ProjectedLayer(torch.randn(1, n, 64), torch.randn(1, n, 64), 0.125, Mask(causal=True))
        maps = AttentionMaps([layer], Tokens.positions(n))
        span = {"rows": (0, n), "columns": (0, n), "height": 640, "width": 640}
        for pooling in ("max", "mean") if n > 640 else ("max",):
            for cells, read in ((None, "all rows"), (2**24, "in budget")):
                ask = partial(tile, maps, 0, 0, **span, pooling=pooling, cells=cells)
                taken = seconds(ask, 3 if n < 9999 else 1)
                sampled = ask().header["sampled"] if cells else None
                note = f"{sampled[0]} of {sampled[1]} rows" if sampled else "exact"
                rows.append(row(f"tile of one head, {pooling}, {read}, n={n}", 1000 * taken, "ms", note))
    return rows


def import_rows() -> list[dict[str, Any]]:
    """Time to import the package."""
    code = "import time; s = time.perf_counter(); import attnwidget; print(time.perf_counter() - s)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    return [row("import attnwidget", statistics.median(times), "s", budget=0.3)]


def row(name: str, value: float | None, unit: str, note: str = "", budget: float | None = None) -> dict[str, Any]:
    """One line of the table; without a value the note says why."""
    kept = None if budget is None or value is None else value <= budget
    return {"name": name, "value": value, "unit": unit, "budget": budget, "kept": kept, "note": note}
