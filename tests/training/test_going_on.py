"""A monitor says what it does not read, tells what it was asked to tell, and can be copied."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch

import attnwidget as aw
from attnwidget.intake import AttentionWarning
from attnwidget.training import AttentionMonitor, History
from tests.training.small import PROBE, gpt2, t5

pytestmark = pytest.mark.filterwarnings("ignore:attention. the queries")


def broken(model):
    with torch.no_grad():
        model.transformer.h[0].attn.c_attn.weight[0] = torch.nan


def test_steps_that_begin_anew_at_each_epoch_are_said_once():
    monitor = AttentionMonitor(gpt2(), PROBE, every=2)
    for step in range(4):
        monitor.step(step)
    with pytest.warns(AttentionWarning, match=r"step 0 came after step 3.*not read.*goes on.*step\(\)"):
        monitor.step(0)
    for step in (1, 2, 3, 0, 1, 2, 3):  # said once
        monitor.step(step)
    assert monitor.history.steps == [0, 2]
    monitor.step(4)
    assert monitor.history.steps == [0, 2, 4]


def test_a_reading_of_a_step_that_is_past_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    monitor = AttentionMonitor(gpt2(), PROBE, path=path)
    monitor.read(100)
    for one in (monitor, AttentionMonitor(gpt2(), PROBE, path=path)):
        with pytest.raises(ValueError, match=r"step=50 came after the reading of step 100; expected 100 or more"):
            one.read(50)
    with pytest.raises(TypeError, match="step='101' is str"):
        monitor.read("101")
    assert History.load(path).steps == monitor.history.steps == [100]


@pytest.mark.parametrize("value", [None, "1.5 nats", [1.0], torch.ones(2)])
def test_what_is_logged_is_a_number_or_is_named(value):
    monitor = AttentionMonitor(gpt2(), PROBE)
    with pytest.raises(TypeError, match=r"loss is \w+; expected a number, as float\(loss\)"):
        monitor.step(0, loss=value)


def test_what_is_logged_may_be_a_tensor_of_one_or_nan():
    monitor = AttentionMonitor(gpt2(), PROBE)
    reading = monitor.read(0, loss=torch.tensor([1.5], requires_grad=True).sum(), norm=math.nan, rate=1)
    assert reading.logged["loss"] == 1.5
    assert math.isnan(reading.logged["norm"])
    assert reading.logged["rate"] == 1.0


def raising(message):
    def call(*_):
        raise RuntimeError(message)

    return call


def test_a_save_that_fails_does_not_keep_training_from_being_stopped():
    model = gpt2()
    monitor = AttentionMonitor(
        model, PROBE, every=1, stop_on="nan", save=raising("no space"), on_alert=lambda alert: None
    )
    monitor.step(0)
    broken(model)
    with pytest.raises(RuntimeError, match="no space"):
        monitor.step(1)
    assert monitor.stopped.rule == "nan"
    assert monitor.step(2)


def test_an_on_alert_that_fails_keeps_neither_save_nor_the_other_rules_from_being_told():
    model, saved, told = t5(), [], []

    def fails(alert):
        told.append(alert.map)
        raise RuntimeError("no network")

    monitor = AttentionMonitor(
        model, {"input_ids": PROBE, "labels": PROBE}, every=1, stop_on=["nan"], save=lambda: saved.append(1),
        on_alert=fails,
    )  # fmt: skip
    monitor.step(0)
    with torch.no_grad():
        model.shared.weight[:] = torch.nan
    with pytest.raises(RuntimeError, match="no network"):
        monitor.step(1)
    assert told == ["encoder", "decoder", "cross"]
    assert saved == [1]
    assert monitor.stopped.step == 1
    assert monitor.history.steps == [0, 1]
    with pytest.raises(RuntimeError, match="no network"):  # nobody has heard of it
        monitor.step(2)
    assert saved == [1]
    assert monitor.stopped.step == 1


def test_the_history_is_one_object_for_the_life_of_a_monitor(tmp_path):
    monitor = AttentionMonitor(gpt2(), PROBE, every=1, path=tmp_path / "a.jsonl")
    held, view = monitor.history, aw.Timeline(monitor)
    for step in range(3):
        monitor.step(step)
    assert monitor.history is held
    assert held.steps == [0, 1, 2]
    assert held.generation == 0
    assert next(iter(view.runs.values())).steps == [0, 1, 2]
    view.close()


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
@pytest.mark.parametrize("begun", [False, True])
def test_monitors_and_histories_can_be_copied_and_sent_to_another_process(tmp_path, again, begun):
    path = tmp_path / "a.jsonl"
    monitor = AttentionMonitor(gpt2(), PROBE, every=1, path=path, maps=0)
    if begun:
        monitor.step(0)
    other = again(monitor)
    other.step(1)
    assert other.history.steps == History.load(path).steps == [0, 1][1 - begun :]
    assert monitor.history.steps == [0][: int(begun)]
    loaded = again(History.load(path))
    assert loaded.steps == other.history.steps
    other.step(2)
    assert loaded.refresh() == 1


def test_a_monitor_that_tells_a_library_can_be_sent_to_another_process(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    monitor = AttentionMonitor(gpt2(), PROBE, every=1, to="tensorboard")
    monitor.step(0)
    other = pickle.loads(pickle.dumps(monitor))
    other.step(1)
    assert other.history.steps == [0, 1]
