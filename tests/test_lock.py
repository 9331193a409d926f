"""The lock holds what pyproject.toml asks for: a bound that was raised goes with `make lock`."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent


def pins(path):
    """What a lock holds, by name: several where platforms differ."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / path).read_text().splitlines()]
    held = {}
    for one in map(Requirement, filter(None, lines)):
        held.setdefault(one.name, []).append(one)
    return held


def test_has_a_version_that_fits_of_everything_that_is_asked_for():
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = asked["project"]
    wanted = [
        *asked["build-system"]["requires"],
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
    ]
    locked = pins("constraints.txt")
    for one in map(Requirement, wanted):
        if one.name == project["name"]:
            continue
        assert one.name in locked, f"constraints.txt has no {one.name}; run `make lock`."
        for pin in locked[one.name]:
            (exact,) = pin.specifier
            assert exact.operator == "=="
            assert one.specifier.contains(exact.version), f"constraints.txt has {pin}, not {one}; run `make lock`."


def test_hosts_are_tested_with_the_same_versions():
    locked, hosts = pins("constraints.txt"), pins("tests/hosts/requirements.txt")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    others = {Requirement(one).name for one in wanted} - {project["name"]}  # its own extras are named by its name
    assert others <= set(hosts), "run `make lock`."
    differing = {name for name in locked.keys() & hosts.keys() if locked[name] != hosts[name]}
    assert not differing, "run `make lock`."
    assert set(pins("tests/hosts/requirements.in")) <= set(hosts), "run `make lock`."


def test_brings_no_cuda():
    for lock in ("constraints.txt", "tests/hosts/requirements.txt"):
        assert not [name for name in pins(lock) if name.startswith("nvidia")]
