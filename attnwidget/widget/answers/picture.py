"""Picture: what an image model saw, small enough to be sent."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from attnwidget.maps import AttentionMaps
from attnwidget.widget.answers.answer import Answer

__all__ = ["picture"]

LONGEST_SIDE = 512  # more is not seen under patches
_LARGE = 4  # so many pictures are sent at that size; of more, each is smaller


def picture(maps: AttentionMaps, axis: str, number: int = 0) -> Answer:
    """A picture whose patches stand on an axis.

    Parameters
    ----------
    maps : AttentionMaps
        Whose tokens carry the picture.
    axis : {"queries", "keys"}
        Which tokens.
    number : int
        Which of their pictures.

    Returns
    -------
    Answer
        Header height and width; buffer uint8 [height, width, 3], the longer side at most 512, and less where an
        axis has more than 4 pictures.

    Raises
    ------
    ValueError
        When there is no such axis, or no such picture on it.
    """
    tokens = {"queries": maps.tokens, "keys": maps.key_tokens}
    if axis not in tokens:
        raise ValueError(f"a picture of {axis!r} was asked for; expected one of 'queries' or 'keys'.")
    images = tokens[axis].images
    held = images[number].picture if 0 <= number < len(images) else None
    if held is None:
        raise ValueError(
            f"the {axis} of the maps {maps.name!r} carry no picture {number}; give one with "
            "tokens.with_image(ImageGrid(start, rows, columns, picture))."
        )
    side = max(64, int(LONGEST_SIDE * min(1, (_LARGE / len(images)) ** 0.5)))
    pixels = _reduced(_checked(held), side)
    height, width, _ = pixels.shape
    return Answer({"height": height, "width": width}, [pixels.numpy().tobytes()])


def _checked(pixels: Tensor) -> Tensor:
    if pixels.dtype != torch.uint8 or pixels.ndim != 3 or pixels.shape[-1] != 3 or 0 in pixels.shape:
        raise ValueError(
            f"the picture is {pixels.dtype} of shape {tuple(pixels.shape)}; expected torch.uint8 [height, width, 3]."
        )
    return pixels.detach().cpu().contiguous()


def _reduced(pixels: Tensor, side: int) -> Tensor:
    """The picture with each pixel the mean of those it stands for."""
    height, width, _ = pixels.shape
    share = side / max(height, width)
    if share >= 1:
        return pixels
    size = (max(1, round(height * share)), max(1, round(width * share)))
    planes = interpolate(pixels.movedim(-1, 0)[None].float(), size=size, mode="area")[0]
    return planes.round().to(torch.uint8).movedim(0, -1).contiguous()
