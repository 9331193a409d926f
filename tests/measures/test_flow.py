"""Rollout and additive relevance: on paper, by their invariants, and against the programs people compare with."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import attnwidget as aw
from attnwidget.measures.flow import additive_relevance, cross_rollout, rollout, rollout_baseline
from tests.make import matrices, projected

# Two layers of two tokens with one head. On paper: (A + I) / 2 is [[1, 0], [1/2, 1/2]] and [[3/4, 1/4], [0, 1]].
FIRST, SECOND = [[1.0, 0.0], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]
TWO = torch.tensor([[FIRST], [SECOND]])


def by_hand(a, fusion="mean", residual=0.5):
    """The definition, written out for [layers, heads, n, n]."""
    n = a.shape[-1]
    product = torch.eye(n, dtype=torch.float64)
    for layer in a.double():
        fused = layer.mean(0) if fusion == "mean" else layer.max(0).values if fusion == "max" else layer.min(0).values
        mixed = residual * torch.eye(n) + (1 - residual) * fused
        product = (mixed / mixed.sum(-1, keepdim=True)) @ product
    return product.to(a.dtype)


class TestRollout:
    def test_on_paper(self):
        expected = torch.tensor([[0.875, 0.125], [0.5, 0.5]])  # SECOND @ FIRST, the later layer on the left
        torch.testing.assert_close(rollout(TWO), expected)
        other_way = torch.tensor([[0.75, 0.25], [0.375, 0.625]])
        torch.testing.assert_close(rollout(TWO.flip(0)), other_way)

    @given(
        shape=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 9)),
        seed=st.integers(0, 10**6),
        fusion=st.sampled_from(["mean", "max", "min"]),
        residual=st.sampled_from([0.0, 0.3, 0.5, 0.9]),
    )
    @settings(deadline=None, max_examples=60)
    def test_is_what_the_definition_says(self, shape, seed, fusion, residual):
        n = shape[-1]
        a = matrices(*shape, n, seed=seed)
        value = rollout(a, fusion=fusion, residual=residual)
        torch.testing.assert_close(value, by_hand(a, fusion, residual), rtol=0, atol=1e-6)
        torch.testing.assert_close(value.sum(-1), torch.ones(n))
        mixed = rollout(a.flip(1), fusion=fusion, residual=residual)
        torch.testing.assert_close(mixed, value)

    @pytest.mark.parametrize("fusion", ["mean", "max", "min"])
    def test_half_residual_is_the_identity_added_and_rows_rescaled(self, fusion):
        a = matrices(1, 3, 5, 5).double()
        fused = {"mean": a[0].mean(0), "max": a[0].amax(0), "min": a[0].amin(0)}[fusion] + torch.eye(5)
        torch.testing.assert_close(rollout(a, fusion=fusion), fused / fused.sum(-1, keepdim=True))

    def test_identity_gives_identity_and_no_residual_the_product(self):
        assert torch.equal(rollout(torch.eye(4).expand(3, 2, 4, 4)), torch.eye(4))
        a = matrices(2, 1, 4, 4).double()
        torch.testing.assert_close(rollout(a, residual=0), a[1, 0] @ a[0, 0], rtol=1e-6, atol=1e-7)
        assert rollout(torch.ones(5, 2, 1, 1)) == 1

    def test_only_some_queries_are_rows_of_all(self):
        a = matrices(3, 2, 4, 6, 6)
        whole, levels = rollout(a), rollout(a, per_layer=True)
        torch.testing.assert_close(rollout(a, queries=[-1, 2]), whole[..., [-1, 2], :])
        torch.testing.assert_close(rollout(a, queries=3), whole[..., 3:4, :])
        assert levels.shape == (3, 2, 6, 6)
        torch.testing.assert_close(levels[-1], whole)
        torch.testing.assert_close(levels[0], rollout(a[:1]))
        torch.testing.assert_close(rollout(a, queries=[0, 5], per_layer=True), levels[..., [0, 5], :])

    def test_from_a_later_layer(self):
        a = matrices(4, 2, 5, 5)
        torch.testing.assert_close(rollout(a, start_layer=2), rollout(a[2:]))
        torch.testing.assert_close(rollout(a, start_layer=2, queries=0), rollout(a[2:])[:1])
        assert rollout(a, start_layer=1, per_layer=True).shape == (3, 5, 5)

    def test_takes_arrays_lists_and_maps(self):
        a = matrices(3, 2, 5, 5)
        expected = rollout(a)
        for same in (a.numpy(), list(a), tuple(layer.numpy() for layer in a), aw.AttentionMaps.from_arrays(list(a))):
            torch.testing.assert_close(rollout(same), expected)
        heads_differ = aw.AttentionMaps.from_arrays([a[0], a[1][:1]])
        torch.testing.assert_close(rollout(heads_differ), by_hand(a[1:2, :1]) @ by_hand(a[:1]))

    def test_maps_of_q_and_k_answer_as_their_matrices_do(self):
        maps = projected(layers=3, heads=4)
        dense = torch.stack([torch.stack([maps.weights(layer, head) for head in range(4)]) for layer in range(3)])
        torch.testing.assert_close(rollout(maps), by_hand(dense))
        torch.testing.assert_close(rollout(maps, queries=[-1]), by_hand(dense)[-1:])

    def test_rows_in_blocks_are_the_rows(self, monkeypatch):
        maps = projected(n=20)
        expected = rollout(maps), rollout(maps, queries=[3, 19], per_layer=True), rollout(maps, discard=0.3)
        monkeypatch.setattr(
            "attnwidget.measures.walk.blocks", lambda n, _: (slice(i, min(i + 3, n)) for i in range(0, n, 3))
        )
        torch.testing.assert_close(rollout(maps), expected[0])
        torch.testing.assert_close(rollout(maps, queries=[3, 19], per_layer=True), expected[1])
        torch.testing.assert_close(rollout(maps, discard=0.3), expected[2])

    @pytest.mark.parametrize("causal", [True, False])
    @pytest.mark.parametrize("n", [300, 701])
    def test_long_maps_in_several_panels(self, n, causal):
        a = matrices(3, 2, n, n, causal=causal)
        expected = by_hand(a.double()).float()
        torch.testing.assert_close(rollout(a, causal=causal), expected, rtol=1e-5, atol=1e-8)
        wanted = [n // 3, n // 2]
        torch.testing.assert_close(rollout(a, queries=wanted, causal=causal), expected[wanted], rtol=1e-5, atol=1e-8)
        whole = torch.stack([by_hand(a[: layer + 1].double()).float() for layer in range(3)])
        torch.testing.assert_close(rollout(a, causal=causal, per_layer=True), whole, rtol=1e-5, atol=1e-8)

    def test_what_stands_behind_a_mask_counts_nowhere(self):
        a = matrices(2, 3, 9, 9)  # made without a mask
        few = 0.9 * a  # so that no row is rescaled by itself
        expected = by_hand((few * torch.ones(9, 9).tril()).double())
        with pytest.warns(aw.AttentionWarning, match="do not sum to 1"):
            torch.testing.assert_close(rollout(few.double(), causal=True), expected, rtol=0, atol=1e-12)
        hidden = torch.ones(3, 9, 9, dtype=torch.bool)
        hidden[1, :, 4] = False  # of one head alone
        shown = a / (a * hidden).sum(-1, keepdim=True) * hidden
        given = torch.where(hidden, shown, math.nan)
        torch.testing.assert_close(rollout(given, mask=hidden), by_hand(shown))

    def test_only_rows_that_are_reached_are_read(self):
        a = matrices(3, 2, 40, 40, causal=True)
        expected = rollout(a, causal=True)[[7]]
        a[:, :, 8:] = math.nan
        torch.testing.assert_close(rollout(a, queries=7, causal=True), expected)  # and nothing is warned of

    def test_rows_in_bf16_are_rescaled_head_by_head(self):
        exact = matrices(2, 4, 64, 64).bfloat16().double()
        rescaled = exact / exact.sum(-1, keepdim=True)
        torch.testing.assert_close(
            rollout(exact.bfloat16(), residual=0.0), by_hand(rescaled, residual=0.0).float(), rtol=1e-5, atol=1e-7
        )

    def test_keeps_axes_dtype_gradient_and_input(self):
        a = matrices(2, 3, 4, 5, 5).requires_grad_()
        before = a.detach().clone()
        value = rollout(a)
        (gradient,) = torch.autograd.grad(value[..., 0].sum(), a)
        assert value.shape == (3, 5, 5)
        assert value.dtype == torch.float32
        assert gradient.abs().sum() > 0
        assert gradient.isfinite().all()
        assert torch.equal(a.detach(), before)
        exact = rollout(before.double())
        assert exact.dtype == torch.float64
        torch.testing.assert_close(exact.float(), value.detach(), rtol=0, atol=1e-5)
        assert rollout(before.bfloat16()).dtype == torch.float32
        assert torch.autograd.gradcheck(
            lambda x: rollout(x.softmax(-1)), torch.randn(2, 2, 3, 3).double().requires_grad_()
        )

    def test_rows_without_mass_are_rescaled_with_the_residual(self):
        a = matrices(1, 2, 4, 4) * 0.5
        with pytest.warns(aw.AttentionWarning, match="do not sum to 1"):
            value = rollout(a)
        torch.testing.assert_close(value, by_hand(a))
        sinks = projected(sinks=torch.ones(4))
        torch.testing.assert_close(rollout(sinks).sum(-1), torch.ones(14))


class TestRowsWithoutValues:
    def padded(self, left, right, a):
        """The maps of a [layers, heads, n, n] in a longer, padded text, whose padding rows look at all there is."""
        n = left + a.shape[-1] + right
        real = slice(left, n - right)
        wide = torch.full((*a.shape[:2], n, n), 1 / n)
        wide[..., real, :] = 0
        wide[..., real, real] = a
        mask = torch.zeros(n, n, dtype=torch.bool)
        mask[real, real] = True
        return wide, mask, real

    @pytest.mark.parametrize(("left", "right"), [(0, 2), (3, 0), (2, 1)])
    def test_trimming_padding_changes_nothing(self, left, right):
        a = matrices(3, 2, 4, 4)
        wide, mask, real = self.padded(left, right, a)
        for measure in (rollout, rollout_baseline, additive_relevance):
            value = measure(wide, mask=mask)
            torch.testing.assert_close(value[real, real], measure(a))
            assert value[~mask.any(-1)].isnan().all()
            assert (value[real][:, ~mask.any(0)] == 0).all()
        queries = list(range(left, left + 4))
        torch.testing.assert_close(rollout(wide, mask=mask, queries=queries)[:, real], rollout(a))
        assert rollout(wide, mask=mask, queries=-1 if right else 0).isnan().all()

    def test_discarding_counts_real_entries(self):
        a = matrices(2, 2, 4, 4)
        wide, mask, real = self.padded(1, 2, a)
        for scope in ("matrix", "row"):
            options = {"discard": 0.4, "discard_scope": scope}
            torch.testing.assert_close(rollout(wide, mask=mask, **options)[real, real], rollout(a, **options))

    def test_nan_reaches_only_what_looks_at_it(self):
        a = matrices(2, 2, 4, 4, causal=True)
        a[0, 1, 2] = math.nan
        with pytest.warns(aw.AttentionWarning, match="layer 0, head 1"):
            value = rollout(a, causal=True)
        assert value.isnan().all(-1).tolist() == [False, False, True, True]
        clean = rollout(matrices(2, 2, 4, 4, causal=True), causal=True)
        torch.testing.assert_close(value[:2], clean[:2])
        with pytest.warns(aw.AttentionWarning):
            torch.testing.assert_close(rollout(a, queries=[0, 1, 2, 3], causal=True), value, equal_nan=True)
        a[0, 1, 2] = 0  # this head sees nothing there, and leaves it to the other
        one_head = torch.cat([a[:1, 0, 2], a[:1, 0, 2]])
        a[0, :, 2] = one_head
        expected = rollout(a, causal=True)
        a[0, 1, 2] = 0
        torch.testing.assert_close(rollout(a, causal=True), expected)

    def test_the_gradient_passes_by(self):
        a = matrices(2, 2, 4, 4)
        wide, mask, real = self.padded(1, 1, a)
        wide[..., 0, :] = math.nan  # as some attention modules fill a masked row
        wide.requires_grad_()
        rollout(wide, mask=mask)[real, real][:, 0].sum().backward()
        inner = matrices(2, 2, 4, 4).requires_grad_()
        rollout(inner)[:, 0].sum().backward()
        torch.testing.assert_close(wide.grad[..., real, real], inner.grad)
        assert wide.grad.isfinite().all()

    def test_excluded_tokens_are_disconnected(self):
        a = matrices(2, 2, 4, 4).double()
        value = rollout(a, exclude_tokens=[1])
        rest = [0, 2, 3]
        inner = a[..., rest, :][..., rest]
        torch.testing.assert_close(value[rest][:, rest], rollout(inner / inner.sum(-1, keepdim=True)))
        assert (value[rest, 1] == 0).all()
        assert value[1].isnan().all()


class TestDiscard:
    LOW = torch.tensor([[[[0.7, 0.2, 0.1], [0.05, 0.9, 0.05], [0.3, 0.3, 0.4]]]])

    def expected(self, dropped):
        fused = self.LOW[0, 0].clone()
        for cell in dropped:
            fused[cell] = 0
        fused += torch.eye(3)
        return fused / fused.sum(-1, keepdim=True)

    def test_the_lowest_of_the_matrix_or_of_each_row(self):
        matrix = self.expected([(1, 0), (1, 2), (0, 2)])
        torch.testing.assert_close(rollout(self.LOW, discard=0.39), matrix)  # floor(3.51)
        rows = self.expected([(0, 2), (1, 0), (2, 0)])  # of equal ones the first
        torch.testing.assert_close(rollout(self.LOW, discard=0.4, discard_scope="row"), rows)
        torch.testing.assert_close(rollout(self.LOW, discard=0.39, keep=[0]), self.expected([(1, 2), (0, 2)]))
        torch.testing.assert_close(rollout(self.LOW, discard=0.39, keep=[-1]), self.expected([(1, 0)]))

    def test_the_cls_column_is_kept_unless_told_otherwise(self):
        tokens = ["[CLS]", "a", "[SEP]"]
        maps = aw.AttentionMaps.from_arrays(self.LOW, tokens=tokens, layout="LHQK")
        torch.testing.assert_close(rollout(maps, discard=0.39), rollout(self.LOW, discard=0.39, keep=[0]))
        torch.testing.assert_close(rollout(maps, discard=0.39, keep=()), rollout(self.LOW, discard=0.39))

    def test_masked_entries_are_not_counted(self):
        a = matrices(1, 1, 4, 4, causal=True)
        fused = a[0, 0].clone()
        lowest = fused[fused > 0].sort().values[4]  # floor(0.5 * 10) entries are below the sixth
        fused[fused <= lowest] = 0
        expected = fused + torch.eye(4)
        torch.testing.assert_close(rollout(a, discard=0.5, causal=True), expected / expected.sum(-1, keepdim=True))

    def test_each_example_has_its_own_threshold(self):
        a = matrices(2, 3, 2, 5, 5)
        together = rollout(a, discard=0.3)
        for example in range(3):
            torch.testing.assert_close(together[example], rollout(a[:, example], discard=0.3))

    def test_the_rule_of_course_texts(self):
        a = matrices(3, 2, 5, 5)
        product = torch.eye(5)
        for layer in a:
            mixed = layer.mean(0) + torch.eye(5)
            mixed = mixed / mixed.sum(-1, keepdim=True)
            flat = mixed.flatten()
            flat[flat.topk(int(25 * 0.1), largest=False).indices] = 0
            mixed = flat.view(5, 5)
            product = mixed / mixed.sum(-1, keepdim=True) @ product
        value = rollout(a, discard=0.1, discard_after_residual=True)
        torch.testing.assert_close(value, product, rtol=0, atol=1e-6)
        # The mean of heads sums to 1, so dropping before is the same while no diagonal entry is among the lowest.
        torch.testing.assert_close(value, rollout(a, discard=0.1))

    def test_the_rule_of_course_texts_counts_masked_entries(self):
        a = matrices(1, 2, 6, 6, causal=True)
        course = rollout(a, discard=0.4, discard_after_residual=True, causal=True)
        torch.testing.assert_close(course, rollout(a, causal=True))  # 14 of 36, and 15 are masked
        assert not torch.allclose(rollout(a, discard=0.4, causal=True), course)

    def test_a_row_of_which_nothing_is_left_has_no_values(self):
        value = rollout(self.LOW, discard=0.9, residual=0)
        assert value.isnan().any(-1).tolist() == [True, False, True]


class TestVitExplain:
    def reference(self, attentions, ratio, fusion):
        """The published algorithm in our words."""
        size = attentions[0].shape[-1]
        result = torch.eye(size)
        for attention in attentions:
            fused = {"mean": attention.mean(1), "max": attention.max(1).values, "min": attention.min(1).values}[fusion]
            flat = fused.view(len(fused), -1)
            lowest = flat.topk(int(size * size * ratio), -1, False)[1]
            flat[0, lowest[lowest != 0]] = 0
            a = (fused + torch.eye(size)) / 2
            result = torch.matmul(a / a.sum(dim=-1), result)
        return result

    @pytest.mark.parametrize("fusion", ["mean", "max", "min"])
    @pytest.mark.parametrize("ratio", [0.0, 0.5, 0.9])
    def test_bit_for_bit(self, fusion, ratio):
        attentions = [matrices(1, 3, 17, 17, seed=seed) for seed in range(4)]
        expected = self.reference(attentions, ratio, fusion)
        before = [layer.clone() for layer in attentions]
        value = rollout(attentions, compat="vit-explain", fusion=fusion, discard=ratio)
        assert torch.equal(value, expected)
        assert torch.equal(
            rollout(torch.stack(attentions)[:, 0], compat="vit-explain", fusion=fusion, discard=ratio), value[0]
        )
        maps = aw.AttentionMaps.from_arrays(attentions)
        assert torch.equal(rollout(maps, compat="vit-explain", fusion=fusion, discard=ratio), value[0])
        if ratio:
            assert not torch.allclose(value.sum(-1), torch.ones(17), atol=1e-3)
        assert all(torch.equal(layer, same) for layer, same in zip(attentions, before, strict=True))

    @pytest.mark.parametrize(
        "options",
        [{"residual": 0.4}, {"queries": 0}, {"keep": [0]}, {"per_layer": True}, {"causal": True}, {"start_layer": 1}],
    )
    def test_goes_with_nothing_else(self, options):
        with pytest.raises(ValueError, match="fusion and discard alone"):
            rollout(matrices(2, 2, 3, 3), compat="vit-explain", **options)

    def test_takes_one_example(self):
        with pytest.raises(ValueError, match="one example"):
            rollout(matrices(2, 3, 2, 3, 3), compat="vit-explain")


class TestBaseline:
    def test_is_the_rollout_of_uniform_heads(self):
        uniform = (torch.ones(5, 5).tril() / torch.arange(1, 6)[:, None]).expand(4, 2, 5, 5)
        value = rollout_baseline(matrices(4, 2, 5, 5, causal=True), causal=True)
        torch.testing.assert_close(value, rollout(uniform, causal=True))
        torch.testing.assert_close(rollout_baseline(projected(n=5, layers=4), queries=-1), value[-1:])

    def test_of_a_causal_model_ends_at_token_0(self):
        value = rollout_baseline(matrices(60, 1, 5, 5, causal=True), causal=True)
        assert (value[:, 0] > 0.99).all()


class TestCrossRollout:
    def test_by_hand(self):
        decoder, cross, encoder = matrices(2, 2, 3, 3, causal=True), matrices(2, 2, 3, 4), matrices(3, 2, 4, 4)
        expected = by_hand(decoder) @ cross[-1].mean(0) @ by_hand(encoder)
        value = cross_rollout(decoder, cross, encoder)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(value.sum(-1), torch.ones(3))
        torch.testing.assert_close(
            cross_rollout(decoder, cross, encoder, layer=0), by_hand(decoder) @ cross[0].mean(0) @ by_hand(encoder)
        )

    def test_padding_of_the_source_reaches_nothing(self):
        decoder, cross, encoder = matrices(2, 2, 3, 3, causal=True), matrices(2, 2, 3, 4), matrices(3, 2, 4, 4)
        real = torch.tensor([True, True, True, False])
        shut = {"encoder_mask": real[:, None] & real, "cross_mask": real.expand(3, 4)}
        cross = cross * real / (cross * real).sum(-1, keepdim=True)
        encoder = encoder * real / (encoder * real).sum(-1, keepdim=True)
        value = cross_rollout(decoder, cross, encoder, **shut)
        torch.testing.assert_close(value[:, :3], cross_rollout(decoder, cross[..., :3], encoder[..., :3, :3]))
        assert (value[:, 3] == 0).all()

    def test_parts_that_do_not_fit(self):
        with pytest.raises(ValueError, match="the decoder has 3 tokens and the encoder 5"):
            cross_rollout(matrices(1, 1, 3, 3), matrices(1, 1, 3, 4), matrices(1, 1, 5, 5))
        with pytest.raises(ValueError, match="batches"):
            cross_rollout(matrices(1, 2, 1, 3, 3), matrices(1, 1, 3, 4), matrices(1, 1, 4, 4))
        with pytest.raises(ValueError, match="layer names layer 2; there are layers 0 to 0"):
            cross_rollout(matrices(1, 1, 3, 3), matrices(1, 1, 3, 4), matrices(1, 1, 4, 4), layer=2)


class TestAdditiveRelevance:
    def test_is_rollout_times_a_power_of_two(self):
        a = matrices(5, 3, 6, 6).double()
        a = a / a.sum(-1, keepdim=True)
        torch.testing.assert_close(additive_relevance(a, output="raw"), 2**5 * rollout(a), rtol=0, atol=1e-13)
        torch.testing.assert_close(additive_relevance(a, output="normalized"), rollout(a), rtol=0, atol=1e-13)
        torch.testing.assert_close(additive_relevance(a), additive_relevance(a, output="raw") - torch.eye(6))
        torch.testing.assert_close(additive_relevance(a, output="raw", start_layer=3), 4 * rollout(a[3:]))

    def test_on_paper(self):
        assert torch.equal(additive_relevance(TWO), torch.tensor([[2.5, 0.5], [2.0, 1.0]]))

    def test_mass_that_is_missing_stays_missing(self):
        a = matrices(1, 2, 4, 4) * 0.5
        with pytest.warns(aw.AttentionWarning, match="do not sum to 1"):
            torch.testing.assert_close(additive_relevance(a), a[0].mean(0))

    def test_differentiable(self):
        a = matrices(2, 2, 3, 3).requires_grad_()
        additive_relevance(a)[0, 1].backward()
        assert a.grad.abs().sum() > 0


class TestBadInput:
    @pytest.mark.parametrize("measure", [rollout, rollout_baseline, additive_relevance])
    @pytest.mark.parametrize(
        ("a", "options", "error", "words"),
        [
            (matrices(3, 3), {}, ValueError, r"shape \(3, 3\); expected \[layers, heads"),
            (matrices(2, 3, 3), {}, ValueError, r"a\[None\]"),
            (matrices(2, 2, 3, 4), {}, ValueError, "3 queries x 4 keys; .* square"),
            ([], {}, ValueError, "empty"),
            ([matrices(2, 3, 3), matrices(2, 4, 4)], {}, ValueError, "different length"),
            ([matrices(2, 3, 3), matrices(3, 3, 3)], {}, ValueError, "different shape"),
            ([matrices(3, 3)], {}, ValueError, r"a\[0\] has shape \(3, 3\)"),
            ([1.0, 2.0], {}, TypeError, r"a\[0\] is float"),
            ("attention", {}, TypeError, "a is str"),
            (torch.ones(2, 2, 3, 3, dtype=torch.int32), {}, TypeError, "torch.int32"),
            (torch.randn(2, 2, 3, 3), {}, ValueError, "apply softmax"),
            (matrices(2, 2, 3, 3), {"start_layer": 2}, ValueError, "start_layer=2; there are layers 0 to 1"),
            (matrices(2, 2, 3, 3), {"start_layer": -1}, ValueError, "start_layer=-1"),
            (matrices(2, 2, 3, 3), {"mask": torch.ones(2, 3, dtype=torch.bool)}, ValueError, "mask has shape"),
            (matrices(2, 2, 3, 3), {"exclude_tokens": "special"}, ValueError, "exclude_tokens"),
            (projected(3), {"causal": True}, ValueError, "for bare arrays"),
        ],
    )
    def test_of_all(self, measure, a, options, error, words):
        with pytest.raises(error, match=words):
            measure(a, **options)

    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"fusion": "median"}, ValueError, "'mean', 'max' or 'min'"),
            ({"residual": 1.0}, ValueError, "residual=1.0"),
            ({"discard": -0.1}, ValueError, "discard=-0.1"),
            ({"discard_scope": "layer"}, ValueError, "'matrix' or 'row'"),
            ({"keep": [3]}, ValueError, "keep names token 3; there are tokens 0 to 2"),
            ({"queries": [0, -4]}, ValueError, "queries names token -4"),
            ({"queries": 1.5}, TypeError, "queries=1.5 is float"),
            ({"compat": "captum"}, ValueError, "compat='captum'"),
        ],
    )
    def test_of_rollout(self, options, error, words):
        with pytest.raises(error, match=words):
            rollout(matrices(2, 2, 3, 3), **options)

    def test_of_relevance(self):
        with pytest.raises(ValueError, match="output='rows'"):
            additive_relevance(matrices(2, 2, 3, 3), output="rows")


def test_numpy_in_torch_out():
    value = rollout(np.stack([FIRST, SECOND])[:, None])
    assert isinstance(value, torch.Tensor)
    assert value.dtype == torch.float64
