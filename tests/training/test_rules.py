"""Broken trainings are told by their rules within 200 steps; healthy ones are left in peace."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from attnwidget.intake import AttentionWarning
from attnwidget.training import AttentionMonitor
from tests.training import small
from tests.training.small import PROBE, alerts_of, gpt2, llama, said_twice, train

ALL = ("nan", "collapse", "uniform", "sinks", "dying")


class SoftPrompt(nn.Module):
    """A model with a learned prefix, whose mask may forget it."""

    def __init__(self, model, length=4):
        super().__init__()
        self.model, self.seen = model, 1
        self.prompt = nn.Parameter(0.02 * torch.randn(length, model.config.hidden_size))

    def forward(self, input_ids, labels=None):
        """Read the prefix, then the words."""
        rows, n = len(input_ids), len(self.prompt)
        words = self.model.get_input_embeddings()(input_ids)
        embeddings = torch.cat([self.prompt.expand(rows, -1, -1), words], 1)
        mask = torch.ones(embeddings.shape[:2], dtype=torch.long)
        mask[:, :n] = self.seen
        if labels is not None:
            labels = torch.cat([torch.full((rows, n), -100), labels], 1)
        return self.model(inputs_embeds=embeddings, attention_mask=mask, labels=labels)


@pytest.fixture(scope="module")
def trained():
    """A model whose heads look somewhere."""
    return train(gpt2(dropout=0), said_twice, rate=3e-3)


def goes_on(model, **how):
    """Alerts of a training that goes on with a model; it is read before."""
    found = []
    monitor = AttentionMonitor(model, PROBE, every=10, alert=ALL, on_alert=found.append)
    monitor.step(0)
    train(model, said_twice, after=lambda step, loss: monitor.step(step + 1), **how)
    return found


def rules(alerts):
    return {alert.rule for alert in alerts}


def test_a_rate_that_ends_in_nan():
    found = alerts_of(gpt2(), PROBE, rate=1e4)
    assert found[0].rule == "nan"
    assert "heads 0.0, 0.1" in found[0].why


def test_a_rate_at_which_heads_collapse_to_one_key():
    found = alerts_of(llama(), PROBE, said_twice, rate=0.1)
    assert rules(found) == {"collapse"}
    assert "came to look at a single key; the largest score is" in found[0].why


def test_a_rate_at_which_sinks_grow():
    assert rules(alerts_of(gpt2(dropout=0), PROBE, said_twice, rate=1.0)) == {"sinks"}


def test_a_decay_of_weights_that_makes_attention_uniform(trained):
    found = goes_on(copy.deepcopy(trained), rate=3e-3, decay=20)
    assert {"uniform", "dying"} == rules(found)


def test_a_head_whose_keys_decay_is_told_by_its_number(trained):
    model = copy.deepcopy(trained)

    def change(_step):
        with torch.no_grad():  # of head 1 of layer 1, whose keys are the last quarter
            model.transformer.h[1].attn.c_attn.weight[:, 48:64] *= 0.8
            model.transformer.h[1].attn.c_attn.bias[48:64] *= 0.8

    found = goes_on(model, rate=1e-3, change=change)
    assert rules(found) == {"dying"}
    assert "heads 1.1 came to look everywhere alike" in found[0].why


def test_a_prefix_that_a_mask_forgets():
    model = SoftPrompt(gpt2(dropout=0))

    def change(step):
        model.seen = int(step < 50)

    found = alerts_of(model, {"input_ids": PROBE}, said_twice, change=change, alert=["prefix"], prefix=4)
    assert [(alert.rule, alert.step) for alert in found] == [("prefix", 50)]


def test_a_prefix_to_which_scores_are_low():
    model = SoftPrompt(gpt2(dropout=0))
    inner = model.model.transformer.h

    def change(step):
        if step == 50:  # a bias of the queries away from what the keys of the prefix have in common
            with torch.no_grad():
                model.prompt[:] = 10 * model.prompt[:1]
                for block in inner:
                    keys = block.ln_1(model.prompt).mean(0) @ block.attn.c_attn.weight[:, 32:64]
                    block.attn.c_attn.bias[:32] -= 40 * keys / keys.norm() ** 2 * 4

    found = alerts_of(model, {"input_ids": PROBE}, said_twice, change=change, alert=["prefix"], prefix=4)
    assert rules(found) == {"prefix"}
    assert "position 0 apart, more than" in found[0].why


@pytest.mark.parametrize("part", ["decoder", "cross"])
def test_what_breaks_in_one_of_several_maps_is_told_of_that_one(part):
    model = small.t5()
    which = 0 if part == "decoder" else 1

    def change(step):
        if step == 20:
            with torch.no_grad():
                for block in model.decoder.block:
                    module = block.layer[which].SelfAttention if which == 0 else block.layer[which].EncDecAttention
                    module.q.weight *= 1e5

    # No word twice: two that are the same share what is given to them, however large scores are.
    probe = {"input_ids": torch.arange(5, 13)[None], "labels": torch.arange(20, 28)[None]}
    found = alerts_of(model, probe, small.backwards, steps=41, change=change, alert=["collapse"])
    assert {alert.map for alert in found} == {part}
    assert found[0].why.startswith(f"{part}: ")


# fmt: off
HEALTHY = {
    "two layers, words said twice": (lambda: gpt2(0), said_twice, 1e-3),
    "four layers, words said twice": (lambda: gpt2(1, layers=4, heads=4), said_twice, 3e-3),
    "words at random": (lambda: gpt2(2), small.words, 1e-3),
    "numbers in order": (lambda: gpt2(3, dropout=0), small.counted, 1e-2),
    "rotary positions, words said twice": (lambda: llama(3), said_twice, 3e-3),
    "shared keys": (lambda: llama(4, keys=2), said_twice, 3e-3),
    "rotary positions, numbers in order": (lambda: llama(5, layers=3), small.counted, 1e-3),
    "an encoder": (lambda: small.bert(6), small.masked, 1e-3),
    "an encoder and a decoder": (lambda: small.t5(7), small.backwards, 3e-3),
    "pictures": (lambda: small.vit(8), small.stripes, 1e-3),
}
# fmt: on


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_training_is_left_in_peace(name):
    make, task, rate = HEALTHY[name]
    model = make()
    assert alerts_of(model, small.probe_of(model, task), task, rate=rate, alert=ALL) == []


def test_a_healthy_prefix_is_left_in_peace():
    model = SoftPrompt(gpt2(dropout=0))
    assert alerts_of(model, {"input_ids": PROBE}, said_twice, alert=[*ALL, "prefix"], prefix=4) == []


def test_a_prefix_that_nobody_told_of_cannot_be_watched():
    with pytest.raises(ValueError, match="give prefix=LENGTH"):
        AttentionMonitor(gpt2(), PROBE, alert=["prefix"])


def test_without_a_function_a_rule_warns_once_and_again_when_it_comes_back():
    model = gpt2()
    monitor = AttentionMonitor(model, PROBE, every=1)
    monitor.step()
    good = model.transformer.h[1].attn.c_attn.weight[0, 0].item()

    def put(value):
        with torch.no_grad():
            model.transformer.h[1].attn.c_attn.weight[0, 0] = value

    put(torch.nan)
    with pytest.warns(AttentionWarning, match=r"step 1: nan: attention: heads 1.0 have no entropy") as said:
        monitor.step()
    assert said[0].filename == __file__
    monitor.step()  # it stands: nothing new
    put(good)
    monitor.step()
    put(torch.nan)
    with pytest.warns(AttentionWarning, match="step 4: nan"):
        monitor.step()
    assert [step for step, _ in monitor.history.alerts] == [1, 2, 4]


def test_a_rule_reads_what_it_needs_whatever_was_asked_for():
    model = gpt2()
    monitor = AttentionMonitor(model, PROBE, measures=["induction"], alert=["sinks"])
    assert list(monitor.read(0).numbers["attention"]) == ["induction", "sink"]
