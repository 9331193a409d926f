"""Relevance against its equations with autograd by hand, and the gradient of every weight against eager attention."""

from __future__ import annotations

import pytest
import torch
import transformers as tf

import attnwidget as aw
from attnwidget import demo
from attnwidget.effects import relevance
from attnwidget.effects.feeling import feel
from tests.effects.eager import edited
from tests.effects.models import GROUPED, IDS, NEXT_WORD, SIZES, made

STORY = "Lily and Ben went to the park . Lily gave the ball to"
BART = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "vocab_size": 100, "max_position_embeddings": 64}
BART |= {
    f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in (("ffn_dim", 32), ("attention_heads", 4))
}

CLASSIFIERS = {
    "BERT": lambda: tf.BertForSequenceClassification(tf.BertConfig(**SIZES, intermediate_size=64, num_labels=3)),
    "ViT": lambda: tf.ViTForImageClassification(
        tf.ViTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            image_size=24,
            patch_size=8,
            num_labels=3,
        )
    ),
}


def eager(model, number):
    """Weights of every layer and their gradients, by eager attention and autograd: lists of [heads, q, k]."""
    held = []

    def edit(_, scores):
        held.append(scores.softmax(-1))
        return held[-1]

    with edited(model, edit):
        grads = torch.autograd.grad(number(model), held, allow_unused=True)
    grads = [torch.zeros_like(a) if g is None else g for a, g in zip(held, grads, strict=True)]
    return [a[0].detach() for a in held], [g[0] for g in grads]


def own_relevance(weights, grads):
    """Equations 5 and 6 for one sequence."""
    found = torch.eye(weights[0].shape[-1], dtype=weights[0].dtype)
    for a, g in zip(weights, grads, strict=True):
        found = found + (a * g).clamp(min=0).mean(0) @ found
    return found - torch.eye(len(found), dtype=found.dtype)


@pytest.mark.parametrize("family", [name for name in NEXT_WORD if name != "GPT-J"])
def test_every_weight_has_the_gradient_that_eager_attention_gives(family):
    model = made(NEXT_WORD[family]).double()

    def number(own=model):
        return own(input_ids=IDS[:1], use_cache=False).logits[0, -1, 7]

    weights, grads = eager(model, number)
    _, felt = feel(model, number)
    for one, a, g in zip(felt, weights, grads, strict=True):
        for head in range(4):
            torch.testing.assert_close(one.weights(head)[0], a[head], atol=1e-9, rtol=1e-6)
            torch.testing.assert_close(one.gradient(head)[0], g[head], atol=1e-9, rtol=1e-6)
        # <A, dL/dA> is what the loss feels of the head as a whole.
        whole = torch.stack([(one.weights(h) * one.gradient(h)).sum() for h in range(4)])
        torch.testing.assert_close(whole, (a * g).sum((-1, -2)), atol=1e-6, rtol=1e-6)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("family", "attention"),
    [("GPT-2", "sdpa"), ("GPT-2", "eager"), ("LLaMA", "sdpa"), ("Qwen3", "sdpa"), ("Gemma 2", "eager")],
)
def test_of_a_language_model_it_follows_the_equations(family, attention):
    model = made(NEXT_WORD[family]).double()
    model.set_attn_implementation(attention)
    weights, grads = eager(model, lambda own: own(input_ids=IDS[:1], use_cache=False).logits[0, 6, 7])
    wanted = own_relevance(weights, grads)
    found = relevance(model, IDS[:1], target=7, position=6)
    torch.testing.assert_close(found.matrix.double(), wanted, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.values.double(), wanted[6], atol=1e-6, rtol=1e-5)
    assert float(found.matrix.triu(1).abs().max()) == 0
    assert float(found.matrix.min()) >= 0


@pytest.mark.parametrize("family", CLASSIFIERS)
def test_of_a_classifier_it_explains_the_first_token(family):
    model = made(CLASSIFIERS[family]).double()
    given = {"input_ids": IDS[:1]}
    if family == "ViT":
        given = {"pixel_values": torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(1)).double()}
    weights, grads = eager(model, lambda own: own(**given).logits[0, 2])
    found = relevance(model, given, target="LABEL_2")
    torch.testing.assert_close(found.values.double(), own_relevance(weights, grads)[0], atol=1e-6, rtol=1e-5)
    assert found.target == "LABEL_2"
    assert found.position == 0


def test_of_an_encoder_and_a_decoder_it_follows_equations_8_to_10():
    model = made(lambda: tf.BartForConditionalGeneration(tf.BartConfig(**BART))).double()
    given = {"input_ids": IDS[:1], "decoder_input_ids": IDS[1:, :5]}
    weights, grads = eager(model, lambda own: own(**given, use_cache=False).logits[0, -1, 7])
    eye = lambda n: torch.eye(n, dtype=torch.float64)  # noqa: E731

    def normed(found):
        added = found - eye(len(found))
        total = added.sum(-1, keepdim=True)
        return torch.where(total == 0, 0 * added, added / torch.where(total == 0, 1, total)) + eye(len(found))

    inner, outer, across = eye(9), eye(5), torch.zeros(5, 9, dtype=torch.float64)
    for a, g in zip(weights, grads, strict=True):
        c = (a * g).clamp(min=0).mean(0)
        if c.shape == (9, 9):
            inner = inner + c @ inner
        elif c.shape == (5, 5):
            outer, across = outer + c @ outer, across + c @ across
        else:
            across = across + normed(outer).T @ c @ normed(inner)
    found = relevance(model, given, target=7)
    torch.testing.assert_close(found.source.double(), across[-1], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.matrix.double(), outer - eye(5), atol=1e-6, rtol=1e-5)
    assert len(found.source_tokens) == 9
    assert set(found.to_frame()["sequence"]) == {"own", "source"}


def test_rows_that_feel_nothing_stay_zero_and_nothing_is_nan():
    # Of one decoder token all its own relevance may be dropped: its row is 0, and what it reads across is not wiped.
    model = made(lambda: tf.BartForConditionalGeneration(tf.BartConfig(**BART)))
    for start in range(5, 25):
        found = relevance(model, {"input_ids": IDS[:1], "decoder_input_ids": torch.tensor([[start]])}, target=7)
        assert found.source.isfinite().all()
        assert float(found.source.sum()) > 0


def test_gradient_rollout_is_the_script_by_that_name():
    model = made(CLASSIFIERS["BERT"]).double()
    weights, grads = eager(model, lambda own: own(input_ids=IDS[:1]).logits[0, 1])
    wanted = torch.eye(9, dtype=torch.float64)
    for a, g in zip(weights, grads, strict=True):
        step = (a * g).mean(0).clamp(min=0) + torch.eye(9, dtype=torch.float64)
        wanted = step / step.sum(-1, keepdim=True) @ wanted
    found = relevance(model, IDS[:1], target=1, variant="gradient_rollout")
    torch.testing.assert_close(found.matrix.double(), wanted, atol=1e-6, rtol=1e-5)


def test_in_the_storyteller_ben_rests_on_ben():
    model, tokenizer = demo.load()
    found = relevance(model, STORY, tokenizer, target="Ben", against="Lily", own=False)
    assert found.tokens[int(found.values.argmax())] == "Ben"
    assert found.values[found.position] == 0
    assert found.to_frame().attrs["target"] == "Ben"


def test_a_model_in_training_and_its_gradients_are_left_as_they_are():
    model = made(lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**GROUPED)))
    model.train()
    frozen = next(model.parameters())
    frozen.requires_grad_(False)
    relevance(model, IDS[:1], target=7)
    assert model.training
    assert not frozen.requires_grad
    assert all(p.requires_grad for p in model.parameters() if p is not frozen)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"target": 100}, "token 100 does not exist"),
        ({"target": "Ben"}, "no tokenizer came"),
        ({"position": 9}, "position=9 does not exist"),
        ({"variant": "lrp"}, "variant"),
    ],
)
def test_what_is_not_there_is_refused(asked, why):
    with pytest.raises(ValueError, match=why):
        relevance(made(NEXT_WORD["LLaMA"]), IDS[:1], **asked)


def test_a_class_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="this model has 'LABEL_0'"):
        relevance(made(CLASSIFIERS["BERT"]), IDS[:1], target="cat")


def test_several_texts_and_attention_that_is_not_seen_are_refused():
    with pytest.raises(ValueError, match="one at a time"):
        relevance(made(NEXT_WORD["LLaMA"]), IDS)


def test_torchs_own_attention_has_gradients_too():
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, dropout=0.0)
    encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double().eval()
    x = torch.randn(1, 5, 16, dtype=torch.float64)
    _, felt = feel(encoder, lambda: encoder(x)[0, 0, 3])
    attention, held = encoder.layers[0].self_attn, []

    def forward(query, key, value, **_):
        q, k, v = torch.nn.functional.linear(query, attention.in_proj_weight, attention.in_proj_bias).chunk(3, -1)
        q, k, v = (one.unflatten(-1, (4, 4)).transpose(1, 2) for one in (q, k, v))
        held.append((q @ k.mT / 2).softmax(-1))
        return attention.out_proj((held[0] @ v).transpose(1, 2).flatten(-2)), None

    attention.forward = forward
    (wanted,) = torch.autograd.grad(encoder(x)[0, 0, 3], held)
    for head in range(4):
        torch.testing.assert_close(felt[0].gradient(head), wanted[:, head], atol=1e-9, rtol=1e-6)


def test_layers_of_several_sizes_are_refused():
    model = made(
        lambda: tf.SwinForImageClassification(
            tf.SwinConfig(image_size=32, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4)
        )
    )
    with pytest.raises(ValueError, match=r"different numbers of tokens|not seen"):
        relevance(model, {"pixel_values": torch.randn(1, 3, 32, 32)}, target=1)


def test_relevance_goes_with_a_capture(tmp_path):
    model, tokenizer = demo.load()
    found = relevance(model, STORY, tokenizer, target="Ben")
    run = aw.capture(model, STORY, tokenizer)
    assert found.tokens == run.maps.tokens.labels


def test_inference_mode_and_learned_prefixes_are_told():
    model = made(NEXT_WORD["LLaMA"])
    with torch.inference_mode(), pytest.raises(ValueError, match="inference_mode"):
        relevance(model, IDS[:1], target=7)
    from peft import PrefixTuningConfig, get_peft_model

    tuned = get_peft_model(made(NEXT_WORD["GPT-2"]), PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3))
    with pytest.raises(ValueError, match="prefix"):
        relevance(tuned.eval(), {"input_ids": IDS[:1]}, target=5)
