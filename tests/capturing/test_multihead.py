"""What an nn.MultiheadAttention attends with is heard, by itself, from one sequence to another, and twice in a pass."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import attnwidget as aw
from tests.capturing.listening import (
    HIDDEN,
    PADDING,
    assert_close,
    heard,
    listen,
    minus_infinity,
    multihead,
    vectors,
    weights,
)


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
