"""Benchmarks of the kernel's side: capture against the pass it rides on, answers to the browser."""

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

LENGTHS = (512, 2048)


def seconds(work: Callable[[], Any], repeats: int = 5) -> float:
    """Median time of some work after one run to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def model_of(heads: int = 12, layers: int = 12) -> Any:
    """A LLaMA with random weights, 12 x 12 heads of width 64."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=64 * heads, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=2048,
        vocab_size=1000, max_position_embeddings=8192, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def ids_of(n: int) -> Any:
    """Random token ids [1, n]."""
    import torch

    return torch.randint(3, 1000, (1, n), generator=torch.Generator().manual_seed(0))


def capture_rows() -> list[dict[str, Any]]:
    """Time of a capture, as a ratio to the plain pass and to eager with output_attentions."""
    import torch

    import attnwidget as aw

    model, rows = model_of(), []
    for n in LENGTHS:
        ids, repeats = ids_of(n), 5 if n <= 512 else 3

        def plain() -> None:
            with torch.no_grad():
                model(ids, use_cache=False)  # noqa: B023

        def eager() -> None:
            model.set_attn_implementation("eager")
            with torch.no_grad():
                model(ids, output_attentions=True, use_cache=False)  # noqa: B023
            model.set_attn_implementation("sdpa")

        bare = seconds(plain, repeats)
        taken = seconds(lambda: aw.capture(model, ids), repeats)  # noqa: B023
        rows.append(row(f"capture / plain pass, n={n}", taken / bare, "x", f"plain {bare:.2f} s"))
        rows.append(row(f"capture / eager with output_attentions, n={n}", taken / seconds(eager, repeats), "x"))
        maps = aw.capture(model, ids).maps
        stored = {t.untyped_storage().data_ptr(): t for layer in maps.layers for t in layer.tensors().values()}
        held = sum(t.untyped_storage().nbytes() for t in stored.values())
        q_and_k = sum(layer.q.nbytes + layer.k.nbytes for layer in maps.layers)
        matrices = sum(heads * n * n * 4 for heads in maps.heads)
        rows.append(row(f"capture holds / its q and k, n={n}", held / q_and_k, "x", budget=1.1))
        rows.append(row(f"capture holds / the matrices, n={n}", held / matrices, "x", f"{held / 2**20:.0f} MB"))
    return rows


_PEAK = """
import torch, attnwidget as aw
from tests.benchmarks.kernel import ids_of, model_of, peak
model, ids = model_of(), ids_of({n})
with torch.no_grad(): model(ids, use_cache=False)
before = peak()
{work}
print((peak() - before) / 2**20)
"""
_WORK = {
    "capture": "kept = aw.capture(model, ids)",
    "eager": "model.set_attn_implementation('eager')\n"
    "with torch.no_grad(): kept = model(ids, output_attentions=True, use_cache=False)",
}


def peak() -> int:
    """Largest resident size of this process so far, in bytes."""
    # Not ru_maxrss: a child process inherits its parent's.
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024


def memory_rows() -> list[dict[str, Any]]:
    """Growth of the peak beyond a plain pass, each in a process of its own."""
    grown = {}
    for name, work in _WORK.items():
        code = _PEAK.format(n=2048, work=work)
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        grown[name] = float(out.stdout)
    return [
        row(
            "peak memory of capture / eager with output_attentions, n=2048",
            grown["capture"] / grown["eager"],
            "x",
            f"{grown['capture']:.0f} MB against {grown['eager']:.0f} MB",
        )
    ]


def answer_rows() -> list[dict[str, Any]]:
    """Time of the answers to the browser, as a ratio to one softmax of the same size."""
    import torch

    from attnwidget.layers import Mask, ProjectedLayer
    from attnwidget.maps import AttentionMaps
    from attnwidget.tokens import Tokens
    from attnwidget.widget import codec

    rows = []
    for n in (512, 1024):
        layer = ProjectedLayer(torch.randn(12, n, 64), torch.randn(12, n, 64), 0.125, Mask(causal=True))
        maps = AttentionMaps([layer], Tokens.positions(n))
        one, twelve = torch.randn(n, n), torch.randn(12, n, n)
        span = {"rows": (0, n), "columns": (0, n), "height": 1024, "width": 1024}
        tile = seconds(lambda: codec.tile(maps, 0, 3, **span))  # noqa: B023
        softmax = seconds(lambda: one.softmax(-1))  # noqa: B023
        rows.append(row(f"tile / one softmax, n={n}", tile / softmax, "x", f"{tile * 1000:.0f} ms"))
        thumbs = seconds(lambda: codec.thumbnails(maps, 0))  # noqa: B023
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
    from attnwidget.widget import codec

    rows = []
    for n in (64, 512, 2048, 8192, 32768):
        layer = ProjectedLayer(torch.randn(1, n, 64), torch.randn(1, n, 64), 0.125, Mask(causal=True))
        maps = AttentionMaps([layer], Tokens.positions(n))
        span = {"rows": (0, n), "columns": (0, n), "height": 640, "width": 640}
        for pooling in ("max", "mean") if n > 640 else ("max",):
            for cells, read in ((None, "all rows"), (2**24, "in budget")):
                ask = partial(codec.tile, maps, 0, 0, **span, pooling=pooling, cells=cells)
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


def row(name: str, value: float, unit: str, note: str = "", budget: float | None = None) -> dict[str, Any]:
    """One line of the table."""
    kept = None if budget is None else value <= budget
    return {"name": name, "value": value, "unit": unit, "budget": budget, "kept": kept, "note": note}
