"""Projections: all that the browser needs to make any head of a layer itself, when the kernel is busy or gone.

n d numbers travel instead of n^2: queries and keys, and the rule of the mask. Where all heads as codes are smaller, and
where a layer has no queries and keys, the codes are sent that `tile` would send for the whole map of each head.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from attnwidget.layers import Layer, Mask, ProjectedLayer
from attnwidget.maps import AttentionMaps
from attnwidget.pooling import Grid, pool
from attnwidget.rotary import Rotary
from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.encoding import MASKED, as_held, encode, float32

__all__ = ["Form", "form_of", "held_form", "layer_bytes", "projections"]

Form = Literal["projections", "codes"]
LONGEST = 1024  # queries and keys of a map that is sent whole
LIVE_CODES = 1 << 18  # bytes of codes that are not worth a question for each head
SENT_AS_HELD = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}


def projections(maps: AttentionMaps, layer: int) -> Answer:
    """A layer whole: its queries and keys, or the codes of all its heads, whichever takes fewer bytes.

    Returns
    -------
    Answer
        Header ``form`` says which, ``buffers`` names the buffers in order, all little-endian.

        "projections": q [heads, queries, width] and k [key-value heads, keys, width] in ``dtype``, bfloat16 as its 16
        bits; ``narrowed`` where they are held in double precision. Then sinks, float32 [heads], and mask, bits of what
        may be seen, lowest first, [``mask_heads``, queries, keys], each head in whole bytes; both only where there
        are any. Without such bits the header's ``mask`` is the rule: causal, offset, window. Weights are
        softmax(cap(q k^T * scaling)) over what may be seen, the sink taking part. Where the header has a ``rotary``
        (pairing, start, pairs): query_angles and, where these are others, key_angles, float32 [tokens, pairs].

        "codes": codes uint16 [heads, queries, keys], of the lower triangles alone, row by row, where ``triangle``;
        missing mass and entropy in nats, float32 [heads, queries]. Header ``low`` and ``step`` of each head.

    Raises
    ------
    IndexError
        When there is no such layer.
    ValueError
        When the map has more than 1,024 queries or keys.
    """
    source, _ = maps.locate(layer, 0)
    if max(maps.n_queries, maps.n_keys) > LONGEST:
        raise ValueError(
            f"the maps {maps.name!r} have {maps.n_queries:,} queries x {maps.n_keys:,} keys, and layers are sent whole "
            f"up to {LONGEST:,}; ask for tiles."
        )
    if isinstance(source, ProjectedLayer) and form_of(source) == "projections":
        answer = _projections(source)
    else:
        answer = _codes(source)
    heads, n_queries, n_keys = source.shape
    shape = {"layer": layer, "heads": heads, "n_queries": n_queries, "n_keys": n_keys}
    return Answer(answer.header | shape, answer.buffers)


def layer_bytes(layer: Layer) -> tuple[int | None, int]:
    """Bytes of a layer as projections, None where it cannot be sent so, and as codes of all its heads."""
    heads, n_queries, n_keys = layer.shape
    cells = n_queries * (n_queries + 1) // 2 if _is_triangle(layer) else n_queries * n_keys
    codes = heads * (2 * cells + 8 * n_queries)
    if not isinstance(layer, ProjectedLayer) or layer.bias is not None or not layer.mask.is_plain:
        return None, codes
    size = _sent_dtype(layer).itemsize * (layer.q.numel() + layer.k.numel())
    if layer.sinks is not None:
        size += 4 * heads
    if not layer.mask.is_rule:
        size += _mask_heads(layer.mask) * -(-n_queries * n_keys // 8)
    if layer.rotary is not None:
        size += 4 * layer.rotary.pairs * (n_queries + (0 if _alike(layer.rotary) else n_keys))
    return size, codes


def form_of(layer: Layer) -> Form:
    """The form that takes fewer bytes."""
    projected, codes = layer_bytes(layer)
    return "projections" if projected is not None and projected <= codes else "codes"


def held_form(layer: Layer) -> Form | None:
    """The form in which the browser does best to hold a layer; None where it asks for tiles."""
    if max(layer.shape[1:]) > LONGEST:
        return None
    projected, codes = layer_bytes(layer)
    return form_of(layer) if projected is not None or codes <= LIVE_CODES else None


def _alike(rotary: Rotary) -> bool:
    """Whether keys are turned as the queries of their places are."""
    return rotary.keys is rotary.queries or torch.equal(rotary.keys, rotary.queries)


def _projections(layer: ProjectedLayer) -> Answer:
    dtype, mask = _sent_dtype(layer), layer.mask
    buffers = {"q": as_held(layer.q.to(dtype)), "k": as_held(layer.k.to(dtype))}
    if layer.sinks is not None:
        buffers["sinks"] = float32(layer.sinks)
    if not mask.is_rule:
        _, n_queries, n_keys = layer.shape
        buffers["mask"] = _bits(mask.visible(slice(0, n_queries), n_keys, layer.q.device))
    rotary = layer.rotary
    if rotary is not None:
        buffers["query_angles"] = float32(rotary.queries)
        if not _alike(rotary):
            buffers["key_angles"] = float32(rotary.keys)
    header = {
        "form": "projections",
        "buffers": list(buffers),
        "dtype": SENT_AS_HELD[dtype],
        "narrowed": torch.float64 in {layer.q.dtype, layer.k.dtype},
        "key_value_heads": layer.key_value_heads,
        "width": layer.q.shape[2],
        "scaling": float(layer.scaling),
        "softcap": None if layer.softcap is None else float(layer.softcap),
        "mask": {"causal": mask.causal, "offset": mask.offset, "window": mask.window} if mask.is_rule else None,
        "mask_heads": None if mask.is_rule else _mask_heads(mask),
    }
    if rotary is not None:
        header["rotary"] = {"pairing": rotary.pairing, "start": rotary.start, "pairs": rotary.pairs}
    return Answer(header, list(buffers.values()))


def _codes(layer: Layer) -> Answer:
    heads, n_queries, n_keys = layer.shape
    grid = Grid((0, n_queries), (0, n_keys), (1, 1), 1)
    codes, lows, steps, missing, entropy = [], [], [], [], []
    with torch.no_grad():
        for head in range(heads):
            pooled = pool(layer, slice(head, head + 1), grid, factor=1.0, pooling="max")
            of_head, low, step = encode(pooled.log_weights)
            codes.append(of_head)
            lows.append(low)
            steps.append(step)
            missing.append(pooled.missing)
            entropy.append(pooled.entropy)
    later = np.triu_indices(n_queries, 1, n_keys)
    # Weights that were given behind their own mask must be seen.
    triangle = _is_triangle(layer) and all(bool((one[later] == MASKED).all()) for one in codes)
    if triangle:
        codes = [one[np.tril_indices(n_queries)] for one in codes]
    header = {
        "form": "codes",
        "buffers": ["codes", "missing", "entropy"],
        "low": lows,
        "step": steps,
        "triangle": triangle,
    }
    return Answer(
        header,
        [
            b"".join(one.tobytes() for one in codes),
            float32(torch.stack(missing)),
            float32(torch.stack(entropy)),
        ],
    )


def _is_triangle(layer: Layer) -> bool:
    """Whether query i sees the keys up to i at most, by rule."""
    _, n_queries, n_keys = layer.shape
    mask = layer.mask
    return mask.additive is None and mask.causal and mask.offset == 0 and n_queries == n_keys


def _mask_heads(mask: Mask) -> int:
    """How many heads have a mask of their own, or 1 for all."""
    return 1 if mask.additive is None else mask.additive.shape[0]


def _sent_dtype(layer: ProjectedLayer) -> torch.dtype:
    held = layer.q.dtype
    return held if held == layer.k.dtype and held in SENT_AS_HELD else torch.float32


def _bits(seen: Tensor) -> bytes:
    """Bits [heads, ...], lowest first, each head in whole bytes."""
    return np.packbits(seen.flatten(1).cpu().numpy(), axis=1, bitorder="little").tobytes()
