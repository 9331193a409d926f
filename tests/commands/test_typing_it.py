"""What somebody meets who types `attnwidget`: help, usage, versions, and how soon."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import attnwidget as package
from tests.commands.conftest import STORY

COMMANDS = ["view", "figure", "diagnose", "measure", "survey", "demo"]


def test_the_help_names_every_command(attnwidget):
    ended = attnwidget("--help")
    assert ended.code == 0
    assert all(re.search(rf"^  {command} ", ended.out, re.MULTILINE) for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_has_an_example_that_can_be_typed(attnwidget, command):
    ended = attnwidget(command, "--help")
    assert ended.code == 0
    assert re.search(rf"Examples:\n(.*\n)*?    .*attnwidget {command}", ended.out)
    assert all(len(line) <= 120 for line in ended.out.split("\n"))


def test_help_and_version_import_nothing_heavy():
    code = (
        "import sys\n"
        "from attnwidget.commands import main\n"
        "assert main(['--help']) == main(['measure', '--help']) == main(['--version']) == 0\n"
        "heavy = {'torch', 'transformers', 'matplotlib', 'numpy', 'pandas', 'tqdm', 'pyarrow', 'dask', 'rich'}\n"
        "print('imported:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("imported: []\n")


def test_the_version_is_the_package_s(attnwidget):
    assert attnwidget("--version") == (0, f"attnwidget {package.__version__}\n", "")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["viw"], "No such command 'viw'"),
        (["diagnose"], "Missing argument 'MODEL'"),
        (["diagnose", "storyteller"], "Missing argument 'TEXT'"),
        (["view", "storyteller", STORY], "Missing option"),
        (["diagnose", "storyteller", STORY, "--nix"], "No such option"),
        (["diagnose", "storyteller", STORY, "--prefix", "0"], "Invalid value for '--prefix'"),
        (["diagnose", "storyteller", STORY, "--dtype", "int8"], "--dtype int8 is not known; expected float32"),
        (["diagnose", "storyteller", STORY, "--device", "tpu9"], "--device tpu9 is not known; expected cpu"),
        (["view", "storyteller", STORY, "-o", "page.pdf"], "'page.pdf' does not end in .html"),
        (["view", "storyteller", STORY, "-o", "nix/page.html"], "there is no folder nix; make it first"),
        (["figure", "storyteller", STORY, "-o", "head.gif"], "'head.gif' does not end in .svg, .pdf or .png"),
        (["figure", "storyteller", STORY, "-o", "head.svg", "--head", "two"], "expected the number of a head"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(attnwidget, typed, said):
    ended = attnwidget(*typed)
    assert ended.code == 2
    assert not ended.out
    assert said in ended.err
    assert ended.err.startswith("attnwidget: ")
    assert ended.err.count("\n") == 1


def test_nothing_typed_shows_the_help_as_wrong_usage(attnwidget):
    ended = attnwidget()
    assert ended.code == 2
    assert not ended.out
    assert "diagnose" in ended.err


def test_no_colour_and_no_bar_where_there_is_no_terminal(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "attnwidget", "measure", "storyteller", "-", "-o", "t.csv"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"} | {"FORCE_COLOR": "1"},
        input=f"{STORY}\n" * 3,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    assert done.stderr == "attnwidget: t.csv: 48 rows, of 3 texts.\n"
