"""The lock holds what pyproject.toml asks for: a bound that was raised goes with `make lock`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def test_has_a_version_that_fits_of_everything_that_is_asked_for():
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = asked["project"]
    wanted = [
        *asked["build-system"]["requires"],
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
    ]
    lines = [line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    locked = [Requirement(line) for line in lines if line]
    for one in map(Requirement, wanted):
        if one.name == project["name"]:
            continue
        pins = [lock for lock in locked if lock.name == one.name]
        assert pins, f"constraints.txt has no {one.name}; run `make lock`."
        for pin in pins:
            (exact,) = pin.specifier
            assert exact.operator == "=="
            assert one.specifier.contains(exact.version), f"constraints.txt has {pin}, not {one}; run `make lock`."


def test_brings_no_cuda():
    assert not [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.startswith("nvidia")]
