"""Stream: the residual stream as the sum that it is, read in one pass.

Every claim is checked by the numbers of that pass: that what a layer adds is its heads, the bias of their projection,
and what another module gives; and that all parts together are what the last norm is given.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.projecting import Projection

__all__ = ["Parts", "Stream", "close_for"]

CLOSE = 1e-4  # of the size of what is compared, in single precision
ALIKE = 1e-3  # two factors that are one

Linear = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Parts:
    """What the residual stream at one position is the sum of, before the last norm: all float64.

    Attributes
    ----------
    start : Tensor [width]
        What the first layer is given: the embeddings.
    heads : Tensor [layers, heads, width]
        NaN where a layer has fewer heads.
    biases, mlps : Tensor [layers, width]
        Of the output projections, and what else each layer adds.
    end : Tensor [width]
        The sum.
    frozen : callable
        The last norm with the scale that it had here, as a linear function of vectors [..., width].
    shift : Tensor [width]
        What the norm adds.
    """

    start: Tensor
    heads: Tensor
    biases: Tensor
    mlps: Tensor
    end: Tensor
    frozen: Linear
    shift: Tensor


@dataclass(frozen=True)
class _Ran:
    """A module that ran, the first tensor that it was given, and what it gave."""

    module: nn.Module
    given: Tensor
    made: Tensor


class Stream:
    """One pass of a model that predicts the next token, with all that is added to its residual stream.

    Parameters
    ----------
    model : nn.Module
        The model.
    layers : list of Projection
        Where the heads of each layer are projected.
    unembedding : nn.Module
        Makes logits.

    Attributes
    ----------
    logits : Tensor [1, tokens, words]
        What the unembedding gave, before any cap.
    """

    def __init__(self, model: nn.Module, layers: list[Projection], unembedding: nn.Module) -> None:
        self.layers, self.unembedding, self._model = layers, unembedding, model
        names = dict(model.named_modules())
        self._blocks = [_block_of(one, names) for one in layers]
        self._of_blocks: list[_Ran] = []
        self._projected: list[_Ran] = []
        self._inside: list[list[_Ran]] = [[] for _ in layers]
        self._outside: list[_Ran] = []
        self._last: _Ran | None = None

    @property
    def logits(self) -> Tensor:
        """What the unembedding gave: [1, tokens, words]."""
        return self._final.made

    @property
    def _final(self) -> _Ran:
        if self._last is None:
            raise ValueError("the unembedding did not run in this pass.")
        return self._last

    def read(self, named: dict[str, Any]) -> None:
        """Run the model once."""

        def keep(ran: _Ran) -> None:
            self._last = ran

        with ExitStack() as stack:
            for number, (block, one) in enumerate(zip(self._blocks, self.layers, strict=True)):
                _hook(stack, block, self._of_blocks.append)
                _hook(stack, one.module, self._projected.append)
                for module in block.modules():
                    if module is not block:
                        _hook(stack, module, self._inside[number].append)
            inside = {module for block in self._blocks for module in block.modules()}
            for module in self._model.modules():
                if module not in inside and module is not self.unembedding:
                    _hook(stack, module, self._outside.append)
            _hook(stack, self.unembedding, keep)
            self._model(**named)
        if len(self._of_blocks) != len(self.layers) or len(self._projected) != len(self.layers):
            raise ValueError("layers of this model run more than once in a pass, so that what each adds is not known.")

    def parts(self, at: int) -> Parts:
        """What the stream is the sum of at one position; ValueError where that does not hold."""
        start = _at(self._of_blocks[0].given, at)
        most, width = max(one.heads for one in self.layers), len(start)
        heads = torch.full((len(self.layers), most, width), torch.nan, dtype=torch.float64)
        biases, mlps = torch.zeros(2, len(self.layers), width, dtype=torch.float64)
        for number, one in enumerate(self.layers):
            each, bias = one.parts(self._projected[number].given.reshape(1, -1, one.heads * one.width)[0, at])
            behind, mlps[number] = self._added(number, at)
            heads[number, : one.heads], biases[number] = behind(each.double().cpu()), behind(bias.double().cpu())
        norm = self._norm()
        end = _at(norm.given, at)
        total = start + heads.nan_to_num(0).sum((0, 1)) + biases.sum(0) + mlps.sum(0)
        if not _close(total, end, norm.given.dtype):
            raise ValueError("the parts of the residual stream do not add up to what the last norm is given.")
        frozen, shift = _frozen(norm.module, norm.given[0, at])
        return Parts(start, heads, biases, mlps, end, frozen, shift)

    def _added(self, number: int, at: int) -> tuple[Linear, Tensor]:
        """What becomes of the heads of a layer before they are added, and what else the layer adds.

        Found by the numbers: it adds what the projection gives, or what a norm makes of that with the scale that it
        had, and what one other module gives, both times one factor.
        """
        one, ran, projected = self.layers[number], self._of_blocks[number], self._projected[number]
        added = _at(ran.made, at) - _at(ran.given, at)
        inner = [each for each in self._inside[number] if each.made.numel() == ran.given.numel()]
        others = [_at(each.made.reshape(ran.given.shape), at) for each in inner]
        for way, heads in self._ways(projected, inner, ran.given.shape, at):
            for other in others:
                both = torch.stack([heads, other], 1)
                factors = torch.linalg.lstsq(both, added).solution
                factor = float(factors.mean())
                alike = bool((factors - factor).abs().max() <= ALIKE * abs(factor))
                if alike and _close(both.sum(1) * factor, added, ran.given.dtype):
                    factor = 1.0 if abs(factor - 1) < ALIKE else factor
                    return _times(way, factor), other * factor
        raise ValueError(
            f"layer {one.place.layer} adds something else than its heads, as {one.name!r} gives them or a norm behind "
            "it makes them, and one other module. Its direct effects are not known."
        )

    @staticmethod
    def _ways(projected: _Ran, inner: list[_Ran], shape: torch.Size, at: int) -> list[tuple[Linear, Tensor]]:
        """What may become of what a projection gives: nothing, or a norm of it."""
        ways: list[tuple[Linear, Tensor]] = [(lambda vectors: vectors, _at(projected.made.reshape(shape), at))]
        for each in inner:
            if each.module is projected.module or any(True for _ in each.module.children()):
                continue
            if each.given.shape == projected.made.shape and torch.equal(each.given, projected.made):
                try:
                    frozen, shift = _frozen(each.module, each.given.reshape(shape)[0, at])
                except (ValueError, RuntimeError, TypeError):
                    continue  # no norm
                if not bool(shift.any()):
                    ways.append((frozen, _at(each.made.reshape(shape), at)))
        return ways

    def _norm(self) -> _Ran:
        """The last norm; ValueError where there is none."""
        last = self._final.given
        for ran in reversed(self._outside):
            leaf = not any(True for _ in ran.module.children())
            gives = ran.made.shape == last.shape and torch.equal(ran.made, last)
            if leaf and gives and ran.given.shape == ran.made.shape and not torch.equal(ran.given, ran.made):
                return ran
        raise ValueError("no norm was found in front of the unembedding, so that the parts cannot be added up.")


def close_for(dtype: torch.dtype) -> float:
    """How far two numbers of a precision may be apart, of their size."""
    return max(CLOSE, 16 * torch.finfo(dtype).eps)


def _hook(stack: ExitStack, module: nn.Module, told: Callable[[_Ran], None]) -> None:
    def leave(_module: nn.Module, args: Any, kwargs: Any, made: Any) -> None:
        given = next((one for one in (*args, *kwargs.values()) if isinstance(one, Tensor)), None)
        made = made[0] if isinstance(made, tuple | list) and made else made
        if given is not None and isinstance(made, Tensor):
            told(_Ran(module, given, made))

    stack.callback(module.register_forward_hook(leave, with_kwargs=True).remove)


def _block_of(one: Projection, names: dict[str, nn.Module]) -> nn.Module:
    """The module of the layer that a projection is part of."""
    stack = one.place.stack
    number = one.name[len(stack) :].lstrip(".").split(".")[0]
    name = f"{stack}.{number}" if stack else number
    if name not in names:
        raise ValueError(f"the layer that {one.name!r} is part of was not found.")
    return names[name]


def _at(stream: Tensor, at: int) -> Tensor:
    return stream[0, at].double().cpu()


def _times(way: Linear, factor: float) -> Linear:
    return lambda vectors: way(vectors) * factor


def _close(one: Tensor, other: Tensor, dtype: torch.dtype) -> bool:
    return bool((one - other).abs().max() <= close_for(dtype) * other.abs().max())


def _frozen(norm: nn.Module, given: Tensor) -> tuple[Linear, Tensor]:
    """A norm with the scale that it had for one vector, as a linear function, and its shift: read off what it does.

    Raises
    ------
    ValueError
        When it is none that divides a vector, less its mean or not, by its size, and has a factor for each number.
    """
    even = torch.arange(len(given), device=given.device) % 2 == 0
    signs = torch.where(even, 1.0, -1.0).to(given)
    ones = torch.ones_like(given)
    shift = norm(torch.zeros_like(given)).double().cpu()
    # One that takes the mean away makes nothing of a vector that is the same everywhere.
    centres = bool(torch.allclose(norm(ones).double().cpu(), shift, atol=1e-3))
    factor = (norm(signs).double().cpu() - shift) * signs.double().cpu()
    vector, gives = given.double().cpu(), norm(given).double().cpu()

    def turned(vectors: Tensor) -> Tensor:
        centred = vectors - vectors.mean(-1, keepdim=True) if centres else vectors
        made: Tensor = centred * factor
        return made

    # By least squares: whatever small number the norm adds under its root is in the scale.
    linear = turned(vector)
    scale = float(linear @ (gives - shift) / (linear @ linear))
    if not _close(linear * scale + shift, gives, given.dtype):
        raise ValueError(f"the last norm, a {type(norm).__name__}, is none whose scale can be held as it was.")
    return lambda vectors: turned(vectors) * scale, shift
