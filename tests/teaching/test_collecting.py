"""collect(): guesses of widgets, files and codes in one table, whatever a stranger sent."""

from __future__ import annotations

import base64
import json
import math
import warnings
import zlib

import pytest

import attnwidget as aw

GUESS = {
    "prompt": "How much?",
    "predict": "weights[0, 1]",
    "kind": "number",
    "guess": 0.25,
    "answer": 0.5,
    "right": False,
    "time": "2026-11-26T10:00:00.000Z",
    "seconds": 3.5,
}


def told(student="Ada", guesses=(GUESS,)):
    return {"attnwidget": "guesses", "student": student, "guesses": list(guesses)}


def code(answers):
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    data = packing.compress(json.dumps(answers).encode()) + packing.flush()
    letters = base64.urlsafe_b64encode(data).decode().rstrip("=")
    return f"aw1.{letters}.{zlib.crc32(data):08x}"


def test_widgets_files_and_codes_are_one_table(tmp_path):
    playground = aw.Playground("temperature", lesson=aw.Lesson("How much?", predict="weights[0, 1]"))
    playground.guesses = [GUESS]
    (tmp_path / "ada.json").write_text(json.dumps(told()))
    table = aw.collect([playground, tmp_path, tmp_path / "ada.json", f"here: {code(told('Björn'))}, bye"])
    assert list(table["student"].fillna("")) == ["", "Ada", "Ada", "Björn"]
    assert list(table["source"]) == ["Playground", "ada.json", "ada.json", "code 0"]
    assert list(table["error"]) == [0.25] * 4
    assert str(table["time"].dt.tz) == "UTC"


def test_one_widget_needs_no_list():
    playground = aw.Playground("temperature", lesson=aw.Lesson("?", predict="weights[0, 1]"))
    assert list(aw.collect(playground).columns[:3]) == ["student", "prompt", "predict"]


def test_bars_have_the_largest_error_and_clicks_have_none(tmp_path):
    guesses = [GUESS | {"kind": "bars", "guess": [0.1, 0.9], "answer": [0.3, 0.7]}, GUESS | {"kind": "cell"}]
    (tmp_path / "a.json").write_text(json.dumps(told(guesses=guesses)))
    errors = list(aw.collect(tmp_path)["error"])
    assert errors[0] == pytest.approx(0.2)
    assert math.isnan(errors[1])


def test_a_code_broken_into_lines_is_whole_and_a_changed_one_is_damaged():
    whole = code(told())
    assert len(aw.collect(whole[:40] + "\n" + whole[40:])) == 1
    at = len(whole) // 2
    changed = whole[:at] + ("A" if whole[at] != "A" else "B") + whole[at + 1 :]
    with pytest.raises(ValueError, match="the code is damaged"):
        aw.collect(changed)


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"[" * 100_000,
        b'{"attnwidget": "guesses", "guesses": 3}',
        b'{"attnwidget": "guesses", "guesses": [3]}',
        b"\xff\xfe",
        b"x" * (2 << 20),
    ],
    ids=["empty", "deep", "no list", "no guesses", "no text", "huge"],
)
def test_a_strangers_file_is_named_and_hurts_nobody(tmp_path, hostile):
    (tmp_path / "stranger.json").write_bytes(hostile)
    with pytest.raises(ValueError, match=r"stranger\.json"):
        aw.collect(tmp_path / "stranger.json")
    (tmp_path / "ada.json").write_text(json.dumps(told()))
    with pytest.warns(aw.AttentionWarning, match=r"stranger\.json"):
        assert list(aw.collect(tmp_path)["student"]) == ["Ada"]


def test_a_code_that_unpacks_without_end_is_refused():
    with pytest.raises(ValueError, match="larger than any"):
        aw.collect(code(told(guesses=[GUESS | {"prompt": "x" * (2 << 20)}])))


def test_what_is_none_of_these_is_refused(tmp_path):
    with pytest.raises(TypeError, match="int came"):
        aw.collect([3])
    with pytest.raises(ValueError, match="there is no such file"):
        aw.collect("nobody.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"has no \.json file"):
        aw.collect(tmp_path / "empty")


@pytest.mark.parametrize("strange", [{"guess": 10**400}, {"kind": []}, {"kind": {}}, {"answer": "much"}])
def test_what_has_no_distance_has_no_error(tmp_path, strange):
    (tmp_path / "a.json").write_text(json.dumps(told(guesses=[GUESS | strange, GUESS])))
    errors = list(aw.collect(tmp_path)["error"])
    assert math.isnan(errors[0])
    assert errors[1] == 0.25


def test_a_code_that_is_quoted_in_a_mail_is_whole():
    whole = code(told())
    assert list(aw.collect(f"> {whole[:40]}\r\n> {whole[40:]}")["student"]) == ["Ada"]


@pytest.mark.parametrize("text", ["Good morning! " * 1000, "a\0b"])
def test_a_text_without_a_code_is_said_to_have_none(text):
    with pytest.raises(ValueError, match="no code of a page"):
        aw.collect(text)


def test_strange_values_stay_values(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(told(student=3, guesses=[{"guess": "much", "time": "yesterday"}])))
    with warnings.catch_warnings(action="error"):
        table = aw.collect(tmp_path)
    assert table["student"].isna().all()
    assert table["time"].isna().all()
    assert table["guess"].tolist() == ["much"]
