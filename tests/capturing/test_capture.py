"""Capture leaves the model as it was, and says what is wrong with what it is given."""

from __future__ import annotations

import threading
import warnings
from contextlib import ExitStack

import pytest
import torch
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

import attnwidget as aw
from tests.capturing.families import FAMILIES, GPT2, GROUPED, SMALL, cache_of, cached, ids


def llama(**options):
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**GROUPED | options))


def state(model):
    return (
        model.config._attn_implementation,
        [module.training for module in model.modules()],
        [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
    )


class TestTheModelIsLeftAsItWas:
    def test_after_a_capture(self):
        model = llama().train()
        model.model.layers[1].eval()  # a model half in training, as when part of it is frozen
        before, weights = state(model), [p.clone() for p in model.parameters()]
        aw.capture(model, ids())
        aw.capture(model, ids())
        assert state(model) == before
        assert all(torch.equal(p, w) for p, w in zip(model.parameters(), weights, strict=True))

    @pytest.mark.parametrize("implementation", ["eager", "sdpa"])
    def test_whatever_its_implementation(self, implementation):
        model = llama()
        model.set_attn_implementation(implementation)
        aw.capture(model, ids())
        assert model.config._attn_implementation == implementation

    def test_after_an_exception_in_the_block(self):
        model = llama().train()
        before = state(model)
        with pytest.raises(ZeroDivisionError), aw.recording(model):
            model(ids(1, 1 // 0))
        assert state(model) == before

    def test_after_the_model_itself_fails(self):
        model = llama().train()
        before = state(model)
        with aw.recording(model) as recorder:
            with pytest.raises(IndexError):
                model(torch.tensor([[100_000]]))
            model(ids())
        assert len(recorder) == 1  # the pass that failed left no maps
        assert recorder.capture()[0].maps.n_queries == 7
        assert state(model) == before

    def test_a_capture_inside_another(self):
        model = llama()
        before = state(model)
        with aw.recording(model) as outer:
            model(ids(1, 4))
            inner = aw.capture(model, ids(1, 9))
            model(ids(1, 5))
        assert state(model) == before
        assert inner.maps.n_queries == 9
        assert [outer.capture(i).maps.n_queries for i in range(len(outer))] == [4, 5]

    @pytest.mark.parametrize("family", ["llama-grouped", "falcon", "torch"])
    def test_hooks_that_another_thread_has_just_removed(self, family):
        plain = torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(8, 2, batch_first=True), 1)
        model = plain.eval() if family == "torch" else FAMILIES[family][0]().eval()
        done = []

        def run():
            # Torch calls them without keywords when a recording ends while this thread is in the midst of a pass.
            for module in model.modules():
                for hook in module._forward_pre_hooks.values():
                    hook(module, ())
                for hook in module._forward_hooks.values():
                    hook(module, (), None)
            done.append(True)

        with aw.recording(model):
            thread = threading.Thread(target=run)
            thread.start()
            thread.join(timeout=60)
        assert done

    def test_a_model_shared_by_two_threads(self):
        model = llama()
        before = state(model)
        results, both = {}, threading.Barrier(2)

        def work(n):
            with aw.recording(model) as recorder:
                both.wait(timeout=30)
                for _ in range(5):
                    model(ids(1, n))
                both.wait(timeout=30)
            results[n] = [recorder.capture(i).maps.n_queries for i in range(len(recorder))]

        threads = [threading.Thread(target=work, args=(n,)) for n in (4, 6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert results == {4: [4] * 5, 6: [6] * 5}
        assert state(model) == before

    def test_two_models_at_once(self):
        first, second = llama(), BertModel(BertConfig(**SMALL))
        with aw.recording(first) as a, aw.recording(second) as b:
            second(ids(1, 5))
        assert len(a) == 0
        assert b.capture().maps.n_queries == 5

    def test_a_part_and_its_whole_in_any_order(self):
        for first, second in [("whole", "part"), ("part", "whole")]:
            model = llama().train()
            before, of = state(model), {"whole": model, "part": model.model}
            a, b = ExitStack(), ExitStack()
            a.enter_context(aw.recording(of[first]))
            recorder = b.enter_context(aw.recording(of[second]))
            a.close()
            of[second](ids(1, 3))
            b.close()
            assert recorder.capture().maps.n_queries == 3
            assert state(model) == before

    def test_two_models_of_one_config(self):
        config = LlamaConfig(**GROUPED)
        first, second = LlamaForCausalLM(config), LlamaForCausalLM(config)
        a, b = ExitStack(), ExitStack()
        a.enter_context(aw.recording(first))
        b.enter_context(aw.recording(second))
        a.close()
        b.close()
        assert config._attn_implementation == "sdpa"

    def test_training_mode_set_inside_the_block_ends_with_it(self):
        model = llama().eval()
        with aw.recording(model):
            model.train()
        assert not any(module.training for module in model.modules())

    def test_a_cache_of_the_caller_does_not_grow(self):
        from transformers import DynamicCache

        model, cache = llama(), DynamicCache()
        for _ in range(2):
            run = aw.capture(model, {"input_ids": ids(1, 4), "past_key_values": cache})
            assert run.maps.n_keys == 4
        assert cache.get_seq_length() == 0

    def test_parts_with_configs_of_their_own(self):
        from transformers import BertConfig, EncoderDecoderConfig, EncoderDecoderModel

        config = EncoderDecoderConfig.from_encoder_decoder_configs(BertConfig(**SMALL), BertConfig(**SMALL))
        model = EncoderDecoderModel(config)
        model.encoder.set_attn_implementation("eager")
        before = [m.config._attn_implementation for m in (model, model.encoder, model.decoder)]
        run = aw.capture(model, {"input_ids": ids(), "decoder_input_ids": ids(2, 3)})[0]
        assert [m.config._attn_implementation for m in (model, model.encoder, model.decoder)] == before
        assert run.cross.n_queries == 3
        assert (run.encoder.n_queries, run.decoder.n_queries) == (7, 3)


class TestWhatThePassComputes:
    def test_outputs_are_those_of_the_model(self):
        for family in ("llama-grouped", "gemma2-softcap", "gpt-oss-sinks", "t5"):
            make, inputs = FAMILIES[family]
            model = make().eval()
            with torch.no_grad():
                plain = model(**inputs).logits
                with aw.recording(model):
                    recorded = model(**inputs).logits
            # What a padded position puts out is noise, and differs between attention implementations.
            seen = inputs.get("decoder_attention_mask", inputs.get("attention_mask") if family != "t5" else None)
            seen = slice(None) if seen is None else seen.bool()
            torch.testing.assert_close(recorded[seen], plain[seen], atol=2e-5, rtol=1e-4)

    def test_dropout_is_off(self):
        model = GPT2LMHeadModel(GPT2Config(**GPT2, attn_pdrop=0.5)).train()
        maps = aw.capture(model, ids(1)).maps
        torch.testing.assert_close(maps.weights(1, 2).sum(-1), torch.ones(7))

    def test_causality_is_kept(self):
        # A custom attention name without a mask function of its own loses it in silence.
        maps = aw.capture(llama(), ids(1)).maps
        assert maps.causal
        assert not maps.weights(1, 1).triu(1).any()

    def test_gradients_flow_through_a_recorded_pass(self):
        model = llama()
        with aw.recording(model) as recorder:
            model(ids(), labels=ids()).loss.backward()
        assert model.model.layers[0].self_attn.q_proj.weight.grad.abs().sum() > 0
        assert not recorder.capture()[0].maps.weights(0, 0).requires_grad

    def test_gradient_checkpointing_records_each_layer_once(self):
        model = llama().train()
        model.gradient_checkpointing_enable()
        assert aw.capture(model, ids())[0].maps.n_layers == 2

    def test_what_checkpointing_computes_again_is_no_pass(self):
        model = llama()
        model.gradient_checkpointing_enable()
        with aw.recording(model) as recorder:
            model.train()
            model(ids(), labels=ids()).loss.backward()
        assert len(recorder) == 1
        assert recorder.capture()[0].maps.n_layers == 2

    def test_matrices_can_still_be_asked_for(self):
        model = llama().eval()
        with aw.recording(model) as recorder:
            outputs = model(ids(), output_attentions=True)
        torch.testing.assert_close(
            outputs.attentions[1][0, 2], recorder.capture()[0].maps.weights(1, 2), atol=1e-6, rtol=0
        )

    def test_an_unknown_keyword_is_named_once(self):
        model = BertModel(BertConfig(**SMALL))
        with pytest.warns(aw.AttentionWarning, match=r"'tilt'.*does not know"):
            aw.capture(model, {"input_ids": ids(), "tilt": torch.ones(1)})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            aw.capture(model, {"input_ids": ids(), "tilt": torch.ones(1)})

    def test_a_cache_that_grows_in_place_does_not_reach_the_capture(self):
        from transformers import StaticCache

        model = llama().eval()
        cache = StaticCache(model.config, max_cache_len=12)
        with torch.no_grad(), aw.recording(model) as recorder:
            model(ids(1, 4), **cached(model, cache))
            first = recorder.capture(0).maps.weights(1, 1).clone()
            model(ids(1, 1), **cached(model, cache))
        assert torch.equal(recorder.capture(0).maps.weights(1, 1)[:4, :4], first)


class TestPasses:
    def test_a_part_that_is_called_by_itself_is_one_pass(self):
        model = llama()
        with aw.recording(model) as recorder:
            model.model(ids(1, 3))
            model.model(ids(1, 4))
        assert [recorder.capture(i).maps.n_layers for i in range(len(recorder))] == [2, 2]

    def test_none_was_recorded(self):
        with aw.recording(llama()) as recorder:
            pass
        with pytest.raises(ValueError, match="no forward pass was recorded"):
            recorder.capture()

    def test_several_need_a_choice(self):
        model = llama()
        with aw.recording(model) as recorder:
            model(ids(1, 3))
            model(ids(1, 4))
        with pytest.raises(ValueError, match=r"2 runs.*recorder\.capture\(0\)"):
            recorder.capture()
        with pytest.raises(IndexError, match="0 to 1"):
            recorder.capture(2)
        assert recorder.capture(-1).maps.n_queries == 4

    def test_a_batch_needs_a_choice(self):
        run = aw.capture(llama(), ids())
        with pytest.raises(ValueError, match=r"batch of 2.*capture\[0\]"):
            run.maps  # noqa: B018
        assert len(list(run)) == 2
        with pytest.raises(IndexError, match="0 to 1"):
            run[2]

    def test_a_kind_that_is_not_there(self):
        with pytest.raises(AttributeError, match="no 'cross' maps; it has attention"):
            aw.capture(llama(), ids(1)).cross  # noqa: B018


class TestInputs:
    @pytest.fixture
    def storyteller(self):
        return aw.demo.load("storyteller")

    def test_a_text(self, storyteller):
        model, tokenizer = storyteller
        maps = aw.capture(model, "Lily and Ben went to the park .", tokenizer).maps
        assert maps.tokens.labels[1:] == ("Lily", "and", "Ben", "went", "to", "the", "park", ".")
        assert maps.tokens.special[0]

    def test_several_texts(self, storyteller):
        model, tokenizer = storyteller
        run = aw.capture(model, ["Lily went to the park .", "Ben ran ."], tokenizer)
        assert [maps.maps.tokens.labels[-1] for maps in run] == [".", "."]
        assert run[1].maps.n_queries < run[0].maps.n_queries

    def test_what_a_tokenizer_returns_as_lists(self, storyteller):
        model, tokenizer = storyteller
        assert aw.capture(model, tokenizer("Ben ran ."), tokenizer).maps.tokens.labels[-1] == "."

    def test_what_a_tokenizer_returns_for_numpy(self, storyteller):
        model, tokenizer = storyteller
        assert aw.capture(model, tokenizer("Ben ran .", return_tensors="np"), tokenizer).maps.tokens.labels[-1] == "."

    def test_a_source_without_a_target(self):
        make, inputs = FAMILIES["t5"]
        with pytest.raises(ValueError, match="no target came: add decoder_input_ids, or labels"):
            aw.capture(make(), {"input_ids": inputs["input_ids"]})

    def test_one_row_of_ids(self):
        assert aw.capture(llama(), ids(1)[0]).maps.n_queries == 7

    def test_a_single_token(self):
        weights = aw.capture(llama(), torch.tensor([[5]])).maps.weights(0, 0)
        assert weights.tolist() == [[1.0]]

    def test_a_folder(self, storyteller, tmp_path):
        model, tokenizer = storyteller
        model.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        by_folder = aw.capture(str(tmp_path), "Ben ran .").maps
        by_object = aw.capture(model, "Ben ran .", tokenizer).maps
        torch.testing.assert_close(by_folder.weights(0, 0), by_object.weights(0, 0))
        assert by_folder.tokens == by_object.tokens

    @pytest.mark.parametrize(
        ("inputs", "error", "words"),
        [
            ("", ValueError, "the text is empty"),
            ("  \n", ValueError, "the text is empty"),
            (["Ben ran .", ""], ValueError, "the text is empty"),
            (torch.zeros(1, 0, dtype=torch.long), ValueError, "the text is empty"),
            (torch.randn(1, 4), TypeError, r"a tensor of torch.float32 \[1, 4\]"),
            (7, TypeError, "inputs is int"),
            ([], TypeError, "a list of 0"),
            ({"input_ids": [[1, 2], [3]]}, ValueError, "padding=True"),
            (torch.tensor(5), TypeError, r"a tensor of torch.int64 \[\]"),
            ({"input_ids": torch.zeros(1, 1, 4, dtype=torch.long)}, ValueError, r"shape \[1, 1, 4\]"),
            (torch.tensor([[3, 70_000]]), ValueError, "id 70000 and the model knows ids 0 to"),
        ],
    )
    def test_what_cannot_go_in(self, storyteller, inputs, error, words):
        model, tokenizer = storyteller
        with pytest.raises(error, match=words):
            aw.capture(model, inputs, tokenizer)

    def test_text_without_a_tokenizer(self):
        with pytest.raises(ValueError, match="no tokenizer came with it"):
            aw.capture(llama(), "Ben ran .")

    def test_texts_without_a_pad_token(self, storyteller):
        model, tokenizer = storyteller
        tokenizer.pad_token = None
        with pytest.raises(ValueError, match=r"no pad token.*eos_token"):
            aw.capture(model, ["a", "b"], tokenizer)

    def test_a_text_longer_than_the_model_s_positions(self):
        model = GPT2LMHeadModel(GPT2Config(**GPT2))
        with pytest.raises(ValueError, match=r"65 tokens long.*positions for 64.*max_length=64"):
            aw.capture(model, ids(1, 65))
        assert aw.capture(model, ids(1, 64)).maps.n_queries == 64

    def test_positions_that_are_kept_for_padding_do_not_count(self):
        from transformers import RobertaConfig, RobertaModel

        model = RobertaModel(RobertaConfig(**SMALL, max_position_embeddings=34, pad_token_id=1))
        assert aw.capture(model, ids(1, 32)).maps.n_queries == 32
        with pytest.raises(ValueError, match="positions for 32"):
            aw.capture(model, ids(1, 33))

    def test_beyond_what_rotary_positions_were_made_for_is_a_warning(self):
        with pytest.warns(aw.AttentionWarning, match=r"9 tokens long.*made for 8"):
            aw.capture(llama(max_position_embeddings=8), ids(1, 9))

    def test_a_name_that_cannot_be_loaded(self):
        with pytest.raises(ValueError, match=r"'no/such-model' cannot be loaded.*save_pretrained.*pass its path"):
            aw.capture("no/such-model", "hello")

    def test_a_folder_that_holds_no_model(self, tmp_path):
        (tmp_path / "notes.txt").write_text("hello")
        with pytest.raises(ValueError, match=r"holds notes\.txt; expected what save_pretrained writes"):
            aw.capture(tmp_path, "hello")

    def test_a_model_on_the_meta_device(self):
        with torch.device("meta"):
            model = llama()
        with pytest.raises(ValueError, match="meta device"):
            aw.capture(model, ids())

    def test_what_is_no_model(self):
        with pytest.raises(TypeError, match="model is int"):
            aw.capture(7, ids())

    def test_a_module_without_attention(self):
        with pytest.raises(ValueError, match="Linear ran, and no attention was heard"):
            aw.capture(torch.nn.Linear(2, 2), torch.ones(1, 2))


@pytest.mark.parametrize("asked", [None, True])
def test_a_single_pass_fills_no_cache_unless_asked(asked):
    model, caches = LlamaForCausalLM(LlamaConfig(**SMALL)), []
    model.register_forward_hook(lambda _module, _inputs, output: caches.append(cache_of(output)))
    wish = {} if asked is None else {"use_cache": asked}
    aw.capture(model, {"input_ids": ids(), **wish})
    assert [cache is not None for cache in caches] == [bool(asked)]
