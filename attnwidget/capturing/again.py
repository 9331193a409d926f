"""Again: a model captured on the same inputs over and over, without finding out each time what is where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing import capture
from attnwidget.capturing.captured import Capture, Example
from attnwidget.capturing.changes import changes
from attnwidget.capturing.inputs import as_inputs, last_logits_will_do
from attnwidget.capturing.keeping import generates
from attnwidget.capturing.places import modules_by_name
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.recorder import listening_as
from attnwidget.capturing.registry import switched, transformers_in
from attnwidget.capturing.transformers_names import cache_among, logits_of
from attnwidget.layers import Layer, ProjectedLayer
from attnwidget.maps import AttentionMaps

__all__ = ["Again"]

_NO_PART_OF_A_MAP = ("query_angles", "key_angles")  # what lenses ask for, and no number


class Again:
    """Captures of one model on the same inputs, one after the other.

    The first is `attnwidget.capture`. Where all that it holds went through transformers' attention function, the next
    ones take queries and keys there, of the same calls in the same order: that this gives the same layers, number for
    number, is proved once on the first. Where it does not, or the model has changed its calls since, each is a capture
    like the first. What follows the first knows no rotary angles and no logits.

    Parameters
    ----------
    inputs, tokenizer
        As in `attnwidget.capture`.
    **options
        ``spans``, ``prefix`` of `attnwidget.capture`.
    """

    def __init__(self, inputs: Any, tokenizer: Any = None, **options: Any) -> None:
        self._inputs, self._tokenizer, self._options = inputs, tokenizer, options
        self._known: _Known | None = None
        self._arguments: tuple[tuple[Any, ...], dict[str, Any]] = (), {}
        self._of: tuple[Any, ...] | None = None  # which model, where and in which precision the arguments are for

    def capture(self, model: nn.Module) -> Capture:
        """What the model attends to now; the model is left as it was."""
        known = self._known
        if known is not None and not changes():
            layers = known.layers(self._taken(model))
            if layers is not None:
                return known.filled(layers)
        run = capture(model, self._inputs, self._tokenizer, logits="none", progress=False, **self._options)
        self._known = self._proved(model, run)
        return run

    def _proved(self, model: nn.Module, run: Capture) -> _Known | None:
        """What lets the next capture be a quick one; None where it would not be this one."""
        if changes() or not transformers_in(model):
            return None
        taken = self._taken(model)
        known = _Known.of(model, run, taken, self._arguments[1])
        layers = None if known is None else known.layers(taken)
        held = [layer for one in run for maps in one.by_name.values() for layer in maps.layers]
        if layers is None or not all(map(_same, layers, held)):
            return None
        return known

    def _taken(self, model: nn.Module) -> list[tuple[nn.Module, Projections]]:
        """The calls of one pass."""
        of = id(model), next((p.device for p in model.parameters()), None), getattr(model, "dtype", None)
        if of != self._of or cache_among(self._arguments[1]) is not None:  # a cache would have grown
            self._arguments, self._of = as_inputs(model, self._inputs, self._tokenizer), of
        positional, named = self._arguments
        taker = _Taker(model if last_logits_will_do(named) else None)
        with switched(model, taker), torch.no_grad():
            model(*positional, **named)
        return taker.calls


class _Taker:
    """Takes queries and keys of every call of transformers' attention function, in its thread.

    Parameters
    ----------
    model : nn.Module or None
        Whose logits are made of the last position alone: nobody reads them, and of a long text they are large.
    """

    def __init__(self, model: nn.Module | None) -> None:
        self.calls: list[tuple[nn.Module, Projections]] = []
        roots = () if model is None else transformers_in(model)
        self._heads = [head for root in roots if generates(root) and (head := logits_of(root)) is not None]

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen in this thread until the block ends."""
        with ExitStack() as leaving:
            for head in self._heads:
                leaving.callback(head.register_forward_pre_hook(_last_alone).remove)
            leaving.enter_context(listening_as(self))
            yield

    def silence(self) -> AbstractContextManager[None]:
        """Nothing else is heard."""
        return nullcontext()

    def attended(
        self, module: nn.Module, call: Projections | str, output: Tensor, query: Tensor, key: Tensor
    ) -> Tensor:
        """A call was computed."""
        del query, key  # they are in the call
        if isinstance(call, Projections):
            self.calls.append((module, replace(call, value=None)))
        return output


def _last_alone(module: nn.Module, args: tuple[Any, ...]) -> Any:
    del module
    alone = len(args) == 1 and isinstance(args[0], Tensor) and args[0].ndim == 3
    return (args[0][:, -1:],) if alone else None


@dataclass(frozen=True)
class _Place:
    """Which calls became the layers of a map, and which of their queries and keys are no padding; None for all."""

    example: int
    name: str
    calls: list[int]
    rows: Tensor | None
    columns: Tensor | None


class _Known:
    """Which call became which layer of a capture.

    Parameters
    ----------
    run : Capture
        The capture.
    modules : list of nn.Module
        What attended, in its order.
    places : list of _Place
        Of every map.
    sizes : list
        Of each call, how large what it attends with is.
    """

    def __init__(self, run: Capture, modules: list[nn.Module], places: list[_Place], sizes: list[Any]) -> None:
        self._run, self._modules, self._places, self._sizes = run, modules, places, sizes

    @classmethod
    def of(
        cls, model: nn.Module, run: Capture, taken: list[tuple[nn.Module, Projections]], named: Mapping[str, Any]
    ) -> _Known | None:
        """What is known of a capture, and the calls of a pass like it; None where they do not fit."""
        modules = [module for module, _ in taken]
        if len(set(modules)) < len(modules):
            return None  # one module attends twice, and its name does not say when
        names = modules_by_name(model)
        at = {module: number for number, module in enumerate(modules)}
        places = []
        for number, example in enumerate(run):
            for name, maps in example.by_name.items():
                calls = [at.get(names.get(layer)) for layer in maps.layer_names]  # type: ignore[arg-type]
                if any(call is None for call in calls):
                    return None
                first = taken[calls[0] or 0][1]
                rows = _real(named, number, first.n_queries, maps.n_queries)
                columns = _real(named, number, first.n_keys, maps.n_keys)
                places.append(_Place(number, name, [call for call in calls if call is not None], rows, columns))
        return cls(run, modules, places, [_size(call) for _, call in taken])

    def layers(self, taken: list[tuple[nn.Module, Projections]]) -> list[Layer] | None:
        """Layers of all maps one after the other; None where the calls are others than they were."""
        if [module for module, _ in taken] != self._modules or [_size(call) for _, call in taken] != self._sizes:
            return None
        made: list[Layer] = []
        for place in self._places:
            shared: dict[Any, Any] = {}  # layers of one pass share their mask and bias
            for number in place.calls:
                layer = taken[number][1].layer_of(place.example, place.rows, place.columns, shared)
                made.append(_apart(layer) if isinstance(layer, ProjectedLayer) else layer)
        return made

    def filled(self, layers: list[Layer]) -> Capture:
        """The capture with other layers."""
        rest = iter(layers)
        examples: list[dict[str, AttentionMaps]] = [{} for _ in range(len(self._run))]
        for place in self._places:
            maps = self._run[place.example].by_name[place.name]
            examples[place.example][place.name] = _with_layers(maps, [next(rest) for _ in place.calls])
        return Capture([Example(maps) for maps in examples], missed=self._run.missed, refused=self._run.refused)


def _with_layers(maps: AttentionMaps, layers: Sequence[Layer]) -> AttentionMaps:
    return AttentionMaps(
        layers,
        maps.tokens,
        None if maps.key_tokens is maps.tokens else maps.key_tokens,
        name=maps.name,
        layer_names=maps.layer_names,
        notes=maps.notes,
        layer_numbers=maps.layer_numbers,
        head_numbers=maps.head_numbers,
    )


def _real(named: Mapping[str, Any], example: int, ran: int, kept: int) -> Tensor | None:
    """Positions that a mask among the inputs calls real, where fewer were kept than ran."""
    if ran == kept:
        return None
    masks = [mask for mask in named.values() if isinstance(mask, Tensor) and mask.ndim == 2 and mask.shape[1] == ran]
    found = [mask[min(example, len(mask) - 1)].bool().nonzero().flatten() for mask in masks]
    return next((real for real in found if len(real) == kept), None)


def _size(call: Projections) -> tuple[Any, ...]:
    terms = call.mask, call.position_bias, call.sinks
    return call.query.shape, call.key.shape, tuple(None if term is None else term.shape for term in terms)


def _apart(layer: ProjectedLayer) -> ProjectedLayer:
    """A layer whose queries and keys are its own, and laid as a capture keeps them: sums then round alike."""
    q, k = (torch.empty(one.shape, dtype=one.dtype, device=one.device).copy_(one) for one in (layer.q, layer.k))
    return replace(layer, q=q, k=k)


def _same(one: Layer, other: Layer) -> bool:
    """Whether two layers are the same number for number."""
    if not (isinstance(one, ProjectedLayer) and isinstance(other, ProjectedLayer)):
        return False
    held = [
        {name: tensor for name, tensor in layer.tensors().items() if name not in _NO_PART_OF_A_MAP}
        for layer in (one, other)
    ]
    rules = [(layer.scaling, layer.softcap, layer.mask.causal, layer.mask.offset) for layer in (one, other)]
    windows = one.mask.window, other.mask.window
    if any(isinstance(window, Tensor) for window in windows) or windows[0] != windows[1] or rules[0] != rules[1]:
        return False
    return held[0].keys() == held[1].keys() and all(
        tensor.shape == held[1][name].shape and torch.equal(tensor, held[1][name]) for name, tensor in held[0].items()
    )
