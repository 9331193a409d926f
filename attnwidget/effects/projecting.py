"""Projecting: where the heads of each attention become one vector, found in a pass and checked by its arithmetic.

Nothing is read from names. The module that is handed what the heads put out, unchanged, is their output projection, if
what it makes of the heads one by one, and its bias, is what it made of all of them: a Linear, a Conv1D, one with an
adapter around it. Where heads are gated, normed or mixed on the way, there is no such module, and that is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.calls import Call, Place
from attnwidget.capturing.keep import Keep
from attnwidget.capturing.passes import is_pair
from attnwidget.capturing.places import side_of
from attnwidget.capturing.recorder import Recorder
from attnwidget.capturing.registry import switched, transformers_in

__all__ = ["Projection", "Projections", "changed", "find_projections"]

PROBED = 4  # rows that the arithmetic is checked on
LARGEST_ERROR = 1e-4  # of the size of what was put out, in single precision


@dataclass(frozen=True)
class Projection:
    """Where the heads of one layer become one vector.

    Parameters
    ----------
    name : str
        Of the module.
    module : nn.Module
        Takes what the heads put out, side by side: [..., heads * width].
    turn : int
        How often it had run before in the same pass, as where all layers share one module.
    place : Place
        Of the attention whose heads these are.
    heads, width : int
        How many there are, and numbers of each.
    """

    name: str
    module: nn.Module
    turn: int
    place: Place
    heads: int
    width: int

    def split(self, given: Tensor) -> Tensor:
        """What the module is given, head by head: [..., heads, width]."""
        return given.reshape(*given.shape[:-1], self.heads, self.width)

    def parts(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """What each head adds to the output, [heads, ..., out], and what is there without any: its bias."""
        each = torch.eye(self.heads, dtype=given.dtype, device=given.device)
        alone = self.split(given) * each.view(self.heads, *(1,) * (given.ndim - 1), self.heads, 1)
        bias = self.module(torch.zeros_like(given))
        return self.module(alone.flatten(-2)) - bias, bias


@dataclass(frozen=True)
class Projections:
    """What `find_projections` found.

    Parameters
    ----------
    by_name : mapping of str to list of Projection
        For each kind of attention, "attention" or "encoder", "decoder" and "cross", its layers in order.
    refused : mapping of str to str
        Attention whose heads cannot be told apart, and why.
    """

    by_name: Mapping[str, list[Projection]]
    refused: Mapping[str, str] = field(default_factory=dict)

    def of(self, part: str | None) -> list[Projection]:
        """The layers of one kind; ValueError where there is no such, or several to choose from."""
        if part is None and len(self.by_name) == 1:
            return next(iter(self.by_name.values()))
        if part is None or part not in self.by_name:
            raise ValueError(f"part={part!r}; this model attends in {', '.join(self.by_name)}: choose one of them.")
        return self.by_name[part]


@dataclass
class _Candidate:
    """A module that was handed what the heads of a call put out."""

    module: nn.Module
    turn: int
    given: Tensor
    made: Tensor | None = None


def find_projections(model: nn.Module, run: Callable[[], Any]) -> Projections:
    """The output projection of every attention that a pass goes through.

    Parameters
    ----------
    model : nn.Module
        The model.
    run : callable
        Runs it once.

    Raises
    ------
    ValueError
        When no attention of the model has heads that can be told apart behind it; says why.
    """
    heard = _Heard()
    roots = transformers_in(model)
    recorder = Recorder(model, roots, Keep(logits="none"), put_out=heard.put_out)
    with ExitStack() as stack, torch.no_grad():
        stack.enter_context(switched(model, recorder))
        for module in model.modules():
            stack.callback(module.register_forward_pre_hook(heard.enter, with_kwargs=True).remove)
            stack.callback(module.register_forward_hook(heard.leave, with_kwargs=True).remove)
        run()
    if recorder.failure is not None:
        raise recorder.failure
    names = {module: name for name, module in model.named_modules()}
    pairs = any(map(is_pair, roots))
    found: dict[str, list[Projection]] = {}
    refused: dict[str, str] = dict(recorder.passes[-1].missed) if recorder.passes else {}
    with torch.no_grad():
        for call, _, candidates in heard.calls:
            made = _chosen(call, candidates, names)
            if isinstance(made, str):
                refused[call.place.module] = made
            else:
                found.setdefault(_kind(call.place, pairs=pairs), []).append(made)
    if not found:
        said = " ".join(f"{name!r}: {why}." for name, why in refused.items()) or (
            "No attention was heard whose heads stand by themselves before they are projected, as in "
            "nn.MultiheadAttention, which does both in one."
        )
        raise ValueError(f"what single heads of {type(model).__name__} add cannot be told apart. {said}")
    for layers in found.values():
        layers.sort(key=lambda one: one.place.layer)
    return Projections(found, refused)


class _Heard:
    """What heads put out in a pass, and the modules that were handed just that."""

    def __init__(self) -> None:
        self.calls: list[tuple[Call, Tensor, list[_Candidate]]] = []
        self._runs: Counter[nn.Module] = Counter()

    def put_out(self, call: Call, output: Tensor) -> None:
        self.calls.append((call, output.transpose(1, 2).flatten(-2), []))

    def enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        turn, self._runs[module] = self._runs[module], self._runs[module] + 1
        given = [one for one in (*args, *kwargs.values()) if isinstance(one, Tensor)]
        if len(given) != 1 or not given[0].is_floating_point():
            return
        (one,) = given
        for _, heads, found in self.calls:
            fits = one.shape[-1] == heads.shape[-1] and one.numel() == heads.numel()
            if fits and _same(one.reshape(heads.shape), heads):
                found.append(_Candidate(module, turn, one.detach()))

    def leave(self, module: nn.Module, _args: Any, _kwargs: Any, made: Any) -> None:
        for _, _, found in self.calls:
            for one in found:
                if one.module is module and one.made is None and isinstance(made, Tensor):
                    one.made = made.detach()


def _chosen(call: Call, candidates: list[_Candidate], names: Mapping[nn.Module, str]) -> Projection | str:
    """The outermost module that is a sum over heads, or why there is none."""
    reasons: list[str] = []
    for one in candidates:
        width = one.given.shape[-1] // call.n_heads
        made = Projection(names.get(one.module, ""), one.module, one.turn, call.place, call.n_heads, width)
        why = _check(made, one)
        if why is None:
            return made
        reasons.append(f"{made.name}: {why}")
    return "; ".join(reasons) or (
        "what its heads put out reaches no module as it is: it is gated, normed or mixed on the way"
    )


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers, NaN among them."""
    return torch.equal(one, other) or (bool(one.isnan().any()) and torch.equal(one.nan_to_num(), other.nan_to_num()))


def _kind(place: Place, *, pairs: bool) -> str:
    if place.crossing:
        return "cross"
    return (side_of(place.stack) if pairs else "") or "attention"


def _check(projection: Projection, ran: _Candidate) -> str | None:
    """Why a module is no sum over heads; None where it is one, by its own numbers."""
    given, made = ran.given, ran.made
    if made is None or made.shape[:-1] != given.shape[:-1]:
        return "it gives no vector for each that it is given"
    sound = given.flatten(0, -2).isfinite().all(-1) & made.flatten(0, -2).isfinite().all(-1)
    if not bool(sound.any()):
        return "what it is given or gives holds NaN or infinity at every position of this example"
    rows = given.flatten(0, -2)[sound][:PROBED]
    try:
        parts, bias = projection.parts(rows)
    except Exception as raised:  # noqa: BLE001 - whatever it is, it is no projection of this
        return f"it cannot be run by itself ({type(raised).__name__})"
    expected = made.flatten(0, -2)[sound][:PROBED].float()
    off = (parts.float().sum(0) + bias.float() - expected).abs().max()
    allowed = max(LARGEST_ERROR, 16 * torch.finfo(given.dtype).eps) * expected.abs().max()
    if not bool(off <= allowed):
        return f"it is no sum over heads: {float(off):.2g} off, of {float(expected.abs().max()):.2g}"
    return None


@contextmanager
def changed(
    model: nn.Module, projections: Sequence[Projection], change: Callable[[int, Tensor], Tensor | None]
) -> Iterator[None]:
    """Change what heads put out while a model runs.

    Parameters
    ----------
    model : nn.Module
        The model; its own calls begin a pass.
    projections : sequence of Projection
        The layers.
    change : callable
        Is told the number of a layer in the list and what its heads put out, [..., heads, width], and returns what goes
        on instead; None leaves it.
    """
    runs: Counter[nn.Module] = Counter()
    layers = {(one.module, one.turn): number for number, one in enumerate(projections)}

    def begin(_module: nn.Module, _args: Any) -> None:
        runs.clear()

    def enter(module: nn.Module, args: Any) -> Any:
        turn, runs[module] = runs[module], runs[module] + 1
        number = layers.get((module, turn))
        if number is None or not args:
            return None
        other = change(number, projections[number].split(args[0]))
        return None if other is None else (other.flatten(-2), *args[1:])

    with ExitStack() as stack:
        stack.callback(model.register_forward_pre_hook(begin).remove)
        for module in {one.module for one in projections}:
            stack.callback(module.register_forward_pre_hook(enter).remove)
        yield
