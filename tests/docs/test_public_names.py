"""Every public name says what it takes and what it gives, and every trait and field what it is."""

from __future__ import annotations

import inspect
import re
import sys
from functools import reduce
from pathlib import Path

import pytest

import attnwidget as aw

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "docs"))
numpydoc = pytest.importorskip("numpydoc.validate", reason="the extra `docs` is not installed")

from extensions.public import public_names  # noqa: E402

NEEDED = {"GL08", "PR01", "PR02", "RT01", "YD01"}  # no docstring; parameters missing or made up; no returns, no yields
WIDGETS = ["Explorer", "Playground", "Timeline"]


def thing(full):
    return reduce(getattr, full.split(".")[1:], aw)


@pytest.mark.parametrize("full", [full for full in public_names() if inspect.isfunction(thing(full))])
def test_a_function_says_what_it_takes_and_gives(full):
    assert [error for error in numpydoc.validate(full)["errors"] if error[0] in NEEDED] == []


@pytest.mark.parametrize("full", [full for full in public_names() if inspect.isclass(thing(full))])
def test_a_class_has_a_docstring_of_its_own_and_so_has_all_that_is_public_in_it(full):
    made = thing(full)
    assert "__doc__" in vars(made)
    members = [
        (name, member.__func__ if isinstance(member, classmethod | staticmethod) else member)
        for base in made.__mro__
        if base.__module__.startswith("attnwidget")
        for name, member in vars(base).items()
        if not name.startswith("_")
    ]
    ours = [name for name, member in members if inspect.isfunction(member) or isinstance(member, property)]
    undocumented = [name for name in ours if not inspect.getdoc(getattr(made, name))]
    assert undocumented == []


@pytest.mark.parametrize("name", WIDGETS)
def test_a_widget_says_of_every_trait_that_a_person_sets_what_it_is(name):
    widget = getattr(aw, name)
    lines = re.findall(r"^([\w, ]+) : ", inspect.getdoc(widget), re.MULTILINE)
    said = {one for line in lines for one in line.split(", ")}
    assert set(widget.choices()) - said == set()
