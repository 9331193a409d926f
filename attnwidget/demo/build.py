"""The two models before training: word-level tokenizers and small standard configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import BertConfig, BertForMaskedLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from attnwidget.demo.stream import NO_MASK, Reading
from attnwidget.demo.words import WORDS

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LONGEST = 256
WIDTH, LAYERS, HEADS, INNER = 128, 4, 4, 256

SPECIAL = {
    "storyteller": {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"},
    "reader": {
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "mask_token": "[MASK]",
    },
}
TEMPLATE = {"storyteller": "<s> $A", "reader": "[CLS] $A [SEP]"}
PAIR_TEMPLATE = {"storyteller": "<s> $A $B", "reader": "[CLS] $A [SEP] $B:1 [SEP]:1"}


def build_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """Build the tokenizer of a demo model: one id a word, special tokens first."""
    special = SPECIAL[name]
    vocabulary = {word: i for i, word in enumerate([*special.values(), *WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token=special["unk_token"]))
    # Splits on blanks and around punctuation, so "late." is two words.
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    # Joins with blanks and closes up punctuation; there are no word pieces here.
    backend.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    backend.post_processor = processors.TemplateProcessing(
        single=TEMPLATE[name],
        pair=PAIR_TEMPLATE[name],
        special_tokens=[(token, vocabulary[token]) for token in special.values()],
    )
    inputs = ["input_ids", "attention_mask"] if name == "storyteller" else None
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        model_max_length=LONGEST,
        # New words are appended on the right, so a decoder's padding goes to the left.
        padding_side="left" if name == "storyteller" else "right",
        truncation_side="right",
        **({"model_input_names": inputs} if inputs else {}),
        **special,
    )


def reading(tokenizer: PreTrainedTokenizerBase) -> Reading:
    """Collect the ids that the training rows need."""
    vocabulary = tokenizer.get_vocab()
    encoder = tokenizer.mask_token is not None
    return Reading(
        ids={word: vocabulary[word] for word in WORDS},
        start=tokenizer.cls_token_id if encoder else tokenizer.bos_token_id,
        close=tokenizer.sep_token_id if encoder else tokenizer.eos_token_id,
        unknown=tokenizer.unk_token_id,
        mask=tokenizer.mask_token_id if encoder else NO_MASK,
    )


def build_model(name: str, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """Build a demo model with fresh random weights."""
    if name == "storyteller":
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=WIDTH,
                intermediate_size=INNER,
                num_hidden_layers=LAYERS,
                num_attention_heads=HEADS,
                num_key_value_heads=HEADS,
                max_position_embeddings=LONGEST,
                # Rows are short: faster rotations tell neighbours apart better.
                rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
                tie_word_embeddings=True,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
    return BertForMaskedLM(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=INNER,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            max_position_embeddings=LONGEST,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
