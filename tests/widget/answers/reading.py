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
