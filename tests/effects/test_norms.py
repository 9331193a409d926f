"""Weights times the size of what values add, against the formula written out; values kept by capture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers as tf

import attnwidget as aw
from attnwidget import demo
from attnwidget.effects import value_norms, value_weighted
from tests.effects.models import IDS, NEXT_WORD, OTHERS, made

FAMILIES = NEXT_WORD | OTHERS


def by_formula(model, layer):
    """f_h(x_j) of a BERT, GPT-2 or LLaMA with grouped heads, in NumPy: [heads, keys, width of the stream]."""
    held = {}

    def keep(name):
        return lambda _, given, made: held.update({name: (given[0] if given else None, made)})

    block = model.base_model
    if hasattr(block, "h"):
        attention = block.h[layer].attn
        fused, out = attention.c_attn, attention.c_proj
        handle = fused.register_forward_hook(keep("v"))
        model(input_ids=IDS[:1])
        handle.remove()
        v = held["v"][1][0, :, 64:].detach().numpy().reshape(9, 4, 8).transpose(1, 0, 2)
        slices = out.weight.detach().numpy().reshape(4, 8, 32)
    elif hasattr(block, "layers"):
        attention = block.layers[layer].self_attn
        handle = attention.v_proj.register_forward_hook(keep("v"))
        model(input_ids=IDS[:1])
        handle.remove()
        v = held["v"][1][0].detach().numpy().reshape(9, 2, 8).transpose(1, 0, 2).repeat(2, 0)
        slices = attention.o_proj.weight.detach().numpy().T.reshape(4, 8, 32)
    else:
        attention = block.encoder.layer[layer].attention
        handle = attention.self.value.register_forward_hook(keep("v"))
        model(input_ids=IDS[:1])
        handle.remove()
        v = held["v"][1][0].detach().numpy().reshape(9, 4, 8).transpose(1, 0, 2)
        slices = attention.output.dense.weight.detach().numpy().T.reshape(4, 8, 32)
    return v @ slices


@pytest.mark.parametrize("family", ["GPT-2", "LLaMA", "BERT"])
def test_norms_are_those_of_the_formula(family):
    model = made(FAMILIES[family])
    run = aw.capture(model, IDS[:1], values=True)
    for layer in range(2):
        added = by_formula(model, layer)
        weights = np.stack([run.maps.weights(layer, head).numpy() for head in range(4)])
        each = weights[..., None] * added[:, None]
        for head in range(4):
            wanted = np.linalg.norm(each[head], axis=-1)
            np.testing.assert_allclose(value_norms(run, layer, head), wanted, rtol=1e-4, atol=1e-5)
            shares = value_weighted(run).weights(layer, head).numpy()
            np.testing.assert_allclose(shares, wanted / wanted.sum(-1, keepdims=True), rtol=1e-4, atol=1e-5)
        wanted = np.linalg.norm(each.sum(0), axis=-1)
        np.testing.assert_allclose(value_norms(run, layer), wanted, rtol=2e-3, atol=2e-4)
        shares = value_weighted(run, heads="together").weights(layer, 0).numpy()
        np.testing.assert_allclose(shares, wanted / wanted.sum(-1, keepdims=True), rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_values_are_kept_unrepeated_and_projected(family):
    model = made(FAMILIES[family])
    run = aw.capture(model, IDS, values=True)
    for example in run:
        for layer in example.maps.layers:
            assert layer.values.v.shape[1] == 9
            assert layer.values.v.shape[0] == layer.key_value_heads or layer.values.v.shape[0] == 4
            assert not layer.values.why
            diagonal = layer.values.products.diagonal().T.sqrt()
            torch.testing.assert_close(diagonal, layer.values.sizes, rtol=1e-3, atol=1e-4)


def test_rows_sum_to_one_and_a_row_of_nothing_is_nothing():
    model, tokenizer = demo.load()
    run = aw.capture(model, "Lily and Ben went to the park .", tokenizer, values=True)
    lens = value_weighted(run)
    for layer in range(4):
        for head in range(4):
            torch.testing.assert_close(lens.weights(layer, head).sum(-1), torch.ones(9))
    with pytest.raises(ValueError, match="scores are not known"):
        lens.scores(0, 0)


def test_values_survive_a_file_a_lens_and_a_generation(tmp_path):
    model, tokenizer = demo.load()
    run = aw.capture(model, "Lily and Ben", tokenizer, values=True, generate={"max_new_tokens": 4})
    whole = run.maps.tokens.labels
    run.save(tmp_path / "run.safetensors")
    back = aw.Capture.load(tmp_path / "run.safetensors")
    for layer in range(4):
        assert torch.equal(back.maps.layers[layer].values.v, run.maps.layers[layer].values.v)
        torch.testing.assert_close(value_norms(back, layer, 1), value_norms(run, layer, 1))
    ids = tokenizer.convert_tokens_to_ids(list(whole))
    at_once = aw.capture(model, torch.tensor([ids]), tokenizer, values=True)
    torch.testing.assert_close(value_norms(at_once, 3, 1), value_norms(run, 3, 1), atol=1e-4, rtol=1e-3)
    words = value_weighted(run).words()
    assert words.n_keys <= run.maps.n_keys


def test_heads_that_are_chosen_have_their_own_values():
    model = made(NEXT_WORD["LLaMA"])
    whole = aw.capture(model, IDS[:1], values=True)
    some = aw.capture(model, IDS[:1], values=True, heads={1: [2, 3]})
    torch.testing.assert_close(value_norms(some, 0, 1), value_norms(whole, 1, 3))


def test_without_values_it_says_what_to_do():
    model = made(NEXT_WORD["LLaMA"])
    run = aw.capture(model, IDS[:1])
    assert run.maps.layers[0].values is None
    with pytest.raises(ValueError, match="values=True"):
        value_weighted(run)
    with pytest.raises(TypeError, match="expected a Capture"):
        value_weighted(torch.ones(3, 3))
    with pytest.raises(ValueError, match="heads"):
        value_weighted(aw.capture(model, IDS[:1], values=True), heads="all")


def test_heads_that_cannot_be_told_apart_say_why():
    torch.manual_seed(0)
    encoder = torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 1)
    run = aw.capture(encoder, torch.randn(1, 5, 16), values=True)
    assert run.maps.layers[0].values.v.shape == (4, 5, 4)
    with pytest.raises(ValueError, match="heads"):
        value_weighted(run)


def test_a_file_with_values_of_another_shape_is_refused(tmp_path):
    from safetensors import safe_open
    from safetensors.torch import save_file

    model = made(lambda: tf.BertModel(tf.BertConfig(vocab_size=100, hidden_size=32, num_hidden_layers=1,
                                                    num_attention_heads=4, intermediate_size=64)))  # fmt: skip
    run = aw.capture(model, IDS[:1], values=True)
    path = tmp_path / "run.safetensors"
    run.save(path)
    with safe_open(path, framework="pt") as file:
        head, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    name = next(name for name in tensors if name.endswith("value_sizes"))
    tensors[name] = tensors[name][:, :-1].contiguous()
    save_file(tensors, path, metadata=head)
    with pytest.raises(ValueError, match="damaged"):
        aw.Capture.load(path)
