"""Benchmarks of surveys: against bare passes of the same batches; merging; 10,000 texts in little memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.capture import in_turn, model_of, ratio
from tests.benchmarks.kernel import row

BATCH = 32
BUDGET = 1.5


def survey_rows() -> Iterator[dict[str, Any]]:
    """Throughput beside forward passes of the same texts in the same batches, tokens made in both."""
    import torch

    import attnwidget as aw
    from attnwidget.surveying.rows import Columns, chunks
    from attnwidget.surveying.running import MEASURES
    from attnwidget.surveying.working import Reader, Wish

    storyteller, tokenizer = aw.demo.load()
    wider = model_of(256, 6)
    for name, model, n in (("the storyteller, 4 x 4 heads", storyteller, 2048), ("6 x 12 heads of 64", wider, 128)):
        texts = aw.demo.sentences(n)
        given = list(chunks(texts, Columns(None, None, None), None))
        reader, wish = Reader(model, tokenizer), Wish(MEASURES, 10, BATCH, None, None)
        reader.read(given[0], wish)

        def bare(model: Any = model, given: Any = given) -> None:
            with torch.no_grad():
                for chunk in given:
                    ids = tokenizer([one.text for one in chunk.rows])["input_ids"]
                    ids.sort(key=len, reverse=True)
                    for start in range(0, len(ids), BATCH):
                        batch = tokenizer.pad({"input_ids": ids[start : start + BATCH]}, return_tensors="pt")
                        model(**batch, use_cache=False)

        def survey(reader: Any = reader, wish: Any = wish, given: Any = given) -> None:
            for chunk in given:
                reader.read(chunk, wish)

        times = in_turn({"bare": bare, "survey": survey}, 5)
        taken = {way: statistics.median(seconds) for way, seconds in times.items()}
        note = ", ".join(f"{way} {n / seconds:.0f} texts/s" for way, seconds in taken.items())
        yield row(f"survey / bare passes, {name}", ratio(times["survey"], times["bare"]), "x", note, budget=BUDGET)


def merge_rows() -> Iterator[dict[str, Any]]:
    """Putting two parts together, and counting a batch, at the size of larger models."""
    import numpy as np

    from attnwidget.surveying.extremes import Extremes
    from attnwidget.surveying.moments import Moments
    from attnwidget.surveying.sketches import Sketches
    from attnwidget.surveying.tally import Tally

    rng = np.random.default_rng(0)

    def tally(layers: int, heads: int, first: int) -> Tally:
        values = rng.gamma(2, 0.1, (256, layers, heads, 4))
        numbers = np.arange(first, first + 256)
        places = np.zeros((2, *values.shape), dtype=np.int64)
        extremes = Extremes.of(values, places, numbers, numbers, 10)
        texts = dict.fromkeys(extremes.texts(), "a short text")
        return Tally(
            256, Moments.of(values), Sketches.of(values), extremes, texts, np.zeros(values.shape[1:3], dtype=np.int64)
        )

    for layers, heads in ((4, 4), (12, 12), (32, 32)):
        start = time.perf_counter()
        parts = [tally(layers, heads, 256 * number) for number in range(4)]
        made = (time.perf_counter() - start) / 4
        start = time.perf_counter()
        for _ in range(3):
            _ = parts[0] + parts[1] + parts[2] + parts[3]
        merged = (time.perf_counter() - start) / 9
        what = f"{layers} x {heads} heads, 4 measures"
        yield row(f"counting 256 texts, {what}", 1e3 * made, "ms")
        yield row(f"putting two parts together, {what}", 1e3 * merged, "ms")


_MEMORY = """
import json, torch, attnwidget as aw
from tests.benchmarks.kernel import peak
torch.set_num_threads(1)
model, tokenizer = aw.demo.load()
def texts(n):
    for start in range(0, n, 500):
        yield from aw.demo.sentences(min(500, n - start), seed=start)
aw.survey(model, tokenizer, texts(512), progress=False)
before = peak()
found = aw.survey(model, tokenizer, texts(10_000), progress=False)
print(json.dumps([(peak() - before) / 2**20, found.count]))
"""


def memory_rows() -> Iterator[dict[str, Any]]:
    """How far the peak grows over 10,000 texts after 512, in a process of its own."""
    start = time.perf_counter()
    out = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=True)
    grown, count = json.loads(out.stdout)
    took = f"{count} texts in {time.perf_counter() - start:.0f} s"
    yield row("growth of the peak over 10,000 short texts after 512", grown, "MB", took, budget=50)
