"""Two processes of one training: numbers are reduced, one writes, and both decide alike."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attnwidget.training import History
from attnwidget.training.reducing import reduced

ROOT = Path(__file__).parent.parent.parent
RANK = """
import json, sys, warnings
from pathlib import Path
import torch
import torch.distributed as dist
torch.set_num_threads(1)
from attnwidget.training import AttentionMonitor
from tests.training.small import PROBE, gpt2

rank, port, folder = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)


def run(case):
    failed, saved, own = "", [], {}
    model = gpt2(rank)  # weights of its own, so that there is something to reduce
    apart = case.startswith("apart")  # disks of their own, or a shared one
    path = folder / (f"apart {rank}.jsonl" if apart else f"{case}.jsonl")
    if case == "apart again" and rank == 0:
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        monitor = AttentionMonitor(model, PROBE, every=1, path=path, stop_on=["nan"], save=lambda: saved.append(1))
        for step in range(4):
            if case == "nan" and rank == 1 and step == 2:
                with torch.no_grad():
                    model.transformer.h[1].attn.c_attn.weight[:] = torch.nan
            if case == "fails" and rank == 1 and step == 2:
                model.transformer.wte = None
            try:
                if monitor.step(step, loss=float(rank)):
                    break
            except Exception as error:
                failed = f"{type(error).__name__}: {error}"
                break
    if case == "plain":
        numbers = monitor._probe.measure(monitor._probe.look(model))["attention"]
        own = {name: values.tolist() for name, values in numbers.items()}
    last = monitor.history[-1]
    return {
        "steps": monitor.history.steps, "stopped": str(monitor.stopped), "saved": len(saved), "failed": failed,
        "said": [str(one.message) for one in warned if "attention on the probe" in str(one.message)],
        "own": own, "reading": {name: values.tolist() for name, values in last.numbers["attention"].items()},
        "logged": last.logged, "wrote": path.stat().st_size,
    }


cases = ("plain", "nan", "fails", "apart", "apart again")
(folder / f"{rank}.json").write_text(json.dumps({case: run(case) for case in cases}))
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where two processes have trained together."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = str(one.getsockname()[1])
    both = [subprocess.Popen([sys.executable, "-c", RANK, str(rank), port, str(folder)], cwd=ROOT) for rank in range(2)]
    assert [one.wait(timeout=300) for one in both] == [0, 0]
    return folder


def ranks(folder, case):
    """What the two have to say of a training."""
    return [json.loads((folder / f"{rank}.json").read_text())[case] for rank in range(2)]


def test_numbers_of_two_ranks_are_reduced_and_one_writes(folder):
    first, second = ranks(folder, "plain")
    assert first["reading"] == second["reading"]
    assert first["logged"] == second["logged"] == {"loss": 0.5}
    for name, values in first["reading"].items():
        several = np.array([first["own"][name], second["own"][name]])
        expected = several.max(0) if name == "score_max" else several.mean(0)
        np.testing.assert_allclose(values, expected, rtol=1e-12)
    assert not np.allclose(first["own"]["entropy"], second["own"]["entropy"], rtol=1e-9)
    assert History.load(folder / "plain.jsonl").steps == [0, 1, 2, 3]


def test_nan_on_one_rank_stops_both_and_one_warns(folder):
    first, second = ranks(folder, "nan")
    assert first["stopped"] == second["stopped"]
    assert first["stopped"].endswith("heads 1.0, 1.1 have no entropy: their weights hold NaN, on rank 1")
    assert first["steps"] == second["steps"] == [0, 1, 2]
    assert (len(first["said"]), len(second["said"])) == (1, 0)
    assert (first["saved"], second["saved"]) == (1, 1)
    assert History.load(folder / "nan.jsonl")[-1].alerts == [first["stopped"]]


def test_a_rank_that_fails_leaves_no_other_waiting(folder):
    first, second = ranks(folder, "fails")
    assert first["failed"].startswith("RuntimeError: the probe cannot be read on rank 1: ")
    assert second["failed"]
    assert first["steps"] == second["steps"] == [0, 1]


def test_ranks_with_disks_of_their_own_go_on_with_what_the_first_has(folder):
    assert [one["steps"] for one in ranks(folder, "apart")] == [[0, 1, 2, 3]] * 2
    first, second = ranks(folder, "apart again")  # the first file was cut to two readings
    assert first["steps"] == second["steps"] == [0, 1, 2, 3]
    assert second["wrote"] == 0
    assert History.load(folder / "apart 0.jsonl").steps == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("measure", "expected"),
    [("score_max", [2.0, 5.0, np.nan]), ("sink_key", [np.nan, 5.0, np.nan]), ("entropy", [1.5, 5.0, np.nan])],
)
def test_what_is_no_number_on_one_rank_counts_in_no_mean(measure, expected):
    one, other = np.array([[1.0, 5.0, np.nan]]), np.array([[2.0, np.nan, np.nan]])
    made = reduced([{"a": {measure: one}}, {"a": {measure: other}}])["a"][measure]
    np.testing.assert_array_equal(made, [expected])


def test_ranks_of_different_models_are_refused():
    with pytest.raises(ValueError, match=r"\[1, 2\], \[2, 2\] layers and heads, and they cannot be made one"):
        reduced([{"a": {"entropy": np.zeros((1, 2))}}, {"a": {"entropy": np.zeros((2, 2))}}])
