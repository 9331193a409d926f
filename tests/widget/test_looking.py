"""The Explorer through lenses: what is hidden, what alone is shown, and words."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import traitlets

import attnwidget as aw
from attnwidget.layers import DenseLayer, Mask, ProjectedLayer
from attnwidget.tokens import ImageGrid, Span, Tokens
from attnwidget.widget.answers import answer
from tests.make import matrices, projected
from tests.widget.answers.reading import decoded

PIECES = ["<s>", "new", "##est", "cat", "re", "##turn", "##ing", "home", ".", "<s>"]


def pieces():
    """Ten tokens, of which two are special and five make two words."""
    tokens = Tokens.from_labels(PIECES).with_spans(Span("question", 1, 4), Span("answer", 4, 9))
    return aw.AttentionMaps(projected(10, layers=2).layers, tokens)


@pytest.fixture
def view():
    explorer = aw.Explorer(pieces())
    yield explorer
    explorer.close()


def fact(view, name="attention"):
    return next(fact for fact in view.facts["maps"] if fact["name"] == name)


def same(found, expected):
    assert found.tokens == expected.tokens
    assert found.key_tokens == expected.key_tokens
    for layer in range(expected.n_layers):
        torch.testing.assert_close(found.weights(layer, 0), expected.weights(layer, 0))


class TestShown:
    @pytest.mark.parametrize(
        ("chosen", "lensed"),
        [
            ({"words": True}, lambda maps: maps.words()),
            ({"hide": ["special"]}, lambda maps: maps.without(special=True)),
            ({"hide": ["special", 3, 8]}, lambda maps: maps.without(special=True, tokens=[3, 8])),
            ({"hide": ["sinks", -1]}, lambda maps: maps.without(sinks=True, tokens=[9])),
            ({"only": ["answer"]}, lambda maps: maps.only(spans="answer")),
            ({"only": ["answer", 0]}, lambda maps: maps.only([0], spans="answer")),
            ({"words": True, "hide": [5]}, lambda maps: maps.without(tokens=[5]).words()),
            ({"words": True, "only": "answer"}, lambda maps: maps.only(spans="answer").words()),
        ],
    )  # fmt: skip
    def test_are_the_maps_through_the_lens_set_at_the_start_or_later(self, view, chosen, lensed):
        expected = lensed(pieces())
        same(aw.explore(pieces(), **chosen).maps, expected)
        for name, value in chosen.items():
            setattr(view, name, value)
        same(view.maps, expected)
        assert fact(view)["queries"]["labels"] == [*expected.tokens.labels]
        for name, value in {"words": False, "hide": [], "only": []}.items():
            setattr(view, name, value)
        same(view.maps, pieces())

    def test_are_all_that_is_asked_about(self, view):
        view.words = True
        view.map = "mean of heads"
        same(view.maps, pieces().words().mean_of_heads())
        asked = {"op": "tile", "map": "attention", "layer": 1, "head": 2, "rows": [0, 7], "columns": [0, 7]}
        logs, *_ = decoded(answer(view.shown, asked | {"height": 7, "width": 7}))
        np.testing.assert_allclose(np.exp(logs), pieces().words().weights(1, 2), atol=1e-4)
        table = answer(view.shown, {"op": "measures", "map": "attention", "layer": 0})
        assert np.frombuffer(table.buffers[0], "<f4").size == len(fact(view)["measures"]) * 4
        assert view.findings is not None

    def test_have_another_version_and_nothing_of_before_travels_with_them(self, view):
        before = view.facts["version"]
        assert view.opening
        view.hide = ["special"]
        assert view.facts["version"] == before + 1
        assert not view.opening

    def test_keep_the_numbers_that_were_given(self):
        mine = torch.arange(8.0).view(2, 4)
        view = aw.Explorer(pieces(), measures={"mine": mine}, measure="mine", words=True)
        view.hide = ["special"]
        assert view.measure == "mine"
        found = answer(view.shown, {"op": "measures", "map": "attention", "layer": 1})
        assert np.frombuffer(found.buffers[0], "<f4")[:4].tolist() == [4, 5, 6, 7]

    def test_keep_the_patches_of_a_picture_that_are_left(self):
        tokens = Tokens.positions(6).with_image(ImageGrid(1, 2, 2, torch.zeros(4, 4, 3, dtype=torch.uint8)))
        view = aw.Explorer(aw.AttentionMaps([DenseLayer(matrices(2, 6, 6))], tokens), view="image")
        view.hide = [0]
        assert (view.view, fact(view)["queries"]["images"][0]["start"]) == ("image", 0)
        view.hide = [2]
        assert fact(view)["queries"]["images"][0]["places"] == [1, -1, 2, 3]
        assert "1 of the 4 patches of pictures are left out." in fact(view)["notes"]
        view.hide = [1, 2, 3, 4]
        assert view.view == "heatmap"
        assert "images" not in fact(view)["queries"]

    def test_of_a_long_map_are_read_in_tiles(self):
        draw = torch.Generator().manual_seed(0)
        q, k = (torch.randn(2, 3000, 8, generator=draw) for _ in range(2))
        tokens = Tokens.from_labels(PIECES * 300)
        view = aw.Explorer(aw.AttentionMaps([ProjectedLayer(q, k, 0.35, Mask(causal=True))], tokens), words=True)
        asked = {"op": "tile", "map": "attention", "layer": 0, "head": 1, "rows": [0, 2100], "columns": [0, 2100]}
        found = answer(view.shown, asked | {"height": 700, "width": 700, "temperature": 2.0})
        logs, *_ = decoded(found)
        expected = view.maps.weights(0, 1).view(700, 3, 700, 3).amax((1, 3))
        np.testing.assert_allclose(np.exp(logs), expected, atol=1e-4)
        assert found.header["temperature"] == 1


class TestTold:
    def test_nothing_where_nothing_is_done(self, view):
        assert "lens" not in fact(view)
        assert "origins" not in fact(view)["queries"]
        assert "tempers" not in fact(view)

    def test_what_was_done_and_to_how_many(self, view):
        view.hide, view.only, view.words = ["special", 3], ["question", "answer"], True
        for name in ("attention", "mean of heads", "rollout"):
            assert fact(view, name)["lens"] == [
                {"kind": "special", "count": 2},
                {"kind": "tokens", "count": 1},
                {"kind": "only", "count": 7, "names": ["question", "answer"]},
                {"kind": "words", "count": 2},
            ]
        assert fact(view)["tempers"] is False
        assert fact(view)["queries"]["origins"] == [1, 4, 7, 8]
        assert [note.split(" ")[0] for note in fact(view)["notes"]] == ["Special", "Word"]

    def test_learned_sinks_are_told_of(self):
        view = aw.Explorer(projected(10, sinks=torch.zeros(4)), hide=["sinks"])
        (told,) = fact(view)["lens"]
        assert (told["kind"], told["learned"]) == ("sinks", True)
        torch.testing.assert_close(view.maps.weights(0, 0).sum(-1), torch.ones(view.maps.n_queries))

    def test_queries_that_are_the_last_of_the_keys_begin_where_these_do(self):
        tokens = pieces().tokens
        q, k = torch.randn(4, 6, 8), torch.randn(4, 10, 8)
        maps = aw.AttentionMaps([ProjectedLayer(q, k, 0.35, Mask(causal=True, offset=4))], tokens[4:], tokens)
        view = aw.Explorer(maps, query=1)
        assert fact(view)["queries"]["origins"] == [4, 5, 6, 7, 8, 9]
        view.hide = [4, 0]
        assert fact(view)["queries"]["origins"] == [5, 6, 7, 8, 9]
        assert view.maps.tokens.labels[view.query] == "turn"
        assert (view.maps.n_queries, view.maps.n_keys) == (5, 8)

    def test_a_temperature_that_cannot_act_does_not(self, view):
        view.temperature, view.words = 2.0, True
        assert (view.place.temperature, view.place.scaling) == (1, 1)
        assert view.temperature == 2
        torch.testing.assert_close(view.maps.weights(0, 0), pieces().words().weights(0, 0))
        assert "re" in view.stands().text
        aw.figure(view).clear()

    def test_a_page_and_a_file_hold_what_is_seen(self, view, tmp_path):
        view.hide, view.words = ["special"], True
        page = view.to_html(progress=False)
        traits = json.loads(page.split('data-part="traits">')[1].split("</script>")[0])
        assert (traits["words"], traits["hide"], traits["only"]) == (True, ["special"], [])
        (first, *_) = traits["facts"]["maps"]
        assert first["queries"]["labels"] == ["newest", "cat", "returning", "home", "."]
        assert first["lens"] == fact(view)["lens"]
        lines = view.save(tmp_path / "head.csv").read_text().splitlines()
        assert len(lines) == 6

    def test_its_state_makes_the_same_again(self, view):
        view.hide, view.words, view.query = ["special", 3], True, 1
        again = aw.Explorer(pieces(), **view.state)
        same(again.maps, view.maps)
        assert again.query == 1


class TestPinned:
    def test_goes_along_to_the_word_that_holds_it_and_back(self, view):
        view.query, view.key = 6, 2
        view.words = True
        assert (view.maps.tokens.labels[view.query], view.maps.tokens.labels[view.key]) == ("returning", "newest")
        view.hide = ["special"]
        assert (view.maps.tokens.labels[view.query], view.maps.tokens.labels[view.key]) == ("returning", "newest")
        view.words = False
        assert (view.maps.tokens.labels[view.query], view.maps.tokens.labels[view.key]) == ("re", "new")
        view.hide = []
        assert (view.query, view.key) == (4, 1)

    def test_words_that_are_pinned_together_go_along(self, view):
        view.query, view.also = 6, [2, 9]
        view.hide = ["special"]
        assert [view.maps.tokens.labels[query] for query in view.also] == ["est"]
        view.words = True
        assert [view.maps.tokens.labels[query] for query in (view.query, *view.also)] == ["returning", "newest"]

    def test_is_let_go_where_it_is_hidden(self, view):
        view.query, view.key = 9, 3
        view.hide = ["special"]
        assert (view.query, view.key) == (None, 2)
        view.only = ["answer"]
        assert view.key is None

    def test_the_head_stays(self, view):
        view.layer, view.head, view.map = 1, 0, "rollout"
        view.words = True
        assert (view.map, view.layer) == ("rollout", 1)
        view.only = [3]
        assert (view.map, view.maps.n_keys) == ("attention", 1)


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "value", "words"),
        [
            ("words", "yes", "True or False|boolean"),
            ("hide", 3, "expected a list"),
            ("hide", ["specials"], "expected 'special', 'sinks', or positions"),
            ("hide", [10], "names token 10, which is not there; the tokens are 0 to 9"),
            ("hide", [True], "holds True, bool"),
            ("hide", [1.5], "holds 1.5, float"),
            ("hide", list(range(10)), "no token of the maps 'attention' is left"),
            ("only", ["anwser"], "did you mean 'answer'"),
            ("only", ["document"], "there are 'question', 'answer'"),
            ("only", [-11], "names token -11"),
        ],
    )
    def test_in_a_sentence_and_nothing_changes(self, view, name, value, words):
        view.query = 3
        before, facts = view.state, view.facts
        with pytest.raises(traitlets.TraitError, match=words):
            setattr(view, name, value)
        assert (view.state, view.facts) == (before, facts)
        with pytest.raises(traitlets.TraitError, match=words):
            aw.Explorer(pieces(), **{name: value})

    def test_what_two_lenses_leave_together(self, view):
        view.only = ["question"]
        with pytest.raises(traitlets.TraitError, match="no token"):
            view.hide = [1, 2, 3]
        assert (view.only, view.hide, view.maps.n_keys) == (["question"], [], 3)

    def test_from_the_browser_too(self, view):
        view.set_state({"words": True, "hide": ["special", 3]})
        same(view.maps, pieces().without(special=True, tokens=[3]).words())
        with pytest.raises(traitlets.TraitError, match="no token"):
            view.set_state({"hide": list(range(10)), "words": False})
        assert (view.words, view.hide) == (True, ["special", 3])

    def test_numbers_of_numpy_and_torch_are_positions(self, view):
        view.hide = [np.int64(3), torch.tensor(-2), 3]
        assert view.hide == [3, 8]


class TestSeveral:
    @pytest.fixture
    def view(self):
        source = Tokens.from_labels(["le", "chat", "</s>"])
        target = Tokens.from_labels(["<s>", "the", "cat", "##s"]).with_spans(Span("noun", 2, 4))
        maps = {
            "encoder": aw.AttentionMaps([DenseLayer(matrices(2, 3, 3))], source, name="encoder"),
            "decoder": aw.AttentionMaps([DenseLayer(matrices(2, 4, 4))], target, name="decoder"),
            "cross": aw.AttentionMaps([DenseLayer(matrices(2, 4, 3))], target, source, name="cross"),
        }
        return aw.Explorer(maps, map="cross")

    def sizes(self, view):
        return {name: (maps.n_queries, maps.n_keys) for name, maps in view.shown.maps.items() if ":" not in name}

    def test_words_and_special_tokens_are_those_of_each(self, view):
        view.words, view.hide = True, ["special"]
        assert self.sizes(view) == {"encoder": (2, 2), "decoder": (2, 2), "cross": (2, 2)}
        assert fact(view, "cross")["lens"] == [{"kind": "special", "count": 2}, {"kind": "words", "count": 1}]

    def test_positions_are_of_the_chosen_keys_wherever_these_stand(self, view):
        view.hide = [1]
        assert self.sizes(view) == {"encoder": (2, 2), "decoder": (4, 4), "cross": (4, 2)}
        assert "lens" not in fact(view, "decoder")
        view.map = "encoder"
        assert view.hide == [1]
        view.map = "decoder"
        assert view.hide == []
        assert self.sizes(view) == {"encoder": (3, 3), "decoder": (4, 4), "cross": (4, 3)}
        view.hide = [3]
        assert self.sizes(view) == {"encoder": (3, 3), "decoder": (3, 3), "cross": (3, 3)}

    def test_a_span_is_kept_where_there_is_one(self, view):
        view.only = ["noun"]
        assert self.sizes(view) == {"encoder": (3, 3), "decoder": (2, 2), "cross": (2, 3)}
        view.map = "cross: mean of heads"
        assert view.only == ["noun"]


class TestOtherMaps:
    def test_are_seen_through_what_there_is_of_the_lens(self, view):
        view.hide, view.only, view.words = ["special", 9], ["answer", 2], True
        shorter = aw.AttentionMaps(projected(6, layers=2).layers, Tokens.from_labels(PIECES[:6]))
        view.show(shorter)
        assert (view.hide, view.only, view.words) == (["special"], [2], True)
        same(view.maps, shorter.without(special=True).only([1]).words())

    def test_of_which_nothing_would_be_left_are_seen_as_they_are(self, view):
        view.hide = [0, 1]
        view.show(projected(2))
        assert view.hide == []
        same(view.maps, projected(2))

    def test_that_were_lensed_before_go_on_counting_as_their_text(self):
        view = aw.Explorer(pieces().words(), query=1)
        assert fact(view)["queries"]["origins"] == [0, 1, 3, 4, 7, 8, 9]
        view.hide = [4]
        assert view.maps.tokens.labels == ("<s>", "newest", "cat", "home", ".", "<s>")
        view.hide = [5]  # inside the word that begins at 4
        assert view.hide == []
        with pytest.raises(traitlets.TraitError, match="names token 10, which is not there; the tokens are 0 to 9"):
            view.hide = [10]

    def test_a_closed_view_holds_none(self, view):
        view.words = True
        view.close()
        view.words = False
        assert "closed" in repr(view)
