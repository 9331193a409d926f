"""What the Explorer is told in numbers: measures, findings, maps made of all heads."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import traitlets

import attnwidget as aw
from tests.make import matrices, projected
from tests.widget.asking import answered, ask


class TestMeasures:
    def test_every_number_of_a_layer(self, view):
        content, buffers = ask(view, id="1", op="measures", map="attention", layer=1)
        assert content["header"] == {"layer": 1, "heads": 4}
        values = np.frombuffer(buffers[0], "<f4").reshape(-1, 4)
        listed = [measure["name"] for measure in view.facts["maps"][0]["measures"]]
        table = aw.summarize(view.maps).loc[("attention", 1)]
        table = table.drop(columns=["monotonic", "receiver"])  # of two texts alone; of twelve sentences or more
        assert listed == list(table.columns)
        np.testing.assert_allclose(values.T, table.to_numpy(), atol=1e-5, equal_nan=True)

    def test_scores_are_offered_where_they_are_known(self):
        given = aw.AttentionMaps.from_arrays(matrices(3, 4, 14, 14), layout="LHQK")
        view = aw.Explorer({"held": projected(), "given": given})
        offered = {one["name"]: {measure["name"] for measure in one.get("measures", [])} for one in view.facts["maps"]}
        assert offered["held"] - offered["given"] == {"score_max", "score_std", "lse"}
        values = np.frombuffer(answered(view, op="measures", map="given", layer=0).buffers[0], "<f4").reshape(-1, 4)
        assert len(values) == len(offered["given"])

    def test_of_a_long_map_are_read_from_some_rows(self):
        view = aw.Explorer(projected(1500, layers=1))
        answer = answered(view, op="measures", map="attention", layer=0)
        values = np.frombuffer(answer.buffers[0], "<f4").reshape(-1, 4)
        exact = aw.summarize(view.maps)["entropy"].to_numpy()
        np.testing.assert_allclose(values[0], exact, rtol=0.05)
        assert any(
            "Measures and findings of this long map are read from 1,024 of its 1,500 rows" in note
            for note in view.facts["maps"][0]["notes"]
        )

    def test_of_a_longer_map_tell_what_the_thumbnails_leave_out(self):
        notes = aw.Explorer(projected(8192, layers=1)).facts["maps"][0]["notes"]
        assert any("entropies are read from 512 of its 8,192 rows" in note and "from 256" in note for note in notes)

    def test_of_your_own(self):
        mine = torch.arange(12).reshape(3, 4) / 10
        view = aw.Explorer(projected(), measures={"mine": mine}, measure="mine", sort="lowest")
        assert view.facts["maps"][0]["measures"][0]["name"] == "mine"
        answer = answered(view, op="measures", map="attention", layer=2)
        first = np.frombuffer(answer.buffers[0], "<f4").reshape(-1, 4)[0]
        np.testing.assert_allclose(first, [0.8, 0.9, 1.0, 1.1])
        view = aw.explore("Lily went to the park .", measures={"mine": np.zeros((4, 4))}, measure="mine")
        assert view.measure == "mine"

    @pytest.mark.parametrize(
        ("given", "error", "words"),
        [
            ([1, 2], TypeError, "measures is list"),
            ({"mine": np.zeros(4)}, ValueError, r"shape \(4,\); expected one number a head, \(3, 4\)"),
            ({"mine": "high"}, TypeError, "no array of numbers"),
            ({"entropy": np.zeros((3, 4))}, ValueError, "measured already"),
        ],
    )
    def test_of_your_own_that_do_not_fit(self, given, error, words):
        with pytest.raises(error, match=words):
            aw.Explorer(projected(), measures=given)

    def test_that_do_not_exist(self, view):
        with pytest.raises(traitlets.TraitError, match="did you mean induction"):
            view.measure = "inducton"
        with pytest.raises(traitlets.TraitError):
            view.sort = "best"
        assert (view.measure, view.sort) == ("", "model")


class TestFindings:
    def test_are_those_of_diagnose(self):
        maps = aw.AttentionMaps.from_arrays(torch.full((3, 4, 8, 8), 1 / 8), layout="LHQK")
        view = aw.Explorer(maps)
        assert [str(finding) for finding in view.findings] == [str(finding) for finding in aw.diagnose(maps)]
        (listed,) = answered(view, op="findings", map="attention").header["findings"]
        assert listed["name"] == "uniform"
        assert listed["severity"] == "alarm"
        assert listed["places"] == [[0, None], [1, None], [2, None]]
        assert listed["evidence"][0] == ["entropy, of the largest", "1", "below 0.96"]
        json.dumps(listed)

    def test_a_layer_at_a_time(self, view, monkeypatch):
        for layer in range(3):
            assert ask(view, id="1", op="vitals", map="attention", layer=layer)[0]["header"] == {"layer": layer}
        monkeypatch.delattr("attnwidget.widget.answers.measuring.vitals_of")  # nothing is measured twice
        assert ask(view, id="2", op="findings", map="attention")[0]["ok"]
        assert "layer 9 does not exist" in ask(view, id="3", op="vitals", map="attention", layer=9)[0]["error"]

    def test_nothing_found(self, view):
        content, _ = ask(view, id="1", op="findings", map="attention")
        assert content["header"] == {"findings": [], "healthy": "Nothing unusual was found."}


class TestDerivedMaps:
    def test_stand_beside_the_heads(self):
        view = aw.explore("Lily and Ben went to the park .")
        kinds = {maps["name"]: maps.get("derived") for maps in view.facts["maps"]}
        assert list(kinds) == ["attention", "mean of heads", "largest of heads", "rollout", "flow"]
        assert all(kind == (None if name == "attention" else name) for name, kind in kinds.items())
        view.map = "rollout"
        assert view.maps.heads == (1, 1, 1, 1)
        flat = aw.Explorer(aw.AttentionMaps.from_arrays(torch.full((3, 4, 8, 8), 1 / 8), layout="LHQK"))
        flat.map = "rollout"
        assert [finding.name for finding in flat.findings] == ["uniform"]  # of the heads it was derived from

    def test_hold_what_the_measures_say(self):
        view = aw.Explorer(projected())
        heads = view._maps["attention"]
        every = torch.stack([heads.weights(2, head) for head in range(4)])
        torch.testing.assert_close(view._maps["mean of heads"].weights(2, 0), every.mean(0))
        torch.testing.assert_close(view._maps["largest of heads"].weights(2, 0), every.amax(0))
        torch.testing.assert_close(view._maps["rollout"].weights(1, 0), aw.measures.rollout(heads, per_layer=True)[1])
        torch.testing.assert_close(
            view._maps["flow"].weights(0, 0), aw.measures.attention_flow(heads, queries="all", progress=False)
        )

    def test_are_asked_for_like_any_other(self, view):
        span = {"rows": [0, 14], "columns": [0, 14], "height": 100, "width": 100}
        for name in ("mean of heads", "largest of heads", "rollout", "flow"):
            content, _ = ask(view, id=name, op="tile", map=name, layer=0, head=0, **span)
            assert content["ok"]
            assert content["header"]["shape"] == (14, 14)
            for op in ("thumbnails", "profile"):
                assert ask(view, id=op, op=op, map=name, layer=0)[0]["ok"]
        content, _ = ask(view, id="m", op="measures", map="rollout", layer=0)
        assert "derived from others" in content["error"]

    def test_mean_keeps_what_is_outside_the_map(self):
        view = aw.Explorer(projected(sinks=torch.full((4,), 1.0)))
        heads = view._maps["attention"]
        missing = torch.stack([1 - heads.weights(0, head).sum(-1) for head in range(4)]).mean(0)
        layer = view._maps["mean of heads"].layers[0]
        torch.testing.assert_close(layer.log_weights(slice(0, 1), slice(0, 14))[1].exp()[0], missing)

    def test_only_those_that_make_sense(self):
        cross = aw.AttentionMaps.from_arrays(matrices(2, 2, 3, 5), layout="LHQK")
        assert list(aw.Explorer(cross)._maps) == ["attention", "mean of heads", "largest of heads"]
        one = aw.AttentionMaps.from_arrays(matrices(1, 1, 6, 6), layout="LHQK")
        assert list(aw.Explorer(one)._maps) == ["attention", "rollout"]
        long = aw.Explorer(projected(1100, layers=2))
        assert list(long._maps) == ["attention", "mean of heads", "largest of heads"]
        assert any("Rollout is shown for up to 1,024 tokens" in note for note in long.facts["maps"][0]["notes"])

    def test_of_several_maps_say_whose_they_are(self):
        both = {"encoder": projected(causal=False), "decoder": projected()}
        names = list(aw.Explorer(both)._maps)
        assert names[:4] == ["encoder", "decoder", "encoder: mean of heads", "encoder: largest of heads"]
        assert "decoder: rollout" in names

    def test_have_no_scores(self, view):
        with pytest.raises(ValueError, match="mean of several heads"):
            view._maps["mean of heads"].scores(0, 0)
        with pytest.raises(ValueError, match="scores are not known"):
            view._maps["rollout"].scores(0, 0)
