"""diagnose: broken attention is named, with its cause."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import attnwidget as aw
from attnwidget import diagnose
from attnwidget.layers import Mask
from tests.diagnosis.cases import HEADS, TRIL, WIDTH, N, accused, draw, names, q_and_k
from tests.make import matrices, projected


class Block(nn.Module):
    """One self-attention layer as a student writes it, with the ways to break it."""

    def __init__(self, *, scaled=True, std=0.125, mask=None):
        super().__init__()
        self.project = nn.Linear(WIDTH, 2 * WIDTH, bias=False)
        nn.init.normal_(self.project.weight, std=std)
        self.scaled, self.mask = scaled, mask

    def forward(self, x):
        q, k = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.project(x).chunk(2, -1))
        scores = q @ k.mT / (q.shape[-1] ** 0.5 if self.scaled else 1)
        if self.mask is not None:
            scores = scores.masked_fill(~self.mask, -1e9)
        return q, k, scores.softmax(-1)


class TestFiveWaysToBreakAttention:
    X = draw(2, N, WIDTH, seed=2)

    def weights(self, **options):
        torch.manual_seed(0)
        return [part.detach() for part in Block(**options)(self.X)]

    def test_the_same_block_unbroken(self):
        q, k, weights = self.weights(mask=TRIL)
        assert not diagnose(weights, query=q, key=k, mask=TRIL, causal=True)

    def test_no_scaling(self):
        q, k, weights = self.weights(scaled=False, mask=TRIL)
        found = diagnose(weights, query=q, key=k, mask=TRIL)
        assert found[0].severity == "alarm"
        assert found.named("scaling").title == "Scores are not scaled"
        assert found.named("scaling").evidence[0].value == "4"  # sqrt of the heads' width, 16

    def test_zero_variance_initialisation(self):
        q, k, weights = self.weights(std=1e-4, mask=TRIL)
        found = diagnose(weights, query=q, key=k, mask=TRIL)
        assert accused(found) == ["uniform"]
        assert found.named("uniform").severity == "alarm"
        assert "too little variance" in diagnose(query=q, key=k, mask=TRIL).named("uniform").causes[0]

    def test_everything_masked(self):
        nothing = torch.zeros(N, N, dtype=torch.bool)
        q, k, weights = self.weights(mask=nothing)
        for found in (diagnose(weights, mask=nothing), diagnose(query=q, key=k, mask=nothing)):
            assert names(found) == ["masked"]
            assert found[0].title == "Everything is masked"
            assert found[0].severity == "alarm"

    @pytest.mark.parametrize("mask", [~TRIL, TRIL.T, torch.ones(N, N, dtype=torch.bool).tril(1)])
    def test_wrong_mask(self, mask):
        q, k, weights = self.weights(mask=mask)
        for found in (diagnose(query=q, key=k, mask=mask), diagnose(weights, causal=True)):
            assert found[0].severity == "alarm"
            assert "causality" in names(found)

    def test_learning_rate_blown_up(self):
        torch.manual_seed(0)
        block = Block(mask=TRIL)
        optimiser = torch.optim.SGD(block.parameters(), lr=300.0)
        target = draw(2, HEADS, N, N, seed=3).masked_fill(~TRIL, -torch.inf).softmax(-1)
        for _ in range(20):
            optimiser.zero_grad()
            (block(self.X)[2] - target).square().sum().backward()
            optimiser.step()
        q, k, weights = (part.detach() for part in block(self.X))
        found = diagnose(weights, query=q, key=k, mask=TRIL)
        assert accused(found) == ["collapsed"]
        found = diagnose(query=q, key=k, mask=TRIL).named("collapsed")
        assert "learning rate" in found.causes[0]
        assert found.places == ((0, None), (1, None))


class TestWhatElseIsFound:
    def test_scaled_twice(self):
        q, k = q_and_k()
        found = diagnose((q @ k.mT / WIDTH).softmax(-1), query=q, key=k)
        assert names(found) == ["scaling", "uniform"]
        assert found[0].title == "Scores are scaled twice"
        maps = projected(40, width=64)
        twice = aw.AttentionMaps([replace(layer, scaling=1 / 64) for layer in maps.layers], maps.tokens)
        assert "scaled twice" in diagnose(twice).named("uniform").causes[0]

    @pytest.mark.parametrize(("part", "word"), [("query", "queries"), ("key", "keys")])
    def test_which_side_has_too_little_variance(self, part, word):
        q, k = q_and_k()
        given = {"query": q, "key": k}
        given[part] = given[part] * 1e-2
        assert f"The {word} have" in diagnose(**given).named("uniform").causes[0]

    def test_one_layer_of_several(self):
        maps = projected(40)
        flat = replace(maps.layers[1], q=maps.layers[1].q * 1e-3)
        found = diagnose(aw.AttentionMaps([maps.layers[0], flat, maps.layers[2]], maps.tokens))
        assert accused(found) == ["uniform"]
        assert found[0].severity == "warning"
        assert found[0].places == ((1, None),)

    def test_keys_that_are_all_alike_are_of_little_variance_however_large(self):
        q, k = q_and_k()
        found = diagnose(query=q, key=k[:, :, :1].expand_as(k) * 5 + 0.01 * k).named("uniform")
        assert "The keys have" in found.causes[0]

    def test_collapsed_on_a_position(self):
        q, k = q_and_k()
        weights = q @ k.mT / 8
        weights[..., 5] += 40
        found = diagnose(weights.softmax(-1)).named("collapsed")
        assert "looks at token 5" in found.sentence
        assert found.severity == "alarm"

    def test_unscaled_scores_of_a_model(self):
        maps = projected(40, width=64)
        broken = aw.AttentionMaps([replace(layer, scaling=1.0) for layer in maps.layers], maps.tokens)
        found = diagnose(broken).named("collapsed")
        assert "not scaled" in found.causes[0]
        assert "token" in found.sentence

    @pytest.mark.parametrize("stage", ["q", "k", "value", "mask", "scores", "output"])
    def test_where_nan_began(self, stage):
        q, k = q_and_k()
        v, mask = q.clone(), torch.zeros(N, N).masked_fill(~TRIL, -math.inf)
        if stage in {"q", "k", "value"}:
            {"q": q, "k": k, "value": v}[stage][1, 2, 3, 4] = math.nan
        elif stage == "mask":
            mask[3, 2] = math.nan
        elif stage == "output":
            v[1, 2, 5] = math.inf
        else:
            q, k = q * 1e20, k * 1e20
        found = diagnose(query=q, key=k, value=v, mask=mask).named("nan")
        word = {"q": "queries", "k": "keys", "value": "values"}.get(stage, stage)
        assert f"in the {word} of" in found.sentence
        assert found.severity == "alarm"
        if stage in {"q", "k", "value", "output"}:
            assert found.places == ((1, 2),)

    def test_half_precision_that_would_overflow(self):
        q, k = (tensor * 300 for tensor in q_and_k())
        weights = (q @ k.mT / 8).softmax(-1)
        found = diagnose(weights, query=q.half(), key=k.half()).named("overflow")
        assert found.severity == "warning"
        assert "float16 ends at 65,504" in found.sentence
        assert "overflow" not in names(diagnose(weights, query=q.bfloat16(), key=k.bfloat16()))

    def test_nan_of_learned_sinks(self):
        sinks = torch.tensor([1.0, math.nan, 1.0, 1.0])
        found = diagnose(projected(sinks=sinks)).named("nan")
        assert "learned sinks" in found.sentence
        assert found.places == ((0, 1), (1, 1), (2, 1))[:1]

    def test_minus_infinity_in_the_queries(self):
        q, k = q_and_k()
        q[0, 1, 2, 3] = -math.inf
        assert "in the queries of" in diagnose(query=q, key=k).named("nan").sentence

    def test_nan_of_the_softmax(self):
        q, k = q_and_k()
        mask = TRIL.clone()
        mask[4] = False
        weights = (q @ k.mT / 8).masked_fill(~mask, -math.inf).softmax(-1)
        assert "the softmax of" in diagnose(weights, mask=mask).named("nan").sentence
        assert "the softmax of" in diagnose(weights, query=q, key=k, mask=mask).named("nan").sentence
        with pytest.warns(aw.AttentionWarning):
            maps = aw.AttentionMaps.from_arrays(weights, layout="LHQK")
        assert "the weights that came of" in diagnose(maps).named("nan").sentence

    def test_nan_of_a_shared_key_is_of_all_heads_that_share_it(self):
        q, k = q_and_k()
        k = k[:, :2].clone()
        k[0, 1, 3] = math.nan
        assert diagnose(query=q, key=k).named("nan").places == ((0, 2), (0, 3))

    def test_some_rows_masked(self):
        q, k = q_and_k()
        mask = TRIL.clone()
        mask[7] = False
        found = diagnose(query=q, key=k, mask=mask).named("masked")
        assert found.severity == "warning"
        assert found.evidence[0].value == "8 of 128"

    def test_attention_to_padding(self):
        q, k = q_and_k()
        mask = torch.ones(N, N, dtype=torch.bool)
        mask[:, 12:] = False
        found = diagnose((q @ k.mT / 8).softmax(-1), mask=mask).named("padding")
        assert found.severity == "alarm"
        labels = [*"abcdefghijklm", "[PAD]", "[PAD]", "[PAD]"]
        maps = aw.AttentionMaps.from_arrays((q @ k.mT / 8).softmax(-1), tokens=labels, layout="LHQK")
        assert accused(diagnose(maps)) == ["padding"]

    def test_later_keys_in_some_layers(self):
        weights = matrices(4, 3, 12, 12, causal=True)
        weights[2, 1] = 0.9 * weights[2, 1] + 0.1 * matrices(12, 12)
        found = diagnose(weights).named("causality")
        assert found.places == ((2, 1),)

    def test_a_small_leak_to_later_keys_when_there_should_be_none(self):
        weights = matrices(2, 3, 12, 12, causal=True)
        weights[1, 2, 4] = 0.98 * weights[1, 2, 4]
        weights[1, 2, 4, 9] = 0.02
        for options in ({"causal": True}, {"mask": torch.ones(12, 12).tril().bool()}):
            found = diagnose(weights, **options)
            assert accused(found) == ["causality"]
            assert found[0].places == ((1, 2),)

    def test_transposed_causal_weights(self):
        assert accused(diagnose(matrices(2, 3, 12, 12, causal=True).mT, causal=True)) == ["transposed"]

    def test_weights_that_q_and_k_do_not_explain(self):
        q, k = q_and_k()
        found = diagnose((q @ k.mT / 8).softmax(-1), query=q.flip(0), key=k)
        assert accused(found) == ["unexplained"]

    def test_weights_with_keys_of_too_little_variance(self):
        q, k = q_and_k()
        k = k * 1e-2
        assert "The keys have" in diagnose((q @ k.mT / 8).softmax(-1), query=q, key=k).named("uniform").causes[0]

    def test_which_of_several_maps(self):
        flat = aw.AttentionMaps.from_arrays(torch.full((2, 3, 8, 8), 1 / 8), layout="LHQK")
        found = diagnose({"encoder": projected(causal=False), "decoder": flat})
        assert [finding.map for finding in found] == ["decoder"]
        assert str(found[0]).startswith("ALARM: decoder: Uniform attention")

    def test_dropout(self):
        weights = nn.functional.dropout(matrices(2, HEADS, N, N), 0.1)
        assert "dropout" in names(diagnose(weights))

    def test_dropout_of_a_recorded_model(self):
        model, tokenizer = aw.demo.load("storyteller")
        model.config.attention_dropout = 0.1
        for layer in model.model.layers:
            layer.self_attn.attention_dropout = 0.1
        inputs = tokenizer("Lily gave Ben the ball .", return_tensors="pt")
        with aw.recording(model, tokenizer) as recorder:
            model.train()  # undoes the recording's own eval()
            model(**inputs)
        assert "dropout" in names(diagnose(recorder.capture()))
        assert "dropout" not in names(diagnose(aw.capture(model, inputs, tokenizer)))

    def test_softmax_over_the_wrong_axis(self):
        assert "transposed" in names(diagnose(matrices(HEADS, N, N).mT))

    def test_rows_that_do_not_sum_to_one(self):
        found = diagnose(matrices(HEADS, N, N) * 0.8).named("rows")
        assert (found.severity, found.evidence[0].value) == ("warning", "0.800 to 0.800")
        learned = diagnose(projected(40, sinks=torch.full((4,), 1.0)))
        assert learned.named("rows").severity == "note"

    def test_heads_that_are_the_same(self):
        q, k = q_and_k()
        q[:, 3], k[:, 3] = q[:, 1], k[:, 1]
        found = diagnose(query=q, key=k).named("duplicates")
        assert found.places == ((0, 1), (0, 3), (1, 1), (1, 3))

    def test_places_are_named_by_the_numbers_of_the_model(self):
        weights = matrices(2, 3, 12, 12)
        weights[1, 2] = weights[1, 1]
        maps = aw.AttentionMaps.from_arrays(weights, layout="LHQK")
        some = aw.AttentionMaps(maps.layers, maps.tokens, layer_numbers=[4, 7], head_numbers=[[0, 3, 5], [0, 3, 5]])
        (finding,) = aw.diagnose(some)
        assert finding.sentence == "Heads 3 and 5 of layer 7 give the same map."
        assert finding.where == "L7 H3, L7 H5"
        assert finding.places == ((1, 1), (1, 2))
        weights[1] = 1 / 12
        assert aw.diagnose(some).named("uniform").sentence == "Heads look everywhere alike in layer 7."

    def test_layers_that_do_not_differ(self):
        maps = projected()
        found = diagnose(aw.AttentionMaps([*maps.layers[:2], maps.layers[1]], maps.tokens)).named("layers")
        assert found.places == ((1, None), (2, None))

    def test_a_prefix_that_is_ignored_but_for_the_first_token(self):
        weights = matrices(2, 3, 12, 12)
        weights[..., 1:4] *= 0.001
        weights[..., 0] += 1
        weights /= weights.sum(-1, keepdim=True)
        found = diagnose(weights, prefix=4).named("prefix")
        assert "position 0 apart" in found.sentence

    def test_a_prefix_that_is_ignored(self):
        weights = matrices(2, 3, 12, 12)
        weights[..., :4] *= 0.01
        weights /= weights.sum(-1, keepdim=True)
        assert accused(diagnose(weights, prefix=4)) == ["prefix"]
        assert accused(diagnose(matrices(2, 3, 12, 12), prefix=4, anchor=[6, 7])) == []

    def test_an_anchor_that_dominates(self):
        weights = matrices(2, 3, 12, 12)
        weights[..., 8] *= 20
        weights /= weights.sum(-1, keepdim=True)
        assert accused(diagnose(weights, prefix=4, anchor=[8])) == ["anchor"]


class TestFindings:
    def found(self):
        return diagnose(torch.full((1, 2, 6, 6), 1 / 6))

    def test_prints_as_a_table(self):
        text = str(self.found())
        table, details = text.split("\n\n", 1)
        head, line = table.split("\n")
        assert head.split() == ["severity", "finding", "where", "measured", "healthy"]
        assert line.split("  ")[0] == "alarm"
        assert line[head.index("where") :].startswith("L0 ")
        assert line[head.index("healthy") :] == "below 0.96"
        assert details.startswith("ALARM: Uniform attention [uniform]")
        assert "entropy, of the largest: 1 (healthy: below 0.96)" in text
        assert repr(self.found()) == text
        assert "likely cause:" in text
        assert "to try:" in text

    def test_shows_as_a_table_and_is_never_markup(self):
        maps = aw.AttentionMaps.from_arrays(
            torch.eye(6)[5].expand(2, 3, 6, 6).clone(), tokens=["a", "b", "c", "d", "e", "<img src=x>"], layout="LHQK"
        )
        shown = diagnose(maps)._repr_html_()
        assert "<table>" in shown
        assert "&lt;img src=x&gt;" in shown
        assert "<img" not in shown

    def test_nothing_found(self):
        found = diagnose(projected())
        assert list(found) == []
        assert str(found) == "Nothing unusual was found."

    def test_gravest_first(self):
        q, k = q_and_k()
        k[:, 1] = k[:, 0]
        q[:, 1] = q[:, 0]
        v = q.clone()
        v[0, 0, 0, 0] = math.nan
        assert [finding.severity for finding in diagnose(query=q, key=k, value=v)] == ["alarm", "warning"]

    def test_name_that_is_not_there(self):
        with pytest.raises(KeyError, match="no finding 'nan'; there are \\['uniform'\\]"):
            self.found().named("nan")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, ValueError, "nothing came to look at"),
        ({"query": draw(2, 4, 8)}, ValueError, "query came without key"),
        ({"value": draw(2, 4, 8)}, ValueError, "value came without query"),
        ({"maps": matrices(2, 5, 5), "anchor": [1]}, ValueError, "anchor came without prefix"),
        ({"maps": matrices(2, 5, 5), "scaling": 1.0}, ValueError, "scaling came without query"),
        ({"query": draw(2, 4, 8), "key": draw(2, 4, 8), "scaling": -1.0}, ValueError, "scaling=-1.0"),
        ({"query": draw(2, 4, 8), "key": draw(2, 4, 8), "scaling": "x"}, TypeError, "scaling='x' is str"),
        ({"query": draw(2, 0, 8), "key": draw(2, 0, 8)}, ValueError, r"query has shape \(2, 0, 8\)"),
        ({"maps": projected(), "query": draw(2, 4, 8), "key": draw(2, 4, 8)}, TypeError, "pass the weights your code"),
        ({"maps": draw(1, 4, 8, 8)}, ValueError, "apply softmax over the axis of the keys first"),
        ({"query": draw(4, 8), "key": draw(4, 8)}, ValueError, r"query has shape \(4, 8\)"),
        ({"query": draw(2, 4, 8), "key": draw(2, 4, 9)}, ValueError, "same examples and width"),
        ({"query": draw(2, 4, 8), "key": draw(2, 4, 8).long()}, TypeError, "key is torch.int64"),
        ({"query": draw(2, 4, 8), "key": draw(2, 4, 8), "mask": TRIL}, ValueError, r"mask has shape \(16, 16\)"),
        ({"query": draw(2, 4, 8), "key": draw(2, 4, 8), "mask": TRIL[:4, :4].int()}, TypeError, "torch.int32"),
        ({"maps": projected(), "mask": TRIL}, ValueError, "mask is for weights"),
        ({"maps": matrices(2, 5, 5), "query": draw(2, 4, 8), "key": draw(2, 4, 8)}, ValueError, "expected the same"),
    ],
)  # fmt: skip
def test_bad_input(given, error, words):
    with pytest.raises(error, match=words):
        diagnose(**given)


def test_a_long_map_and_a_map_of_one_token():
    assert accused(diagnose(projected(1))) == []
    assert accused(diagnose(projected(700, layers=1))) == []


def test_windows_are_no_fault():
    maps = projected(40)
    layers = [replace(layer, mask=Mask(causal=True, window=8)) for layer in maps.layers]
    assert accused(diagnose(aw.AttentionMaps(layers, maps.tokens), causal=True)) == []
