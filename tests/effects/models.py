"""Small models of many families that predict the next token, and an input for them."""

from __future__ import annotations

import torch
import transformers as tf

SIZES = {"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
GROUPED = SIZES | {"num_key_value_heads": 2, "intermediate_size": 64}
IDS = torch.randint(5, 90, (2, 9), generator=torch.Generator().manual_seed(0))

NEXT_WORD = {
    "GPT-2": lambda: tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=100, n_embd=32, n_layer=2, n_head=4)),
    "GPT-J": lambda: tf.GPTJForCausalLM(tf.GPTJConfig(vocab_size=100, n_embd=32, n_layer=2, n_head=4, rotary_dim=4)),
    "NeoX": lambda: tf.GPTNeoXForCausalLM(tf.GPTNeoXConfig(**SIZES, intermediate_size=64)),
    "OPT": lambda: tf.OPTForCausalLM(
        tf.OPTConfig(**SIZES, ffn_dim=64, max_position_embeddings=64, word_embed_proj_dim=32)
    ),
    "LLaMA": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**GROUPED, attention_bias=True)),
    "Qwen3": lambda: tf.Qwen3ForCausalLM(tf.Qwen3Config(**GROUPED, head_dim=8)),
    "Gemma": lambda: tf.GemmaForCausalLM(tf.GemmaConfig(**GROUPED, head_dim=8)),
    "Gemma 2": lambda: tf.Gemma2ForCausalLM(tf.Gemma2Config(**GROUPED, head_dim=8)),
    "Granite": lambda: tf.GraniteForCausalLM(tf.GraniteConfig(**GROUPED, residual_multiplier=0.5)),
}

OTHERS = {
    "BERT": lambda: tf.BertModel(tf.BertConfig(**SIZES, intermediate_size=64)),
    "ALBERT": lambda: tf.AlbertModel(tf.AlbertConfig(**SIZES, embedding_size=16, intermediate_size=64)),
    "DeBERTa": lambda: tf.DebertaV2Model(tf.DebertaV2Config(**SIZES, intermediate_size=64)),
}


def made(build):
    """A model, the same each time; its small weights made large enough for heads to differ."""
    torch.manual_seed(0)
    model = build().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(6)
            elif parameter.abs().max() == 0:
                parameter.normal_(0, 0.1)  # biases begin at nothing
    return model
