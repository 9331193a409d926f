"""Interventions that make no sense are refused in words, before anything runs or when it has."""

from __future__ import annotations

import pytest
import torch

import attnwidget as aw
from attnwidget.effects import intervene
from tests.effects.eager import same, snapshot
from tests.effects.models import IDS, NEXT_WORD, made


def logits(model):
    return model(input_ids=IDS).logits


REFUSED = [
    ({}, "nothing is changed"),
    ({"temperature": 0}, "temperature"),
    ({"scaling": -1}, "scaling"),
    ({"ablate": "nothing"}, "ablate"),
    ({"cut": (1, -1)}, "counted from 0"),
    ({"cut": ("question", 1)}, "span 'question'"),
    ({"cut": ([], 1)}, "no position"),
    ({"cut": (slice(0, 5, 2), 1)}, "without a step"),
    ({"boost": (0, 1, 0)}, "above 0"),
    ({"replace": torch.ones(3)}, "replace"),
    ({"temperature": 2, "heads": []}, "names no head"),
    ({"temperature": 2, "heads": (0, -1)}, "counted from 0"),
]


@pytest.mark.parametrize(("asked", "why"), REFUSED)
def test_what_makes_no_sense_is_refused_before_anything_runs(asked, why):
    model = made(NEXT_WORD["LLaMA"])
    with pytest.raises(ValueError, match=why), intervene(model, **asked):
        pytest.fail("it was let in")


@pytest.mark.parametrize(
    "asked", [{"cut": 5}, {"cut": (1, 2, 3)}, {"boost": (1, 2)}, {"temperature": 2, "heads": "all"}]
)
def test_what_is_of_another_kind_is_refused(asked):
    with pytest.raises(TypeError, match="expected"), intervene(made(NEXT_WORD["LLaMA"]), **asked):
        pytest.fail("it was let in")


def test_a_model_by_its_name_is_refused():
    with pytest.raises(TypeError, match="load it first"), intervene("gpt2", ablate="zero"):
        pytest.fail("it was let in")


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"heads": (1, 4)}, "head 4 does not exist; layer 1 has heads 0 to 3"),
        ({"heads": (7, 0)}, "layer 7 did not attend"),
        ({"part": "encoder"}, "part='encoder'"),
    ],
)
def test_heads_and_layers_that_are_not_there_are_told(asked, why):
    model = made(NEXT_WORD["LLaMA"])
    before = snapshot(model)
    with pytest.raises(ValueError, match=why), intervene(model, temperature=2, **asked):
        logits(model)
    assert same(before, snapshot(model))


def test_a_head_that_is_not_there_is_told_by_a_capture_inside_too():
    model = made(NEXT_WORD["LLaMA"])
    with pytest.raises(ValueError, match="head 9 does not exist"), intervene(model, temperature=2, heads=(0, 9)):
        aw.capture(model, IDS)


def test_weights_of_another_shape_are_told():
    model = made(NEXT_WORD["LLaMA"])
    with (
        pytest.raises(ValueError, match=r"replace holds weights \[1, 1, 3, 3\]"),
        intervene(model, replace=torch.ones(3, 3)),
    ):
        logits(model)


@pytest.mark.parametrize(
    "asked", [{"ablate": "mean"}, {"ablate": "zero", "reference": IDS}, {"temperature": 2, "reference": IDS}]
)
def test_a_reference_goes_with_what_needs_one(asked):
    with pytest.raises(ValueError, match="needs a reference"), intervene(made(NEXT_WORD["LLaMA"]), **asked):
        pytest.fail("it was let in")


@pytest.mark.parametrize(
    ("asked", "kind", "why"),
    [
        ({"temperature": "2"}, TypeError, "temperature='2'"),
        ({"scaling": None}, TypeError, "scaling"),
        ({"scaling": 1e39}, ValueError, "scaling"),
        ({"temperature": 1e-39}, ValueError, "at most"),
        ({"replace": "x"}, TypeError, "replace is str"),
        ({"replace": torch.full((9, 9), torch.nan)}, ValueError, "NaN"),
        ({"boost": (3, 0, "2")}, TypeError, "factor of boost"),
        ({"cut": ("a", 0), "spans": {"a": 3}}, TypeError, "span 'a'"),
        ({"cut": ("a", 0), "spans": {"a": (5, 2)}}, ValueError, "holds no token"),
    ],
)
def test_arguments_of_another_kind_are_told_in_words(asked, kind, why):
    with pytest.raises(kind, match=why), intervene(made(NEXT_WORD["LLaMA"]), **asked):
        pytest.fail("it was let in")


def test_numbers_of_heads_and_positions_may_be_tensors():
    model = made(NEXT_WORD["LLaMA"])
    with torch.no_grad():
        with intervene(model, cut=(torch.tensor(4), torch.tensor([1, 2])), heads=torch.tensor([1, 2])):
            found = logits(model)
        with intervene(model, cut=(4, [1, 2]), heads=(1, 2)):
            wanted = logits(model)
    assert torch.equal(found, wanted)
