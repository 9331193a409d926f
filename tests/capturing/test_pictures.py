"""Patches of pictures, in towers and in texts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

import attnwidget as aw
from attnwidget.capturing.pixels import as_picture
from tests.capturing.families import FAMILIES, GPT2, GROUPED, PICTURES, PIXELS, SMALL, ids


def of(family):
    make, inputs = FAMILIES[family]
    return aw.capture(make(), inputs)


@pytest.mark.parametrize(
    ("family", "front"),
    [
        ("vit", ["[CLS]"]),
        ("deit", ["[CLS]", "[DIST]"]),
        ("dinov2", ["[CLS]"]),
        ("dinov2-registers", ["[CLS]", "[REG 0]", "[REG 1]", "[REG 2]"]),
        ("beit-bias-in-the-mask", ["[CLS]"]),
        ("clip-vision", ["[CLS]"]),
    ],
)
def test_a_tower_knows_its_patches_and_what_stands_in_front(family, front):
    run = of(family)
    for example in range(2):
        tokens = run[example].maps.tokens
        assert list(tokens.labels[: len(front)]) == front
        assert tokens.labels[len(front)] == "0,0"
        assert tokens.labels[-1] == "3,3"
        assert (tokens.image.start, tokens.image.rows, tokens.image.columns) == (len(front), 4, 4)
        assert tokens.special == (True,) * len(front) + (False,) * 16


def test_no_prefix_at_all():
    model = transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**PICTURES))
    maps = aw.capture(model, PIXELS)[0].by_name["attention"]
    assert maps.tokens.image.start == 0
    assert maps.n_keys == 16


def test_a_picture_that_is_not_square():
    model = transformers.Dinov2Model(transformers.Dinov2Config(**PICTURES))
    image = aw.capture(model, {"pixel_values": torch.randn(1, 3, 24, 12)}).maps.tokens.image
    assert (image.rows, image.columns) == (6, 3)
    assert tuple(image.picture.shape) == (24, 12, 3)


def test_each_example_has_its_own_picture():
    first, second = (one.maps.tokens.image.picture for one in of("vit"))
    assert first.dtype == torch.uint8
    assert not torch.equal(first, second)


def test_a_processor_gives_the_picture_back_as_it_was():
    picture = (np.random.default_rng(0).random((16, 16, 3)) * 255).astype(np.uint8)
    mean, deviation = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]
    pixels = (picture / 255 - mean) / deviation
    processor = type("Processor", (), {"image_mean": mean, "image_std": deviation})()
    inputs = {"pixel_values": torch.tensor(pixels).float().movedim(-1, 0)[None]}
    image = aw.capture(FAMILIES["vit"][0](), inputs, processor).maps.tokens.image
    assert np.abs(image.picture.numpy().astype(int) - picture).max() <= 1


def test_a_picture_of_one_s_own():
    picture = Image.new("RGB", (32, 20), (255, 128, 0))
    run = aw.capture(FAMILIES["vit"][0](), {"pixel_values": PIXELS["pixel_values"][:1]}, picture=picture)
    assert tuple(run.maps.tokens.image.picture.shape) == (20, 32, 3)
    assert run.maps.tokens.image.picture[0, 0].tolist() == [255, 128, 0]


@pytest.mark.parametrize(
    ("picture", "error", "words"),
    [
        ("cat.png", TypeError, "picture is str"),
        (np.zeros((2, 2, 2, 3)), ValueError, r"shape \[2, 2, 2, 3\]"),
        (np.full((2, 2), 2.0), ValueError, "outside 0 to 1"),
    ],
)
def test_what_is_no_picture(picture, error, words):
    with pytest.raises(error, match=words):
        as_picture(picture)


def test_pictures_in_every_form():
    grey = torch.rand(4, 6)
    assert torch.equal(as_picture(grey), as_picture(grey.expand(3, 4, 6)))
    assert torch.equal(as_picture(grey), as_picture(grey[..., None].expand(4, 6, 3).numpy()))


def llava():
    """A vision tower in front of a text decoder; 98 stands for a piece of a picture."""
    text, vision = transformers.LlamaConfig(**GROUPED), transformers.CLIPVisionConfig(**PICTURES)
    torch.manual_seed(0)
    return transformers.LlavaForConditionalGeneration(
        transformers.LlavaConfig(vision_config=vision, text_config=text, image_token_id=98, vision_feature_layer=-1)
    ).eval()


class TestModelsInsideModels:
    def test_a_vision_tower_with_a_text_decoder(self):
        model = llava()
        words = ids(1, 4).clamp(max=97)
        inputs = {
            "input_ids": torch.cat([words[:, :2], torch.full((1, 16), 98), words[:, 2:]], 1),
            "pixel_values": PIXELS["pixel_values"][:1],
        }
        run = aw.capture(model, inputs)
        vision_maps, text_maps = run.by_name["vision_tower"], run.by_name["language_model"]
        assert vision_maps.tokens.image.start == 1
        image = text_maps.tokens.image
        assert (image.start, image.rows, image.columns) == (2, 4, 4)
        assert torch.equal(image.picture, vision_maps.tokens.image.picture)
        assert text_maps.tokens.labels[2] == "0,0"
        assert text_maps.tokens.ids == tuple(inputs["input_ids"][0].tolist())
        cached = aw.capture(model, {**inputs, "past_key_values": transformers.DynamicCache()})
        assert cached.by_name["language_model"].n_keys == 20
        generated = aw.capture(model, inputs, generate={"max_new_tokens": 3, "do_sample": False})
        assert generated.by_name["language_model"].n_queries == 22
        assert generated.by_name["language_model"].tokens.image.start == 2
        assert generated.by_name["vision_tower"].n_keys == 17

    def test_several_pictures_in_one_text(self):
        model = llava()
        words, picture = ids(1, 6).clamp(max=97), torch.full((1, 16), 98)
        inputs = {
            "input_ids": torch.cat([words[:, :2], picture, words[:, 2:4], picture, words[:, 4:]], 1),
            "pixel_values": torch.randn(2, 3, 16, 16),
        }
        run = aw.capture(model, inputs)
        tokens = run.by_name["language_model"].tokens
        assert tokens.labels[2:4] == ("1: 0,0", "1: 0,1")
        assert tokens.labels[20:22] == ("2: 0,0", "2: 0,1")
        assert [(image.name, image.start, image.rows) for image in tokens.images] == [
            ("picture 1", 2, 4), ("picture 2", 20, 4)
        ]  # fmt: skip
        assert tokens.image is None
        assert [name for name in run.by_name if "vision" in name] == ["vision_tower 0", "vision_tower 1"]

    def test_pictures_go_to_the_text_they_stand_in(self):
        model = llava()
        words, picture = ids(2, 20).clamp(max=97), torch.full((16,), 98)
        first = torch.cat([words[0, :2], picture, words[0, 2:4], picture])
        second = torch.cat([words[1, :18], picture, words[1, 18:]])
        pixels = torch.randn(3, 3, 16, 16)
        run = aw.capture(model, {"input_ids": torch.stack([first, second]), "pixel_values": pixels})
        towers = [[name for name in one.by_name if "vision" in name] for one in run]
        assert towers == [["vision_tower 0", "vision_tower 1"], ["vision_tower 0"]]
        alone = aw.capture(model, {"input_ids": second[None], "pixel_values": pixels[2:]})
        torch.testing.assert_close(
            run[1].by_name["vision_tower 0"].weights(1, 1),
            alone.by_name["vision_tower"].weights(1, 1),
            atol=1e-6,
            rtol=0,
        )

    def test_pictures_and_frames_by_the_processor_s_own_grid(self):
        text = {**GROUPED, "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4}}
        vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "patch_size": 4, "mlp_ratio": 2,
                  "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3}  # fmt: skip
        marks = {"image_token_id": 95, "video_token_id": 96, "vision_start_token_id": 97, "vision_end_token_id": 98}
        config = transformers.Qwen2VLConfig(text_config=text, vision_config=vision, **marks)
        torch.manual_seed(0)
        model = transformers.Qwen2VLForConditionalGeneration(config).eval()
        words = ids(1, 4).clamp(max=94)
        film = torch.full((1, 2 * 2 * 1), 96)
        inputs = {
            "input_ids": torch.cat([words[:, :2], torch.full((1, 6), 95), words[:, 2:], film], 1),
            "pixel_values": torch.randn(24, 96), "image_grid_thw": torch.tensor([[1, 4, 6]]),
            "pixel_values_videos": torch.randn(16, 96), "video_grid_thw": torch.tensor([[2, 4, 2]]),
        }  # fmt: skip
        kinds = (inputs["input_ids"] == 95).int() + 2 * (inputs["input_ids"] == 96).int()
        import inspect

        if "mm_token_type_ids" in inspect.signature(model.forward).parameters:
            inputs["mm_token_type_ids"] = kinds
        tokens = aw.capture(model, inputs).by_name["language_model"].tokens
        assert tokens.labels[2:8] == ("0,0", "0,1", "0,2", "1,0", "1,1", "1,2")
        assert [(image.name, image.start, image.rows, image.columns) for image in tokens.images] == [
            ("", 2, 2, 3), ("frame 1", 10, 2, 1), ("frame 2", 12, 2, 1)
        ]  # fmt: skip
        assert tokens.labels[10:] == ("frame 1: 0,0", "frame 1: 1,0", "frame 2: 0,0", "frame 2: 1,0")

    def test_a_caption(self):
        config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
            transformers.ViTConfig(**PICTURES), transformers.GPT2Config(**GPT2)
        )
        config.decoder_start_token_id, config.pad_token_id = 1, 0
        torch.manual_seed(0)
        model = transformers.VisionEncoderDecoderModel(config)
        run = aw.capture(model, {**PIXELS, "decoder_input_ids": ids(2, 4)})[1]
        assert (run.cross.n_queries, run.cross.n_keys) == (4, 17)
        assert run.encoder.tokens.image.start == 1
        assert run.cross.key_tokens == run.encoder.tokens
        assert torch.equal(run.cross.key_tokens.image.picture, run.encoder.tokens.image.picture)
        made = aw.capture(model, PIXELS, generate={"max_new_tokens": 3, "do_sample": False, "eos_token_id": None})[1]
        assert made.cross.key_tokens.image.rows == 4
        assert made.decoder.n_queries == 3

    def test_a_text_encoder_with_a_text_decoder(self):
        run = of("bert-to-gpt2")[0]
        assert list(run.by_name) == ["encoder", "decoder", "cross"]


@pytest.mark.filterwarnings("ignore:.*is not shown")
@pytest.mark.parametrize(("size", "shown"), [(16, []), (8, ["attention 4 x 4 (1)"])])
def test_windows_are_refused(size, shown):
    config = transformers.SwinConfig(image_size=size, patch_size=2, embed_dim=16, depths=[1, 1], num_heads=[2, 2],
                                     window_size=2)  # fmt: skip
    model, inputs = transformers.SwinModel(config), {"pixel_values": torch.randn(1, 3, size, size)}
    if not shown:
        with pytest.raises(ValueError, match="windows"):
            aw.capture(model, inputs)
    else:
        assert list(aw.capture(model, inputs).by_name) == shown


def test_led_bands_are_missed_aloud_and_the_decoder_is_shown():
    config = transformers.LEDConfig(d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4,
                                    decoder_attention_heads=4, encoder_ffn_dim=32, decoder_ffn_dim=32, vocab_size=99,
                                    attention_window=4, max_encoder_position_embeddings=64)  # fmt: skip
    with pytest.warns(aw.AttentionWarning, match="bands around each query"):
        run = aw.capture(transformers.LEDForConditionalGeneration(config), {"input_ids": ids(1, 8)})
    assert list(run.by_name) == ["decoder", "cross"]


def test_a_text_beside_pictures_that_are_no_tokens_of_it():
    parts = SMALL | {"max_position_embeddings": 20, "eos_token_id": 2}
    config = transformers.CLIPConfig(text_config=parts, vision_config=PICTURES, projection_dim=8)
    run = aw.capture(transformers.CLIPModel(config), {"input_ids": ids(2, 5), **PIXELS})[1]
    assert run.by_name["vision_model"].tokens.image.rows == 4
    assert run.by_name["text_model"].tokens.image is None


def test_words_in_front_of_the_patches_are_no_prefix():
    from transformers import UdopConfig, UdopForConditionalGeneration, ViltConfig, ViltModel

    pixels = torch.randn(1, 3, 16, 16)
    vilt = ViltModel(ViltConfig(**PICTURES, vocab_size=99, max_position_embeddings=20))
    maps = aw.capture(vilt, {"input_ids": ids(1, 5), "pixel_values": pixels}).maps
    assert maps.tokens.labels[:5] == tuple(map(str, ids(1, 5)[0].tolist()))
    assert maps.tokens.labels[5] == "5"
    assert sorted(maps.tokens.labels[6:]) == sorted(f"{row},{column}" for row in range(4) for column in range(4))
    udop = UdopForConditionalGeneration(UdopConfig(d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
                                        vocab_size=99, image_size=16, patch_size=4))  # fmt: skip
    inputs = {"input_ids": ids(1, 5), "bbox": torch.zeros(1, 5, 4), "pixel_values": pixels}
    run = aw.capture(udop, inputs | {"decoder_input_ids": ids(1, 3)})
    assert run.decoder.tokens.ids == run.cross.tokens.ids == tuple(ids(1, 3)[0].tolist())
    assert run.cross.n_keys == run.encoder.n_keys > 16


def blip2(n=4):
    """Learned queries look at a picture, and a text reads what they saw; 98 stands for one of them."""
    torch.manual_seed(0)
    reader = SMALL | {"cross_attention_frequency": 1, "encoder_hidden_size": 32}
    words = SMALL | {"model_type": "opt", "ffn_dim": 64, "word_embed_proj_dim": 32, "max_position_embeddings": 64}
    config = transformers.Blip2Config(vision_config=PICTURES, qformer_config=reader, text_config=words,
                                      num_query_tokens=n, image_token_index=98)  # fmt: skip
    tokens = torch.cat([torch.full((1, n), 98), ids(1, 5).clamp(max=97)], 1)
    return transformers.Blip2ForConditionalGeneration(config).eval(), {
        "pixel_values": PIXELS["pixel_values"][:1], "input_ids": tokens, "attention_mask": torch.ones_like(tokens),
    }  # fmt: skip


class TestWhatIsNotKnownIsSaid:
    # As many learned queries as there are patches are still no patches.
    @pytest.mark.parametrize("n", [4, 16])
    def test_of_learned_queries(self, n):
        run = aw.capture(*blip2(n))
        text, cross = run.by_name["language_model"], run.by_name["cross"]
        assert text.tokens.images == ()
        assert text.tokens.labels[:n] == ("98",) * n
        assert any("queries that were learned, and no patches" in note for note in text.notes)
        assert (cross.key_tokens.image.rows, cross.key_tokens.image.start) == (4, 1)
        assert cross.tokens.image is None
        assert not any("no places" in note for note in cross.notes)

    def test_of_a_family_that_nobody_looked_at(self):
        class Ours(transformers.LlavaConfig):
            model_type = "ours"

        text, vision = transformers.LlamaConfig(**GROUPED), transformers.CLIPVisionConfig(**PICTURES)
        config = Ours(vision_config=vision, text_config=text, image_token_id=98, vision_feature_layer=-1)
        model = transformers.LlavaForConditionalGeneration(config).eval()
        inputs = {
            "input_ids": torch.cat([ids(1, 4).clamp(max=97), torch.full((1, 16), 98)], 1),
            "pixel_values": PIXELS["pixel_values"][:1],
        }
        maps = aw.capture(model, inputs).by_name["language_model"]
        assert maps.tokens.images == ()
        assert any("in which order 'ours' turns the patches of a picture into tokens" in note for note in maps.notes)

    def test_of_pixels_whose_rows_cannot_be_followed(self):
        class Shuffled(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.cut = torch.nn.Conv2d(3, 12, 4, 4)
                self.attend = torch.nn.MultiheadAttention(12, 3, batch_first=True)

            def forward(self, x):
                x = self.cut(x).flatten(2).transpose(1, 2)
                x = x[:, torch.randperm(16)]
                return self.attend(x, x, x)[0]

        maps = aw.capture(Shuffled().eval(), (torch.rand(1, 3, 16, 16),)).maps
        assert maps.tokens.images == ()
        assert any("could not be followed through the model" in note for note in maps.notes)

    def test_of_pixels_that_are_no_inputs_of_the_pass(self):
        model = llava()
        inputs = {"input_ids": torch.cat([ids(1, 4).clamp(max=97), torch.full((1, 16), 98)], 1)}
        whole = aw.capture(model, inputs | {"pixel_values": PIXELS["pixel_values"][:1]}).by_name["language_model"]
        assert whole.tokens.image is not None
        assert not whole.notes


def test_a_transformer_of_one_s_own_knows_its_patches():
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cut, self.front = torch.nn.Conv2d(3, 12, 4, 4), torch.nn.Parameter(torch.randn(1, 1, 12))
            layer = torch.nn.TransformerEncoderLayer(12, 3, 24, batch_first=True)
            self.layers = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

        def forward(self, x):
            x = self.cut(x).flatten(2).transpose(1, 2)
            return self.layers(torch.cat([self.front.expand(len(x), -1, -1), x], 1))

    image = aw.capture(Own().eval(), (torch.rand(2, 3, 12, 20),))[1].maps.tokens.image
    assert (image.start, image.rows, image.columns) == (1, 3, 5)
    assert tuple(image.picture.shape) == (12, 20, 3)


def test_each_text_of_a_batch_has_its_own_pictures():
    model = llava()
    words, picture = ids(2, 20).clamp(max=97), torch.full((16,), 98)
    first = torch.cat([words[0, :2], picture, words[0, 2:4], picture])
    second = torch.cat([words[1, :18], picture, words[1, 18:]])
    pixels = torch.rand(3, 3, 16, 16)
    run = aw.capture(model, {"input_ids": torch.stack([first, second]), "pixel_values": pixels})
    one, other = (example.by_name["language_model"].tokens.images for example in run)
    assert [(image.name, image.start) for image in one] == [("picture 1", 2), ("picture 2", 20)]
    assert [(image.name, image.start) for image in other] == [("", 18)]
    alone = aw.capture(model, {"input_ids": second[None], "pixel_values": pixels[2:]}).by_name["language_model"]
    assert torch.equal(other[0].picture, alone.tokens.image.picture)
