"""What people hold attention in: it is read as what it is, asked about, or refused for a reason that was looked at."""

from __future__ import annotations

import io
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
import transformers as tf

import attnwidget as aw
from attnwidget import AttentionMaps, AttentionWarning
from tests.make import matrices

read = AttentionMaps.from_arrays
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = SMALL | {"vocab_size": 120, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SIX = {
    "max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False, "output_attentions": True,
    "return_dict_in_generate": True,
}  # fmt: skip


def saved(arrays):
    """Arrays as numpy gives them back from a file."""
    file = io.BytesIO()
    np.savez(file, **{name: np.asarray(array) for name, array in arrays.items()})
    file.seek(0)
    return np.load(file)


class TestAxes:
    """Axes that could be others are asked about, and nothing else is read out of them."""

    PLACES = matrices(2, 8, 4, 4, 5)  # passes, heads, rows and columns of places, words

    @pytest.mark.parametrize("weights", [PLACES, PLACES.numpy(), matrices(1, 1, 4, 6, 6), matrices(2, 2, 2, 2, 2)])
    @pytest.mark.parametrize("example", [None, 0])
    def test_five_axes(self, weights, example):
        with pytest.raises(ValueError, match=r"more than one way.*layout=.*L layers, B examples, H heads") as said:
            read(weights, example=example)
        assert "example=" not in str(said.value)

    @pytest.mark.parametrize("shape", [(5,), (2, 3, 4), (2, 3, 4, 4), (2, 2, 3, 4, 4, 4)])
    def test_other_numbers_of_axes(self, shape):
        with pytest.raises(
            ValueError, match=r"more than one way.*Of an axis that is none of these one place is chosen"
        ):
            read(matrices(*shape))

    def test_what_the_question_says_works(self):
        joined = read(self.PLACES.reshape(2, 8, 16, 5), layout="LHQK")
        assert (joined.heads, joined.n_queries, joined.n_keys) == ((8, 8), 16, 5)
        torch.testing.assert_close(joined.weights(1, 7)[4 * 2 + 3], self.PLACES[1, 7, 2, 3])
        assert read(self.PLACES.mean(1), layout="LHQK").heads == (4, 4)
        assert read(self.PLACES[:, :, 3], layout="LHQK").n_queries == 4

    def test_a_list_of_batches_asks_for_the_example_or_the_layout(self):
        with pytest.raises(
            ValueError, match=r"If it is a batch of 8 examples.*example=0.*If its axes are others.*layout="
        ):
            read(list(self.PLACES))

    @pytest.mark.parametrize(
        ("shape", "layout", "sizes"),
        [((5,), "K", (1, 1, 5)), ((3, 5), "HK", (3, 1, 5)), ((3, 5), "KH", (5, 1, 3)), ((2, 3, 5), "BHK", (3, 1, 5))],
    )
    def test_without_q_there_is_one_query(self, shape, layout, sizes):
        weights = torch.rand(shape)
        maps = read(
            weights / weights.sum(layout.index("K"), keepdim=True), layout=layout, example=0 if "B" in layout else None
        )
        assert maps.layers[0].shape == sizes

    def test_a_list_of_single_queries(self):
        maps = read([matrices(3, 5), matrices(3, 5, seed=1)], layout="HK")
        assert (maps.heads, maps.n_queries) == ((3, 3), 1)
        torch.testing.assert_close(maps.weights(1, 2)[0], matrices(3, 5, seed=1)[2])

    @pytest.mark.parametrize("layout", ["LHQ", "QQK", "LHSQK", "", 4, "lhqk"])
    def test_letters_that_there_are_not(self, layout):
        with pytest.raises(ValueError, match=r"is no layout.*K among them.*none of these"):
            read(matrices(2, 3, 4), layout=layout)


class TestNames:
    LAYERS: ClassVar = {i: matrices(1, 4, 6, 6, seed=i) for i in (0, 2, 10)}

    @pytest.mark.parametrize("name", ["block.{}.attn", "h{}", "layer-{:02}.weights", "v2.layers.{}.attn1"])
    @pytest.mark.parametrize("holder", [dict, saved, lambda x: saved(dict(reversed(x.items())))])
    def test_the_order_is_that_of_the_numbers(self, name, holder):
        maps = read(holder({name.format(i): array for i, array in sorted(self.LAYERS.items(), key=str)}))
        assert maps.layer_names == tuple(name.format(i) for i in (0, 2, 10))
        for place, array in enumerate(self.LAYERS.values()):
            assert torch.equal(maps.weights(place, 3), array[0, 3])

    def test_whole_numbers_are_the_numbers_of_layers(self):
        maps = read({i: self.LAYERS[i] for i in (10, 0, 2)})
        assert maps.layer_numbers == (0, 2, 10)
        assert maps.layer_names == ("layer 0", "layer 2", "layer 10")

    def test_names_without_numbers_stay_in_their_order(self):
        maps = read({"lower": self.LAYERS[2], "higher": self.LAYERS[0]})
        assert maps.layer_names == ("lower", "higher")
        assert read({"attention": self.LAYERS[0], "attention_1": self.LAYERS[2]}).n_layers == 2

    def test_two_stacks_are_asked_about(self):
        held = {f"{stack}.{i}": self.LAYERS[0] for stack in ("encoder", "decoder") for i in range(2)}
        with pytest.raises(ValueError, match=r"'encoder.0' and 'decoder.0'.*those of one"):
            read(held)
        assert read({name: array for name, array in held.items() if "decoder" in name}).n_layers == 2

    @pytest.mark.parametrize("holder", [dict, saved])
    def test_one_array_of_all_layers(self, holder):
        held = holder({"attn": matrices(3, 4, 6, 6)})
        with pytest.raises(ValueError, match=r"more than one way.*'LHQK'"):
            read(held)
        assert read(held, layout="LHQK").layer_names == ("layer 0", "layer 1", "layer 2")
        for layout in ("LHQK", "BHQK"):
            one = read(holder({"block.7": self.LAYERS[0]}), layout=layout)
            assert (one.heads, one.layer_names) == ((4,), ("block.7",))
        assert read({"maps": tuple(self.LAYERS.values())}).n_layers == 3

    @pytest.mark.parametrize(
        ("held", "error", "words"),
        [
            ({}, ValueError, "empty dict"),
            (
                {"input_ids": torch.ones(1, 4).long(), "mask": torch.ones(1, 4)},
                TypeError,
                r"\['input_ids'\] holds torch.int64",
            ),
            ({(0, 1): matrices(4, 4), (0, 0): matrices(4, 4)}, ValueError, r"key \(0, 1\).*Pass a list"),
            ({"a.0": {"w": matrices(4, 4)}, "a.1": {}}, TypeError, r"weights\['a.0'\] is dict"),
            ({"a.0": matrices(2, 4, 4), "a.1": matrices(1, 2, 4, 4)}, ValueError, "one number of dimensions"),
            ({"a.0": matrices(2, 2, 4, 4), "a.1": matrices(2, 2, 4, 4)}, ValueError, r"weights\['a.0'\].*example=0"),
            ({"a.0": None, "a.1": None}, ValueError, "None for layer 0"),
        ],
    )
    def test_what_is_no_attention_is_no_model_that_gave_none(self, held, error, words):
        with pytest.raises(error, match=words) as said:
            read(held)
        assert "asked for" not in str(said.value)

    def test_a_models_output_without_attention_says_what_it_has(self):
        with pytest.raises(
            ValueError, match=r"without attentions: it has last_hidden_state.*attn_implementation='eager'"
        ):
            read(tf.modeling_outputs.BaseModelOutput(last_hidden_state=torch.zeros(1, 2, 3)))

    def test_a_layer_without_attention_is_left_out_by_itself(self):
        """As in hybrid models, whose other layers have none."""
        for held in ((None, matrices(1, 2, 4, 4), None, matrices(1, 2, 4, 4, seed=1)),):
            maps = read(held)
            assert maps.layer_numbers == (1, 3)
            assert torch.equal(maps.weights(1, 0), held[3][0, 0])
            assert maps.notes == ("Layers 0, 2 came without attention (None) and are left out.",)
        broken = matrices(1, 2, 4, 4)
        broken[0, 1, 2] = torch.nan
        with pytest.warns(AttentionWarning, match="NaN in layer 2, heads 1"):
            read((None, None, broken))

    def test_it_is_explored(self):
        view = aw.explore({"block.1": self.LAYERS[0], "block.0": self.LAYERS[2]}, tokens=list("abcdef"))
        assert view.maps


class Cache:
    """Stands for TransformerLens's ActivationCache, which is no mapping and acts as one."""

    def __init__(self, held):
        self.cache_dict = held

    def keys(self):
        return self.cache_dict.keys()

    def __getitem__(self, name):
        return self.cache_dict[name]

    def __iter__(self):
        return iter(self.cache_dict)

    def __len__(self):
        return len(self.cache_dict)


class TestTransformerLens:
    """Names and shapes are those of its hooks: q and k [batch, pos, head, width], patterns [batch, head, pos, pos]."""

    def cache(self, *kinds, layers=(0, 1, 11)):
        draw = torch.Generator().manual_seed(0)
        held = {"hook_embed": torch.zeros(1, 5, 32)}
        for i in layers:
            q, k = (torch.randn(1, 5, heads, 8, generator=draw) for heads in (4, 2))
            scores = torch.einsum("bqhd,bkhd->bhqk", q, k.repeat_interleave(2, 2)) / 8**0.5
            scores = scores.masked_fill(~torch.ones(5, 5).bool().tril(), -torch.inf)
            values = {
                "hook_q": q, "hook_k": k, "hook_rot_q": q, "hook_rot_k": k, "hook_v": torch.randn(1, 5, 2, 8),
                "hook_attn_scores": scores, "hook_pattern": scores.softmax(-1), "hook_z": torch.randn(1, 5, 4, 8),
            }  # fmt: skip
            held |= {f"blocks.{i}.hook_resid_pre": torch.randn(1, 5, 32)}
            held |= {f"blocks.{i}.attn.{kind}": values[kind] for kind in kinds}
        return held

    @pytest.mark.parametrize("holder", [dict, Cache])
    def test_patterns(self, holder):
        held = self.cache("hook_q", "hook_k", "hook_v", "hook_attn_scores", "hook_pattern", "hook_z")
        maps = read(holder(held))
        assert maps.layer_numbers == (0, 1, 11)
        assert maps.layer_names == ("blocks.0.attn", "blocks.1.attn", "blocks.11.attn")
        assert torch.equal(maps.weights(2, 3), held["blocks.11.attn.hook_pattern"][0, 3])

    def test_without_a_batch(self):
        held = {name: array[0] for name, array in self.cache("hook_pattern").items()}
        assert read(Cache(held)).heads == (4, 4, 4)

    def test_scores(self):
        held = self.cache("hook_attn_scores")
        held["blocks.0.attn.hook_attn_scores"][0, 0, 0] = -torch.inf
        maps = read(Cache(held))
        assert maps.notes == ("The weights are the softmax of hook_attn_scores.",)
        torch.testing.assert_close(maps.weights(2, 1), held["blocks.11.attn.hook_attn_scores"][0, 1].softmax(-1))
        assert maps.weights(0, 0)[0].tolist() == [0] * 5

    @pytest.mark.parametrize("ends", [("hook_q", "hook_k"), ("hook_rot_q", "hook_rot_k", "hook_q", "hook_k")])
    def test_queries_and_keys_are_made_maps_as_the_error_says(self, ends):
        held = self.cache(*ends, "hook_pattern")
        expected = read(held)
        cache = Cache({name: array for name, array in held.items() if "pattern" not in name})
        with pytest.raises(ValueError, match=r"no patterns; it has hook_k") as said:
            read(cache)
        call = str(said.value).split("mask of: ")[1].removesuffix(".")
        assert f".{ends[0]}'" in call
        maps = eval(call, {"AttentionMaps": AttentionMaps, "cache": cache})
        assert maps.layer_names[2].startswith("blocks.11.attn")
        for head in range(4):
            torch.testing.assert_close(maps.weights(2, head), expected.weights(2, head), atol=1e-6, rtol=0)

    def test_several_stacks_are_asked_about(self):
        cache = {
            f"{stack}.{i}.{place}.hook_pattern": matrices(1, 2, 4, 4)
            for stack, place in (("encoder", "attn"), ("decoder", "attn"), ("decoder", "cross_attn"))
            for i in range(2)
        }
        with pytest.raises(ValueError, match=r"'encoder.\*.attn' and .*'decoder.\*.cross_attn'.*Pass one") as said:
            read(cache)
        chosen = eval(str(said.value).split("for example ")[1].removesuffix("."), {"cache": cache})
        assert read(chosen).layer_names == ("encoder.0.attn", "encoder.1.attn")


class TestFrames:
    FRAME = pd.DataFrame(matrices(2, 3).numpy(), index=["le", "chat"], columns=["the", "cat", "[SEP]"])

    def test_index_and_columns_are_the_tokens(self):
        maps = read(self.FRAME)
        assert (maps.tokens.labels, maps.key_tokens.labels) == (("le", "chat"), ("the", "cat", "[SEP]"))
        assert maps.key_tokens.special == (False, False, True)
        torch.testing.assert_close(maps.weights(0, 0), matrices(2, 3))

    def test_the_same_on_both_axes(self):
        square = pd.DataFrame(matrices(3, 3).numpy(), index=list("abc"), columns=list("abc"))
        maps = read(square)
        assert maps.key_tokens is maps.tokens
        assert read(square, tokens=list("xyz")).key_tokens.labels == ("x", "y", "z")
        assert read(pd.DataFrame(matrices(3, 3).numpy())).tokens.labels == ("0", "1", "2")

    def test_labels_that_are_given_come_first(self):
        maps = read(self.FRAME, tokens=["a", "b"])
        assert (maps.tokens.labels, maps.key_tokens.labels) == (("a", "b"), ("the", "cat", "[SEP]"))
        assert read(self.FRAME, key_tokens=list("xyz")).key_tokens.labels == ("x", "y", "z")

    @pytest.mark.parametrize("hold", [list, tuple, lambda x: {f"head {i}": frame for i, frame in enumerate(x)}])
    def test_one_a_layer(self, hold):
        maps = read(hold([self.FRAME, self.FRAME * 1.0]))
        assert (maps.heads, maps.tokens.labels) == ((1, 1), ("le", "chat"))

    def test_labels_that_differ(self):
        with pytest.raises(ValueError, match=r"different labels.*Make one AttentionMaps for each"):
            read([self.FRAME, self.FRAME.rename(columns={"cat": "dog"})])

    def test_words_in_cells(self):
        with pytest.raises(TypeError, match=r"holds (object|str)"):
            read(pd.DataFrame([["a", "b"]]))


class TestGeneration:
    """The steps of generate() are joined, and are what one pass over the whole text makes."""

    IDS = torch.randint(5, 99, (1, 5), generator=torch.Generator().manual_seed(0))

    def model(self, **options):
        torch.manual_seed(0)
        config = tf.MistralConfig(**TEXT, num_key_value_heads=2, attn_implementation="eager", **options)
        return tf.MistralForCausalLM(config).eval()

    def one_pass(self, model, output, **inputs):
        with torch.no_grad():
            return model(output.sequences[:, :-1], output_attentions=True, **inputs).attentions

    @pytest.mark.parametrize("window", [None, 4, 5, 7, 12])
    @pytest.mark.parametrize("cache", [{}, {"cache_implementation": "static"}])
    @pytest.mark.parametrize(
        "hold", [lambda output: output, lambda output: output.attentions, lambda o: [list(x) for x in o.attentions]]
    )
    def test_caches_of_every_kind(self, window, cache, hold):
        model = self.model(sliding_window=window)
        output = model.generate(self.IDS, **SIX, **cache)
        maps, expected = read(hold(output)), self.one_pass(model, output)
        assert (maps.n_queries, maps.n_keys, maps.causal) == (10, 10, True)
        assert maps.notes == ("Joined from 6 steps of generate().",)
        for layer in range(2):
            for head in range(4):
                torch.testing.assert_close(maps.weights(layer, head), expected[layer][0, head], atol=1e-6, rtol=0)

    def test_layers_of_two_kinds(self):
        torch.manual_seed(0)
        kinds = ["sliding_attention", "full_attention"]
        config = tf.Gemma3TextConfig(
            **TEXT, head_dim=8, sliding_window=4, layer_types=kinds, attn_implementation="eager"
        )
        model = tf.Gemma3ForCausalLM(config).eval()
        output = model.generate(self.IDS, **SIX)
        maps, expected = read(output), self.one_pass(model, output)
        for layer in range(2):
            torch.testing.assert_close(maps.weights(layer, 3), expected[layer][0, 3], atol=1e-6, rtol=0)

    def test_all_tokens_may_come_and_the_last_one_has_no_row(self):
        output = self.model().generate(self.IDS, **SIX)
        labels = [f"t{i}" for i in range(11)]
        maps = read(output, tokens=labels)
        assert (maps.tokens.labels, maps.following) == (tuple(labels[:10]), "t10")
        assert read(output, tokens=labels[:10]).following is None
        with pytest.raises(ValueError, match=r"9 labels and the maps have 10 queries"):
            read(output, tokens=labels[:9])

    def test_a_batch_and_its_padding(self):
        model = self.model(sliding_window=None)
        ids = torch.cat([torch.tensor([[0, 0, 0, 7, 8]]), self.IDS])
        mask = (ids != 0).long()
        output = model.generate(ids, attention_mask=mask, **SIX)
        with pytest.raises(ValueError, match="batch of 2"):
            read(output)
        expected = self.one_pass(model, output, attention_mask=torch.cat([mask, torch.ones(2, 5).long()], 1))
        for example, real in ((0, 3), (1, 0)):
            maps = read(output, example=example)
            assert any("beam search" in note for note in maps.notes)
            torch.testing.assert_close(maps.weights(1, 2)[real:], expected[1][example, 2][real:], atol=1e-6, rtol=0)

    def test_beams_are_not_joined(self):
        with pytest.raises(ValueError, match=r"beams were searched.*capture\(model, inputs, tokenizer, generate="):
            read(self.model().generate(self.IDS, **SIX, num_beams=2))

    @pytest.mark.parametrize("source", [1, 3, 5, 8])
    @pytest.mark.parametrize("prompt", [[0], [0, 7, 8, 9, 11]])
    def test_encoder_decoder(self, source, prompt):
        torch.manual_seed(0)
        sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
        config = tf.T5Config(vocab_size=120, decoder_start_token_id=0, attn_implementation="eager", **sizes)
        model = tf.T5ForConditionalGeneration(config).eval()
        ids = torch.randint(5, 99, (1, source))
        output = model.generate(ids, decoder_input_ids=torch.tensor([prompt]), **SIX)
        with pytest.raises(ValueError, match=r"outputs\.encoder_attentions"):
            read(output)
        with torch.no_grad():
            expected = model(ids, decoder_input_ids=output.sequences[:, :-1], output_attentions=True)
        for kind in ("encoder_attentions", "decoder_attentions", "cross_attentions"):
            maps = read(output[kind])
            for head in range(4):
                torch.testing.assert_close(maps.weights(1, head), expected[kind][1][0, head], atol=1e-5, rtol=0)

    def test_one_step_is_a_pass(self):
        weights = matrices(1, 2, 4, 4)
        assert torch.equal(read(((weights,),)).weights(0, 1), weights[0, 1])

    def test_keys_that_were_in_the_cache_before(self):
        steps = [matrices(1, 2, 3, 7, causal=False), matrices(1, 2, 1, 8), matrices(1, 2, 1, 9)]
        maps = read([(step,) for step in steps])
        assert (maps.n_queries, maps.n_keys) == (5, 9)
        torch.testing.assert_close(maps.weights(0, 1)[4], steps[2][0, 1, 0])
        torch.testing.assert_close(maps.weights(0, 1)[:3, :7], steps[0][0, 1])

    @pytest.mark.parametrize(
        ("steps", "words"),
        [
            ([(matrices(1, 2, 3, 3),), (matrices(1, 2, 4, 4),)], r"do not go on.*weights\[0\].*capture\("),
            ([(matrices(1, 2, 5, 5, causal=True),), (matrices(1, 2, 1, 4),), (matrices(1, 2, 1, 3),)], "do not go on"),
            ([(matrices(1, 2, 3, 3),), (matrices(2, 2, 1, 4),)], "do not go on"),
            ([(matrices(1, 2, 3, 3),), (matrices(1, 2, 1, 4), matrices(1, 2, 1, 4))], r"\[1, 2\] arrays"),
            ([[matrices(4, 4), matrices(4, 4)]] * 3, r"stack them: \[numpy.stack"),
            ([[None, None]] * 3, "they hold None"),
        ],
    )  # fmt: skip
    def test_what_is_no_generation(self, steps, words):
        with pytest.raises(ValueError, match=words):
            read(steps)


class TestNumbersBelowZero:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("least", [-1e-9, -1e-12, -5e-7])
    def test_rounding_is_taken_as_nothing_and_said(self, least, dtype):
        weights = matrices(2, 3, 4, 4).to(dtype)
        weights[1, 2, 3] = torch.tensor([least, 0.5, 0.25, 0.25], dtype=dtype)
        before = weights.clone()
        with pytest.warns(AttentionWarning, match=r"1 weight of layer 1 lies below 0.*rounding"):
            maps = read(weights, layout="LHQK")
        assert maps.weights(1, 2)[3, 0] == 0
        assert torch.equal(maps.weights(1, 2)[:3], before[1, 2, :3])
        assert torch.equal(weights, before)
        assert maps.layers[0].matrix.data_ptr() == weights.data_ptr()
        assert len(maps.notes) == 1

    def test_it_is_said_beside_nan(self):
        weights = matrices(4, 4)
        weights[0], weights[1, 1] = torch.tensor([-1e-9, 1, 0, 0]), torch.nan
        with pytest.warns(AttentionWarning) as said:
            maps = read(weights)
        assert len(said) == len(maps.notes) == 2
        assert maps.weights(0, 0)[1, 1].isnan()

    @pytest.mark.parametrize(
        ("weights", "words"),
        [
            (matrices(4, 4) - matrices(4, 4, seed=1), r"sums to 0.*difference of two maps.*compare"),
            (1e-4 * (matrices(4, 4) - matrices(4, 4, seed=1)), "difference of two maps"),
            (2 * matrices(4, 4) - matrices(4, 4, seed=1), r"sums to 1.*went below 0.*clip\(min=0\)"),
            (matrices(4, 4).log(), r"logarithms of weights\. Pass weights\.exp\(\)"),
            (matrices(4, 4, causal=True).log(), "logarithms"),
            (torch.randn(4, 4, generator=torch.Generator().manual_seed(0)), r"look like scores: if they are"),
            (torch.full((4, 4), -0.5), "look like scores"),
        ],
    )
    def test_the_advice_is_about_what_came(self, weights, words):
        weights = weights if "sums to 1" not in words else weights.clamp(min=-0.5)
        with pytest.raises(ValueError, match=words):
            read(weights)
