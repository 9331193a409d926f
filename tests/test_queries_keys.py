"""Maps of queries and keys: every weight is that of a softmax written out, and what does not fit is said."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import attnwidget as aw
from attnwidget import AttentionMaps, AttentionWarning
from tests.make import WORDS

of = AttentionMaps.from_queries_keys


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def written_out(q, k, *, scaling=None, visible=None, added=None, bias=None, softcap=None, sink=None):
    """Weights of one head, in float64, as a textbook does."""
    q, k = q.double(), k.double()
    scores = q @ k.T * (q.shape[-1] ** -0.5 if scaling is None else scaling)
    scores = scores if bias is None else scores + bias.double()
    scores = scores if softcap is None else softcap * torch.tanh(scores / softcap)
    scores = scores if added is None else scores + added.double()
    scores = scores if visible is None else scores.masked_fill(~visible, -math.inf)
    if sink is not None:
        scores = torch.cat([scores, torch.full((len(scores), 1), float(sink), dtype=scores.dtype)], -1)
    return scores.softmax(-1)[:, : k.shape[0]].nan_to_num(0)


def agree(maps, layer, head, expected, atol=1e-6):
    torch.testing.assert_close(maps.weights(layer, head).double(), expected, atol=atol, rtol=0)


def causal(queries, keys, first=None, window=None):
    position = torch.arange(queries)[:, None] + (keys - queries if first is None else first)
    key = torch.arange(keys)
    seen = key <= position
    return seen if window is None else seen & (key > position - window)


class TestWeights:
    def test_layers_of_grouped_heads(self):
        q, k = [draw(6, 9, 8, seed=i) for i in range(3)], [draw(2, 9, 8, seed=i + 50) for i in range(3)]
        maps = of(q, k, causal=True)
        assert (maps.heads, maps.n_queries, maps.n_keys, maps.causal) == ((6, 6, 6), 9, 9, True)
        for layer in range(3):
            for head in range(6):
                agree(maps, layer, head, written_out(q[layer][head], k[layer][head // 3], visible=causal(9, 9)))

    @given(
        heads=st.sampled_from([(1, 1), (4, 4), (4, 2), (6, 1)]), queries=st.integers(1, 6), cached=st.integers(0, 5),
        width=st.integers(1, 9), window=st.none() | st.integers(1, 12), softcap=st.none() | st.floats(0.5, 30),
        with_sinks=st.booleans(), with_bias=st.booleans(), hidden=st.sets(st.integers(0, 10)), seed=st.integers(0, 99),
    )  # fmt: skip
    @settings(deadline=None, max_examples=120)
    def test_everything_together(  # noqa: PLR0917
        self, heads, queries, cached, width, window, softcap, with_sinks, with_bias, hidden, seed
    ):
        keys = queries + cached
        q, k = draw(heads[0], queries, width, seed=seed), draw(heads[1], keys, width, seed=seed + 1)
        mask = torch.tensor([key not in hidden for key in range(keys)])
        visible = causal(queries, keys, window=window) & mask
        if not visible.any():
            return
        bias = draw(heads[0], queries, keys, seed=seed) if with_bias else None
        sinks = draw(heads[0], seed=seed) if with_sinks else None
        maps = of([q], [k], causal=True, window=window, softcap=softcap, mask=mask, bias=bias, sinks=sinks, scaling=0.7)
        for head in range(heads[0]):
            expected = written_out(
                q[head], k[head * heads[1] // heads[0]], scaling=0.7, visible=visible, softcap=softcap,
                bias=None if bias is None else bias[head], sink=None if sinks is None else sinks[head],
            )  # fmt: skip
            agree(maps, 0, head, expected)

    def test_it_is_torchs_own_attention(self):
        q, k, v = draw(1, 4, 7, 8), draw(1, 4, 7, 8, seed=1), torch.eye(7).expand(1, 4, 7, 7)
        for options, theirs in (({}, {}), ({"causal": True}, {"is_causal": True}), ({"scaling": 0.3}, {"scale": 0.3})):
            expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, **theirs)[0]
            maps = of([q], [k], **options)
            for head in range(4):
                agree(maps, 0, head, expected[head].double())

    def test_numbers_differ_from_layer_to_layer(self):
        q, k = [draw(2, 5, 4, seed=i) for i in range(2)], [draw(2, 5, 4, seed=i + 9) for i in range(2)]
        sinks = draw(2, 2)
        maps = of(q, k, causal=True, scaling=[1.0, 0.25], window=[None, 2], softcap=(None, 5), sinks=sinks)
        agree(maps, 0, 1, written_out(q[0][1], k[0][1], scaling=1, visible=causal(5, 5), sink=sinks[0, 1]))
        expected = written_out(
            q[1][0], k[1][0], scaling=0.25, visible=causal(5, 5, window=2), softcap=5, sink=sinks[1, 0]
        )
        agree(maps, 1, 0, expected)
        for scaling in (np.array([1.0, 0.25]), torch.tensor([1.0, 0.25])):
            agree(of(q, k, scaling=scaling), 1, 0, written_out(q[1][0], k[1][0], scaling=0.25))

    def test_masks_of_every_kind(self):
        q, k = draw(3, 4, 8), draw(3, 6, 8)
        seen, added = torch.rand(3, 4, 6) > 0.4, draw(3, 4, 6)
        seen[..., 0] = True
        for mask, one in (
            (seen, lambda h: {"visible": seen[h]}),
            (seen.numpy(), lambda h: {"visible": seen[h]}),
            (seen[0], lambda _: {"visible": seen[0]}),
            (seen[0].tolist(), lambda _: {"visible": seen[0]}),
            (seen[:1, :1], lambda _: {"visible": seen[0, 0]}),
            (seen[0, 0], lambda _: {"visible": seen[0, 0]}),
            (added, lambda h: {"added": added[h]}),
            (added[None].numpy(), lambda h: {"added": added[h]}),
            (torch.zeros(4, 6).masked_fill(~seen[0], -1e9), lambda _: {"visible": seen[0]}),
            ([seen[1]], lambda _: {"visible": seen[1]}),
        ):
            maps = of([q], [k], mask=mask)
            for head in range(3):
                agree(maps, 0, head, written_out(q[head], k[head], **one(head)))

    def test_a_mask_that_is_a_rule_is_held_as_one(self):
        q, k = draw(2, 5, 4), draw(2, 5, 4, seed=1)
        everything = torch.ones(5, 5, dtype=torch.bool)
        for options in (
            {"mask": everything.tril()},
            {"mask": everything, "causal": True},
            {"mask": everything.float().tril().log()},
        ):
            maps = of([q], [k], **options)
            assert maps.causal
            assert maps.layers[0].mask.additive is None
            agree(maps, 0, 1, written_out(q[1], k[1], visible=causal(5, 5)))

    @pytest.mark.parametrize(
        ("queries", "keys", "first"), [(1, 9, None), (3, 9, None), (1, 9, 4), (3, 9, 0), (2, 9, 7)]
    )
    def test_keys_in_the_cache(self, queries, keys, first):
        q, k = draw(2, queries, 4), draw(2, keys, 4)
        for window in (None, 2):
            for mask in (None, torch.arange(keys) != 1):
                seen = causal(queries, keys, first, window) & (torch.ones(keys).bool() if mask is None else mask)
                maps = of([q], [k], causal=True, first_query=first, window=window, mask=mask)
                agree(maps, 0, 0, written_out(q[0], k[0], visible=seen))
                assert maps.layers[0].mask.offset == (keys - queries if first is None else first)

    def test_a_place_without_a_rule_is_kept(self):
        q, k = draw(2, 2, 4), draw(2, 9, 4)
        for mask in (None, torch.arange(9) != 1):
            assert of([q], [k], first_query=3, mask=mask).layers[0].mask.offset == 3

    def test_a_row_that_sees_nothing_is_zero(self):
        maps = of([draw(1, 3, 4)], [draw(1, 3, 4)], causal=True, mask=torch.tensor([False, True, True]))
        assert maps.weights(0, 0)[0].tolist() == [0, 0, 0]


class TestArrays:
    Q, K = draw(3, 2, 4, 6, 8), draw(3, 2, 2, 6, 8)  # layers, batch, heads, tokens, width

    @pytest.mark.parametrize("layout", ["LBHND", "LBNHD", "NBDHL", "DNHLB"])
    def test_axes_land_where_the_layout_says(self, layout):
        order = ["LBHND".index(axis) for axis in layout]
        maps = of(self.Q.permute(order), self.K.permute(order), layout=layout, example=1, causal=True)
        assert (maps.heads, maps.n_queries) == ((4, 4, 4), 6)
        agree(maps, 2, 3, written_out(self.Q[2, 1, 3], self.K[2, 1, 1], visible=causal(6, 6)))

    def test_layouts_with_fewer_letters(self):
        q, k = self.Q[:, 0], self.K[:, 0]
        expected = written_out(q[1, 0], k[1, 0])
        agree(of(q, k, layout="LHND"), 1, 0, expected)
        agree(of(q[1], k[1], layout="HND"), 0, 0, expected)
        agree(of(q[:, 0], k[:, 0], layout="LND"), 1, 0, expected)
        agree(of(q[1, 0], k[1, 0], layout="ND"), 0, 0, expected)
        turned = [x.transpose(0, 1) for x in q], [x.transpose(0, 1) for x in k]
        agree(of(*turned, layout="NHD"), 1, 0, expected)
        agree(of(*turned, layout="LNHD"), 1, 0, expected)

    @pytest.mark.parametrize(
        "kind",
        [
            lambda x: x.numpy(), lambda x: x.tolist(), lambda x: x.double().numpy(),
            lambda x: x.numpy().copy(order="F"), lambda x: x.clone().requires_grad_(),
            lambda x: x.numpy().astype(">f4"),
        ],
    )  # fmt: skip
    def test_what_numpy_and_torch_read(self, kind):
        q, k = self.Q[0, 0], self.K[0, 0]
        agree(of(kind(q), kind(k), layout="HND"), 0, 3, written_out(q[3], k[1]))

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision_is_held_as_it_came(self, dtype):
        q, k = self.Q[0].to(dtype), self.K[0].to(dtype)
        maps = of([q], [k], example=0)
        assert maps.layers[0].q.dtype == dtype
        assert maps.layers[0].q.untyped_storage().data_ptr() == q.untyped_storage().data_ptr()
        agree(maps, 0, 3, written_out(q[0, 3], k[0, 1]))

    def test_numbers_of_two_types_meet(self):
        q, k = self.Q[0, 0], self.K[0, 0]
        for one, other in ((q.bfloat16(), k), (q, k.double()), (q.half(), k.bfloat16())):
            agree(of([one], [other]), 0, 3, written_out(one[3], other[1]))

    @pytest.mark.skipif(not importlib.util.find_spec("ml_dtypes"), reason="ml_dtypes, numpy's bfloat16, is missing")
    def test_bfloat16_of_numpy(self):
        import ml_dtypes

        q, k = (x.numpy().astype(ml_dtypes.bfloat16) for x in (self.Q[0, 0], self.K[0, 0]))
        for order in (slice(None), slice(None, None, -1)):
            maps = of([q[order]], [k[order]])
            assert maps.layers[0].q.dtype == torch.bfloat16
            assert np.array_equal(maps.layers[0].q.float().numpy(), q[order].astype(np.float32))

    def test_an_array_that_numpy_cannot_take(self):
        """As of MLX in bfloat16: it has the protocol for tensors, and numpy fails on it."""

        class Foreign:
            def __init__(self, tensor):
                self.tensor = tensor

            def __array__(self, *args, **kwargs):
                raise ValueError("'bfloat16' is not a valid PEP 3118 buffer format string")

            def __dlpack__(self, **options):
                return self.tensor.__dlpack__()

            def __dlpack_device__(self):
                return self.tensor.__dlpack_device__()

        q, k = self.Q[0, 0].bfloat16(), self.K[0, 0].bfloat16()
        agree(of([Foreign(q)], [Foreign(k)]), 0, 3, written_out(q[3], k[1]))

    def test_names_are_kept_in_the_order_of_their_numbers(self):
        q = {f"layers.{i}.q": self.Q[j, 0] for j, i in ((2, 10), (0, 0), (1, 2))}
        k = {f"layers.{i}.k": self.K[j, 0] for j, i in ((1, 2), (0, 0), (2, 10))}
        maps = of(q, k)
        assert maps.layer_names == ("layers.0.q", "layers.2.q", "layers.10.q")
        agree(maps, 2, 3, written_out(self.Q[2, 0, 3], self.K[2, 0, 1]))


class TestTokens:
    def test_queries_take_their_labels_from_the_keys(self):
        q, k = draw(2, 2, 4), draw(2, 14, 4)
        maps = of([q], [k], causal=True, key_tokens=WORDS)
        assert maps.tokens.labels == ("ball", "to")
        assert maps.key_tokens.labels == tuple(WORDS)
        assert of([q], [k], first_query=1, key_tokens=WORDS).tokens.labels == ("Lily", "and")
        assert of([q], [k], causal=True).tokens.labels == ("12", "13")
        assert of([q], [k]).tokens.labels == ("0", "1")

    def test_one_text_on_both_axes(self):
        maps = of([draw(2, 14, 4)], [draw(2, 14, 4)], tokens=WORDS)
        assert maps.key_tokens is maps.tokens

    def test_labels_tell_tokens_from_heads(self):
        q, k = draw(14, 4, 8), draw(14, 4, 8)
        with pytest.raises(ValueError, match=r"labels for 14 queries.*layout='NHD'"):
            of([q], [k], tokens=WORDS)
        assert of([q], [k], tokens=WORDS, layout="NHD").heads == (4,)


ONE = draw(2, 5, 4)


@pytest.mark.parametrize(
    ("q", "k", "options", "error", "words"),
    [
        (draw(2, 5, 4), draw(2, 5, 4), {}, ValueError, r"q has shape.*more than one way.*N tokens, D width"),
        (draw(1, 2, 5, 4), draw(1, 2, 5, 4), {}, ValueError, r"more than one way.*'BNHD'.*'NHD'"),
        ([draw(5, 4)], [draw(5, 4)], {}, ValueError, r"q\[0\] has shape.*more than one way"),
        ([draw(14, 8, 4)], [draw(14, 2, 4)], {}, ValueError, r"8 heads that share 2, and 14 tokens.*'HND'.*'NHD'"),
        ([draw(14, 6, 4)], [draw(9, 6, 4)], {}, ValueError, r"14 heads.*divides it.*layout='NHD'"),
        ([draw(3, 5, 4)], [draw(2, 5, 4)], {"layout": "HND"}, ValueError, r"3 heads x 5 tokens.*divides it\.$"),
        ([ONE], [draw(2, 5, 6)], {}, ValueError, r"width 4 and k.*width 6; expected the same width"),
        ([ONE, ONE], [ONE], {}, ValueError, "q holds 2 layers and k 1"),
        ([draw(2, 2, 5, 4)], [draw(2, 2, 5, 4)], {}, ValueError, r"batch of 2 examples.*example=0.*If its axes are"),
        ([draw(2, 2, 5, 4)], [draw(2, 2, 5, 4)], {"layout": "BHND"}, ValueError, r"Choose it with example=0"),
        ([ONE], [ONE], {"layout": "HQD"}, ValueError, r"is no layout.*N and D among them"),
        ([ONE], [ONE], {"layout": "BHND"}, ValueError, "3 dimensions"),
        ([ONE], [ONE], {"example": 0}, ValueError, "no batch"),
        ([torch.zeros(2, 0, 4)], [ONE], {}, ValueError, r"q\[0\] is empty: heads, tokens, width are"),
        (draw(0, 2, 5, 4), draw(0, 2, 5, 4), {"layout": "LHND"}, ValueError, "q is empty"),
        ([ONE.int()], [ONE], {}, TypeError, r"q\[0\] holds torch.int32; expected floating-point"),
        (None, ONE, {}, TypeError, "q is NoneType"),
        ([], [], {}, ValueError, "q is empty"),
        ([ONE], {}, {}, ValueError, "k is an empty dict"),
        ([ONE], [draw(2, 3, 4)], {"causal": True}, ValueError, r"5 queries and 3 keys.*cross-attention"),
        ([ONE], [ONE], {"first_query": 1}, ValueError, "0 to 0"),
        ([ONE], [draw(2, 3, 4)], {"first_query": 0}, ValueError, "no places among 3 keys"),
        ([ONE], [ONE], {"first_query": 0.5}, TypeError, "whole number"),
        ([ONE], [ONE], {"window": 3}, ValueError, r"causal=True too"),
        ([ONE], [ONE], {"window": 0, "causal": True}, ValueError, "itself included"),
        ([ONE], [ONE], {"window": [1, 2], "causal": True}, ValueError, "window holds 2 entries and there are 1"),
        ([ONE], [ONE], {"scaling": 0}, ValueError, "above 0"),
        ([ONE], [ONE], {"scaling": math.nan}, ValueError, "scaling is nan"),
        ([ONE], [ONE], {"scaling": "8"}, TypeError, "scaling is str"),
        ([ONE], [ONE], {"softcap": -5}, ValueError, "softcap is -5"),
        ([ONE], [ONE], {"sinks": draw(3)}, ValueError, r"sinks has shape \(3,\); expected \[2\]"),
        ([ONE], [ONE], {"sinks": torch.tensor([0, math.inf])}, ValueError, "NaN or infinity"),
        ([ONE], [ONE], {"mask": torch.ones(5, 5).long()}, TypeError, r"True where a query may attend.*mask == 1"),
        ([ONE], [ONE], {"mask": torch.ones(5, 5).tril()}, ValueError, r"0 and 1 alone.*mask == 1"),
        ([ONE], [ONE], {"mask": torch.ones(5, 5).triu(1).bool()}, ValueError, r"Pass ~mask"),
        ([ONE], [ONE], {"mask": torch.zeros(5, 5).bool()}, ValueError, r"hides every key.*~mask"),
        ([ONE], [ONE], {"mask": torch.ones(5, 5).triu(2).bool(), "causal": True}, ValueError, r"together with causal"),
        ([ONE], [ONE], {"mask": torch.full((5, 5), math.nan)}, ValueError, "mask holds NaN"),
        ([ONE], [ONE], {"mask": torch.ones(4, 5).bool()}, ValueError, r"\(4, 5\); expected \[5, 5\].*\[2, 5, 5\]"),
        ([ONE], [ONE], {"mask": torch.ones(3, 5, 5).bool()}, ValueError, r"expected \[5, 5\].*\[2, 5, 5\]"),
        ([ONE], [ONE], {"mask": torch.ones(3, 1, 5, 5).bool()}, ValueError, r"a batch of 3; choose"),
        ([ONE], [ONE], {"bias": torch.full((5, 5), -math.inf)}, ValueError, "as mask="),
        ([ONE], [ONE], {"bias": torch.ones(5, 5).bool()}, TypeError, "bias holds bool"),
        ([draw(2, 1, 4)], [ONE], {"tokens": list("abcde")}, ValueError, r"as key_tokens="),
        ([ONE], [ONE], {"tokens": list("abc")}, ValueError, r"3 labels and the maps have 5 queries"),
        ([ONE], [ONE], {"tokens": "abcde"}, TypeError, "one string"),
        ({"a.0": ONE, "b.0": ONE}, [ONE, ONE], {}, ValueError, "two arrays of one number"),
    ],
)  # fmt: skip
def test_what_does_not_fit_gets_its_own_sentence(q, k, options, error, words):
    with pytest.raises(error, match=words):
        of(q, k, **options)


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_numbers_that_are_none_are_named_by_place(broken):
    q, k = draw(2, 4, 5, 4), draw(2, 2, 5, 4)
    k[1, 1, 2, 0] = broken
    with pytest.warns(AttentionWarning, match="keys of layer 1 hold NaN or infinity in heads 1"):
        maps = of(q, k, layout="LHND")
    assert any("layer 1" in note for note in maps.notes)
    assert not maps.weights(1, 1).isnan().any()
    assert maps.weights(1, 2).isnan().any()


class TestEverythingElse:
    """What is held as q and k goes wherever maps go."""

    @pytest.fixture
    def maps(self):
        q, k = [draw(4, 3, 8, seed=i) for i in range(2)], [draw(2, 14, 8, seed=i + 7) for i in range(2)]
        mask = torch.arange(14) != 3
        return of(
            q, k, causal=True, window=[None, 5], softcap=[None, 8.0], sinks=draw(2, 4), mask=mask, bias=draw(4, 1, 14),
            key_tokens=WORDS, name="decode",
        )  # fmt: skip

    def test_a_file_brings_everything_back(self, maps, tmp_path):
        back = AttentionMaps.load(maps.save(tmp_path / "run.safetensors"))
        assert (back.tokens, back.key_tokens, back.name, back.notes) == (
            maps.tokens, maps.key_tokens, maps.name, maps.notes,
        )  # fmt: skip
        for layer in range(2):
            for head in range(4):
                assert torch.equal(back.weights(layer, head), maps.weights(layer, head))
                assert torch.equal(back.scores(layer, head), maps.scores(layer, head))

    def test_a_file_of_a_wide_window(self, tmp_path):
        maps = of([draw(2, 5, 4)], [draw(2, 5, 4)], causal=True, window=4096)
        back = AttentionMaps.load(maps.save(tmp_path / "run.safetensors"))
        assert torch.equal(back.weights(0, 0), maps.weights(0, 0))

    def test_it_is_explored_summarised_and_diagnosed(self, maps):
        assert aw.explore(maps).maps
        assert len(aw.summarize(maps)) == 8
        square = of([draw(4, 14, 8)], [draw(2, 14, 8)], causal=True, tokens=WORDS)
        assert not any(finding.severity == "alarm" for finding in aw.diagnose(square))
        assert len(aw.summarize(square)) == 4

    def test_memory_grows_with_tokens_only(self):
        q, k = torch.randn(1, 2, 30_000, 8), torch.randn(1, 1, 30_000, 8)
        maps = of(q, k, layout="LHND", causal=True, window=64)
        held = sum(tensor.nbytes for layer in maps.layers for tensor in layer.tensors().values())
        assert held == q.nbytes + k.nbytes
        row = maps.layers[0].weights(slice(0, 1), torch.tensor([29_999]))
        assert int((row > 0).sum()) == 64
