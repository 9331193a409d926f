"""What torch's transformer layers, and modules of one's own, attend with is heard, and they are left as they were."""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager

import pytest
import torch
from torch import nn

import attnwidget as aw
from tests.capturing.listening import (
    HIDDEN,
    PADDING,
    assert_close,
    filled,
    heard,
    listen,
    minus_infinity,
    multihead,
    own_maps,
    state,
    vectors,
    weights,
)


@contextmanager
def fast_path(*, enabled):
    was = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(enabled)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was)


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
