"""The vectors that the front end is tested with are what the kernel sends today."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from tests.widget.answers.reading import opened
from tests.widget.vectors import FILE, layers, vectors, written

WRITTEN = {case["name"]: case for case in json.loads(FILE.read_text())}


@pytest.mark.parametrize("case", vectors(), ids=lambda case: case["name"])
def test_the_file_is_what_would_be_written_today(case):
    known = WRITTEN[case["name"]]
    if case["header"]["form"] == "projections":
        assert known == json.loads(written([case]))[0], "run python -m tests.widget.vectors"
        return
    # The last bit of an exponential is the processor's own.
    steps = {"low": pytest.approx(case["header"]["low"]), "step": pytest.approx(case["header"]["step"])}
    assert known["header"] == case["header"] | steps
    for one in (known, case):
        buffers = [base64.b64decode(buffer) for buffer in one["buffers"]]
        for what, values in zip(("weights", "missing", "entropy"), opened(one["header"], buffers), strict=True):
            np.testing.assert_allclose(values, np.array(known[what], dtype=float), atol=1e-4)


def test_it_holds_every_form_and_is_small():
    assert list(WRITTEN) == list(layers())
    headers = [case["header"] for case in WRITTEN.values()]
    assert {header["form"] for header in headers} == {"projections", "codes"}
    assert {header.get("dtype") for header in headers} == {"float32", "float16", "bfloat16", None}
    assert {header.get("mask_heads") for header in headers} == {None, 1, 2}
    assert [header["triangle"] for header in headers if header["form"] == "codes"] == [True, False, True]
    assert FILE.stat().st_size < 60_000


@pytest.mark.parametrize("name", [name for name, case in WRITTEN.items() if case["header"]["form"] == "projections"])
def test_its_weights_are_those_of_the_maps(name):
    layer = layers()[name]
    heads, queries, _ = layer.shape
    weights = layer.weights(slice(0, heads), slice(0, queries))
    np.testing.assert_allclose(WRITTEN[name]["weights"], weights.numpy(), atol=1e-6)
