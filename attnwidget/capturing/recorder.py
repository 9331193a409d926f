"""Recorder: listens while a model runs, and keeps what each pass said."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Call", "Pass", "Recorder", "active_recorder"]

_local = threading.local()  # a pass belongs to the recorder of the thread it runs in


def active_recorder() -> Recorder | None:
    """The innermost recorder that listens in this thread."""
    stack = getattr(_local, "stack", None)
    return stack[-1] if stack else None


@dataclass
class Call:
    """One call of the attention function, for a whole batch.

    query is [batch, heads, queries, width], key [batch, key-value heads, keys, width], mask additive
    [batch, 1 or heads, queries, keys].
    """

    query: Tensor
    key: Tensor
    mask: Tensor | None
    scaling: float
    position_bias: Tensor | None = None
    softcap: float | None = None
    sinks: Tensor | None = None
    dropout: float = 0.0
    module: str = ""

    def kept(self, module: str) -> Call:
        """The call as it is kept: q and k copied, since caches change them in place, the rest by reference."""
        return Call(
            self.query.detach().clone(memory_format=torch.contiguous_format),
            self.key.detach().clone(memory_format=torch.contiguous_format),
            None if self.mask is None else self.mask.detach(),
            self.scaling,
            None if self.position_bias is None else self.position_bias.detach(),
            self.softcap,
            None if self.sinks is None else self.sinks.detach().clone(),
            self.dropout,
            module,
        )


@dataclass
class Pass:
    """One forward pass: what went in, what attention was computed, and the matrices the model returned."""

    inputs: dict[str, Any] = field(default_factory=dict)
    encoder_inputs: dict[str, Any] = field(default_factory=dict)
    decoder_inputs: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    outputs: Any = None


class Recorder:
    """Keeps the passes that a model makes while it listens.

    Parameters
    ----------
    model : nn.Module
        The model to listen to.
    matrices : bool
        Ask the model for its matrices instead of listening at the attention function, for models that have
        attention code of their own.
    """

    def __init__(self, model: nn.Module, *, matrices: bool = False) -> None:
        self.model = model
        self.matrices = matrices
        self.passes: list[Pass] = []
        self._open: Pass | None = None
        self._part: Pass | None = None  # of a part that is called by itself, until a module comes again
        self._names = {id(module): name for name, module in model.named_modules()}

    def record(self, module: nn.Module, call: Call) -> None:
        """Keep one call of the attention function, if it comes from this model."""
        name = self._names.get(id(module))
        if name is None:
            return
        current = self._open or self._part
        if current is None or (self._open is None and any(kept.module == name for kept in current.calls)):
            # A part of the model was called by itself, as generate() does with the encoder.
            self._part = current = Pass()
            self.passes.append(current)
        current.calls.append(call.kept(name))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen in this thread until the block ends."""
        stack = _local.__dict__.setdefault("stack", [])
        hooks = [
            self.model.register_forward_pre_hook(self._begin, with_kwargs=True),
            self.model.register_forward_hook(self._end, with_kwargs=True, always_call=True),
        ]
        for part, keep in (("encoder", "encoder_inputs"), ("decoder", "decoder_inputs")):
            module = _part(self.model, part)
            if module is not None:
                hooks.append(module.register_forward_pre_hook(self._keep_inputs(keep), with_kwargs=True))
        stack.append(self)
        try:
            yield
        finally:
            stack.remove(self)
            for hook in hooks:
                hook.remove()

    def _begin(self, module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any] | None:
        if active_recorder() is not self:
            return None
        self._part = None
        self._open = Pass(inputs=_bound(module, args, kwargs))
        self.passes.append(self._open)
        if not self.matrices:
            return None
        return args, {**kwargs, "output_attentions": True, "return_dict": True}

    def _end(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:  # noqa: ARG002
        if active_recorder() is not self or self._open is None:
            return
        if output is None:
            self.passes.remove(self._open)  # the pass failed half-way: what it left is no map
        elif self.matrices:
            self._open.outputs = output
        self._open = None

    def _keep_inputs(self, where: str) -> Any:
        def keep(module: nn.Module, args: Any, kwargs: Any) -> None:
            if active_recorder() is self and self._open is not None:
                setattr(self._open, where, _bound(module, args, kwargs))

        return keep


def _bound(module: nn.Module, args: Any, kwargs: Any) -> dict[str, Any]:
    """Arguments of a forward call by name."""
    try:
        bound = inspect.signature(module.forward).bind_partial(*args, **kwargs).arguments
    except TypeError:
        return dict(kwargs)  # the call itself will say what is wrong with it
    return {**bound.pop("kwargs", {}), **bound}


def _part(model: nn.Module, part: str) -> nn.Module | None:
    """Encoder or decoder of an encoder-decoder model."""
    if not getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return None
    module = getattr(model, f"get_{part}")()
    return module if isinstance(module, nn.Module) and module is not model else None
