"""The same survey on threads, on processes, and on a Dask cluster, also when a worker dies in the middle."""

from __future__ import annotations

import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.surveying import rows
from tests.surveying import making

TEXTS = aw.demo.sentences(60)
STORYTELLER = aw.demo.folder("storyteller")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Many chunks of few texts; the data is cut here, so that workers need not know."""
    monkeypatch.setattr(rows, "CHUNK", 8)


@pytest.fixture(scope="module")
def wanted():
    return aw.survey(STORYTELLER, None, TEXTS, progress=False, labels=making.by_length, by=len)


def survey(model, tokenizer, executor, **options):
    return aw.survey(
        model, tokenizer, TEXTS, progress=False, labels=making.by_length, by=len, executor=executor, **options
    )


def spawned(workers=2):
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def assert_same(found, wanted):
    assert found.count == wanted.count
    assert found.sizes == wanted.sizes
    for statistic in ("count", "mean", "std", 0.5):
        for name, array in wanted.arrays(statistic).items():
            np.testing.assert_allclose(found.arrays(statistic)[name], array, rtol=1e-5, atol=1e-6)
    assert found.examples(1, 2, "sink").largest[0].text == wanted.examples(1, 2, "sink").largest[0].text
    np.testing.assert_allclose(found.between.mass, wanted.between.mass, atol=1e-6)


def test_threads_share_the_model(wanted):
    model, tokenizer = aw.demo.load()
    with ThreadPoolExecutor(3) as pool:
        assert_same(survey(model, tokenizer, pool), wanted)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_processes_load_a_folder_or_are_sent_the_model_once(wanted):
    model, tokenizer = aw.demo.load()
    with spawned() as pool:
        assert_same(survey(STORYTELLER, None, pool), wanted)
        assert_same(survey(model, tokenizer, pool), wanted)
        assert_same(survey(making.storyteller, None, pool), wanted)


def test_a_process_that_dies_leaves_what_was_done_and_it_goes_on(wanted, tmp_path):
    with spawned(1) as pool:

        def killing():
            for number, text in enumerate(TEXTS):
                if number == 40:  # the first chunks are done by the time that this one is asked for
                    os.kill(next(iter(pool._processes)), signal.SIGKILL)
                yield text

        with pytest.warns(aw.AttentionWarning, match="a worker died"):
            found = aw.survey(
                STORYTELLER, None, killing(), progress=False, labels=making.by_length, by=len, executor=pool,
                folder=tmp_path,
            )  # fmt: skip
    assert 0 < found.count < 60
    assert "call survey again with folder=" in found.reason
    assert aw.Survey.load(tmp_path).count == found.count
    assert_same(survey(STORYTELLER, None, None, folder=tmp_path), wanted)


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as made,
        distributed.Client(made) as client,
    ):
        yield client


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_dask_with_several_processes(cluster, wanted):
    assert_same(survey(STORYTELLER, None, cluster), wanted)
    model, tokenizer = aw.demo.load()
    assert_same(survey(model, tokenizer, cluster), wanted)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_dask_worker_that_is_killed_costs_nothing(cluster, wanted):
    pids = list(cluster.run(os.getpid).values())

    def killing():
        for number, text in enumerate(TEXTS):
            if number == 24:
                os.kill(pids[0], signal.SIGKILL)
            yield text

    found = aw.survey(
        STORYTELLER, None, killing(), progress=False, labels=making.by_length, by=len, executor=cluster
    )  # fmt: skip
    assert not found.reason
    assert_same(found, wanted)


def test_what_cannot_be_sent_is_told_with_the_way_out():
    class Own(torch.nn.Module):
        def forward(self, input_ids):
            return input_ids

    with spawned(1) as pool:
        with pytest.raises(ValueError, match=r"Own cannot be sent to another process.*a function without arguments"):
            aw.survey(Own(), aw.demo.load()[1], TEXTS, executor=pool, progress=False)
        with pytest.raises(ValueError, match="labels= cannot be sent to another process"):
            aw.survey(STORYTELLER, None, TEXTS, executor=pool, labels=lambda tokens: tokens, progress=False)
    with pytest.raises(TypeError, match=r"executor is int; expected one of concurrent\.futures"):
        aw.survey(STORYTELLER, None, TEXTS, executor=4, progress=False)


def test_an_error_in_a_worker_is_told():
    with spawned(1) as pool, pytest.raises(ValueError, match="cannot be loaded"):
        aw.survey("no-such-model", None, TEXTS, executor=pool, progress=False)
