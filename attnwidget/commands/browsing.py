"""Browsing: a page opened in the browser of whoever sits here."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path

__all__ = ["open_page"]


def open_page(path: Path) -> bool:
    """Open a page in a browser with a window; whether there is one."""
    windowless = sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if windowless and "BROWSER" not in os.environ:  # what is found there would take over the terminal
        return False
    try:
        return webbrowser.open(path.resolve().as_uri())
    except webbrowser.Error:
        return False
