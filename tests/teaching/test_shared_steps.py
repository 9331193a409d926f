"""The vectors that the front end is tested with are what Python computes today."""

from __future__ import annotations

import json

import pytest

from tests.teaching.vectors import FACTS, STEPS, told, vectors

WRITTEN = json.loads(STEPS.read_text(encoding="utf-8"))
HINT = "run python -m tests.teaching.vectors"


def agree(one, other, where=""):
    """Whether two cases are the same but for the last digits, which are the processor's own."""
    assert type(one) is type(other), (where, HINT)
    if isinstance(one, dict):
        assert list(one) == list(other), (where, HINT)
        for name in one:
            agree(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list):
        assert len(one) == len(other), (where, HINT)
        for at, pair in enumerate(zip(one, other, strict=True)):
            agree(*pair, f"{where}[{at}]")
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-12, abs=1e-14), (where, HINT)
    else:
        assert one == other, (where, HINT)


def test_the_steps_are_what_would_be_written_today():
    agree(json.loads(json.dumps(vectors())), WRITTEN)


def test_the_scenes_are_what_the_browser_is_told_today():
    assert json.loads(json.dumps(told())) == json.loads(FACTS.read_text(encoding="utf-8")), HINT


def test_they_hold_every_scene_and_stay_small():
    assert {case["scene"] for case in WRITTEN["presets"]} == {
        *("lookup", "temperature", "scaling", "masking", "position", "words", "heads", "values")
    }
    assert STEPS.stat().st_size + FACTS.stat().st_size < 150_000
