"""Models and functions that workers import, as a user's own module would have them."""

from __future__ import annotations

import torch
import transformers as tf

import attnwidget as aw


def storyteller():
    """A model and its tokenizer, made where they are needed."""
    return aw.demo.load()


def by_length(tokens):
    """A label for each token."""
    return [None if token.startswith(("<", "[")) else "long" if len(token) > 3 else "short" for token in tokens]


def one_too_few(tokens):
    """Labels that do not fit."""
    return ["x"] * (len(tokens) - 1)


def of_kind(name, vocabulary):
    """A small random model of another family, in double precision."""
    torch.manual_seed(0)
    small = {"vocab_size": vocabulary, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    grouped = small | {"num_key_value_heads": 2, "intermediate_size": 64}
    made = {
        "GPT-2": lambda: tf.GPT2LMHeadModel(
            tf.GPT2Config(vocab_size=vocabulary, n_embd=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0)
        ),
        "BERT": lambda: tf.BertModel(tf.BertConfig(**small, intermediate_size=64)),
        "ALBERT": lambda: tf.AlbertModel(tf.AlbertConfig(**small, embedding_size=16, intermediate_size=64)),
        "DeBERTa": lambda: tf.DebertaV2Model(tf.DebertaV2Config(**small, intermediate_size=64)),
        "Gemma 2": lambda: tf.Gemma2ForCausalLM(tf.Gemma2Config(**grouped, head_dim=8, sliding_window=4)),
        "BLOOM": lambda: tf.BloomForCausalLM(
            tf.BloomConfig(vocab_size=vocabulary, hidden_size=32, n_layer=2, n_head=4)
        ),
        "T5's encoder": lambda: tf.T5EncoderModel(
            tf.T5Config(vocab_size=vocabulary, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
        ),
    }[name]()
    return made.double().eval()


def of_words():
    """A tokenizer that makes a token of each word, and adds none of its own."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"[UNK]": 0, "Ben": 1, "ran": 2, "home": 3, "and": 4}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tf.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]")
