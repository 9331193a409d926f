"""The Playground's kernel side: traits, scenes, and what leaves it."""

from __future__ import annotations

import gc
import html
import json
import math
import subprocess
import sys
import weakref

import ipywidgets
import numpy as np
import pandas as pd
import pytest
import torch
import traitlets
from ipywidgets.widgets.widget import _instances

import attnwidget as aw
from attnwidget.teaching.scenes import SCENES
from tests.make import projected
from tests.widget.test_outputs import published, run  # noqa: F401 - a fixture here too
from tests.widget.test_page import Reader

SIX = [[0.1 * row, 1.0] for row in range(6)]
EVERY = [(scene.name, preset.name) for scene in SCENES.values() for preset in scene.presets]


@pytest.fixture
def playground():
    made = aw.Playground("masking")
    yield made
    made.close()


@pytest.fixture
def messages(playground, monkeypatch):
    """Which traits each message to the browser carries."""
    sent = []
    monkeypatch.setattr(playground, "_send", lambda msg, buffers=None: sent.append(set(msg.get("state", {}))))
    return sent


class TestMessages:
    def test_a_scene_travels_with_its_numbers(self, playground, messages):
        playground.scene = "heads"
        assert len(messages) == 1
        assert {"scene", "preset", "query", "heads", "row"} <= messages[0]

    def test_what_changes_together_travels_together(self, playground, messages):
        with playground.hold_trait_notifications():
            playground.query = playground.key = playground.value = [[1.0, 0.0]]
        assert len(messages) == 1
        assert {"query", "key", "value"} <= messages[0]

    def test_heads_travel_with_what_mixes_them(self, playground, messages):
        playground.scene, playground.preset = "heads", "Two heads, one of them used"
        messages.clear()
        playground.heads = ["content"]
        assert messages == [{"heads", "mixing"}]

    def test_words_travel_as_all_that_they_are(self, playground, messages):
        playground.scene = "words"
        messages.clear()
        playground.key = [[1.0, 0.0], [0.0, 1.0]]
        assert len(messages) == 1
        assert {"query", "key", "value"} <= messages[0]


class TestTraits:
    @pytest.mark.parametrize(
        "made",
        [
            pytest.param(list, id="lists"),
            pytest.param(np.array, id="numpy"),
            pytest.param(lambda rows: torch.tensor(rows, requires_grad=True), id="torch"),
            pytest.param(lambda rows: torch.tensor(rows, dtype=torch.bfloat16), id="bfloat16"),
            pytest.param(pd.DataFrame, id="a data frame"),
        ],
    )
    def test_take_tables_from_anywhere(self, playground, made):
        rows = [[0.5 * row, 1.0] for row in range(6)]
        playground.query = made(rows)
        assert playground.query == rows

    def test_numbers_without_rows_are_one_query_and_a_column_of_values(self):
        playground = aw.Playground("temperature", query=[0.3, 0.7, 0.0], value=[1, 2, 3])
        assert playground.query == [[0.3, 0.7, 0.0]]
        assert playground.value == [[1.0], [2.0], [3.0]]

    def test_queries_of_ones_own_are_looked_at_from_the_first(self):
        rows = [[1.0, 0.0], [0.0, 1.0]]
        tables = {"query": rows, "key": rows, "value": rows}
        assert aw.Playground("heads", **tables).row == 0
        assert aw.Playground("heads", **tables, row=1).row == 1
        assert aw.Playground("heads").row == 4

    def test_take_places_and_words_from_anywhere(self, playground):
        for places in (range(6), np.arange(6), torch.arange(6), tuple(range(6))):
            playground.positions = []
            playground.positions = places
            assert playground.positions == list(range(6))
        playground.key_labels = "a b  c"
        assert playground.key_labels == ["a", "b", "c"]
        playground.key_labels = ("\ud800",)
        assert playground.key_labels == ["?"]

    @pytest.mark.parametrize(
        ("trait", "value", "words"),
        [
            ("query", [[math.nan, 1.0]] * 6, "query holds nan; expected numbers of up to 1,000,000"),
            ("query", [[math.inf, 1.0]] * 6, "query holds inf"),
            ("value", [[1e300, 1.0]] * 6, r"value holds 1e\+300"),
            ("query", [[1, 2], [3]], "expected rows of equal length"),
            ("query", "abc", "query is str and no table of numbers"),
            ("query", [[[1.0]]], r"query has 3 axes \[1, 1, 1\]; expected rows"),
            ("query", [], "query is empty; expected at least one row"),
            ("query", [[1, 2, 3]] * 6, "query is 3 wide and key 2; expected one width"),
            ("query", [[1, 2]] * 13, "13 x 2; a Playground shows up to 12 queries of 8 numbers"),
            ("key", [[0.0] * 9] * 6, "6 x 9; a Playground shows up to 12 keys of 8"),
            ("value", [[1.0]] * 5, "6 keys and 5 values; expected one value a key"),
            ("mask", [[True] * 6] * 5, "mask is 5 x 6; expected 6 queries x 6 keys"),
            ("mask", [[0.5] * 6] * 6, "mask holds numbers other than 0 and 1"),
            ("mask", "causl", "mask='causl' is not known; expected 'none', 'causal'"),
            ("temperature", 0, "temperature=0; expected 1e-06 to 1,000,000"),
            ("temperature", "hot", "expected a float"),
            ("scaling", -1, "scaling=-1; expected 0 to 1,000,000, or None"),
            ("row", 6, "row=6 does not exist; it goes from 0 to 5"),
            ("positions", [0, 1, 2], "expected 6 integers of up to 1,000"),
            ("positions", [0, 1, 2, 3, 4, 5000], "expected 6 integers of up to 1,000"),
            ("heads", ["firts"], r"\['previous', 'first', 'same', 'content'\]"),
            ("width", 5000, "width=5000; expected 2 to 1,024"),
            ("length", 1, "length=1; expected 2 to 64"),
            ("seed", -1, "seed=-1; expected 0 to"),
            ("query_labels", ["a"] * 13, "13 labels; a Playground shows up to 12"),
            ("scene", "lookpu", "'lookup', 'temperature'"),
            ("preset", "Causl", "preset='Causl' is not known; the scene 'masking' has 'Causal'"),
        ],
    )
    def test_that_do_not_fit_are_refused_and_change_nothing(self, playground, trait, value, words):
        before, weights = playground.state, playground.weights
        with pytest.raises(traitlets.TraitError, match=words):
            setattr(playground, trait, value)
        assert playground.state == before
        np.testing.assert_array_equal(playground.weights, weights)

    def test_that_nobody_knows_are_refused_with_the_near_ones(self):
        with pytest.raises(TypeError, match="no argument 'temprature'; did you mean temperature"):
            aw.Playground(temprature=1)
        with pytest.raises(ValueError, match="scene='lookpu' is not known; there are lookup, temperature"):
            aw.Playground("lookpu")
        with pytest.raises(ValueError, match="preset='Tie' is not known; the scene 'temperature' has 'Three keys'"):
            aw.Playground("temperature", preset="Tie")

    def test_that_change_together_are_set_together(self, playground):
        with pytest.raises(traitlets.TraitError, match=r"within playground\.hold_trait_notifications\(\)"):
            playground.key = [[1.0, 2.0, 3.0]] * 6
        with playground.hold_trait_notifications():
            playground.query = playground.key = np.eye(3)
            playground.value = [1, 2, 3]
            playground.mask = "none"
        assert playground.weights.shape == (3, 3)
        with pytest.raises(traitlets.TraitError), playground.hold_trait_notifications():
            playground.query, playground.key = np.eye(4), np.eye(5)
        assert playground.query == np.eye(3).tolist()

    def test_the_row_stays_inside_and_counts_from_the_end(self):
        playground = aw.Playground("temperature", query=[[1, 0, 0]] * 4)
        playground.row = -1
        assert playground.row == 3
        playground.query = [[1, 0, 0]] * 2
        assert playground.row == 1

    def test_are_observable_and_linkable(self):
        one, other = aw.Playground("masking"), aw.Playground("masking")
        heard = []
        one.observe(lambda change: heard.append(change["new"]), "temperature")
        link = traitlets.link((one, "query"), (other, "query"))
        one.temperature = 0.5
        one.query = SIX
        assert heard == [0.5]
        assert other.query == SIX
        np.testing.assert_allclose(
            other.weights, aw.Playground("masking", query=SIX).weights
        )  # what follows is there at once
        link.unlink()
        slider = ipywidgets.FloatSlider()
        assert ipywidgets.jslink((slider, "value"), (one, "temperature")).source == (slider, "value")


class TestNumbers:
    @pytest.mark.parametrize("temperature", [10, 1, 0.1, 0.01])
    def test_are_those_of_a_hand(self, temperature):
        playground = aw.Playground("temperature", temperature=temperature)
        exponentials = [math.exp(score / temperature) for score in (0.3, 0.7, 0.0)]
        weights = [one / sum(exponentials) for one in exponentials]
        np.testing.assert_allclose(playground.scores, [[0.3, 0.7, 0.0]], atol=1e-12)
        np.testing.assert_allclose(playground.weights, [weights], atol=1e-9)
        assert playground.output[0, 0] == pytest.approx(weights[0] + 2 * weights[1] + 3 * weights[2], abs=1e-9)
        assert playground.entropy[0] == pytest.approx(-sum(one * math.log(one) for one in weights if one), abs=1e-9)

    @pytest.mark.parametrize(("scene", "preset"), EVERY)
    def test_of_every_preset_sum_to_one_or_see_nothing(self, scene, preset):
        playground = aw.Playground(scene, preset=preset)
        sums = playground.weights.sum(axis=-1)
        if preset == "A row that sees nothing":
            assert np.isnan(sums).tolist() == [False, False, True, False, False, False]
        np.testing.assert_allclose(sums[~np.isnan(sums)], 1, atol=1e-12)
        assert playground.scores.shape == playground.scaled.shape == playground.weights.shape
        assert playground.entropy.shape == playground.weights.shape[:-1]

    def test_do_what_each_look_says(self):
        hot, cold = (aw.Playground("lookup", temperature=one) for one in (1e6, 0.001))
        np.testing.assert_allclose(hot.output, np.mean(hot.value), atol=1e-3)
        np.testing.assert_allclose(cold.output[:, 0], [25.0, -5.0], atol=1e-3)
        between = aw.Playground("lookup", preset="Between two keys", temperature=0.001)
        assert between.weights[0].max() == pytest.approx(0.5, abs=0.2)
        tie = aw.Playground("temperature", preset="A tie", temperature=1e-3).weights[0]
        np.testing.assert_allclose(tie, [0.5, 0.5, 0], atol=1e-9)
        turned, unmoved, moved = (aw.Playground("position", preset=one.name) for one in SCENES["position"].presets)
        plain = aw.Playground("position", rotary=True, positions=[0, 1, 2])
        assert abs(turned.scores - plain.scores).max() > 0.1
        np.testing.assert_allclose(moved.scores, plain.scores, atol=1e-12)
        np.testing.assert_allclose(unmoved.scores, np.array(unmoved.query) @ np.array(unmoved.key).T, atol=1e-12)
        unused = aw.Playground("heads", preset="Two heads, one of them used")
        np.testing.assert_allclose(unused.output, unused.concatenated[:, :2])
        alike = aw.Playground("values", preset="All values alike")
        np.testing.assert_allclose(alike.output, [[1.0, 2.0]])

    def test_of_heads_stand_one_behind_another(self):
        playground = aw.Playground("heads")
        assert playground.weights.shape == (4, 5, 5)
        assert playground.concatenated.shape == (5, 8)
        np.testing.assert_allclose(playground.output, playground.concatenated.reshape(5, 4, 2).mean(axis=1))


class TestScenes:
    def test_bring_their_numbers_from_python(self):
        playground = aw.Playground("words", temperature=0.1)
        playground.scene = "masking"
        assert (playground.preset, playground.mask, playground.temperature) == ("Causal", "causal", 1.0)
        playground.preset = "Sliding window"
        assert playground.mask[3] == [False, False, True, True, False, False]
        assert playground.state == aw.Playground("masking", preset="Sliding window").state

    def test_open_with_a_preset_that_is_set_together_with_them(self):
        playground = aw.Playground()
        with playground.hold_trait_notifications():
            playground.scene, playground.preset = "temperature", "A tie"
        assert playground.preset == "A tie"
        assert playground.query == [[0.5, 0.5, 0.0]]

    @pytest.mark.parametrize("first", SCENES)
    def test_follow_each_other_in_any_order(self, first):
        playground = aw.Playground(first)
        for second in SCENES:
            playground.scene = second
            assert playground.state == aw.Playground(second).state
            playground.scene = first

    def test_of_words_have_one_vector_for_all_three(self):
        playground = aw.Playground("words", query=[[1.0, 0.0], [0.0, 1.0]], query_labels="a b", key_labels="a b")
        assert playground.query == playground.key == playground.value
        assert playground.query_labels == ["a", "b"]
        playground.value = [[1.0, 2.0, 3.0]] * 3
        assert playground.query == playground.key == playground.value == [[1.0, 2.0, 3.0]] * 3

    def test_of_heads_forget_a_projection_that_another_number_of_them_does_not_fit(self):
        playground = aw.Playground("heads", preset="Two heads, one of them used")
        playground.heads = ["first", "content", "same"]
        assert playground.mixing == []
        with playground.hold_trait_notifications():
            playground.heads, playground.mixing = ["first"], [[2.0, 0.0], [0.0, 2.0]]
        np.testing.assert_allclose(playground.output, 2 * playground.concatenated)


class TestBrowser:
    def test_is_taken_at_its_word(self):
        playground = aw.Playground("lookup")
        query = [[0.9, 0.1, 0.0]]
        state = SCENES["temperature"].presets[0].whole | {"query": query, "scene": "temperature"}
        playground.set_state(state | {"preset": "Three keys"})
        assert (playground.scene, playground.query) == ("temperature", query)
        assert playground.key == np.eye(3).tolist()

    def test_says_all_three_where_words_are_tied(self):
        playground = aw.Playground("words")
        heard = []
        playground.observe(lambda change: heard.append(change["name"]), ["query", "key", "value"])
        vectors = [[1.0, 0.0]] * 5
        playground.set_state({"query": vectors, "key": vectors, "value": vectors})
        assert sorted(heard) == ["key", "query", "value"]

    def test_is_told_of_every_scene_in_text_that_no_page_takes_for_its_own(self):
        text = aw.Playground().get_state()["facts"]
        assert "<" not in text
        facts = json.loads(text)
        assert [scene["name"] for scene in facts["scenes"]] == list(SCENES)
        assert facts["limits"]["tokens"] == 12


class TestLeaving:
    def test_the_state_gives_the_same_playground_again(self):
        playground = aw.Playground("heads", temperature=0.5, heads=["first", "same"], theme="dark")
        state = playground.state
        again = aw.Playground(state.pop("scene"), **state)
        assert again.state == playground.state

    def test_its_repr_names_the_scene(self):
        assert repr(aw.Playground("masking")) == f"<Playground 'masking': {SCENES['masking'].title}>"

    def test_is_a_page_with_its_numbers_in_it(self, tmp_path):
        playground = aw.Playground("temperature", temperature=0.1, key_labels=["<b>", "</script>", "&"])
        path = playground.save(tmp_path / "playground.html")
        assert path.read_text(encoding="utf-8") == playground.to_html()
        reader = Reader(playground.to_html())
        traits = json.loads(reader.parts["traits"][0])
        assert {name: traits[name] for name in playground.state} == playground.state
        assert reader.parts["title"] == [SCENES["temperature"].title]
        words = html.unescape(playground.to_html())
        assert "</script> 0.981, <b> 0.018, & 0.001" in words
        assert "<b> 0" not in playground.to_html()
        assert [value for tag, name, value in reader.attributes if name in {"src", "href"}] == []

    def test_a_page_that_sees_nothing_says_so(self):
        reader = Reader(aw.Playground("masking", preset="A row that sees nothing").to_html())
        assert "NaN" not in reader.parts["traits"][0]
        assert "sees nothing" in aw.Playground("masking", preset="A row that sees nothing").stands().text

    def test_stands_in_a_page_with_text_and_an_explorer(self, tmp_path):
        playground = aw.Playground("words")
        page = aw.page("# A lesson", playground, aw.Explorer(projected(4)), "The end.", path=tmp_path / "a.html")
        reader = Reader(page.html)
        assert page.widgets == ("explorer", "playground")
        assert reader.parts["title"] == [SCENES["words"].title]
        assert sum("openPage(document)" in script for script in reader.parts["script"]) == 2
        assert [json.loads(traits).get("scene") for traits in reader.parts["traits"]] == ["words", None]

    def test_bad_places_and_options_are_named(self, tmp_path, playground):
        with pytest.raises(ValueError, match=r"'a\.png' does not end in \.html"):
            playground.save(tmp_path / "a.png")
        with pytest.raises(FileNotFoundError, match="there is no folder"):
            playground.save(tmp_path / "nowhere" / "a.html")
        with pytest.raises(TypeError, match="no argument 'limit_mb'"):
            playground.save(tmp_path / "a.html", limit_mb=3)
        assert list(tmp_path.iterdir()) == []

    def test_keeps_a_page_unless_told_otherwise(self, published):  # noqa: F811
        playground = aw.Playground("temperature")
        run(playground)
        (words, identity, _), (widget, _, _), (kept, again, update) = published
        assert "application/vnd.jupyter.widget-view+json" in widget
        assert identity == again == playground.kept
        assert update
        assert "srcdoc" not in words["text/html"]
        assert '<iframe sandbox="allow-scripts allow-downloads" srcdoc="' in kept["text/html"]
        assert "query: second 0.461" in kept["text/plain"]
        assert len(kept["text/html"]) < 300_000

    def test_keeps_numbers_alone_where_that_is_wanted(self, published):  # noqa: F811
        run(aw.Playground("temperature", keep="picture"))
        html_kept = published[-1][0]["text/html"]
        assert "srcdoc" not in html_kept
        assert "<td>second 0.461, first 0.309, third 0.229</td>" in html_kept

    def test_keeps_nothing_where_nobody_wants_it(self, published):  # noqa: F811
        playground = aw.Playground(keep=None)
        run(playground)
        assert [set(bundle) for bundle, _, _ in published] == [
            {"application/vnd.jupyter.widget-view+json", "text/plain"}
        ]
        with pytest.raises(ValueError, match="expected 'picture', 'page' or None"):
            aw.Playground(keep="all")


class TestClosing:
    def test_a_closed_playground_says_so(self, tmp_path):
        playground = aw.Playground()
        playground.close()
        for leave in (playground.keep, playground.to_html, lambda: playground.save(tmp_path / "a.html")):
            with pytest.raises(ValueError, match="this Playground is closed; make a new one"):
                leave()
        assert list(tmp_path.iterdir()) == []

    def test_leaves_nothing_behind(self):
        before = len(_instances)
        references = []
        for scene in SCENES:
            playground = aw.Playground(scene)
            references.append(weakref.ref(playground))
            playground.close()
        del playground
        gc.collect()
        assert len(_instances) == before
        assert not any(reference() for reference in references)


def test_needs_neither_torch_nor_transformers_nor_matplotlib():
    code = (
        "import sys, attnwidget as aw\n"
        "playground = aw.Playground(); playground.temperature = 0.5; playground.weights; playground.to_html()\n"
        "aw.page('# Text', playground)\n"
        "print(sorted({'torch', 'transformers', 'matplotlib', 'pandas', 'PIL'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
