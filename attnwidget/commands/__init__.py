"""The command `attnwidget`: the package without a notebook.

One file a command: `view`, `figure`, `diagnose`, `measure`, `survey`, `demo`. They import what is heavy when they run,
so that help is there at once.
"""

from __future__ import annotations

from attnwidget.commands.app import app, main

__all__ = ["app", "main"]
