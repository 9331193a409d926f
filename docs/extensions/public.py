"""Which names are public, by the lists of the package itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import attnwidget as aw

MODULES = [name for name in aw.__all__ if inspect.ismodule(getattr(aw, name))]


def public_names() -> list[str]:
    """Full names of everything public; one that two modules give is named where it is shortest."""
    seen: dict[int, str] = {}
    for full, thing in _listed():
        seen.setdefault(id(thing), full)
    return list(seen.values())


def _listed() -> Iterator[tuple[str, object]]:
    for name in aw.__all__:
        if name not in MODULES:
            yield f"attnwidget.{name}", getattr(aw, name)
    for module in MODULES:
        for name in getattr(aw, module).__all__:
            yield f"attnwidget.{module}.{name}", getattr(getattr(aw, module), name)
