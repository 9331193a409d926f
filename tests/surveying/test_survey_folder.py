"""A survey in a folder: gone on with after it ended early, and never of two things at once."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import attnwidget as aw
from attnwidget.surveying import rows, running
from attnwidget.surveying.folder import Folder

TEXTS = aw.demo.sentences(60)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(rows, "CHUNK", 8)
    monkeypatch.setattr(running, "CHUNK", 8)


@pytest.fixture(scope="module")
def storyteller():
    return aw.demo.load()


def survey(model, data, **options):
    return aw.survey(*model, data, progress=False, **options)


def interrupted_at(number, texts=TEXTS):
    for at, text in enumerate(texts):
        if at == number:
            raise KeyboardInterrupt
        yield text


def assert_same(found, wanted):
    assert found.count == wanted.count
    for statistic in ("count", "mean", "std", 0.25):
        for name, array in wanted.arrays(statistic).items():
            np.testing.assert_allclose(found.arrays(statistic)[name], array, rtol=1e-6, atol=1e-9)
    assert found.examples(1, 1, "sink") == wanted.examples(1, 1, "sink")


def test_interrupted_it_returns_what_is_done_and_goes_on(storyteller, tmp_path):
    with pytest.warns(aw.AttentionWarning, match="ended early: interrupted"):
        part = survey(storyteller, interrupted_at(35), folder=tmp_path)
    assert part.count == 32
    loaded = aw.Survey.load(tmp_path)
    assert loaded.count == 32
    assert "not at its end" in loaded.reason
    whole = survey(storyteller, TEXTS, folder=tmp_path)
    assert not whole.reason
    assert_same(whole, survey(storyteller, TEXTS))
    assert not aw.Survey.load(tmp_path).reason


def test_one_that_is_at_its_end_runs_no_model_again(storyteller, tmp_path, monkeypatch):
    wanted = survey(storyteller, TEXTS, folder=tmp_path)
    model, tokenizer = aw.demo.load()
    monkeypatch.setattr(type(model), "forward", lambda *_args, **_others: pytest.fail("it ran"))
    assert_same(survey((model, tokenizer), TEXTS, folder=tmp_path), wanted)


KILLED = """
import os, signal, sys, attnwidget as aw
from attnwidget.surveying import rows
rows.CHUNK = 8
def texts():
    for number, text in enumerate(aw.demo.sentences(60)):
        if number == 35:
            os.kill(os.getpid(), signal.SIGKILL)
        yield text
model, tokenizer = aw.demo.load()
aw.survey(model, tokenizer, texts(), folder=sys.argv[1], progress=False)
"""


def test_killed_it_goes_on_and_nothing_counts_twice(storyteller, tmp_path):
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert aw.Survey.load(tmp_path).count == 32
    assert_same(survey(storyteller, TEXTS, folder=tmp_path), survey(storyteller, TEXTS))


@pytest.mark.parametrize(
    ("options", "differs"),
    [
        ({"measures": ["entropy"]}, "measures"),
        ({"top": 3}, "top"),
        ({"max_tokens": 8}, "max_tokens"),
        ({"labels": len}, "labels"),
    ],
)
def test_two_surveys_in_one_folder_are_refused(storyteller, tmp_path, options, differs):
    survey(storyteller, TEXTS[:8], folder=tmp_path)
    with pytest.raises(ValueError, match=f"holds another survey: its {differs} is"):
        survey(storyteller, TEXTS[:8], folder=tmp_path, **options)


def test_another_model_or_other_data_is_refused(storyteller, tmp_path):
    survey(storyteller, TEXTS[:16], folder=tmp_path)
    model, tokenizer = aw.demo.load()
    model.model.layers[0].mlp.up_proj.weight.data += 1
    with pytest.raises(ValueError, match="holds another survey: its weights"):
        survey((model, tokenizer), TEXTS[:16], folder=tmp_path)
    with pytest.raises(ValueError, match="of other data: rows 8 to 15 were others"):
        survey(storyteller, [*TEXTS[:8], *TEXTS[20:28]], folder=tmp_path)


def test_somebody_else_at_work_in_it_is_told(storyteller, tmp_path):
    def second(texts):
        for at, text in enumerate(texts):
            if at == 20:
                with pytest.raises(ValueError, match="another survey is at work in"):
                    survey(storyteller, TEXTS, folder=tmp_path)
            yield text

    assert survey(storyteller, second(TEXTS), folder=tmp_path).count == 60


def test_a_full_disk_leaves_what_was_written(storyteller, tmp_path, monkeypatch):
    write, written = Folder.write, []

    def full(self, *given):
        written.append(1)
        if len(written) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, *given)

    monkeypatch.setattr(Folder, "write", full)
    with pytest.warns(aw.AttentionWarning, match="No space left on device"):
        found = survey(storyteller, TEXTS, folder=tmp_path)
    assert found.count == 32
    assert aw.Survey.load(tmp_path).count == 24


def test_saved_and_loaded_it_says_the_same(storyteller, tmp_path):
    data = [{"text": text, "kind": number % 2 == 0} for number, text in enumerate(TEXTS[:20])]
    data[3]["text"] = ""
    with pytest.warns(aw.AttentionWarning, match="1 rows were left out"):
        found = survey(storyteller, data, by="kind", labels=lambda tokens: ["a"] * len(tokens))
    found.save(tmp_path / "one")
    loaded = aw.Survey.load(tmp_path / "one")
    assert_same(loaded, found)
    assert loaded.skipped == found.skipped
    assert loaded.sizes == found.sizes == {True: 10, False: 9}
    np.testing.assert_array_equal(loaded.between.mass, found.between.mass)
    with pytest.raises(ValueError, match="holds a survey"):
        found.save(tmp_path / "one")
    assert (loaded + found).count == 38


def test_what_is_no_survey_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no survey"):
        aw.Survey.load(tmp_path)
    (tmp_path / "survey.safetensors").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(ValueError, match="no survey that can be read"):
        aw.Survey.load(tmp_path)


def test_a_file_that_was_tampered_with_is_refused(storyteller, tmp_path):
    from safetensors.numpy import load_file, save_file

    survey(storyteller, TEXTS[:8], folder=tmp_path)
    path = tmp_path / "survey.safetensors"
    held = load_file(path)
    for change in ("head", "moments.count", "sketches.size", "extremes.value"):
        broken = dict(held)
        if change == "head":
            head = json.loads(held["head"].tobytes())
            head["heads"] = [2]
            broken["head"] = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
        else:
            broken[change] = held[change][:1]
        save_file(broken, path)
        with pytest.raises(ValueError, match="no survey that can be read"):
            aw.Survey.load(tmp_path)


def test_data_that_broke_off_is_gone_on_with(storyteller, tmp_path):
    def broken():
        yield from TEXTS[:35]
        raise OSError("network gone")

    for _ in range(2):
        with pytest.warns(aw.AttentionWarning, match="the data broke off at row 35: OSError: network gone"):
            assert survey(storyteller, broken(), folder=tmp_path).count == 32
        assert "not at its end" in aw.Survey.load(tmp_path).reason
    whole = survey(storyteller, TEXTS, folder=tmp_path)
    assert not whole.reason
    assert_same(whole, survey(storyteller, TEXTS))
    with pytest.warns(aw.AttentionWarning, match="the data broke off"):
        assert survey(storyteller, broken(), folder=tmp_path).count == 60


def test_a_call_that_came_to_nothing_keeps_nobody_from_the_folder(storyteller, tmp_path):
    rows = [{"text": text} for text in TEXTS]
    for data, options in ((rows, {"by": "knd"}), ([], {}), (["", " "], {"top": 3})):
        with pytest.raises(ValueError, match=r"no column 'knd'|data is empty|no text could be measured"):
            survey(storyteller, data, folder=tmp_path, **options)
    with pytest.raises(ValueError, match="nowhere"):
        aw.survey("./nowhere", storyteller[1], TEXTS, folder=tmp_path, progress=False)
    assert survey(storyteller, rows, folder=tmp_path).count == 60
    with pytest.raises(ValueError, match="holds another survey: its top is"):
        survey(storyteller, rows, folder=tmp_path, top=3)
