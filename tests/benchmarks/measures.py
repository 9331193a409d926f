"""Benchmarks of the measures: against the bare arithmetic they need, and against the loop a notebook would write."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tests.benchmarks.kernel import cpu_seconds, row

LENGTHS = (128, 512, 2048)
HEADS = 12


def notebook_summary(weights: Any) -> list[dict[str, float]]:
    """Numbers of each head as a notebook computes them: head by head, in numpy."""
    import numpy as np

    table = []
    for layer in weights:
        for head in layer:
            n = len(head)
            i, j = np.indices((n, n))
            seen = np.arange(1, n + 1)
            entropy = -(head * np.log(head + 1e-12)).sum(-1)
            ordered = np.sort(head, -1)
            table.append(
                {
                    "entropy": entropy.mean(),
                    "normalized": (entropy[1:] / np.log(seen[1:])).mean(),
                    "confidence": ordered[:, -1].mean(),
                    "distance": (head * np.abs(i - j)).sum(-1).mean(),
                    "window": (head * (np.abs(i - j) <= 3)).sum(-1).mean(),
                    "diagonal": np.diag(head).mean(),
                    "previous": np.diag(head, -1).mean(),
                    "first": head[1:, 0].mean(),
                    "sparse": ((np.sqrt(seen) - 1 / np.sqrt((head**2).sum(-1))) / (np.sqrt(seen) - 1 + 1e-9)).mean(),
                    "sink": (head.sum(0) / seen[::-1]).max(),
                }
            )
    return table


def notebook_rollout(weights: Any) -> Any:
    """Rollout as a notebook computes it, in numpy."""
    import numpy as np

    n = weights.shape[-1]
    result = np.eye(n)
    for layer in weights:
        fused = layer.mean(0) + np.eye(n)
        result = (fused / fused.sum(-1, keepdims=True)) @ result
    return result


def measure_rows() -> list[dict[str, Any]]:
    """Time of rollout and of summarize."""
    return [line for n in LENGTHS for line in rows_of(n)]


def rows_of(n: int) -> list[dict[str, Any]]:
    """CPU time in one thread at one length, four layers of twelve heads; two at 2,048 tokens."""
    import torch

    from attnwidget.layers import Mask, ProjectedLayer
    from attnwidget.maps import AttentionMaps
    from attnwidget.measures import entropy, rollout, span_mass, summarize
    from attnwidget.tokens import Tokens

    layers, repeats = (4, 7) if n < 2048 else (2, 3)
    draw = torch.Generator().manual_seed(0)
    scores = torch.randn(layers, HEADS, n, n, generator=draw)
    scores.masked_fill_(~torch.ones(n, n, dtype=torch.bool).tril(), -torch.inf)
    weights = scores.softmax(-1)
    maps = AttentionMaps.from_arrays(weights, layout="LHQK")
    q, k = torch.randn(2, layers, HEADS, n, 64, generator=draw)
    held = [ProjectedLayer(one, other, 0.125, Mask(causal=True)) for one, other in zip(q, k, strict=True)]
    projected = AttentionMaps(held, Tokens.positions(n))
    array = weights.numpy()
    spans = [(str(start), start, start + n // 16) for start in range(0, n, n // 16)]
    works = {
        "softmax": lambda: scores.softmax(-1),
        "loop": lambda: notebook_rollout(array),
        "rollout": lambda: rollout(weights, causal=True),
        "of q, k": lambda: rollout(projected, progress=False),
        "last": lambda: rollout(weights, queries=-1, causal=True),
        "middle": lambda: rollout(weights, queries=n // 2, causal=True),
        "numbers": lambda: notebook_summary(array),
        "summarize": lambda: summarize(maps, progress=False),
        "summarize q, k": lambda: summarize(projected, progress=False),
        "entropy": lambda: entropy(projected),
        "spans": lambda: span_mass(projected, spans),
    }
    times = {name: cpu_seconds(work, repeats) for name, work in works.items()}

    def line(name: str, one: str, other: str, budget: float | None = None) -> dict[str, Any]:
        return row(f"{name}, n={n}", times[one] / times[other], "x", f"{1000 * times[one]:.0f} ms", budget)

    long = n >= 512  # below, it is the calls that take the time, and not the numbers
    return [
        line("rollout / the loop of a notebook", "rollout", "loop", 1.0 if long else None),
        line("rollout of q and k / the loop of a notebook, given the matrices", "of q, k", "loop"),
        line("rollout of the last query / of all", "last", "rollout"),
        line("rollout of a query in the middle / of all", "middle", "rollout"),
        line("summarize / one softmax", "summarize", "softmax", 4.0 if long else None),
        line("summarize of q and k / one softmax", "summarize q, k", "softmax"),
        line("summarize / the loop of a notebook", "summarize", "numbers"),
        line("span_mass of q and k, 16 spans / entropy of the same", "spans", "entropy", 1.0 if long else None),
    ]


_PEAK = """
import torch
from attnwidget.layers import Mask, ProjectedLayer
from attnwidget.maps import AttentionMaps
from attnwidget.measures import rollout, span_mass, summarize
from attnwidget.tokens import Tokens
from tests.benchmarks.kernel import peak
n, heads = 8192, 12
layer = ProjectedLayer(torch.randn(heads, n, 64), torch.randn(heads, n, 64), 0.125, Mask(causal=True))
maps = AttentionMaps([layer], Tokens.positions(n))
small = AttentionMaps([ProjectedLayer(layer.q[:, :64], layer.k[:, :64], 0.125, layer.mask)], Tokens.positions(64))
spans = [(str(start), start, start + n // 64) for start in range(0, n, n // 64)]
summarize(small); rollout(small); span_mass(small, [("all", 0, 64)])
before = peak()
{work}
print((peak() - before) / 2**20)
"""


def peak_rows() -> list[dict[str, Any]]:
    """Growth of the peak at 8,192 tokens, 12 heads held as q and k, each in a process of its own."""
    whole = HEADS * 8192**2 * 4 / 2**20
    rows = []
    for name, work in (
        ("summarize", "summarize(maps, progress=False)"),
        ("rollout of a query", "rollout(maps, queries=-1)"),
    ):
        grown = _peak_of(work)
        rows.append(row(f"peak memory of {name} / the matrices, n=8192", grown / whole, "x", f"{grown:.0f} MB"))
    grown = _peak_of("span_mass(AttentionMaps([layer] * 12, maps.tokens), spans)")
    rows.append(row("peak memory of span_mass beside q and k, 64 spans, 144 heads, n=8192", grown, "MB", budget=50))
    return rows


def _peak_of(work: str) -> float:
    """Megabytes by which the peak grows."""
    out = subprocess.run([sys.executable, "-c", _PEAK.format(work=work)], capture_output=True, text=True, check=True)
    return float(out.stdout)
