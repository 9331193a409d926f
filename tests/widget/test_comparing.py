"""compare(): two runs in one Explorer."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
import torch
import traitlets

import attnwidget as aw
from attnwidget.lenses.difference import matched
from tests.make import WORDS, projected


def loop(a, b):
    """Mean Jensen-Shannon divergence of each head, row by row, of rows that see more than one key."""
    found = torch.full((a.n_layers, max(a.heads)), math.nan)
    for layer in range(a.n_layers):
        for head in range(a.heads[layer]):
            one, other = a.weights(layer, head).double(), b.weights(layer, head).double()
            rows = []
            for query in range(a.n_queries):
                p, q = one[query] / one[query].sum(), other[query] / other[query].sum()
                if int(((p > 0) | (q > 0)).sum()) < 2:
                    continue
                middle = (p + q) / 2
                halves = [torch.where(x > 0, x * (x / middle).log(), torch.zeros_like(x)).sum() for x in (p, q)]
                rows.append(sum(halves) / 2)
            found[layer, head] = torch.stack(rows).mean()
    return found


def changed(view):
    """What the browser is told of how much each head changed."""
    shown, name = view.shown, view.map
    at = [fact["name"] for fact in shown.measuring[name].facts()].index("changed")
    return torch.stack([shown.measuring[name].numbers(layer)[at] for layer in range(view.maps.n_layers)])


def on(words, seed=0, **options):
    maps = projected(len(words), seed=seed, **options)
    return aw.AttentionMaps(maps.layers, words)


class TestTwoRuns:
    def test_are_shown_as_the_second_less_the_first_ranked_by_how_much_they_changed(self):
        before, after = projected(seed=0), projected(seed=1)
        view = aw.compare(before, after)
        assert view.facts["title"] == "before and after"
        assert (view.measure, view.sort, view.compared) == ("changed", "highest", "difference")
        assert view.against == {"map": "before", "layer": None, "head": None}
        assert view.maps.weights(1, 2).equal(after.weights(1, 2))
        by_hand = loop(before, after)
        torch.testing.assert_close(changed(view), by_hand, atol=1e-5, rtol=0)
        best = divmod(int(by_hand.argmax()), by_hand.shape[1])
        assert (view.layer, view.head) == best
        measure = view.facts["maps"][0]["measures"][0]
        assert (measure["name"], measure["label"], measure["unit"]) == ("changed", "Changed", "nats")

    def test_of_a_model_and_itself_have_not_changed(self):
        maps = projected()
        torch.testing.assert_close(changed(aw.compare(maps, maps)), torch.zeros(3, 4), atol=1e-6, rtol=0)

    def test_in_two_precisions_are_compared(self):
        view = aw.compare(projected(), projected(dtype=torch.bfloat16))
        assert 0 < changed(view).max() < 0.01

    def test_on_other_words_are_matched_and_what_is_left_out_is_said(self):
        first = on(["Lily", "gave", "the", "ball", "to", "Ben"])
        second = on(["Lily", "gave", "the", "small", "cake", "to", "Ben"], seed=1)
        view = aw.compare(first, second)
        assert view.maps.tokens.labels == ("Lily", "gave", "the", "to", "Ben")
        assert any("5 tokens are in both runs" in note for note in view.maps.notes)
        assert any("1 of before and 2 of after are left out" in note for note in view.maps.notes)
        one, other = matched(first, second)
        torch.testing.assert_close(changed(view), loop(one, other), atol=1e-5, rtol=0)
        torch.testing.assert_close(view.maps.weights(0, 1).sum(-1), torch.ones(5))

    def test_of_texts_are_called_by_their_beginnings(self):
        view = aw.compare("Lily gave the ball to Ben .", "Ben gave the ball to Lily .")
        assert [fact.get("run") for fact in view.facts["maps"][:2]] == [
            "Ben gave the ball to Lily .",
            "Lily gave the ball to Ben .",
        ]

    def test_are_called_as_they_are_named(self):
        view = aw.compare(projected(), projected(seed=1), labels=("base", "tuned"), compared="beside", layer=1)
        assert view.against["map"] == "base"
        assert (view.map, view.compared, view.layer, view.head) == ("tuned", "beside", 1, 0)

    def test_of_several_kinds_of_maps_go_together(self):
        def run(seed):
            return {"encoder": projected(seed=seed, causal=False), "decoder": projected(8, seed=seed)}

        view = aw.compare(run(0), run(1))
        places = {fact["name"]: (fact["run"], fact["part"]) for fact in view.facts["maps"]}
        assert places["after: encoder"] == ("after", "encoder")
        assert places["before: decoder: mean of heads"] == ("before", "decoder: mean of heads")
        view.map = "after: decoder: mean of heads"
        assert (view.place.against.map, view.place.against.layer) == ("before: decoder: mean of heads", view.layer)

    def test_with_layers_in_common_are_compared_in_these(self):
        first, second = projected(layers=4), projected(layers=3, seed=1)
        view = aw.compare(first, second)
        assert view.maps.n_layers == 3
        assert any("layers 0 to 2, of 4 (before) and 3 (after)" in note for note in view.maps.notes)
        torch.testing.assert_close(view.shown.maps["before"].weights(2, 1), first.weights(2, 1))

    def test_of_one_token_are_shown(self):
        view = aw.compare(projected(1), projected(1, seed=1))
        assert changed(view).isnan().all()

    def test_of_long_texts_are_measured_in_some_of_their_rows(self):
        view = aw.compare(projected(2048, layers=1, heads=16), projected(2048, layers=1, heads=16, seed=1))
        assert (changed(view) > 0).all()

    def test_are_compared_through_lenses(self):
        words = ["<s>", "Lily", "ga", "ve", "it"]
        tokens = aw.Tokens(tuple(words), special=(True, *[False] * 4), words=(0, 1, 2, 2, 3))
        runs = [aw.AttentionMaps(projected(5, seed=seed).layers, tokens) for seed in (0, 1)]
        view = aw.compare(*runs, words=True, hide=["special"])
        one, other = (run.without(special=True).words() for run in runs)
        torch.testing.assert_close(changed(view), loop(one, other), atol=1e-5, rtol=0)


class TestWhatCannotBeCompared:
    @pytest.mark.parametrize(
        ("first", "second", "said"),
        [
            (lambda: projected(heads=4), lambda: projected(heads=2), r"other layers or heads.*3 x 4.*3 x 2"),
            (lambda: on(["a", "b"]), lambda: on(["c", "d"]), r"no token in common.*'a b'.*'c d'"),
            (
                lambda: {"encoder": projected(), "cross": projected()},
                lambda: {"decoder": projected(), "other": projected()},
                r"no kind of maps in common: before has encoder, cross, after has decoder, other",
            ),
        ],
    )
    def test_is_refused_in_a_sentence(self, first, second, said):
        with pytest.raises(ValueError, match=said):
            aw.compare(first(), second())

    def test_layers_of_other_numbers_are_refused(self):
        maps = projected(layers=2)
        kept = aw.AttentionMaps(maps.layers, maps.tokens, layer_numbers=[4, 5])
        with pytest.raises(ValueError, match=r"no layer in common: before has layers 0 to 1, after layers 4 to 5"):
            aw.compare(maps, kept)

    @pytest.mark.parametrize("labels", ["ab", ["one"], ("a", "a"), ("a", ""), (1, 2)])
    def test_labels_that_are_no_two_names_are_refused(self, labels):
        with pytest.raises(ValueError, match="expected two different names"):
            aw.compare(projected(), projected(), labels=labels)

    @pytest.mark.parametrize(
        ("against", "said"),
        [
            ({"map": "other"}, "no maps called 'other'; there are attention"),
            ({"map": "attention"}, "names no head"),
            ({"map": "attention", "layer": 9, "head": 0}, "layer 9 does not exist"),
            ({"map": "attention", "layer": 0, "head": 4}, "head 4 does not exist"),
            ({"map": "attention", "layer": 0}, "names no head"),
            ("attention", "expected None, or the head"),
        ],
    )
    def test_a_head_that_does_not_exist_is_refused(self, against, said):
        view = aw.Explorer(projected())
        with pytest.raises(traitlets.TraitError, match=said):
            view.against = against
        assert view.against is None

    def test_a_head_that_has_gone_with_other_maps_is_let_go(self):
        view = aw.Explorer(projected(), against={"map": "attention", "layer": 2, "head": 3})
        view.show(projected(layers=1))
        assert view.against is None

    def test_rows_that_were_asked_for_are_those_of_the_measure(self):
        a, b = projected(), projected(seed=1)
        some = aw.measures.compare(a, b, rows=[3, 7]).divergence
        torch.testing.assert_close(some, aw.measures.compare(a, b, aligned=[(i, i) for i in range(14)], rows=[3, 7])[0])
        assert not torch.equal(some, aw.measures.compare(a, b).divergence)


class TestWhatLeaves:
    @pytest.fixture
    def view(self):
        return aw.compare(projected(), projected(seed=1), layer=1, head=2, temperature=0.5)

    def less(self, view):
        options = {"temperature": 0.5}
        return view.shown.maps["after"].weights(1, 2, **options) - view.shown.maps["before"].weights(1, 2, **options)

    def test_the_table_is_what_is_shown(self, view, tmp_path):
        with view.save(tmp_path / "run.csv").open(encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
        cells = [[float(cell) if cell else 0 for cell in row[1:]] for row in rows[1:]]
        np.testing.assert_allclose(cells, self.less(view), atol=1e-6)
        assert rows[1][2] == ""

    def test_the_figure_is_what_is_shown(self, view):
        image = aw.figure(view).axes[0].images[0]
        np.testing.assert_allclose(image.get_array().filled(0), self.less(view), atol=1e-5)
        assert image.norm.vmin == -image.norm.vmax
        view.compared = "first"
        shown = aw.figure(view).axes[0].images[0].get_array().filled(0)
        np.testing.assert_allclose(shown, view.shown.maps["before"].weights(1, 2, temperature=0.5), atol=1e-5)
        view.compared = "beside"
        pair = [axes.images[0].get_array().filled(0) for axes in aw.figure(view).axes[:2]]
        for drawn, name in zip(pair, ("before", "after"), strict=True):
            np.testing.assert_allclose(drawn, view.shown.maps[name].weights(1, 2, temperature=0.5), atol=1e-5)

    def test_the_kept_output_says_what_changed_most(self, view):
        still = view.stands()
        assert "after less before" in still.caption
        *_, (query, keys) = still.table
        top = self.less(view)[-1].abs().topk(3)
        assert [key for key, _ in keys] == [WORDS[int(at)] for at in top.indices]
        assert [abs(weight) for _, weight in keys] == pytest.approx(top.values.tolist(), abs=1e-5)
        assert query == WORDS[-1]

    def test_a_page_has_both_runs_first(self, view):
        from attnwidget.widget.holding import hold

        small = hold(view.shown, view.place, limit=30_000, progress=False)
        index = small_index(small)
        layers = [(entry["question"]["map"], entry["question"]["layer"]) for entry in index if is_layer(entry)]
        assert layers[:2] == [("after", 1), ("before", 1)]

    def test_what_travels_with_the_widget_is_the_first_picture_of_both(self, view):
        index = small_index(view.opening)
        assert [entry["question"]["map"] for entry in index if is_layer(entry)] == ["after", "before"]


def small_index(packed):
    """The questions of answers that were packed."""
    import gzip
    import json

    plain = gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
    length = int.from_bytes(plain[-4:], "little")
    return json.loads(plain[-4 - length : -4])["entries"]


def is_layer(entry):
    return entry["question"]["op"] == "projections"
