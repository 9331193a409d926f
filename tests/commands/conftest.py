"""The command, called in this process as somebody types it."""

from __future__ import annotations

import io
import sys
from typing import NamedTuple

import pytest

from attnwidget.commands import main

STORY = "Lily and Ben went to the park . Lily gave the ball to"


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def attnwidget(capsys, monkeypatch, tmp_path):
    """Call the command in an empty folder; what transformers was told is taken back."""
    from transformers.utils import logging

    monkeypatch.chdir(tmp_path)
    for name in ("TQDM_DISABLE", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, "1")
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()

    def call(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        code = main([str(one) for one in arguments])
        return Ended(code, *capsys.readouterr())

    yield call
    logging.set_verbosity(verbosity)
    if bars:
        logging.enable_progress_bar()
