"""Sources: a model as it goes to a worker, by name or folder where possible, and once to each."""

from __future__ import annotations

import hashlib
import inspect
import pickle
import threading
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from attnwidget.capturing.inputs import load_model
from attnwidget.surveying.identity import as_name, digest_of_folder
from attnwidget.surveying.rows import Chunk
from attnwidget.surveying.working import Reader, Result, Wish

__all__ = ["Source", "as_task", "loaded", "work"]


@dataclass(frozen=True)
class Source:
    """What a worker makes a model of.

    Parameters
    ----------
    key : str
        The same for the same model.
    model, tokenizer : str or None
        Names or folders; None where they come as bytes.
    device, dtype : str or None
        Where a model that is made goes, and in what precision.
    packed : bytes or None
        The model, or the function that makes it, and the tokenizer: for workers that do not have them yet.
    apart : bool
        Whether such bytes exist and did not come along.
    """

    key: str
    model: str | None
    tokenizer: str | None
    device: str | None
    dtype: str | None
    packed: bytes | None = None
    apart: bool = False

    @property
    def light(self) -> Source:
        """The same without the bytes, for workers that have the model."""
        return replace(self, packed=None, apart=self.apart or self.packed is not None)


def loaded(model: Any, tokenizer: Any, device: str | None, dtype: str | None) -> Reader:
    """A model and its tokenizer, ready to read.

    Raises
    ------
    TypeError
        When a model or a tokenizer is of another kind.
    ValueError
        When a name cannot be loaded, there is no tokenizer, the model reads two texts, or a device is given for a
        model that has one.
    """
    if isinstance(model, nn.Module) and (device is not None or dtype is not None):
        raise ValueError(
            "device= and dtype= are for models that are made here, given by name, folder or function; this one stays "
            "where it is. Move it before: model.to(device, dtype)."
        )
    made = model
    if callable(model) and not isinstance(model, nn.Module):
        made = model()
        if isinstance(made, tuple) and len(made) == 2:
            made, own = made
            tokenizer = own if tokenizer is None else tokenizer
    module, tokenizer = load_model(made, tokenizer)
    if tokenizer is None or not callable(tokenizer):
        raise ValueError(
            f"the tokenizer is {type(tokenizer).__name__}; a survey reads texts, and needs the tokenizer of the model."
        )
    if "decoder_input_ids" in inspect.signature(module.forward).parameters:
        raise ValueError(
            f"{type(module).__name__} reads a source and a target, and a survey reads one text; pass its encoder: "
            "model.get_encoder()."
        )
    if device is not None or dtype is not None:
        module = module.to(device=device, dtype=None if dtype is None else getattr(torch, dtype))
    return Reader(module.eval() if made is not module else module, tokenizer)


def as_task(model: Any, tokenizer: Any, device: str | None, dtype: str | None) -> Source:
    """What goes to a worker.

    Raises
    ------
    ValueError
        When the model, the function that makes it, or the tokenizer cannot be sent to another process.
    """
    name, called = as_name(model), as_name(tokenizer)
    packed = None
    if name is None or (called is None and tokenizer is not None):
        given = (None if name is not None else model, None if called is not None else tokenizer)
        try:
            packed = pickle.dumps(given)
        except Exception as error:
            what = type(model).__name__ if name is None else type(tokenizer).__name__
            raise ValueError(
                f"{what} cannot be sent to another process: {error}. Pass the name of the model, the folder it was "
                "saved to, or a function without arguments that makes it, which stands at the top of a module that "
                "workers can import."
            ) from error
    of = hashlib.sha256(packed) if packed is not None else hashlib.sha256()
    of.update(repr((name, digest_of_folder(name), called, device, dtype)).encode())
    return Source(of.hexdigest(), name, called, device, dtype, packed)


def work(source: Source, chunk: Chunk, wish: Wish) -> Result | None:
    """The numbers of a chunk, in a worker; None where the worker does not have the model, and it did not come along."""
    reader = _held(source)
    return None if reader is None else reader.read(chunk, wish)


_lock = threading.Lock()
_readers: dict[str, Reader] = {}  # of a worker: the newest alone


def _held(source: Source) -> Reader | None:
    with _lock:  # workers may have several threads
        if source.key not in _readers:
            if source.apart:
                return None
            _readers.clear()
            _readers[source.key] = _made(source)
        return _readers[source.key]


def _made(source: Source) -> Reader:
    model: Any = source.model
    tokenizer: Any = source.tokenizer
    if source.packed is not None:
        try:
            own, spoken = pickle.loads(source.packed)  # noqa: S301 - from the process that asks for the work
        except Exception as error:
            raise ValueError(
                f"a worker cannot make the model of what was sent: {type(error).__name__}: {error}. Its class, or the "
                "function that makes it, must stand in a module that workers can import, not in a notebook."
            ) from error
        model, tokenizer = own if model is None else model, spoken if tokenizer is None else tokenizer
    return loaded(model, tokenizer, source.device, source.dtype)
