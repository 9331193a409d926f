"""Encoding: numbers as bytes, all little-endian.

Log-weights are unsigned 16-bit codes: log-weight = low + code * step, and 65535 where a key is masked.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["MASKED", "as_held", "encode", "float32"]

MASKED = 0xFFFF


def encode(log_weights: Tensor) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint16]], float, float]:
    """Codes of log-weights of any shape, -inf where masked; their low; their step. Not finite at all: all masked."""
    masked = ~log_weights.isfinite()
    low, high = (float(end) for end in log_weights.masked_fill(masked, 0).aminmax())  # 0 is the log of all mass
    low, high = min(0.0, low), max(0.0, high)
    step = (high - low) / (MASKED - 1)
    codes = ((log_weights - low) / (step or 1.0)).round_().clamp_(0, MASKED - 1).masked_fill_(masked, MASKED)
    return codes.numpy().astype("<u2"), low, step


def float32(values: Tensor) -> bytes:
    """Numbers in single precision."""
    return as_held(values.float())


def as_held(values: Tensor) -> bytes:
    """Numbers in their own precision, wherever and in whatever order they lie in memory."""
    values = values.detach().cpu()
    if values.dtype == torch.bfloat16:  # numpy has none
        values = values.contiguous().view(torch.int16)
    array = values.numpy()
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
