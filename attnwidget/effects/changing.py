"""Changing: what heads put out is replaced by something else while a model runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from attnwidget.capturing.projecting import Projection
from attnwidget.capturing.registry import of_this_thread, uncompiled

__all__ = ["changed"]


@contextmanager
def changed(
    model: nn.Module, projections: Sequence[Projection], change: Callable[[int, Tensor], Tensor | None]
) -> Iterator[None]:
    """Change what heads put out while a model runs in this thread.

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
        stack.enter_context(uncompiled())
        stack.callback(model.register_forward_pre_hook(of_this_thread(begin)).remove)
        for module in {one.module for one in projections}:
            stack.callback(module.register_forward_pre_hook(of_this_thread(enter)).remove)
        yield
