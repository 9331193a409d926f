"""Which tokens a logit comes from, against the gradient taken by hand."""

from __future__ import annotations

import math
import sys

import pytest
import torch
import transformers as tf

import attnwidget as aw
from attnwidget import demo
from tests.effects.models import IDS, NEXT_WORD, SIZES, made

BATCH = {"input_ids": IDS[:1]}
STORY = "Lily and Ben went to the park . Lily gave the ball to"


def by_hand(model, ids, pick):
    """Embeddings and the gradient of what is picked of the logits: [tokens, width] each."""
    embedded = model.get_input_embeddings()(ids).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(pick(model(inputs_embeds=embedded).logits), embedded)
    return embedded.detach()[0], gradient[0]


@pytest.mark.parametrize("family", NEXT_WORD)
def test_a_gradient_times_its_input_is_summed_before_its_sign_is_dropped(family):
    model = made(NEXT_WORD[family])
    found = aw.effects.attribute(model, BATCH, target=7, position=5)
    embedded, gradient = by_hand(model, IDS[:1], lambda logits: logits[0, 5, 7])
    expected = (embedded * gradient).sum(-1)
    size = float(expected.abs().max())
    torch.testing.assert_close(found.values, expected.abs(), atol=1e-4 * size, rtol=1e-4)
    assert (found.position, found.target, found.signed) == (5, "7", False)
    assert float(found.values[6:].abs().max()) == 0  # a later token says nothing of it
    signed = aw.effects.attribute(model, BATCH, target=7, position=5, signed=True)
    torch.testing.assert_close(signed.values, expected, atol=1e-4 * size, rtol=1e-4)
    norm = aw.effects.attribute(model, BATCH, target=7, position=5, method="gradient")
    torch.testing.assert_close(norm.values, gradient.norm(dim=-1), atol=1e-4 * float(norm.values.max()), rtol=1e-4)
    assert math.isnan(norm.delta)


@pytest.mark.filterwarnings("ignore:the values of integrated")
def test_integrated_gradients_add_up_to_the_difference_from_their_baseline():
    model, tokenizer = aw.demo.load("storyteller")
    options = {"target": "Ben", "against": "Lily", "method": "integrated_gradients", "signed": True}
    found = aw.effects.attribute(model, STORY, tokenizer, n_steps=200, baseline=".", **options)
    dots = tokenizer(STORY, return_tensors="pt")["input_ids"]
    dots = torch.full_like(dots, tokenizer(".", add_special_tokens=False)["input_ids"][0])
    with torch.no_grad():
        logits = model(dots).logits[0, -1]
    ben, lily = (tokenizer(name, add_special_tokens=False)["input_ids"][0] for name in ("Ben", "Lily"))
    expected = found.logit - float(logits[ben] - logits[lily])
    assert abs(found.delta) < 0.01 * abs(expected)
    assert float(found.values.sum()) - found.delta == pytest.approx(expected, abs=1e-3)
    assert "'.' in each place" in found.caveat
    assert "With a sign" in found.caveat
    coarse = aw.effects.attribute(model, STORY, tokenizer, n_steps=2, baseline=".", **options)
    assert abs(coarse.delta) > abs(found.delta)
    table = found.to_frame()
    assert table["token"].tolist()[-1] == "to"
    assert table.attrs["target"] == "Ben"
    assert "'Ben' against 'Lily' at position" in repr(found)


def test_a_class_is_asked_for_by_its_label():
    torch.manual_seed(0)
    model = tf.BertForSequenceClassification(tf.BertConfig(**SIZES, intermediate_size=64, id2label={0: "no", 1: "yes"}))
    model.train()
    found = aw.effects.attribute(model, BATCH, target="yes", against="no")
    assert model.training
    model.eval()
    embedded, gradient = by_hand(model, IDS[:1], lambda logits: logits[0, 1] - logits[0, 0])
    torch.testing.assert_close(found.values, (embedded * gradient).sum(-1).abs(), atol=1e-6, rtol=1e-4)
    assert (found.position, found.target, found.against) == (None, "yes", "no")


def test_padding_is_no_token():
    model = made(NEXT_WORD["LLaMA"])
    alone = aw.effects.attribute(model, BATCH, target=7)
    for side in (0, 3):
        ids = torch.cat([IDS.new_zeros(1, side), IDS[:1], IDS.new_zeros(1, 3 - side)], 1)
        mask = torch.zeros_like(ids)
        mask[:, side : side + 9] = 1
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        padded = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        found = aw.effects.attribute(model, padded, target=7)
        torch.testing.assert_close(found.values, alone.values, atol=1e-4 * float(alone.values.max()), rtol=1e-4)
        assert (found.tokens.ids, found.position) == (alone.tokens.ids, alone.position)


def test_the_source_of_a_pair_explains_its_target():
    model, tokenizer = aw.demo.load("translator")
    inputs = tokenizer("1 march 1999", return_tensors="pt")
    inputs["decoder_input_ids"] = torch.tensor([[model.config.decoder_start_token_id]])
    found = aw.effects.attribute(model, inputs, tokenizer)
    assert found.values.shape == (inputs["input_ids"].shape[1],)
    assert found.position == 0
    assert float(found.values.max()) > 0


@pytest.mark.filterwarnings("ignore:the values of integrated")
def test_gradients_and_the_model_are_left_as_they_were():
    model = made(NEXT_WORD["LLaMA"])
    frozen = next(model.parameters())
    frozen.requires_grad_(False)
    model(**BATCH, labels=IDS[:1]).loss.backward()
    before = {name: None if one.grad is None else one.grad.clone() for name, one in model.named_parameters()}
    aw.effects.attribute(model, BATCH, method="integrated_gradients", n_steps=3)
    assert not frozen.requires_grad
    assert all(one.requires_grad for one in list(model.parameters())[1:])
    for name, one in model.named_parameters():
        assert (one.grad is None) == (before[name] is None)
        assert one.grad is None or torch.equal(one.grad, before[name])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_without_captum_the_line_that_installs_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(ImportError, match=r"pip install 'attnwidget\[attribution\]'"):
        aw.effects.attribute(made(NEXT_WORD["LLaMA"]), BATCH)


class Peeking(tf.GPT2LMHeadModel):
    """Does more with ids than to look them up."""

    def forward(self, input_ids=None, **kwargs):
        said = super().forward(input_ids, **kwargs)
        if input_ids is not None:
            said.logits = said.logits + 1
        return said


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: aw.effects.attribute(m, {"input_ids": IDS}), "2 texts came, and an attribution is of one"),
        (lambda m: aw.effects.attribute(m, BATCH, position=9), "position=9 does not exist; there are 9 tokens"),
        (lambda m: aw.effects.attribute(m, BATCH, target=100), "token 100 does not exist"),
        (lambda m: aw.effects.attribute(m, BATCH, method="lime"), "method='lime'"),
        (lambda m: aw.effects.attribute(m, BATCH, method="gradient", signed=True), "is a norm and has no sign"),
        (lambda m: aw.effects.attribute(m, BATCH, method="integrated_gradients", n_steps=0), "n_steps=0"),
        (lambda m: aw.effects.attribute(Peeking(m.config), BATCH), "Peeking says something else"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(made(NEXT_WORD["GPT-2"]))


def test_integrated_gradients_that_do_not_add_up_are_told():
    model, tokenizer = demo.load()
    text = "Lily and Ben went to the park . Lily gave the ball to"
    asked = {"target": "Ben", "against": "Lily", "method": "integrated_gradients"}
    with pytest.warns(aw.AttentionWarning, match="steps are too few"):
        found = aw.effects.attribute(model, text, tokenizer, **asked)
    assert abs(found.delta) == pytest.approx(25, abs=1)
    near = aw.effects.attribute(model, text, tokenizer, **asked, baseline="the")
    assert abs(near.delta) < 0.4
