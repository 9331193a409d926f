"""Every block of Python in the documentation and the README runs, page by page, as its reader would run it."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^(`{3,}|:{3,})\{?(?P<kind>[\w-]*)\}?[^\n]*\n(?P<body>.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
RUN = {"python", "live"}
SHOWN = {"columns", "sh", "toctree", "include", "eval-rst", "lessons", "not-run", "text", "math"}


def blocks(page):
    """Kind and content of the fenced blocks of a page, in their order."""
    return [(found["kind"], found["body"]) for found in FENCE.finditer(page.read_text(encoding="utf-8"))]


def code(page):
    """What is run of a page: its Python, and its live cells without their options."""
    return [re.sub(r"\A(:\w+:.*\n)+", "", body) for kind, body in blocks(page) if kind in RUN]


@pytest.mark.parametrize("page", [page for page in PAGES if code(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for number, source in enumerate(code(page)):
        exec(compile(source, f"{page.name}, block {number}", "exec"), names)
    plt.close("all")


def test_no_block_is_of_a_kind_that_nothing_runs_and_nothing_marks():
    unknown = {(page.name, kind) for page in PAGES for kind, _ in blocks(page) if kind not in RUN | SHOWN}
    assert unknown == set()


def test_what_is_not_run_is_what_must_be_fetched():
    reasons = [
        reason
        for page in PAGES
        for reason in re.findall(r"^:::\{not-run\} (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert all(reason.startswith("it downloads a model") for reason in reasons)
    assert len(reasons) <= 6
