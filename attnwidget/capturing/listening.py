"""Listening: every softmax over keys and every fused attention of a pass, wherever in the model it is computed.

While a model runs, torch tells of each function that is called (a torch function mode), and hooks tell which module is
running. transformers' own attention function, torch's scaled_dot_product_attention and multi_head_attention_forward
say what they attend with. Where a module multiplies by itself, the softmax is heard, and counts as attention when its
weights are multiplied with values; a router's or a loss's never are.
"""

from __future__ import annotations

import inspect
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from attnwidget.capturing.calls import Call
from attnwidget.capturing.changes import changes
from attnwidget.capturing.grids import laid_by
from attnwidget.capturing.lineage import Lineage, Node, tensors_in
from attnwidget.capturing.multihead import heads_of_multihead, of_multihead, projected
from attnwidget.capturing.multiplied import Multiplied, as_multiplied
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.qk import Masks, as_call, call_of_sdpa, of_sdpa
from attnwidget.capturing.rotary import Rotations
from attnwidget.capturing.softmaxes import Softmax, call_of_softmax, heads_of

__all__ = ["Heard", "Listener", "Running", "listening_thread", "set_listener"]

# By name: torch has the same function as a method, an operator, and under several paths.
_SOFTMAX = {"softmax", "special_softmax", "log_softmax"}
_PRODUCT = {"matmul", "__matmul__", "__rmatmul__", "bmm", "baddbmm", "einsum"}
_PROJECTION = {"linear", "addmm", "mm", "conv1d", "conv2d", "conv3d"}
_CONCATENATION = {"cat", "concat", "concatenate"}
_SDPA, _MULTIHEAD, _EMBEDDING = (
    functional.scaled_dot_product_attention, functional.multi_head_attention_forward, functional.embedding,
)  # fmt: skip
_CHANNELS = "it attends between channels, and not between tokens"
_NEWEST_PRODUCTS = 4  # scores may be the sum of several products, as with relative positions

_local = threading.local()


@dataclass(frozen=True)
class Running:
    """A module that is running: its name, and the time of the lineage at which it was entered."""

    module: nn.Module
    name: str
    since: int
    n_tokens: int = 0  # of the first sequence that it was handed
    unbatched: bool = False  # whether that has no axis for examples
    streams: tuple[int, ...] | None = None  # positions and streams, where each position was handed several vectors


@dataclass(frozen=True)
class Heard:
    """One attention that was heard.

    Parameters
    ----------
    call : Call or str
        What was computed, or why that is not known.
    running : tuple of Running
        The modules that were running, outermost first; the last one attended.
    queries, keys : Node or None
        Where queries and keys came from, as far as that is known.
    output : Tensor [batch, heads, queries, width] or None
        What the heads put out, before anything else is made of it; None where its axes are not known.
    """

    call: Call | str
    running: tuple[Running, ...]
    queries: Node | None = None
    keys: Node | None = None
    output: Tensor | None = None


class _Ear(TorchFunctionMode):
    """What torch tells in one thread, passed on to whoever listens in it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let everything happen as it would, and tell of it."""
        listener = getattr(_local, "listener", None)
        if listener is None or listener.deaf:
            return func(*args, **(kwargs or {}))
        return listener.hear(func, args, kwargs or {})


@contextmanager
def listening_thread() -> Any:
    """An ear in this thread: one for all recordings, in whatever order they begin and end."""
    _local.users = getattr(_local, "users", 0) + 1
    if _local.users == 1:
        _local.ear = _Ear()
        _local.ear.__enter__()
    try:
        yield
    finally:
        _local.users -= 1
        if _local.users == 0:
            _local.listener = None
            _local.ear.__exit__(None, None, None)


def set_listener(listener: Listener | None) -> Listener | None:
    """Make somebody the one who listens in this thread; returns who did before."""
    before: Listener | None = getattr(_local, "listener", None)
    _local.listener = listener
    return before


@dataclass
class Listener:
    """What is heard of one pass.

    Parameters
    ----------
    heard : callable
        Is told of each attention, right after it was computed; gives what its heads put out instead, if anything.
    batch : callable
        Says how many examples the pass has; 0 where that is not known.
    spoken_for : frozenset of nn.Module
        Modules for which somebody speaks: what is heard inside them is theirs.
    held : frozenset of int
        Identities of the model's parameters and buffers.
    """

    heard: Callable[[Heard], Tensor | None]
    batch: Callable[[], int]
    spoken_for: frozenset[nn.Module] = frozenset()
    held: frozenset[int] = frozenset()
    lineage: Lineage = field(default_factory=Lineage)
    masks: Masks = field(default_factory=Masks)
    rotations: Rotations = field(default_factory=Rotations)
    running: list[Running] = field(default_factory=list)
    softmaxes: list[Softmax] = field(default_factory=list)
    deaf: int = 0
    with_grad: bool = False  # whether the pass has gradients, which what is heard has not
    trouble: Exception | None = None  # what went wrong in here: nothing of it may reach the model

    def __post_init__(self) -> None:
        self._products: deque[tuple[Node, tuple[Tensor, ...]]] = deque(maxlen=_NEWEST_PRODUCTS)

    def enter(self, module: nn.Module, name: str, given: Sequence[Any]) -> None:
        """A module begins; what it was handed was there before."""
        for tensor in tensors_in(given):
            _use([self.lineage.source(tensor)])
        first = given[0] if given and isinstance(given[0], Tensor) else None
        n_tokens = 0 if first is None or first.is_nested or first.ndim != 3 else first.shape[1]
        streams = first.shape[1:3] if first is not None and not first.is_nested and first.ndim == 4 else None
        unbatched = first is not None and first.ndim == 2 and first.is_floating_point()
        self.running.append(Running(module, name, self.lineage.clock, n_tokens, unbatched, streams))

    def leave(self, module: nn.Module, given: Sequence[Any], output: Any) -> None:
        """A module ends; what came out of code that tells nothing was made of what went in."""
        while self.running and self.running.pop().module is not module:
            pass
        made = [tensor for tensor in tensors_in(_values_of(output)) if self.lineage.of(tensor) is None]
        if made:
            parents = self.lineage.known(given)
            for tensor in made:
                self.lineage.made(tensor, parents, "projection")

    def end(self) -> list[Softmax]:
        """The pass is over: softmaxes of which something was made, and whose weights were multiplied with nothing."""
        open_still, self.softmaxes = [one for one in self.softmaxes if one.used], []
        self._products.clear()
        self.running.clear()
        return open_still

    @contextmanager
    def silence(self) -> Any:
        """Hear nothing: what is computed here is our own."""
        self.deaf += 1
        try:
            yield
        finally:
            self.deaf -= 1

    def hear(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one function of torch, and hear what it says of attention."""
        output = func(*args, **kwargs)
        # The functions that ask for a shape or a type return none, and are most of them.
        if isinstance(output, (Tensor, tuple, list)) or func is torch.Tensor.__setitem__:
            try:
                # Torch tells nothing while it is being heard: what is computed in here is our own.
                return self._hear(func, args, kwargs, output)
            except Exception as error:  # noqa: BLE001 - the model goes on whatever we could not follow
                self.trouble = self.trouble or error
        return output

    def attended(  # noqa: PLR0917
        self, module: nn.Module, name: str, call: Call | str, output: Tensor, query: Tensor, key: Tensor
    ) -> Tensor:
        """Transformers' attention function was called; gives what it is to return."""
        queries, keys = self.lineage.of(query), self.lineage.of(key)
        running = self.running
        if not running or running[-1].module is not module:
            running = [*running, Running(module, name, self.lineage.clock)]
        with torch.set_grad_enabled(self.with_grad):
            heads = output.transpose(1, 2) if output.ndim == 4 else None
        changed = self._tell(call, queries, keys, running, output=heads)
        if changed is not None:
            with torch.set_grad_enabled(self.with_grad):
                output = changed.transpose(1, 2).contiguous()
        self.lineage.made(output, () if queries is None else (queries,), "attention", name)
        return output

    def said(self, said: Mapping[str, Any], hidden: Tensor) -> None:
        """What a module attends with, which attends to itself, was read from its arguments."""
        node = Node(self.lineage.clock + 1, (self.lineage.source(hidden),), "projection")
        self._tell(as_call(said, self._name(), self.masks), node, node)

    def _hear(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """Note what a function did; gives what it is to return."""
        lineage = self.lineage
        if func is _SDPA or func is _MULTIHEAD:
            self.with_grad = torch.is_grad_enabled()
            return (self._sdpa if func is _SDPA else self._multihead)(args, kwargs, output)
        if func is torch.Tensor.__setitem__:
            before = lineage.of(args[0])
            node = lineage.made(args[0], lineage.known(args))
            node.softmax = None if before is None else before.softmax
            return output
        parents = lineage.known([*args, *kwargs.values()] if kwargs else args)
        if not isinstance(output, Tensor):
            if parents:
                _use(parents)
                for tensor in tensors_in(output):
                    lineage.made(tensor, parents)
            return output
        name = getattr(func, "__name__", "")
        if name in _SOFTMAX:
            self._softmax(name, args, kwargs, parents, output)
        elif name in _PRODUCT:
            return self._product(name, args, kwargs, output)
        else:
            self.rotations.hear(name, args, output)
            self._derived(func, args, kwargs, parents, output)
        return output

    def _derived(self, func: Any, args: Any, kwargs: Any, parents: tuple[Node, ...], output: Tensor) -> None:
        """Anything else that was made."""
        lineage, name = self.lineage, getattr(func, "__name__", "")
        if func is _EMBEDDING:
            ids, table = (*args, kwargs.get("input"), kwargs.get("weight"))[:2]
            lineage.made(output, parents, "embedding", (ids, len(table)))
            return
        if not parents and lineage.of(output) is not None:
            return
        kind = "projection" if name in _PROJECTION else "cat" if name in _CONCATENATION else ""
        if not parents and any(id(one) not in self.held for one in tensors_in([*args, *kwargs.values()])):
            lineage.made(output, (), "source", output.is_floating_point())  # of what was there before the pass
            return
        node = lineage.made(output, parents, kind, _joints(lineage, args, kwargs) if kind == "cat" else None)
        node.laid = "moved", None  # until it is known
        node.laid = laid_by(name, args, kwargs, output, lineage)
        of = next((parent.softmax for parent in parents if parent.softmax is not None), None)
        node.dropped = "dropout" in name or any(parent.dropped for parent in parents)
        if of is not None and output.numel() == of.n_weights and output.is_floating_point():
            node.softmax = of  # a cast, a reshape, dropout, a factor: what it is in the product is seen there
        elif of is not None and of.without_last(output):
            node.softmax = of  # a sink stood behind the keys
        else:
            _use(parents)

    def _softmax(self, name: str, args: Any, kwargs: Any, parents: tuple[Node, ...], output: Tensor) -> None:
        scores = args[0] if args else kwargs.get("input", kwargs.get("self"))
        axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
        node = self.lineage.made(output, parents)
        product = next((one for one in Lineage.behind(parents[0]) if one.kind == "product"), None) if parents else None
        operands = next((held for known, held in self._products if known is product), None)
        q, k = product.what if product is not None else (None, None)
        softmax = Softmax(
            scores, output, output.ndim - 1 if axis is None else int(axis) % max(output.ndim, 1),
            self.running[-1].name if self.running else "", operands, q, k, logarithm=name == "log_softmax",
        )  # fmt: skip
        node.softmax = softmax
        self.softmaxes.append(softmax)

    def _product(self, name: str, args: Any, kwargs: Any, output: Tensor) -> Tensor:
        operands = tuple(tensors_in([*args, *kwargs.values()]))
        if name == "baddbmm":
            operands = operands[1:3]
        known = self.lineage.known(operands)
        place = next((i for i, one in enumerate(operands) if self._softmax_of(one) is not None), None)
        values = [one for one in operands if not self._is_learned(one)]
        if place is not None and len(values) > 1:
            softmax, node = self._softmax_of(operands[place]), self.lineage.of(operands[place])
            multiplied = as_multiplied(name, args, operands, place)
            if softmax is None or node is None or multiplied is None or self._position_by_position(multiplied):
                _use(known)
                if softmax is not None:
                    softmax.apart = True  # values that differ from query to query, as experts' do
                self.lineage.made(output, known)
                return output
            if not softmax.told:
                softmax.told = True
                self.softmaxes = [one for one in self.softmaxes if one is not softmax]
                self.with_grad = torch.is_grad_enabled()
                with torch.no_grad():
                    call = call_of_softmax(softmax, multiplied, self._batch(), self._module(), dropped=node.dropped)
                    changed = self._tell(call, softmax.queries, softmax.keys, output=_by_head(call, output))
                output = output if changed is None else changed.reshape(output.shape)
            queries = () if softmax.queries is None else (softmax.queries,)
            self.lineage.made(output, queries or known, "attention", self._name())
        elif place is None and len(values) == 2 == len(operands):
            both = tuple(self.lineage.of(one) for one in operands)
            self._products.append((self.lineage.made(output, known, "product", both), operands))
        else:
            # Weights on learned vectors, or on numbers written by hand, are a mixture of those, and no attention.
            _use(known)
            self.lineage.made(output, known, "projection")
        return output

    def _softmax_of(self, tensor: Tensor) -> Softmax | None:
        node = self.lineage.of(tensor)
        return None if node is None else node.softmax

    def _batch(self) -> int:
        """Examples, where what the module was handed has an axis for them."""
        own = self.running[-1] if self.running else None
        return 1 if own is not None and own.unbatched else self.batch()

    def _is_learned(self, values: Tensor) -> bool:
        """Whether something is a parameter or a buffer, if in another shape; what a cache kept is not."""
        node = self.lineage.of(values)
        return id(values) in self.held if node is None else node.learned

    def _sdpa(self, args: Any, kwargs: Any, output: Tensor) -> Tensor:
        query, key = (*args, kwargs.get("query"), kwargs.get("key"))[:2] if len(args) != 1 else (args[0], kwargs["key"])
        queries, keys = self.lineage.of(query), self.lineage.of(key)
        with torch.no_grad():
            call = call_of_sdpa(of_sdpa(*args, **kwargs), self._batch(), self._module(), self.masks)
            if not isinstance(call, str) and self._between_channels(call):
                call = _CHANNELS
            changed = self._tell(call, queries, keys, output=_by_head(call, output))
        output = output if changed is None else changed.reshape(output.shape)
        self.lineage.made(output, () if queries is None else (queries,), "attention", self._name())
        return output

    def _multihead(self, args: Any, kwargs: Any, output: Any) -> Any:
        bound = inspect.signature(_MULTIHEAD).bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        queries, keys = self.lineage.source(given["query"]), self.lineage.source(given["key"])
        # Both are projected in there, so they count as what they were projected from.
        to_q, to_k = (Node(self.lineage.clock + 1, (node,), "projection") for node in (queries, keys))
        with torch.set_grad_enabled(self.with_grad and bool(changes())):
            call = as_call(of_multihead(given, self.masks), self._name(), self.masks)
            heads = heads_of_multihead(given, call, output) if changes() else None
        with torch.no_grad():
            changed = self._tell(call, to_q, to_k, output=heads)
        if changed is not None:
            made = projected(given, changed)
            output = made if isinstance(output, Tensor) else (made, *output[1:])
        for tensor in tensors_in([output] if isinstance(output, Tensor) else output[:1]):
            self.lineage.made(tensor, (queries,), "attention", self._name())
        return output

    def _tell(
        self,
        call: Call | str,
        queries: Node | None,
        keys: Node | None,
        running: Sequence[Running] | None = None,
        *,
        output: Tensor | None = None,
    ) -> Tensor | None:
        """Tell of an attention; gives what its heads are to put out instead, if anything."""
        running = self.running if running is None else running
        if isinstance(call, Projections):
            call = replace(call, rotary=self.rotations.of(call))
        if running and not any(one.module in self.spoken_for for one in running):
            return self.heard(Heard(call, tuple(running), queries, keys, output))
        return None

    def _between_channels(self, call: Call) -> bool:
        """Whether scores were summed over tokens, so that what attends are channels."""
        width = call.query.shape[-1] if isinstance(call, Projections) else 0
        return any(one.n_tokens == width not in {call.n_queries, call.n_keys} for one in self.running[-1:])

    def _position_by_position(self, multiplied: Multiplied) -> bool:
        """Whether each position mixes values of its own, as of experts or of its neighbourhood, and no other's."""
        n_maps, size = multiplied.weights.shape[:-2].numel(), tuple(multiplied.weights.shape[-2:])
        if not self.running or heads_of(self._module()) in {n_maps, n_maps // max(1, self.batch())}:
            return False
        own = self.running[-1]
        if own.streams is not None:
            return n_maps % own.streams[0] == 0 and size == (own.streams[1],) * 2
        return 1 < own.n_tokens not in size and n_maps % own.n_tokens == 0

    def _name(self) -> str:
        return self.running[-1].name if self.running else ""

    def _module(self) -> nn.Module | None:
        return self.running[-1].module if self.running else None


def _use(nodes: Iterable[Node]) -> None:
    """Something else was made of weights than the same numbers."""
    for node in nodes:
        if node.softmax is not None:
            node.softmax.used = True


def _by_head(call: Call | str, output: Tensor) -> Tensor | None:
    """What a product with values gave, [batch, heads, queries, width]; None where its axes are in another order."""
    if isinstance(call, str) or output.ndim < 3 or output.shape[-2] != call.n_queries:
        return None
    maps = call.batch * call.n_heads
    with torch.set_grad_enabled(output.requires_grad):
        return (
            output.reshape(call.batch, call.n_heads, *output.shape[-2:]) if output.shape[:-2].numel() == maps else None
        )


def _joints(lineage: Lineage, args: Any, kwargs: Any) -> tuple[int, list[tuple[Node | None, int]]]:
    """Along which axis tensors were put side by side, and how long each of them is."""
    pieces = list(tensors_in([args[0] if args else kwargs["tensors"]]))
    axis = int(kwargs.get("dim", kwargs.get("axis", args[1] if len(args) > 1 else 0))) % max(pieces[0].ndim, 1)
    return axis, [(lineage.of(piece), piece.shape[axis]) for piece in pieces]


def _values_of(output: Any) -> Sequence[Any]:
    if isinstance(output, Mapping):
        return list(output.values())
    return output if isinstance(output, (tuple, list)) else [output]
