"""Models inside other modules, compiled, quantised, spread over devices, and with learned positions in front."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, DynamicCache

import attnwidget as aw
from attnwidget.tokens import Span
from tests.capturing.families import FAMILIES, SMALL, cached, ids
from tests.capturing.test_capture import state


def made(family):
    return FAMILIES[family][0]().eval()


def assert_equal(maps, wanted):
    for layer in range(wanted.n_layers):
        for head in range(wanted.heads[layer]):
            torch.testing.assert_close(maps.weights(layer, head), wanted.weights(layer, head), atol=1e-6, rtol=0)


class Classifier(nn.Module):
    """Somebody's own module around a transformers model."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = BertModel(BertConfig(**SMALL))
        self.head = nn.Linear(32, 2)

    def forward(self, tokens, mask=None):
        return self.head(self.encoder(tokens, attention_mask=mask).last_hidden_state[:, 0])


class TestOneSOwnModule:
    def test_around_a_transformers_model(self):
        model = Classifier().train()
        before = state(model.encoder)
        run = aw.capture(model, (ids(1),))
        assert state(model.encoder) == before
        assert run.maps.tokens.ids == tuple(ids(1)[0].tolist())
        assert_equal(run.maps, aw.capture(model.encoder, ids(1)).maps)

    def test_with_named_arguments_and_padding(self):
        mask = torch.tensor([[1, 1, 1, 1, 1, 0, 0]])
        assert aw.capture(Classifier(), {"tokens": ids(1), "mask": mask}).maps.n_queries == 5

    def test_around_two(self):
        class Pair(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.question, self.answer = BertModel(BertConfig(**SMALL)), BertModel(BertConfig(**SMALL))

            def forward(self, tokens):
                return self.question(tokens), self.answer(tokens)

        run = aw.capture(Pair(), (ids(1),))
        assert list(run.by_name) == ["question", "answer"]


class TestCompiled:
    def test_in_place_and_wrapped(self):
        wanted = aw.capture(made("llama-grouped"), ids(1)).maps
        in_place = made("llama-grouped")
        in_place.compile(backend="eager")
        for model in (torch.compile(made("llama-grouped"), backend="eager"), in_place):
            maps = aw.capture(model, ids(1)).maps
            assert_equal(maps, wanted)
            assert maps.layer_names == wanted.layer_names

    def test_after_it_has_run_and_it_runs_compiled_again(self):
        graphs = []

        def backend(graph, _inputs):
            graphs.append(graph)
            return graph.forward

        model = torch.compile(made("gpt2"), backend=backend)
        with torch.no_grad():
            before = model(ids(1)).logits
            n_graphs = len(graphs)
            assert_equal(aw.capture(model, ids(1)).maps, aw.capture(made("gpt2"), ids(1)).maps)
            with aw.recording(model) as recorder:
                model(ids(1))
            assert recorder.capture().maps.n_queries == 7
            torch.testing.assert_close(model(ids(1)).logits, before)
        assert n_graphs > 0
        assert len(graphs) == n_graphs  # nothing was compiled anew, and the compiled code was used again
        from torch._dynamo import eval_frame

        assert eval_frame._stance.stance == "default"


class TestPrecisionAndPlace:
    def test_dynamic_quantisation(self):
        model = made("llama-grouped")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch moves its quantisation elsewhere
            quantised = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)
        maps = aw.capture(quantised, ids(1)).maps
        torch.testing.assert_close(maps.weights(1, 1).sum(-1), torch.ones(7))
        assert not torch.equal(maps.weights(1, 1), aw.capture(model, ids(1)).maps.weights(1, 1))

    def test_weights_that_wait_elsewhere(self, tmp_path):
        from accelerate import disk_offload

        model = made("llama-grouped")
        wanted = aw.capture(model, ids(1)).maps
        disk_offload(model, str(tmp_path), execution_device=torch.device("cpu"))
        assert_equal(aw.capture(model, ids(1)).maps, wanted)

    def test_adapters(self):
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(0)
        model = get_peft_model(made("llama-grouped"), LoraConfig(target_modules=["q_proj"], init_lora_weights=False))
        run = aw.capture(model, ids(1))
        assert run.maps.tokens.ids == tuple(ids(1)[0].tolist())
        with model.disable_adapter():
            assert_equal(aw.capture(model, ids(1)).maps, aw.capture(made("llama-grouped"), ids(1)).maps)
        assert not torch.equal(run.maps.weights(1, 1), aw.capture(made("llama-grouped"), ids(1)).maps.weights(1, 1))
        options = {"max_new_tokens": 3, "do_sample": False}
        assert aw.capture(model, ids(1), generate=options).maps.n_queries == 9


class TestOtherPeopleSHooks:
    def test_on_the_same_modules(self):
        model, seen = made("llama-grouped"), []

        def before(module, args, kwargs):
            seen.append("before")
            return args, kwargs

        hooks = [layer.self_attn.register_forward_pre_hook(before, with_kwargs=True) for layer in model.model.layers]
        hooks += [
            layer.self_attn.register_forward_hook(lambda *_: seen.append("after")) for layer in model.model.layers
        ]
        assert_equal(aw.capture(model, ids(1)).maps, aw.capture(made("llama-grouped"), ids(1)).maps)
        assert seen == ["before", "after"] * 2
        for hook in hooks:
            hook.remove()

    def test_that_replace_what_a_layer_puts_out(self):
        model = made("llama-grouped")
        hook = model.model.layers[0].register_forward_hook(lambda _m, _a, out: out * 2)
        with aw.recording(model) as recorder, torch.no_grad():
            logits = model(ids(1)).logits
        torch.testing.assert_close(model(ids(1)).logits, logits, atol=1e-5, rtol=1e-4)
        hook.remove()
        assert not torch.allclose(recorder.capture().maps.weights(1, 1), aw.capture(model, ids(1)).maps.weights(1, 1))

    def test_that_fail(self):
        model = made("llama-grouped")
        before = state(model)

        def fail(*_):
            raise RuntimeError("somebody else's")

        hook = model.model.layers[1].register_forward_hook(fail)
        with pytest.raises(RuntimeError, match="somebody else's"):
            aw.capture(model, ids(1))
        hook.remove()
        assert state(model) == before
        assert aw.capture(model, ids(1)).maps.n_layers == 2


class TestWhatFailsOrCallsItself:
    def test_a_generate_that_raises(self):
        model = made("gpt2")
        before = state(model)
        with pytest.raises(ValueError, match="max_new_tokens"):
            aw.capture(model, ids(1), generate={"max_new_tokens": 0})
        assert state(model) == before
        assert not torch.overrides._get_current_function_mode_stack()
        assert aw.capture(model, ids(1), generate={"max_new_tokens": 2, "do_sample": False}).maps.n_queries == 8

    def test_a_model_that_calls_itself(self):
        class Again(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.attn = nn.MultiheadAttention(16, 4, batch_first=True)

            def forward(self, x, more=2):
                x = x + self.attn(x, x, x)[0]
                return self(x, more - 1) if more else x

        maps = aw.capture(Again(), torch.randn(1, 5, 16)).maps
        assert maps.n_layers == 3

    def test_a_graph_that_fx_traced(self):
        class Block(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.qkv, self.heads = nn.Linear(16, 48), 4

            def forward(self, x):
                whole = self.qkv(x).unflatten(-1, (3, 4, 4)).permute(2, 0, 3, 1, 4)
                out = nn.functional.scaled_dot_product_attention(whole[0], whole[1], whole[2])
                return out.transpose(1, 2).flatten(2)

        torch.manual_seed(0)
        model, x = Block(), torch.randn(1, 5, 16)
        assert_equal(aw.capture(torch.fx.symbolic_trace(model), x).maps, aw.capture(model, x).maps)

    def test_two_models_in_one_pass_of_another(self):
        model, inner = made("gpt2"), made("bert")
        with aw.recording(model) as recorder:
            hook = model.transformer.h[0].register_forward_hook(lambda *_: seen.append(aw.capture(inner, ids(1)).maps))
            seen = []
            model(ids(1))
            hook.remove()
        assert seen[0].n_layers == 2
        assert recorder.capture().maps.n_layers == 2


class TestSoftPrompts:
    def test_embeddings_in_front(self):
        model = made("llama-grouped")
        words = model.get_input_embeddings()(ids(1)).detach()
        inputs = {"inputs_embeds": torch.cat([torch.randn(1, 3, 32), words], 1)}
        labels = [f"word {i}" for i in range(7)]
        maps = aw.capture(model, inputs, prefix=3, tokens=labels, spans={"anchor": (4, 6)}).maps
        assert maps.tokens.labels == ("prefix 0", "prefix 1", "prefix 2", *labels)
        assert maps.tokens.spans == (Span("prefix", 0, 3), Span("anchor", 4, 6))
        assert (maps.n_queries, maps.n_keys) == (10, 10)
        assert maps.causal

    def test_keys_and_values_in_front(self):
        model, cache = made("llama-grouped"), DynamicCache()
        for layer in range(2):
            cache.update(torch.randn(1, 2, 3, 8), torch.randn(1, 2, 3, 8), layer)
        inputs = {"input_ids": ids(1), **cached(model, cache), "attention_mask": torch.ones(1, 10)}
        maps = aw.capture(model, inputs, prefix=3, spans={"anchor": (5, 7)}).maps
        assert (maps.n_queries, maps.n_keys) == (7, 10)
        assert maps.key_tokens.labels[:3] == ("prefix 0", "prefix 1", "prefix 2")
        assert maps.key_tokens.spans == (Span("prefix", 0, 3), Span("anchor", 5, 7))
        assert maps.tokens.spans == (Span("anchor", 2, 4),)
        model.set_attn_implementation("eager")
        with torch.no_grad():
            wanted = model(**inputs, output_attentions=True).attentions
        torch.testing.assert_close(maps.weights(1, 3), wanted[1][0, 3], atol=1e-6, rtol=0)

    @pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated")  # PEFT's own call
    @pytest.mark.parametrize("kind", ["PromptTuningConfig", "PrefixTuningConfig"])
    def test_a_tuned_prefix_is_found_by_itself(self, kind):
        import peft

        torch.manual_seed(0)
        config = getattr(peft, kind)(task_type="CAUSAL_LM", num_virtual_tokens=4)
        maps = aw.capture(peft.get_peft_model(made("llama-grouped"), config).eval(), ids(1)).maps
        assert maps.n_keys == 11
        assert maps.n_queries == (11 if kind == "PromptTuningConfig" else 7)
        assert maps.key_tokens.labels[:4] == tuple(f"prefix {i}" for i in range(4))
        assert maps.key_tokens.labels[4:] == tuple(map(str, ids(1)[0].tolist()))
        assert maps.key_tokens.spans == (Span("prefix", 0, 4),)

    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"prefix": -1}, ValueError, "prefix=-1"),
            ({"prefix": True}, ValueError, "prefix=True"),
            ({"spans": [(0, 2)]}, TypeError, "spans is list"),
            ({"spans": {"a": 3}}, ValueError, r"spans\['a'\]=3; expected \(start, stop\)"),
            ({"spans": {"a": (3, 3)}}, ValueError, "0 <= start < stop"),
            ({"spans": {"a": (3, 30)}}, ValueError, r"spans\['a'\].*7 positions"),
            ({"tokens": ["a", "b"]}, ValueError, "2 labels.*7"),
        ],
    )
    def test_what_does_not_fit(self, options, error, words):
        with pytest.raises(error, match=words):
            aw.capture(made("llama-grouped"), ids(1), **options)
