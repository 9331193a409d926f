"""Pixels: pictures as somebody has them, and as models are given them, made into what can be shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["as_picture", "from_pixels", "picture_of_patches"]


def as_picture(picture: Any) -> Tensor | None:
    """A picture somebody has, as uint8 [height, width, 3].

    Parameters
    ----------
    picture : PIL.Image, ndarray or Tensor [height, width], [height, width, 3] or [3, height, width], or None
        uint8, or floating point in [0, 1].

    Raises
    ------
    TypeError, ValueError
        When it is no picture.
    """
    if picture is None:
        return None
    if hasattr(picture, "convert"):
        picture = np.asarray(picture.convert("RGB"))
    if not isinstance(picture, (np.ndarray, Tensor)):
        raise TypeError(f"picture is {type(picture).__name__}; expected a PIL image, an array or a tensor.")
    values = torch.as_tensor(np.array(picture) if isinstance(picture, np.ndarray) else picture.detach().cpu())
    if values.ndim == 2:
        values = values[..., None].expand(*values.shape, 3)
    if values.ndim == 3 and values.shape[0] == 3 != values.shape[2]:
        values = values.movedim(0, -1)
    if values.ndim != 3 or values.shape[2] not in {3, 4} or values.numel() == 0:
        raise ValueError(f"picture has shape {list(values.shape)}; expected [height, width, 3].")
    values = values[..., :3]
    if values.is_floating_point():
        if not bool(((values >= 0) & (values <= 1)).all()):
            raise ValueError("picture holds numbers outside 0 to 1; expected uint8, or floating point in [0, 1].")
        values = (values * 255).round()
    return values.to(torch.uint8).contiguous()


def from_pixels(pixels: Tensor, processor: Any) -> Tensor | None:
    """A picture from what went into the model: the normalisation undone where it is known, else stretched."""
    if pixels.shape[0] not in {1, 3}:
        return None
    values = pixels.detach().float().cpu()
    source = getattr(processor, "image_processor", processor)
    mean, deviation = getattr(source, "image_mean", None), getattr(source, "image_std", None)
    if mean is not None and deviation is not None and len(mean) == len(values):
        values = values * torch.tensor(deviation)[:, None, None] + torch.tensor(mean)[:, None, None]
    else:
        low, high = values.amin(), values.amax()
        values = (values - low) / (high - low).clamp(min=1e-6)
    values = values.nan_to_num(0).clamp(0, 1).expand(3, -1, -1)
    return (values * 255).round().to(torch.uint8).movedim(0, -1).contiguous()


def picture_of_patches(patches: Tensor, where: Tensor, rows: int, columns: int) -> Tensor | None:
    """A picture from flat patches [n, side * side * 3] and the row and column of each [n, 2]; None where it is none."""
    side = round((patches.shape[1] / 3) ** 0.5)
    if side * side * 3 != patches.shape[1] or not side:
        return None
    whole = patches.new_zeros(rows, columns, side, side, 3)
    whole[where[:, 0], where[:, 1]] = patches.view(-1, side, side, 3)
    return from_pixels(whole.permute(4, 0, 2, 1, 3).reshape(3, rows * side, columns * side), None)
