"""Which names are public, by the lists of the package itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from sphinx.application import Sphinx
from traitlets import TraitType

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


def skip_foreign(app: Sphinx, what: str, name: str, obj: Any, *_: Any) -> bool | None:  # noqa: ARG001
    """Leave out what a class has from elsewhere, and traits, which its docstring lists."""
    made = getattr(obj, "fget", None) or getattr(obj, "func", None) or getattr(obj, "__func__", obj)
    ours = str(getattr(made, "__module__", "attnwidget")).startswith("attnwidget")
    return True if not ours or isinstance(obj, TraitType) else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.connect("autodoc-skip-member", skip_foreign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
