"""Where patches stand, against the computation: a mark on the pixels moves the keys of the patch that it is in most."""

from __future__ import annotations

import inspect
import re
from functools import partial

import pytest
import torch
import transformers as tf

import attnwidget as aw
from tests.capturing.every_type import first_that_runs
from tests.capturing.families import GPT2, GROUPED, PICTURES, ids, needs

MARK, FILM = 95, 96
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = GROUPED | {"rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}}


def pixels(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def text(*counts, mark=MARK, between=2):
    """Words, and between them so many tokens for each picture."""
    words = ids(1, 2 + between * len(counts)).clamp(max=94)
    pieces = [words[:, :2]]
    for i, count in enumerate(counts):
        pieces += [torch.full((1, count), mark), words[:, 2 + between * i : 2 + between * (i + 1)]]
    return torch.cat(pieces, 1)


def joined(  # noqa: PLR0917
    model, config, vision, vision_options, seen, tokens, text_model="llama", **more
):
    """A model of pictures and text, and its inputs."""
    needs(model, config)
    torch.manual_seed(0)
    made = getattr(tf, config)(
        text_config={"model_type": text_model, **TEXT}, vision_config={"model_type": vision, **vision_options}, **more
    )
    return getattr(tf, model)(made).eval(), {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), **seen}


EYE = TOWER | {"image_size": 16, "patch_size": 4}
LARGE = TOWER | {"image_size": 32, "patch_size": 4}
QWEN = {
    "depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "patch_size": 4, "mlp_ratio": 2,
    "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3,
}  # fmt: skip
MARKS = {"image_token_id": MARK, "video_token_id": FILM, "vision_start_token_id": 97, "vision_end_token_id": 98}


def llava():
    return joined(
        "LlavaForConditionalGeneration", "LlavaConfig", "clip_vision_model", EYE,
        {"pixel_values": pixels(2, 3, 16, 16)}, text(16, 16), image_token_index=MARK, vision_feature_layer=-1,
    )  # fmt: skip


def paligemma():
    model, inputs = joined(
        "PaliGemmaForConditionalGeneration", "PaliGemmaConfig", "siglip_vision_model", EYE | {"projection_dim": 32},
        {"pixel_values": pixels(1, 3, 16, 16)}, text(16), "gemma", image_token_index=MARK, projection_dim=32,
    )  # fmt: skip
    return model, inputs | {"token_type_ids": torch.zeros_like(inputs["input_ids"])}


def gemma3():
    model, inputs = joined(
        "Gemma3ForConditionalGeneration", "Gemma3Config", "siglip_vision_model", LARGE,
        {"pixel_values": pixels(2, 3, 32, 32)}, text(16, 16), "gemma3_text", image_token_index=MARK,
        mm_tokens_per_image=16,
    )  # fmt: skip
    projection = model.model.multi_modal_projector.mm_input_projection_weight
    torch.nn.init.normal_(projection, std=0.1)  # it begins at zero
    return model, inputs | {"token_type_ids": (inputs["input_ids"] == MARK).long()}


def internvl():
    vision = TOWER | {"image_size": [16, 16], "patch_size": [4, 4]}
    return joined(
        "InternVLForConditionalGeneration", "InternVLConfig", "internvl_vision", vision,
        {"pixel_values": pixels(3, 3, 16, 16)}, text(4, 4, 4), image_token_id=MARK, downsample_ratio=0.5,
        vision_feature_layer=-1,
    )  # fmt: skip


def aya():
    return joined(
        "AyaVisionForConditionalGeneration", "AyaVisionConfig", "siglip_vision_model", EYE,
        {"pixel_values": pixels(2, 3, 16, 16)}, text(4, 4), "cohere2", image_token_index=MARK, downsample_factor=2,
        vision_feature_layer=-1, vision_feature_select_strategy="full",
    )  # fmt: skip


def mistral3():
    vision = TOWER | {"image_size": 32, "patch_size": 4, "head_dim": 8}
    return joined(
        "Mistral3ForConditionalGeneration", "Mistral3Config", "pixtral", vision,
        {"pixel_values": pixels(1, 3, 16, 24), "image_sizes": torch.tensor([[16, 24]])}, text(6), "mistral",
        image_token_index=MARK, spatial_merge_size=2, vision_feature_layer=-1,
    )  # fmt: skip


def tiles(model, config, vision):
    return joined(
        model, config, vision, EYE, {"pixel_values": pixels(1, 3, 3, 16, 16)}, text(4, 4, 4), image_token_id=MARK,
        scale_factor=2,
    )  # fmt: skip


def anyres():
    return joined(
        "LlavaNextForConditionalGeneration", "LlavaNextConfig", "clip_vision_model", EYE,
        {"pixel_values": pixels(1, 3, 3, 16, 16), "image_sizes": torch.tensor([[16, 32]])}, text(16 + 4 * 9),
        image_token_index=MARK, vision_feature_layer=-1, image_grid_pinpoints=[[16, 32], [32, 16]],
    )  # fmt: skip


def anyres_padded():
    # A picture of 8 x 32 fills half of the height of two tiles side by side.
    return joined(
        "LlavaNextForConditionalGeneration", "LlavaNextConfig", "clip_vision_model", EYE,
        {"pixel_values": pixels(1, 3, 3, 16, 16), "image_sizes": torch.tensor([[8, 32]])}, text(16 + 2 * 9),
        image_token_index=MARK, vision_feature_layer=-1, image_grid_pinpoints=[[16, 32], [32, 16]],
    )  # fmt: skip


def onevision():
    return joined(
        "LlavaOnevisionForConditionalGeneration", "LlavaOnevisionConfig", "siglip_vision_model", EYE,
        {"pixel_values": pixels(1, 3, 3, 16, 16), "image_sizes": torch.tensor([[32, 16]])}, text(16 + 8 * 5),
        "qwen2", image_token_index=MARK, video_token_index=FILM, vision_feature_layer=-1,
        vision_feature_select_strategy="full", image_grid_pinpoints=[[16, 32], [32, 16]],
    )  # fmt: skip


def onevision_film():
    return joined(
        "LlavaOnevisionForConditionalGeneration", "LlavaOnevisionConfig", "siglip_vision_model", EYE,
        {"pixel_values_videos": pixels(1, 3, 3, 16, 16)}, text(3 * 4 + 1, mark=FILM), "qwen2",
        image_token_index=MARK, video_token_index=FILM, vision_feature_layer=-1,
        vision_feature_select_strategy="full", image_grid_pinpoints=[[16, 32]],
    )  # fmt: skip


def next_film():
    return joined(
        "LlavaNextVideoForConditionalGeneration", "LlavaNextVideoConfig", "clip_vision_model", EYE,
        {"pixel_values_videos": pixels(1, 3, 3, 16, 16)}, text(12, mark=FILM), image_token_index=MARK,
        video_token_index=FILM, vision_feature_layer=-1, image_grid_pinpoints=[[16, 32]], spatial_pool_stride=2,
    )  # fmt: skip


def video_llava():
    return joined(
        "VideoLlavaForConditionalGeneration", "VideoLlavaConfig", "clip_vision_model", EYE,
        {"pixel_values_videos": pixels(1, 2, 3, 16, 16)}, text(34, mark=FILM), image_token_index=MARK,
        video_token_index=FILM, vision_feature_layer=-1,
    )  # fmt: skip


def qwen(name="Qwen2VL", kind="image", **vision):
    needs(f"{name}Config")
    grids = {"image": [[1, 4, 6], [1, 4, 4]], "video": [[2, 4, 6]]}[kind]
    n = sum(t * h * w for t, h, w in grids)
    mark = {"image": MARK, "video": FILM}[kind]
    tokens = text(*(t * h * w // 4 for t, h, w in grids), mark=mark)
    torch.manual_seed(0)
    config = getattr(tf, f"{name}Config")(text_config=TEXT, vision_config=QWEN | vision, **MARKS)
    model = getattr(tf, f"{name}ForConditionalGeneration")(config).eval()
    one = pixels(n, 3, 1, 4, 4).expand(-1, -1, 2, -1, -1).reshape(n, 96)  # a picture is two frames that are alike
    seen = {"image": "pixel_values", "video": "pixel_values_videos"}[kind]
    inputs = {"input_ids": tokens, seen: one, f"{kind}_grid_thw": torch.tensor(grids)}
    if "mm_token_type_ids" in inspect.signature(model.forward).parameters:
        inputs["mm_token_type_ids"] = (tokens == MARK).int() + 2 * (tokens == FILM).int()
    return model, inputs


def qwen25(kind="image"):
    vision = {"out_hidden_size": 32, "intermediate_size": 64, "window_size": 16, "fullatt_block_indexes": [1]}
    return qwen("Qwen2_5_VL", kind, **vision)


def tiny(kind):
    """A model of the sweep over every type, and its inputs."""
    try:
        torch.manual_seed(0)
        model, inputs, _ = first_that_runs(kind, [])
    except (LookupError, KeyError):
        pytest.skip(f"transformers {tf.__version__} makes no small {kind}")
    return model.eval(), inputs


IN_TEXT = {
    "llava": llava,
    "paligemma": paligemma,
    "gemma3": gemma3,
    "internvl": internvl,
    "aya_vision": aya,
    "mistral3": mistral3,
    "idefics3": lambda: tiles("Idefics3ForConditionalGeneration", "Idefics3Config", "idefics3_vision"),
    "smolvlm": lambda: tiles("SmolVLMForConditionalGeneration", "SmolVLMConfig", "smolvlm_vision"),
    "llava_next": anyres,
    "llava_next-padded": anyres_padded,
    "llava_onevision": onevision,
    "llava_onevision-video": onevision_film,
    "llava_next_video": next_film,
    "video_llava": video_llava,
    "qwen2_vl": qwen,
    "qwen2_vl-video": lambda: qwen(kind="video"),
    "qwen2_5_vl": qwen25,
    "qwen2_5_vl-video": lambda: qwen25("video"),
    **{kind: partial(tiny, kind) for kind in ("qwen3_vl", "glm4v", "cohere2_vision", "janus", "deepseek_vl")},
}


def detr():
    backbone = tf.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", out_features=["stage2"]
    )
    options = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
               "encoder_ffn_dim": 64, "decoder_attention_heads": 4, "decoder_ffn_dim": 64,
               "num_queries": 5}  # fmt: skip
    torch.manual_seed(0)
    config = tf.DetrConfig(use_timm_backbone=False, backbone_config=backbone, **options)
    return tf.DetrForObjectDetection(config).eval(), {"pixel_values": pixels(1, 3, 64, 96)}


def detr_padded():
    model, inputs = detr()
    mask = torch.zeros(1, 64, 96, dtype=torch.long)
    mask[:, :48, :64] = 1
    return model, inputs | {"pixel_mask": mask}


def vilt():
    torch.manual_seed(0)
    model = tf.ViltModel(tf.ViltConfig(**PICTURES, vocab_size=99, max_position_embeddings=20)).eval()
    return model, {"input_ids": ids(1, 5), "pixel_values": pixels(1, 3, 16, 16)}


def mae():
    torch.manual_seed(0)
    return tf.ViTMAEModel(tf.ViTMAEConfig(**PICTURES)).eval(), {"pixel_values": pixels(1, 3, 16, 16)}


def pix2struct():
    torch.manual_seed(0)
    words = {
        "vocab_size": 120,
        "hidden_size": 32,
        "d_kv": 8,
        "d_ff": 64,
        "num_layers": 2,
        "num_heads": 4,
        "decoder_start_token_id": 0,
    }
    vision = {"hidden_size": 32, "patch_embed_hidden_size": 48, "d_ff": 64, "d_kv": 8, "num_hidden_layers": 2,
              "num_attention_heads": 4, "patch_size": 4, "seq_len": 64}  # fmt: skip
    model = tf.Pix2StructForConditionalGeneration(tf.Pix2StructConfig(text_config=words, vision_config=vision)).eval()
    places = torch.tensor([[r, c] for r in range(1, 5) for c in range(1, 4)]).float()[None]
    shuffled = torch.cat([places, pixels(1, 12, 48)], -1)[:, torch.randperm(12)]
    filled = torch.cat([shuffled, torch.zeros(1, 3, 50)], 1)
    mask = torch.cat([torch.ones(1, 12), torch.zeros(1, 3)], 1)
    return model, {"flattened_patches": filled, "attention_mask": mask, "decoder_input_ids": ids(1, 4)}


def segformer():
    torch.manual_seed(0)
    model = tf.SegformerModel(tf.SegformerConfig(hidden_sizes=[8, 16, 16, 32])).eval()
    return model, {"pixel_values": pixels(1, 3, 64, 96)}


def caption():
    config = tf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(tf.ViTConfig(**PICTURES), tf.GPT2Config(**GPT2))
    config.decoder_start_token_id, config.pad_token_id = 1, 0
    torch.manual_seed(0)
    return tf.VisionEncoderDecoderModel(config).eval(), {
        "pixel_values": pixels(1, 3, 16, 16), "decoder_input_ids": ids(1, 4),
    }  # fmt: skip


def registers():
    torch.manual_seed(0)
    config = tf.Dinov2WithRegistersConfig(**PICTURES | {"num_register_tokens": 3})
    return tf.Dinov2WithRegistersModel(config).eval(), {"pixel_values": pixels(1, 3, 24, 12)}


TOWERS = {
    "detr-encoder": (detr, "encoder", [(8, 12)]),
    "detr-cross": (detr, "cross", [(8, 12)]),
    "detr-padded": (detr_padded, "cross", [(8, 12)]),
    "vilt": (vilt, "attention", [(4, 4)]),
    "vit_mae": (mae, "attention", [(4, 4)]),
    "pix2struct": (pix2struct, "encoder", [(4, 3)]),
    "pix2struct-cross": (pix2struct, "cross", [(4, 3)]),
    "segformer": (segformer, "attention 384 x 6", [(2, 3)]),
    "caption": (caption, "cross", [(4, 4)]),
    "registers": (registers, "attention", [(6, 3)]),
}


def marked(inputs, generator):
    """The same inputs with a mark somewhere on the pixels."""
    name = next(name for name in inputs if name.startswith("pixel_values") or name == "flattened_patches")
    values = inputs[name].clone()

    def draw(n):
        return int(torch.randint(n, (1,), generator=generator))

    if values.ndim in {2, 3}:
        row = values.flatten(0, -2)[draw(values.shape[:-1].numel())]
        if bool(row.any()):
            row = row[2 if name == "flattened_patches" else 0 :]
            row.copy_(1 - row)
    else:
        mask = inputs.get("pixel_mask")
        height, width = values.shape[-2:] if mask is None else (int(mask[0].any(i).sum()) for i in (1, 0))
        one = values.flatten(0, -4)[draw(values.shape[:-3].numel())]
        top, left = 4 * draw(height // 4), 4 * draw(width // 4)
        block = one[:, top : top + 4, left : left + 4]
        block.copy_(1 - block)  # what is darkest and brightest stays, and with it what the picture is stretched to
    return inputs | {name: values}


def position_of_mark(maps, again):
    """The key that a mark moved most."""
    return int((again.layers[0].k - maps.layers[0].k).norm(dim=-1).sum(0).argmax())


def patch_of_mark(maps, again):
    """The patch whose part of the shown picture a mark changed most: its position, -1 where none is shown to have."""
    found = []
    for before, after in zip(maps.key_tokens.images, again.key_tokens.images, strict=True):
        moved = (after.picture.float() - before.picture.float()).abs().sum(-1)
        cells = torch.nn.functional.adaptive_avg_pool2d(moved[None], (before.rows, before.columns)).flatten()
        found.append((float(cells.max()), before.positions[int(cells.argmax())]))
    moved, place = max(found)
    return place if moved > 1 else -1


def near(images, one, other, slack):
    """Whether two positions are the same patch, or so few rows and columns apart."""
    for image in images:
        places = list(image.positions)
        if one in places and other in places:
            (row, column), (down, across) = (divmod(places.index(place), image.columns) for place in (one, other))
            return abs(row - down) <= slack and abs(column - across) <= slack
    return False


def check(make, name, slack=0):
    model, inputs = make()
    generator = torch.Generator().manual_seed(1)

    def seen(given):
        torch.manual_seed(7)  # some draw their patches by chance
        named = aw.capture(model, given, progress=False).by_name
        return next(maps for other, maps in named.items() if re.fullmatch(name, other))

    maps, followed = seen(inputs), set()
    for _ in range(10):
        again = seen(marked(inputs, generator))
        patch = patch_of_mark(maps, again)
        if patch < 0:
            continue
        assert near(maps.key_tokens.images, position_of_mark(maps, again), patch, slack)
        followed.add(patch)
    assert len(followed) > 2
    return maps


@pytest.mark.filterwarnings("ignore:this model gives its attention function the argument")
@pytest.mark.parametrize("family", IN_TEXT)
def test_patches_in_a_text_stand_where_their_pixels_went(family):
    maps = check(IN_TEXT[family], "(language|text)_model")
    patches = {place for image in maps.tokens.images for place in image.positions}
    assert len({maps.tokens.ids[place] for place in patches}) == 1  # all are the id that stands for patches
    assert not [note for note in maps.notes if "no place" in note]


@pytest.mark.parametrize("family", TOWERS)
def test_patches_of_a_tower_and_of_what_looks_at_it_stand_where_their_pixels_went(family):
    make, name, sizes = TOWERS[family]
    # What convolutions overlap with is seen in the cell beside as well.
    maps = check(make, name, slack=int(make in {detr, detr_padded, segformer}))
    assert [(image.rows, image.columns) for image in maps.key_tokens.images] == sizes
