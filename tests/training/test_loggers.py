"""Readings in TensorBoard, wandb and MLflow: the real ones, in folders of their own, without a network."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from attnwidget.intake import AttentionWarning
from attnwidget.training import AttentionMonitor
from attnwidget.training.loggers import scalars
from tests.training.small import PROBE, gpt2, t5

MEASURES = ["entropy", "mass on start"]
MEAN = "attention_entropy/layer_1_mean"


def watched(to, steps=(0, 10, 20), **how):
    """A monitor that told of three readings, and the means of the last layer."""
    monitor = AttentionMonitor(
        gpt2(), PROBE, every=10, to=to, measures=MEASURES, spans={"start": (0, 2)}, alert=["nan"], **how
    )
    for step in steps:
        monitor.step(step)
    means = [one.numbers["attention"]["entropy"][1].mean() for one in monitor.history]
    return monitor, means


def test_tensorboard_gets_layers_alerts_and_heads_where_asked(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        monitor, means = watched(writer, log_heads=True)
        events = EventAccumulator(str(tmp_path))
        events.Reload()  # while the writer is open: a crash would lose nothing
    said = events.Scalars(MEAN)
    assert [one.step for one in said] == [0, 10, 20]
    np.testing.assert_allclose([one.value for one in said], means, rtol=1e-6)
    tags = set(events.Tags()["scalars"])
    kinds = ("mean", "min", "max", "head_0", "head_1")
    groups = ("attention_entropy", "attention_mass_on_start")
    expected = {f"{group}/layer_{layer}_{kind}" for group in groups for layer in range(2) for kind in kinds}
    assert tags == {*expected, "attention_alert/nan"}
    assert "layer_0_head" not in str(scalars(monitor.history[0]))


def test_tensorboard_by_name_writes_where_it_always_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    watched("tensorboard")
    assert list(tmp_path.glob("runs/*/events.out.tfevents.*"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb.*", "ignore::ResourceWarning")
@pytest.mark.parametrize("by_name", [True, False])
def test_wandb_gets_them_beside_what_others_log(by_name, tmp_path, monkeypatch):
    import wandb

    monkeypatch.setenv("WANDB_SILENT", "true")
    run = wandb.init(mode="offline", dir=str(tmp_path), project="attention")
    try:
        for step in range(15):
            run.log({"loss": 1.0}, step=step)  # ahead of the readings' steps at first
        _, means = watched("wandb" if by_name else run)
        run.log({"loss": 0.5}, step=21)  # what others log goes on
        assert run.summary["attention_step"] == 20
        assert run.summary[MEAN] == pytest.approx(means[-1])
        assert run.step == 21
    finally:
        run.finish()
    assert list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))


def test_wandb_without_a_run_is_told_before_training():
    monitor = AttentionMonitor(gpt2(), PROBE, to="wandb")
    with pytest.raises(ValueError, match=r"no run is active; call wandb.init\(\)"):
        monitor.step(0)
    assert len(monitor.history) == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("by_name", [True, False])
def test_mlflow_gets_them_in_the_active_run(by_name, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    import mlflow

    mlflow.set_tracking_uri(f"file:{tmp_path}")
    mlflow.set_experiment("attention")
    with mlflow.start_run() as run:
        _, means = watched("mlflow" if by_name else run)
    told = mlflow.MlflowClient().get_metric_history(run.info.run_id, MEAN)
    assert [one.step for one in told] == [0, 10, 20]
    np.testing.assert_allclose([one.value for one in told], means)


def test_several_maps_have_their_names_in_front():
    probe = {"input_ids": PROBE, "labels": PROBE}
    reading = AttentionMonitor(t5(), probe, measures=["entropy"]).read(0)
    names = scalars(reading, ["nan", "collapse"])
    assert {"attention_entropy/cross_layer_1_max", "attention_entropy/encoder_layer_0_min"} < set(names)
    assert names["attention_alert/nan"] == 0
    values = reading.numbers["cross"]["entropy"][1]
    assert names["attention_entropy/cross_layer_1_max"] == values.max()


@pytest.mark.filterwarnings("ignore:attention. the queries")
def test_a_broken_rule_is_a_number_there_and_what_is_nan_is_left_out():
    model = gpt2()
    with torch.no_grad():
        model.transformer.h[1].attn.c_attn.weight[:] = torch.nan
    reading = AttentionMonitor(model, PROBE, measures=["entropy"], on_alert=lambda alert: None).read(0)
    names = scalars(reading, ["nan", "collapse"])
    assert names["attention_alert/nan"] == 1
    assert names["attention_alert/collapse"] == 0
    assert "attention_entropy/layer_0_mean" in names
    assert MEAN not in names


class Failing:
    """A writer that cannot write."""

    def add_scalar(self, *_):
        """Fail."""
        raise OSError("disk quota exceeded")


def test_a_logger_that_fails_is_told_once_and_training_goes_on():
    with pytest.warns(AttentionWarning, match="TensorBoard does not take readings .OSError: disk quota") as said:
        monitor, _ = watched(Failing())
    assert len(said) == 1
    assert monitor.history.steps == [0, 10, 20]


@pytest.mark.parametrize(
    ("to", "error", "why"),
    [
        ("comet", ValueError, "to='comet' is not known; there are 'tensorboard', 'wandb', 'mlflow'"),
        ([3], TypeError, "to holds int; expected"),
    ],
)
def test_what_is_no_place_to_write_to_is_refused(to, error, why):
    with pytest.raises(error, match=why):
        AttentionMonitor(gpt2(), PROBE, to=to)


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_library_that_is_missing_is_named(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(ImportError, match=f"to='{name}' needs {name}, which is not installed: pip install {name}."):
        AttentionMonitor(gpt2(), PROBE, to=[name])
