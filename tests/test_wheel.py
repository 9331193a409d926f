"""What is in the wheel is what people get: it must be whole, and must need no Node."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # Without Node on the path: the front end is there, so the build hook has nothing to do.
    environment = os.environ | {"PATH": str(Path(sys.executable).parent)}
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
            *("--wheel-dir", str(folder), str(ROOT)),
        ],
        check=True,
        env=environment,
        capture_output=True,
    )
    return next(folder.glob("attnwidget-*.whl"))


def test_holds_everything_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        "attnwidget/static/explorer.js",
        "attnwidget/py.typed",
        "attnwidget/demo/storyteller/model.safetensors",
        "attnwidget/demo/storyteller/tokenizer.json",
        "attnwidget/demo/reader/model.safetensors",
        "attnwidget/demo/translator/model.safetensors",
        "attnwidget/demo/translator/tokenizer.json",
        "attnwidget/demo/digits/model.safetensors",
        "attnwidget/demo/digits/preprocessor_config.json",
        "attnwidget/demo/digits/images.npz",
        "attnwidget/widget/explorer.py",
        "attnwidget/commands/app.py",
    } <= names
    assert {name.split("/")[0] for name in names} == {"attnwidget", "attnwidget-0.1.0.dist-info"}
    assert not [name for name in names if name.endswith((".map", ".pyc", ".ts", ".tsx"))]
    assert wheel.stat().st_size < 5 * 2**20


def test_works_where_there_is_no_checkout_and_no_node(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "import attnwidget as aw\n"
        "view = aw.explore('Lily and Ben went to the park . Lily gave the ball to', layer=1)\n"
        "print(aw.__file__, view)"
    )
    environment = {"PATH": "", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert str(tmp_path) in out.stdout
    assert "4 layers x 4 heads, 14 queries x 14 keys" in out.stdout


def test_brings_the_command(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
        scripts = archive.read("attnwidget-0.1.0.dist-info/entry_points.txt").decode()
    assert "attnwidget = attnwidget.commands:main" in scripts
    environment = {"PATH": "", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    out = subprocess.run(
        [sys.executable, "-m", "attnwidget", "demo"], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    page = tmp_path / "attnwidget-demo.html"
    assert f"open {page} in a browser" in out.stderr
    assert page.stat().st_size > 100_000
