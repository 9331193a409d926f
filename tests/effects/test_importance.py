"""What the loss feels of a head: against differences of the loss itself."""

from __future__ import annotations

import pytest
import torch

import attnwidget as aw
from attnwidget.capturing.projecting import find_projections
from attnwidget.effects.changing import changed
from attnwidget.effects.examples import logits_of, losses
from tests.effects.models import IDS, NEXT_WORD, made

STEP = 1e-3


def slopes(model, batch):
    """dL/dxi of each example and head, by central differences: [layers, heads, batch]."""
    layers = find_projections(model, lambda: model(**batch)).of(None)
    found = torch.zeros(len(layers), layers[0].heads, len(batch["input_ids"]), dtype=torch.float64)
    for layer in range(len(layers)):
        for head in range(layers[0].heads):
            ends = []
            for sign in (1, -1):

                def scaled(number, heads, layer=layer, head=head, sign=sign):
                    if number != layer:
                        return None
                    heads = heads.clone()
                    heads[..., head, :] *= 1 + sign * STEP
                    return heads

                with torch.no_grad(), changed(model, layers, scaled):
                    ends.append(losses(model, batch, logits_of(model(**batch))).double())
            found[layer, head] = (ends[0] - ends[1]) / (2 * STEP)
    return found


@pytest.mark.parametrize("family", ["GPT-2", "LLaMA", "Gemma 2", "GPT-J"])
def test_importance_is_the_slope_of_the_loss(family):
    model, batch = made(NEXT_WORD[family]).double(), {"input_ids": IDS}
    by_hand = slopes(model, batch)
    found = aw.effects.head_importance(model, [batch], progress=False)
    torch.testing.assert_close(found.effect.double(), by_hand.abs().mean(-1), atol=1e-5, rtol=1e-3)
    together = aw.effects.head_importance(model, [batch], variant="bertology", progress=False)
    torch.testing.assert_close(together.effect.double(), by_hand.mean(-1).abs(), atol=1e-5, rtol=1e-3)
    assert bool((found.effect >= together.effect - 1e-6).all())


def test_variants_are_not_the_same_and_a_layer_can_have_length_one():
    model, batch = made(NEXT_WORD["LLaMA"]), {"input_ids": IDS}
    code = aw.effects.head_importance(model, [batch], variant="michel_code", progress=False)
    plain = aw.effects.head_importance(model, [batch], progress=False)
    assert not torch.allclose(code.effect, plain.effect, rtol=0.05)
    normal = aw.effects.head_importance(model, [batch], normalize=True, progress=False)
    torch.testing.assert_close(normal.effect.square().sum(-1), torch.ones(2))


def test_gradients_and_the_model_are_left_as_they_were():
    model, batch = made(NEXT_WORD["LLaMA"]), {"input_ids": IDS}
    frozen = next(model.parameters())
    frozen.requires_grad_(False)
    model(**batch, labels=IDS).loss.backward()
    before = {name: None if one.grad is None else one.grad.clone() for name, one in model.named_parameters()}
    aw.effects.head_importance(model, [batch], progress=False)
    assert not frozen.requires_grad
    for name, one in model.named_parameters():
        assert (one.grad is None) == (before[name] is None)
        assert one.grad is None or torch.equal(one.grad, before[name])
    assert all(one.requires_grad for name, one in list(model.named_parameters())[1:])


@pytest.mark.parametrize("family", ["GPT-2", "LLaMA", "Gemma 2"])
def test_weight_by_weight_it_is_what_eager_attention_gives(family):
    model = made(NEXT_WORD[family])
    model.set_attn_implementation("eager")
    found = aw.effects.head_importance(model, [{"input_ids": IDS}], variant="abs_elementwise", progress=False)
    output = model(input_ids=IDS, output_attentions=True, use_cache=False)
    for one in output.attentions:
        one.retain_grad()
    losses(model, {"input_ids": IDS}, output.logits).sum().backward()
    wanted = torch.stack([(one * one.grad).abs().sum((-1, -2)).mean(0) for one in output.attentions])
    torch.testing.assert_close(found.effect, wanted, atol=1e-5, rtol=1e-3)
    plain = aw.effects.head_importance(model, [{"input_ids": IDS}], progress=False)
    assert bool((found.effect >= plain.effect - 1e-6).all())


@pytest.mark.parametrize("variant", ["michel", "abs_elementwise", "michel_code", "bertology"])
def test_padding_changes_nothing(variant):
    model = made(NEXT_WORD["LLaMA"])
    padded, mask = IDS.clone(), torch.ones_like(IDS)
    padded[1, 5:], mask[1, 5:] = 0, 0
    together = [{"input_ids": padded, "attention_mask": mask, "labels": padded.masked_fill(mask == 0, -100)}]
    apart = [{"input_ids": one, "labels": one} for one in (IDS[:1], IDS[1:, :5])]
    one, other = (
        aw.effects.head_importance(model, data, variant=variant, progress=False) for data in (together, apart)
    )
    torch.testing.assert_close(one.effect, other.effect, atol=1e-6, rtol=1e-4)
