"""Looks: which modules look as if they computed attention, so that one that was not heard can be named."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from attnwidget.capturing.softmaxes import heads_of

__all__ = ["attentions_in", "n_attentions", "related"]


def related(one: str, other: str) -> bool:
    """Whether one module is, or holds, or is in the other."""
    return one == other or not one or not other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def n_attentions(model: nn.Module) -> int | None:
    """How many modules of a model compute attention, as far as their names tell; None where none does."""
    return len(attentions_in(model, ())) or None


def attentions_in(model: nn.Module, roots: Sequence[nn.Module]) -> set[nn.Module]:
    """Modules that look as if they computed attention, and hold no other that does.

    By their name and, outside of transformers, where names mean little, by knowing a number of heads.
    """
    inside = {part for root in roots for part in root.modules()}
    found: set[nn.Module] = set()
    for module in reversed(list(model.modules())):  # parts before wholes
        named = type(module).__name__.endswith("Attention")
        if (named or (module not in inside and _knows_heads(module))) and not any(
            part in found for part in module.modules()
        ):
            found.add(module)
    return found


def _knows_heads(module: nn.Module) -> bool:
    tables = [p for child in module.children() for p in child.parameters(recurse=False)]
    return heads_of(module) is not None and any(p.ndim >= 2 for p in [*tables, *module.parameters(recurse=False)])
