"""Module: the front end as it was built, for hosts that import it and for pages that carry it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

__all__ = ["front_end", "inline_module", "opening_call"]

_STATIC = Path(__file__).parent.parent / "static"
_EXPORTS = "export default "


def front_end(name: str) -> str | Path:
    """What a host imports: the text of a widget's module.

    Raises
    ------
    ImportError
        When it was not built.
    """
    path = _path(name)
    # As a path the module is reloaded when it changes, and keeps every closed widget alive: for development only.
    return path if os.environ.get("ANYWIDGET_HMR") else path.read_text(encoding="utf-8")


@cache
def inline_module(name: str) -> str:
    """The same for a script inside a page, where nothing can be imported: without its last line, which exports."""
    text = _path(name).read_text(encoding="utf-8").rstrip()
    body, _, last = text.rpartition("\n")
    if not last.startswith(_EXPORTS) or "</script" in text.lower() or "<!--" in text:
        raise ImportError(f"the front end {_path(name)} is not as it should be built; run `npm run build` in js/.")
    return body


def opening_call(name: str) -> str:
    """The line that brings the places of a page to life."""
    last = _path(name).read_text(encoding="utf-8").rstrip().rpartition("\n")[2]
    return f"{last.removeprefix(_EXPORTS).removesuffix(';')}.openPage(document);"


def _path(name: str) -> Path:
    path = _STATIC / f"{name}.js"
    if not path.is_file():
        raise ImportError(
            f"the front end is missing: {path} does not exist. In a checkout, run `make setup` (it needs Node.js "
            "20 or later); an installed wheel always carries it."
        )
    return path
