"""Pictures: which positions of an axis are patches, of which picture, and where in it; or why that is not known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.axes import Labels
from attnwidget.capturing.grids import Laid
from attnwidget.capturing.layouts import Block, blocks_of
from attnwidget.capturing.pixels import from_pixels, picture_of_patches
from attnwidget.capturing.registry import transformers_in
from attnwidget.tokens import ImageGrid, Tokens

__all__ = ["Gallery", "pictures_by_example", "pieces_of_pictures"]

_PLACED = "flattened_patches"  # patches that say their row and column
_SOUNDS = {"input_features", "input_values", "audio_values", "spectrogram"}  # with axes as a picture's


@dataclass(frozen=True)
class Gallery:
    """The pictures of a pass, as they are put on the axes of its maps.

    Parameters
    ----------
    model : nn.Module
        The model that ran.
    inputs : mapping
        What the pass was given.
    labels : Labels
        What the caller says.
    """

    model: nn.Module
    inputs: Mapping[str, Any]
    labels: Labels

    def put(  # noqa: PLR0917
        self, tokens: Tokens, laid: Laid | None, reached: Iterable[str], stack: str, example: int, batch: int
    ) -> tuple[Tokens, str]:
        """Tokens with their pictures, and why they have none where pictures are among what they were made of.

        Parameters
        ----------
        tokens : Tokens
            All positions of one side of the maps.
        laid : Laid or None
            Where the cells of a picture stand among them, as it was followed from the pixels.
        reached : iterable of str
            Names of the inputs that the positions were made of.
        stack : str
            Path of the layers that made them.
        example, batch : int
            Which of how many examples, or pieces of them.
        """
        marks = self._marks(tokens)
        if marks and any(name.startswith("pixel_values") for name in self.inputs):
            return self._in_text(tokens, marks, example)
        seen = [name for name in reached if self._is_picture(name)]
        if not seen:
            return tokens, ""
        if _PLACED in seen:
            return self._by_their_places(tokens, example)
        if laid is not None:
            return self._laid(tokens, laid, seen[0], stack, example, batch), ""
        return tokens, "what became of the rows and columns of its pixels could not be followed through the model"

    def _is_picture(self, name: str) -> bool:
        value = self.inputs.get(name)
        if name == _PLACED or name.startswith("pixel_values"):
            return isinstance(value, Tensor)
        if name in _SOUNDS or not isinstance(value, Tensor):
            return False
        return value.is_floating_point() and value.ndim == 4 and value.shape[1] in {1, 3}

    # a text with pictures in it

    def _marks(self, tokens: Tokens) -> dict[str, list[int]]:
        """Positions of the ids that stand for patches of pictures and of videos."""
        if tokens.ids is None:
            return {}
        found = {kind: self._mark(kind) for kind in ("image", "video")}
        marks = {kind: [i for i, one in enumerate(tokens.ids) if one == mark] for kind, (_, mark) in found.items()}
        return {kind: places for kind, places in marks.items() if places}

    def _mark(self, kind: str) -> tuple[Any, int | None]:
        """The config that names the id which stands for patches, and that id."""
        return _mark_of(self.model, kind)

    def _in_text(self, tokens: Tokens, marks: Mapping[str, Sequence[int]], example: int) -> tuple[Tokens, str]:
        names, images, reasons = list(tokens.labels), list(tokens.images), []
        for kind, places in marks.items():
            config, mark = self._mark(kind)
            pictures = blocks_of(config, self.inputs, kind)
            own = pictures if isinstance(pictures, str) else self._own(pictures, mark, example)
            if not isinstance(own, str):
                size = sum(block.size for picture in own for block in picture)
                own = own if size == len(places) else _unfitting(size, len(places), kind)
            if isinstance(own, str):
                reasons.append(own)
                continue
            images += self._placed(own, places, names, kind)
        placed = tuple(sorted(images, key=lambda image: image.start))
        return replace(tokens, labels=tuple(names), images=placed), "; ".join(reasons)

    def _own(self, pictures: Sequence[list[Block]], mark: int | None, example: int) -> list[list[Block]] | str:
        """The pictures that stand in one text of a batch, by how many tokens the texts before it have for theirs."""
        ids = self.inputs.get("input_ids")
        counts: list[int] = []
        if mark is not None and isinstance(ids, Tensor) and ids.ndim == 2:
            counts = torch.eq(ids, mark).sum(-1).tolist()
        own: list[list[Block]] = []
        rest = list(pictures)
        for count in counts[: min(example, len(counts) - 1) + 1]:
            own, left = [], count
            while left > 0 and rest:
                own.append(rest.pop(0))
                left -= sum(block.size for block in own[-1])
            if left:
                return "the tokens for pictures in the texts of this batch are not as many as the pictures make"
        return own

    def _placed(
        self, pictures: Sequence[list[Block]], marks: Sequence[int], names: list[str], kind: str
    ) -> list[ImageGrid]:
        """The grids of some pictures, and the names of their patches put among the labels."""
        made, at = [], 0
        for number, blocks in enumerate(pictures, 1):
            what = {"image": "picture", "video": "video"}[kind]
            which = f"{what} {number}" if len(pictures) > 1 else ""
            for block in blocks:
                start = at + block.before
                places = [
                    marks[start + row * (block.columns + block.newline) + column]
                    for row in range(block.rows)
                    for column in range(block.columns)
                ]
                name = ", ".join(filter(None, [which, block.name or _tile_name(names, places)]))
                for place in marks[at : at + block.size]:
                    names[place] = "[CLS]" if place < places[0] else "[NEWLINE]"
                _name_patches(names, places, block.columns, name)
                picture = self.labels.picture if len(pictures) == len(blocks) == 1 else None
                if picture is None and block.pixels is not None:
                    picture = from_pixels(block.pixels, self.labels.tokenizer)
                made.append(ImageGrid.at(places, block.rows, block.columns, picture, name))
                at += block.size
        return made

    # patches that say where they are

    def _by_their_places(self, tokens: Tokens, example: int) -> tuple[Tokens, str]:
        patches = self.inputs[_PLACED]
        if patches.ndim != 3 or patches.shape[1] != len(tokens) or example >= len(patches):
            return tokens, "its patches are not as many as its positions"
        own = patches[example].detach().cpu()
        where = own[:, :2].long() - 1  # rows and columns from 1, and 0 for what fills the batch up
        real = (where >= 0).all(-1).nonzero().flatten()
        rows, columns = (int(size) + 1 for size in where.amax(0))
        places = torch.full((rows, columns), -1)
        places[where[real, 0], where[real, 1]] = real
        names, flat = list(tokens.labels), places.flatten().tolist()
        _name_patches(names, flat, columns)
        picture = self.labels.picture
        if picture is None:
            picture = picture_of_patches(own[real, 2:], where[real], rows, columns)
        return replace(tokens, labels=tuple(names), images=(ImageGrid.at(flat, rows, columns, picture),)), ""

    # a tower

    def _laid(  # noqa: PLR0917
        self, tokens: Tokens, laid: Laid, name: str, stack: str, example: int, batch: int
    ) -> Tokens:
        """Tokens of which some are the cells that a convolution made of a picture."""
        places, names, special = laid.places(example), list(tokens.labels), list(tokens.special)
        if self.labels.tokens is None and tokens.ids is None:
            config = getattr(_owner(self.model, stack), "config", None)
            behind = len(names) - laid.start - laid.length
            named = [*_front_names(laid.start, config), *[None] * laid.length, *_behind_names(behind, config)]
            names = [new or old for new, old in zip(named, names, strict=True)]
            special = [new is not None for new in named]
        _name_patches(names, places, laid.columns)
        picture = self.labels.picture
        if picture is None:
            picture = self._shown(name, example, batch)
        image = ImageGrid.at(places, laid.rows, laid.columns, picture)
        return replace(tokens, labels=tuple(names), special=tuple(special), images=(image,))

    def _shown(self, name: str, example: int, batch: int) -> Tensor | None:
        pixels = self.inputs[name]
        if pixels.ndim < 4:
            return None
        pixels = pixels.flatten(0, -4)
        if len(pixels) == 1:
            return from_pixels(pixels[0], self.labels.tokenizer)
        return from_pixels(pixels[example], self.labels.tokenizer) if len(pixels) == batch > example else None


def _mark_of(model: nn.Module, kind: str) -> tuple[Any, int | None]:
    configs = [getattr(one, "config", None) for one in (model, *transformers_in(model))]
    for config in configs:
        mark = getattr(config, f"{kind}_token_id", None)
        mark = getattr(config, f"{kind}_token_index", None) if mark is None else mark
        if isinstance(mark, int):
            return config, mark
    return None, None


def _unfitting(size: int, count: int, kind: str) -> str:
    return f"its {kind}s make {size} tokens as their config and processor have it, and the text has {count} for them"


def _tile_name(labels: Sequence[str], places: Sequence[int]) -> str:
    """What the token in front of a tile calls it, as ``<row_1_col_2>`` and ``<global-img>`` do."""
    before = labels[places[0] - 1] if places[0] else ""
    parts = before.strip("<>").split("_")
    if len(parts) == 4 and parts[::2] == ["row", "col"]:
        return f"tile {parts[1]}, {parts[3]}"
    return "overview" if before == "<global-img>" else ""


def _name_patches(names: list[str], places: Sequence[int], columns: int, name: str = "") -> None:
    """Put the names of patches among labels: short ones, for there are many of them."""
    name = name.removeprefix("picture ")
    for cell, place in enumerate(places):
        if place >= 0:
            row, column = divmod(cell, columns)
            names[place] = f"{name}: {row},{column}" if name else f"{row},{column}"


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
    return model


def _front_names(n: int, config: Any) -> list[str]:
    registers = int(getattr(config, "num_register_tokens", 0) or 0)
    if n == 2 and "deit" in str(getattr(config, "model_type", "")):
        return ["[CLS]", "[DIST]"]
    if n and registers == n - 1 > 0:
        return ["[CLS]", *(f"[REG {i}]" for i in range(registers))]
    if n and registers == n:
        return [f"[REG {i}]" for i in range(registers)]
    return (["[CLS]"] if n else []) + [f"[PREFIX {i}]" for i in range(1, n)]


def _behind_names(n: int, config: Any) -> list[str]:
    kind = "DET" if n and getattr(config, "num_detection_tokens", None) == n else "SUFFIX"
    return [f"[{kind} {i}]" for i in range(n)]


def pictures_by_example(model: nn.Module, inputs: Mapping[str, Any], n: int) -> list[range] | None:
    """Which of n pictures stand in each text of a batch, by the tokens that stand for them; None where none do.

    Where these do not tell, every text has them all.
    """
    ids, (_, mark) = inputs.get("input_ids"), _mark_of(model, "image")
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
