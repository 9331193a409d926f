"""Resuming: a pass of a model gone through again from one of its blocks on, without what was done before it.

Whatever ended before a block began cannot depend on what is changed in that block. So one whole pass is run, what each
block gave is kept, and in a later pass the blocks that were done by then give it back without being computed. Nothing
is read from names: blocks are the elements of the model's lists of modules, their order is the one in which they ran,
and that a resumed pass says the same is checked by its numbers.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.effects.stopping import is_out_of_memory

__all__ = ["Resumable"]

ROUNDING = 16  # units in the last place of the largest number, where kernels are not the same from call to call


class Resumable:
    """A pass of a model that can be gone through again from any of its blocks on.

    Parameters
    ----------
    model : nn.Module
        In eval mode, as long as this is used.

    Examples
    --------
    >>> resumable = Resumable(model)
    >>> whole = resumable.run(lambda: model(**inputs, use_cache=False).logits)
    >>> with resumable.resumed(model.transformer.h[5].attn.c_proj):  # blocks 0 to 4 give what they gave
    ...     logits = model(**inputs, use_cache=False).logits
    """

    def __init__(self, model: nn.Module) -> None:
        self._block_of = _blocks(model)
        self._call: Callable[[], Tensor] | None = None
        self._said = torch.empty(0)
        self._gave: dict[nn.Module, Any] = {}
        self._done_before: dict[nn.Module, list[nn.Module]] = {}
        self._holds: dict[nn.Module, bool] = {}

    def run(self, call: Callable[[], Tensor]) -> Tensor:
        """Run a whole pass, and keep what each block gave.

        Parameters
        ----------
        call : callable
            Runs the model once and returns what counts of its output, as its logits. Without a cache: a block that is
            not computed would not fill it.

        Returns
        -------
        Tensor
            What ``call`` returned.
        """
        runs: Counter[nn.Module] = Counter()
        done: list[nn.Module] = []
        self._gave, self._done_before = {}, {}

        def keeping(block: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
            def keep(*args: Any, **kwargs: Any) -> Any:
                runs[block] += 1
                self._done_before[block] = list(done)
                gives = forward(*args, **kwargs)
                self._gave[block] = _copy(gives)
                done.append(block)
                return gives

            return keep

        with ExitStack() as stack:
            for block in set(self._block_of.values()):
                stack.enter_context(_forward(block, partial(keeping, block)))
            self._call, self._said = call, call()
        for block, count in runs.items():
            if count > 1:  # shared by several layers: which of its answers is asked for is not known
                self._gave.pop(block)
        return self._said

    @contextmanager
    def resumed(self, module: nn.Module) -> Iterator[None]:
        """Do without the blocks that were done before the one that a module is in; without any where that is unsure.

        The first time for each block, a pass in which nothing was changed must say what the whole one said.

        Parameters
        ----------
        module : nn.Module
            What is going to be changed, a block or a part of one. All else that is changed must run after it began.
        """
        block = self._block_of.get(module)
        if block is None or block not in self._gave:
            yield
            return
        if block not in self._holds:
            self._holds[block] = self._check(block)
        with self._held(block) if self._holds[block] else ExitStack():
            yield

    @contextmanager
    def _held(self, block: nn.Module) -> Iterator[None]:
        with ExitStack() as stack:
            for one in self._done_before[block]:
                if one in self._gave:
                    stack.enter_context(_forward(one, partial(_giving, self._gave[one])))
            yield

    def _check(self, block: nn.Module) -> bool:
        """Whether a pass resumed at a block says what the whole one said."""
        if self._call is None or not self._done_before[block]:
            return False
        try:
            with self._held(block):
                said = self._call()
        except Exception as raised:
            if is_out_of_memory(raised):
                raise
            return False  # a later block needs more of an earlier one than what it gave
        if said.shape != self._said.shape:
            return False
        finite = self._said.isfinite()
        if not torch.equal(said[~finite].nan_to_num(), self._said[~finite].nan_to_num()):
            return False
        if not bool(finite.any()):
            return True
        off, size = (said - self._said)[finite].abs().max(), self._said[finite].abs().max()
        return bool(off <= ROUNDING * torch.finfo(said.dtype).eps * size)


def _blocks(model: nn.Module) -> dict[nn.Module, nn.Module]:
    """The block that each module is in: an element of an outermost list of modules, which shares weights with none."""
    lists = [one for one in model.modules() if isinstance(one, nn.ModuleList)]
    inner = {part for one in lists for block in one for part in block.modules()}
    blocks = [block for one in lists if one not in inner for block in one]
    weighty = Counter(part for block in blocks for part in block.modules() if part._parameters)  # noqa: SLF001
    return {
        part: block
        for block in blocks
        if all(weighty[each] <= 1 for each in block.modules())
        for part in block.modules()
    }


class _Dispatch:
    """The ``forward`` of a module while somebody else's stands for it in some threads: each has its own."""

    def __init__(self, module: nn.Module) -> None:
        self.own, self.forward = vars(module).get("forward"), module.forward
        self.by_thread: dict[int, list[Callable[..., Any]]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run whatever stands for it in this thread."""
        mine = self.by_thread.get(threading.get_ident())
        return (mine[-1] if mine else self.forward)(*args, **kwargs)


_lock = threading.Lock()
_dispatches: dict[nn.Module, _Dispatch] = {}


@contextmanager
def _forward(module: nn.Module, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Give a module another ``forward`` in this thread, made of the one it has; in the end it has that again."""
    own = threading.get_ident()
    with _lock:
        dispatch = _dispatches.get(module) or _dispatches.setdefault(module, _Dispatch(module))
        mine = dispatch.by_thread.setdefault(own, [])
        mine.append(make(mine[-1] if mine else dispatch.forward))
        module.forward = dispatch
    try:
        yield
    finally:
        with _lock:
            dispatch.by_thread[own].pop()
            if not dispatch.by_thread[own]:
                del dispatch.by_thread[own]
            if not dispatch.by_thread:
                del _dispatches[module]
                if dispatch.own is None:
                    del module.forward
                else:
                    module.forward = dispatch.own


def _giving(gave: Any, _forward: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *_args, **_kwargs: _copy(gave)


def _copy(value: Any) -> Any:
    """What a block gave, so that whoever goes on from it cannot change what is kept."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_copy, value))
    if isinstance(value, tuple | list):
        return type(value)(map(_copy, value))
    return value
