"""Callbacks save a checkpoint and stop where a rule says so, and take a training up again."""

from __future__ import annotations

import sys
from pathlib import Path

import lightning.pytorch as pl
import pytest
import pytorch_lightning
import torch
import transformers as tf
from torch.utils.data import DataLoader

from attnwidget import training
from attnwidget.training import AttentionMonitor, History, LightningCallback, MonitorCallback
from tests.training.small import PROBE, gpt2, words

pytestmark = pytest.mark.filterwarnings(
    "ignore:The 'train_dataloader' does not have many workers", "ignore:.*isinstance.*treespec", "ignore:Checkpoint dir"
)
DRAW = torch.Generator().manual_seed(1)
ROWS = [{name: value[0] for name, value in words(DRAW, 1).items()} for _ in range(64)]


class Breaking(tf.TrainerCallback):
    """Breaks the model after a step."""

    def __init__(self, model, at):
        self.model, self.at = model, at

    def on_step_end(self, args, state, control, **_):
        """Break it."""
        if state.global_step == self.at:
            broken(self.model)


def broken(model):
    with torch.no_grad():
        model.transformer.h[1].attn.c_attn.weight[0] = torch.nan


def test_a_trainer_saves_and_stops_and_goes_on_in_the_same_file(tmp_path):
    def trained(model, folder, steps, callbacks, **how):
        given = tf.TrainingArguments(
            str(folder), max_steps=steps, per_device_train_batch_size=4, report_to=[], use_cpu=True, disable_tqdm=True,
            save_strategy="steps", save_steps=6, logging_strategy="no",
        )  # fmt: skip
        trainer = tf.Trainer(model, given, train_dataset=ROWS, callbacks=callbacks)
        trainer.train(**how)
        return trainer

    path, model = tmp_path / "a.jsonl", gpt2()
    trained(model, tmp_path, 8, [MonitorCallback(AttentionMonitor(model, PROBE, every=2, path=path))])
    model = gpt2()
    monitor = AttentionMonitor(model, PROBE, every=2, path=path, stop_on=["nan"], on_alert=lambda alert: None)
    again = [Breaking(model, 11), MonitorCallback(monitor)]
    trainer = trained(model, tmp_path, 30, again, resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    assert History.load(path).steps == [0, 2, 4, 6, 8, 10, 12]
    assert trainer.state.global_step == 12
    assert (tmp_path / "checkpoint-12").is_dir()
    assert monitor.stopped.step == 12


def parts_of(package):
    """A module, and what breaks it, of one of Lightning's two names."""

    class Module(package.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = gpt2()

        def training_step(self, batch, _):
            return self.model(**batch).loss

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=1e-3)

    class Breaking(package.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            if trainer.global_step == 5:
                broken(module.model)

    return Module(), Breaking()


@pytest.mark.parametrize("package", [pl, pytorch_lightning])
def test_lightning_saves_and_stops_under_both_its_names(package, tmp_path):
    module, breaking = parts_of(package)
    path = tmp_path / "a.jsonl"
    monitor = AttentionMonitor(module.model, PROBE, every=1, path=path, stop_on=["nan"], on_alert=lambda alert: None)
    callback = LightningCallback(monitor)
    trainer = package.Trainer(
        accelerator="cpu", max_steps=40, logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=tmp_path, callbacks=[breaking, callback],
    )  # fmt: skip
    first = module.model.transformer.h[0].attn.c_attn.weight.detach().clone()
    trainer.fit(module, DataLoader(ROWS, batch_size=4))
    assert (monitor.stopped.rule, monitor.stopped.step, trainer.global_step) == ("nan", 5, 5)
    assert callback.saved.name == "attention-nan-step=5.ckpt"
    assert callback.saved.parent in {Path(trainer.checkpoint_callback.dirpath), tmp_path}
    kept = torch.load(callback.saved, weights_only=True)["state_dict"]
    assert not torch.equal(kept["model.transformer.h.0.attn.c_attn.weight"], first)
    assert History.load(path).steps == list(range(6))


def test_without_lightning_it_says_what_to_install(monkeypatch):
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "attnwidget.training.lightning")
    with pytest.raises(ImportError, match="LightningCallback needs Lightning, which is not installed: pip install"):
        _ = training.LightningCallback
    assert training.MonitorCallback is MonitorCallback
