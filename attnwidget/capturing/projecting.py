"""Projecting: where the heads of each attention become one vector, found in a pass and checked by its arithmetic.

Nothing is read from names. The module that is handed what the heads put out, unchanged, is their output projection, if
what it makes of the heads one by one, and its bias, is what it made of all of them: a Linear, a Conv1D, one with an
adapter around it. Where heads are gated, normed or mixed on the way, there is no such module, and that is said.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
from attnwidget.capturing.registry import of_this_thread, switched, transformers_in
from attnwidget.intake import AttentionWarning

__all__ = ["HeadsHeard", "Projection", "Projections", "find_projections"]

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

    def slices(self, like: Tensor) -> Tensor:
        """What the numbers of each head are multiplied with, on the device of others: float32 [heads, width, out]."""
        # What is kept may have been moved away from where the module is.
        device = next((one.device for one in self.module.parameters() if not one.is_meta), like.device)
        each = torch.eye(self.heads * self.width, dtype=like.dtype, device=device)
        made: Tensor = self.module(each).float() - self.module(torch.zeros_like(each[:1])).float()
        return made.view(self.heads, self.width, -1).to(like.device)


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
        """The layers of one kind; ValueError where there is no such, or several to choose from.

        Of layers whose heads cannot be told apart an AttentionWarning tells.
        """
        for name, why in self.refused.items():
            warnings.warn(f"heads of {name!r} are left out: {why}.", AttentionWarning, stacklevel=3)
        if part is None and len(self.by_name) == 1:
            return next(iter(self.by_name.values()))
        if part is None or part not in self.by_name:
            raise ValueError(f"part={part!r}; this model attends in {', '.join(self.by_name)}: choose one of them.")
        return self.by_name[part]


@dataclass
class _Candidate:
    """A module that was handed what the heads of a call put out; once it has run, some sound rows of that alone."""

    module: nn.Module
    turn: int
    given: Tensor
    made: Tensor | None = None

    def ran(self, made: Tensor) -> None:
        """It gave something: some rows of both are kept."""
        given, made = self.given.flatten(0, -2), made.detach()
        width = made.shape[-1] if made.ndim else 1
        if made.numel() != len(given) * width:
            self.given, self.made = given[:0].clone(), made.flatten()[:1].clone()  # no vector for each
            return
        made = made.reshape(len(given), width)
        sound = given.isfinite().all(-1) & made.isfinite().all(-1)
        self.given, self.made = given[sound][:PROBED].clone(), made[sound][:PROBED].clone()


@dataclass
class _Call:
    """Attention whose heads put something out; ``heads`` is it, as long as somebody may still be handed it."""

    n_heads: int
    heads: Tensor | None
    candidates: list[_Candidate] = field(default_factory=list)


class HeadsHeard:
    """What heads put out in the first pass of a model, and the modules that were handed just that.

    ``put_out`` is told of every call; inside `following`, modules are watched.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._names = {module: name.replace("_orig_mod.", "") for name, module in model.named_modules()}
        self._calls: dict[Place, _Call] = {}
        self._runs: Counter[nn.Module] = Counter()
        self._deaf = False

    def put_out(self, call: Call, output: Tensor) -> None:
        """A call's heads have put something out: [batch, heads, queries, width]."""
        if call.place in self._calls:
            return  # a later step of a generation
        for before in list(self._calls.values())[-2:-1]:
            before.heads = None  # what it put out was handed on by now
        self._calls[call.place] = _Call(call.n_heads, output.transpose(1, 2).flatten(-2).detach())

    @contextmanager
    def following(self) -> Iterator[None]:
        """Watch what is handed to the modules of the model."""
        with ExitStack() as stack:
            for module in self._model.modules():
                stack.callback(module.register_forward_pre_hook(of_this_thread(self._enter), with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(of_this_thread(self._leave), with_kwargs=True).remove)
            yield
        for call in self._calls.values():
            call.heads = None

    def projections(self) -> dict[Place, Projection | str]:
        """Where each of them becomes one vector, or why that is not known."""
        self._deaf = True  # it may be asked for between two passes
        try:
            with torch.no_grad():
                return {place: self._chosen(place, call) for place, call in self._calls.items()}
        finally:
            self._deaf = False

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if self._deaf:
            return
        turn, self._runs[module] = self._runs[module], self._runs[module] + 1
        given = [one for one in (*args, *kwargs.values()) if isinstance(one, Tensor)]
        if len(given) != 1 or not given[0].is_floating_point():
            return
        (one,) = given
        for call in list(self._calls.values())[-2:]:
            heads = call.heads
            fits = heads is not None and one.shape[-1] == heads.shape[-1] and one.numel() == heads.numel()
            if heads is not None and fits and _same(one.reshape(heads.shape), heads):
                call.candidates.append(_Candidate(module, turn, one.detach()))

    def _leave(self, module: nn.Module, _args: Any, _kwargs: Any, made: Any) -> None:
        for call in self._calls.values():
            for one in call.candidates:
                if one.module is module and one.made is None and isinstance(made, Tensor):
                    one.ran(made)

    def _chosen(self, place: Place, call: _Call) -> Projection | str:
        """The outermost module that is a sum over heads, or why there is none."""
        reasons: list[str] = []
        for one in call.candidates:
            width = one.given.shape[-1] // call.n_heads
            made = Projection(self._names.get(one.module, ""), one.module, one.turn, place, call.n_heads, width)
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
    heard = HeadsHeard(model)
    roots = transformers_in(model)
    recorder = Recorder(model, roots, Keep(logits="none"), put_out=heard.put_out)
    with switched(model, recorder), heard.following(), torch.no_grad():
        run()
    if recorder.failure is not None:
        raise recorder.failure
    pairs = any(map(is_pair, roots))
    found: dict[str, list[Projection]] = {}
    refused: dict[str, str] = dict(recorder.passes[-1].missed) if recorder.passes else {}
    for place, made in heard.projections().items():
        if isinstance(made, str):
            refused[place.module] = made
        else:
            found.setdefault(_kind(place, pairs=pairs), []).append(made)
    if not found:
        said = " ".join(f"{name!r}: {why}." for name, why in refused.items()) or (
            "No attention was heard whose heads stand by themselves before they are projected, as in "
            "nn.MultiheadAttention, which does both in one."
        )
        raise ValueError(f"what single heads of {type(model).__name__} add cannot be told apart. {said}")
    for layers in found.values():
        layers.sort(key=lambda one: one.place.layer)
    return Projections(found, refused)


def _kind(place: Place, *, pairs: bool) -> str:
    if place.crossing:
        return "cross"
    return (side_of(place.stack) if pairs else "") or "attention"


def _check(projection: Projection, ran: _Candidate) -> str | None:
    """Why a module is no sum over heads; None where it is one, by its own numbers."""
    rows, made = ran.given, ran.made
    if made is None or made.ndim != 2:
        return "it gives no vector for each that it is given"
    if not len(rows):
        return "what it is given or gives holds NaN or infinity at every position of this example"
    try:
        parts, bias = projection.parts(rows)
    except Exception as raised:  # noqa: BLE001 - whatever it is, it is no projection of this
        return f"it cannot be run by itself ({type(raised).__name__})"
    expected = made.float()
    off = (parts.float().sum(0) + bias.float() - expected).abs().max()
    allowed = max(LARGEST_ERROR, 16 * torch.finfo(rows.dtype).eps) * expected.abs().max()
    if not bool(off <= allowed):
        return f"it is no sum over heads: {float(off):.2g} off, of {float(expected.abs().max()):.2g}"
    return None
