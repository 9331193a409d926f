"""Identity: by which is seen later whether a model, a tokenizer or a function is the same."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache, partial
from pathlib import Path
from types import CodeType
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["as_name", "digest_of_folder", "of_function", "of_model", "of_tokenizer"]

_ENDINGS = {".json", ".safetensors", ".bin", ".pt", ".model", ".txt", ".py"}
_PASSING = ("_name_or_path", "transformers_version")  # of a configuration: where it was, and who wrote it
_PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...))


def of_model(model: Any) -> dict[str, str]:
    """What model it is: its name, and a digest of all of its weights and its configuration, as far as they are here."""
    if isinstance(model, str | Path):
        return {"model": as_name(model) or "", "weights": digest_of_folder(str(model))}
    if isinstance(model, nn.Module):
        return {"model": type(model).__name__, "weights": _digest_of_module(model)}
    return {"model": of_function(model)}


def of_tokenizer(tokenizer: Any) -> str:
    """What tokenizer it is: its name, or its kind and a digest of all it knows."""
    if tokenizer is None:
        return ""
    if isinstance(tokenizer, str | Path):
        return " ".join([as_name(tokenizer) or "", digest_of_folder(str(tokenizer))]).rstrip()
    held: list[Any] = []
    if hasattr(tokenizer, "backend_tokenizer"):
        known = json.loads(tokenizer.backend_tokenizer.to_str())
        # Of the last call, and not of the tokenizer.
        held.append({name: value for name, value in known.items() if name not in ("truncation", "padding")})
    elif hasattr(tokenizer, "get_vocab"):
        held.append(sorted(map(str, tokenizer.get_vocab().items())))
    if hasattr(tokenizer, "special_tokens_map"):
        held.append(tokenizer.special_tokens_map)
    return f"{type(tokenizer).__name__} {_short(hashlib.sha256(_as_json(held)))}" if held else type(tokenizer).__name__


def of_function(function: Any) -> str:
    """What a function is called and where it stands, and a digest of its code where it has one."""
    given: tuple[Any, ...] = ()
    while isinstance(function, partial):
        function, given = function.func, (*given, function.args, function.keywords)
    name = f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', type(function).__name__)}"
    own = function if hasattr(function, "__code__") else type(function).__call__
    code = getattr(own, "__code__", None)
    if code is None:
        return name
    cells = [_content(cell) for cell in getattr(own, "__closure__", None) or ()]
    others = [*given, *cells, getattr(own, "__defaults__", None), getattr(own, "__kwdefaults__", None)]
    held = (_of_code(code), *map(_plain, others))
    return f"{name} {_short(hashlib.sha256(repr(held).encode()))}"


def as_name(given: Any) -> str | None:
    """A name, or a folder as it is found from anywhere; None for what is neither."""
    if not isinstance(given, str | Path):
        return None
    return str(Path(given).resolve()) if Path(given).is_dir() else str(given)


def digest_of_folder(folder: str | None) -> str:
    """Of all files of a model in a folder; "" where it is none."""
    if folder is None or not Path(folder).is_dir():
        return ""
    files = sorted(one for one in Path(folder).iterdir() if one.suffix in _ENDINGS and one.is_file())
    return _digest_of_files(tuple((one, one.stat().st_size, one.stat().st_mtime_ns) for one in files))


@lru_cache(maxsize=8)
def _digest_of_files(files: tuple[tuple[Path, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, size, _ in files:
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return _short(digest)


def _digest_of_module(model: nn.Module) -> str:
    digest = hashlib.sha256()
    config: Any = getattr(model, "config", None)
    if hasattr(config, "to_dict"):
        known = {name: value for name, value in config.to_dict().items() if name not in _PASSING}
        digest.update(_as_json(known))
    kept = model.state_dict().keys()
    buffers = [(name, buffer) for name, buffer in model.named_buffers() if name in kept]
    for name, held in [*model.named_parameters(), *buffers]:
        digest.update(f"{name} {tuple(held.shape)} {held.dtype}".encode())
        if held.device.type != "meta" and held.numel():
            digest.update(_bytes_of(held).numpy().data)
    return _short(digest)


def _bytes_of(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8)


def _of_code(code: CodeType) -> tuple[Any, ...]:
    return code.co_code, code.co_names, *map(_plain, code.co_consts)


def _plain(value: Any) -> Any:
    """What is the same in every process; of other things their type."""
    if isinstance(value, CodeType):
        return _of_code(value)
    if isinstance(value, tuple | list):
        return type(value).__name__, *map(_plain, value)
    if isinstance(value, set | frozenset):
        return type(value).__name__, *sorted(repr(_plain(one)) for one in value)
    if isinstance(value, dict):
        return type(value).__name__, *((_plain(name), _plain(one)) for name, one in value.items())
    return value if isinstance(value, _PLAIN) else type(value).__name__


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is filled later
        return None


def _as_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, default=lambda one: type(one).__name__).encode()


def _short(digest: Any) -> str:
    return str(digest.hexdigest()[:16])
