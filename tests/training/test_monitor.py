"""A monitor reads when it is due, and what it was asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget import demo
from attnwidget.training import AttentionMonitor, History
from tests.training.small import PROBE, gpt2

TEXT = "Lily and Ben went to the park . Lily gave the ball to"


def test_numbers_are_those_of_a_capture():
    model, tokenizer = demo.load()
    monitor = AttentionMonitor(
        model, TEXT, tokenizer, measures=["entropy", "sink", "mass on names", "mass on names[1:]"],
        spans={"names": (1, 4)},
    )  # fmt: skip
    numbers = monitor.read(3).numbers["attention"]
    run = aw.capture(model, TEXT, tokenizer)
    table = aw.summarize(run, progress=False)
    for measure in ("entropy", "sink"):
        np.testing.assert_allclose(numbers[measure].ravel(), table[measure], rtol=1e-6)
    weights = run.maps.weights(2, 1)[4:]
    assert numbers["mass on names"][2, 1] == pytest.approx(float(weights[:, 1:4].sum(-1).mean()), rel=1e-6)
    assert numbers["mass on names[1:]"][2, 1] == pytest.approx(float(weights[:, 2:4].sum(-1).mean()), rel=1e-6)


def test_of_several_texts_numbers_are_means():
    model, tokenizer = demo.load()
    texts = [TEXT, "Lily and Ben went"]
    both, *each = (
        AttentionMonitor(model, probe, tokenizer, measures=["entropy", "score_max"], alert=[]).read(0)
        for probe in (texts, *texts)
    )
    for measure, of in (("entropy", np.mean), ("score_max", np.max)):
        values = of([one.numbers["attention"][measure] for one in each], axis=0)
        np.testing.assert_allclose(both.numbers["attention"][measure], values, rtol=1e-5)


def test_a_diagnosis_is_made_less_often_and_where_a_rule_comes_to_be_broken():
    model = gpt2()
    monitor = AttentionMonitor(model, PROBE, every=1, diagnose_every=3, on_alert=lambda alert: None)
    for step in range(6):
        if step == 4:
            with torch.no_grad():
                model.transformer.h[1].attn.c_attn.weight[:] = torch.nan
        monitor.step(step)
    looked = [reading.findings is not None for reading in monitor.history]
    assert looked == [True, False, False, True, True, False]
    assert "nan" in monitor.history[4].findings


@pytest.mark.parametrize(
    ("steps", "read"), [(range(8), [0, 3, 6]), (range(0, 12, 2), [0, 4, 6, 10]), ([5, 5, 6, 6, 7], [5, 6])]
)
def test_it_reads_at_the_first_call_and_whenever_enough_steps_have_passed(steps, read):
    monitor = AttentionMonitor(gpt2(), PROBE, every=3)
    for step in steps:
        monitor.step(step)
    assert monitor.history.steps == read


def test_induction_appeared_while_the_storyteller_was_trained():
    history = History.load(demo.folder("storyteller") / "attention.jsonl")
    assert (history.steps[0], history.steps[-1], len(history)) == (0, 2500, 101)
    assert history.alerts == []
    induction = history.curve("induction", layer=1, head=2)
    first = history.steps[int(np.argmax(induction > 0.5))]
    assert first == 500
    assert induction[:16].max() < 0.05  # until step 375
    assert induction[-1] > 0.95
    model, tokenizer = demo.load()
    now = AttentionMonitor(model, demo.repeated_words(24), tokenizer).read(2500)
    # The weights that ship are those, as fp16.
    np.testing.assert_allclose(now.numbers["attention"]["induction"], history[-1].numbers["attention"]["induction"],
                               atol=2e-3)  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"every": 0}, "every=0"),
        ({"diagnose_every": 0}, "diagnose_every=0"),
        ({"measures": ["entropie"]}, "no measure 'entropie'"),
        ({"measures": ["mass on anchor"]}, "span that is not known"),
        ({"alert": ["explosion"]}, "no rule 'explosion'"),
    ],
)
def test_what_is_not_known_is_refused(asked, why):
    with pytest.raises(ValueError, match=why):
        AttentionMonitor(gpt2(), PROBE, **asked)


def test_a_model_that_is_none_is_refused():
    with pytest.raises(TypeError, match="expected the module"):
        AttentionMonitor("gpt2", PROBE)
