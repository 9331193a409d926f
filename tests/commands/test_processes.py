"""What only a real process shows: signals, pipes, a disk that is full, and workers."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import pandas as pd
import pytest

import attnwidget as aw
from tests.commands.conftest import STORY

MEASURE = [sys.executable, "-m", "attnwidget", "measure", "storyteller", "-"]


def test_ctrl_c_leaves_the_rows_of_what_was_done(tmp_path):
    (tmp_path / "a.txt").write_text(f"{STORY}\n" * 100_000)
    with subprocess.Popen(
        [*MEASURE[:-1], "a.txt", "--measures", "entropy"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
    ) as process:  # fmt: skip
        begun = [process.stdout.readline() for _ in range(18)]  # the second text is done
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    assert begun[0] == b"example,tokens,map,layer,head,entropy\n"
    assert out.endswith(b"\n")
    n_texts, rest = divmod(len(begun) - 1 + len(out.splitlines()), 16)
    assert not rest
    said = re.fullmatch(r"attnwidget: interrupted\. what was written holds (\d+) texts?\.\n", err.decode())
    assert n_texts - 1 <= int(said[1]) <= n_texts  # the signal may come between a text and its count


def with_little_room(folder, output, blocks=20):
    """The command in a process whose files have so many blocks at most, as on a disk that is full."""
    (folder / "a.txt").write_text(f"{STORY}\n" * 8)
    return subprocess.run(
        ["bash", "-c", f'ulimit -f {blocks}; "$@"', "-", *MEASURE[:-1], "a.txt", "-o", output],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_full_disk_keeps_the_rows_that_are_whole(tmp_path, ending):
    ended = with_little_room(tmp_path, f"t.{ending}")
    assert ended.returncode == 1
    lines = (tmp_path / f"t.{ending}").read_bytes().split(b"\n")
    n_texts = len(lines) // 16
    assert n_texts > 0
    assert len(lines) == n_texts * 16 + (2 if ending == "csv" else 1)
    assert lines[-1] == b""
    assert f"t.{ending}: file too large. t.{ending} holds {n_texts} text" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_full_disk_takes_parquet_whole_and_says_so(tmp_path):
    (tmp_path / "t.parquet").write_text("older")
    ended = with_little_room(tmp_path, "t.parquet", blocks=1)
    assert ended.returncode == 1
    assert "nothing of it could be kept; CSV keeps what is done." in ended.stderr
    assert (tmp_path / "t.parquet").read_text() == "older"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.txt", "t.parquet"]


def test_nobody_reading_ends_it_in_silence():
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$@" | head -n 2', "-", *MEASURE],
        input=f"{STORY}\n".encode() * 200, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 141
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == b""


def test_a_survey_on_two_processes_goes_on_where_it_was_killed(tmp_path):
    texts = aw.demo.sentences(3000)
    (tmp_path / "a.txt").write_text("\n".join([*texts[:300], "", *texts[300:]]))
    survey = [sys.executable, "-m", "attnwidget", "survey", "storyteller", "a.txt", "--measures", "entropy,sink"]
    survey += ["-o", "found", "--workers", "2"]
    with subprocess.Popen(survey, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "found" / "survey.safetensors").exists():
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.1)  # it is not at its end
        process.kill()
        process.communicate()  # which ends when its workers have, too
    assert aw.Survey.load(tmp_path / "found").count < 3000
    done = subprocess.run(survey, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "attnwidget: left out example 300, counted from 0: it is empty.",
        "attnwidget: found holds 3,000 texts: heads.csv, examples.jsonl.",
    ]
    found = aw.Survey.load(tmp_path / "found").to_frame()
    whole = aw.survey(*aw.demo.load("storyteller"), texts, measures=["entropy", "sink"], progress=False)
    pd.testing.assert_frame_equal(found, whole.to_frame(), rtol=1e-5)
