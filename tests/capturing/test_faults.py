"""Situations that people met with models, each as its kind: incomplete, shifted, or refused without cause."""

from __future__ import annotations

import pytest
import torch
import transformers as tf
from torch import nn

import attnwidget as aw
from tests.capturing.accounting import account
from tests.capturing.families import FAMILIES, FOUR, GROUPED, PICTURES, SMALL, cached, ids, made, needs

TEXT = SMALL | {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


def sizes(run):
    return {name: (maps.n_layers, maps.n_queries, maps.n_keys) for name, maps in run.by_name.items()}


def assert_whole(model, inputs, **options):
    result, run = account(model.eval(), inputs, **options)
    assert result.honest, result
    return result, run


def detr(kind, n_layers):
    """A detector of five queries over an 8 x 8 grid."""
    backbone = tf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic",
                               out_features=["stage2"])  # fmt: skip
    torch.manual_seed(0)
    return kind(tf.DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone_config=backbone,
        d_model=32, encoder_layers=n_layers, decoder_layers=n_layers,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, num_queries=5,
    )).eval()  # fmt: skip


class TestEconomies:
    """Nothing that saves work changes what is looked at."""

    @pytest.fixture
    def sharing(self):
        needs("Gemma4ForCausalLM")
        kinds = ["sliding_attention", "full_attention"] * 2
        torch.manual_seed(0)
        return tf.Gemma4ForCausalLM(tf.Gemma4TextConfig(
            **TEXT | {"num_hidden_layers": 4}, num_key_value_heads=2, head_dim=8, global_head_dim=8, sliding_window=4,
            layer_types=kinds, num_kv_shared_layers=2, vocab_size_per_layer_input=99, hidden_size_per_layer_input=8,
        )).eval()  # fmt: skip

    def test_layers_that_share_keys(self, sharing):
        prompt = {"input_ids": ids(1, 9)}
        whole = aw.capture(sharing, prompt, logits="all")
        maps = aw.capture(sharing, prompt).maps
        assert sizes(whole) == {"attention": (4, 9, 9)}
        assert (maps.n_layers, maps.n_queries) == (4, 9)
        torch.testing.assert_close(maps.weights(3, 1), whole.maps.weights(3, 1))
        assert_whole(sharing, prompt)

    def test_their_generation(self, sharing):
        maps = aw.capture(sharing, {"input_ids": ids(1, 9)}, generate=FOUR).maps
        assert (maps.n_layers, maps.n_queries, maps.n_keys) == (4, 12, 12)

    @pytest.mark.parametrize("family", ["llama-grouped", "gpt2", "mixtral", "bloom"])
    def test_logits_are_made_for_the_last_position_alone(self, family):
        model, rows = made(family), []
        head = model.get_output_embeddings()
        hook = head.register_forward_hook(lambda _m, _a, output: rows.append(output.shape[1]))
        run = aw.capture(model, {"input_ids": ids(1, 9)})
        hook.remove()
        assert rows == [1]
        with torch.no_grad():
            torch.testing.assert_close(run.logits, model(ids(1, 9)).logits[0, -1:], atol=1e-5, rtol=1e-4)


class TestParts:
    """A part that cannot be shown is refused by itself, and the rest is given."""

    def test_pictures_in_tiles(self):
        config = tf.LlavaNextConfig(
            text_config={"model_type": "llama", **TEXT}, image_token_index=98, vision_feature_layer=-2,
            vision_config={"model_type": "clip_vision_model", **PICTURES}, image_grid_pinpoints=[[16, 32], [32, 16]],
        )  # fmt: skip
        torch.manual_seed(0)
        model = tf.LlavaNextForConditionalGeneration(config).eval()
        words = ids(1, 7).clamp(max=97)
        tokens = torch.cat([words[:, :3], torch.full((1, 52), 98), words[:, 3:]], 1)
        inputs = {
            "input_ids": tokens, "attention_mask": torch.ones_like(tokens), "image_sizes": torch.tensor([[16, 32]]),
            "pixel_values": torch.randn(1, 3, 3, 16, 16, generator=torch.Generator().manual_seed(0)),
        }  # fmt: skip
        _, run = assert_whole(model, inputs)
        assert sizes(run) == {f"vision_tower {i}": (2, 17, 17) for i in range(3)} | {"language_model": (2, 59, 59)}
        assert run.by_name["language_model"].tokens.ids == tuple(tokens[0].tolist())
        grids = [run.by_name[f"vision_tower {i}"].tokens.image for i in range(3)]
        assert [(grid.rows, grid.columns) for grid in grids] == [(4, 4)] * 3
        assert not torch.equal(grids[0].picture, grids[1].picture)
        assert list(aw.capture(model, inputs, part="language_model").by_name) == ["language_model"]
        with pytest.raises(ValueError, match=r"part='tower'.*'vision_tower', 'language_model'"):
            aw.capture(model, inputs, part="tower")

    def test_two_directions_of_cross_attention_beside_windows(self):
        model = tf.SamModel(tf.SamConfig(
            vision_config={"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 64,
                           "patch_size": 8, "window_size": 4, "global_attn_indexes": [1], "output_channels": 32,
                           "mlp_dim": 64, "num_pos_feats": 16},
            prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 8, "image_embedding_size": 8},
            mask_decoder_config={"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "mlp_dim": 64,
                                 "iou_head_hidden_dim": 32},
        )).eval()  # fmt: skip
        inputs = {"pixel_values": torch.randn(1, 3, 64, 64), "input_points": torch.tensor([[[[20.0, 20.0]]]])}
        with pytest.warns(aw.AttentionWarning, match="'vision_encoder 16 x 16' is not shown: vision_encoder.layers"):
            run = aw.capture(model, inputs)
        shapes = list(sizes(run).values())
        assert shapes.count((2, 7, 7)) == 1
        assert shapes.count((2, 7, 64)) == 1
        assert shapes.count((2, 64, 7)) == 1
        assert list(run.refused) == ["vision_encoder 16 x 16"]

    def test_learned_queries_are_no_patches(self):
        torch.manual_seed(0)
        model = tf.Blip2ForConditionalGeneration(tf.Blip2Config(
            vision_config=PICTURES, num_query_tokens=4, image_token_index=98,
            qformer_config={**SMALL, "cross_attention_frequency": 1, "encoder_hidden_size": 32},
            text_config={"model_type": "opt", "ffn_dim": 64, "word_embed_proj_dim": 32,
                         "max_position_embeddings": 64, **TEXT},
        )).eval()  # fmt: skip
        tokens = torch.cat([torch.full((1, 4), 98), ids(1, 5).clamp(max=97)], 1)
        inputs = {"pixel_values": torch.randn(1, 3, 16, 16), "input_ids": tokens}
        run = aw.capture(model, {**inputs, "attention_mask": torch.ones_like(tokens)})
        assert run.by_name["language_model"].tokens.labels == tuple(map(str, tokens[0].tolist()))
        assert run.by_name["language_model"].tokens.image is None

    @pytest.mark.parametrize("name", ["SiglipVisionModel", "Siglip2VisionModel"])
    def test_torch_s_attention_inside_a_model_of_transformers(self, name):
        torch.manual_seed(0)
        config = getattr(tf, name.replace("Model", "Config"))
        if name == "SiglipVisionModel":
            model, inputs = tf.SiglipVisionModel(config(**PICTURES)), {"pixel_values": torch.randn(1, 3, 16, 16)}
        else:
            model = tf.Siglip2VisionModel(config(**{**PICTURES, "num_patches": 16}))
            inputs = {
                "pixel_values": torch.randn(1, 16, 48), "pixel_attention_mask": torch.ones(1, 16, dtype=torch.long),
                "spatial_shapes": torch.tensor([[4, 4]]),
            }  # fmt: skip
        _, run = assert_whole(model, inputs)
        assert sizes(run) == {"attention": (2, 16, 16), "head": (1, 1, 16)}

    def test_an_encoder_of_the_registry_and_a_decoder_of_its_own_code(self):
        pen = tf.TrOCRConfig(vocab_size=99, d_model=32, decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=64,
                             is_decoder=True, cross_attention_hidden_size=32, add_cross_attention=True,
                             pad_token_id=0)  # fmt: skip
        config = tf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(tf.ViTConfig(**PICTURES), pen)
        config.decoder_start_token_id, config.pad_token_id = 1, 0
        torch.manual_seed(0)
        model = tf.VisionEncoderDecoderModel(config)
        _, run = assert_whole(model, {"pixel_values": torch.randn(1, 3, 16, 16), "decoder_input_ids": ids(1, 5)})
        assert sizes(run) == {"encoder": (2, 17, 17), "decoder": (2, 5, 5), "cross": (2, 5, 17)}

    @pytest.mark.parametrize("length", [12, 5])
    def test_across_by_what_it_was_handed(self, length):
        torch.manual_seed(0)
        model = tf.Pix2StructForConditionalGeneration(tf.Pix2StructConfig(
            text_config={"vocab_size": 99, "hidden_size": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4,
                         "decoder_start_token_id": 0},
            vision_config={"hidden_size": 32, "patch_embed_hidden_size": 48, "d_ff": 64, "d_kv": 8,
                           "num_hidden_layers": 2, "num_attention_heads": 4, "patch_size": 4, "seq_len": 64},
        ))  # fmt: skip
        places = torch.tensor([[r, c] for r in range(1, 5) for c in range(1, 4)]).float()[None]
        inputs = {"flattened_patches": torch.cat([places, torch.randn(1, 12, 48)], -1),
                  "attention_mask": torch.ones(1, 12), "decoder_input_ids": ids(1, length)}  # fmt: skip
        _, run = assert_whole(model, inputs)
        expected = {"encoder": (2, 12, 12), "decoder": (2, length, length), "cross": (2, length, 12)}
        assert sizes(run) == expected

    def test_parts_whose_matrices_stand_under_other_names(self):
        torch.manual_seed(0)
        config = tf.FlavaConfig(image_config=PICTURES, text_config=SMALL, multimodal_config=SMALL, hidden_size=32,
                                projection_dim=16)  # fmt: skip
        _, run = assert_whole(
            tf.FlavaModel(config), {"input_ids": ids(1, 7), "pixel_values": torch.randn(1, 3, 16, 16)}
        )
        assert sizes(run) == {"image_model": (2, 17, 17), "text_model": (2, 7, 7), "multimodal_model": (2, 25, 25)}


class TestTargets:
    """Whether a target is needed is told by what forward takes, and not by a flag."""

    def test_a_detector(self):
        model = detr(tf.DetrForObjectDetection, n_layers=2)
        run = aw.capture(model, {"pixel_values": torch.randn(1, 3, 64, 64)})
        assert sizes(run) == {"encoder": (2, 64, 64), "decoder": (2, 5, 5), "cross": (2, 5, 64)}

    @pytest.mark.parametrize("family", ["t5", "pegasus", "whisper"])
    def test_a_model_that_needs_one_is_told_so(self, family):
        make, inputs = FAMILIES[family]
        source = {name: value for name, value in inputs.items() if not name.startswith("decoder")}
        with pytest.raises(ValueError, match="no target came: add decoder_input_ids, or labels"):
            aw.capture(make(), source)

    @pytest.mark.parametrize("family", ["bart", "mbart"])
    def test_one_that_makes_its_own_is_not(self, family):
        make, inputs = FAMILIES[family]
        assert list(aw.capture(make(), {"input_ids": inputs["input_ids"][:1]}).by_name) == [
            "encoder",
            "decoder",
            "cross",
        ]


class TestNumbers:
    """Layers have the numbers that the model gives them."""

    def jamba(self):
        torch.manual_seed(0)
        return tf.JambaForCausalLM(tf.JambaConfig(
            **TEXT | {"num_hidden_layers": 4}, num_key_value_heads=2, attn_layer_period=2, attn_layer_offset=1,
            expert_layer_period=2, num_experts=2, num_experts_per_tok=1, mamba_d_state=4, mamba_dt_rank=4,
            use_mamba_kernels=False,
        )).eval()  # fmt: skip

    def test_of_a_hybrid(self):
        maps = aw.capture(self.jamba(), ids(1, 6)).maps
        assert maps.layer_numbers == (1, 3)
        assert maps.layer_names == ("model.layers.1.self_attn", "model.layers.3.self_attn")
        assert aw.capture(self.jamba(), ids(1, 6), layers=[3]).maps.layer_names == ("model.layers.3.self_attn",)
        with pytest.raises(ValueError, match=r"layers=\[0\]: no layer that attends.*layers \[1, 3\]"):
            aw.capture(self.jamba(), ids(1, 6), layers=[0])
        maps = aw.capture(self.jamba(), {"input_ids": ids(1, 6)}, generate=FOUR).maps
        assert (maps.layer_numbers, maps.n_queries) == ((1, 3), 9)

    def test_of_cross_attention_in_some_layers(self):
        class Layer(nn.Module):
            def __init__(self, across):
                super().__init__()
                self.own = nn.MultiheadAttention(16, 4, batch_first=True)
                self.other = nn.MultiheadAttention(16, 4, batch_first=True) if across else None

            def forward(self, x, memory):
                x = x + self.own(x, x, x)[0]
                return x if self.other is None else x + self.other(x, memory, memory)[0]

        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList(Layer(i % 2) for i in range(4))

            def forward(self, x, memory):
                for layer in self.layers:
                    x = layer(x, memory)
                return x

        run = aw.capture(Model(), (torch.randn(1, 5, 16), torch.randn(1, 7, 16)))
        assert run.by_name["attention"].layer_numbers == (0, 1, 2, 3)
        assert run.by_name["cross"].layer_numbers == (1, 3)


class TestPadding:
    """Padding is what attention was not allowed to see, in whatever form that came."""

    def test_words_before_patches(self):
        torch.manual_seed(0)
        model = tf.ViltModel(tf.ViltConfig(**TEXT, image_size=16, patch_size=4, max_position_embeddings=20)).eval()
        words = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 0, 0]])
        run = aw.capture(model, {
            "input_ids": words, "attention_mask": (words > 0).long(), "pixel_values": torch.randn(2, 3, 16, 16),
            "pixel_mask": torch.ones(2, 16, 16, dtype=torch.long),
        })  # fmt: skip
        assert (run[1].maps.n_queries, run[1].maps.n_keys) == (20, 20)
        assert run[1].maps.tokens.labels[:3] == ("5", "6", "7")

    def test_pixels(self):
        model = detr(tf.DetrModel, n_layers=1)
        mask = torch.ones(2, 64, 64, dtype=torch.long)
        mask[1, 32:] = 0
        run = aw.capture(model, {"pixel_values": torch.randn(2, 3, 64, 64), "pixel_mask": mask})
        assert [one.encoder.n_keys for one in run] == [64, 32]
        assert [one.cross.n_keys for one in run] == [64, 32]

    def test_torch_s_own(self):
        class Classifier(nn.Module):
            def __init__(self):
                super().__init__()
                self.table = nn.Embedding(99, 16)
                layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
                self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

            def forward(self, tokens):
                return self.encoder(self.table(tokens), src_key_padding_mask=tokens == 0)

        words = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 0, 0]])
        run = aw.capture(Classifier(), (words,))
        assert run[1].maps.tokens.ids == (5, 6, 7)
        assert (run[1].maps.n_queries, run[1].maps.n_keys) == (3, 3)

    def test_a_query_that_may_not_see_itself_is_no_padding(self):
        class Strict(nn.Module):
            def __init__(self):
                super().__init__()
                self.attn = nn.MultiheadAttention(16, 4, batch_first=True)

            def forward(self, x):
                hidden = torch.ones(5, 5, dtype=torch.bool).triu()
                hidden[0, 0] = False
                return self.attn(x, x, x, attn_mask=hidden, need_weights=False)[0]

        maps = aw.capture(Strict(), torch.randn(1, 5, 16)).maps
        assert (maps.n_queries, maps.n_keys) == (5, 5)

    def test_what_is_called_padding_and_is_looked_at_is_shown(self):
        class Careless(nn.Module):
            def __init__(self):
                super().__init__()
                self.table, self.attn = nn.Embedding(99, 16), nn.MultiheadAttention(16, 4, batch_first=True)

            def forward(self, input_ids, attention_mask):
                x = self.table(input_ids)
                return self.attn(x, x, x, need_weights=False)[0] * attention_mask[..., None]

        inputs = {"input_ids": ids(1, 5), "attention_mask": torch.tensor([[1, 1, 1, 0, 0]])}
        assert aw.capture(Careless(), inputs).maps.n_keys == 5

    def test_keys_that_reach_a_part_beside_the_whole(self):
        torch.manual_seed(0)
        base = tf.BertForSequenceClassification(tf.BertConfig(**TEXT)).eval()

        class Tuned(nn.Module):
            def __init__(self):
                super().__init__()
                self.base, self.learned = base, nn.Parameter(torch.randn(2, 2, 4, 4, 8))

            def forward(self, input_ids, attention_mask):
                cache = tf.DynamicCache(config=base.config)
                for layer, pair in enumerate(self.learned):
                    cache.update(*(x.expand(len(input_ids), -1, -1, -1) for x in pair), layer)
                seen = torch.cat([torch.ones(len(input_ids), 4, dtype=torch.long), attention_mask], 1)
                held = cached(self.base.bert, cache)
                return self.base.classifier(self.base.bert(input_ids, attention_mask=seen, **held).pooler_output)

        inputs = {"input_ids": ids(2, 6), "attention_mask": torch.tensor([[1] * 6, [1] * 4 + [0] * 2])}
        maps = aw.capture(Tuned(), inputs)[1].maps
        assert (maps.n_queries, maps.n_keys) == (4, 8)
        assert maps.key_tokens.labels == (*(f"prefix {i}" for i in range(4)), *map(str, ids(2, 6)[1, :4].tolist()))
        assert [(span.name, span.start, span.stop) for span in maps.key_tokens.spans] == [("prefix", 0, 4)]


class TestEntrances:
    """A recording hears what a capture hears."""

    def test_a_model_that_comes_with_code_of_its_own(self):
        class Attention(nn.Module):
            def __init__(self):
                super().__init__()
                self.h, self.qkv = 4, nn.Linear(32, 96)

            def forward(self, x):
                q, k, v = (t.unflatten(-1, (4, 8)).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
                out = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
                return out.transpose(1, 2).flatten(2)

        class Model(tf.PreTrainedModel):
            config_class = tf.PretrainedConfig

            def __init__(self, config):
                super().__init__(config)
                self.table, self.layers = nn.Embedding(99, 32), nn.Sequential(Attention(), Attention())

            def forward(self, input_ids=None, **kwargs):
                return self.layers(self.table(input_ids))

        model, x = Model(tf.PretrainedConfig()).eval(), ids(1, 6)
        with aw.recording(model) as recorder, torch.no_grad():
            model(input_ids=x)
        for run in (aw.capture(model, {"input_ids": x}), recorder.capture()):
            assert sizes(run) == {"attention": (2, 6, 6)}
            assert run.maps.tokens.ids == tuple(x[0].tolist())

    @pytest.mark.parametrize("family", ["gpt-j", "deberta-v2", "bloom", "falcon"])
    def test_models_outside_the_registry(self, family):
        make, inputs = FAMILIES[family]
        model, one = make().eval(), {"input_ids": inputs["input_ids"][:1]}
        with aw.recording(model) as recorder, torch.no_grad():
            model(**one)
        torch.testing.assert_close(
            recorder.capture().maps.weights(1, 2), aw.capture(model, one).maps.weights(1, 2), atol=1e-6, rtol=0
        )

    def test_pictures_without_their_name(self):
        with pytest.raises(TypeError, match=r"its main one is pixel_values: pass \{'pixel_values': tensor\}"):
            aw.capture(made("vit"), torch.randn(1, 3, 16, 16))


class TestWhatWasComputed:
    """Maps are what was computed, whatever a model returns when it is asked."""

    @pytest.mark.parametrize("change", [
        lambda weights: weights.mean(1, keepdim=True).expand_as(weights), lambda weights: weights.log() * 3,
    ], ids=["means of heads", "scores"])  # fmt: skip
    def test_matrices_that_are_something_else(self, change):
        torch.manual_seed(0)
        model = tf.RoFormerModel(tf.RoFormerConfig(**TEXT)).eval()
        inputs = {"input_ids": ids(1, 6)}
        assert_whole(model, inputs)
        plain = aw.capture(model, inputs).maps
        for layer in model.encoder.layer:
            layer.attention.self.register_forward_hook(
                lambda m, a, out: (out[0], change(out[1])) if len(out) > 1 else None
            )
        maps = aw.capture(model, inputs).maps
        torch.testing.assert_close(maps.weights(1, 3), plain.weights(1, 3), atol=1e-6, rtol=0)

    def test_layer_by_layer_in_a_stack_of_shared_modules(self):
        make, inputs = FAMILIES["albert"]
        _, run = assert_whole(make(), {"input_ids": inputs["input_ids"][:1]})
        assert run.maps.n_layers == 3


def test_the_start_token_of_a_decoder_is_no_padding():
    torch.manual_seed(0)
    model = tf.T5ForConditionalGeneration(tf.T5Config(vocab_size=99, d_model=32, d_kv=8, d_ff=64, num_layers=2,
                                          num_heads=4, decoder_start_token_id=0, pad_token_id=0)).eval()  # fmt: skip
    target = torch.tensor([[0, 5, 7, 9, 11]])
    run = aw.capture(model, {"input_ids": ids(1, 7), "decoder_input_ids": target})
    assert run.decoder.tokens.ids == tuple(target[0].tolist())


def test_grouped_keys_of_the_registry_are_held_as_they_are():
    run = aw.capture(tf.LlamaForCausalLM(tf.LlamaConfig(**GROUPED)).eval(), ids(1, 9))
    assert run.maps.layers[0].key_value_heads == 2
