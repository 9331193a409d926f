"""Training with a monitor is training without one; readings survive crashes; broken trainings are told."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
import transformers as tf

import attnwidget as aw
from attnwidget import demo
from attnwidget.training import AttentionMonitor, History
from attnwidget.training.callbacks import MonitorCallback

PROBE = torch.tensor([[5, 9, 5, 9, 5, 7, 8, 5, 9]])


def model_of(dropout=0.1):
    torch.manual_seed(0)
    return tf.GPT2LMHeadModel(
        tf.GPT2Config(
            vocab_size=50,
            n_embd=32,
            n_layer=2,
            n_head=2,
            n_positions=64,
            bos_token_id=0,
            eos_token_id=0,
            attn_pdrop=dropout,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
        )
    )


def batches(n):
    made = torch.Generator().manual_seed(1)
    return [torch.randint(0, 50, (4, 16), generator=made) for _ in range(n)]


def train(model, steps, watch=lambda step, loss: False, rate=1e-2):
    """A plain loop, with dropout."""
    torch.manual_seed(7)
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    for step, batch in enumerate(batches(steps)):
        loss = model(input_ids=batch, labels=batch).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if watch(step, float(loss.detach())):
            break
    return model


def test_weights_are_bit_for_bit_those_without_it(tmp_path):
    plain = train(model_of(), 60)
    model = model_of()
    monitor = AttentionMonitor(model, PROBE, every=5, path=tmp_path / "a.jsonl")
    watched = train(model, 60, lambda step, loss: monitor.step(step, loss=loss))
    for one, other in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(one, other)
    assert monitor.history.steps == list(range(0, 60, 5))
    assert watched.training


class Texts(torch.utils.data.Dataset):
    def __init__(self):
        self.rows = torch.cat(batches(20))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, at):
        return {"input_ids": self.rows[at], "labels": self.rows[at]}


def trained_by_trainer(folder, callbacks=()):
    model = model_of()
    given = tf.TrainingArguments(
        str(folder), max_steps=20, per_device_train_batch_size=4, report_to=[], use_cpu=True, seed=3, disable_tqdm=True,
        save_strategy="no", logging_strategy="no",
    )  # fmt: skip
    tf.Trainer(model, given, train_dataset=Texts(), callbacks=[make(model) for make in callbacks]).train()
    return model


def test_a_trainer_trains_the_same_with_it(tmp_path):
    monitors = []

    def make(model):
        monitors.append(AttentionMonitor(model, PROBE, every=4))
        return MonitorCallback(monitors[0])

    plain, watched = trained_by_trainer(tmp_path / "a"), trained_by_trainer(tmp_path / "b", [make])
    for one, other in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(one, other)
    assert monitors[0].history.steps == [0, 4, 8, 12, 16, 20]


def test_numbers_are_those_of_a_capture(tmp_path):
    model, tokenizer = demo.load()
    text = "Lily and Ben went to the park . Lily gave the ball to"
    monitor = AttentionMonitor(
        model, text, tokenizer, measures=["entropy", "sink", "mass on names"], spans={"names": (1, 4)}
    )
    reading = monitor.read(3)
    table = aw.summarize(aw.capture(model, text, tokenizer), progress=False)
    np.testing.assert_allclose(reading.numbers["attention"]["entropy"].ravel(), table["entropy"], rtol=1e-5)
    weights = aw.capture(model, text, tokenizer).maps.weights(2, 1)
    assert reading.numbers["attention"]["mass on names"][2, 1] == pytest.approx(
        float(weights[4:, 1:4].sum(-1).mean()), rel=1e-5
    )


def test_a_file_goes_on_after_a_crash_in_the_middle_of_a_line(tmp_path):
    path, model = tmp_path / "a.jsonl", model_of()
    monitor = AttentionMonitor(model, PROBE, every=1, path=path)
    for step in range(3):
        monitor.step(step, loss=1.5)
    with path.open("a") as file:
        file.write('{"format": 1, "step": 3, "numb')
    assert History.load(path).steps == [0, 1, 2]
    again = AttentionMonitor(model, PROBE, every=1, path=path)
    for step in range(2, 5):  # a resumed run may begin a little before
        again.step(step)
    assert History.load(path).steps == [0, 1, 2, 3, 4]
    assert again.history.steps == [0, 1, 2, 3, 4]
    assert History.load(path)[0].logged == {"loss": 1.5}
    one = History.load(path).curve("entropy", layer=1, head=1)
    np.testing.assert_allclose(one, monitor.history[0].numbers["attention"]["entropy"][1, 1], rtol=1e-5)
    assert list(History.load(path).to_frame().index.names) == ["step", "map", "layer", "head"]


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"loss": 1}) + "\n" + json.dumps({"loss": 2}) + "\n")
    with pytest.raises(ValueError, match="line 1 of"):
        AttentionMonitor(model_of(), PROBE, path=path)
    with pytest.raises(FileNotFoundError, match="AttentionMonitor wrote"):
        History.load(tmp_path / "none.jsonl")


def told(model, steps=200, **asked):
    """Rules that come up while a model trains."""
    alerts = []
    monitor = AttentionMonitor(model, PROBE, every=10, on_alert=alerts.append, **asked)
    return model, monitor, alerts


def test_an_exploding_score_is_a_collapse():
    model, monitor, alerts = told(model_of())

    def watch(step, _loss):
        with torch.no_grad():  # as a rate that is far too high does
            model.transformer.h[0].attn.c_attn.weight[:, :64] *= 1.2
            model.transformer.h[1].attn.c_attn.weight[:, :64] *= 1.2
        return monitor.step(step)

    train(model, 60, watch)
    assert "collapse" in {alert.rule for alert in alerts}


def test_keys_that_vanish_are_told_as_uniform():
    model = model_of()
    with torch.no_grad():  # heads that look somewhere
        for block in model.transformer.h:
            block.attn.c_attn.weight[:, :64] *= 30
    model, monitor, alerts = told(model)

    def watch(step, _loss):
        with torch.no_grad():
            for block in model.transformer.h:
                block.attn.c_attn.weight[:, 32:64] *= 0.5
                block.attn.c_attn.bias[32:64] *= 0.5
        return monitor.step(step)

    train(model, 30, watch)
    assert "uniform" in {alert.rule for alert in alerts}


@pytest.mark.filterwarnings("ignore:attention. the queries", "ignore:.*NaN")
def test_nan_stops_the_training_with_a_checkpoint_first():
    saved = []
    model = model_of()
    monitor = AttentionMonitor(
        model, PROBE, every=1, on_alert=lambda alert: None, stop_on=["nan"],
        save=lambda: saved.append(copy.deepcopy(model.state_dict())),
    )  # fmt: skip
    steps = []

    def watch(step, _loss):
        steps.append(step)
        if step == 5:
            with torch.no_grad():
                model.transformer.h[1].attn.c_attn.weight[0, 0] = float("nan")
        return monitor.step(step)

    train(model, 30, watch)
    assert steps[-1] == 5
    assert monitor.stopped.rule == "nan"
    assert len(saved) == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_training_is_left_in_peace(seed):
    torch.manual_seed(seed)
    model = model_of()
    monitor = AttentionMonitor(model, PROBE, every=10, on_alert=lambda alert: pytest.fail(str(alert)),
                               alert=["nan", "collapse", "uniform", "sinks", "dying"])  # fmt: skip
    train(model, 60, lambda step, loss: monitor.step(step), rate=1e-3)
    assert len(monitor.history) == 6


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"every": 0}, "every=0"),
        ({"measures": ["entropie"]}, "no measure 'entropie'"),
        ({"measures": ["mass on anchor"]}, "span that is not known"),
        ({"alert": ["explosion"]}, "no rule 'explosion'"),
    ],
)
def test_what_is_not_known_is_refused(asked, why):
    with pytest.raises(ValueError, match=why):
        AttentionMonitor(model_of(), PROBE, **asked)


def test_a_probe_that_is_longer_than_the_model_is_told():
    with pytest.raises(ValueError, match="100 tokens long and the model has positions for 64"):
        AttentionMonitor(model_of(), torch.zeros(1, 100, dtype=torch.long))


def test_a_model_that_is_none_is_refused():
    with pytest.raises(TypeError, match="expected the module"):
        AttentionMonitor("gpt2", PROBE)
