"""How much attention mixes in, the residual stream counted: against the formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as tf

import attnwidget as aw
from attnwidget import demo
from attnwidget.effects import mixing
from tests.effects.models import IDS, NEXT_WORD, OTHERS, made
from tests.effects.test_norms import by_formula

FAMILIES = NEXT_WORD | OTHERS
REFUSED = ("Gemma 2", "Granite")


def streams(model):
    """What each layer is given [layers + 1, tokens, width]."""
    with torch.no_grad():
        return torch.stack(model(input_ids=IDS[:1], output_hidden_states=True).hidden_states)[:, 0].numpy()


def lengths(vectors):
    return np.linalg.norm(vectors, axis=-1)


@pytest.mark.parametrize("family", ["BERT", "GPT-2", "LLaMA"])
def test_sizes_and_ratios_are_those_of_the_formula(family):
    model = made(FAMILIES[family])
    mixed = mixing(model, IDS[:1])
    maps = aw.capture(model, IDS[:1]).maps
    assert mixed.normed == (family == "BERT",) * 2
    for layer, given in enumerate(streams(model)[:2]):
        added = by_formula(model, layer)
        weights = np.stack([maps.weights(layer, head).numpy() for head in range(4)])
        parts = (weights[..., None] * added[:, None]).sum(0)  # [queries, keys, width]
        parts[np.arange(9), np.arange(9)] += given
        if family == "BERT":
            output = model.encoder.layer[layer].attention.output
            whole = parts.sum(1) + output.dense.bias.detach().numpy()
            deviations = np.sqrt(whole.var(-1) + output.LayerNorm.eps)
            parts = parts - parts.mean(-1, keepdims=True)
            parts = parts / deviations[:, None, None] * output.LayerNorm.weight.detach().numpy()
        sizes = lengths(parts)
        np.testing.assert_allclose(mixed.norms(layer), sizes, rtol=2e-3, atol=2e-4)
        shares = mixed.maps.weights(layer, 0)
        np.testing.assert_allclose(shares, sizes / sizes.sum(-1, keepdims=True), rtol=2e-3, atol=2e-4)
        itself = parts[np.arange(9), np.arange(9)]
        others = lengths(parts.sum(1) - itself)
        np.testing.assert_allclose(mixed.ratios[layer], others / (others + lengths(itself)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in REFUSED])
def test_every_family_has_it(family):
    mixed = mixing(made(FAMILIES[family]), IDS[:1])
    assert mixed.normed == (family in OTHERS,) * 2
    assert mixed.ratios.shape == (2, 9)
    assert bool(((mixed.ratios > 0) | (torch.arange(9) == 0)).all())
    assert bool((mixed.ratios < 1).all())
    if family in NEXT_WORD:
        assert mixed.ratios[:, 0].tolist() == [0, 0]  # the first token sees itself alone
    for layer in range(2):
        torch.testing.assert_close(mixed.maps.weights(layer, 0).sum(-1), torch.ones(9))


def test_a_norm_in_front_of_the_next_sublayer_is_not_counted():
    sizes = {"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    tokens = {f"{name}_token_id": number for number, name in enumerate(("pad", "bos", "eos", "cls", "sep"))}
    model = made(lambda: tf.ModernBertModel(tf.ModernBertConfig(**sizes, intermediate_size=64, **tokens)))
    # Its first attention has no norm in front, so that what it is given is the stream itself.
    assert mixing(model, IDS[:1]).normed == (False, False)


@pytest.mark.parametrize("family", REFUSED)
def test_heads_that_are_scaled_or_normed_before_they_are_added_are_refused(family):
    with pytest.raises(ValueError, match=r"are added to was not found.*scaled or normed"):
        mixing(made(FAMILIES[family]), IDS[:1])


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_both_sides_of_a_pair_have_it_and_crossing_does_not(part):
    torch.manual_seed(0)
    sizes = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    config = tf.BartConfig(vocab_size=100, encoder_attention_heads=4, decoder_attention_heads=4, **sizes)
    model = tf.BartModel(config).eval()
    pair = {"input_ids": IDS[:1], "decoder_input_ids": IDS[1:, :5]}
    mixed = mixing(model, pair, part=part)
    assert mixed.ratios.shape == ((2, 9) if part == "encoder" else (3, 5))
    assert all(mixed.normed)
    with pytest.raises(ValueError, match="attend to another sequence"):
        mixing(model, pair, part="cross")
    with pytest.raises(ValueError, match="choose one of them"):
        mixing(model, pair)


def test_pictures_have_it():
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    model = tf.ViTForImageClassification(tf.ViTConfig(**sizes, image_size=32, patch_size=8, num_labels=3)).eval()
    mixed = mixing(model, {"pixel_values": torch.rand(1, 3, 32, 32)})
    assert mixed.ratios.shape == (2, 17)
    assert mixed.normed == (False, False)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale", [1, 1 / 6])
@pytest.mark.parametrize("family", ["GPT-2", "GPT-J", "BERT"])
def test_half_precision_says_nearly_the_same(family, scale, dtype):
    model = made(FAMILIES[family])
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(scale)
    wanted = mixing(model, IDS[:1])
    found = mixing(model.to(dtype), IDS[:1])
    assert found.normed == wanted.normed
    torch.testing.assert_close(found.ratios, wanted.ratios, rtol=0, atol=0.02)


def test_what_is_not_mixed_in_has_no_share():
    model = made(OTHERS["BERT"])
    with torch.no_grad():
        for layer in model.encoder.layer:
            layer.attention.self.value.weight.zero_()
            layer.attention.self.value.bias.zero_()
    mixed = mixing(model, IDS[:1])
    assert mixed.ratios.abs().max() < 1e-6
    torch.testing.assert_close(mixed.maps.weights(1, 0), torch.eye(9))


def test_its_maps_are_maps_and_its_table_names_tokens():
    model, tokenizer = demo.load("storyteller")
    mixed = mixing(model, "Lily gave the ball to Ben.", tokenizer)
    n = len(mixed.maps.tokens)
    table = mixed.to_frame()
    assert list(table.columns) == ["layer", "normed", "position", "token", "ratio"]
    assert len(table) == n * mixed.maps.n_layers
    assert table.token[:n].tolist() == list(mixed.maps.tokens.labels)
    assert table.ratio.tolist() == pytest.approx(mixed.ratios.flatten().tolist())
    assert "what stays" in mixed.maps.notes[-1]
    words = mixed.maps.words()
    torch.testing.assert_close(words.weights(0, 0).sum(-1), torch.ones(len(words.tokens)))
    assert aw.measures.rollout(mixed.maps).shape[-2:] == (n, n)
    assert "what stays" in aw.Explorer(mixed.maps).to_html()
    with pytest.raises(IndexError, match="layer 9 does not exist"):
        mixed.norms(9)


def test_one_text_at_a_time_and_one_that_is_whole():
    model = made(OTHERS["BERT"])
    with pytest.raises(ValueError, match="one text or picture"):
        mixing(model, IDS)
    padded = {"input_ids": IDS[:1], "attention_mask": torch.tensor([[1] * 7 + [0] * 2])}
    with pytest.raises(ValueError, match="unpadded"):
        mixing(model, padded)


@pytest.mark.filterwarnings("ignore:heads of .* are left out:attnwidget.AttentionWarning")
def test_a_layer_that_holds_nan_is_named():
    model = made(OTHERS["BERT"])
    with torch.no_grad():
        model.encoder.layer[1].attention.output.dense.weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"layer\.1\.attention.*holds NaN"):
        mixing(model, IDS[:1])


def test_the_model_is_left_as_it_was():
    model = made(NEXT_WORD["GPT-2"]).train()
    before = {name: one.clone() for name, one in model.state_dict().items()}
    mixing(model, IDS[:1])
    assert model.training
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
