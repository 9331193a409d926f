"""A crash loses nothing that was written, a full disk ends no training, and a file of something else is refused."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.intake import AttentionWarning
from attnwidget.training import AttentionMonitor, History, Reading, writing
from tests.training.small import PROBE, gpt2, t5

CUT = '{"format": 1, "step": 3, "numb'


def monitored(path, steps, model=None, **how):
    monitor = AttentionMonitor(model or gpt2(), PROBE, every=1, path=path, **how)
    for step in steps:
        monitor.step(step, loss=1.5)
    return monitor


def test_they_are_names_of_the_package():
    assert aw.AttentionMonitor is AttentionMonitor
    assert aw.History is History


def test_a_file_goes_on_after_a_crash_in_the_middle_of_a_line(tmp_path):
    path = tmp_path / "a.jsonl"
    before = monitored(path, range(3))
    with path.open("a") as file:
        file.write(CUT)
    assert History.load(path).steps == [0, 1, 2]
    again = monitored(path, range(2, 5))  # a resumed run may begin a little before
    assert again.history.steps == History.load(path).steps == [0, 1, 2, 3, 4]
    assert History.load(path)[0].logged == {"loss": 1.5}
    one = History.load(path).curve("entropy", layer=1, head=1)
    np.testing.assert_allclose(one[0], before.history[0].numbers["attention"]["entropy"][1, 1], rtol=1e-5)
    assert list(History.load(path).to_frame().index.names) == ["step", "map", "layer", "head"]


def test_a_last_line_that_is_whole_and_lacks_its_end_is_kept(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, range(2))
    path.write_bytes(path.read_bytes().rstrip())
    monitored(path, [2])
    assert History.load(path).steps == [0, 1, 2]


def test_a_run_that_counts_by_itself_goes_on_from_the_last_step(tmp_path):
    path, model = tmp_path / "a.jsonl", gpt2()
    for _ in range(2):
        monitor = AttentionMonitor(model, PROBE, every=4, path=path)
        for _ in range(9):
            monitor.step()
    assert History.load(path).steps == [0, 4, 8, 9, 12, 16]  # the first call is always read


KILLED = """
import os, signal
from tests.training.small import PROBE, gpt2
from attnwidget.training import AttentionMonitor
monitor = AttentionMonitor(gpt2(), PROBE, every=1, path={path!r})
for step in range(5):
    monitor.step(step)
    if step == 3:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_is_killed_loses_nothing_that_was_read(tmp_path):
    path = tmp_path / "a.jsonl"
    root = Path(__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", KILLED.format(path=str(path))], cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    assert History.load(path).steps == [0, 1, 2, 3]


def test_a_full_disk_ends_no_training_and_loses_no_reading(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    full, flushed = False, os.fsync

    def fsync(descriptor):
        if full:  # half of the line arrived
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - 100)
            raise OSError(28, "No space left on device")
        flushed(descriptor)

    monkeypatch.setattr(writing.os, "fsync", fsync)
    monitor = monitored(path, range(2))
    full = True
    with pytest.warns(AttentionWarning, match=r"No space left on device.*Training goes on.*history.save") as said:
        monitor.step(2)
    assert len(said) == 1
    monitor.step(3)  # told once
    assert monitor.history.steps == [0, 1, 2, 3]
    assert History.load(path).steps == [0, 1, 2]  # of two lines that were tried the second was cut off
    assert History.load(monitor.history.save(tmp_path / "b.jsonl")).steps == [0, 1, 2, 3]
    full = False
    monitor.step(4)
    assert History.load(path).steps == [0, 1, 2, 3, 4]


def test_two_monitors_of_one_file_do_not_write_over_each_other(tmp_path):
    path = tmp_path / "a.jsonl"
    one, other = (AttentionMonitor(gpt2(), PROBE, every=1, path=path) for _ in range(2))
    one.step(0)
    with pytest.warns(AttentionWarning, match="somebody else writes to it too"):
        other.step(0)
    one.step(1)
    assert History.load(path).steps == [0, 1]


def test_a_history_of_another_models_shape_is_not_gone_on_with(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, range(2))
    held = path.read_bytes()
    why = (
        r"of another model: it holds attention of 2 layers x 2 heads, and this one has attention of 4 layers x 4 heads"
    )
    with pytest.raises(ValueError, match=why):
        monitored(path, [2], gpt2(layers=4, heads=4))
    with pytest.raises(ValueError, match="this one has encoder of 2 layers x 4 heads, decoder"):
        AttentionMonitor(t5(), {"input_ids": PROBE, "labels": PROBE}, path=path).step(2)
    assert path.read_bytes() == held


def test_a_file_of_something_else_is_refused_and_left(tmp_path):
    path = tmp_path / "a.jsonl"
    for held in (b'{"loss": 1}\n{"loss": 2}\n', b"\x80\x81 no text\n", b"step,loss\n1,2\n", b"[1, 2]\n"):
        path.write_bytes(held)
        with pytest.raises(ValueError, match=r"line 1 of .* is no reading"):
            AttentionMonitor(gpt2(), PROBE, path=path)
        assert path.read_bytes() == held
    with pytest.raises(FileNotFoundError, match="AttentionMonitor wrote"):
        History.load(tmp_path / "none.jsonl")
    with pytest.raises(IsADirectoryError, match=r"as attention.jsonl"):
        AttentionMonitor(gpt2(), PROBE, path=tmp_path)


def test_a_line_in_the_middle_that_is_damaged_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, range(3))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[1][:50] + "\n", lines[2]]))
    with pytest.raises(ValueError, match="line 2 of"):
        History.load(path)


def test_numbers_that_json_does_not_know_come_back(tmp_path):
    numbers = {"attention": {"score_max": np.array([[math.inf, -math.inf], [math.nan, 1.5]])}}
    history = History([Reading(7, numbers, logged={"loss": math.nan, "norm": math.inf})])
    (back,) = History.load(history.save(tmp_path / "a.jsonl"))
    np.testing.assert_array_equal(back.numbers["attention"]["score_max"], numbers["attention"]["score_max"])
    assert math.isnan(back.logged["loss"])
    assert back.logged["norm"] == math.inf
    assert back.findings is None
    json.loads(history[0].line(), parse_constant=pytest.fail)


def test_curves_say_what_there_is():
    history = monitored(None, range(2)).history
    with pytest.raises(KeyError, match="no reading has 'entropie'; there are"):
        history.curve("entropie", layer=0, head=0)
    with pytest.raises(KeyError, match="no reading has maps named 'cross'; there are attention"):
        history.curve("entropy", layer=0, head=0, map="cross")
    with pytest.raises(IndexError, match=r"no head 2.0"):
        history.curve("entropy", layer=2, head=0)


@pytest.mark.parametrize(
    ("probe", "error", "why"),
    [
        (torch.zeros(1, 100, dtype=torch.long), ValueError, "100 tokens long and the model has positions for 64"),
        (torch.zeros(1, 0, dtype=torch.long), ValueError, "the text is empty"),
        (torch.tensor([[60]]), ValueError, "ids of another model's tokenizer|of another"),
        ({}, ValueError, "the probe is empty"),
        ([], ValueError, "the probe is empty"),
        (None, ValueError, "the probe is empty"),
        ("a text", ValueError, "no tokenizer came with it"),
        (3, TypeError, "inputs is int"),
    ],
)
def test_a_probe_that_cannot_be_read_is_told_before_training(probe, error, why):
    with pytest.raises(error, match=why):
        AttentionMonitor(gpt2(), probe)


@pytest.mark.filterwarnings("ignore:attention. the queries")
def test_a_stopped_training_has_its_checkpoint_and_its_reason_in_the_file(tmp_path):
    path, order = tmp_path / "a.jsonl", []
    model = gpt2()
    monitor = AttentionMonitor(
        model, PROBE, every=1, path=path, stop_on="nan", save=lambda: order.append("saved"),
        on_alert=lambda alert: order.append(History.load(path)[-1].alerts[0].split(":")[0]),
    )  # fmt: skip
    assert not monitor.step(0)
    with torch.no_grad():
        model.transformer.h[0].attn.c_attn.weight[0] = torch.nan
    assert monitor.step(1)
    assert monitor.step(2)
    assert order == ["nan", "saved"]  # the reading was on the disk before
    assert monitor.stopped.rule == "nan"
    assert "their weights hold NaN" in monitor.stopped.why
    again = AttentionMonitor(model, PROBE, every=1, path=path, stop_on="nan", on_alert=lambda alert: None)
    assert again.step(3)  # what stood before a crash stands after it
