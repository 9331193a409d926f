"""diagnose: a cause is named only where its own evidence speaks for it, or where nothing could be measured."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
import torch

import attnwidget.diagnosis
from attnwidget import diagnose, measures
from attnwidget.diagnosis.causes import Cause, Reading, conclude
from tests.diagnosis.cases import HEADS, TRIL, N, accused, draw, names, q_and_k
from tests.make import matrices


class TestCauses:
    LOW, FINE, UNKNOWN = (Reading("size", value, "about 1", low=0.5) for value in (0.1, 1.0, math.nan))

    def found(self, *causes):
        return conclude("x", "X", "note", "It is so.", causes=causes)

    def test_one_whose_evidence_is_healthy_is_not_named(self):
        found = self.found(Cause("denied", ("do a",), (self.FINE,)), Cause("not measured", ("do b",)))
        assert (found.causes, found.remedies, found.evidence) == (("not measured",), ("do b",), ())

    def test_one_that_is_shown_leaves_no_room_for_guesses(self):
        found = self.found(Cause("not measured"), Cause("shown", ("do c",), (self.LOW,)))
        assert found.causes == ("shown",)
        assert found.evidence[0] == ("size", "0.1", "about 1")

    def test_what_could_not_be_measured_says_nothing(self):
        assert self.found(Cause("perhaps", readings=(self.UNKNOWN,))).causes == ("perhaps",)
        assert self.found(Cause("denied", readings=(self.UNKNOWN, self.FINE))).causes == ()

    def test_one_that_is_only_allowed_stands_beside_others(self):
        allowed = Cause("allowed", readings=(self.LOW,), proves=False)
        assert self.found(Cause("not measured"), allowed).causes == ("not measured", "allowed")

    def test_every_finding_is_made_where_this_is_enforced(self):
        makers = set()
        for path in Path(attnwidget.diagnosis.__file__).parent.glob("*.py"):
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            makers |= {path.stem for call in calls if getattr(call.func, "id", None) == "Finding"}
        assert makers == {"causes"}


class TestSoftmaxTwice:
    @pytest.mark.parametrize("n", [5, 32, 200])
    @pytest.mark.parametrize("mask", [None, "causal"])
    def test_is_named_and_nothing_that_is_healthy(self, n, mask):
        q, k = draw(2, HEADS, n, 64), draw(2, HEADS, n, 64, seed=1)
        scores, options = q @ k.mT / 8, {}
        if mask:
            options = {"mask": torch.ones(n, n).tril().bool()}
            scores = scores.masked_fill(~options["mask"], -math.inf)
        twice = scores.softmax(-1)
        twice = twice.masked_fill(~options["mask"], -math.inf).softmax(-1) if mask else twice.softmax(-1)
        found = diagnose(twice, query=q, key=k, **options)
        assert found[0].severity == "alarm"
        assert found.named("unexplained").title == "Softmax is applied twice"
        for finding in found:
            assert "Softmax was applied twice (or the scores were scaled twice)" in finding.causes[0]
            assert not any("variance" in cause for cause in finding.causes)

    def test_of_weights_alone_is_allowed_where_it_can_be(self):
        q, k = draw(2, HEADS, 32, 64), draw(2, HEADS, 32, 64, seed=1)
        twice = diagnose((q @ k.mT / 8).softmax(-1).softmax(-1)).named("uniform")
        assert any("Softmax was applied twice" in cause for cause in twice.causes)
        spread = diagnose((q @ k.mT / 40).softmax(-1)).named("uniform")  # weights far below what a second one leaves
        assert not any("Softmax was applied twice" in cause for cause in spread.causes)

    def test_of_one_softmax_is_not_named(self):
        q, k = draw(2, HEADS, 32, 64), draw(2, HEADS, 32, 64, seed=1)
        assert not diagnose((q @ k.mT / 8).softmax(-1), query=q, key=k)
        small = diagnose((q @ (k * 1e-2).mT / 8).softmax(-1), query=q, key=k * 1e-2).named("uniform")
        assert [cause[:8] for cause in small.causes] == ["The keys"]


class TestMaskAfterSoftmax:
    def weights(self, n=N):
        return matrices(2, HEADS, n, n)

    @pytest.mark.parametrize("n", [6, N, 300])
    @pytest.mark.parametrize("with_q_and_k", [False, True])
    def test_the_triangle_names_it(self, n, with_q_and_k):
        q, k = q_and_k(n=n)
        weights = (q @ k.mT / 8).softmax(-1) * torch.ones(n, n).tril()
        options = {"query": q, "key": k} if with_q_and_k else {}
        found = diagnose(weights, **options).named("rows")
        assert (found.title, found.severity) == ("The mask is applied after the softmax", "alarm")
        assert "upper triangle" in found.causes[0]
        assert len(found.causes) == 1
        assert "before the softmax" in found.remedies[0].lower()

    def test_the_triangle_with_the_mask_given(self):
        weights = self.weights() * TRIL
        assert diagnose(weights, mask=TRIL).named("rows").title == "The mask is applied after the softmax"

    @pytest.mark.parametrize("columns", [[13, 14, 15], [0, 1], [7]])
    def test_columns_name_it(self, columns):
        kept = torch.ones(N)
        kept[columns] = 0
        found = diagnose(self.weights() * kept).named("rows")
        assert f"{len(columns)} keys that get exactly 0 from every query" in found.causes[0]
        assert "learned sinks" in found.causes[1].lower()  # these may do the same, beside padding that is masked well

    def test_learned_sinks_under_a_causal_mask_are_not_taken_for_it(self):
        scores = draw(2, HEADS, N, N).masked_fill(~TRIL, -math.inf)
        sinks = torch.cat([scores, torch.ones(2, HEADS, N, 1)], -1).softmax(-1)[..., :-1]
        found = diagnose(sinks).named("rows")
        assert not any("after the softmax" in cause for cause in found.causes)
        assert "Learned sinks" in found.causes[0]

    def test_rows_that_lack_mass_and_see_every_key(self):
        found = diagnose(self.weights() * 0.8).named("rows")
        assert not any("after the softmax" in cause for cause in found.causes)

    def test_a_mask_before_the_softmax_is_no_fault(self):
        scores = draw(2, HEADS, N, N).masked_fill(~TRIL, -math.inf)
        assert accused(diagnose(scores.softmax(-1))) == []


class TestOtherCauses:
    def test_left_padding_is_named_where_the_first_rows_are_masked(self):
        q, k = q_and_k()
        left, middle = TRIL.clone(), TRIL.clone()
        left[:3] = False
        middle[7] = False
        assert "padding on the left" in diagnose(query=q, key=k, mask=left).named("masked").causes[0]
        assert not any("left" in cause for cause in diagnose(query=q, key=k, mask=middle).named("masked").causes)

    @pytest.mark.parametrize("shared", [True, False])
    def test_groups_are_named_where_there_are_groups(self, shared):
        q, k = q_and_k()
        q[:, 1], k[:, 1] = q[:, 0], k[:, 0]
        found = diagnose(query=q, key=k[:, ::2] if shared else k).named("duplicates")
        assert any("grouped-query" in cause for cause in found.causes) == shared

    def test_a_leak_is_no_missing_mask(self):
        weights = matrices(2, 3, 12, 12, causal=True)
        leak = weights.clone()
        leak[1, 2, 4] *= 0.98
        leak[1, 2, 4, 9] = 0.02
        assert "moved a little mass" in diagnose(leak, causal=True).named("causality").causes[0]
        assert diagnose(matrices(2, 3, 12, 12), causal=True).named("causality").causes == (
            "No causal mask reached the softmax.",
        )

    def test_a_key_that_is_large_and_a_bias_that_points(self):
        q, k = q_and_k()
        q = q + 2
        large = k.clone()
        large[:, :, 5] = 6 * torch.ones(64)
        found = diagnose(query=q, key=large).named("collapsed")
        assert found.causes == ("One key is larger than all others.",)
        bias = torch.zeros(N, N)
        bias[:, 5] = 40
        found = diagnose(query=q, key=k, mask=bias).named("collapsed")
        assert "A bias on the scores points at it." in found.causes
        assert not any("larger" in cause for cause in found.causes)

    def test_queries_and_keys_that_do_not_meet(self):
        q, k = draw(2, HEADS, N, 64), draw(2, HEADS, N, 64, seed=1)
        q[..., 32:], k[..., :32] = 0, 0
        found = diagnose(query=q * 1.5, key=k * 1.5 + 1e-3)
        assert names(found) == ["uniform"]
        assert "different directions" in found[0].causes[0]


class TestNumbersThatAreNoWeights:
    """What is said of them is true of them, whoever says it."""

    ONE, OTHER = matrices(2, 3, 8, 8), matrices(2, 3, 8, 8, seed=1)
    CASES = (
        (ONE - OTHER, "Every row sums to 0, as in a difference of two maps"),
        (ONE.log(), r"these are logarithms of weights. Pass weights.exp\(\)"),
        (1.5 * ONE - 0.5 * OTHER, "Every row sums to 1, so softmax has been applied"),
        (draw(2, 3, 8, 8), "These look like scores: if they are, apply softmax over the axis of the keys first"),
        (torch.full((2, 3, 8, 8), math.inf), "weights from inf to inf"),
    )

    @pytest.mark.parametrize(("numbers", "words"), CASES)
    @pytest.mark.parametrize("look", [diagnose, measures.entropy, measures.rollout, measures.sinks])
    def test_are_refused_with_what_they_are(self, numbers, words, look):
        with pytest.raises(ValueError, match=words):
            look(numbers)
