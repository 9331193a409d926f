"""Progress bars: shown where work is long, silent where they are not wanted, and gone afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import pytest
import tqdm.auto
import tqdm.notebook
from ipywidgets.widgets.widget import _instances

import attnwidget as aw
from attnwidget import measures
from attnwidget.measures import heads, maxflow, walk
from tests.make import projected

WORKS = {
    "summarize": aw.summarize,
    "rollout": measures.rollout,
    "attention_flow": measures.attention_flow,
    "head_clusters": measures.head_clusters,
    "diagnose": aw.diagnose,
}


def call_everything_long(patch):
    patch.setattr(walk, "LONG_WORK", 0)
    patch.setattr(heads, "FEW_HEADS", 0)
    patch.setattr(maxflow, "_seconds", lambda *_: 5.0)


@pytest.fixture(params=WORKS.values(), ids=WORKS)
def work(request, monkeypatch):
    """Work on maps of eight layers that counts as long."""
    call_everything_long(monkeypatch)
    return lambda **options: request.param(projected(layers=8), **options)


def test_is_shown_and_can_be_switched_off(work, capsys):
    work()
    assert capsys.readouterr().err
    work(progress=False)
    assert not capsys.readouterr().err


def test_leaves_nothing_on_the_line(work, capsys):
    work()
    *_, shown, rest = capsys.readouterr().err.split("\r")
    assert not shown.strip()
    assert not rest


def interrupted(*_args):
    raise KeyboardInterrupt


def test_leaves_nothing_on_the_line_after_an_exception(work, capsys, monkeypatch):
    monkeypatch.setattr(tqdm.auto.tqdm, "update", interrupted)
    with pytest.raises(KeyboardInterrupt) as kept:
        work()
    *_, shown, rest = capsys.readouterr().err.split("\r")
    assert not shown.strip()
    assert not rest
    assert kept.tb  # until here the frames of the exception are held, as a notebook holds them


@pytest.mark.parametrize("interrupt", [False, True])
def test_leaves_nothing_in_a_notebook(work, interrupt, monkeypatch):
    bars = []

    class Bar(tqdm.notebook.tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            bars.append(self)

        if interrupt:
            update = interrupted

    monkeypatch.setattr("attnwidget.progress.tqdm", Bar)
    with pytest.raises(KeyboardInterrupt) if interrupt else nullcontext():
        work()
    assert {bar.container.comm for bar in bars} == {None}  # ipywidgets' sign of a closed widget


def test_is_text_in_colab(work, monkeypatch, capsys):
    monkeypatch.setattr("attnwidget.progress.tqdm", tqdm.notebook.tqdm)
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    before = set(_instances)
    work()
    assert not set(_instances) - before
    assert capsys.readouterr().err


def run_everything():
    with pytest.MonkeyPatch.context() as patch:
        call_everything_long(patch)
        for work in WORKS.values():
            work(projected(layers=8))


@pytest.mark.parametrize("disabled", ["", "1"])
def test_the_environment_can_switch_all_of_them_off(disabled):
    done = subprocess.run(
        [sys.executable, "-c", "from tests.test_progress import run_everything; run_everything()"],
        cwd=Path(__file__).parent.parent,
        env=os.environ | {"TQDM_DISABLE": disabled},
        capture_output=True,
        text=True,
        check=True,
    )
    assert bool(done.stderr) == (not disabled)
