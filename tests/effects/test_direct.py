"""What each part of a model adds to a logit: the parts add up to it, in every family."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers as tf

import attnwidget as aw
from attnwidget import demo
from tests.effects.models import IDS, NEXT_WORD, made

STORY = "Lily and Ben went to the park . Lily gave the ball to"


@pytest.mark.parametrize("family", NEXT_WORD)
@pytest.mark.parametrize("position", [-1, 3])
def test_the_parts_are_the_logit(family, position):
    model, batch = made(NEXT_WORD[family]), {"input_ids": IDS[:1]}
    found = aw.effects.direct(model, batch, position=position, centred=False)
    summed = found.heads.double().sum() + found.mlps.double().sum() + found.biases.double().sum()
    summed += found.embedding + found.constant
    with torch.no_grad():
        logits = model(**batch).logits[0, position]
    assert float(summed) == pytest.approx(found.logit, abs=1e-4 * max(1, float(logits.abs().max())))
    cap = getattr(model.config, "final_logit_softcapping", None)
    said = (
        cap * torch.tensor(found.logit / cap).tanh()
        if cap
        else found.logit / getattr(model.config, "logits_scaling", 1)
    )
    assert float(said) == pytest.approx(float(logits.max()), rel=1e-4)


def test_a_head_without_weights_has_no_effect_and_the_others_keep_theirs():
    model = made(NEXT_WORD["LLaMA"])
    batch = {"input_ids": IDS[:1]}
    before = aw.effects.direct(model, batch, target=7, centred=False)
    last = model.model.layers[1].self_attn.o_proj.weight
    last.data[:, 8:16] = 0
    after = aw.effects.direct(model, batch, target=7, centred=False)
    assert float(after.heads[1, 1]) == pytest.approx(0, abs=1e-6)
    assert float(before.heads[1, 1]) != pytest.approx(0, abs=1e-3)
    # The norm has another scale now; what others add is what it was, times one number.
    ratio = after.heads[1, [0, 2, 3]] / before.heads[1, [0, 2, 3]]
    torch.testing.assert_close(ratio, ratio[:1].expand(3), rtol=1e-3, atol=0)


def test_the_storytellers_name_mover_is_found_and_confirmed_by_taking_it_away():
    model, tokenizer = aw.demo.load("storyteller")
    found = aw.effects.direct(model, STORY, tokenizer, target="Ben", against="Lily")
    assert found.logit > 5
    assert found.check < 1e-4
    last = max(range(4), key=lambda head: float(found.heads[3, head]))
    assert float(found.heads[3, last]) > 3
    other = copy.deepcopy(model)
    other.model.layers[3].self_attn.o_proj.weight.data[:, last * 32 : (last + 1) * 32] = 0
    lost = aw.effects.direct(other, STORY, tokenizer, target="Ben", against="Lily")
    assert lost.logit < found.logit - 2
    likelier, _ = found.promoted(3, last, 5)
    assert len(likelier) == 5
    table = found.to_frame()
    assert table["effect"].sum() == pytest.approx(found.logit, abs=1e-3)
    assert table.attrs["target"] == "Ben"


def test_less_the_mean_over_the_vocabulary_a_difference_stays_what_it_was():
    model, batch = made(NEXT_WORD["GPT-2"]), {"input_ids": IDS[:1]}
    one, other = (aw.effects.direct(model, batch, target=token) for token in (7, 8))
    both = aw.effects.direct(model, batch, target=7, against=8)
    torch.testing.assert_close(one.heads - other.heads, both.heads, atol=1e-5, rtol=0)
    assert one.centred
    assert not both.centred


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m, t: aw.effects.direct(m, STORY, t, target="Ben Ben"), "is 2 tokens of this tokenizer"),
        (lambda m, t: aw.effects.direct(m, STORY, t, target=10_000), "token 10000 does not exist"),
        (lambda m, t: aw.effects.direct(m, STORY, t, position=99), "position=99 does not exist"),
        (lambda m, t: aw.effects.direct(m, [STORY, STORY], t), "one text or picture; give one at a time"),
        (lambda m, t: aw.effects.direct(m, STORY, t).promoted(9, 0), "layer 9, head 0 does not exist"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(*aw.demo.load("storyteller"))


def test_half_precision_is_refused():
    with pytest.raises(ValueError, match=r"computes in bfloat16.*pass model.float\(\)"):
        aw.effects.direct(made(NEXT_WORD["LLaMA"]).bfloat16(), {"input_ids": IDS[:1]})


def test_a_model_that_predicts_no_next_token_is_refused():
    model = tf.BertForMaskedLM(
        tf.BertConfig(vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
    )
    with pytest.raises(ValueError, match="adds something else than its heads"):
        aw.effects.direct(model, {"input_ids": IDS[:1]})


@pytest.mark.parametrize("family", NEXT_WORD)
def test_the_sources_of_a_head_sum_to_the_head(family):
    model = made(NEXT_WORD[family])
    effects = aw.effects.direct(model, IDS[:1], target=7, position=6)
    for layer in range(2):
        for head in range(4):
            total = float(effects.sources(layer, head).sum())
            assert total == pytest.approx(
                float(effects.heads[layer, head]), abs=1e-5 * float(effects.heads.abs().max())
            )


@pytest.mark.parametrize("family", ["GPT-2", "LLaMA", "Gemma 2"])
def test_a_source_is_what_its_weight_times_its_value_adds(family):
    model = made(NEXT_WORD[family])
    effects = aw.effects.direct(model, IDS[:1], target=7, against=9, position=6)
    other = aw.effects.direct(model, IDS[:1], target=7, against=9, position=4)
    assert effects.split is not None
    for layer in range(2):
        for head in range(4):
            # One map holds the effects of all positions.
            row = effects.split.map(layer, head)[4]
            torch.testing.assert_close(row, other.sources(layer, head), atol=1e-5, rtol=1e-4)
            assert float(row[5:].abs().max()) == 0


def test_what_helps_most_carries_the_name_from_where_it_stands():
    model, tokenizer = demo.load()
    prompts = demo.name_pairs()[:20]
    found = 0
    for text, answer in prompts:
        one, _, other, *_ = text.split()
        effects = aw.effects.direct(model, text, tokenizer, target=answer, against=other if one == answer else one)
        layer, head = divmod(int(effects.heads.argmax()), effects.heads.shape[1])
        through = int(effects.sources(layer, head).argmax())
        labels = effects.split.maps.key_tokens.labels
        # Layer 1 reads it at the name; layer 3 at the verb, to which the layers before have brought it.
        found += labels[through] == answer if layer == 1 else (layer, head, through) == (3, 1, 10)
    assert found == len(prompts) == 20


SIZES = {"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_labels": 3}
CLASSIFIERS = {
    "ViT": lambda: tf.ViTForImageClassification(
        tf.ViTConfig(**SIZES | {"intermediate_size": 64, "image_size": 24, "patch_size": 8})
    ),
    "GPT-2": lambda: tf.GPT2ForSequenceClassification(
        tf.GPT2Config(vocab_size=100, n_embd=32, n_layer=2, n_head=4, num_labels=3, pad_token_id=0)
    ),
    "LLaMA": lambda: tf.LlamaForSequenceClassification(
        tf.LlamaConfig(**SIZES, num_key_value_heads=2, intermediate_size=64, pad_token_id=0)
    ),
}


@pytest.mark.parametrize("family", CLASSIFIERS)
def test_of_a_classifier_the_parts_are_the_logit_of_a_class(family):
    model = made(CLASSIFIERS[family])
    given = {"input_ids": IDS[:1]}
    if family == "ViT":
        given = {"pixel_values": torch.randn(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))}
    found = aw.effects.direct(model, given, target="LABEL_2", centred=False)
    summed = found.heads.double().sum() + found.mlps.double().sum() + found.biases.double().sum()
    summed += found.embedding + found.constant
    with torch.no_grad():
        logits = model(**given).logits[0]
    assert float(summed) == pytest.approx(float(logits[2]), abs=1e-4 * float(logits.abs().max()))
    assert found.position == (0 if family == "ViT" else 8)
    assert {name for side in found.promoted(1, 2) for name, _ in side} == {"LABEL_0", "LABEL_1", "LABEL_2"}
    total = float(found.sources(1, 2).sum())
    assert total == pytest.approx(float(found.heads[1, 2]), abs=1e-5)


def test_a_class_behind_something_that_is_not_linear_is_refused():
    model = made(lambda: tf.BertForSequenceClassification(tf.BertConfig(**SIZES, intermediate_size=64)))
    with pytest.raises(ValueError, match="norm"):
        aw.effects.direct(model, {"input_ids": IDS[:1]}, target=1)


FACTORS = {
    "Granite": lambda: tf.GraniteForCausalLM(
        tf.GraniteConfig(**SIZES | {"num_key_value_heads": 2}, logits_scaling=8.0)
    ),
    "Cohere": lambda: tf.CohereForCausalLM(
        tf.CohereConfig(**SIZES, intermediate_size=64, num_key_value_heads=2, logit_scale=0.0625)
    ),
}


@pytest.mark.parametrize("family", FACTORS)
def test_a_factor_on_the_logits_is_in_every_number(family):
    model = made(FACTORS[family])
    found = aw.effects.direct(model, IDS[:1], target=5, against=7)
    with torch.no_grad():
        logits = model(input_ids=IDS[:1]).logits[0, -1]
    assert found.logit == pytest.approx(float(logits[5] - logits[7]), rel=1e-4)
    assert found.likely[0][1] == pytest.approx(float(logits.softmax(-1).max()), rel=1e-4)
    summed = found.heads.double().sum() + found.mlps.double().sum() + found.biases.double().sum()
    assert float(summed) + found.embedding + found.constant == pytest.approx(found.logit, abs=1e-5)
    assert float(found.sources(1, 2).sum()) == pytest.approx(float(found.heads[1, 2]), abs=1e-6)


def test_a_word_that_is_no_token_is_refused():
    model, tokenizer = demo.load()
    for find in (aw.effects.direct, aw.effects.relevance, aw.effects.attribute):
        with pytest.raises(ValueError, match="no token of this tokenizer"):
            find(model, STORY, tokenizer, target="zzzz")
    with pytest.raises(ValueError, match="at least one word"):
        aw.effects.direct(model, STORY, tokenizer).promoted(0, 0, -1)


def test_a_head_for_classes_that_reads_more_than_one_position_is_refused():
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 24, "patch_size": 8}
    model = made(lambda: tf.Dinov2ForImageClassification(tf.Dinov2Config(**sizes, num_labels=3)))
    with pytest.raises(ValueError, match="norm"):
        aw.effects.direct(model, {"pixel_values": torch.randn(1, 3, 24, 24)}, target=1)
