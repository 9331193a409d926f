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

from attnwidget.capturing.places import modules_by_name
from attnwidget.capturing.projecting import Projection
from attnwidget.capturing.registry import of_this_thread
from attnwidget.effects.freezing import Frozen, Way, close

__all__ = ["Parts", "Ran", "Stream", "hear"]

ALIKE = 1e-3  # two factors that are one


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
    ways : list of Way
        What becomes of what the projection of each layer gives, before it is added.
    norm : Frozen
        The last norm.
    at : int
        The position.
    """

    start: Tensor
    heads: Tensor
    biases: Tensor
    mlps: Tensor
    end: Tensor
    ways: list[Way]
    norm: Frozen
    at: int

    def frozen(self, vectors: Tensor) -> Tensor:
        """The last norm of vectors [..., width], with the scale that it had here and without what it adds."""
        return self.norm.linear(vectors, self.at)


@dataclass(frozen=True)
class Ran:
    """A module that ran, the first tensor that it was given, and what it gave."""

    module: nn.Module
    given: Tensor
    made: Tensor


class Stream:
    """One pass of a model that makes logits, of the next token or of classes, with all that is added to its stream.

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
    logits : Tensor [positions, words]
        What the unembedding gave, before any cap.
    """

    def __init__(self, model: nn.Module, layers: list[Projection], unembedding: nn.Module) -> None:
        self.layers, self.unembedding, self._model = layers, unembedding, model
        names = modules_by_name(model)
        self._blocks = [_block_of(one, names) for one in layers]
        self._of_blocks: list[Ran] = []
        self._projected: list[Ran] = []
        self._inside: list[list[Ran]] = [[] for _ in layers]
        self._outside: list[Ran] = []
        self._last: Ran | None = None
        self._said: Tensor | None = None

    @property
    def logits(self) -> Tensor:
        """What the unembedding gave: [positions, words]; of one position where it was given one."""
        return self._final.made.reshape(-1, self._final.made.shape[-1])

    def said(self, at: int) -> Tensor:
        """What the model says at a position [words], after whatever it does with these logits."""
        made = self.logits
        made = made[at if len(made) > 1 else 0]
        said = self._said
        if said is None:
            return made
        said = said if said.ndim == 1 else said[at] if len(said) == len(self.logits) else made
        return said if said.shape == made.shape else made

    def factor(self, at: int) -> float:
        """By what the model multiplies its logits at a position; 1 where it does something else with them."""
        row = self.logits[at if len(self.logits) > 1 else 0].double()
        said = self.said(at).double()
        factor = float((row * said).sum() / row.square().sum())
        return factor if factor and close(row * factor, said, self._final.made.dtype) else 1.0

    @property
    def n_positions(self) -> int:
        """How many vectors the last norm was given."""
        return int(self._norm().given.shape[1])

    def place_of(self, said: Tensor) -> int:
        """The position whose logits are what a model says as a whole [words]."""
        made = self.logits
        if len(made) > 1:
            return int((made - said).abs().amax(-1).argmin())
        return int((self._norm().made[0] - self._final.given.reshape(1, -1)).abs().amax(-1).argmin())

    @property
    def _final(self) -> Ran:
        if self._last is None:
            raise ValueError("the unembedding did not run in this pass.")
        return self._last

    def read(self, named: dict[str, Any]) -> None:
        """Run the model once."""

        def keep(ran: Ran) -> None:
            self._last = ran

        with ExitStack() as stack:
            for number, (block, one) in enumerate(zip(self._blocks, self.layers, strict=True)):
                hear(stack, block, self._of_blocks.append)
                hear(stack, one.module, self._projected.append)
                for module in block.modules():
                    if module is not block:
                        hear(stack, module, self._inside[number].append)
            inside = {module for block in self._blocks for module in block.modules()}
            for module in self._model.modules():
                if module not in inside and module is not self.unembedding:
                    hear(stack, module, self._outside.append)
            hear(stack, self.unembedding, keep)
            said = getattr(self._model(**named), "logits", None)
            self._said = said[0] if isinstance(said, Tensor) else None
        if len(self._of_blocks) != len(self.layers) or len(self._projected) != len(self.layers):
            raise ValueError("layers of this model run more than once in a pass, so that what each adds is not known.")

    def parts(self, at: int) -> Parts:
        """What the stream is the sum of at one position; ValueError where that does not hold."""
        start = _at(self._of_blocks[0].given, at)
        most, width = max(one.heads for one in self.layers), len(start)
        heads = torch.full((len(self.layers), most, width), torch.nan, dtype=torch.float64)
        ways: list[Way] = []
        biases, mlps = torch.zeros(2, len(self.layers), width, dtype=torch.float64)
        for number, one in enumerate(self.layers):
            each, bias = one.parts(self._projected[number].given.reshape(1, -1, one.heads * one.width)[0, at])
            way, mlps[number] = self._added(number, at)
            ways.append(way)
            heads[number, : one.heads], biases[number] = (way.of(part.double().cpu(), at) for part in (each, bias))
        norm = self._norm()
        end = _at(norm.given, at)
        total = start + heads.nan_to_num(0).sum((0, 1)) + biases.sum(0) + mlps.sum(0)
        if not close(total, end, norm.given.dtype):
            raise ValueError("the parts of the residual stream do not add up to what the last norm is given.")
        return Parts(start, heads, biases, mlps, end, ways, Frozen.of(norm.module, norm.given[0]), at)

    def _added(self, number: int, at: int) -> tuple[Way, Tensor]:
        """What becomes of the heads of a layer before they are added, and what else the layer adds.

        Found by the numbers: it adds what the projection gives, or what a norm makes of that with the scale that it
        had, and what one other module gives, both times one factor.
        """
        one, ran, projected = self.layers[number], self._of_blocks[number], self._projected[number]
        added = _at(ran.made, at) - _at(ran.given, at)
        inner = [each for each in self._inside[number] if each.made.numel() == ran.given.numel()]
        others = [_at(each.made.reshape(ran.given.shape), at) for each in inner]
        for norm, heads in self._norms(projected, inner, ran.given.shape, at):
            for other in others:
                both = torch.stack([heads, other], 1)
                factors = torch.linalg.lstsq(both, added).solution
                factor = float(factors.mean())
                alike = bool((factors - factor).abs().max() <= ALIKE * abs(factor))
                if alike and close(both.sum(1) * factor, added, ran.given.dtype):
                    factor = 1.0 if abs(factor - 1) < ALIKE else factor
                    return Way(norm, factor), other * factor
        raise ValueError(
            f"layer {one.place.layer} adds something else than its heads, as {one.name!r} gives them or a norm behind "
            "it makes them, and one other module. Its direct effects are not known."
        )

    @staticmethod
    def _norms(projected: Ran, inner: list[Ran], shape: torch.Size, at: int) -> list[tuple[Frozen | None, Tensor]]:
        """What may become of what a projection gives: nothing, or a norm of it."""
        norms: list[tuple[Frozen | None, Tensor]] = [(None, _at(projected.made.reshape(shape), at))]
        for each in inner:
            given_it = each.given.shape == projected.made.shape and torch.equal(each.given, projected.made)
            if each.module is projected.module or not given_it:
                continue
            norm = Frozen.found(each.module, each.given.reshape(shape)[0])
            if norm is not None and not bool(norm.shift.any()):
                norms.append((norm, _at(each.made.reshape(shape), at)))
        return norms

    def _norm(self) -> Ran:
        """The last norm; ValueError where there is none."""
        last = self._final.given
        for ran in reversed(self._outside):
            leaf = not any(True for _ in ran.module.children())
            gives = ran.made.shape == last.shape and torch.equal(ran.made, last)
            if last.ndim == 2 and ran.made.ndim == 3 and last.shape == (1, ran.made.shape[-1]):  # of one position
                gives = bool((ran.made[0] == last).all(-1).any())
            if leaf and gives and ran.given.shape == ran.made.shape and not torch.equal(ran.given, ran.made):
                return ran
        raise ValueError("no norm was found in front of the unembedding, so that the parts cannot be added up.")


def hear(stack: ExitStack, module: nn.Module, told: Callable[[Ran], None]) -> None:
    """Tell of every run of a module, until the stack is closed."""

    def leave(_module: nn.Module, args: Any, kwargs: Any, made: Any) -> None:
        given = next((one for one in (*args, *kwargs.values()) if isinstance(one, Tensor)), None)
        made = made[0] if isinstance(made, tuple | list) and made else made
        if given is not None and isinstance(made, Tensor):
            told(Ran(module, given, made))

    stack.callback(module.register_forward_hook(of_this_thread(leave), with_kwargs=True).remove)


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
