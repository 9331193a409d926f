"""What nn.MultiheadAttention and torch's transformer layers attend with is heard, whatever they are given."""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager

import pytest
import torch
from torch import nn

import attnwidget as aw
from tests.capturing.listening import assert_close, heard, listen, own_maps, state, weights

HIDDEN = torch.ones(5, 5, dtype=torch.bool).triu(1)
PADDING = torch.tensor([[False] * 5, [False, False, False, True, True]])


def filled(model):
    """A model whose biases are no zeros, which would prove nothing."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model.eval()


def multihead(**options):
    return filled(nn.MultiheadAttention(16, 4, **{"batch_first": True} | options))


def vectors(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@contextmanager
def fast_path(*, enabled):
    was = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(enabled)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was)


def minus_infinity(hidden):
    return torch.zeros(hidden.shape).masked_fill(hidden, -torch.inf)


class TestMultiheadAttention:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"bias": False},
            {"add_bias_kv": True},
            {"add_zero_attn": True},
            {"add_bias_kv": True, "add_zero_attn": True},
            {"batch_first": False},
        ],
        ids=str,
    )
    @pytest.mark.parametrize(
        "masks",
        [
            {},
            {"attn_mask": HIDDEN},
            {"attn_mask": minus_infinity(HIDDEN)},
            {"attn_mask": vectors(5, 5)},
            {"attn_mask": vectors(8, 5, 5)},
            {"attn_mask": HIDDEN.expand(8, 5, 5)},
            {"key_padding_mask": PADDING},
            {"key_padding_mask": minus_infinity(PADDING)},
            {"attn_mask": HIDDEN, "key_padding_mask": PADDING},
            {"attn_mask": HIDDEN.expand(8, 5, 5), "key_padding_mask": PADDING},
            {"attn_mask": HIDDEN, "is_causal": True},
            {"attn_mask": HIDDEN, "key_padding_mask": PADDING, "is_causal": True},
        ],
        ids=lambda masks: (
            " ".join(f"{k}={v if v is True else [v.dtype, *v.shape]}" for k, v in masks.items()) or "none"
        ),
    )
    def test_maps_are_its_own(self, options, masks):
        module = multihead(**options)
        x = vectors(2, 5, 16) if module.batch_first else vectors(5, 2, 16)
        with torch.no_grad():
            own = module(x, x, x, **masks, average_attn_weights=False)[1]
        (call,) = listen(module, x, x, x, **masks)
        assert_close(weights(call), own)

    def test_a_causal_hint_rules_where_no_weights_are_asked_for(self):
        # torch then gives the hint to its kernel and drops the mask, and an added key comes after every query.
        for options in ({}, {"add_bias_kv": True}):
            module, x = multihead(**options), vectors(2, 5, 16)
            call = listen(module, x, x, x, attn_mask=HIDDEN, is_causal=True, need_weights=False)[0]
            with torch.no_grad():
                out = module(x, x, x, attn_mask=HIDDEN, is_causal=True, need_weights=False)[0]
                v = nn.functional.linear(x, module.in_proj_weight[32:], module.in_proj_bias[32:])
                if module.bias_v is not None:
                    v = torch.cat([v, module.bias_v.expand(2, 1, 16)], 1)
                v = v.unflatten(-1, (4, 4)).transpose(1, 2)
                made = module.out_proj((weights(call) @ v).transpose(1, 2).flatten(2))
            assert_close(made, out, atol=1e-5)

    def test_unbatched(self):
        module, x = multihead(), vectors(5, 16)
        for masks in ({}, {"attn_mask": HIDDEN, "key_padding_mask": PADDING[1]}, {"attn_mask": vectors(4, 5, 5)}):
            with torch.no_grad():
                own = module(x, x, x, **masks, average_attn_weights=False)[1]
            assert_close(weights(listen(module, x, x, x, **masks)[0])[0], own)

    def test_keys_of_other_widths_and_lengths(self):
        module = multihead(kdim=6, vdim=10)
        q, k, v = vectors(2, 5, 16), vectors(2, 7, 6), vectors(2, 7, 10)
        with torch.no_grad():
            own = module(q, k, v, average_attn_weights=False)[1]
        (call,) = listen(module, value=v, key=k, query=q)  # by name, in any order
        assert weights(call).shape == (2, 4, 5, 7)
        assert_close(weights(call), own)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_other_precisions(self, dtype):
        module, x = multihead().to(dtype), vectors(2, 5, 16).to(dtype)
        (call,) = listen(module, x, x, x, attn_mask=HIDDEN)
        assert call.query.dtype == dtype
        with torch.no_grad():
            own = module(x, x, x, attn_mask=HIDDEN, average_attn_weights=False)[1]
        assert_close(weights(call), own, atol=1e-6 if dtype == torch.float64 else 2e-2)

    def test_a_query_that_sees_nothing_has_an_empty_row(self):
        module, x = multihead(), vectors(2, 5, 16)
        (call,) = listen(module, x, x, x, key_padding_mask=torch.tensor([[False] * 5, [True] * 5]))
        assert not weights(call)[1].any()
        assert_close(weights(call)[0].sum(-1), torch.ones(4, 5))

    def test_parametrized(self):
        module, x = multihead(), vectors(2, 5, 16)
        nn.utils.parametrizations.weight_norm(module, "in_proj_weight")
        with torch.no_grad():
            own = module(x, x, x, average_attn_weights=False)[1]
        assert_close(weights(listen(module, x, x, x)[0]), own)

    def test_wrong_arguments_are_named_by_torch_itself(self):
        module = multihead()
        with pytest.raises((AssertionError, RuntimeError)) as alone:
            module(vectors(2, 5, 9), vectors(2, 5, 9), vectors(2, 5, 9))
        with heard(module), pytest.raises(type(alone.value)) as listened:
            module(vectors(2, 5, 9), vectors(2, 5, 9), vectors(2, 5, 9))
        assert str(listened.value) == str(alone.value)

    def test_no_matrix_is_kept(self):
        module, x = multihead(), vectors(1, 512, 16)
        (call,) = listen(module, x, x, x, key_padding_mask=torch.zeros(1, 512, dtype=torch.bool))
        assert max(t.untyped_storage().nbytes() for t in (call.query, call.key, call.mask)) <= 512 * 16 * 4


def stack(kind, **options):
    options = {"d_model": 16, "nhead": 4, "dim_feedforward": 32, "batch_first": True} | options
    if kind == "encoder":
        return filled(nn.TransformerEncoder(nn.TransformerEncoderLayer(**options), 2))
    return filled(nn.TransformerDecoder(nn.TransformerDecoderLayer(**options), 2))


class TestStacks:
    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
    @pytest.mark.parametrize("enabled", [True, False])
    @pytest.mark.parametrize("padding", [None, PADDING, torch.tensor([[False] * 4 + [True], [False] * 3 + [True] * 2])])
    @pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype")
    def test_an_encoder_on_every_path_of_torch(self, mode, enabled, padding):
        model, x = stack("encoder"), vectors(2, 5, 16)
        own = own_maps(model, x, src_key_padding_mask=padding)
        with fast_path(enabled=enabled), mode():
            plain = model(x, src_key_padding_mask=padding)
            with heard(model) as recorder:
                listened = model(x, src_key_padding_mask=padding)
            again = model(x, src_key_padding_mask=padding)
        assert_close(listened, plain, atol=2e-6)
        assert torch.equal(again, plain)
        calls = recorder.passes[0].calls
        assert [call.place.module for call in calls] == ["layers.0.self_attn", "layers.1.self_attn"]
        for call, wanted in zip(calls, own, strict=True):
            # What a position of padding attends to is told by the slow path only: the packed one leaves it out.
            real = torch.ones(2, 5, dtype=torch.bool) if padding is None else ~padding
            made = weights(call)
            for example in range(2):
                assert_close(made[example][:, real[example]], wanted[example][:, real[example]])
                packed = made[example][:, ~real[example]]
                assert not packed.any() or torch.allclose(packed, wanted[example][:, ~real[example]], atol=1e-6)

    @pytest.mark.parametrize("options", [{"norm_first": True}, {"batch_first": False}, {"bias": False}], ids=str)
    def test_other_encoders(self, options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch tells what its fast path cannot do
            model = stack("encoder", **options)
        x = vectors(2, 5, 16) if options.get("batch_first", True) else vectors(5, 2, 16)
        mask = nn.Transformer.generate_square_subsequent_mask(5)
        own = own_maps(model, x, mask=mask, is_causal=True)
        for call, wanted in zip(listen(model, x, mask=mask, is_causal=True), own, strict=True):
            assert_close(weights(call), wanted)

    def test_masks_are_shared_by_layers(self):
        model, x = stack("encoder"), vectors(2, 5, 16)
        calls = listen(model, x, mask=HIDDEN, src_key_padding_mask=PADDING)
        assert calls[0].mask.data_ptr() == calls[1].mask.data_ptr()

    def test_a_mask_that_changes_between_passes_is_read_anew(self):
        model, x, mask = stack("encoder"), vectors(2, 5, 16), minus_infinity(HIDDEN)
        with torch.no_grad(), heard(model) as recorder:
            model(x, mask=mask)
            mask.zero_()
            model(x, mask=mask)
        assert not weights(recorder.passes[0].calls[1]).triu(1).any()
        assert weights(recorder.passes[1].calls[1]).triu(1).any()

    def test_a_decoder_attends_to_itself_and_across(self):
        model, x, memory = stack("decoder"), vectors(2, 5, 16), vectors(2, 7, 16, seed=1)
        padding = torch.zeros(2, 7, dtype=torch.bool)
        padding[1, 4:] = True
        masks = {"tgt_mask": HIDDEN, "tgt_is_causal": True, "memory_key_padding_mask": padding}
        calls = listen(model, x, memory, **masks)
        assert [call.place.module.rpartition(".")[2] for call in calls] == ["self_attn", "multihead_attn"] * 2
        for call, wanted in zip(calls, own_maps(model, x, memory, **masks), strict=True):
            assert_close(weights(call), wanted)

    def test_a_whole_transformer_inside_other_modules(self):
        core = nn.Transformer(16, 4, 1, 2, 32, batch_first=True)

        class Translator(nn.Module):
            def __init__(self):
                super().__init__()
                self.inside = nn.Sequential(core)

            def forward(self, x, y):
                return self.inside[0](x, y, tgt_mask=HIDDEN)

        model = filled(Translator())
        x, y = vectors(2, 7, 16), vectors(2, 5, 16, seed=1)
        calls = listen(model, x, y)
        assert len(calls) == 5
        for call, wanted in zip(calls, own_maps(model, x, y), strict=True):
            assert_close(weights(call), wanted)

    def test_one_module_for_all_layers(self):
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        model, x = filled(nn.Sequential(layer, layer, layer)), vectors(2, 5, 16)
        maps = aw.capture(model, x)[1].maps
        own = own_maps(model, x)
        assert maps.n_layers == 3
        for number in range(3):
            assert_close(maps.weights(number, 2), own[number][1, 2])

    def test_in_data_parallel(self):
        calls = listen(nn.DataParallel(stack("encoder")), vectors(2, 5, 16))
        assert [call.place.module for call in calls] == ["module.layers.0.self_attn", "module.layers.1.self_attn"]

    def test_with_linears_quantized(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = torch.ao.quantization.quantize_dynamic(stack("encoder"), {nn.Linear})
        x = vectors(2, 5, 16)
        for call, wanted in zip(listen(model, x), own_maps(model, x), strict=True):
            assert_close(weights(call), wanted)

    def test_gradients_flow(self):
        model = stack("encoder")
        with heard(model) as recorder:
            model(vectors(2, 5, 16)).sum().backward()
        assert model.layers[0].self_attn.in_proj_weight.grad.abs().sum() > 0
        assert not recorder.passes[0].calls[0].query.requires_grad


class TestTheModelIsLeftAsItWas:
    def test_after_an_exception(self):
        model = stack("encoder").train()
        model.layers[0].eval()
        before = state(model)
        with pytest.raises(ZeroDivisionError), heard(model):
            model(vectors(2, 5, 16)).div(1 // 0)
        assert state(model) == before
        with heard(model) as recorder:
            with pytest.raises(AssertionError):
                model(vectors(2, 5, 9))
            model(vectors(2, 5, 16))
        assert [len(recorded.calls) for recorded in recorder.passes] == [2]
        assert state(model) == before

    def test_when_own_fits_nothing(self):
        model = stack("encoder")
        before = state(model)
        with pytest.raises(ValueError, match=r"own has 'blocks\.\*\.attn'.*such as 'layers\.0\.self_attn'"):
            listen(model, vectors(2, 5, 16), own={"blocks.*.attn": lambda module, x: {}})
        assert state(model) == before

    def test_one_inside_another(self):
        model = stack("encoder")
        with heard(model) as outer:
            model(vectors(2, 4, 16))
            with heard(model) as inner:
                model(vectors(2, 5, 16))
            model(vectors(2, 6, 16))
        assert [r.calls[0].query.shape[2] for r in outer.passes] == [4, 6]
        assert [[c.query.shape[2] for c in r.calls] for r in inner.passes] == [[5, 5]]

    def test_by_another_thread(self):
        model, worker = stack("encoder"), None
        with heard(model) as recorder:
            worker = threading.Thread(target=model, args=(vectors(2, 5, 16),))
            worker.start()
            worker.join(timeout=60)
        assert not recorder.passes


class TestWhatIsListenedTo:
    def test_compiled_modules_are_refused(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scripted = torch.jit.script(stack("encoder"))
        with pytest.raises(TypeError, match=r"self_attn is a MultiheadAttention compiled by torch\.jit"):
            aw.capture(scripted, vectors(2, 5, 16))

    def test_exported_modules_are_refused(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.attn = multihead()

            def forward(self, x):
                return self.attn(x, x, x, need_weights=False)[0]

        exported = torch.export.export(Net().eval(), (vectors(1, 5, 16),)).module()
        with pytest.raises(TypeError, match=r"torch\.export made.*Capture the module that it was exported from"):
            aw.capture(exported, vectors(1, 5, 16))

    def test_beside_models_of_the_registry(self):
        from tests.capturing.families import FAMILIES, ids

        class Both(nn.Module):
            def __init__(self):
                super().__init__()
                self.text, self.own = FAMILIES["bert"][0](), filled(nn.MultiheadAttention(32, 4, batch_first=True))

            def forward(self, tokens):
                x = self.text(tokens).last_hidden_state
                return self.own(x, x, x)[0]

        run = aw.capture(Both(), (ids(1),))
        assert {name: maps.n_layers for name, maps in run.by_name.items()} == {"text": 2, "own": 1}
        assert not run.missed

    def test_torch_s_function_called_without_its_module(self):
        class Pool(nn.Module):
            """Attention pooling as in CLIP's convolutional models."""

            def __init__(self):
                super().__init__()
                self.q_proj, self.k_proj, self.v_proj, self.c_proj = (nn.Linear(16, 16) for _ in range(4))

            def forward(self, x):
                x = x.transpose(0, 1)
                biases = torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias])
                return nn.functional.multi_head_attention_forward(
                    x[:1], x, x, 16, 4, None, biases, None, None, False, 0, self.c_proj.weight, self.c_proj.bias,
                    use_separate_proj_weight=True, training=False, need_weights=False, q_proj_weight=self.q_proj.weight,
                    k_proj_weight=self.k_proj.weight, v_proj_weight=self.v_proj.weight,
                )[0]  # fmt: skip

        model, x = filled(Pool()), vectors(2, 5, 16)
        (call,) = listen(model, x)
        q = model.q_proj(x[:, :1]).unflatten(-1, (4, 4)).transpose(1, 2)
        k = model.k_proj(x).unflatten(-1, (4, 4)).transpose(1, 2)
        assert_close(weights(call), (q @ k.mT / 2).softmax(-1).detach())

    def test_models_compiled_by_torch_compile_run_uncompiled(self):
        def seeded():
            torch.manual_seed(0)
            return stack("encoder")

        x, wanted = vectors(2, 5, 16), aw.capture(seeded(), vectors(2, 5, 16))[1].maps
        compiled = torch.compile(seeded(), backend="eager")
        partly = seeded()
        partly.layers[1].compile(backend="eager")
        for model in (compiled, partly):
            maps = aw.capture(model, x)[1].maps
            assert maps.layer_names == wanted.layer_names
            assert_close(maps.weights(1, 2), wanted.weights(1, 2))

    def test_a_decoder_attends_to_itself_and_across(self):
        model = filled(nn.Transformer(16, 4, 1, 2, 32, batch_first=True))
        run = aw.capture(model, (vectors(2, 7, 16), vectors(2, 5, 16, seed=1)))[0]
        assert {name: (maps.n_layers, maps.n_queries, maps.n_keys) for name, maps in run.by_name.items()} == {
            "encoder": (1, 7, 7), "decoder": (2, 5, 5), "cross": (2, 5, 7),
        }  # fmt: skip

    def test_a_derived_class_with_a_forward_of_its_own(self):
        class Rotated(nn.MultiheadAttention):
            def forward(self, x):
                return super().forward(x.flip(-1), x, x, average_attn_weights=False)

        model, x = filled(Rotated(16, 4, batch_first=True)), vectors(2, 5, 16)
        with torch.no_grad():
            own = model(x)[1]
        assert_close(weights(listen(model, x)[0]), own)

    def test_quantizable_attention(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = filled(torch.ao.nn.quantizable.MultiheadAttention(16, 4, batch_first=True))
        x = vectors(2, 5, 16)
        with torch.no_grad():
            own = module(x, x, x, average_attn_weights=False)[1]
        assert_close(weights(listen(module, x, x, x)[0]), own)


class TestAcrossOrNot:
    """Self or cross is told by what a layer was handed, whatever its modules are called."""

    @pytest.mark.parametrize("length", [7, 9])
    def test_a_decoder_of_one_s_own(self, length):
        class Decoder(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList(
                    nn.ModuleDict({"self_attn": multihead(), "src_attn": multihead()}) for _ in range(2)
                )

            def forward(self, x, memory):
                for layer in self.layers:
                    x = x + layer["self_attn"](x, x, x)[0]
                    x = x + layer["src_attn"](x, memory, memory)[0]
                return x

        run = aw.capture(Decoder(), (vectors(1, 7, 16), vectors(1, length, 16, seed=1)))
        sizes = {name: (maps.n_layers, maps.n_queries, maps.n_keys) for name, maps in run.by_name.items()}
        assert sizes == {"attention": (2, 7, 7), "cross": (2, 7, length)}

    def test_positions_added_to_both_by_themselves(self):
        class Layer(nn.Module):
            def __init__(self):
                super().__init__()
                self.attn = multihead()

            def forward(self, x, places):
                return x + self.attn(x + places, x + places, x)[0]

        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList(Layer() for _ in range(2))

            def forward(self, x, places):
                for layer in self.layers:
                    x = layer(x, places)
                return x

        assert list(aw.capture(Model(), (vectors(1, 5, 16), vectors(1, 5, 16, seed=1))).by_name) == ["attention"]

    @pytest.mark.parametrize("n", [5, 7])
    def test_two_sequences_that_look_at_each_other(self, n):
        class Layer(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.second, self.third = multihead(), multihead(), multihead()

            def forward(self, x, y):
                x = x + self.first(x, x, x)[0]
                x = x + self.second(x, y, y)[0]
                return x, y + self.third(y, x, x)[0]

        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList(Layer() for _ in range(2))

            def forward(self, x, y):
                for layer in self.layers:
                    x, y = layer(x, y)
                return x, y

        run = aw.capture(Model(), (vectors(1, 5, 16), vectors(1, n, 16, seed=1)))
        sizes = {name: (maps.n_layers, maps.n_queries, maps.n_keys) for name, maps in run.by_name.items()}
        assert sizes == {"attention": (2, 5, 5), "second": (2, 5, n), "third": (2, n, 5)}


class TestCalledTwice:
    """Calls are layers where one goes on from the other, and maps of their own where they do not."""

    def test_one_encoder_for_two_texts(self):
        class Pair(nn.Module):
            def __init__(self):
                super().__init__()
                self.table, self.attn = nn.Embedding(50, 16), multihead()

            def read(self, tokens):
                x = self.table(tokens)
                return self.attn(x, x, x)[0].mean(1)

            def forward(self, a, b):
                return (self.read(a) * self.read(b)).sum(-1)

        first, second = torch.arange(20, 27)[None].flip(1), torch.tensor([[4, 9, 3, 3, 8, 1, 2]])
        run = aw.capture(Pair(), (first, second))
        assert [maps.n_layers for maps in run.by_name.values()] == [1, 1]
        assert [maps.tokens.ids for maps in run.by_name.values()] == [
            tuple(first[0].tolist()),
            tuple(second[0].tolist()),
        ]

    def test_one_module_for_two_purposes(self):
        class Two(nn.Module):
            def __init__(self):
                super().__init__()
                self.attn = multihead()

            def forward(self, x, y):
                return self.attn(x, x, x)[0].sum() + self.attn(x, y, y)[0].sum()

        run = aw.capture(Two(), (vectors(1, 5, 16), vectors(1, 5, 16, seed=1)))
        assert [(maps.name, maps.n_layers) for maps in run.by_name.values()] == [("attention", 1), ("cross", 1)]

    def test_a_stack_that_runs_twice_over_its_own_output(self):
        class Looped(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList(multihead() for _ in range(2))

            def forward(self, x):
                for _ in range(3):
                    for layer in self.layers:
                        x = layer(x, x, x)[0]
                return x

        maps = aw.capture(Looped(), vectors(1, 5, 16)).maps
        assert maps.n_layers == 6
        assert maps.layer_numbers == (0, 1, 2, 3, 4, 5)
