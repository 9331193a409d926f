"""The maps of a run are those of its own readings, as many as were asked for, in a folder of its own."""

from __future__ import annotations

import copy

import pytest
import torch

import attnwidget as aw
from attnwidget.intake import AttentionWarning
from attnwidget.training import AttentionMonitor, History
from tests.training.small import PROBE, gpt2


def monitored(path, steps, seed=0, **how):
    monitor = AttentionMonitor(gpt2(seed), PROBE, every=1, path=path, **how)
    for step in steps:
        monitor.step(step)
    return monitor


NAMES = ["lr0.1", "lr0.01", "a.jsonl", "a.json", "a.ndjson", "b.maps"]


def test_every_file_has_a_folder_of_its_own(tmp_path):
    for seed, name in enumerate(NAMES):
        monitored(tmp_path / name, [seed], seed)
    for seed, name in enumerate(NAMES):
        history = History.load(tmp_path / name)
        assert history.kept_steps() == {seed}
        assert history.maps(seed)["attention"].n_layers == 2
    assert (tmp_path / "lr0.01.maps").is_dir()
    assert (tmp_path / "b.maps.maps").is_dir()


def test_maps_of_a_run_whose_file_was_removed_are_not_those_of_the_next(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, range(6))
    path.unlink()
    monitor = monitored(path, [0, 1], maps=3)
    assert monitor.history.kept_steps() == History.load(path).kept_steps() == {0, 1}
    monitor.step(2)
    assert History.load(path).kept_steps() == {0, 1, 2}


def test_a_run_that_keeps_none_shows_none_of_the_one_before(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, range(3))
    path.unlink()
    monitored(path, [0, 1, 2], maps=0)
    history = History.load(path)
    assert history.kept_steps() == set()
    assert history.maps(1) == {}


def test_maps_of_steps_that_are_no_readings_are_not_there(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, range(4))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2]))
    history = History.load(path)
    assert history.kept_steps() == {0, 1}
    assert history.maps(3) == {}
    assert monitored(path, [2], maps=2).history.kept_steps() >= {2}  # the newest, whatever lay there


def test_a_monitor_that_is_made_and_not_used_takes_nothing_away(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, range(2))
    held = path.read_bytes()
    path.unlink()
    AttentionMonitor(gpt2(), PROBE, path=path)
    path.write_bytes(held)
    assert History.load(path).kept_steps() == {0, 1}


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_no_more_are_kept_than_were_asked_for_and_the_newest_is_among_them(tmp_path, most):
    monitor = AttentionMonitor(gpt2(), PROBE, every=1, path=tmp_path / "a.jsonl", maps=most)
    for step in range(9):
        monitor.step(step)
        kept = monitor.history.kept_steps()
        assert len(kept) <= most
        assert step in kept
        assert most == 1 or 0 in kept


def test_fewer_than_a_run_had_before_are_kept_from_then_on(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, range(12))
    assert len(monitored(path, [12], maps=3).history.kept_steps()) <= 3


def test_a_monitor_of_a_file_that_somebody_else_writes_leaves_their_maps(tmp_path):
    path = tmp_path / "a.jsonl"
    one, other = (AttentionMonitor(gpt2(seed), PROBE, every=1, path=path) for seed in (0, 1))
    for step in range(3):
        one.step(step)
    held = one.history.maps(2)["attention"].weights(0, 0)
    with pytest.warns(AttentionWarning, match="somebody else writes to it too"):
        other.step(2)
    other.step(3)
    assert torch.equal(History.load(path).maps(2)["attention"].weights(0, 0), held)
    assert one.history.kept_steps() == {0, 1, 2}


def test_a_copy_keeps_its_maps_when_the_first_is_gone():
    monitor = monitored(None, [0, 1])
    history = copy.deepcopy(monitor.history)
    del monitor
    assert history.kept_steps() == {0, 1}
    assert history.maps(1)["attention"].n_queries == PROBE.shape[1]


def test_a_copied_monitor_keeps_maps_of_its_own():
    monitor = monitored(None, [0, 1])
    other = copy.deepcopy(monitor)
    other.step(2)
    assert other.history.kept_steps() == {0, 1, 2}
    monitor.step(3)
    assert monitor.history.kept_steps() == {0, 1, 3}


def test_a_timeline_of_a_monitor_shows_the_maps_of_this_run_alone(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, range(3), seed=3)
    path.unlink()
    monitor = AttentionMonitor(gpt2(), PROBE, every=1, path=path)
    view = aw.Timeline(monitor)
    monitor.step(0)
    assert monitor.history.kept_steps() == {0}
    view.close()
