"""Pictures: which tokens are the patches of a picture, and the picture itself."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attnwidget.capturing.axes import Labels
from attnwidget.tokens import ImageGrid, Tokens

__all__ = ["as_picture", "patches_in_text", "patches_of_tower", "pictures_by_example", "pieces_of_pictures"]
MOST_PREFIX_TOKENS = 64  # more tokens beside the patches than that, and they are no prefix


@dataclass(frozen=True)
class Tower:
    """The tokens of a vision tower: what stands in front, and patches by row and column."""

    tokens: Tokens
    rows: int
    columns: int

    def with_picture(self, example: int, inputs: Mapping[str, Any], labels: Labels) -> Tokens:
        """The tokens of one example, with the picture it saw."""
        picture = labels.picture
        if picture is None:
            pixels = inputs["pixel_values"]
            pixels = pixels.flatten(0, 1) if pixels.ndim == 5 else pixels
            picture = _from_pixels(pixels[min(example, len(pixels) - 1)], labels.tokenizer)
        front = len(self.tokens) - self.rows * self.columns
        return self.tokens.with_image(ImageGrid(front, self.rows, self.columns, picture))


def patches_of_tower(model: nn.Module, stack: str, inputs: Mapping[str, Any], length: int) -> Tower | None:
    """The tokens of a vision tower; None where this is no tower of patches.

    Parameters
    ----------
    model : nn.Module
        The model that ran.
    stack : str
        Path of the tower's layers in it.
    inputs : mapping
        What the pass was given.
    length : int
        Number of tokens.
    """
    pixels = inputs.get("pixel_values")
    owner = _owner(model, stack)
    if "input_ids" in inputs and "input_ids" in inspect.signature(owner.forward).parameters:
        return None  # text and patches are one sequence here, each family's own way
    if isinstance(pixels, Tensor) and pixels.ndim == 5:
        pixels = pixels.flatten(0, 1)  # tiles of pictures
    config = getattr(owner, "config", None)
    patch = getattr(config, "patch_size", None)
    if not isinstance(pixels, Tensor) or pixels.ndim != 4 or not hasattr(config, "image_size"):
        return None
    sides = patch if isinstance(patch, (tuple, list)) else (patch, patch)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        return None
    rows, columns = pixels.shape[2] // sides[0], pixels.shape[3] // sides[1]
    front = length - rows * columns
    if not 0 <= front <= MOST_PREFIX_TOKENS or rows * columns == 0:
        return None
    registers = int(getattr(config, "num_register_tokens", 0) or 0)
    names = _front_names(front, registers, distilled="deit" in str(getattr(config, "model_type", "")))
    labels = (*names, *_patch_labels(rows, columns))
    return Tower(Tokens(labels, special=(True,) * front + (False,) * (rows * columns)), rows, columns)


def patches_in_text(model: nn.Module, inputs: Mapping[str, Any], tokens: Tokens, labels: Labels) -> Tokens:
    """Tokens of a text, with the patches in it by row and column, and by picture and frame where there are several."""
    config = getattr(model, "config", None)
    if tokens.ids is None or config is None:
        return tokens
    names, image = list(tokens.labels), tokens.image
    for kind in ("image", "video"):
        mark = getattr(config, f"{kind}_token_id", None)
        mark = getattr(config, f"{kind}_token_index", None) if mark is None else mark
        places = [i for i, token in enumerate(tokens.ids) if token == mark] if mark is not None else []
        grids = _grids_in_text(config, inputs, kind, len(places))
        if not places or sum(frames * rows * columns for frames, rows, columns in grids) != len(places):
            continue
        for place, name in zip(places, _names_of_patches(grids), strict=True):
            names[place] = name
        if len(grids) == 1 and grids[0][0] == 1 and places[-1] - places[0] + 1 == len(places):
            picture, pixels = labels.picture, inputs.get("pixel_values")
            if picture is None and isinstance(pixels, Tensor) and pixels.ndim == 4 and pixels.shape[0] == 1:
                picture = _from_pixels(pixels[0], labels.tokenizer)
            image = ImageGrid(places[0], *grids[0][1:], picture)
    return Tokens(tuple(names), tokens.ids, tokens.special, tokens.words, tokens.spans, image)


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


def _owner(model: nn.Module, stack: str) -> nn.Module:
    """The innermost transformers model around a stack of layers."""
    path = stack.split(".") if stack else []
    for end in range(len(path), -1, -1):
        module = model
        try:
            module = model.get_submodule(".".join(path[:end]))
        except AttributeError:
            continue
        if hasattr(getattr(module, "config", None), "patch_size"):
            return module
        if hasattr(getattr(module, "config", None), "vocab_size"):
            break  # a text decoder beside a tower
    return model


def _front_names(n: int, registers: int, *, distilled: bool) -> list[str]:
    if n == 2 and distilled:
        return ["[CLS]", "[DIST]"]
    if n and registers == n - 1 > 0:
        return ["[CLS]", *(f"[REG {i}]" for i in range(registers))]
    if n and registers == n:
        return [f"[REG {i}]" for i in range(registers)]
    return (["[CLS]"] if n else []) + [f"[PREFIX {i}]" for i in range(1, n)]


def _patch_labels(rows: int, columns: int) -> list[str]:
    return [f"{row},{column}" for row in range(rows) for column in range(columns)]


def _grids_in_text(config: Any, inputs: Mapping[str, Any], kind: str, count: int) -> list[tuple[int, int, int]]:
    """Frames, rows and columns of each picture in a text: the processor's own, or those of the patches there were."""
    vision = getattr(config, "vision_config", None)
    sizes, pixels = inputs.get(f"{kind}_grid_thw"), inputs.get("pixel_values")
    if isinstance(sizes, Tensor):
        merged = int(getattr(vision, "spatial_merge_size", 1) or 1)
        return [(int(t), int(h) // merged, int(w) // merged) for t, h, w in sizes.tolist()]
    patch = getattr(vision, "patch_size", None)
    if kind != "image" or not isinstance(pixels, Tensor) or pixels.ndim != 4 or not isinstance(patch, int):
        return []
    one = (1, pixels.shape[2] // patch, pixels.shape[3] // patch)
    # The pictures of other examples of a batch are in there too.
    return [one] * (count // max(1, one[1] * one[2]))


def _names_of_patches(grids: list[tuple[int, int, int]]) -> list[str]:
    names = []
    for number, (frames, rows, columns) in enumerate(grids):
        for frame in range(frames):
            where = [str(number)] * (len(grids) > 1) + [f"frame {frame}"] * (frames > 1)
            front = f"{' '.join(where)}: " if where else ""
            names += [f"{front}{place}" for place in _patch_labels(rows, columns)]
    return names


def pictures_by_example(model: nn.Module, inputs: Mapping[str, Any], n: int) -> list[range] | None:
    """Which of n pictures stand in each text of a batch, by the tokens that stand for them; None where none do.

    Where these do not tell, every text has them all.
    """
    config, ids = getattr(model, "config", None), inputs.get("input_ids")
    mark = getattr(config, "image_token_id", None)
    mark = getattr(config, "image_token_index", None) if mark is None else mark
    if mark is None or not isinstance(ids, Tensor) or ids.ndim != 2 or not bool((ids == mark).any()):
        return None
    counts: list[int] = (ids == mark).sum(-1).tolist()
    if any(count * n % sum(counts) for count in counts):
        return [range(n)] * len(counts)
    stops = [sum(counts[: i + 1]) * n // sum(counts) for i in range(len(counts))]
    return [range(start, stop) for start, stop in zip([0, *stops], stops, strict=False)]


def pieces_of_pictures(inputs: Mapping[str, Any]) -> int:
    """How many pictures, tiles or frames a vision model was given; 0 where that is not known."""
    pixels = inputs.get("pixel_values", inputs.get("pixel_values_videos"))
    return int(pixels.shape[:-3].numel()) if isinstance(pixels, Tensor) and pixels.ndim > 3 else 0


def _from_pixels(pixels: Tensor, processor: Any) -> Tensor | None:
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
