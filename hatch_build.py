"""Build hook: builds the front end where it is absent, so that a wheel always carries it and never needs Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class FrontEndHook(BuildHookInterface[Any]):
    """Runs ``npm install`` and ``npm run build`` in js/ when a module is missing."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Make sure every module is in attnwidget/static."""
        root = Path(self.root)
        static = root / "attnwidget" / "static"
        modules = [f"{name}.js" for name in json.loads((root / "js" / "widgets.json").read_text())]
        if all((static / name).is_file() for name in modules):
            return
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError(
                f"{static} lacks {', '.join(modules)} and npm is not here to build them. Install Node.js 20 or later, "
                "or install attnwidget from a wheel, which carries them."
            )
        subprocess.run([npm, "install", "--no-save", "--no-audit", "--no-fund"], cwd=root / "js", check=True)
        subprocess.run([npm, "run", "build"], cwd=root / "js", check=True)
        still_missing = [name for name in modules if not (static / name).is_file()]
        if still_missing:
            raise RuntimeError(f"the front end was built and {', '.join(still_missing)} is still missing in {static}.")
