"""Configs of any model type made tiny: by what their attributes are called, through all configs inside them."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import transformers
from transformers import PreTrainedConfig

# Four heads of 16: half of that is enough for rotations in three sections.
WIDTH, INNER, HEADS, HEAD, VOCAB, PICTURE = 64, 64, 4, 16, 128, 64

_LAYERS = re.compile(
    r"^(num_(hidden|encoder|decoder|.*_hidden|.*_encoder|.*_decoder|local_encoder|self_attends_per)_?(layers|blocks|block)"
    r"|num_layers|n_layers?|depth|layers|[lxr]_layers|.*encoder_layers|.*decoder_layers|.*_num_(hidden_)?layers"
    r"|query_dec_layers|num_pooler_layers|n_(input|recurrent|output)_layers"
    r"|num_global_layers|num_(spatial|temporal|auxiliary)_layers|resampler_depth|gnn_layers|num_attention_layers)$"
)
_NO_LAYERS = re.compile(r"num_encoder_blocks|feat_extract|conv_layers|adapter|residual|lstm")
_HEADS = re.compile(r"^(.*_)?(n_heads?|num_heads|heads|num_.*heads|nhead|.*attention_heads|n_query_groups)$")
_KEY_HEADS = re.compile(r"key_value_heads|kv_heads|kv_n_heads|num_query_groups|linear_num_key_heads")
_HEAD = re.compile(r"(^|_)(head_dim|d_kv|dim_head|attention_head_size|head_size|kv_channels|d_head)$")
_INNER = re.compile(r"intermediate|ffn_dim|ffn_size|feed_?forward|n_inner|^d_ff$|^d_inner$|mlp_dim|dff|dim_ff")
_WIDTH = re.compile(
    r"(hidden_size|hidden_dim|d_model|n_embd|embed_dim|embedding_size|embedding_dim|emb_dim|_dim|^dim|width|_units"
    r"|projection_size|output_size|channels|_size_global|d_latents|_filters|codebook_size|d_rel|state_dim"
    r"|feature_size|feature_sizes|dimension|channel_list|_features|_rank|hidden_sizes|embed_dims|conv_dim|out_features_size|token_size|layer_input)"
    r"(_global|_per_stage)?$"
)
_NO_WIDTH = re.compile(
    r"^(num_channels|in_channels|in_chans|audio_channels|out_channels|num_channels_out|num_input_channels|act_dim|axial.*"
    r"|coordinate_dim|input_feat.*|max_2d.*|output_num_channels|number_output_channels|rotary_dim|window_size"
    r"|mask_input_channels)$"
)
_POSITIONS = re.compile(r"(max_position_embeddings|n_positions|_positions|max_seq_len|seq_length|max_sequence_length)$")
_INDEXES = re.compile(r"(indexes|indices|layer_ids|_idx|_idxs|out_indices|layer_idx|_blocks|hook_ids|layers_indices)$")
_TOKEN = re.compile(r"(token|bos|eos|pad|sep|boi|eoi|boa|eoa|mask)(_token)?_(id|index|ids)$|_token_id$|_token_index$")
_EXPERTS = re.compile(
    r"^(num_experts|num_local_experts|n_routed_experts|moe_num_experts|n_experts|moe_num_primary_experts)$"
)
_CHOSEN = re.compile(r"^(num_experts_per_tok|moe_top_?k|top_k_experts|num_selected_experts|moe_k|topk|moe_topk)$")
_SPECIAL = {"pad": 0, "bos": 1, "eos": 2}

# Numbers that others of the same config are multiplied from, or that some classes need and their configs leave out.
_FIXED = {
    "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_num_heads": 8, "mamba_head_dim": 16, "mamba_headdim": 16,
    "rotary_dim": 8, "attn_layer_period": 2, "attn_layer_offset": 1, "num_filters": 4, "n_filters": 4,
    "num_pos_feats": WIDTH // 2, "codebook_size": 32, "max_img_size": PICTURE,
    "adapter_input_size": WIDTH, "latent_query_num": 4, "visual_prompt_size": 8,
    "upsample_groups": WIDTH, "n_mamba_heads": 2, "mamba_d_state": 16, "mamba_n_groups": 1,
}  # fmt: skip
_WHERE_NONE = {
    "head_dim": HEAD, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 1,
    "topk_group": 1, "moe_intermediate_size": 32, "prediction_length": 4, "num_key_value_heads": 2, "num_experts": 4,
    "vocab_size": VOCAB, "top_k_experts": 2, "shared_expert_intermediate_size": 32,
}  # fmt: skip

# What no rule of names finds: constraints between numbers of one config.
OVERRIDES: dict[str, dict[str, Any]] = {
    "zamba": {"attention_hidden_size": 2 * WIDTH, "attention_head_dim": 2 * HEAD, "num_hidden_layers": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2},
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
    "seggpt": {"image_size": [2 * PICTURE, PICTURE], "merge_index": 0, "intermediate_hidden_state_indices": (1, 1, 1, 1)},
}  # fmt: skip


class Tokens:
    """Ids for the special tokens of one model, the same for the same name in all its configs."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def of(self, name: str) -> int:
        for part, value in _SPECIAL.items():
            if name == f"{part}_token_id":
                return value
        name = name.replace("_token_index", "_token_id")
        return self.known.setdefault(name, VOCAB - 1 - len(self.known))


@dataclasses.dataclass
class Shrink:
    """How strongly a config is made small: to fixed sizes, all widths by one factor, or its layers alone."""

    factor: int = 0  # 0 gives fixed sizes
    picture: int = PICTURE
    sections: bool = False  # rotations in three sections, where nothing but the model's code says so
    tokens: Tokens = dataclasses.field(default_factory=Tokens)

    def config(self, kind: type[PreTrainedConfig], given: PreTrainedConfig | None = None) -> PreTrainedConfig:
        """A tiny config of a kind, like the given one or else like its default."""
        plain = _default(kind)
        given = plain if given is None else given
        names = [one.name for one in dataclasses.fields(kind)]
        values = {name: _read(given, name) for name in names}
        n_layers, chosen = self._layers(values)
        made: dict[str, Any] = {}
        for name, value in values.items():
            if isinstance(value, transformers.TimmBackboneConfig):
                made[name] = self._convolutions(value)
            elif isinstance(value, PreTrainedConfig):
                made[name] = self.config(type(value), value)
            elif isinstance(value, dict) and value and all(isinstance(v, PreTrainedConfig) for v in value.values()):
                made[name] = {key: self.config(type(one), one) for key, one in value.items()}
            else:
                new = self._value(name, value, values, n_layers, chosen)
                # A config within another may have been made with other numbers than its own kind's.
                if name not in _NEVER and (plain is None or new != _read(plain, name)):
                    made[name] = new
        features = made.pop("_out_features", None) or values.get("_out_features")
        made.pop("_out_indices", None)
        if features:
            made["out_features"] = self._stages(features, values, n_layers)
        inside = {name: value for name, value in made.items() if isinstance(value, PreTrainedConfig)}
        made |= OVERRIDES.get(kind.model_type or kind.__name__, {}) if not self.factor else {}
        made |= ALWAYS.get(kind.model_type, {})
        for name, config in inside.items():
            if isinstance(made[name], dict):  # what is to be otherwise in a config inside
                made[name] = type(config)(**{**config.to_dict(), **made[name]})
        return kind(**made)

    def _stages(self, features: list[str], values: dict[str, Any], n_layers: int) -> list[str]:
        """As many stages as before: of a backbone whose layers are stages, the last ones."""
        if any(isinstance(values.get(name), (list, tuple)) for name in ("depths", "blocks_per_stage", "hidden_sizes")):
            return features
        return [f"stage{i}" for i in range(1, n_layers + 1)][-len(features) :]

    def _convolutions(self, value: Any) -> PreTrainedConfig:
        """A backbone of transformers in place of one of a library that may not be there."""
        n_stages = len(value.out_indices or [1])
        return transformers.ResNetConfig(
            hidden_sizes=[16, 32, 64, 128], depths=[1, 1, 1, 1], embedding_size=16,
            out_features=[f"stage{i + 1}" for i in range(4)][-n_stages:],
        )  # fmt: skip

    def _layers(self, values: dict[str, Any]) -> tuple[int, list[int]]:
        """How many layers are kept, and which of a list with one entry a layer: one of each kind."""
        length = _length(values) or 2
        lists = [v for v in values.values() if isinstance(v, (list, tuple)) and len(v) == length > 2]
        chosen: list[int] = []
        seen = set()
        for i in range(length):
            kinds = tuple(str(v[i]) for v in lists if not isinstance(v[i], float))
            new = [k for k in enumerate(kinds) if k not in seen]
            if new and len(chosen) < 4 and lists:
                chosen.append(i)
                seen.update(new)
        while len(chosen) < min(2, length):
            chosen.append(next(i for i in range(length) if i not in chosen))
        count = [len(chosen)]
        for name, value in values.items():
            indexes = _INDEXES.search(name) or name == "_out_features"
            if indexes and isinstance(value, (list, tuple)) and 1 < len(value) < length:
                if name == "_out_features" or all(type(one) is int for one in value):
                    count.append(min(len(value), 4))
        return max(count), sorted(chosen)

    def _value(self, name: str, value: Any, values: dict[str, Any], n_layers: int, chosen: list[int]) -> Any:
        if value is None:
            return None if self.factor == 1 else _WHERE_NONE.get(name)
        if isinstance(value, dict) and name.startswith("rope"):
            sections = {"mrope_section": [1, 1, 1]} if self.sections and "rope_theta" in value else {}
            return _rope({**sections, **value}, HEAD // 4 if "qk_rope_head_dim" in values else HEAD // 2)
        if isinstance(value, (bool, float, dict)):
            return 0.0 if isinstance(value, float) and "drop" in name else value
        if isinstance(value, (list, tuple)):
            return self._list(name, value, values, n_layers, chosen)
        if not isinstance(value, int):
            return value
        return self._number(name, value, values, n_layers)

    def _list(self, name: str, value: Any, values: dict[str, Any], n_layers: int, chosen: list[int]) -> Any:
        length = _length(values)
        numbers = all(type(one) is int for one in value)
        if len(value) == length > 2 and not _TOKEN.search(name):
            kept = [value[i] for i in chosen]
            kept += [kept[-1]] * (n_layers - len(kept))
            return type(value)(kept)
        if name == "backbone_feature_sizes":
            return [[max(one * self.picture // 1024, 1) for one in pair] for pair in value]
        if not value or not numbers:
            return value
        if name in {"depths", "layer_depths", "blocks_per_stage", "stage_num_blocks"}:
            return type(value)(1 if not self.factor or one < 4 else 2 for one in value)
        if name in {"image_size", "img_size", "spec_size"}:
            return type(value)(self.picture for _ in value)
        if _TOKEN.search(name):
            return type(value)(self.tokens.of(f"{name}{i}") for i in range(len(value)))
        if "feature_layer" in name:
            return type(value)([1, 0][: len(value)])
        if _INDEXES.search(name) and length:
            if len(value) <= n_layers:
                ends = max(value) >= length - 1
                return type(value)(range(n_layers - len(value), n_layers) if ends else range(len(value)))
            return type(value)(sorted({min(one, n_layers - 1) for one in value}))
        if _HEADS.search(name):
            return value  # their widths shrink by one factor
        if _WIDTH.search(name) and not _NO_WIDTH.search(name):
            if min(value) == max(value) and not self.factor:
                return type(value)(min(one, WIDTH) for one in value)
            return type(value)(self._divided(one) for one in value)
        return value

    def _divided(self, value: int) -> int:
        return value if value < 64 or self.factor == 1 else max(8, value // (self.factor or 8))

    def _number(self, name: str, value: int, values: dict[str, Any], n_layers: int) -> int:  # noqa: C901, PLR0912
        if _TOKEN.search(name):
            return (
                self.tokens.of(name) if value >= VOCAB - 30 or name.startswith(("image", "video", "audio")) else value
            )
        if name.endswith("vocab_size") or name in {"num_embeddings", "vision_vocab_size"}:
            return min(value, VOCAB)
        if _LAYERS.search(name) and not _NO_LAYERS.search(name):
            return min(value, n_layers)
        if _EXPERTS.search(name):
            return min(value, 4)
        if _CHOSEN.search(name):
            return min(value, 2)
        if name in {"n_group", "topk_group"}:
            return min(value, 1)
        if name in {"image_size", "img_size", "spec_size", "pretrain_image_size", "max_image_size", "input_image_size"}:
            return min(value, self.picture)
        if name in {"sliding_window", "attention_window_size", "sliding_window_size"}:
            return min(value, 4)
        if name in {
            "num_queries",
            "num_latents",
            "perceiver_resampler_num_latents",
            "num_query_tokens",
            "num_proposals",
        }:
            return min(value, 8)
        if name in {"num_frames", "frames_per_clip"}:
            return min(value, 4)
        if name == "window_size":
            return min(value, 2 if value < 64 else 32)
        if "feature_layer" in name:
            return -1
        if _POSITIONS.search(name):
            return min(value, 32 if "source" in name or "audio" in name else 512)
        if self.factor:
            wide = _WIDTH.search(name) or _INNER.search(name) or _HEAD.search(name) or "head_dim" in name
            return self._divided(value) if wide and not _NO_WIDTH.search(name) else value
        return self._fixed(name, value, values)

    def _fixed(self, name: str, value: int, values: dict[str, Any]) -> int:
        if _KEY_HEADS.search(name):
            heads = next((h for key in ("num_attention_heads", "n_heads") if type(h := values.get(key)) is int), value)
            return 1 if value == 1 else HEADS if heads == value else min(value, 2)
        if name in _FIXED:
            return min(value, _FIXED[name])
        if _HEADS.search(name):
            return min(value, HEADS)
        if name in {"embed_dim", "hidden_size"} and any(
            isinstance(values.get(other), (list, tuple)) for other in ("num_heads", "embed_dim_per_stage")
        ):
            return self._divided(value)
        if name == "patch_size":
            return min(value, 8)
        if name in {"num_mel_bins", "n_mels", "mel_dim", "feature_dim"}:
            return min(value, 32)
        if name.endswith("rope_head_dim"):
            return min(value, HEAD // 2)
        if name == "qk_head_dim":
            return min(value, HEAD + HEAD // 2)
        if _HEAD.search(name) or name.endswith("head_dim"):
            return min(value, HEAD)
        if name == "num_conv_pos_embeddings":
            return min(value, 8)
        if name == "num_conv_pos_embedding_groups":
            return min(value, 4)
        if _NO_WIDTH.search(name):
            return value
        if name.endswith("_rank"):
            return min(value, 16)
        if _INNER.search(name):
            return min(value, INNER)
        if _WIDTH.search(name):
            return min(value, WIDTH)
        return value


def _length(values: dict[str, Any]) -> int:
    names = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "depth", "decoder_layers")
    return next((value for name in names if type(value := values.get(name)) is int), 0)


_NEVER = {"transformers_version", "architectures", "id2label", "label2id", "num_labels", "dtype", "problem_type"}


def _default(kind: type[PreTrainedConfig]) -> PreTrainedConfig | None:
    try:
        return kind()
    except (TypeError, ValueError):
        return None


def _read(given: PreTrainedConfig, name: str) -> Any:
    try:
        return getattr(given, name, None)
    except RuntimeError:  # it is another number in each layer
        default = next(one.default for one in dataclasses.fields(given) if one.name == name)
        return None if default is dataclasses.MISSING else default


def _rope(value: dict[str, Any], half: int) -> dict[str, Any]:
    made = {key: _rope(one, half) if isinstance(one, dict) else one for key, one in value.items()}
    sections = made.get("mrope_section")
    if sections:
        half = int(half * made.get("partial_rotary_factor", 1))
        each = half // len(sections)
        made["mrope_section"] = [half - each * (len(sections) - 1), *[each] * (len(sections) - 1)]
    return made


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


def config_of(model_type: str, shrink: Shrink) -> PreTrainedConfig:
    """A tiny config of a model type."""
    return shrink.config(transformers.CONFIG_MAPPING[model_type])
