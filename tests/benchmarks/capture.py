"""Benchmarks of capture: time and memory against the pass it rides on, and against eager with output_attentions."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks.kernel import row

# Length and layers: twelve layers at 8,192 tokens would be 38 GB of matrices under eager.
CASES = ((512, 12), (2048, 12), (8192, 2))
HEADS = 12
WAYS = ("plain", "capture", "eager")


def model_of(n: int, layers: int, heads: int = HEADS) -> Any:
    """A LLaMA with random weights and heads of width 64, for texts of n tokens."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=64 * heads, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=2048,
        vocab_size=1000, max_position_embeddings=n, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def ids_of(n: int) -> Any:
    """Random token ids [1, n]."""
    import torch

    return torch.randint(3, 1000, (1, n), generator=torch.Generator().manual_seed(0))


def run(way: str, model: Any, ids: Any) -> Any:
    """One pass, and what a caller keeps of it."""
    import torch

    import attnwidget as aw

    if way == "capture":
        return aw.capture(model, ids, progress=False)
    model.set_attn_implementation("eager" if way == "eager" else "sdpa")
    with torch.no_grad():
        kept = model(ids, output_attentions=way == "eager", use_cache=False)
    model.set_attn_implementation("sdpa")
    return kept


def in_turn(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of CPU that each takes in one thread, one after the other in every round."""
    import torch

    times: dict[str, list[float]] = {name: [] for name in works}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for a core take its time too, on a machine that others use
    for _ in range(rounds):
        for name, work in works.items():
            start = time.process_time()
            work()
            times[name].append(time.process_time() - start)
    torch.set_num_threads(threads)
    return times


def ratio(one: list[float], other: list[float]) -> float:
    """Median over the rounds: a machine that slows down slows both."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def needed(n: int, layers: int) -> int:
    """Bytes of eager with output_attentions: a matrix a head, and one layer's scores and softmax beside them."""
    return (layers + 2) * HEADS * n * n * 4


def without_room(n: int, layers: int) -> str:
    """Why eager is not run: what it needs and what is free; nothing where there is room."""
    free = int(re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) * 1024
    need = needed(n, layers)
    return f"not run: needs {need / 1e9:.0f} GB, {free / 1e9:.0f} GB are free" if need > 0.8 * free else ""


def capture_rows() -> Iterator[dict[str, Any]]:
    """CPU time of a capture, and what it holds."""
    for n, layers in CASES:
        model, ids, what = model_of(n, layers), ids_of(n), f"{layers} x {HEADS} heads, n={n}"
        lacking = without_room(n, layers)
        works = {way: partial(run, way, model, ids) for way in WAYS if way != "eager" or not lacking}
        for way in works:
            run(way, model, ids[:, :64])
        times = in_turn(works, 7 if n <= 512 else 3 if n <= 2048 else 1)
        seconds = ", ".join(f"{way} {statistics.median(taken):.2f} s" for way, taken in times.items())
        yield row(f"capture / plain pass, {what}", ratio(times["capture"], times["plain"]), "x", seconds)
        against = None if lacking else ratio(times["capture"], times["eager"])
        yield row(f"capture / eager with output_attentions, {what}", against, "x", lacking)
        yield from _held_rows(run("capture", model, ids).maps, n, what)


def _held_rows(maps: Any, n: int, what: str) -> Iterator[dict[str, Any]]:
    stored = {t.untyped_storage().data_ptr(): t for layer in maps.layers for t in layer.tensors().values()}
    held = sum(t.untyped_storage().nbytes() for t in stored.values())
    q_and_k = sum(layer.q.nbytes + layer.k.nbytes for layer in maps.layers)
    matrices = sum(heads * n * n * 4 for heads in maps.heads)
    yield row(f"capture holds / its q and k, {what}", held / q_and_k, "x", budget=1.1)
    yield row(f"capture holds / the matrices, {what}", held / matrices, "x", f"{held / 2**20:.0f} MB")


_PEAK = """
import json, time
from tests.benchmarks.capture import ids_of, model_of, run
from tests.benchmarks.kernel import peak
model, ids = model_of({n}, {layers}, {heads}), ids_of({n})
run("{way}", model, ids[:, :8])
before, start = peak(), time.perf_counter()
kept = run("{way}", model, ids)
print(json.dumps([(peak() - before) / 2**20, time.perf_counter() - start]))
"""


def peak_of(way: str, n: int, layers: int, heads: int = HEADS) -> tuple[float, float]:
    """MB by which the peak grows in a process that runs once, what it returns included; and the seconds."""
    code = _PEAK.format(way=way, n=n, layers=layers, heads=heads)
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    grown, taken = json.loads(out.stdout)
    return grown, taken


def memory_rows() -> Iterator[dict[str, Any]]:
    """Growth of the peak, each way in a process of its own."""
    for n, layers in CASES:
        what, lacking = f"{layers} x {HEADS} heads, n={n}", without_room(n, layers)
        grown = {way: peak_of(way, n, layers)[0] for way in WAYS if way != "eager" or not lacking}
        note = ", ".join(f"{way} {size:.0f} MB" for way, size in grown.items())
        yield row(f"peak memory of capture / plain pass, {what}", grown["capture"] / grown["plain"], "x", note)
        against = None if lacking else grown["capture"] / grown["eager"]
        yield row(f"peak memory of capture / eager with output_attentions, {what}", against, "x", lacking)


def long_rows() -> Iterator[dict[str, Any]]:
    """One head of 32,768 tokens, whose matrix would be 4.3 GB."""
    what = "1 x 1 heads, n=32768"
    grown, taken = peak_of("capture", 32768, 1, 1)
    bare, plain = peak_of("plain", 32768, 1, 1)
    yield row(f"capture, {what}", taken, "s", f"plain {plain:.2f} s, each run once in a process of its own")
    yield row(f"peak memory of capture, {what}", grown, "MB", f"plain {bare:.0f} MB, the matrix 4295 MB")
