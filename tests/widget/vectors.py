"""Vectors: layers as they are sent, and what must be made of them. Kernel and front end are both held to them.

`python -m tests.widget.vectors` writes them for the front end's tests. Weights, missing mass and entropy are computed
in double precision from what is sent; of codes they are what the codes stand for. NaN is null.
"""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path

import numpy as np
import torch

from attnwidget.layers import DenseLayer, Mask, ProjectedLayer
from attnwidget.maps import AttentionMaps
from attnwidget.measures.products import score_products
from attnwidget.rotary import Rotary
from attnwidget.tokens import Tokens
from attnwidget.widget.answers import Shown, answer
from tests.widget.answers.reading import made, opened

FILE = Path(__file__).parents[2] / "js" / "test" / "unit" / "vectors.json"
N, WIDTH = 9, 2  # as few tokens as take fewer bytes in projections than in codes
DIGITS = 8
TERMS_OF = 7, 3  # query and key whose products are written


def _drawn(*shape, seed=0):
    # The stream of RandomState is the same in every numpy; eighths are the same in every precision but bfloat16's.
    eighths = np.round(np.random.RandomState(seed).standard_normal(shape) * 12) / 8
    return torch.tensor(eighths, dtype=torch.float32)


def _held(*, queries=N, heads=2, key_value_heads=2, width=WIDTH, mask=None, dtype=torch.float32, **options):
    q = _drawn(heads, queries, width, seed=1) * 1.01
    k = _drawn(key_value_heads, N, width, seed=2) * 1.01
    return ProjectedLayer(q.to(dtype), k.to(dtype), 0.7, Mask(causal=True) if mask is None else mask, **options)


def _hiding(heads, *rows):
    """A mask that hides keys here and there, and some rows from every key."""
    hide = _drawn(heads, N, N, seed=3) > 0.5
    hide[:, range(N), range(N)] = False
    hide[:, list(rows)] = True
    return Mask(additive=torch.zeros(heads, N, N).masked_fill(hide, -math.inf))


def _turned(pairing, start, *steps, shift=0):
    angles = torch.arange(N)[:, None] * torch.tensor(steps)
    return Rotary(pairing, start, angles, angles + shift)


def _wide(**options):
    """Vectors of four dimensions, which in half precision still take fewer bytes than codes."""
    return _held(dtype=torch.float16, width=4, mask=Mask(), **options)


def layers():
    """A layer for everything that a header can say."""
    weights = (_drawn(2, 6, 6, seed=4).masked_fill(torch.ones(6, 6).triu(1).bool(), -math.inf)).softmax(-1)
    rectangle = _drawn(3, 4, 7, seed=5).softmax(-1)
    rectangle[1, 2] = 0
    rectangle[0, 1] *= 1.3
    rectangle[2, 0] *= 0.5
    return {
        "no mask": _held(mask=Mask()),
        "causal": _held(),
        "window": _held(mask=Mask(causal=True, window=3)),
        "offset": _held(queries=5, mask=Mask(causal=True, offset=4)),
        "offset and window": _held(queries=5, mask=Mask(causal=True, offset=4, window=2)),
        "mask of bits": _held(mask=_hiding(1)),
        "mask of bits for each head": _held(mask=_hiding(2)),
        "a row that sees nothing": _held(mask=_hiding(1, 0, 4)),
        "softcap": _held(softcap=1.5),
        "sinks": _held(sinks=torch.tensor([1.5, -0.5])),
        "sinks, and a row that sees nothing": _held(mask=_hiding(1, 4), sinks=torch.tensor([1.5, -0.5])),
        "grouped keys": _held(heads=4),
        "one key head": _held(heads=3, key_value_heads=1),
        "bfloat16": _held(dtype=torch.bfloat16, width=4),
        "float16": _held(dtype=torch.float16, width=4),
        "float64": _held(dtype=torch.float64),
        "turned, halves": _wide(rotary=_turned("halves", 0, 1.0, 0.25)),
        "turned, some neighbours, keys elsewhere": _wide(rotary=_turned("neighbours", 2, 0.5, shift=3)),
        "codes, a triangle": DenseLayer(weights),
        "codes, a rectangle": DenseLayer(rectangle),
        "codes, a bias": _held(bias=_drawn(1, N, N, seed=6), heads=1, key_value_heads=1),
    }


def vectors():
    """What the file holds."""
    cases = []
    for name, layer in layers().items():
        _, queries, keys = layer.shape
        maps = AttentionMaps([layer], Tokens.positions(queries), Tokens.positions(keys))
        sent = answer(Shown.of({"attention": maps}), {"op": "projections", "map": "attention", "layer": 0})
        read = made if sent.header["form"] == "projections" else opened
        numbers = zip(("weights", "missing", "entropy"), read(sent.header, sent.buffers), strict=True)
        buffers = [base64.b64encode(buffer).decode() for buffer in sent.buffers]
        cases.append(
            {"name": name, "header": sent.header, "buffers": buffers}
            | {what: _plain(values.tolist()) for what, values in numbers}
            | _terms(maps)
        )
    return cases


def _terms(maps):
    """Where one score comes from, of layers that are turned."""
    if getattr(maps.layers[0], "rotary", None) is None:
        return {}
    found = score_products(maps, 0, 1, *TERMS_OF)
    numbers = {"total": found.products, "content": found.content}
    return {"terms": {what: _plain(values.double().tolist()) for what, values in numbers.items()}}


def written(cases):
    """The file: a case a line."""
    return "[\n" + ",\n".join(json.dumps(case, allow_nan=False, separators=(",", ":")) for case in cases) + "\n]\n"


def _plain(value):
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if math.isnan(value):
        return None
    rounded = round(value, DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded


if __name__ == "__main__":
    FILE.write_text(written(vectors()))
