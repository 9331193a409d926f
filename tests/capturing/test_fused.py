"""Modules that torch does not know: with a fused qkv, with torch's own attention function, or spoken for."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

import attnwidget as aw
from attnwidget.capturing.own import spoken_for
from tests.capturing.listening import assert_close, heard, listen, run, state, weights


def vectors(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Fused(nn.Module):
    """Attention as vision models have it: one projection for q, k and v."""

    def __init__(self, *, fused_attn=True, qk_norm=False, dim=24, heads=3):
        super().__init__()
        self.num_heads, self.scale, self.fused_attn = heads, (dim // heads) ** -0.5, fused_attn
        self.qkv = nn.Linear(dim, 3 * dim)
        self.q_norm = nn.LayerNorm(dim // heads) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(dim // heads) if qk_norm else nn.Identity()
        self.attn_drop = nn.Dropout(0.1)
        self.proj = nn.Linear(dim, dim)

    def terms(self, x, extra):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.q_norm(q), self.k_norm(k), v, None

    def forward(self, x, extra=None, attn_mask=None, is_causal=False):
        q, k, v, bias = self.terms(x, extra)
        if self.fused_attn:
            drop = self.attn_drop.p if self.training else 0.0
            mask = attn_mask if bias is None else bias
            x = scaled_dot_product_attention(q, k, v, mask, drop, is_causal=is_causal)
        else:
            scores = q * self.scale @ k.transpose(-2, -1)
            if attn_mask is not None:
                scores = scores.masked_fill(~attn_mask, -torch.inf)
            if is_causal:
                scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf)
            x = self.attn_drop((scores if bias is None else scores + bias).softmax(-1)) @ v
        return self.proj(x.transpose(1, 2).flatten(2))


class Rotated(Fused):
    """Queries and keys are turned after the projection."""

    def terms(self, x, extra):
        q, k, v, _ = super().terms(x, extra)
        return q * extra.cos() + q.flip(-1) * extra.sin(), k * extra.cos() + k.flip(-1) * extra.sin(), v, None


class Biased(Fused):
    """A learned bias for each pair of positions."""

    def __init__(self, **options):
        super().__init__(**options)
        self.table = nn.Parameter(vectors(3, 5, 5))

    def terms(self, x, extra):
        return *super().terms(x, extra)[:3], self.table


class Windowed(Fused):
    """Attention within windows of four positions."""

    def forward(self, x):
        return super().forward(x.unflatten(1, (-1, 4)).flatten(0, 1)).unflatten(0, (len(x), -1)).flatten(1, 2)


class Block(nn.Module):
    def __init__(self, attn):
        super().__init__()
        self.num_heads = attn.num_heads  # a block that knows its heads is no attention
        self.norm1, self.attn, self.mlp = nn.LayerNorm(24), attn, nn.Linear(24, 24)

    def forward(self, x, **kwargs):
        x = x + self.attn(self.norm1(x), **kwargs)
        return x + self.mlp(x)


class Picture(nn.Module):
    def __init__(self, attn, n=2, **options):
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(Block(attn(**options)) for _ in range(n))

    def forward(self, x, **kwargs):
        for block in self.blocks:
            x = block(x, **kwargs)
        return x


def dropped(model, *args, **kwargs):
    """What each module computes as weights when it multiplies by itself."""
    found, hooks = [], []
    fused = [block.attn.fused_attn for block in model.blocks]
    for block in model.blocks:
        block.attn.fused_attn = False
        hooks.append(block.attn.attn_drop.register_forward_hook(lambda module, args, output: found.append(output)))
    with torch.no_grad():
        model(*args, **kwargs)
    for block, was, hook in zip(model.blocks, fused, hooks, strict=True):
        block.attn.fused_attn = was
        hook.remove()
    return found


CAUSAL = {"is_causal": True}
MASKED = {"attn_mask": torch.ones(5, 5, dtype=torch.bool).tril(1)}


class TestFused:
    @pytest.mark.parametrize("qk_norm", [False, True])
    @pytest.mark.parametrize("fused_attn", [False, True])
    @pytest.mark.parametrize("arguments", [{}, CAUSAL, MASKED], ids=["plain", "causal", "masked"])
    def test_maps_are_its_own(self, fused_attn, qk_norm, arguments):
        model, x = Picture(Fused, fused_attn=fused_attn, qk_norm=qk_norm).eval(), vectors(2, 5, 24)
        before = state(model)
        with torch.no_grad():
            plain = model(x, **arguments)
            with heard(model) as recorder:
                listened = model(x, **arguments)
        assert torch.equal(listened, plain)
        assert state(model) == before
        calls = recorder.passes[0].calls
        assert [call.place.module for call in calls] == ["blocks.0.attn", "blocks.1.attn"]
        for call, wanted in zip(calls, dropped(model, x, **arguments), strict=True):
            assert_close(weights(call), wanted)

    @pytest.mark.parametrize("fused_attn", [False, True])
    @pytest.mark.parametrize("arguments", [CAUSAL, MASKED], ids=["causal", "masked"])
    def test_layers_share_their_mask(self, arguments, fused_attn):
        first, second = listen(Picture(Fused, fused_attn=fused_attn).eval(), vectors(2, 5, 24), **arguments)
        assert first.causal == second.causal == (first.mask is None)
        assert first.causal or first.mask.data_ptr() == second.mask.data_ptr()

    @pytest.mark.parametrize("attn", [Rotated, Biased])
    def test_what_is_given_to_torch_s_function_is_seen_whatever_came_before(self, attn):
        model, x = Picture(attn).eval(), vectors(2, 5, 24)
        arguments = {"extra": vectors(5, 8, seed=1)}
        for call, wanted in zip(listen(model, x, **arguments), dropped(model, x, **arguments), strict=True):
            assert_close(weights(call), wanted)
            assert (call.position_bias is None) == (attn is Rotated)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    @pytest.mark.parametrize("attn", [Rotated, Biased])
    def test_what_the_module_does_between_is_in_its_maps(self, attn, dtype):
        model, x = Picture(attn, fused_attn=False).eval().to(dtype), vectors(2, 5, 24).to(dtype)
        before = state(model)
        extra = vectors(5, 8, seed=1).to(dtype) if attn is Rotated else None
        for call, wanted in zip(listen(model, x, extra=extra), dropped(model, x, extra=extra), strict=True):
            assert_close(weights(call), wanted)
        assert state(model) == before

    @pytest.mark.parametrize("fused_attn", [False, True])
    def test_windows_are_refused(self, fused_attn):
        model = Picture(Windowed, fused_attn=fused_attn).eval()
        with pytest.raises(ValueError, match=r"within 6 pieces of a batch of 2.*windows"):
            aw.capture(model, vectors(2, 12, 24))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    @pytest.mark.parametrize("fused_attn", [False, True])
    def test_other_precisions(self, dtype, fused_attn):
        model, x = Picture(Fused, fused_attn=fused_attn).eval().to(dtype), vectors(2, 5, 24).to(dtype)
        calls = listen(model, x)
        assert (calls[0].query if fused_attn or dtype == torch.float64 else calls[0].weights).dtype == dtype
        for call, wanted in zip(calls, dropped(model, x), strict=True):
            assert_close(weights(call), wanted, atol=1e-6 if dtype == torch.float64 else 1e-2)

    def test_the_projection_runs_once(self):
        model, ran = Picture(Fused, fused_attn=False).eval(), []
        model.blocks[0].attn.qkv.register_forward_hook(lambda *_: ran.append(1))
        listen(model, vectors(2, 5, 24))
        assert len(ran) == 1

    def test_dropout_is_told(self):
        assert listen(Picture(Fused).train(), vectors(2, 5, 24))[0].dropout == pytest.approx(0.1)

    def test_maps_are_those_before_dropout(self):
        (call, _), x = listen(Picture(Fused, fused_attn=False).train(), vectors(2, 5, 24)), vectors(2, 5, 24)
        assert_close(weights(call).sum(-1), torch.ones(2, 3, 5))
        assert_close(weights(call), dropped(Picture(Fused).eval(), x)[0])

    def test_a_norm_before_the_projection(self):
        class Normed(Fused):
            def __init__(self, **options):
                super().__init__(**options)
                self.norm = nn.LayerNorm(24)

            def forward(self, x):
                return super().forward(self.norm(x))

        model, x = Picture(Normed, fused_attn=False).eval(), vectors(2, 5, 24)
        for call, wanted in zip(listen(model, x), dropped(model, x), strict=True):
            assert_close(weights(call), wanted)

    @pytest.mark.parametrize("hides_later", [False, True])
    def test_blocks_that_call_their_parts_otherwise(self, hides_later):
        class Other(nn.Module):
            def __init__(self):
                super().__init__()
                self.heads, self.to_qkv, self.to_out = 3, nn.Linear(24, 72), nn.Sequential(nn.Linear(24, 24))
                self.attend = nn.Softmax(-1)

            def forward(self, x):
                q, k, v = (t.unflatten(-1, (3, 8)).transpose(1, 2) for t in self.to_qkv(x).chunk(3, -1))
                scores = q @ k.mT / 8**0.5
                if hides_later:
                    scores = scores.masked_fill(torch.ones(5, 5, dtype=torch.bool).triu(1), -torch.inf)
                return self.to_out((self.attend(scores) @ v).transpose(1, 2).flatten(2))

        model, found = Other(), []
        with model.attend.register_forward_hook(lambda module, args, output: found.append(output)):
            (call,) = listen(model, vectors(2, 5, 24))
        assert_close(weights(call), found[0])

    def test_another_thread_in_the_midst_of_a_call(self):
        model, x = Picture(Fused, n=1).eval(), vectors(2, 5, 24)

        def run_elsewhere(*_):
            hook.remove()
            worker = threading.Thread(target=model, args=(x,))
            worker.start()
            worker.join(timeout=60)

        hook = model.blocks[0].attn.qkv.register_forward_hook(run_elsewhere)
        assert len(listen(model, x)) == 1

    def test_a_broken_model_is_not_blamed_on_its_kind(self):
        model = Picture(Fused, fused_attn=False).eval()
        model.blocks[0].attn.qkv.weight.data[0] = torch.nan
        assert len(listen(model, vectors(2, 5, 24))) == 2

    def test_a_pass_that_fails_leaves_nothing_behind(self):
        model, x = Picture(Fused).eval(), vectors(2, 5, 24)
        with heard(model) as recorder:
            with pytest.raises(RuntimeError):
                model(vectors(2, 5, 9))
            with pytest.raises(KeyboardInterrupt):
                _interrupted(model, x)
            model(x)
        assert len(recorder.passes[-1].calls) == 2
        assert not torch.overrides._get_current_function_mode_stack()


def _interrupted(model, x):
    def interrupt(*_):
        raise KeyboardInterrupt

    hook = model.blocks[1].attn.qkv.register_forward_pre_hook(interrupt)
    try:
        model(x)
    finally:
        hook.remove()


class Written(nn.Module):
    """Attention as somebody writes it, by hand and with grouped keys."""

    def __init__(self, heads=4, groups=2):
        super().__init__()
        self.heads, self.groups = heads, groups
        self.to_q, self.to_k, self.to_v = nn.Linear(24, 24), nn.Linear(24, 12), nn.Linear(24, 12)
        self.drop = nn.Identity()

    def forward(self, x, mask=None):
        q = self.to_q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = (p(x).unflatten(-1, (self.groups, -1)).transpose(1, 2) for p in (self.to_k, self.to_v))
        k, v = (t.repeat_interleave(self.heads // self.groups, 1) for t in (k, v))
        scores = q @ k.transpose(-2, -1) * 0.7
        scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None], -torch.inf)
        return (self.drop(scores.softmax(-1)) @ v).transpose(1, 2).flatten(2)


def of_written(module, x, mask=None):
    q = module.to_q(x).unflatten(-1, (module.heads, -1)).transpose(1, 2)
    k = module.to_k(x).unflatten(-1, (module.groups, -1)).transpose(1, 2)
    return {"q": q, "k": k, "scaling": 0.7, "causal": True, "mask": None if mask is None else mask[:, None, None]}


class TestOwn:
    @pytest.mark.parametrize("key", [Written, "0.attn", "*.attn", "*"])
    def test_a_function_says_where_q_and_k_are(self, key):
        model = nn.Sequential(nn.ModuleDict({"attn": Written()}))
        attn = model[0]["attn"]
        model.forward = lambda x, mask: attn(x, mask=mask)
        if key == "*":
            model = attn
        mask = torch.tensor([[True] * 5, [True, True, False, True, True]])
        found = []
        with attn.drop.register_forward_hook(lambda module, args, output: found.append(output)):
            (call,) = listen(model, vectors(2, 5, 24), mask=mask, own={key: of_written})
        assert call.key.shape[1] == 2
        assert_close(weights(call), found[0])

    def test_it_may_speak_for_what_would_be_known(self):
        model = Picture(Fused).eval()
        calls = listen(
            model, vectors(2, 5, 24), own={Fused: lambda m, x: {"q": vectors(2, 3, 5, 8), "k": vectors(2, 3, 5, 8)}}
        )
        assert torch.equal(calls[0].query, vectors(2, 3, 5, 8))

    def test_the_whole_is_spoken_for_and_its_parts_are_silent(self):
        said = {"q": vectors(2, 1, 5, 8), "k": vectors(2, 1, 5, 8)}
        model = Picture(Fused).eval()
        own = {Block: lambda module, x: said}
        assert list(spoken_for(model, own)) == list(model.blocks)
        calls = listen(model, vectors(2, 5, 24), own=own)
        assert [call.place.module for call in calls] == ["blocks.0", "blocks.1"]
        assert all(torch.equal(call.query, said["q"]) for call in calls)

    def test_one_s_own_hand_written_attention_is_heard(self):
        model, found = Written(), []
        with model.drop.register_forward_hook(lambda module, args, output: found.append(output)):
            (call,) = listen(model, vectors(2, 5, 24))
        assert_close(weights(call), found[0])
        assert call.scaling == pytest.approx(0.7)

    @pytest.mark.parametrize(
        ("said", "message"),
        [
            ((1, 2), r"a Written, is tuple|a Written is tuple; expected a dict"),
            ({"q": vectors(2, 4, 5, 6)}, r"k of a Written is missing"),
            ({"q": vectors(2, 5, 24), "k": vectors(2, 5, 24)}, r"q of a Written is .* \[2, 5, 24\]; .*unflatten"),
            ({"q": vectors(2, 4, 5, 6), "k": vectors(2, 4, 5, 7)}, r"its k \[2, 4, 5, 7\]; expected .* same batch"),
            ({"q": vectors(2, 4, 5, 6), "k": vectors(2, 3, 5, 6)}, r"that those of k divide"),
            (
                {"q": vectors(2, 4, 5, 6), "k": vectors(2, 4, 5, 6), "scale": 1},
                r"has 'scale', which is not known.*scaling",
            ),
            (
                {"q": vectors(2, 4, 5, 6), "k": vectors(2, 4, 5, 6), "mask": vectors(2, 4)},
                r"mask of a Written is .* \[2, 4\]; expected .*'2 or 1', '4 or 1', 5, 5",
            ),
            (
                {"q": vectors(2, 4, 5, 6), "k": vectors(2, 4, 5, 6), "mask": torch.ones(5, 5, dtype=torch.long)},
                r"mask of a Written is a tensor of torch\.int64",
            ),
            ({"q": vectors(2, 4, 5, 6), "k": vectors(2, 4, 5, 6), "sinks": vectors(3)}, r"one logit a head.*\[4\]"),
        ],
    )
    def test_what_it_says_is_checked(self, said, message):
        with pytest.raises((TypeError, ValueError), match=message):
            listen(Written(), vectors(2, 5, 24), own={Written: lambda module, x: said})

    def test_where_it_fails_is_told(self):
        with pytest.raises(TypeError) as failed:
            listen(Written(), vectors(2, 5, 24), own={Written: lambda module: {}})
        assert failed.value.__notes__ == ["This came from asking what a Written attends with."]

    def test_every_term_it_can_say(self):
        q, k = vectors(2, 4, 5, 6), vectors(2, 2, 7, 6, seed=1)
        mask, bias, sinks = vectors(5, 7, seed=2) > -1, vectors(4, 5, 7, seed=3), vectors(4, seed=4)
        said = {"q": q, "k": k, "mask": mask, "bias": bias, "softcap": 2.0, "sinks": sinks, "causal": True}
        (call,) = listen(Written(), vectors(2, 5, 24), own={Written: lambda module, x: said})
        scores = 2 * torch.tanh((q @ k.repeat_interleave(2, 1).mT * 6**-0.5 + bias) / 2)
        scores = scores.masked_fill(~(mask & torch.ones(5, 7, dtype=torch.bool).tril(2)), -torch.inf)
        wanted = torch.cat([scores, sinks[None, :, None, None].expand(2, 4, 5, 1)], -1).softmax(-1)[..., :-1]
        assert_close(weights(call), wanted)

    @pytest.mark.parametrize(
        ("own", "message"),
        [
            ([Written], "own is list; expected a dict"),
            ({3: of_written}, "own has the key 3"),
            ({Written: "to_q"}, "is str; expected a function"),
            ({"attn": of_written}, "own has 'attn', and Written has no such module"),
        ],
    )
    def test_own_is_checked(self, own, message):
        with pytest.raises((TypeError, ValueError), match=message):
            listen(Written(), vectors(2, 5, 24), own=own)


class TestTorchSFunction:
    def test_a_causal_model_with_grouped_keys(self):
        class Grouped(nn.Module):
            def __init__(self):
                super().__init__()
                self.n_head, self.c_attn = 4, nn.Linear(24, 48)

            def forward(self, x):
                q, k, v = (t.unflatten(-1, (-1, 6)).transpose(1, 2) for t in self.c_attn(x).split([24, 12, 12], -1))
                x = scaled_dot_product_attention(q, k, value=v, is_causal=True, scale=0.3, enable_gqa=True)
                return x.transpose(1, 2).flatten(2)

        (call,) = listen(Grouped(), vectors(2, 5, 24))
        assert call.key.shape == (2, 2, 5, 6)
        assert not weights(call).triu(1).any()
        assert call.scaling == pytest.approx(0.3)

    def test_two_attentions_in_one_call_are_two_maps(self):
        class Differential(Fused):
            def forward(self, x):
                return super().forward(x) - super().forward(x + 1)

        maps = aw.capture(Picture(Differential).eval(), vectors(1, 5, 24)).by_name
        assert {name: one.n_layers for name, one in maps.items()} == {"attention": 2, "attention (2)": 2}

    def test_one_attention_to_two_values_is_one_map(self):
        class Twice(Fused):
            def forward(self, x):
                q, k, v, _ = self.terms(x, None)
                out = scaled_dot_product_attention(q, k, v) - scaled_dot_product_attention(q, k, v.flip(1))
                return self.proj(out.transpose(1, 2).flatten(2))

        maps = aw.capture(Picture(Twice).eval(), vectors(1, 5, 24)).maps
        assert maps.n_layers == 2
        assert any("same queries and keys" in note for note in maps.notes)

    def test_attention_between_channels_is_refused(self):
        class Channels(Fused):
            def terms(self, x, extra):
                q, k, v, _ = super().terms(x, extra)
                return q.mT, k.mT, v.mT, None

            def forward(self, x):
                q, k, v, _ = self.terms(x, None)
                return self.proj(scaled_dot_product_attention(q, k, v).mT.transpose(1, 2).flatten(2))

        with pytest.raises(ValueError, match="between channels"):
            aw.capture(Picture(Channels).eval(), vectors(2, 5, 24))

    def test_a_single_head(self):
        class Single(nn.Module):
            def __init__(self):
                super().__init__()
                self.proj = nn.Linear(24, 24)

            def forward(self, x):
                return scaled_dot_product_attention(x, x, self.proj(x))

        x = vectors(2, 5, 24)
        (call,) = listen(Single(), x)
        assert_close(weights(call)[:, 0], (x @ x.mT / 24**0.5).softmax(-1))

    @pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype")
    def test_nested_tensors_are_missed_aloud(self):
        class Ragged(nn.Module):
            def __init__(self):
                super().__init__()
                self.heads, self.proj = 2, nn.Linear(4, 4)

            def forward(self, texts):
                x = torch.nested.nested_tensor([self.proj(t) for t in texts], layout=torch.jagged)
                q = x.unflatten(-1, (2, 2)).transpose(1, 2)
                return scaled_dot_product_attention(q, q, q)

        assert "attends over nested tensors" in run(Ragged(), [vectors(3, 4), vectors(5, 4)]).missed[""]


class TestWaysOfWritingIt:
    @pytest.mark.parametrize("way", ["module", "method", "function", "logarithm", "einsum", "turned", "out of place"])
    def test_all_are_heard(self, way):
        class Head(nn.Module):
            def __init__(self):
                super().__init__()
                torch.manual_seed(0)
                self.q, self.k, self.v, self.attend = (*(nn.Linear(24, 24) for _ in range(3)), nn.Softmax(-1))

            def forward(self, x):
                q, k, v = self.q(x), self.k(x), self.v(x)
                scores = torch.einsum("bqd,bkd->bqk", q, k) if way == "einsum" else q @ k.transpose(1, 2)
                scores = scores / 24**0.5
                if way == "module":
                    weights = self.attend(scores)
                elif way == "method":
                    weights = scores.softmax(dim=-1)
                elif way == "logarithm":
                    weights = scores.log_softmax(-1).exp()
                else:
                    weights = nn.functional.softmax(scores, dim=2)
                if way == "einsum":
                    return torch.einsum("bqk,bkd->bqd", weights, v)
                if way == "turned":
                    return (v.mT @ weights.mT).mT
                return torch.bmm(weights.to(torch.float64).float(), v) if way == "out of place" else weights @ v

        model, x = Head(), vectors(2, 5, 24)
        (call,) = listen(model, x)
        assert_close(weights(call)[:, 0], (model.q(x) @ model.k(x).mT / 24**0.5).softmax(-1).detach())

    @pytest.mark.filterwarnings("ignore:Rows do not sum to 1")
    @pytest.mark.parametrize(
        "change",
        [
            lambda p, other: p.masked_fill(torch.ones(5, 5, dtype=torch.bool).triu(1), 0),
            lambda p, other: p.mul_(0.5),
            lambda p, other: p.pow(2) / p.pow(2).sum(-1, keepdim=True),
            lambda p, other: (p + other) / 2,
            lambda p, other: p.roll(1, -1),
            lambda p, other: p.cumsum(-1),
        ],
        ids=["masked afterwards", "in place", "sharpened", "mean of two", "moved", "summed up"],
    )
    def test_weights_that_are_changed_are_what_was_multiplied(self, change):
        class Changed(nn.Module):
            def __init__(self):
                super().__init__()
                torch.manual_seed(0)
                self.q, self.k, self.v = (nn.Linear(24, 24) for _ in range(3))

            def forward(self, x):
                q, k = self.q(x), self.k(x)
                weights = change((q @ k.mT / 5).softmax(-1), (k @ q.mT / 3).softmax(-1))
                found.append(weights.detach().clone())
                return weights @ self.v(x)

        found = []
        maps = aw.capture(Changed(), vectors(1, 5, 24)).maps
        assert_close(maps.weights(0, 0), found[0][0])
        assert any("is not what came out of the softmax" in note for note in maps.notes)

    def test_a_mask_after_the_softmax_is_diagnosed(self):
        class Late(nn.Module):
            def __init__(self):
                super().__init__()
                torch.manual_seed(0)
                self.q, self.k, self.v = (nn.Linear(24, 24) for _ in range(3))

            def forward(self, x):
                weights = (self.q(x) @ self.k(x).mT / 5).softmax(-1)
                return weights.tril() @ self.v(x)

        with pytest.warns(aw.AttentionWarning, match="Rows do not sum to 1"):
            maps = aw.capture(Late(), vectors(1, 12, 24)).maps
        assert any("after the softmax" in str(finding) for finding in aw.diagnose(maps))

    def test_a_softmax_over_queries_is_refused(self):
        class Slots(nn.Module):
            def __init__(self):
                super().__init__()
                self.q, self.k, self.v = (nn.Linear(24, 24) for _ in range(3))

            def forward(self, x):
                return (self.q(x) @ self.k(x).mT).softmax(-1).mT @ self.v(x)

        with pytest.raises(ValueError, match="softmax is over queries and not over keys"):
            aw.capture(Slots(), vectors(1, 5, 24))

    def test_scores_that_are_changed_after_the_softmax(self):
        class After(nn.Module):
            def __init__(self):
                super().__init__()
                torch.manual_seed(0)
                self.q, self.k, self.v = (nn.Linear(24, 24) for _ in range(3))

            def forward(self, x):
                scores = self.q(x) @ self.k(x).mT / 5
                weights = scores.softmax(-1)
                found.append(weights.detach().clone())
                scores.mul_(3)
                return weights @ self.v(x)

        found = []
        assert_close(aw.capture(After(), vectors(1, 5, 24)).maps.weights(0, 0), found[0][0])

    @pytest.mark.parametrize("order", ["bqhk", "hbqk", "heads side by side", "unbatched"])
    def test_axes_in_other_orders(self, order):
        class Ordered(nn.Module):
            def __init__(self):
                super().__init__()
                torch.manual_seed(0)
                self.num_heads, self.q, self.k, self.v = 4, *(nn.Linear(24, 24) for _ in range(3))

            def forward(self, x):
                q, k, v = self.q(x), self.k(x), self.v(x)
                if order == "heads side by side":
                    q, k, v = (torch.cat(one.split(6, -1), 0) for one in (q, k, v))
                    return torch.cat(((q @ k.mT).softmax(-1) @ v).split(len(x), 0), -1)
                q, k, v = (one.unflatten(-1, (4, 6)) for one in (q, k, v))
                if order == "bqhk":
                    weights = torch.einsum("bqhd,bkhd->bqhk", q, k).softmax(-1)
                    return torch.einsum("bqhk,bkhd->bqhd", weights, v).flatten(2)
                if order == "unbatched":
                    q, k, v = (one.transpose(0, 1) for one in (q, k, v))
                    return ((q @ k.mT).softmax(-1) @ v).transpose(0, 1).flatten(1)
                q, k, v = (one.permute(2, 0, 1, 3) for one in (q, k, v))
                return ((q @ k.mT).softmax(-1) @ v).permute(1, 2, 0, 3).flatten(2)

        model, x = Ordered(), vectors(4, 24) if order == "unbatched" else vectors(2, 5, 24)
        run_of = aw.capture(model, (x,))
        batched = x if x.ndim == 3 else x[None]
        q, k = (p(batched).unflatten(-1, (4, 6)).transpose(1, 2) for p in (model.q, model.k))
        wanted = (q @ k.mT).softmax(-1).detach()
        assert len(run_of) == len(batched)
        for example in range(len(batched)):
            for head in range(4):
                assert_close(run_of[example].maps.weights(0, head), wanted[example, head])

    @pytest.mark.parametrize("way", ["einsum", "matmul"])
    def test_experts_are_no_keys(self, way):
        class Experts(nn.Module):
            def __init__(self):
                super().__init__()
                self.gate, self.attn = nn.Linear(24, 3), Fused()
                self.experts = nn.ModuleList(nn.Linear(24, 24) for _ in range(3))

            def forward(self, x):
                x = self.attn(x)
                gate, out = self.gate(x).softmax(-1), torch.stack([expert(x) for expert in self.experts], 2)
                if way == "einsum":
                    return torch.einsum("bne,bned->bnd", gate, out)
                return (gate[:, :, None] @ out)[:, :, 0]

        assert [call.place.module for call in run(Experts().eval(), vectors(2, 5, 24)).calls] == ["attn"]

    def test_a_sink_behind_the_keys(self):
        class Sunk(nn.Module):
            def __init__(self):
                super().__init__()
                torch.manual_seed(0)
                self.q, self.k, self.v, self.sink = *(nn.Linear(24, 24) for _ in range(3)), nn.Parameter(torch.ones(3))

            def forward(self, x):
                q, k, v = (p(x).unflatten(-1, (3, 8)).transpose(1, 2) for p in (self.q, self.k, self.v))
                scores = q @ k.mT / 8**0.5
                sink = self.sink.reshape(1, -1, 1, 1).expand(*scores.shape[:-1], 1)
                found.append(torch.cat([scores, sink], -1).softmax(-1)[..., :-1])
                return (found[-1] @ v).transpose(1, 2).flatten(2)

        found = []
        with pytest.warns(aw.AttentionWarning, match="mass went elsewhere"):
            maps = aw.capture(Sunk(), vectors(1, 5, 24)).maps
        assert maps.n_keys == 5
        assert_close(maps.weights(0, 2), found[0][0, 2].detach())

    def test_queries_in_pieces(self):
        class Pieces(nn.Module):
            def __init__(self):
                super().__init__()
                self.table, self.q, self.k, self.v = nn.Embedding(50, 24), *(nn.Linear(24, 24) for _ in range(3))

            def forward(self, tokens):
                x = self.table(tokens)
                k, v = self.k(x), self.v(x)
                return torch.cat([(q @ k.mT).softmax(-1) @ v for q in self.q(x).split(3, 1)], 1)

        tokens = torch.tensor([[7, 3, 9, 4, 8, 5]])
        maps = aw.capture(Pieces(), (tokens,)).by_name
        assert [(one.n_queries, one.n_keys) for one in maps.values()] == [(3, 6), (3, 6)]
        assert all(one.key_tokens.ids == tuple(tokens[0].tolist()) for one in maps.values())
        assert not any(span.name == "cached" for one in maps.values() for span in one.key_tokens.spans)

    @pytest.mark.parametrize("shape", [(5, 2), (4, 4), (2, 5)])
    def test_ids_whose_batch_comes_second(self, shape):
        class Words(nn.Module):
            def __init__(self):
                super().__init__()
                self.table = nn.Embedding(50, 16)
                self.encoder = nn.TransformerEncoder(
                    nn.TransformerEncoderLayer(16, 4, 32), 2, enable_nested_tensor=False
                )

            def forward(self, tokens):
                return self.encoder(self.table(tokens))

        tokens = torch.randint(50, shape, generator=torch.Generator().manual_seed(0))
        run_of = aw.capture(Words(), (tokens,))
        assert len(run_of) == shape[1]
        assert [one.maps.tokens.ids for one in run_of] == [tuple(column) for column in tokens.T.tolist()]

    def test_a_batch_that_comes_second(self):
        decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 4, 32), 2).eval()
        maps = aw.capture(decoder, (vectors(5, 2, 16), vectors(7, 2, 16)))[1].by_name
        assert {name: (one.n_queries, one.n_keys) for name, one in maps.items()} == {
            "attention": (5, 5),
            "cross": (5, 7),
        }


class TestWhatIsNoAttention:
    def test_routers_losses_and_classes(self):
        class Mixture(nn.Module):
            def __init__(self):
                super().__init__()
                self.router = nn.Linear(24, 3)
                self.experts = nn.ModuleList(nn.Linear(24, 24) for _ in range(3))
                self.attn, self.head = Fused(), nn.Linear(24, 7)

            def forward(self, x):
                x = self.attn(x)
                routed = self.router(x).softmax(-1)
                best, chosen = routed.topk(2, -1)
                mixed = torch.stack([expert(x) for expert in self.experts], -2)
                x = (mixed.gather(-2, chosen[..., None].expand(*chosen.shape, 24)) * best[..., None]).sum(-2)
                return self.head(x).softmax(-1)

        found = run(Mixture().eval(), vectors(2, 5, 24))
        assert [call.place.module for call in found.calls] == ["attn"]
        assert not found.missed

    def test_points_that_are_sampled_are_a_doubt_that_is_said(self):
        class Deformable(nn.Module):
            def __init__(self):
                super().__init__()
                self.points, self.value = nn.Linear(24, 12), nn.Linear(24, 24)

            def forward(self, x):
                weights = self.points(x).unflatten(-1, (3, 4)).softmax(-1)
                value = self.value(x).unflatten(-1, (3, 8))[..., None, :].expand(-1, -1, -1, 4, -1)
                return (weights[..., None] * value).sum(-2).flatten(2)

        found = run(Deformable(), vectors(2, 5, 24))
        assert not found.calls
        assert "softmax over 4 places" in found.missed[""]

    def test_a_mixture_of_learned_vectors(self):
        class Prototypes(nn.Module):
            def __init__(self):
                super().__init__()
                self.table, self.score = nn.Parameter(vectors(6, 24)), nn.Linear(24, 6)

            def forward(self, x):
                return self.score(x).softmax(-1) @ self.table

        assert not run(Prototypes(), vectors(2, 5, 24)).calls


class TestNothingOfOursRaisesInsideAModel:
    @pytest.mark.parametrize("shape", ["keys", "rows", "heads"])
    def test_masks_of_any_shape(self, shape):
        class Masked(nn.Module):
            def __init__(self):
                super().__init__()
                self.heads, self.scale, self.to_qkv, self.to_out = 4, 8**-0.5, nn.Linear(16, 96), nn.Linear(32, 16)

            def forward(self, x, mask=None):
                q, k, v = (t.unflatten(-1, (4, 8)).transpose(1, 2) for t in self.to_qkv(x).chunk(3, -1))
                whole = mask[:, None, None] if mask.ndim == 2 else mask[:, None] if mask.ndim == 3 else mask
                scores = (q @ k.transpose(-1, -2) * self.scale).masked_fill(~whole, -1e30)
                found.append(scores.softmax(-1))
                return self.to_out((found[-1] @ v).transpose(1, 2).flatten(2))

        found = []
        mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
        if shape == "rows":
            mask = mask[:, None].expand(-1, 5, -1)
        elif shape == "heads":
            mask = mask[:, None, None].expand(-1, 4, 5, -1)
        run_of = aw.capture(Masked(), (vectors(2, 5, 16), mask))
        assert run_of[1].maps.n_keys == 3  # what attention was not allowed to see is padding, whatever its form
        torch.testing.assert_close(run_of[0].maps.weights(0, 1), found[0][0, 1], atol=1e-6, rtol=0)
        torch.testing.assert_close(run_of[1].maps.weights(0, 1), found[0][1, 1, :3, :3], atol=1e-6, rtol=0)

    def test_what_we_cannot_follow_is_said_afterwards(self, monkeypatch):
        from attnwidget.capturing import listening

        def broken(*_, **__):
            raise ZeroDivisionError

        monkeypatch.setattr(listening, "of_sdpa", broken)
        model, x = Picture(Fused).eval(), vectors(2, 5, 24)
        with torch.no_grad(), heard(model) as recorder:
            assert model(x).shape == x.shape
        assert "listening failed: ZeroDivisionError()" in recorder.passes[0].missed[""]
