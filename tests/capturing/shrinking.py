"""Configs of any model type made tiny: by what their attributes are called, through all configs inside them."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import transformers
from transformers import PreTrainedConfig

from tests.capturing.special import ALWAYS, HEAD, HEADS, INNER, OVERRIDES, PICTURE, VOCAB, WIDTH

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
    r"|feature_size|feature_sizes|dimension|channel_list|_features|_rank|hidden_sizes|embed_dims|conv_dim|out_features_size"
    r"|token_size|layer_input)"
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
_PICTURE = re.compile(r"^(image_size|img_size|spec_size|pretrain_image_size|max_image_size|input_image_size)$")
# The first that fits says how large a number may be, whatever else is shrunk.
_NUMBERS = [
    (re.compile(pattern), most)
    for pattern, most in (
        (r"vocab_size$|^num_embeddings$", VOCAB),
        (r"^(num_experts|num_local_experts|n_routed_experts|moe_num_experts|n_experts|moe_num_primary_experts)$", 4),
        (r"^(num_experts_per_tok|moe_top_?k|top_k_experts|num_selected_experts|moe_k|topk|moe_topk)$", 2),
        (r"^(n_group|topk_group)$", 1),
        (r"^(sliding_window|attention_window_size|sliding_window_size|num_frames|frames_per_clip)$", 4),
        (r"^(num_queries|(perceiver_resampler_)?num_latents|num_query_tokens|num_proposals)$", 8),
        (r"^window_size$", 2),
        (r"(source|audio).*_positions$", 32),
        (_POSITIONS.pattern, 512),
    )
]
# And where all sizes are fixed ones; None leaves it.
_SIZES = [
    (re.compile(pattern), most)
    for pattern, most in (
        (_HEADS.pattern, HEADS),
        (r"^patch_size$|^num_conv_pos_embeddings$", 8),
        (r"^(num_mel_bins|n_mels|mel_dim|feature_dim)$", 32),
        (r"rope_head_dim$", HEAD // 2),
        (r"^qk_head_dim$", HEAD + HEAD // 2),
        (_HEAD.pattern + "|head_dim$", HEAD),
        (r"^num_conv_pos_embedding_groups$", 4),
        (_NO_WIDTH.pattern, None),
        (r"_rank$", 16),
        (_INNER.pattern, INNER),
        (_WIDTH.pattern, WIDTH),
    )
]
_SPECIAL = {"pad": 0, "bos": 1, "eos": 2}

# Numbers that others of the same config are multiplied from, or that some classes need and their configs leave out.
_FIXED = {
    "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_num_heads": 8, "mamba_head_dim": 16, "mamba_headdim": 16,
    "rotary_dim": 8, "attn_layer_period": 2, "attn_layer_offset": 1, "num_filters": 4, "n_filters": 4,
    "num_pos_feats": WIDTH // 2, "codebook_size": 32, "max_img_size": PICTURE,
    "adapter_input_size": WIDTH, "latent_query_num": 4, "visual_prompt_size": 8,
    "mm_tokens_per_image": 16, "upsample_groups": WIDTH, "n_mamba_heads": 2, "mamba_d_state": 16, "mamba_n_groups": 1,
}  # fmt: skip
_WHERE_NONE = {
    "head_dim": HEAD, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 1,
    "topk_group": 1, "moe_intermediate_size": 32, "prediction_length": 4, "num_key_value_heads": 2, "num_experts": 4,
    "vocab_size": VOCAB, "top_k_experts": 2, "shared_expert_intermediate_size": 32,
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
        names = _names(kind)
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
            several = isinstance(value, (list, tuple)) and 1 < len(value) < length
            if indexes and several and (name == "_out_features" or all(type(one) is int for one in value)):
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
        return type(value)(self._numbers(name, value, length, n_layers))

    def _numbers(self, name: str, value: Any, length: int, n_layers: int) -> Any:
        """Numbers of a list, by its name."""
        if name in {"depths", "layer_depths", "blocks_per_stage", "stage_num_blocks"}:
            return (1 if not self.factor or one < 4 else 2 for one in value)
        if _PICTURE.search(name):
            return (self.picture for _ in value)
        if _TOKEN.search(name):
            return (self.tokens.of(f"{name}{i}") for i in range(len(value)))
        if "feature_layer" in name:
            return [1, 0][: len(value)]
        if _INDEXES.search(name) and length:
            if len(value) <= n_layers:
                ends = max(value) >= length - 1
                return range(n_layers - len(value), n_layers) if ends else range(len(value))
            return sorted({min(one, n_layers - 1) for one in value})
        if _HEADS.search(name):
            return value  # their widths shrink by one factor
        if _WIDTH.search(name) and not _NO_WIDTH.search(name):
            if min(value) == max(value) and not self.factor:
                return (min(one, WIDTH) for one in value)
            return (self._divided(one) for one in value)
        return value

    def _divided(self, value: int) -> int:
        return value if value < 64 or self.factor == 1 else max(8, value // (self.factor or 8))

    def _number(self, name: str, value: int, values: dict[str, Any], n_layers: int) -> int:
        if _TOKEN.search(name):
            special = value >= VOCAB - 30 or name.startswith(("image", "video", "audio"))
            return self.tokens.of(name) if special else value
        if _LAYERS.search(name) and not _NO_LAYERS.search(name):
            return min(value, n_layers)
        if _PICTURE.search(name):
            return min(value, self.picture)
        if "feature_layer" in name:
            return -1
        most = _most(name, _NUMBERS)
        if most is not None:
            return min(value, 32 if name == "window_size" and value >= 64 else most)
        if self.factor:
            wide = _WIDTH.search(name) or _INNER.search(name) or "head_dim" in name or _HEAD.search(name)
            return self._divided(value) if wide and not _NO_WIDTH.search(name) else value
        if _KEY_HEADS.search(name):
            heads = next((h for key in ("num_attention_heads", "n_heads") if type(h := values.get(key)) is int), value)
            return 1 if value == 1 else HEADS if heads == value else min(value, 2)
        by_stage = any(isinstance(values.get(other), (list, tuple)) for other in ("num_heads", "embed_dim_per_stage"))
        if name in {"embed_dim", "hidden_size"} and by_stage:
            return self._divided(value)
        most = _FIXED.get(name, _most(name, _SIZES))
        return value if most is None else min(value, most)


def _most(name: str, rules: list[tuple[re.Pattern[str], int | None]]) -> int | None:
    """The most that the first rule for a name allows; None where there is none, or it allows everything."""
    return next((most for pattern, most in rules if pattern.search(name)), None)


def _length(values: dict[str, Any]) -> int:
    names = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "depth", "decoder_layers")
    return next((value for name in names if type(value := values.get(name)) is int), 0)


_NEVER = {"transformers_version", "architectures", "id2label", "label2id", "num_labels", "dtype", "problem_type"}


def _names(kind: type[PreTrainedConfig]) -> list[str]:
    """What a config is made of: configs have been dataclasses since 5.4 or so."""
    if dataclasses.is_dataclass(kind):
        return [one.name for one in dataclasses.fields(kind)]
    parameters = inspect.signature(kind.__init__).parameters.values()
    return [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD and one.name != "self"]


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


def config_of(model_type: str, shrink: Shrink) -> PreTrainedConfig:
    """A tiny config of a model type."""
    return shrink.config(transformers.CONFIG_MAPPING[model_type])
