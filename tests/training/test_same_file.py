"""A file that somebody else wrote, writes, removed or wrote anew: nothing of theirs is lost, and nothing of ours."""

from __future__ import annotations

import warnings

import pytest
import torch

from attnwidget.intake import AttentionWarning
from attnwidget.training import AttentionMonitor, History
from tests.training.small import PROBE, gpt2


def monitored(path, steps, model=None, probe=PROBE, **how):
    monitor = AttentionMonitor(model or gpt2(), probe, every=1, path=path, **how)
    for step in steps:
        monitor.step(step)
    return monitor


FOREIGN = (
    b'{"loss": 1}',
    b"the only line of my notes",
    b'{"format": 12}',
    b'{"format": 1, "step": 3}',
    b"\x80\x81",
    b"7",
)


@pytest.mark.parametrize("held", FOREIGN)
def test_a_file_of_something_else_without_an_end_of_line_is_refused_and_left(tmp_path, held):
    path = tmp_path / "a.jsonl"
    path.write_bytes(held)
    with pytest.raises(ValueError, match=r"line 1 of .* is no reading"):
        AttentionMonitor(gpt2(), PROBE, path=path)
    with pytest.raises(ValueError, match=r"line 1 of .* is no reading"):
        History.load(path)
    assert path.read_bytes() == held


@pytest.mark.parametrize("length", [1, 8, 13, 40, 300])
def test_a_first_reading_that_was_cut_off_anywhere_is_written_over(tmp_path, length):
    path = tmp_path / "a.jsonl"
    monitored(path, [0])
    path.write_bytes(path.read_bytes()[:length])
    assert len(History.load(path)) == 0
    monitored(path, [0, 1])
    assert History.load(path).steps == [0, 1]


def test_what_somebody_else_writes_is_never_taken_away(tmp_path):
    path = tmp_path / "a.jsonl"
    one, other = (AttentionMonitor(gpt2(), PROBE, every=1, path=path) for _ in range(2))
    for step in range(3):
        one.step(step)
    with pytest.warns(AttentionWarning, match=r"somebody else writes to it too.*kept in memory.*history\.save") as said:
        other.step(10)
    assert len(said) == 1
    for step in range(11, 14):  # said once
        other.step(step)
    one.step(3)
    assert History.load(path).steps == [0, 1, 2, 3]
    assert other.history.steps == [10, 11, 12, 13]


def test_a_line_of_somebody_else_behind_one_that_was_cut_off_stays(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, [0])
    cut = path.read_bytes()[:50]
    path.write_bytes(cut)
    monitor = AttentionMonitor(gpt2(), PROBE, every=1, path=path)
    with path.open("ab") as file:
        file.write(b" and more")
    with pytest.warns(AttentionWarning, match="somebody else"):
        monitor.step(0)
    assert path.read_bytes() == cut + b" and more"


@pytest.mark.parametrize("gone", ["the file", "its folder", "what it held"])
def test_a_file_that_is_gone_is_written_anew_with_all_readings(tmp_path, gone):
    path = tmp_path / "runs" / "a.jsonl"
    monitored(path, range(2))
    monitor = monitored(path, range(2, 4), maps=0)
    if gone == "what it held":
        path.write_bytes(b"")
    else:
        path.unlink()
    if gone == "its folder":
        for one in (tmp_path / "runs" / "a.maps").iterdir():
            one.unlink()
        (tmp_path / "runs" / "a.maps").rmdir()
        (tmp_path / "runs").rmdir()
    monitor.step(4)
    monitor.step(5)
    assert History.load(path).steps == [0, 1, 2, 3, 4, 5]


def test_a_file_written_anew_is_read_from_its_beginning_and_that_is_counted(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, range(2))
    history = History.load(path)
    assert (history.steps, history.generation) == ([0, 1], 0)
    held = path.read_bytes()
    monitored(tmp_path / "longer.jsonl", range(10, 15), gpt2(1), measures=["entropy", "sink"])
    path.write_bytes((tmp_path / "longer.jsonl").read_bytes())  # the same file, and longer than before
    assert history.refresh() == 5
    assert (history.steps, history.generation) == ([10, 11, 12, 13, 14], 1)
    path.write_bytes(held)  # shorter
    assert history.refresh() == 2
    assert (history.steps, history.generation) == ([0, 1], 2)
    monitored(path, [2])
    assert history.refresh() == 1
    assert (history.steps, history.generation) == ([0, 1, 2], 2)


def test_a_file_that_becomes_something_else_takes_no_reading_away(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, range(2))
    history = History.load(path)
    path.write_bytes(b"something else\n" * 10_000)
    with pytest.raises(ValueError, match="line 1 of"):
        history.refresh()
    assert (history.steps, history.generation) == ([0, 1], 0)


def test_a_run_that_counts_by_itself_counts_on_behind_the_last_step(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, range(11))
    monitor = AttentionMonitor(gpt2(), PROBE, every=1, path=path)
    monitor.step()
    monitor.step()
    assert History.load(path).steps[-3:] == [10, 11, 12]


def test_a_file_that_was_read_on_another_probe_is_not_gone_on_with(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, range(2))
    held = path.read_bytes()
    with pytest.raises(ValueError, match=r"a\.jsonl was read on another probe.*give another path"):
        monitored(path, [2], probe=PROBE.flip(1) + 1)
    assert path.read_bytes() == held
    monitored(path, [2])
    assert History.load(path).steps == [0, 1, 2]


def test_the_probe_is_told_by_all_its_examples(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, [0], probe=torch.cat([PROBE, PROBE]))
    with pytest.raises(ValueError, match="another probe"):
        monitored(path, [1], probe=torch.cat([PROBE, PROBE + 1]))


def test_a_file_from_before_probes_were_written_is_gone_on_with(tmp_path):
    path = tmp_path / "a.jsonl"
    monitored(path, range(2))
    told = [line.partition(', "probe"')[0] + "}\n" for line in path.read_text().splitlines()]
    path.write_text("".join(told))
    assert '"probe"' not in path.read_text()
    monitored(path, [2])
    history = History.load(path)
    assert history.steps == [0, 1, 2]
    assert not history[0].probe
    assert history[2].probe


def test_a_probe_that_attends_to_nothing_any_more_is_the_same_probe(tmp_path):
    path = tmp_path / "a.jsonl"
    broken = gpt2()
    with torch.no_grad():
        broken.transformer.h[0].attn.c_attn.weight[:] = torch.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AttentionWarning)
        monitored(path, [0], broken)
    monitored(path, [1])
    assert History.load(path).steps == [0, 1]
