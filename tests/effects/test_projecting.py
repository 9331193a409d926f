"""Where heads are projected: found by what ran, and by no name."""

from __future__ import annotations

import pytest
import torch
import transformers as tf
from torch import nn

from attnwidget.capturing.projecting import find_projections
from attnwidget.effects.changing import changed
from tests.effects.models import IDS, NEXT_WORD, OTHERS, made

FAMILIES = NEXT_WORD | OTHERS


@pytest.mark.parametrize("family", FAMILIES)
def test_the_heads_of_every_family_add_up_to_what_its_projection_gives(family):
    model = made(FAMILIES[family])
    layers = find_projections(model, lambda: model(input_ids=IDS)).of(None)
    assert len(layers) == 2
    given: dict[int, torch.Tensor] = {}
    with torch.no_grad(), changed(model, layers, lambda number, heads: given.update({number: heads})):
        model(input_ids=IDS)
    assert [one.place.layer for one in layers] == [0, 1]
    for number, one in enumerate(layers):
        with torch.no_grad():
            parts, bias = one.parts(given[number].flatten(-2))
            whole = one.module(given[number].flatten(-2))
        assert parts.shape[0] == 4
        torch.testing.assert_close(parts.sum(0) + bias, whole, atol=1e-4 * float(whole.abs().max()), rtol=0)


def test_a_pair_has_three_kinds_of_attention():
    torch.manual_seed(0)
    sizes = {f"{side}_{what}": size for side in ("encoder", "decoder") for what, size in
             (("layers", 2), ("attention_heads", 4), ("ffn_dim", 64))}  # fmt: skip
    model = tf.BartForConditionalGeneration(
        tf.BartConfig(vocab_size=100, d_model=32, max_position_embeddings=64, forced_eos_token_id=None, **sizes)
    )
    found = find_projections(model, lambda: model(input_ids=IDS, decoder_input_ids=IDS[:, :4]))
    assert {name: len(layers) for name, layers in found.by_name.items()} == {"encoder": 2, "decoder": 2, "cross": 2}
    with pytest.raises(ValueError, match="attends in encoder, decoder, cross: choose one"):
        found.of(None)


def test_an_adapter_is_part_of_the_projection():
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(target_modules=["o_proj"], r=4, init_lora_weights=False)
    model = get_peft_model(made(NEXT_WORD["LLaMA"]), config).eval()
    (first, _) = find_projections(model, lambda: model(input_ids=IDS)).of(None)
    assert type(first.module).__name__ == "Linear"
    assert "lora" in type(first.module).__module__


def test_attention_that_projects_by_itself_is_refused_with_the_reason():
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2)
    with pytest.raises(ValueError, match=r"cannot be told apart.*does both in one"):
        find_projections(model, lambda: model(torch.rand(2, 5, 32)))


def test_heads_that_are_gated_are_refused_by_name():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(32, 96), nn.Linear(32, 32)

        def forward(self, x):
            q, k, v = self.qkv(x).view(*x.shape[:2], 3, 4, 8).permute(2, 0, 3, 1, 4)
            heads = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2)
            return self.out(heads * x.sigmoid())

    model = nn.Sequential(Gated())
    with pytest.raises(ValueError, match="'0': what its heads put out reaches no module as it is: it is gated"):
        find_projections(model, lambda: model(torch.rand(2, 5, 32)))


def test_nothing_is_left_behind():
    model = made(NEXT_WORD["LLaMA"]).train()
    before = model.config._attn_implementation
    with pytest.raises(RuntimeError, match="stop"):
        find_projections(model, lambda: (_ for _ in ()).throw(RuntimeError("stop")))
    assert model.training
    assert model.config._attn_implementation == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
