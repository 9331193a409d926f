"""Training with a monitor is training without one: weights, random numbers, modes, gradients, hooks, caches."""

from __future__ import annotations

import random

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
import transformers as tf
from torch.utils.data import DataLoader, Dataset

from attnwidget.training import AttentionMonitor, LightningCallback, MonitorCallback
from tests.training.small import PROBE, gpt2, said_twice, t5, train, words

STEPS = 200


def same(one, other):
    return all(map(torch.equal, one.parameters(), other.parameters()))


def test_weights_of_a_plain_loop_are_bit_for_bit_the_same(tmp_path):
    model = gpt2()
    monitor = AttentionMonitor(model, PROBE, every=5, diagnose_every=4, path=tmp_path / "a.jsonl")
    watched = train(model, steps=STEPS, after=lambda step, loss: monitor.step(step, loss=loss), rate=1e-2)
    assert same(train(gpt2(), steps=STEPS, rate=1e-2), watched)
    assert monitor.history.steps == list(range(0, STEPS, 5))
    assert watched.training


class Texts(Dataset):
    def __init__(self):
        draw = torch.Generator().manual_seed(1)
        self.rows = torch.cat([words(draw)["input_ids"] for _ in range(STEPS // 2)])

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, at):
        return {"input_ids": self.rows[at], "labels": self.rows[at]}


def trained_by_trainer(folder, callbacks=lambda model: []):
    model = gpt2()
    given = tf.TrainingArguments(
        str(folder), max_steps=STEPS, per_device_train_batch_size=4, report_to=[], use_cpu=True, seed=3,
        disable_tqdm=True, save_strategy="no", logging_strategy="no",
    )  # fmt: skip
    tf.Trainer(model, given, train_dataset=Texts(), callbacks=callbacks(model)).train()
    return model


def test_a_trainer_trains_the_same(tmp_path):
    monitors = []

    def callbacks(model):
        monitors.append(AttentionMonitor(model, PROBE, every=20))
        return [MonitorCallback(monitors[0])]

    assert same(trained_by_trainer(tmp_path / "a"), trained_by_trainer(tmp_path / "b", callbacks))
    assert monitors[0].history.steps == list(range(0, STEPS + 1, 20))


class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.model = gpt2()

    def training_step(self, batch, _):
        return self.model(**batch).loss

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


def trained_by_lightning(folder, callbacks=lambda module: [], **options):
    torch.manual_seed(3)
    module = Module()
    trainer = pl.Trainer(
        accelerator="cpu", max_steps=STEPS, logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, default_root_dir=folder, callbacks=callbacks(module), **options,
    )  # fmt: skip
    trainer.fit(module, DataLoader(Texts(), batch_size=4, shuffle=True))
    return module, trainer


@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers", "ignore:.*isinstance.*treespec")
def test_lightning_trains_the_same(tmp_path):
    monitors = []

    def callbacks(module):
        monitors.append(AttentionMonitor(module.model, PROBE, every=20))
        return [LightningCallback(monitors[0])]

    assert same(trained_by_lightning(tmp_path)[0], trained_by_lightning(tmp_path, callbacks)[0])
    assert monitors[0].history.steps == list(range(0, STEPS + 1, 20))


@pytest.mark.parametrize("make", [gpt2, t5])
def test_nothing_of_the_model_and_of_the_process_is_changed(make):
    model = make()
    probe = {"input_ids": PROBE, "labels": PROBE} if make is t5 else PROBE
    monitor = AttentionMonitor(model, probe, every=1)
    model.train()
    next(model.children()).eval()  # a part that is frozen, as people do
    model(**said_twice(torch.Generator())).loss.backward()

    def state():
        torch_state = torch.get_rng_state()
        return {
            "modes": [module.training for module in model.modules()],
            "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
            "requires": [p.requires_grad for p in model.parameters()],
            "random": [random.getstate(), np.random.get_state()[1].tolist(), torch_state.tolist()],  # noqa: NPY002
            "hooks": [[*m._forward_hooks, *m._forward_pre_hooks, *m._backward_hooks] for m in model.modules()],
            "buffers": [b.clone() for b in model.buffers()],
            "config": str(model.config),
            "attention": model.config._attn_implementation,
            "gradient mode": torch.is_grad_enabled(),
        }

    before = state()
    for step in range(3):
        monitor.step(step)
        now = state()
        for name in before:
            if name in {"gradients", "buffers"}:
                assert all(
                    (a is None and b is None) or torch.equal(a, b) for a, b in zip(before[name], now[name], strict=True)
                )
            else:
                assert now[name] == before[name], name


def test_the_cache_of_autocast_holds_no_weight_without_a_gradient():
    def gradients(*, watched):
        model = gpt2(dropout=0)
        monitor = AttentionMonitor(model, PROBE, every=1)
        with torch.autocast("cpu", torch.bfloat16):
            if watched:
                monitor.step()
            loss = model(**said_twice(torch.Generator().manual_seed(0))).loss
        loss.backward()
        return [p.grad for p in model.parameters()]

    assert all(map(torch.equal, gradients(watched=False), gradients(watched=True)))


def test_a_model_that_is_frozen_in_parts_stays_so():
    model = gpt2()
    for parameter in model.transformer.h[0].parameters():
        parameter.requires_grad_(False)
    AttentionMonitor(model, PROBE).step()
    assert not any(p.requires_grad for p in model.transformer.h[0].parameters())
    assert all(p.requires_grad for p in model.transformer.h[1].parameters())
