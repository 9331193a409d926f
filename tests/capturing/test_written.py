"""Attention that a module writes out for itself: every way of writing it that is followed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import attnwidget as aw
from attnwidget.capturing.own import spoken_for
from tests.capturing.listening import assert_close, listen, run, weights
from tests.capturing.test_fused import Block, Fused, Picture, vectors


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
