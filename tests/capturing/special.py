"""Numbers of single configs that no rule of names finds, by model type."""

from __future__ import annotations

from typing import Any

import transformers

# Four heads of 16: half of that is enough for rotations in three sections.
WIDTH, INNER, HEADS, HEAD, VOCAB, PICTURE = 64, 64, 4, 16, 128, 64

# What no rule of names finds: constraints between numbers of one config.
OVERRIDES: dict[str, dict[str, Any]] = {
    "zamba": {"attention_hidden_size": 2 * WIDTH, "attention_head_dim": 2 * HEAD, "num_hidden_layers": 4,
              "layers_block_type": ["linear_attention", "hybrid"] * 2},
    "sam3_lite_text_text_model": {"num_hidden_layers": 3},  # the first and the last mix by convolution
    "recurrent_gemma": {"num_hidden_layers": 3},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention"]},
    "bamba": {"attn_layer_indices": [1]},
    "dory": {
        "num_hidden_layers": 6, "n_input_layers": 2, "n_recurrent_layers": 2, "n_output_layers": 2,
        "layer_types": ["sliding_attention", "mlp", "full_attention", "mlp", "full_attention", "mlp"],
    },
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_layers": 2},
    "gemma3n_text": {
        "num_hidden_layers": 4, "layer_types": ["sliding_attention", "full_attention"] * 2, "num_kv_shared_layers": 0,
        "activation_sparsity_pattern": [0.95, 0.0, 0.0, 0.0], "intermediate_size": [64] * 4,
    },
    "align_vision_model": {"width_coefficient": 0.25, "depth_coefficient": 0.2, "hidden_dim": 80},
    "efficientnet": {"width_coefficient": 0.25, "depth_coefficient": 0.2, "hidden_dim": 320},
    "blt": {"encoder_hash_byte_group_vocab": 64},
    "apertus1p5": {"image_token_offset": 64, "audio_token_offset": 96},
    "deepseek_ocr2_text": {"mlp_layer_types": ["dense", "sparse"]},
    **{f"{kind}_prompt_encoder": {"patch_size": 16} for kind in ("sam2", "sam2_video", "edgetam", "edgetam_video")},
    "eomt": {"num_blocks": 1},
    "eomt_dinov3": {"num_blocks": 1},
    "clvp_encoder": {"num_attention_heads": 2},
    "depth_pro": {"patch_size": PICTURE},
    "DbrxAttentionConfig": {"rope_theta": 10000.0, "clip_qkv": 8.0},
    "autoformer": {"prediction_length": 8, "label_length": 4, "context_length": 16},
    "longcat_flash": {"head_dim": HEAD // 2},
    "seggpt": {"image_size": [2 * PICTURE, PICTURE], "merge_index": 0,
               "intermediate_hidden_state_indices": (1, 1, 1, 1)},
}  # fmt: skip

# What holds for every way of shrinking.
ALWAYS: dict[str, dict[str, Any]] = {
    "blip-2": {"image_token_index": 100},
    "instructblip": {"image_token_index": 100},
    "instructblipvideo": {"video_token_index": 100},
    "chameleon": {"vocabulary_map": {"<image>": 100, **{f"IMGIMG{a}{b}Z": 64 + 8 * i + j for i, a in enumerate("ABCD")
                                     for j, b in enumerate("ABCDEFGH")}}},
    "emu3": {"vocabulary_map": {"<image>": 100, "<|extra_200|>": 101}},
    "xmod": {"default_language": "en_XX"},
    "vitmatte": {"convstream_hidden_sizes": [48, 96, 192], "fusion_hidden_sizes": [256, 128, 64, 32]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "cohere_compass_text": {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e4}}},
    "step3p5": {"sliding_window": 4},
    "moonshine_streaming": {"num_key_value_heads": 4},
    "llama4_vision_model": {"intermediate_size": 256},
    "t5gemma2_text": {"dropout_rate": 0.0},
    "gemma4_assistant": {"text_config": {"hidden_size_per_layer_input": 0}},
    "qwen3_omni_moe_talker_text": {"shared_expert_intermediate_size": 32},
    "vitdet": {"patch_size": 16},
    "upernet": {
        "backbone_config": transformers.SwinConfig(
            embed_dim=16, depths=[1, 1, 1, 1], num_heads=[2, 2, 2, 2], window_size=2, image_size=PICTURE,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        ),
    },
    "qwen4_exp_text": {"indexer_n_heads": 4, "indexer_kv_heads": 1, "indexer_head_dim": 16, "indexer_budget": 8,
                       "indexer_compress_ratio": 2},
}  # fmt: skip
