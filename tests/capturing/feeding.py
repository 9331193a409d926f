"""Inputs for any model: by the names of its forward's arguments and the sizes in its config, richest first."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

N, TARGET = 10, 4
Inputs = dict[str, Any]


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ids(n: int = N, seed: int = 0) -> Tensor:
    return torch.randint(4, 60, (1, n), generator=_generator(seed))


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=_generator())


def found(config: Any, *names: str, default: Any = None) -> Any:
    """The first number of one of these names, in a config or those inside it."""
    todo = [config]
    while todo:
        one = todo.pop(0)
        for name in names:
            value = getattr(one, name, None)
            if value is not None and not isinstance(value, bool):
                return value
        todo += [value for value in vars(one).values() if isinstance(value, PreTrainedConfig)]
    return default


def side(value: Any) -> int:
    if isinstance(value, dict):
        return value["height"]
    return side(min(value)) if isinstance(value, (list, tuple)) else value


def pictures(config: Any, size: int | None = None) -> Tensor:
    vision = getattr(config, "vision_config", None) or getattr(config, "backbone_config", None) or config
    size = size or side(
        found(vision, "image_size", "img_size", default=None) or found(config, "image_size", default=64)
    )
    if hasattr(config, "scaled_images_ratios"):
        size = 4 * config.patch_size
    return noise(1, found(vision, "num_channels", "in_channels", "in_chans", default=3), size, size)


def feeds(model: nn.Module) -> Iterator[Inputs]:
    """Inputs that may fit, richest first."""
    seen = set()
    size = found(model.config, "vocab_size", default=None)
    fewest = size if isinstance(size, int) and size < 60 else 1000
    for given in _feeds(model):
        inputs = {name: value % fewest if name.endswith("input_ids") else value for name, value in given.items()}
        known = str([(name, getattr(value, "shape", 0)) for name, value in inputs.items()])
        if known not in seen:
            seen.add(known)
            yield inputs


def _feeds(model: nn.Module) -> Iterator[Inputs]:
    config = model.config
    known = inspect.signature(model.forward).parameters
    needed = {n for n, p in known.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}
    main = getattr(model, "main_input_name", "input_ids")
    extra = _extra(config, known, needed)
    text = {"input_ids": ids()} if "input_ids" in known else {}
    if "decoder_input_ids" in known:
        text["decoder_input_ids"] = ids(TARGET, 1)
        books = found(getattr(config, "decoder", None) or config, "num_codebooks", default=None)
        if books:
            text["decoder_input_ids"] = ids(books * TARGET, 1).reshape(books, TARGET) % 32
    for seen in _seen(config, known, main):
        if text and ("input_ids" in known) and seen:
            yield {**text, **extra, **seen}
            yield {**text, **seen}
        if seen:
            target = {k: v for k, v in text.items() if k != "input_ids"}
            yield {**target, **extra, **seen}
            yield seen
    for heard in _heard(config, known, main):
        target = {k: v for k, v in text.items() if k != "input_ids"}
        yield {**text, **heard, **extra}
        yield {**target, **heard, **extra}
        yield {**heard}
    if text:
        yield {**text, **extra}
        yield text
        yield {"input_ids": ids()}
    for other in _others(config, known, needed):
        yield {**other, **extra}
        yield other
    yield extra


def _grid(config: Any, pixels: str, grid: str) -> tuple[Inputs, int]:
    vision = getattr(config, "vision_config", config)
    patch = side(found(vision, "patch_size", default=8))
    times = found(vision, "temporal_patch_size", "patch_temporal", default=1)
    merge = found(vision, "spatial_merge_size", "merge_size", default=1)
    merge = merge if isinstance(merge, int) else 1
    rows = 2 * merge
    channels = found(vision, "in_channels", "num_channels", "in_chans", default=3)
    flat = noise(rows * rows, channels * times * patch * patch)
    sizes = [1, rows, rows] if grid.endswith("thw") else [rows, rows]
    return {pixels: flat, grid: torch.tensor([sizes])}, 4


def _seen(config: Any, known: Any, main: str) -> Iterator[Inputs]:
    """Pictures and videos."""
    names = [n for n in known if n in {"pixel_values", "pixel_values_videos", "images", "pixel_values_images"}]
    if not names and main in {"pixel_values", "pixel_values_videos"}:
        names = [main]
    grids = [n for n in known if n.endswith(("grid_thw", "grid_hws", "grid_hw")) and "video" not in n]
    if grids and not names:
        names = [n for n in ("hidden_states", "x", "patches") if n in known]
    if not names:
        return
    if grids:
        yield from _in_grids(config, known, names[0], grids[0])
    else:
        yield from _flat(config, known)
        yield from _whole(config, known, names)


def _with_places(n: int, token: int) -> Tensor:
    return torch.cat([ids(3), torch.full((1, n), token), ids(3, 1)], 1)


def _in_grids(config: Any, known: Any, pixels: str, grid: str) -> Iterator[Inputs]:
    """Patches one after another, with the sizes of their pictures."""
    flat, n = _grid(config, pixels, grid)
    token = found(config, "image_token_id", "image_token_index", default=0)
    text = {"input_ids": _with_places(n, token)}
    start = found(config, "vision_start_token_id", default=None)
    if start is not None:
        text["input_ids"][0, 2] = start
    if "mm_token_type_ids" in known:
        text["mm_token_type_ids"] = (text["input_ids"] == token).long()
    reads = "input_ids" in known
    if reads:
        yield {**flat, **text}
    patch = side(found(config, "patch_size", default=8))
    square = flat[pixels].unflatten(1, (-1, patch, patch))
    yield flat
    yield {**flat, pixels: square}
    if square.shape[1] % 3 == 0:
        yield {**flat, pixels: square[None, :, :3]}
        yield {**flat, pixels: square[:, :3]}
    if reads:
        yield {**flat, pixels: square, **text}


def _flat(config: Any, known: Any) -> Iterator[Inputs]:
    """Patches with their places."""
    patch = side(found(config, "patch_size", default=8))
    flat = noise(1, 16, 3 * patch * patch)
    if "spatial_shapes" in known:
        mask = torch.ones(1, 16, dtype=torch.long)
        yield {"pixel_values": flat, "pixel_attention_mask": mask, "spatial_shapes": torch.tensor([[4, 4]])}
    places = torch.stack(torch.meshgrid(torch.arange(4), torch.arange(4), indexing="xy"), -1).reshape(1, 16, 2)
    for name in {"pixel_position_ids", "image_position_ids"} & set(known):
        yield {"pixel_values": flat.sigmoid(), name: places}


def _whole(config: Any, known: Any, names: list[str]) -> Iterator[Inputs]:
    """Pictures, and videos of them."""
    one = pictures(config)
    token = found(config, "image_token_id", "image_token_index", default=None)
    if "images" in names:
        yield {"images": one}
    frames = found(config, "num_frames", "frames_per_clip", default=2)
    for name in names:
        video = one[:, None].repeat(1, frames, 1, 1, 1)
        first = [video, one] if name == "pixel_values_videos" or hasattr(config, "num_frames") else [one, video]
        for value in first:
            seen = {name: value}
            if "input_ids" in known and token is not None:
                text = _with_places(4, token)
                if "token_type_ids" in known:
                    yield {"input_ids": text, "token_type_ids": torch.zeros_like(text), **seen}
                yield {"input_ids": text, **seen}
            yield seen
        yield {name: one[:, None]}
        yield {name: one[:, None, None]}


def _heard(config: Any, known: Any, main: str) -> Iterator[Inputs]:
    """Sound: waveforms and spectrograms."""
    names = ("num_mel_bins", "input_feat_per_channel", "n_mels", "feature_size", "input_dim", "mel_dim", "num_chroma",
             "input_feat_size", "feature_dim", "input_size", "n_mel_bins", "num_mels", "mel_bins")  # fmt: skip
    sizes = [found(config, name) for name in names]
    token = found(config, "audio_token_id", "audio_token_index", default=None)
    length = 2 * found(config, "max_source_positions", default=32)
    for name in ("input_features", "input_values", "audio_values", "audio", "spectrogram"):
        if name not in known and name != main:
            continue
        shapes = [(1, 4000), (1, 1, 4000)] if name in {"input_values", "audio", "audio_values"} else []
        frames = found(config, "max_length", "spec_size", default=64)
        shapes += [
            shape for bins in dict.fromkeys([*(size for size in sizes if type(size) is int), 32, 16, 80, 128])
            for shape in ((1, bins, length), (1, length, bins), (1, 1, bins, length), (1, 1, length, bins),
                          (1, frames, bins), (1, 200, bins), (1, bins, 200), (1, length, 2 * bins))
        ]  # fmt: skip
        shapes += [(1, 4000)]
        for shape in shapes:
            heard = {name: noise(*shape) / 4}
            for mask in ("input_features_mask", "feature_attention_mask"):
                if mask in known:
                    heard[mask] = torch.ones(1, shape[-1] if shape[1] in sizes else shape[1], dtype=torch.long)
            if token is not None and "input_ids" in known:
                yield {"input_ids": _with_places(4, token), **heard}
            yield heard


def _boxes() -> Tensor:
    corner = torch.randint(0, 40, (1, N, 2), generator=_generator())
    return torch.cat([corner, corner + 10], -1)


def _patches(config: Any) -> Tensor:
    patches = noise(1, 16, 2 + found(config, "patch_embed_hidden_size", default=192))
    rows = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
    patches[..., :2] = torch.stack(rows, -1).reshape(16, 2)
    return patches


def _of_encoder(config: Any) -> Tensor:
    return noise(1, 6, found(config, "encoder_hidden_size", "hidden_size", "d_model"))


# Arguments that some models want besides: given wherever they are known, or only where they are needed.
_BESIDES = {
    "bbox": lambda _: _boxes(),
    "visual_feats": lambda config: noise(1, 5, found(config, "visual_feat_dim", default=32)),
    "visual_pos": lambda config: noise(1, 5, found(config, "visual_pos_dim", default=4)).abs(),
    "flattened_patches": _patches,
    "task_inputs": lambda config: ids(found(config, "task_seq_len", default=N)),
    "image_embeds_position_mask": lambda _: (torch.arange(N)[None] < 5) & (torch.arange(N)[None] > 0),
    "image_attention_mask": lambda _: torch.ones(1, N, 1, dtype=torch.long),
    "audio_mel": lambda config: noise(1, 64, found(config, "input_feat_size", default=32)),
    "audio_mel_mask": lambda _: torch.zeros(1, 64, dtype=torch.bool),
    "image_sizes": lambda _: torch.tensor([[64, 64]]),
    "qformer_input_ids": lambda _: ids(seed=3),
    "input_shape_ids": lambda _: ids(seed=3),
    "input_pronunciation_ids": lambda _: ids(seed=3),
}
_NEEDED = {
    "query_embeds": lambda config: noise(1, 8, found(config, "hidden_size", default=64)),
    "state": lambda config: noise(1, found(config, "max_state_dim", default=32)),
    "merge_sizes": lambda _: torch.tensor([1]),
    "prompt_pixel_values": pictures,
    "prompt_masks": pictures,
    "encoder_hidden_states": _of_encoder,
}


def _extra(config: Any, known: Any, needed: set[str]) -> Inputs:
    """What some models want besides."""
    made = {name: make(config) for name, make in _BESIDES.items() if name in known}
    made |= {name: make(config) for name, make in _NEEDED.items() if name in needed}
    if "target_sizes" in known and "input_ids" not in known:
        made["target_sizes"] = torch.tensor([[8, 8]])
    return made


def _others(config: Any, known: Any, needed: set[str]) -> Iterator[Inputs]:
    """Kinds of inputs that are no text, no picture and no sound."""
    width = found(config, "hidden_size", "d_model", "n_embd", "hidden_dim", default=32)
    if "past_values" in known:
        context = found(config, "context_length", default=None) or 32
        lags = max(found(config, "lags_sequence", default=[0]))
        features = found(config, "num_time_features", default=0)
        channels = found(config, "num_input_channels", default=None)
        length = context + lags
        past = noise(1, length, channels) if channels else noise(1, length)
        ahead = found(config, "prediction_length") or 1
        series = {
            "past_values": past, "past_time_features": noise(1, length, features),
            "past_observed_mask": torch.ones(past.shape), "future_values": noise(1, ahead),
            "future_time_features": noise(1, ahead, features),
        }  # fmt: skip
        series = {name: value for name, value in series.items() if name in known}
        yield series
        yield {"past_values": past}
        yield {"past_values": [noise(context)], "freq": [0]}
        yield {"past_values": [noise(context)]}
    if "states" in known:
        states, actions = found(config, "state_dim", default=17), found(config, "act_dim", default=4)
        yield {
            "states": noise(1, 3, states), "actions": noise(1, 3, actions), "rewards": noise(1, 3, 1),
            "returns_to_go": noise(1, 3, 1), "timesteps": torch.arange(3)[None], "attention_mask": torch.ones(1, 3),
        }  # fmt: skip
    for name, shape in (
        ("inputs_embeds", (1, N, width)), ("hidden_states", (1, N, width)), ("inputs", (1, N, width)),
        ("encoder_hidden_states", (1, N, width)),
    ):  # fmt: skip
        if name in known:
            yield {name: noise(*shape)}


_COUNT = re.compile(r"tokens: (?:torch\.Size\(\[)?(\d+).*features:? (?:torch\.Size\(\[)?(\d+)", re.DOTALL)


def with_as_many_tokens(inputs: Inputs, config: Any, error: Exception) -> Inputs | None:
    """The same inputs with as many places for a picture or a sound as the error says there are features."""
    counts = _COUNT.search(str(error))
    text = inputs.get("input_ids")
    other = re.search(rf"size of tensor a \({N}\) must match the size of tensor b \((\d+)\)", str(error))
    if other is not None and text is not None and text.shape[1] == N:
        return {**inputs, "input_ids": ids(int(other[1]))}
    if counts is None or text is None or counts[1] == counts[2]:
        return None
    n = int(counts[2])
    if n >= 1000:  # numbers of all features, and not features
        n //= config.get_text_config().hidden_size
    if not 0 < n < 1000:
        return None
    audio = "audio" in str(error).lower() or not any("pixel" in name for name in inputs)
    names = ("audio_token_id", "audio_token_index") if audio else (
        "image_token_id", "image_token_index", "video_token_id", "video_token_index")  # fmt: skip
    token = found(config, *names, default=None)
    if token is None:
        return None
    text = _with_places(n, token)
    kinds = {name: torch.zeros_like(text) for name in inputs if name == "token_type_ids"}
    return {**inputs, **kinds, "input_ids": text}
