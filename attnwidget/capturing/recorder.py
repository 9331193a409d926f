"""Recorder: listens while a model runs, and keeps what each pass said."""

from __future__ import annotations

import inspect
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from attnwidget.capturing.calls import Call
from attnwidget.capturing.hearing import Hearing
from attnwidget.capturing.keep import Keep
from attnwidget.capturing.keeping import Keeping, generates
from attnwidget.capturing.listening import Heard, Listener, listening_thread, set_listener
from attnwidget.capturing.looks import attentions_in, related
from attnwidget.capturing.packing import Packing
from attnwidget.capturing.passes import Pass, batch_of, encoder_of, n_tokens
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.qk import QK, as_call
from attnwidget.capturing.softmaxes import described
from attnwidget.capturing.transformers_names import cache_among, length_of, logits_of

__all__ = ["Hears", "Recorder", "active_recorder", "foremost"]

_local = threading.local()  # a pass belongs to the recorder of the thread it runs in


class Hears(Protocol):
    """What transformers' attention function tells of each call."""

    def listening(self) -> AbstractContextManager[None]:
        """Listen in this thread until the block ends."""

    def silence(self) -> AbstractContextManager[None]:
        """Hear nothing of what is computed here: it is told in another way."""

    def attended(
        self, module: nn.Module, call: Projections | str, output: Tensor, query: Tensor, key: Tensor
    ) -> Tensor:
        """A call was computed; gives what is to be returned."""


def active_recorder() -> Hears | None:
    """The innermost recorder that listens in this thread."""
    stack = getattr(_local, "stack", None)
    return stack[-1] if stack else None


@contextmanager
def foremost(listener: Hears | None) -> Iterator[None]:
    """Let nobody hear what runs in this thread but the one given, or nobody at all."""
    stack = _local.__dict__.setdefault("stack", [])
    stack.append(listener)
    try:
        yield
    finally:
        stack.remove(listener)


class Recorder:
    """Keeps the passes that a model makes while it listens.

    Parameters
    ----------
    model : nn.Module
        The model to listen to.
    roots : sequence of nn.Module
        The transformers models in it, outermost first.
    keep : Keep
        How much is kept.
    own : mapping of nn.Module to callable
        Modules for which somebody says where q and k are.
    last_logits : bool
        Make logits of the last position only, of a model that predicts the next token.
    heard : callable or None
        Called with every call that was recorded.
    passed : callable or None
        Called after every pass of the whole model.
    put_out : callable or None
        Called with every call that was recorded, and what its heads put out: [batch, heads, queries, width].
    """

    def __init__(
        self,
        model: nn.Module,
        roots: Sequence[nn.Module] = (),
        keep: Keep | None = None,
        *,
        own: Mapping[nn.Module, Callable[..., QK]] | None = None,
        last_logits: bool = False,
        heard: Callable[[Call], None] | None = None,
        passed: Callable[[], None] | None = None,
        put_out: Callable[[Call, Tensor], None] | None = None,
    ) -> None:
        self.model = model
        self.roots = tuple(roots) or (model,)
        self.keep = keep or Keep()
        self.own = dict(own or {})
        # Cut in front of the module that makes logits, behind all attention: forward's own argument may cut more.
        self._unembeddings = [head for root in self.roots if generates(root) and (head := logits_of(root)) is not None]
        self._last_logits, self._n_logits = last_logits, 0
        self._keeping = Keeping(self.keep, self.roots)
        self._failure: Exception | None = None  # what somebody's own function raised
        self._passed = passed
        self.passes: list[Pass] = []
        self._hearing = Hearing(model, self.roots, self._keeping, self.passes, heard=heard, put_out=put_out)
        self._open: Pass | None = None
        self._running: list[nn.Module] = []  # the pass's own modules, outermost first
        self._part: Pass | None = None  # of a part that is called by itself, until a module comes again
        self._wholes = {model, *self.roots}
        # generate() runs encoders and towers by themselves, before anything else.
        self._parts = {m for root in self.roots for m in root.modules() if hasattr(m, "config")} - self._wholes
        self._attentions = attentions_in(model, [root for root in self.roots if hasattr(root, "config")])
        self._listener: Listener | None = None
        self._listened_before: Listener | None = None
        self._packing = Packing()
        self._signatures: dict[nn.Module, inspect.Signature] = {}
        self._held: frozenset[int] = frozenset()  # parameters and buffers, by identity
        self._ran: set[str] = set()  # modules that look like attention

    @property
    def failure(self) -> Exception | None:
        """What is to be raised when the pass is over."""
        return self._failure or self._hearing.failure or self._keeping.failure

    @property
    def unfinished(self) -> Pass | None:
        """The pass that is going on."""
        return self._open

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen in this thread until the block ends."""
        self._held = frozenset(map(id, [*self.model.parameters(), *self.model.buffers()]))
        hooks: list[Any] = []
        for root in self.roots:
            encoder = encoder_of(root)
            if encoder is not None:
                hooks.append(encoder.register_forward_pre_hook(self._keep_inputs, with_kwargs=True))
        with ExitStack() as leaving:
            leaving.enter_context(listening_thread())
            for module in self.model.modules():
                hooks.append(module.register_forward_pre_hook(self._enter, with_kwargs=True))
                # In front of other people's hooks, and where the model is one module, before the pass ends.
                hooks.append(module.register_forward_hook(self._leave, with_kwargs=True, always_call=True))
            hooks += [head.register_forward_pre_hook(self._cut_logits) for head in self._unembeddings]
            try:
                with foremost(self):
                    yield
            finally:
                self._packing.leave()
                self._listen(None)
                for hook in hooks:
                    hook.remove()

    def attended(
        self, module: nn.Module, call: Projections | str, output: Tensor, query: Tensor, key: Tensor
    ) -> Tensor:
        """Transformers' attention function has computed a call; gives what it is to return."""
        name = self._hearing.places.names.get(id(module))
        if name is None or torch._C._current_graph_task_id() != -1:  # noqa: SLF001
            return output
        listener = self._listening_now()
        listener.with_grad = torch.is_grad_enabled()
        try:
            with listener.silence(), torch.no_grad():
                return listener.attended(module, name, call, output, query, key)
        except Exception as error:  # noqa: BLE001 - the model goes on whatever we could not follow
            listener.trouble = listener.trouble or error
        return output

    def aside(self) -> AbstractContextManager[None]:
        """Take no notice of what runs here: it is no pass of the model."""
        return foremost(None)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Hear nothing of what is computed here: it is told in another way."""
        with self._listening_now().silence():
            yield

    # hooks

    def _enter(self, module: nn.Module, args: Any, *rest: Any) -> tuple[Any, Any] | None:
        # Where another thread has just removed the hook, torch forgets that it takes keywords.
        if active_recorder() is not self or not rest:
            return None
        with torch._C.DisableTorchFunction():  # noqa: SLF001 - what is asked of tensors in here is no part of the pass
            given = self._entered(module, args, *rest)
        if type(module) is nn.TransformerEncoder and given is not None:
            self._packing.enter(module, *given)
        return given

    def _entered(self, module: nn.Module, args: Any, *rest: Any) -> tuple[Any, Any] | None:
        (kwargs,) = rest
        if torch._C._current_graph_task_id() != -1:  # noqa: SLF001
            return None  # gradient checkpointing computes a layer again on its way back
        if module in self._wholes or module in self._parts:
            kwargs = self._begin(module, args, kwargs)
        listener = self._listening_now()
        given = [*args, *kwargs.values()]
        listener.enter(module, self._hearing.places.names.get(id(module), ""), given)
        if len(listener.running) == 1:
            self._hearing.given = {
                node: name
                for name, value in self._bound(module, args, kwargs).items()
                for node in listener.lineage.known([value])
            }
        if module in self.own:
            self._ask(module, args, kwargs)
        return args, kwargs

    def _leave(self, module: nn.Module, args: Any, *rest: Any) -> None:
        if active_recorder() is not self or len(rest) < 2 or torch._C._current_graph_task_id() != -1:  # noqa: SLF001
            return
        if type(module) is nn.TransformerEncoder:
            self._packing.leave()
        with torch._C.DisableTorchFunction():  # noqa: SLF001
            ended = self._left(module, args, *rest)
        if ended and self._passed is not None:
            self._passed()

    def _left(self, module: nn.Module, args: Any, *rest: Any) -> bool:
        """A module has ended; whether the whole pass has."""
        kwargs, output = rest
        if self._listener is not None:
            if self._packing.on and isinstance(module, nn.MultiheadAttention) and output is not None:
                self._packing.tell(self._listener, module, args, kwargs)
            self._listener.leave(module, [*args, *kwargs.values()], output)
            # What gives back what it was given, as without anything to attend to, has not attended.
            if module in self._attentions and not any(output is value for value in (*args, *kwargs.values())):
                self._ran.add(self._hearing.places.names.get(id(module), ""))
        if module in self._wholes or module in self._parts:
            return self._end(module, output)
        if self._open is None and self._listener is not None and not self._listener.running:
            if self._part is not None:
                self._account(self._part)
            self._listen(None)
        return False

    def _listening_now(self) -> Listener:
        """Whoever listens to the pass; a module that is called by itself begins one."""
        if self._listener is None:
            self._listen(self._new_listener())
        assert self._listener is not None  # noqa: S101 - it was just set
        return self._listener

    def _begin(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        if module in self._running and self._open is not None and _calls_itself(module):
            self._running.append(module)
            return kwargs
        if module in self._running and self._open is not None:
            self._running.clear()  # an interrupt ended the last pass, and no hook heard of it
            self.passes.remove(self._open)
            self._open = None
        if not self._running or self._open is None:
            self._part, self._running = None, []
            self._open = Pass(whole=module in self._wholes)
            self.passes.append(self._open)
            self._listen(self._new_listener())
        elif module in self._parts:
            self._running.append(module)
            return kwargs
        bound = self._bound(module, args, kwargs)
        # What a wrapper made of its inputs is what the model inside reads.
        self._open.inputs |= {name: value for name, value in bound.items() if value is not None}
        cache = cache_among(bound)
        if cache is not None and self._open.cache() is None:
            self._continue(self._open, cache)
            # A wrapper that brings keys where its caller gave none has learned them.
            self._open.learned = self._open.past if self._running else 0
        if not self._running:
            self._n_logits = int(self._last_logits)
            wanted = kwargs.get("logits_to_keep")
            if type(wanted) is int and wanted > 0 and self._unembeddings:
                # Some models then compute whole layers for these positions alone.
                kwargs = {name: value for name, value in kwargs.items() if name != "logits_to_keep"}
                self._n_logits = wanted
        self._running.append(module)
        return kwargs

    def _cut_logits(self, module: nn.Module, args: Any) -> Any:  # noqa: ARG002
        if active_recorder() is not self or self._open is None or not self._n_logits or len(args) != 1:
            return None
        (hidden,) = args
        if not isinstance(hidden, Tensor) or hidden.ndim != 3:
            return None
        with self.silence():
            return (hidden[:, -self._n_logits :],)

    def _end(self, module: nn.Module, output: Any) -> bool:
        if self._open is None or not self._running:
            return False
        if self._running.pop() is not module or self._running:
            return False
        ended, self._open = self._open, None
        self._account(ended)
        if not ended.n_queries:
            ended.n_queries = n_tokens(ended.inputs)
        if not ended.whole and not ended.counts:
            self.passes.remove(ended)
            return False
        if output is None:
            self.passes.remove(ended)  # the pass failed half-way: what it left is no map
            return False
        ended.logits = self._keeping.logits(module, ended, output)
        made = cache_among(output)
        if made is not None and ended.cache() is None:
            ended.cache = _reference(made)
        return ended.whole

    def _account(self, ended: Pass) -> None:
        """Say of everything that attended, and is not shown, why that is so."""
        listener = self._listener
        self._listen(None)
        ended.shared.clear()
        if listener is not None:
            for softmax in listener.end():
                # Over the second of four axes are classes of pixels, each by itself.
                if softmax.weights.ndim >= 4 and softmax.axis > 1 and softmax.module not in ended.missed:
                    self._hearing.spoke.add(softmax.module)
                    ended.missed[softmax.module] = described(softmax)
            if listener.trouble is not None:
                ended.missed[""] = f"listening failed: {listener.trouble!r}; what was computed after it may be missing"
        for name in sorted(self._ran):
            if name not in ended.missed and not any(related(name, other) for other in self._hearing.spoke):
                ended.missed[name] = "it ran, and neither a softmax nor a fused attention was heard in it"

    def _new_listener(self) -> Listener:
        self._ran = set()
        self._hearing.begin()
        return Listener(self._hear, self._batch, frozenset(self.own), self._held)

    def _listen(self, listener: Listener | None) -> None:
        """Begin to listen, or give the ear back to whoever listened before."""
        if listener is not None:
            before = set_listener(listener)
            self._listened_before = before if self._listener is None else self._listened_before
        elif self._listener is not None:
            set_listener(self._listened_before)
        self._listener = listener

    def _keep_inputs(self, module: nn.Module, args: Any, *rest: Any) -> None:
        if active_recorder() is self and self._open is not None and rest:
            self._open.encoder_inputs = self._bound(module, args, *rest)

    def _ask(self, module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        """Ask somebody's own function what a module attends with."""
        listener, who = self._listener, self._who(module)
        if listener is None:
            return
        try:
            with listener.silence(), torch.no_grad():
                said = self.own[module](module, *args, **kwargs)
                call = as_call(said, who, listener.masks)
        except Exception as error:  # noqa: BLE001 - raised when the pass is over: nothing of ours stops a model
            error.add_note(f"This came from asking what {who} attends with.")
            self._failure = self._failure or error
            return
        q, k = listener.lineage.of(said["q"]), listener.lineage.of(said["k"])
        with listener.silence():
            self._hear(Heard(call, tuple(listener.running), q, k))

    def _who(self, module: nn.Module) -> str:
        name, kind = self._hearing.places.names.get(id(module), ""), type(module).__name__
        article = "an" if kind[:1].lower() in "aeiou" else "a"
        return f"{name!r}, {article} {kind}," if name else f"{article} {kind}"

    def _bound(self, module: nn.Module, args: Any, kwargs: Any) -> dict[str, Any]:
        """Arguments of a forward call by name."""
        try:
            if module not in self._signatures:
                self._signatures[module] = inspect.signature(module.forward)
            bound = self._signatures[module].bind_partial(*args, **kwargs).arguments
        except (TypeError, ValueError):
            return dict(kwargs)  # the call itself will say what is wrong with it
        bound.pop("args", None)
        return {**bound.pop("kwargs", {}), **bound}

    # what is heard

    def _batch(self) -> int:
        current = self._open or self._part
        return 0 if current is None else batch_of(current.inputs, self.roots)

    def _hear(self, heard: Heard) -> Tensor | None:
        """Hand one attention on to the pass that it belongs to."""
        current, inner = self._open or self._part, heard.running[-1]
        again = current is not None and inner.name in {call.place.module for call in current.calls}
        if current is None or (self._open is None and again):
            # A part of the model is called by itself.
            self._part = current = Pass()
            self.passes.append(current)
        return self._hearing.hear(heard, current, with_grad=self._listening_now().with_grad)

    def _continue(self, current: Pass, cache: Any) -> None:
        """See whether a pass goes on where the one before it ended, as its cache tells."""
        current.past, current.cache = length_of(cache), _reference(cache)
        before = next((p for p in reversed(self.passes[:-1]) if p.whole and p.cache() is cache), None)
        # Tokens that were tried and refused are taken back before the next pass.
        current.before = before if before is not None and 0 < current.past <= before.length else None


def _calls_itself(module: nn.Module) -> bool:
    """Whether a module is being called while an earlier call of it still runs."""
    frame, found = sys._getframe(), 0  # noqa: SLF001
    while frame is not None:
        found += frame.f_code is nn.Module._call_impl.__code__ and frame.f_locals.get("self") is module  # noqa: SLF001
        frame = frame.f_back  # type: ignore[assignment]
    return found > 1


def _reference(cache: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(cache)
    except TypeError:
        return lambda: None
