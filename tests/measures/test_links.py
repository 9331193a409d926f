"""Word alignments and their error rate: by hand and at the edges."""

from __future__ import annotations

import math

import pytest
import torch

import attnwidget as aw
from attnwidget.measures.links import align, alignment_error_rate
from tests.make import matrices

# The decoder read <s>, "das", "Haus" and looked at "the", "house", </s>.
C = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.1, 0.2, 0.7]])


class TestAlign:
    def test_a_row_stands_for_the_token_it_predicts_or_for_the_one_it_read(self):
        words = {"target_words": [None, 0, 1], "source_words": [0, 1, None]}
        assert align(C, **words) == {(0, 0), (1, 1)}
        assert align(C, **words, setting="input") == {(1, 0), (1, 1)}
        assert align(C) == {(0, 1), (1, 2)}  # without words: positions in the decoder's input
        assert align(C, setting="input") == {(0, 0), (1, 1), (2, 2)}

    def test_pieces_of_a_source_word_add_up_and_those_of_a_target_word_are_averaged(self):
        c = torch.tensor([[0.4, 0.3, 0.3], [0.1, 0.1, 0.8], [0.9, 0.05, 0.05]])
        assert align(c, setting="input") == {(0, 0), (2, 1), (0, 2)}
        assert align(c, setting="input", source_words=[0, 1, 1]) == {(1, 0), (1, 1), (0, 2)}
        # The mean of the first two rows is 0.25, 0.2, 0.55, that of all 0.47, 0.15, 0.38.
        assert align(c, setting="input", target_words=[0, 0, 1]) == {(2, 0), (0, 1)}
        assert align(c, setting="input", target_words=[5, 5, 5]) == {(0, 5)}

    def test_tokens_that_are_no_word_get_no_link(self):
        assert align(C, setting="input", source_words=[-1, 0, None], target_words=[-1, 0, 1]) == {(0, 0), (0, 1)}
        assert align(C, source_words=[None] * 3) == set()
        nothing_left = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
        assert align(nothing_left, setting="input", source_words=[0, None]) == {(0, 1)}

    def test_the_end_token_can_be_left_out(self):
        sink = torch.tensor([[0.3, 0.0, 0.7], [0.0, 0.2, 0.8]])
        assert align(sink, setting="input") == {(2, 0), (2, 1)}
        assert align(sink, setting="input", exclude_source=[-1]) == {(0, 0), (1, 1)}

    def test_rows_without_values_get_no_link(self):
        c = C.clone()
        c[1] = 0
        assert align(c, setting="input") == {(0, 0), (2, 2)}
        assert align(torch.ones(1, 3) / 3) == set()  # one row, which predicts what is not in the input

    def test_numpy_and_the_input_unchanged(self):
        before = C.clone()
        assert align(C.double().numpy(), exclude_source=[2]) == {(0, 1), (1, 2)}
        assert torch.equal(C, before)

    @pytest.mark.parametrize(
        ("c", "options", "error", "words"),
        [
            (matrices(2, 3, 3), {}, ValueError, r"shape \(2, 3, 3\); align takes one map"),
            (aw.AttentionMaps.from_arrays(matrices(3, 4)), {}, ValueError, r"maps.weights\(layer, head\)"),
            ("C", {}, TypeError, "c is str"),
            (C, {"setting": "awo"}, ValueError, "setting='awo'"),
            (C, {"source_words": [0, 1]}, ValueError, "source_words has 2 entries and c has 3"),
            (C, {"target_words": [0] * 4}, ValueError, "target_words has 4 entries"),
            (C, {"exclude_source": [3]}, ValueError, "exclude_source names token 3"),
        ],
    )
    def test_bad_input(self, c, options, error, words):
        with pytest.raises(error, match=words):
            align(c, **options)


class TestAlignmentErrorRate:
    FOUND, SURE, POSSIBLE = {(0, 0), (1, 2), (2, 1)}, {(0, 0), (2, 2)}, {(0, 0), (2, 2), (1, 2)}

    def test_by_hand(self):
        assert alignment_error_rate(self.FOUND, self.SURE, self.POSSIBLE) == pytest.approx(1 - (1 + 2) / (3 + 2))
        assert alignment_error_rate(self.SURE, self.SURE, self.POSSIBLE) == 0
        assert alignment_error_rate({(9, 9)}, self.SURE, self.POSSIBLE) == 1
        assert alignment_error_rate(self.FOUND, self.SURE) == pytest.approx(1 - 2 / 5)

    def test_of_a_corpus_sums_the_counts(self):
        pairs = [self.FOUND, {(0, 0)}], [self.SURE, {(0, 0)}], [self.POSSIBLE, {(0, 0)}]
        corpus = alignment_error_rate(*pairs)
        assert corpus == pytest.approx(1 - (1 + 2 + 1 + 1) / (3 + 2 + 1 + 1))
        mean = sum(alignment_error_rate(*sentence) for sentence in zip(*pairs, strict=True)) / 2
        assert corpus != pytest.approx(mean)

    def test_of_nothing_is_not_a_number(self):
        assert math.isnan(alignment_error_rate(set(), set(), {(0, 0)}))
        assert math.isnan(alignment_error_rate([], [], []))
        assert alignment_error_rate(set(), {(0, 0)}) == 1

    def test_bad_input(self):
        with pytest.raises(ValueError, match=r"not in possible: \[\(2, 2\)\] in sentence 0"):
            alignment_error_rate(self.FOUND, self.SURE, {(0, 0)})
        with pytest.raises(ValueError, match="'links': 2, 'sure': 1"):
            alignment_error_rate([set(), set()], [set()], [set()])
        with pytest.raises(TypeError, match="links holds tuple"):
            alignment_error_rate([(0, 0)], self.SURE)
