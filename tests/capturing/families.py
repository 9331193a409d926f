"""Tiny random models of many families, with inputs for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers
from torch import Tensor

FOUR = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False}
SMALL: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 99,
}  # fmt: skip
GROUPED = SMALL | {"num_key_value_heads": 2, "head_dim": 8, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SEQ2SEQ: dict[str, Any] = {
    "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "vocab_size": 99,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
}  # fmt: skip
GPT2: dict[str, Any] = {
    "n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99, "n_positions": 64, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip


def ids(batch: int = 2, n: int = 7, seed: int = 0) -> Tensor:
    return torch.randint(3, 99, (batch, n), generator=torch.Generator().manual_seed(seed))


def padding(n: int = 7, *, left: bool = False) -> Tensor:
    mask = torch.ones(2, n, dtype=torch.long)
    mask[1, : n - 5 if left else 0] = 0
    if not left:
        mask[1, 5:] = 0
    return mask


def needs(*names: str) -> None:
    """Skip, and say so, where this release of transformers has no such model."""
    import pytest

    missing = [name for name in names if not hasattr(transformers, name)]
    if missing:
        pytest.skip(f"transformers {transformers.__version__} has no {', '.join(missing)}")


def agrees_with_itself(model: torch.nn.Module, inputs: dict[str, Tensor]) -> bool:
    """Whether a model puts out the same with every attention function of its own; some releases leave a factor out."""
    logits = []
    for implementation in ("eager", "sdpa"):
        model.set_attn_implementation(implementation)
        with torch.no_grad():
            logits.append(model(**inputs).logits)
    return torch.allclose(*logits, atol=1e-4)


def cached(model: torch.nn.Module, cache: Any) -> dict[str, Any]:
    """A cache as an argument of a model's forward, which has had two names for it."""
    import inspect

    name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    return {name: cache}


def cache_of(output: Any) -> Any:
    return next((value for value in output.values() if hasattr(value, "get_seq_length")), None)


def text(**extra: Tensor) -> dict[str, Tensor]:
    return {"input_ids": ids(), **extra}


def source_and_target() -> dict[str, Tensor]:
    return {"input_ids": ids(), "attention_mask": padding(), "decoder_input_ids": ids(2, 4, seed=1)}


def _make(model: str, config: str, options: dict[str, Any]) -> Callable[[], torch.nn.Module]:
    def make() -> torch.nn.Module:
        torch.manual_seed(0)
        built = getattr(transformers, model)(getattr(transformers, config)(**options))
        with torch.no_grad():
            for name, parameter in built.named_parameters():
                if "sinks" in name or "relative_attention_bias" in name:
                    parameter.copy_(torch.randn_like(parameter) / 2)  # at zero they would prove nothing
        return built

    return make


PICTURES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "image_size": 16,
    "patch_size": 4,
}  # fmt: skip
PIXELS = {"pixel_values": torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))}


def _make_pair() -> Callable[[], torch.nn.Module]:
    def make() -> torch.nn.Module:
        torch.manual_seed(0)
        both = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(
            transformers.BertConfig(**SMALL), transformers.GPT2Config(**GPT2)
        )
        both.decoder_start_token_id, both.pad_token_id = 1, 0
        return transformers.EncoderDecoderModel(both)

    return make


FAMILIES: dict[str, tuple[Callable[[], torch.nn.Module], dict[str, Tensor]]] = {
    "bert": (_make("BertModel", "BertConfig", SMALL), text(attention_mask=padding())),
    "bert-decoder-with-cross": (
        _make("BertLMHeadModel", "BertConfig", SMALL | {"is_decoder": True, "add_cross_attention": True}),
        text(encoder_hidden_states=torch.randn(2, 5, 32)),
    ),
    "albert": (_make("AlbertModel", "AlbertConfig", SMALL | {"embedding_size": 16, "num_hidden_layers": 3}), text()),
    "gpt2": (_make("GPT2LMHeadModel", "GPT2Config", GPT2), text(attention_mask=padding())),
    "gpt2-inverse-layer": (
        _make("GPT2LMHeadModel", "GPT2Config", GPT2 | {"scale_attn_by_inverse_layer_idx": True}),
        text(),
    ),
    "gpt2-upcast": (_make("GPT2LMHeadModel", "GPT2Config", GPT2 | {"reorder_and_upcast_attn": True}), text()),
    "llama-grouped": (_make("LlamaForCausalLM", "LlamaConfig", GROUPED), text(attention_mask=padding(left=True))),
    "qwen3": (_make("Qwen3ForCausalLM", "Qwen3Config", GROUPED), text(attention_mask=padding())),
    "mistral-window": (_make("MistralForCausalLM", "MistralConfig", GROUPED | {"sliding_window": 3}), text()),
    "gemma2-softcap": (
        _make(
            "Gemma2ForCausalLM", "Gemma2Config", GROUPED | {"sliding_window": 3, "attn_logit_softcapping": 2.0}
        ),
        text(),
    ),
    "gpt-oss-sinks": (
        _make(
            "GptOssForCausalLM",
            "GptOssConfig",
            GROUPED | {"sliding_window": 3, "num_local_experts": 2, "num_experts_per_tok": 1},
        ),
        text(),
    ),
    "opt": (
        _make(
            "OPTForCausalLM", "OPTConfig",
            {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64, "vocab_size": 99,
             "word_embed_proj_dim": 32, "max_position_embeddings": 64},
        ),
        text(),
    ),
    "t5": (
        _make(
            "T5ForConditionalGeneration", "T5Config",
            {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 99,
             "decoder_start_token_id": 0},
        ),
        source_and_target(),
    ),
    "bart": (_make("BartForConditionalGeneration", "BartConfig", SEQ2SEQ), source_and_target()),
    "whisper": (
        _make(
            "WhisperForConditionalGeneration", "WhisperConfig",
            SEQ2SEQ | {"num_mel_bins": 8, "max_source_positions": 20, "max_target_positions": 20},
        ),
        {"input_features": torch.randn(2, 8, 40), "decoder_input_ids": ids(2, 4)},
    ),
    "vit": (
        _make("ViTModel", "ViTConfig", {**SMALL, "image_size": 16, "patch_size": 4}),
        {"pixel_values": torch.randn(2, 3, 16, 16)},
    ),
    "roberta": (_make("RobertaModel", "RobertaConfig", SMALL | {"pad_token_id": 1}), text(attention_mask=padding())),
    "electra": (_make("ElectraModel", "ElectraConfig", SMALL | {"embedding_size": 16}), text(attention_mask=padding())),
    "distilbert": (
        _make(
            "DistilBertModel", "DistilBertConfig",
            {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "vocab_size": 99},
        ),
        text(attention_mask=padding()),
    ),
    "modernbert-local": (
        _make("ModernBertModel", "ModernBertConfig",
              SMALL | {"local_attention": 4, "global_attn_every_n_layers": 2, "pad_token_id": 0, "bos_token_id": 1,
                       "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}),
        text(attention_mask=padding()),
    ),
    "gpt-neox": (_make("GPTNeoXForCausalLM", "GPTNeoXConfig", SMALL | {"bos_token_id": 1, "eos_token_id": 2}), text()),
    "starcoder2": (
        _make("Starcoder2ForCausalLM", "Starcoder2Config", GROUPED), text(attention_mask=padding(left=True))
    ),
    "phi3": (_make("Phi3ForCausalLM", "Phi3Config", GROUPED), text()),
    "cohere": (_make("CohereForCausalLM", "CohereConfig", GROUPED), text()),
    "mixtral": (
        _make("MixtralForCausalLM", "MixtralConfig", GROUPED | {"num_local_experts": 2, "num_experts_per_tok": 1}),
        text(),
    ),
    "qwen2": (_make("Qwen2ForCausalLM", "Qwen2Config", GROUPED), text(attention_mask=padding())),
    "deepseek-v3": (
        _make("DeepseekV3ForCausalLM", "DeepseekV3Config",
              SMALL | {"num_key_value_heads": 4, "kv_lora_rank": 16, "q_lora_rank": 16, "qk_rope_head_dim": 4,
                       "qk_nope_head_dim": 4, "v_head_dim": 8, "n_routed_experts": 2, "num_experts_per_tok": 1,
                       "n_group": 1, "topk_group": 1, "moe_intermediate_size": 16, "first_k_dense_replace": 1,
                       "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}),
        text(),
    ),
    "gemma": (_make("GemmaForCausalLM", "GemmaConfig", GROUPED), text()),
    "gemma3-window": (
        _make("Gemma3ForCausalLM", "Gemma3TextConfig", GROUPED | {"sliding_window": 3}),
        text(attention_mask=padding()),
    ),
    "mt5": (
        _make("MT5ForConditionalGeneration", "MT5Config",
              {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 99,
               "decoder_start_token_id": 0}),
        source_and_target(),
    ),
    "umt5": (
        _make("UMT5ForConditionalGeneration", "UMT5Config",
              {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 99,
               "decoder_start_token_id": 0}),
        source_and_target(),
    ),
    "mbart": (_make("MBartForConditionalGeneration", "MBartConfig", SEQ2SEQ), source_and_target()),
    "marian": (_make("MarianMTModel", "MarianConfig", SEQ2SEQ), source_and_target()),
    "pegasus": (_make("PegasusForConditionalGeneration", "PegasusConfig", SEQ2SEQ), source_and_target()),
    "bert-to-gpt2": (
        _make_pair(),
        source_and_target(),
    ),
    "deit": (_make("DeiTModel", "DeiTConfig", PICTURES), PIXELS),
    "dinov2": (_make("Dinov2Model", "Dinov2Config", PICTURES), PIXELS),
    "dinov2-registers": (
        _make("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", PICTURES | {"num_register_tokens": 3}),
        PIXELS,
    ),
    "beit-bias-in-the-mask": (
        _make("BeitModel", "BeitConfig", PICTURES | {"use_relative_position_bias": True}),
        PIXELS,
    ),
    "clip-vision": (_make("CLIPVisionModel", "CLIPVisionConfig", PICTURES), PIXELS),
    "clip-text": (
        _make("CLIPTextModel", "CLIPTextConfig", SMALL | {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}),
        text(attention_mask=padding()),
    ),
    "wav2vec2": (
        _make("Wav2Vec2Model", "Wav2Vec2Config",
              SMALL | {"conv_dim": (16, 16), "conv_stride": (5, 4), "conv_kernel": (10, 4),
                       "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}),
        {"input_values": torch.randn(2, 400)},
    ),
    # Outside the registry: their own matrices are taken.
    "gpt-neo": (
        _make(
            "GPTNeoForCausalLM", "GPTNeoConfig",
            {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]],
             "vocab_size": 99, "window_size": 3, "bos_token_id": 1, "eos_token_id": 2},
        ),
        text(attention_mask=padding()),
    ),
    "falcon": (
        _make("FalconForCausalLM", "FalconConfig", SMALL | {"bos_token_id": 1, "eos_token_id": 2}),
        text(),
    ),
    "deberta-v2": (
        _make("DebertaV2Model", "DebertaV2Config",
              SMALL | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_buckets": 8}),
        text(attention_mask=padding()),
    ),
    "gpt-j": (
        _make("GPTJForCausalLM", "GPTJConfig",
              {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4, "vocab_size": 99, "bos_token_id": 1,
               "eos_token_id": 2}),
        text(),
    ),
    "bloom": (
        _make("BloomForCausalLM", "BloomConfig",
              {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": 99, "bos_token_id": 1, "eos_token_id": 2}),
        text(attention_mask=padding()),
    ),
    "mpt": (
        _make("MptForCausalLM", "MptConfig",
              {"d_model": 32, "n_layers": 2, "n_heads": 4, "vocab_size": 99, "max_seq_len": 64, "bos_token_id": 1,
               "eos_token_id": 2}),
        text(),
    ),
    "xlnet": (
        _make("XLNetModel", "XLNetConfig", {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64, "vocab_size": 99}),
        text(),
    ),
}  # fmt: skip


def made(family: str) -> torch.nn.Module:
    """The small model of a family."""
    return FAMILIES[family][0]().eval()
