"""One run less another, and two runs on the tokens that they have in common."""

from __future__ import annotations

import pytest
import torch

import attnwidget as aw
from attnwidget.layers import DenseLayer
from attnwidget.lenses.difference import matched
from attnwidget.tokens import Span, Tokens
from tests.lenses.kinds import KINDS, N, dense, maps_of, without_by_hand
from tests.make import matrices, projected


def run(words, seed=0, causal=True):
    """Maps of some words, with q and k that each token brings with it."""
    maps = projected(len(words), seed=seed, causal=causal, dtype=torch.float64)
    return aw.AttentionMaps(maps.layers, Tokens.from_labels(words))


class TestDifference:
    def test_is_the_weights_of_one_less_those_of_the_other(self):
        a, b = projected(14), projected(14, seed=1)
        difference = a - b
        torch.testing.assert_close(difference.weights(2, 3), a.weights(2, 3) - b.weights(2, 3))
        torch.testing.assert_close(difference.weights(-1, -1), difference.weights(2, 3))
        assert difference.weights(0, 0).sum(-1).abs().max() < 1e-6
        assert difference.weights(0, 0).abs().max() <= 1
        assert (difference.n_layers, difference.heads, len(difference.tokens)) == (3, (4, 4, 4), 14)
        assert "3 layers x 4 heads, 14 queries x 14 keys in common" in repr(difference)
        with pytest.raises(IndexError, match="layer 3"):
            difference.weights(3, 0)

    def test_of_a_run_and_itself_is_zero(self):
        maps = projected(14)
        assert not (maps - maps).weights(1, 1).any()

    def test_of_queries_and_keys_and_matrices_of_another_precision(self):
        a = projected(9, dtype=torch.bfloat16)
        b = aw.AttentionMaps([DenseLayer(matrices(4, 9, 9, causal=True).double())] * 3, a.tokens)
        torch.testing.assert_close((a - b).weights(0, 0), a.weights(0, 0) - b.weights(0, 0).float())

    def test_stands_on_the_tokens_in_common(self):
        a, b = run(["the", "cat", "sat", "on", "a", "mat"]), run(["then", "the", "old", "cat", "sat"], seed=1)
        difference = a - b
        assert difference.tokens.labels == ("the", "cat", "sat")
        first, _ = without_by_hand(*dense(a), [0, 1, 2], [0, 1, 2])
        second, _ = without_by_hand(*dense(b), [1, 3, 4], [1, 3, 4])
        torch.testing.assert_close(difference.weights(2, 1), first[1] - second[1])

    def test_composes_with_other_lenses(self):
        a, b = maps_of(KINDS["causal"]), maps_of(KINDS["window"])
        words = (a.words() - b.words()).weights(0, 0)
        torch.testing.assert_close(words, a.words().weights(0, 0) - b.words().weights(0, 0))
        pieces = a.mean_of_heads() - b.without(special=True).mean_of_heads()
        assert len(pieces.tokens) == N - 4

    @pytest.mark.parametrize(
        ("other", "words"),
        [
            (projected(14, layers=2), "other layers or heads cannot be compared: 3 x 4 came, and 2 x 4"),
            (projected(14, heads=2), "3 x 4 came, and 3 x 2"),
            (run(["x", "y", "z"]), r"no token in common: one begins '<s> Lily and Ben', the other 'x y z'"),
        ],
    )
    def test_of_runs_that_cannot_be_compared_is_refused(self, other, words):
        with pytest.raises(ValueError, match=words):
            _ = projected(14) - other

    def test_of_maps_and_something_else_is_refused(self):
        with pytest.raises(TypeError, match="unsupported operand"):
            _ = projected(14) - 1


class TestMatched:
    def test_runs_on_the_same_tokens_are_given_back(self):
        a, b = projected(14), projected(14, seed=1)
        assert matched(a, b) == (a, b)

    def test_runs_on_others_have_the_same_axes(self):
        a, b = run([*"abcde"], causal=False), run([*"bxdefg"], causal=False)
        first, second = matched(a, b)
        assert first.tokens.labels == second.tokens.labels == ("b", "d", "e")
        assert (first.tokens.origins, second.tokens.origins) == ((1, 3, 4), (0, 2, 3))
        assert "3 of 5 tokens are shown, those in common with the other run" in first.notes[-1]
        assert first.scores(0, 0).shape == (3, 3)
        found = aw.measures.compare(first, second)
        expected = aw.measures.compare(a, b, aligned=aw.measures.align_tokens(a, b))
        torch.testing.assert_close(found.divergence, expected.divergence)
        assert found.ranked == expected.ranked

    def test_a_run_that_is_all_in_the_other_stays_as_it_is(self):
        a, b = run(["b", "c"]), run(["a", "b", "c", "d"])
        first, second = matched(a, b)
        assert first is a
        assert second.tokens.labels == ("b", "c")

    def test_queries_and_keys_of_two_texts_are_matched_each(self):
        def cross(queries, keys, seed):
            weights = matrices(2, len(queries), len(keys), seed=seed)
            return aw.AttentionMaps(
                [DenseLayer(weights)], [*queries], Tokens.from_labels([*keys]).with_spans(Span("s", 0, 2))
            )

        first, second = matched(cross("abc", "wxyz", 0), cross("bc", "xyzw", 1))
        assert (first.tokens.labels, first.key_tokens.labels) == (("b", "c"), ("x", "y", "z"))
        assert (second.tokens.labels, second.key_tokens.labels) == (("b", "c"), ("x", "y", "z"))
        assert first.key_tokens.spans == (Span("s", 0, 1),)

    def test_queries_that_stand_at_the_end_of_their_keys_go_with_these(self):
        keys = Tokens.from_labels([f"t{i}" for i in range(N)])
        maps = aw.AttentionMaps([KINDS["offset"]], keys[9:], keys)
        first, second = matched(maps, maps.without(tokens=[2, 12]))
        assert first.tokens.labels == second.tokens.labels
        assert (first.n_queries, first.n_keys) == (14, 22)
        assert first.layers[0].mask.additive is None
