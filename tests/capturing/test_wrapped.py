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
