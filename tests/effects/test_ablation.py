"""What a model loses without a head, against the same done by hand."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import transformers as tf

import attnwidget as aw
from tests.effects.models import IDS, NEXT_WORD, SIZES, made

TEXTS = [
    "Lily and Ben went to the park . Lily gave the ball to Ben .",
    "Ben was happy . Lily was sad .",
]


@pytest.fixture(scope="module")
def storyteller():
    return aw.demo.load("storyteller")


def loss_of(model, tokenizer, text):
    batch = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        return float(model(**batch, labels=batch["input_ids"]).loss)


def without(model, layer, head, width):
    other = copy.deepcopy(model)
    other.model.layers[layer].self_attn.o_proj.weight.data[:, head * width : (head + 1) * width] = 0
    return other


def test_a_head_set_to_zero_is_a_head_whose_weights_are_zero(storyteller):
    model, tokenizer = storyteller
    found = aw.effects.ablate(model, TEXTS, tokenizer, progress=False)
    assert found.effect.shape == (4, 4)
    assert found.n_examples == 2
    assert found.baseline == pytest.approx(sum(loss_of(model, tokenizer, text) for text in TEXTS) / 2, abs=1e-5)
    for layer, head in [(0, 3), (1, 2), (3, 0)]:
        other = without(model, layer, head, 32)
        change = sum(loss_of(other, tokenizer, text) - loss_of(model, tokenizer, text) for text in TEXTS) / 2
        assert float(found.effect[layer, head]) == pytest.approx(change, abs=1e-5)
    assert found.ranked[0] == (0, 3)
    table = found.to_frame()
    assert table.loc[(0, 3), "effect"] == pytest.approx(float(found.effect[0, 3]))
    assert "do not add" in table.attrs["caveat"]


def test_a_batch_with_padding_is_its_examples(storyteller):
    model, tokenizer = storyteller
    batch = tokenizer(TEXTS, return_tensors="pt", padding=True)
    together = aw.effects.ablate(model, [batch], progress=False)
    apart = aw.effects.ablate(model, TEXTS, tokenizer, progress=False)
    torch.testing.assert_close(together.effect, apart.effect, atol=2e-5, rtol=0)
    assert together.n_examples == 2


@pytest.mark.parametrize("what", ["zero", "mean"])
def test_the_divergence_is_that_of_the_distributions(storyteller, what):
    model, tokenizer = storyteller
    found = aw.effects.ablate(model, TEXTS[:1], tokenizer, what=what, metric="kl", progress=False)
    assert bool((found.effect >= 0).all())
    assert math.isnan(found.baseline)
    if what == "zero":
        batch = tokenizer(TEXTS[0], return_tensors="pt")
        with torch.no_grad():
            p = model(**batch).logits[0].log_softmax(-1)
            q = without(model, 1, 2, 32)(**batch).logits[0].log_softmax(-1)
        assert float(found.effect[1, 2]) == pytest.approx(float((p.exp() * (p - q)).sum(-1).mean()), abs=1e-5)


def test_a_head_replaced_by_its_own_mean_where_it_never_changes_loses_nothing():
    model = made(NEXT_WORD["LLaMA"])
    for layer in model.model.layers:
        layer.self_attn.v_proj.weight.data.zero_()  # what heads put out is the bias of their values alone
    found = aw.effects.ablate(model, [{"input_ids": IDS}], what="mean", progress=False)
    torch.testing.assert_close(found.effect, torch.zeros(2, 4), atol=1e-5, rtol=0)
    assert float(aw.effects.ablate(model, [{"input_ids": IDS}], progress=False).effect.abs().max()) > 1e-3


def test_the_model_is_left_as_it_was_also_where_somebody_interrupts(storyteller, monkeypatch):
    model, tokenizer = storyteller
    model.train()
    forward, calls = type(model).forward, []

    def interrupted(self, *args, **kwargs):
        calls.append(1)
        if len(calls) > 25:  # amid the second example
            raise KeyboardInterrupt
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(type(model), "forward", interrupted)
    found = aw.effects.ablate(model, TEXTS, tokenizer, progress=False)
    assert found.interrupted
    assert found.n_examples == 1
    assert bool(found.effect.isfinite().all())
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    model.eval()


SIZED = SIZES | {"intermediate_size": 64}
HALVES = {f"{side}_{what}": size for side in ("encoder", "decoder")
          for what, size in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 64))}  # fmt: skip
PICTURES = {key: size for key, size in SIZED.items() if key != "vocab_size"} | {"image_size": 16, "patch_size": 8}


@pytest.mark.parametrize(
    ("build", "example", "options"),
    [
        (
            lambda: tf.BertForSequenceClassification(tf.BertConfig(**SIZED, num_labels=3)),
            ({"input_ids": IDS}, torch.tensor([1, 2])),
            {},
        ),
        (
            lambda: tf.ViTForImageClassification(tf.ViTConfig(**PICTURES, num_labels=3)),
            ({"pixel_values": torch.rand(2, 3, 16, 16)}, torch.tensor([0, 2])),
            {"metric": "kl"},
        ),
        (
            lambda: tf.BartForConditionalGeneration(
                tf.BartConfig(
                    vocab_size=100, d_model=32, max_position_embeddings=64, forced_eos_token_id=None, **HALVES
                )
            ),
            {"input_ids": IDS, "labels": IDS},
            {"part": "cross"},
        ),
    ],
)
def test_heads_of_other_models_are_taken_away_too(build, example, options):
    torch.manual_seed(0)
    found = aw.effects.ablate(build().eval(), [example], progress=False, **options)
    assert found.effect.shape == (2, 4)
    assert found.n_examples == 2
    assert float(found.effect.abs().max()) > 0


@pytest.mark.parametrize(
    ("data", "options", "error", "words"),
    [
        ([], {}, ValueError, "data is empty"),
        (3, {}, TypeError, "data is int; expected texts"),
        (TEXTS, {"what": "half"}, ValueError, "what"),
        (TEXTS, {"metric": "f1"}, ValueError, "metric"),
        (TEXTS, {"part": "cross"}, ValueError, "part='cross'; this model attends in attention"),
        ([""], {}, ValueError, "empty"),
        ([{"input_ids": IDS[:1, :1]}], {}, ValueError, "no token whose loss could be taken"),
    ],
)
def test_bad_input_is_refused(storyteller, data, options, error, words):
    model, tokenizer = storyteller
    with pytest.raises(error, match=words):
        aw.effects.ablate(model, data, tokenizer, progress=False, **options)
