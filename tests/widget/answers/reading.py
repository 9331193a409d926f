"""Answers as the browser reads them."""

from __future__ import annotations

import math

import numpy as np

from attnwidget.widget.answers.tile import tile


def decoded(answer):
    """Log-weights, missing mass and entropy of a tile, as the browser reads them."""
    height, width = answer.header["shape"]
    codes = np.frombuffer(answer.buffers[0], "<u2").reshape(height, width)
    logs = np.where(codes == 65535, -math.inf, answer.header["low"] + codes * answer.header["step"])
    return logs, np.frombuffer(answer.buffers[1], "<f4"), np.frombuffer(answer.buffers[2], "<f4")


def whole(maps, layer, head, **options):
    span = {"rows": (0, maps.n_queries), "columns": (0, maps.n_keys), "height": 1024, "width": 1024}
    return tile(maps, layer, head, **span | options)


def projected_arrays(header, buffers):
    """Queries and keys in float64, sinks, and which keys may be seen, of a layer sent as projections."""
    named = dict(zip(header["buffers"], buffers, strict=True))
    heads, n_queries, n_keys = (header[name] for name in ("heads", "n_queries", "n_keys"))
    q = _numbers(named["q"], header["dtype"]).reshape(heads, n_queries, header["width"])
    k = _numbers(named["k"], header["dtype"]).reshape(header["key_value_heads"], n_keys, header["width"])
    sinks = np.frombuffer(named["sinks"], "<f4").astype(np.float64) if "sinks" in named else None
    if "mask" in named:
        of_head = np.frombuffer(named["mask"], np.uint8).reshape(header["mask_heads"], -1)
        bits = np.unpackbits(of_head, axis=1, count=n_queries * n_keys, bitorder="little")
        seen = bits.reshape(-1, n_queries, n_keys).astype(bool)
    else:
        last, key = np.arange(n_queries)[:, None] + header["mask"]["offset"], np.arange(n_keys)
        seen = (key <= last) | (not header["mask"]["causal"])
        if header["mask"]["window"] is not None:
            seen &= key > last - header["mask"]["window"]
        seen = seen[None]
    return q, k, sinks, np.broadcast_to(seen, (heads, n_queries, n_keys))


def made(header, buffers):
    """Weights, missing mass and entropy of all heads of a layer that was sent as projections, in float64."""
    q, k, sinks, seen = projected_arrays(header, buffers)
    k = k.repeat(header["heads"] // header["key_value_heads"], axis=0)
    scores = q @ k.swapaxes(1, 2) * header["scaling"]
    if header["softcap"] is not None:
        scores = np.tanh(scores / header["softcap"]) * header["softcap"]
    scores = np.where(seen, scores, -math.inf)
    sink = np.full(scores.shape[:2], -math.inf) if sinks is None else np.broadcast_to(sinks[:, None], scores.shape[:2])
    top = np.maximum(scores.max(-1), sink)
    top = np.where(np.isfinite(top), top, 0)
    exp, outside = np.exp(scores - top[..., None]), np.exp(sink - top)
    total = exp.sum(-1) + outside
    total[total == 0] = 1
    weights, missing = exp / total[..., None], outside / total
    return weights, missing, entropy_of(weights)


def opened(header, buffers):
    """Weights, missing mass and entropy of all heads of a layer that was sent as codes."""
    heads, n_queries, n_keys = (header[name] for name in ("heads", "n_queries", "n_keys"))
    codes = np.full((heads, n_queries, n_keys), 65535, np.uint16)
    sent = np.frombuffer(buffers[0], "<u2").reshape(heads, -1)
    if header["triangle"]:
        codes[:, *np.tril_indices(n_queries)] = sent
    else:
        codes[:] = sent.reshape(codes.shape)
    low, step = (np.array(header[name])[:, None, None] for name in ("low", "step"))
    weights = np.where(codes == 65535, 0, np.exp(low + codes * step))
    return weights, *(np.frombuffer(buffer, "<f4").reshape(heads, n_queries) for buffer in buffers[1:])


def entropy_of(weights):
    """Entropy in nats of rows rescaled to their sum; NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = weights / weights.sum(-1, keepdims=True)
        return -np.where(shares == 0, 0, shares * np.log(shares)).sum(-1)


def _numbers(buffer, dtype):
    if dtype == "bfloat16":
        return (np.frombuffer(buffer, "<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return np.frombuffer(buffer, {"float32": "<f4", "float16": "<f2"}[dtype]).astype(np.float64)
