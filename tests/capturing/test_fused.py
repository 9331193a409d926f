"""Modules that torch does not know: with a fused qkv, with torch's own attention function, or spoken for."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

import attnwidget as aw
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
