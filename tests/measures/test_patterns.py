"""Patterns and head scores: by hand, against other people's code, and at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.measures import entropy, head_scores, pattern_labels, pattern_report, pattern_scores
from tests.make import matrices, projected

UNIFORM = torch.ones(6, 6).tril() / torch.arange(1, 7)[:, None]


class TestPatternScores:
    def test_by_hand(self):
        # Query 1 splits, query 2 looks back at 1, query 3 at 0.
        weights = torch.tensor([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0.75, 0.25, 0], [1.0, 0, 0, 0]])
        scores = pattern_scores(weights, causal=True)
        assert scores["diagonal"] == pytest.approx((0.5 + 0.25 + 0) / 3)  # row 0 is everything at once: left out
        assert scores["previous"] == pytest.approx((0.5 + 0.75 + 0) / 3)
        assert scores["first"] == pytest.approx((0.5 + 0 + 1) / 3)
        assert scores["next"].isnan()
        assert scores["diagonal_baseline"] == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)

    @pytest.mark.parametrize(("name", "shift"), [("diagonal", 0), ("previous", -1), ("next", 1)])
    def test_an_ideal_head_gets_one(self, name, shift):
        weights = torch.full((5, 5), 0.2)
        for query in range(5):
            if 0 <= query + shift < 5:
                weights[query] = torch.eye(5)[query + shift]
        assert pattern_scores(weights)[name] == 1
        assert pattern_labels(weights).labels == (name,)

    def test_a_uniform_head_gets_its_baseline(self):
        scores = pattern_scores(UNIFORM, causal=True)
        for name in ("diagonal", "previous", "first", "uniform", "sparse"):
            torch.testing.assert_close(scores[name], scores[f"{name}_baseline"], atol=1e-6, rtol=0)
        assert pattern_labels(UNIFORM, causal=True).labels == ("uniform",)

    def test_sparsity_by_hand(self):
        one, half = torch.eye(4), torch.tensor([[0.5, 0.5, 0, 0]]).expand(4, 4)
        assert pattern_scores(one)["sparse"] == 1
        assert pattern_scores(half)["sparse"] == pytest.approx((2 - math.sqrt(2)) / (2 - 1))
        assert pattern_scores(half, sparsity="share")["sparse"] == 0.5

    def test_uniform_is_the_normalised_entropy(self):
        weights = matrices(3, 8, 8, causal=True)
        torch.testing.assert_close(
            pattern_scores(weights, causal=True)["uniform"],
            entropy(weights, normalize=True, reduce="queries", causal=True),
        )

    def test_left_padding_moves_the_first_token(self):
        real = matrices(4, 4, causal=True)
        weights, mask = torch.full((6, 6), 1 / 6), torch.zeros(6, 6, dtype=torch.bool)
        weights[2:] = 0
        weights[2:, 2:], mask[2:, 2:] = real, torch.ones(4, 4).tril().bool()
        padded, bare = pattern_scores(weights, mask=mask), pattern_scores(real, causal=True)
        for name in bare:
            if not name.startswith("next"):
                torch.testing.assert_close(padded[name], bare[name])

    def test_excluded_tokens_are_as_if_they_were_not_there(self):
        weights = matrices(2, 6, 6)
        rest = weights[:, 1:5, 1:5] / weights[:, 1:5, 1:5].sum(-1, keepdim=True)
        found, expected = pattern_scores(weights, exclude_tokens=[0, -1]), pattern_scores(rest)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value)

    def test_special_tokens_by_name(self):
        maps = projected()  # its first token is <s>
        found = pattern_scores(maps, exclude_tokens="special")["diagonal"]
        torch.testing.assert_close(found, pattern_scores(maps, exclude_tokens=[0])["diagonal"])
        with pytest.raises(ValueError, match="'special' for maps"):
            pattern_scores(matrices(3, 3), exclude_tokens="special")

    def test_maps_answer_as_their_matrices_do(self):
        maps = projected()
        found = pattern_scores(maps)
        stacked = torch.stack([maps.weights(2, head) for head in range(4)])
        for name, value in pattern_scores(stacked, causal=True).items():
            torch.testing.assert_close(found[name][2], value, equal_nan=True)

    def test_bad_input(self):
        with pytest.raises(ValueError, match="sparsity='gini'"):
            pattern_scores(matrices(3, 3), sparsity="gini")
        with pytest.raises(ValueError, match="needs self-attention"):
            pattern_scores(matrices(3, 4))


class TestPatternLabels:
    def test_keeps_the_axes_and_says_its_thresholds(self):
        weights = torch.stack([torch.eye(5), torch.full((5, 5), 0.2), matrices(5, 5)]).expand(2, 3, 5, 5)
        found = pattern_labels(weights, {"uniform": 0.99})
        assert found.labels == [[("diagonal",), ("uniform",), ("mixed",)]] * 2
        assert found.thresholds["uniform"] == 0.99
        assert found.thresholds["diagonal"] == 0.5

    def test_heads_that_do_not_exist_have_none(self):
        maps = aw.AttentionMaps.from_arrays([matrices(1, 4, 4), torch.eye(4).expand(2, 4, 4)])
        assert pattern_labels(maps).labels == [[("mixed",), ()], [("diagonal",), ("diagonal",)]]

    def test_bad_input(self):
        with pytest.raises(ValueError, match="names 'diag'; expected some of diagonal"):
            pattern_labels(matrices(3, 3), {"diag": 0.5})
        with pytest.raises(ValueError, match=r"thresholds\['next'\]=2"):
            pattern_labels(matrices(3, 3), {"next": 2})


class TestPatternReport:
    def test_as_courses_compute_it(self):
        weights = matrices(2, 7, 7).double()
        found = pattern_report(weights, threshold=0.3)
        array = weights.numpy()
        for head in range(2):
            one = array[head]
            assert found["diagonal"][head] == pytest.approx(np.diag(one).mean())
            assert found["first"][head] == pytest.approx(one[:, 0].mean())
            assert found["previous"][head] == pytest.approx(np.diag(one, -1).mean())
            assert found["deviation"][head] == pytest.approx(one.std())
            assert found["sparsity"][head] == pytest.approx(1 - (one > 0.3).mean())
            assert found["entropy"][head] == pytest.approx(-(one * np.log(one + 1e-10)).sum(-1).mean(), abs=1e-6)
        assert found["max_entropy"][0] == pytest.approx(math.log(7))
        assert pattern_report(weights, correction=1)["deviation"][0] == pytest.approx(array[0].std(ddof=1))

    def test_padding_changes_nothing(self):
        real = matrices(5, 5)
        weights, mask = torch.full((8, 8), 1 / 8), torch.zeros(8, 8, dtype=torch.bool)
        weights[3:], weights[3:, 3:], mask[3:, 3:] = 0, real, True
        padded = pattern_report(weights, mask=mask)
        for name, value in pattern_report(real).items():
            torch.testing.assert_close(padded[name], value)

    def test_its_tests(self):
        diagonal, flat = pattern_report(torch.eye(8)), pattern_report(torch.full((8, 8), 1 / 8))
        assert diagonal["is_diagonal"]
        assert not diagonal["is_uniform"]
        assert flat["is_uniform"]
        assert not flat["is_diagonal"]

    def test_bad_input(self):
        with pytest.raises(ValueError, match="threshold=-1"):
            pattern_report(matrices(3, 3), threshold=-1)
        with pytest.raises(ValueError, match="correction=2"):
            pattern_report(matrices(3, 3), correction=2)
        with pytest.raises(ValueError, match="square"):
            pattern_report(matrices(3, 4))


class TestHeadScores:
    IDS = (7, 1, 2, 3, 1, 2, 3)

    def ideal(self, pairs):
        weights = torch.zeros(7, 7)
        weights[:, 0] = 1
        for query, key in pairs:
            weights[query] = torch.eye(7)[key]
        return weights

    def test_an_ideal_head_gets_one(self):
        induction = self.ideal([(4, 2), (5, 3), (6, 4)])
        duplicate = self.ideal([(4, 1), (5, 2), (6, 3)])
        previous = self.ideal([(i, i - 1) for i in range(1, 7)])
        scores = head_scores(torch.stack([induction, duplicate, previous]), self.IDS)
        assert scores["induction"].tolist() == [1, 0, 0]
        assert scores["duplicate"].tolist() == [0, 1, 0]
        assert scores["previous"].tolist() == pytest.approx([1 / 6, 1 / 6, 1])  # row 1 of each looks at token 0

    def test_rows_without_values_do_not_count(self):
        weights = self.ideal([(i, i - 1) for i in range(1, 7)])
        weights[3], weights[5] = 0, math.nan
        with pytest.warns(aw.AttentionWarning, match="NaN"):
            assert head_scores(weights, self.IDS)["previous"] == 1

    def test_equal_neighbours_put_induction_on_the_diagonal(self):
        assert head_scores(torch.eye(3), (5, 5, 6))["induction"] == 1

    def test_nothing_repeats(self):
        scores = head_scores(torch.eye(3), (1, 2, 3))
        assert scores["duplicate"].isnan()
        assert scores["induction"].isnan()
        assert scores["previous"] == 0

    def test_maps_answer_as_their_matrices_do(self):
        maps = projected()
        scores, stacked = head_scores(maps), torch.stack([maps.weights(1, head) for head in range(4)])
        for name, value in head_scores(stacked, maps.tokens).items():
            torch.testing.assert_close(scores[name][1], value)

    def test_bad_input(self):
        with pytest.raises(ValueError, match="square"):
            head_scores(matrices(2, 3), (1, 2))
        with pytest.raises(ValueError, match="later keys"):
            head_scores(matrices(3, 3), (1, 2, 1))
        with pytest.raises(ValueError, match="2 entries and the maps have 3"):
            head_scores(matrices(3, 3, causal=True), (1, 2))
        with pytest.raises(ValueError, match="tokens are not known"):
            head_scores(matrices(3, 3, causal=True))

    def test_in_the_style_of_transformerlens_by_hand(self):
        # Two tokens twice: rows 2 and 3 have copies at 0 and 1, and what followed the first stands at 1 and 2.
        weights = torch.tensor([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 0.5, 0.5]])
        scores = head_scores(weights, [1, 2, 1, 2], style="transformerlens")
        assert scores["previous_mul"] == pytest.approx((0.5 + 1 + 0.5) / 4)
        assert scores["induction_mul"] == pytest.approx((1 + 0.5) / 4)
        # Away from P: row 0 by 1, row 1 by 1, row 2 by 0, row 3 by 1.
        assert scores["induction_abs"] == pytest.approx(1 - 3 / 4)
        without = head_scores(weights, [1, 2, 1, 2], style="transformerlens", exclude_bos=True, exclude_current=True)
        assert without["previous_mul"] == pytest.approx((1 + 0.5) / 1.5)
        assert head_scores(torch.eye(3), [1, 2, 3], style="transformerlens", exclude_current=True)[
            "previous_mul"
        ].isnan()

    @pytest.mark.parametrize("exclude_bos", [False, True])
    @pytest.mark.parametrize("exclude_current", [False, True])
    def test_agrees_with_transformerlens(self, head_detector, exclude_bos, exclude_current):
        ids = torch.randint(0, 5, (12,), generator=torch.Generator().manual_seed(1))
        weights = matrices(3, 12, 12, causal=True)
        options = {"exclude_bos": exclude_bos, "exclude_current": exclude_current}
        found = head_scores(weights, ids, style="transformerlens", **options)
        detections = {
            "previous": head_detector.get_previous_token_head_detection_pattern,
            "duplicate": head_detector.get_duplicate_token_head_detection_pattern,
            "induction": head_detector.get_induction_head_detection_pattern,
        }
        for name, detection in detections.items():
            for head in range(3):
                theirs = {
                    measure: head_detector.compute_head_attention_similarity_score(
                        weights[head].clone(),
                        detection(ids[None]) * 1.0,
                        exclude_bos=exclude_bos,
                        exclude_current_token=exclude_current,
                        error_measure=measure,
                    )
                    for measure in ("mul", "abs")
                }
                assert found[f"{name}_abs"][head] == pytest.approx(theirs["abs"], abs=6e-4)  # theirs is rounded
                assert found[f"{name}_mul"][head] == pytest.approx(theirs["mul"], abs=1e-6)

    @pytest.mark.parametrize("eager", [False, True])
    @pytest.mark.parametrize("style", ["target", "transformerlens"])
    def test_padding_changes_nothing(self, eager, style):
        real, ids = matrices(2, 5, 5, causal=True), [1, 2, 1, 2, 1]
        weights, mask = torch.zeros(2, 8, 8), torch.zeros(8, 8, dtype=torch.bool)
        weights[:, 3:, 3:], mask[3:, 3:] = real, torch.ones(5, 5).tril().bool()
        if eager:
            weights[:, :3] = 1 / 8  # what eager transformers gives padding queries
        padded = head_scores(weights, [1, 1, 2, *ids], style=style, mask=mask)
        for name, value in head_scores(real, ids, style=style).items():
            torch.testing.assert_close(padded[name], value)

    def test_style_and_its_options(self):
        with pytest.raises(ValueError, match="style='mul'"):
            head_scores(matrices(3, 3, causal=True), (1, 2, 1), style="mul")
        with pytest.raises(ValueError, match="belong to style='transformerlens'"):
            head_scores(matrices(3, 3, causal=True), (1, 2, 1), exclude_bos=True)
