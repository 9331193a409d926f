"""Overhearing: each attention of a pass told while it runs, for whoever wants a number of it and no maps."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.attending import visible_in
from attnwidget.capturing.calls import Call, Place
from attnwidget.capturing.changes import Attended, changes, changing
from attnwidget.capturing.keep import Keep
from attnwidget.capturing.keeping import generates
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.recorder import Recorder, active_recorder, listening_as
from attnwidget.capturing.registry import of_this_thread, switched, transformers_in
from attnwidget.capturing.transformers_names import logits_of
from attnwidget.intake import AttentionWarning

__all__ = ["Overhearing"]

Tell = Callable[[int, Call], None]
Run = Callable[[Callable[[], Any], Tell], None]


class Overhearing:
    """Tells of the attention of passes, layer by layer, and keeps nothing of them.

    To listen to a model whole takes as long as many a pass. Where transformers' attention function is all there is to
    hear, which one pass shows, nothing else is listened to afterwards.

    Parameters
    ----------
    model : nn.Module
        The model.

    Attributes
    ----------
    places : tuple of Place
        Where each layer is in the model.
    heads : tuple of int
        How many heads it has.
    scored : tuple of bool
        Whether the scores of a layer are known.
    causal : bool
        Whether no query sees a later key.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.places: tuple[Place, ...] = ()
        self.heads: tuple[int, ...] = ()
        self.scored: tuple[bool, ...] = ()
        self.causal = False
        self._quickly = False

    def learn(self, forward: Callable[[], Any]) -> None:
        """Learn from a pass what attends, and whether any query sees a later key, before anything is told.

        Parameters
        ----------
        forward : callable
            Runs the model on one text of two tokens or more: one token has no order, and no distance to any.

        Raises
        ------
        ValueError
            When nothing is heard, or several stacks of layers attend, so that they are no one map.

        Warns
        -----
        AttentionWarning
            When something attended that is not heard.
        """
        whole: list[tuple[nn.Module, Place, int, bool]] = []
        causal = True

        def heard(module: nn.Module, call: Call) -> None:
            nonlocal causal
            whole.append((module, call.place, call.n_heads, isinstance(call, Projections)))
            seen = visible_in(call, slice(0, call.n_queries))
            causal = causal and not bool(seen.triu(1 + call.n_keys - call.n_queries).any())

        missed = self._listen(forward, heard)
        own = {(place.stack, place.tail, place.crossing, place.turn) for _, place, *_ in whole}
        name = type(self.model).__name__
        if not whole:
            raise ValueError(
                f"{name} ran, and no attention was heard in it. "
                + " ".join(f"{where}: {why}." for where, why in missed)
            )
        if len(own) > 1:
            stacks = ", ".join(sorted({repr(f"{stack}.{tail}".strip(".")) for stack, tail, *_ in own}))
            raise ValueError(
                f"{name} attends in several stacks of layers, {stacks}, and a survey is of one; pass one of the "
                "modules inside it, as model.get_encoder()."
            )
        if missed:
            warnings.warn(
                f"not all attention of {name} is heard. " + " ".join(f"{where}: {why}." for where, why in missed),
                AttentionWarning,
                stacklevel=2,
            )
        quick: list[nn.Module] = []
        function = _Function(self.model)
        function.heard = lambda module, _call: quick.append(module)
        with switched(self.model, function), torch.no_grad():
            forward()
        self._quickly = quick == [module for module, *_ in whole]
        self.causal = causal
        _, self.places, self.heads, self.scored = (tuple(column) for column in zip(*whole, strict=True))

    @contextmanager
    def passes(self) -> Iterator[Run]:
        """Listen to several passes: to begin takes as long as a short one.

        Yields
        ------
        callable
            Runs a pass, and tells of each attention: which layer it is, from 0, and the call. Raises what was raised
            where it was told, when the pass is over, and ValueError where a pass attends otherwise than the first.
        """
        # What others make of attention meanwhile is seen by whoever listens whole.
        function = _Function(self.model) if self._quickly and not changes() else None

        def run(forward: Callable[[], Any], tell: Tell) -> None:
            telling = _Telling(tell, len(self.places))
            if function is None:
                self._listen(forward, telling)
            else:
                function.heard = telling
                with torch.no_grad():
                    forward()
            telling.check()

        with nullcontext() if function is None else switched(self.model, function):
            yield run

    def _listen(self, forward: Callable[[], Any], heard: Callable[[nn.Module, Call], None]) -> list[tuple[str, str]]:
        """Listen to all that runs; gives what attended and was not heard, and why."""
        recorder = Recorder(
            self.model, transformers_in(self.model), Keep(frozenset(), logits="none"), last_logits=True
        )  # fmt: skip

        def change(attended: Attended) -> None:
            heard(attended.module, attended.call)

        with switched(self.model, recorder), changing(change), torch.no_grad():
            forward()
        if recorder.failure is not None:
            raise recorder.failure
        return [(name, why) for one in recorder.passes for name, why in one.missed.items()]


class _Telling:
    """Tells of each attention of a pass in turn; nothing that is raised there stops the model."""

    def __init__(self, tell: Tell, expected: int) -> None:
        self._tell, self._expected, self._told = tell, expected, 0
        self._raised: Exception | None = None

    def __call__(self, _module: nn.Module, call: Call) -> None:
        if self._raised is None and self._told < self._expected:
            try:
                self._tell(self._told, call)
            except Exception as error:  # noqa: BLE001 - raised when the pass is over
                self._raised = error
        self._told += 1

    def check(self) -> None:
        """Raise what was raised, or that the pass was another than was expected."""
        if self._raised is not None:
            raise self._raised
        if self._told != self._expected:
            raise ValueError(f"{self._told} attentions were heard in this pass, and {self._expected} in the first.")


class _Function:
    """Attending what the attention function says, of the modules of one model."""

    def __init__(self, model: nn.Module) -> None:
        self._modules = set(model.modules())
        self.heard: Callable[[nn.Module, Call], None] = lambda _module, _call: None
        # Of logits, which nobody reads, those of one position do.
        self._unembeddings = [
            head for root in transformers_in(model) if generates(root) and (head := logits_of(root)) is not None
        ]

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen in this thread until the block ends."""
        hooks = [head.register_forward_pre_hook(of_this_thread(self._cut)) for head in self._unembeddings]
        try:
            with listening_as(self):
                yield
        finally:
            for hook in hooks:
                hook.remove()

    def silence(self) -> AbstractContextManager[None]:
        """Nothing else is heard anyway."""
        return nullcontext()

    def attended(
        self, module: nn.Module, call: Projections | str, output: Tensor, query: Tensor, key: Tensor
    ) -> Tensor:
        """A call was computed."""
        del query, key  # the call has them
        if module in self._modules and isinstance(call, Projections):
            self.heard(module, call)
        return output

    def _cut(self, _module: nn.Module, args: Any) -> Any:
        if active_recorder() is self and len(args) == 1 and isinstance(args[0], Tensor) and args[0].ndim == 3:
            return (args[0][:, -1:],)
        return None
