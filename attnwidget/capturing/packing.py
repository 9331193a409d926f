"""Packing: nn.TransformerEncoder leaves padding out of a batch, and then tells torch of none of its functions."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.listening import Listener
from attnwidget.capturing.multihead import of_packed

__all__ = ["Packing"]


class Packing:
    """An encoder of torch's own that may pack its batch into a nested tensor.

    It does so only while nobody is told of its functions. What it puts out at the places of padding would change, so it
    is left alone, and its attention modules are read from their arguments.
    """

    def __init__(self) -> None:
        self.on = False
        self._length = 0
        self._off: Any = None

    def enter(self, encoder: nn.TransformerEncoder, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """An encoder begins."""
        given = inspect.signature(nn.TransformerEncoder.forward).bind_partial(encoder, *args, **kwargs).arguments
        src, padding = given.get("src"), given.get("src_key_padding_mask")
        plain = all(type(layer) is nn.TransformerEncoderLayer for layer in encoder.layers)
        if self.on or padding is None or not plain or not isinstance(src, Tensor) or src.is_nested or src.ndim != 3:
            return
        self.on, self._length = True, src.shape[1]
        self._off = torch._C.DisableTorchFunction()  # noqa: SLF001 - torch offers it to subclasses of Tensor
        self._off.__enter__()

    def leave(self) -> None:
        """The encoder ends, or was interrupted."""
        if self.on:
            self._off.__exit__(None, None, None)
            self.on, self._off = False, None

    def tell(
        self, listener: Listener, module: nn.MultiheadAttention, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        """Say what one of its attention modules has attended with."""
        with listener.silence(), torch.no_grad():
            said = of_packed(module, self._length, listener.masks, *args, **kwargs)
            listener.said(said, args[0] if args else kwargs["query"])
