"""What is read again is what a capture reads, number for number, for every kind of model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import attnwidget as aw
from attnwidget import demo
from attnwidget.capturing import again
from attnwidget.measures.table import HEAD_MEASURES, head_measures
from attnwidget.training import AttentionMonitor
from tests.training import small
from tests.training.small import PROBE, gpt2, llama

TEXTS = ["Lily and Ben went to the park .", "Lily and Ben"]


def date():
    model, tokenizer = demo.load("translator")
    (one,) = demo.dates(1)
    labels = tokenizer(one.iso, return_tensors="pt")["input_ids"]
    return model, {**tokenizer(one.written, return_tensors="pt"), "labels": labels}, tokenizer


def digit():
    model, processor = demo.load("digits")
    return model, processor(demo.digit_images()[0][3], return_tensors="pt"), processor


# fmt: off
KINDS = {
    "positions": lambda: (gpt2(), PROBE, None),
    "rotary, keys shared": lambda: (llama(keys=2), PROBE, None),
    "an encoder, padded": lambda: (*(of := demo.load("reader"))[:1], TEXTS, of[1]),
    "a decoder, padded": lambda: (*(of := demo.load())[:1], TEXTS, of[1]),
    "an encoder and a decoder": date,
    "relative positions": lambda: (small.t5(), small.probe_of(small.t5(), small.backwards), None),
    "a picture": digit,
}
# fmt: on


@pytest.fixture
def captures(monkeypatch):
    """Counts the captures of the slow kind."""
    made = []
    monkeypatch.setattr(again, "capture", lambda *given, **how: made.append(1) or aw.capture(*given, **how))
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_those_of_a_capture(kind, captures):
    model, inputs, tokenizer = KINDS[kind]()
    monitor = AttentionMonitor(model, inputs, tokenizer, measures=list(HEAD_MEASURES), diagnose_every=1)
    first = monitor.read(0)
    with torch.no_grad():  # it trains
        for parameter in model.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    reading = monitor.read(1)
    run = aw.capture(model, inputs, tokenizer, progress=False)
    assert len(captures) == 1
    for name, numbers in reading.numbers.items():
        found = [head_measures(one.by_name[name]) for one in run]
        for measure, values in numbers.items():
            several = np.stack([one[measure].double().numpy() for one in found])
            if measure == "score_max":
                expected = several.max(0)
            elif measure == "sink_key":
                least, largest = np.fmin.reduce(several), np.fmax.reduce(several)
                expected = np.where(least == largest, least, np.nan)
            else:
                there = ~np.isnan(several)
                expected = np.where(there, several, 0).sum(0) / there.sum(0).clip(1)
                expected = np.where(there.any(0), expected, np.nan)
            np.testing.assert_array_equal(values, expected, err_msg=f"{name} {measure}")
        assert not np.array_equal(numbers["entropy"], first.numbers[name]["entropy"])
    assert reading.findings == list(dict.fromkeys(one.name for each in run for one in aw.diagnose(each)))


class Own(nn.Module):
    """A module that multiplies by itself, which nothing but a capture can follow."""

    def __init__(self):
        super().__init__()
        self.heads, self.table, self.to_qkv = 4, nn.Embedding(50, 32), nn.Linear(32, 96)

    def forward(self, input_ids):
        """Attend."""
        q, k, v = (t.unflatten(-1, (4, 8)).transpose(1, 2) for t in self.to_qkv(self.table(input_ids)).chunk(3, -1))
        return ((q @ k.mT / 8**0.5).softmax(-1) @ v).transpose(1, 2).flatten(2)


def test_a_module_of_ones_own_is_captured_each_time(captures):
    monitor = AttentionMonitor(Own(), {"input_ids": PROBE}, every=1)
    for step in range(3):
        monitor.step(step)
    assert len(captures) == 3
    assert monitor.history[2].numbers["attention"]["entropy"].shape == (1, 4)


def test_a_model_that_changes_its_attention_on_the_way_is_looked_at_anew(captures):
    model = gpt2()
    monitor = AttentionMonitor(model, PROBE, every=1)
    for step in range(2):
        monitor.step(step)
    model.transformer.h = model.transformer.h[:1]  # layers are dropped
    for step in range(2, 4):
        monitor.step(step)
    assert len(captures) == 2
    assert [reading.shapes["attention"] for reading in monitor.history] == [(2, 2), (2, 2), (1, 2), (1, 2)]


def test_layers_have_the_numbers_that_they_have_in_the_model():
    import transformers as tf

    torch.manual_seed(0)
    model = tf.JambaForCausalLM(
        tf.JambaConfig(
            vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=2, attn_layer_period=2, attn_layer_offset=1, expert_layer_period=2, num_experts=2,
            num_experts_per_tok=1, mamba_d_state=4, mamba_dt_rank=4, use_mamba_kernels=False, pad_token_id=0,
        )
    )  # fmt: skip
    monitor = AttentionMonitor(model, PROBE, measures=["entropy"])
    monitor.step()
    history = monitor.history
    assert history[0].layers == {"attention": [1, 3]}
    assert history.curve("entropy", layer=3, head=0) == history[0].numbers["attention"]["entropy"][1, 0]
    assert sorted(set(history.to_frame().index.get_level_values("layer"))) == [1, 3]
    with pytest.raises(IndexError, match=r"no head 0.0 in 'attention': it has layers 1, 3 of 4 heads"):
        history.curve("entropy", layer=0, head=0)
