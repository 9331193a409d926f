"""No measure is missing from the pages that say what the numbers mean, and each says all that is asked of it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import attnwidget as aw

NUMBERS = Path(__file__).parent.parent.parent / "docs" / "numbers"
SECTIONS = {
    name: section
    for path in sorted(NUMBERS.glob("*.md"))
    if path.stem != "index"
    for section in re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    for name in re.findall(r"`aw\.((?:measures|effects)\.\w+)`", section.partition("$$")[0])
}


def functions(module):
    return [name for name in module.__all__ if inspect.isfunction(getattr(module, name))]


NAMES = [
    *(f"measures.{name}" for name in functions(aw.measures) if name != "summarize"),
    *(f"effects.{name}" for name in functions(aw.effects)),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_measure_has_its_formula_range_source_and_pitfall(name):
    section = SECTIONS[name]
    assert section.count("$$") == 2
    for part in ("Range", "Source", "Pitfall"):
        assert re.search(rf"^{part}\n: \S", section, re.MULTILINE), f"{name} says no {part.lower()}"


def test_the_table_names_every_measure_once():
    table = (NUMBERS / "index.md").read_text(encoding="utf-8").partition("## All measures")[2].partition("##")[0]
    named = re.findall(r"^\|[^|]+\| \[`(\w+)`\]", table, re.MULTILINE)
    assert sorted(named) == sorted(functions(aw.measures))
