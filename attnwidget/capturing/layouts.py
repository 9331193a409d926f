"""Layouts: what each family of models makes of a picture among the words of a text, by its config and its processor.

Only families whose order of patches was looked at stand here; of any other it is said that it is not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

__all__ = ["Block", "blocks_of"]


@dataclass(frozen=True)
class Block:
    """A grid of patches among the tokens that stand for a picture.

    Parameters
    ----------
    rows, columns : int
        Size of the grid.
    pixels : Tensor [channels, height, width] or None
        What the patches show.
    name : str
        Which tile or frame it is.
    before, after : int
        Tokens in front of its patches and behind them that stand for no patch, as a [CLS] of the tower.
    newline : int
        Tokens behind each row that stand for its end.
    """

    rows: int
    columns: int
    pixels: Tensor | None = None
    name: str = ""
    before: int = 0
    after: int = 0
    newline: int = 0

    @property
    def size(self) -> int:
        """How many tokens it takes."""
        return self.before + self.rows * (self.columns + self.newline) + self.after


@dataclass(frozen=True)
class _Seen:
    """What a pass was given of pictures, or of videos."""

    config: Any
    inputs: Mapping[str, Any]
    kind: str

    @property
    def pixels(self) -> Tensor | None:
        names = ("pixel_values_videos",) if self.kind == "video" else ("pixel_values", "pixel_values_images")
        return next((value for name in names if isinstance(value := self.inputs.get(name), Tensor)), None)

    @property
    def vision(self) -> Any:
        return getattr(self.config, "vision_config", None)

    @property
    def patch(self) -> int:
        return _side(getattr(self.vision, "patch_size", 0))

    @property
    def extra(self) -> int:
        """Whether the tower's [CLS] comes along."""
        full = getattr(self.config, "vision_feature_select_strategy", "default") == "full"
        return int(full and "clip" in str(getattr(self.vision, "model_type", "")))


_Pictures = list[list[Block]]


def blocks_of(config: Any, inputs: Mapping[str, Any], kind: str) -> _Pictures | str:
    """The grids of each picture of a batch, in the order of their tokens; or why these are not known.

    Parameters
    ----------
    config : transformers.PretrainedConfig
        Of the model that joins pictures and text.
    inputs : mapping
        What the pass was given.
    kind : {"image", "video"}
        Which of its pictures.
    """
    seen = _Seen(config, inputs, kind)
    family = str(getattr(config, "model_type", "")) or type(config).__name__
    layout = _FILMS.get(family) if kind == "video" else _LAYOUTS.get(family)
    if isinstance(inputs.get(f"{kind}_grid_thw"), Tensor):
        layout = _by_its_processor
    if _is_queried(config):
        return "its picture tokens are queries that were learned, and no patches"
    if layout is None:
        what = {"image": "picture", "video": "video"}[kind]
        return f"in which order {family!r} turns the patches of a {what} into tokens is not known here"
    made = layout(seen)
    return f"the pixels of its {kind}s are not among the inputs of this pass" if made is None else made


def _is_queried(config: Any) -> bool:
    names = ("num_query_tokens", "qformer_config", "perceiver_config")
    return any(getattr(config, name, None) is not None for name in names)


def _side(size: Any) -> int:
    return int(size[0] if isinstance(size, (list, tuple)) else size or 0)


def _split(size: int, *parts: int) -> int:
    """A size divided by each part in turn; 0 where a part is none."""
    for part in parts:
        size = size // part if part else 0
    return size


def _one_each(merge: Callable[[Any], int]) -> Callable[[_Seen], _Pictures | None]:
    """A grid a picture, in which so many patches to each side became one token."""

    def layout(seen: _Seen) -> _Pictures | None:
        pixels, side = seen.pixels, merge(seen.config)
        if pixels is None or pixels.ndim not in {4, 5}:
            return None
        pixels = pixels.flatten(0, 1) if pixels.ndim == 5 else pixels
        sizes = seen.inputs.get("image_sizes")  # of a batch of pictures that were padded to one size
        made = []
        for number, one in enumerate(pixels):
            if isinstance(sizes, Tensor) and sizes.shape == (len(pixels), 2):
                height, width = sizes[number].tolist()
                one = one[:, :height, :width]  # noqa: PLW2901
            rows, columns = (_split(size, seen.patch, side) for size in one.shape[-2:])
            made.append([Block(rows, columns, one, before=seen.extra)])
        return made

    return layout


def _tiles(seen: _Seen) -> _Pictures | None:
    """Tiles and an overview, each with tokens of text around it; tiles of zeros fill a batch up, and are left out."""
    pixels = seen.pixels
    if pixels is None or pixels.ndim != 5:
        return None
    side = int(getattr(seen.config, "scale_factor", 1))
    tiles = [one for one in pixels.flatten(0, 1) if bool((one != 0).any())]
    sizes = [[_split(size, seen.patch, side) for size in one.shape[-2:]] for one in tiles]
    return [[Block(rows, columns, one)] for (rows, columns), one in zip(sizes, tiles, strict=True)]


def _anyres(seen: _Seen) -> _Pictures | None:
    """An overview, and behind it all tiles as one picture without its padding, each row with a token for its end."""
    pixels, sizes = seen.pixels, seen.inputs.get("image_sizes")
    if pixels is None or pixels.ndim != 5 or not isinstance(sizes, Tensor) or seen.extra:
        return None
    side = _side(seen.vision.image_size)
    each = side // seen.patch
    counts = seen.inputs.get("batch_num_images")
    alone = [n == 1 for n in counts.tolist() for _ in range(n)] if isinstance(counts, Tensor) else [True] * len(pixels)
    made = []
    for one, size, tiled in zip(pixels, sizes.tolist(), alone, strict=False):
        height, width = _best_fit(size, seen.config.image_grid_pinpoints)
        down, across = height // side, width // side
        if not tiled:
            made.append([Block(each, each, one[0], after=1)])
            continue
        grid = one[1 : 1 + down * across]
        whole = grid.reshape(down, across, *grid.shape[1:]).permute(2, 0, 3, 1, 4).flatten(1, 2).flatten(2, 3)
        top, left = _padding(size, (down * each, across * each))
        rows, columns = down * each - 2 * top, across * each - 2 * left
        shown = whole[
            :, top * seen.patch : (top + rows) * seen.patch, left * seen.patch : (left + columns) * seen.patch
        ]
        rows, columns = _shrunk(rows, columns, each, getattr(seen.config, "vision_aspect_ratio", ""))
        made.append([Block(each, each, one[0], "overview"), Block(rows, columns, shown, "tiles", newline=1)])
    return made


def _best_fit(size: Sequence[int], known: Sequence[Sequence[int]]) -> tuple[int, int]:
    """The resolution that a picture was cut into tiles at: the largest part of it fits, and the least is wasted."""

    def fitness(one: Sequence[int]) -> tuple[int, int]:
        scale = min(one[1] / size[1], one[0] / size[0])
        shown = min(int(size[0] * scale) * int(size[1] * scale), size[0] * size[1])
        return shown, -(one[0] * one[1] - shown)

    height, width = max(known, key=fitness)
    return int(height), int(width)


def _padding(size: Sequence[int], grid: tuple[int, int]) -> tuple[int, int]:
    """Rows above and columns to the left of a picture that was padded to the form of its tiles."""
    (height, width), (rows, columns) = size, grid
    if width / height > columns / rows:
        return (rows - int(round(height * columns / width, 7))) // 2, 0
    return 0, (columns - int(round(width * rows / height, 7))) // 2


def _shrunk(rows: int, columns: int, each: int, ratio: str) -> tuple[int, int]:
    """The size after more patches than are allowed were made fewer."""
    most = ratio.removeprefix("anyres_max_")
    over = math.sqrt(rows * columns / (int(most) * each**2)) if most.isdigit() else 0
    return (int(rows // over), int(columns // over)) if over > 1.1 else (rows, columns)


def _frames(side: Callable[[Any, int], int], *, after: int = 0) -> Callable[[_Seen], _Pictures | None]:
    """The frames of a video one after another, each made smaller."""

    def layout(seen: _Seen) -> _Pictures | None:
        pixels = seen.pixels
        if pixels is None or pixels.ndim != 5:
            return None
        rows, columns = (side(seen.config, _split(size, seen.patch)) for size in pixels.shape[-2:])
        # A model of videos that says "full" of its pictures gives the [CLS] of each frame.
        before = int(getattr(seen.config, "model_type", "") == "video_llava")
        made = []
        for film in pixels:
            blocks = [Block(rows, columns, one, f"frame {number}", before) for number, one in enumerate(film, 1)]
            made.append([*blocks[:-1], replace(blocks[-1], after=after)])
        return made

    return layout


def _by_its_processor(seen: _Seen) -> _Pictures | None:
    """Frames, rows and columns as the processor gives them, in patches that the model merges."""
    grids = seen.inputs[f"{seen.kind}_grid_thw"].tolist()
    merge = int(getattr(seen.vision, "spatial_merge_size", 1) or 1)
    pixels, at, made = seen.pixels, 0, []
    for frames, rows, columns in grids:
        size = frames * rows * columns
        shown = None if pixels is None or pixels.ndim != 2 else _unflattened(seen, pixels[at : at + size], merge, grids)
        at += size
        pictures = [None] * frames if shown is None else _frames_of(shown, (frames, rows, columns), merge)
        named = [f"frame {number}" if frames > 1 or seen.kind == "video" else "" for number in range(1, frames + 1)]
        blocks = [Block(rows // merge, columns // merge, *each) for each in zip(pictures, named, strict=True)]
        made.append(blocks)
    return made


def _unflattened(seen: _Seen, patches: Tensor, merge: int, grids: Sequence[Sequence[int]]) -> Tensor | None:
    """Patches as pictures, [patches, channels, height, width]; None where their numbers are no pixels."""
    channels = int(getattr(seen.vision, "in_channels", getattr(seen.vision, "in_chans", 3)) or 3)
    depth = patches.shape[1] // max(1, channels * seen.patch**2)
    whole = depth * channels * seen.patch**2 == patches.shape[1] and len(patches) and depth
    fits = all(rows % merge == 0 == columns % merge for _, rows, columns in grids)
    return patches.view(-1, channels, depth, seen.patch, seen.patch)[:, :, 0] if whole and fits else None


def _frames_of(patches: Tensor, size: tuple[int, int, int], merge: int) -> list[Tensor]:
    """The pictures of patches that stand in blocks of those that are merged."""
    frames, rows, columns = size
    blocks = patches.view(frames, rows // merge, columns // merge, merge, merge, *patches.shape[1:])
    # frame, channel, row of blocks, row, pixel, column of blocks, column, pixel
    whole = blocks.permute(0, 5, 1, 3, 6, 2, 4, 7)
    return list(whole.flatten(5, 7).flatten(2, 4))


def _gemma(config: Any) -> int:
    each = _split(_side(config.vision_config.image_size), _side(config.vision_config.patch_size))
    return _split(each, math.isqrt(int(config.mm_tokens_per_image)))


_LAYOUTS: dict[str, Callable[[_Seen], _Pictures | None]] = {
    "llava": _one_each(lambda _: 1),
    "vipllava": _one_each(lambda _: 1),
    "paligemma": _one_each(lambda _: 1),
    "video_llava": _one_each(lambda _: 1),
    "gemma3": _one_each(_gemma),
    "internvl": _one_each(lambda config: round(1 / config.downsample_ratio)),
    "aya_vision": _one_each(lambda config: int(config.downsample_factor)),
    "cohere2_vision": _one_each(lambda config: int(config.downsample_factor)),
    "janus": _one_each(lambda _: 1),
    "deepseek_vl": _one_each(lambda _: 1),
    "mistral3": _one_each(lambda config: int(config.spatial_merge_size)),
    "idefics3": _tiles,
    "smolvlm": _tiles,
    "llava_next": _anyres,
    "llava_next_video": _anyres,
    "llava_onevision": _anyres,
}
_FILMS: dict[str, Callable[[_Seen], _Pictures | None]] = {
    "llava_next_video": _frames(lambda config, size: size // int(config.spatial_pool_stride)),
    "llava_onevision": _frames(lambda _, size: math.ceil(size / 2), after=1),
    "video_llava": _frames(lambda _, size: size),
}
