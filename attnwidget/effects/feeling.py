"""Feeling: what a number feels of every weight, from the gradient at what heads put out: no map needs one.

What a head puts out is A v, so that dy/dA = dy/d(A v) v^T: exact, and had from the queries, keys and values of any way
to attend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from attnwidget.capturing.attending import weights_of
from attnwidget.capturing.calls import Call
from attnwidget.capturing.changes import Attended
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.registry import changed_by
from attnwidget.capturing.weighed import Weights
from attnwidget.effects.examples import frozen

__all__ = ["Felt", "feel", "slopes_of"]


@dataclass(frozen=True)
class Felt:
    """An attention, and what a number feels of what its heads put out.

    Parameters
    ----------
    call : Call
        What was computed.
    part : str
        "attention"; of a model with an encoder and a decoder "encoder", "decoder" or "cross".
    slope : Tensor [batch, heads, queries, width] or None
        The gradient; None where nothing of it reaches the number.
    """

    call: Call
    part: str
    slope: Tensor | None

    def weights(self, head: int) -> Tensor:
        """A of one head: [batch, queries, keys]."""
        return weights_of(self.call, [head], slice(0, self.call.n_queries))[:, 0]

    def gradient(self, head: int) -> Tensor:
        """dy/dA of one head: [batch, queries, keys]; 0 where nothing reaches y."""
        call, value = self.call, self.call.value
        if self.slope is None or value is None:
            return torch.zeros(call.batch, call.n_queries, call.n_keys, device=call.device)
        v = value[:, head // (call.n_heads // value.shape[1])]
        wide = torch.promote_types(v.dtype, torch.float32)
        made: Tensor = self.slope[:, head].to(wide) @ v.mT.to(wide)
        return made


def feel(model: nn.Module, number: Callable[[], Tensor]) -> tuple[Tensor, list[Felt]]:
    """Run a model, and find what a number that is made of it feels of every attention.

    Parameters
    ----------
    model : nn.Module
        In eval mode for the pass, and afterwards as it was: parameters have no gradient of this.
    number : callable
        Runs the model and gives a scalar.

    Returns
    -------
    tuple of Tensor and list of Felt
        The number, and all attention in the order in which it was computed.

    Raises
    ------
    ValueError
        When what heads put out, or their values, are not seen; when attention was computed that is not seen at all.
    """
    if torch.is_inference_mode_enabled():
        raise ValueError("inside torch.inference_mode() nothing has a gradient; call this outside of it.")
    modules = frozenset(model.modules())
    held: list[tuple[Attended, Tensor]] = []

    def hold(attended: Attended) -> Attended | None:
        if attended.module not in modules:
            return None
        output = attended.output
        if output is None or attended.call.value is None:
            raise ValueError(
                f"what the heads of {attended.call.place.module!r} put out is not seen by itself, so that nothing can "
                "be said of what is felt of it."
            )
        # Of the first layer on there is a gradient, whatever has one before.
        kept = output.clone() if output.requires_grad else output.detach().clone().requires_grad_(True)
        held.append((attended, kept))
        return replace(attended, output=kept)

    with changed_by(model, hold) as recorder, frozen(model), torch.enable_grad():
        found = number()
    if recorder.failure is not None:
        raise recorder.failure
    for name, why in (item for one in recorder.passes for item in one.missed.items()):
        raise ValueError(f"not all attention of this model is seen: {name!r}: {why}.")
    if not held:
        raise ValueError(f"no attention of {type(model).__name__} was seen.")
    slopes = slopes_of(found, [kept for _, kept in held])
    return found.detach(), [
        Felt(_detached(attended.call), attended.part, slope) for (attended, _), slope in zip(held, slopes, strict=True)
    ]


def slopes_of(number: Tensor, kept: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradient of a number at what heads put out, None where nothing of it reaches the number.

    Raises
    ------
    ValueError
        When nothing of any reaches it, as in a quantised model.
    """
    slopes = torch.autograd.grad(number, list(kept), allow_unused=True) if number.requires_grad else ()
    if all(slope is None for slope in slopes):
        raise ValueError(
            "no gradient goes back from what this model says to its attention, as through quantised modules; use the "
            "model as it was before, or ablate(), which needs none."
        )
    return list(slopes)


def _detached(call: Call) -> Call:
    """A call that keeps no graph alive."""
    value = None if call.value is None else call.value.detach()
    if isinstance(call, Projections):
        bias = None if call.position_bias is None else call.position_bias.detach()
        sinks = None if call.sinks is None else call.sinks.detach()
        q, k = call.query.detach(), call.key.detach()
        return replace(call, query=q, key=k, value=value, position_bias=bias, sinks=sinks)
    return replace(call, weights=call.weights.detach(), value=value) if isinstance(call, Weights) else call
