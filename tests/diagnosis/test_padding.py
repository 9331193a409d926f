"""diagnose: padding is what attention was not allowed to see, or what fills up an end; a start token is a token."""

from __future__ import annotations

import pytest
import torch
import transformers as tf

import attnwidget as aw
from attnwidget import diagnose
from attnwidget.diagnosis import Findings
from tests.diagnosis.cases import HEADS, accused
from tests.make import matrices

small = {"vocab_size": 60, "d_model": 32, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
bart = small | {
    "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 32,
}  # fmt: skip
t5 = small | {"d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
FAMILIES = {  # all of them start their decoder with the pad token
    "T5": lambda: tf.T5ForConditionalGeneration(tf.T5Config(**t5)),
    "mT5": lambda: tf.MT5ForConditionalGeneration(tf.MT5Config(**t5)),
    "UMT5": lambda: tf.UMT5ForConditionalGeneration(tf.UMT5Config(**t5)),
    "Marian": lambda: tf.MarianMTModel(tf.MarianConfig(**bart)),
    "Pegasus": lambda: tf.PegasusForConditionalGeneration(tf.PegasusConfig(**bart)),
}


@pytest.fixture(scope="module")
def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"<pad>": 0, "</s>": 1, **{f"word{i}": i for i in range(2, 60)}}
    made = Tokenizer(models.WordLevel(words, unk_token="</s>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tf.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="</s>")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_decoder_that_starts_with_the_pad_token_is_not_accused(family, tokenizer):
    torch.manual_seed(0)
    model = FAMILIES[family]().eval()
    inputs = {
        "input_ids": torch.tensor([[5, 6, 7, 8, 9, 10, 1]]),
        "decoder_input_ids": torch.tensor([[0, 5, 7, 9, 11]]),
    }
    run = aw.capture(model, inputs, tokenizer)
    assert run.decoder.tokens.labels[0] == "<pad>"
    assert "padding" not in names_of(diagnose(run))


def names_of(findings: Findings) -> list[str]:
    return [finding.name for finding in findings]


def labelled(weights, labels):
    return aw.AttentionMaps.from_arrays(weights, tokens=labels, layout="LHQK")


@pytest.mark.parametrize(
    ("labels", "padded"),
    [
        (["<pad>", *"abcdefgh"], False),  # how many decoders start
        (["a", "b", "<pad>", *"cdefgh"], False),  # somebody writes about padding
        ([*"abcdefgh", "<pad>"], True),
        ([*"abcdef", "[PAD]", "[PAD]", "[PAD]"], True),
        (["<|pad|>", "<|pad|>", *"abcdefg"], True),
        (["<pad>"] * 9, False),
        ([*"abcdefghi"], False),
    ],
)
def test_what_fills_up_an_end_and_is_looked_at(labels, padded):
    assert accused(diagnose(labelled(matrices(2, HEADS, 9, 9), labels))) == (["padding"] if padded else [])


def test_padding_at_the_end_of_a_causal_map_is_seen_by_no_token():
    labels = [*"abcdef", "<pad>", "<pad>", "<pad>"]
    weights = matrices(2, HEADS, 9, 9, causal=True)
    weights[..., 6:, :] = 0
    weights[..., 6:, 0] = 1
    assert accused(diagnose(labelled(weights, labels))) == []


def test_what_a_mask_hides_needs_no_label():
    mask = torch.ones(9, 9, dtype=torch.bool)
    mask[:, 6:] = False
    assert accused(diagnose(matrices(2, HEADS, 9, 9), mask=mask)) == ["padding"]
