"""What the reference shows of a class: the members of this package, and how it is made."""

from __future__ import annotations

import inspect
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.inspect import stringify_signature
from traitlets import TraitType


def skip_foreign(app: Sphinx, what: str, name: str, obj: Any, *_: Any) -> bool | None:  # noqa: ARG001
    """Leave out what a class has from elsewhere, and traits, which its docstring lists."""
    made = getattr(obj, "fget", None) or getattr(obj, "func", None) or getattr(obj, "__func__", obj)
    ours = str(getattr(made, "__module__", "attnwidget")).startswith("attnwidget")
    return True if not ours or isinstance(obj, TraitType) else None


def own_signature(app: Sphinx, what: str, name: str, obj: Any, *_: Any) -> tuple[str, None] | None:  # noqa: ARG001
    """What a class of ours takes, where a class above it says ``*args``."""
    made = obj.__init__ if what == "class" else None
    if not str(getattr(made, "__module__", "")).startswith("attnwidget"):
        return None
    signature = inspect.signature(made)
    _, *taken = signature.parameters.values()
    return stringify_signature(signature.replace(parameters=taken), show_annotation=False), None


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("autodoc-process-signature", own_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
