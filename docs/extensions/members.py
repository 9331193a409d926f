"""Which members of a class its reference shows: those of this package."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx
from traitlets import TraitType


def skip_foreign(app: Sphinx, what: str, name: str, obj: Any, *_: Any) -> bool | None:  # noqa: ARG001
    """Leave out what a class has from elsewhere, and traits, which its docstring lists."""
    made = getattr(obj, "fget", None) or getattr(obj, "func", None) or getattr(obj, "__func__", obj)
    ours = str(getattr(made, "__module__", "attnwidget")).startswith("attnwidget")
    return True if not ours or isinstance(obj, TraitType) else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.connect("autodoc-skip-member", skip_foreign)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
