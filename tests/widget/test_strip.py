"""What stands along the keys of an Explorer: attributions, relevance, numbers of one's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import traitlets as t

import attnwidget as aw
from attnwidget import demo
from attnwidget.effects import agreement, attribute, relevance
from tests.widget.test_weighing import weigh

STORY = "Lily and Ben went to the park . Lily gave the ball to"


@pytest.fixture(scope="module")
def model():
    return demo.load()


@pytest.fixture(scope="module")
def found(model):
    return attribute(model[0], STORY, model[1], target="Ben", against="Lily", signed=True)


def strip(view, name=None):
    """What the browser is told."""
    return next(fact for fact in view.facts["maps"] if fact["name"] == (name or view.map)).get("strip")


def numbers(view, measure, name=None):
    """A measure of every head, as the grid is sent it."""
    measuring = view.shown.measured(name or view.map)
    at = [fact["name"] for fact in measuring.facts()].index(measure)
    return np.stack([measuring.numbers(layer)[at].numpy() for layer in range(view.maps.n_layers)])


def pieces():
    """Maps of six tokens in four words."""
    torch.manual_seed(1)
    tokens = replace(aw.Tokens(("[CLS]", "un", "believ", "able", "story", "[SEP]")), words=(0, 1, 1, 1, 2, 3))
    tokens = replace(tokens, special=(True, False, False, False, False, True))
    return aw.AttentionMaps.from_arrays(torch.rand(2, 3, 6, 6).softmax(-1), tokens=tokens, layout="LHQK")


def test_an_attribution_stands_along_the_keys(found):
    view = aw.explore(STORY, attribution=found, keep=None)
    told = strip(view)
    assert told["name"] == "gradient x input on 'Ben' against 'Lily'"
    assert told["signed"]
    assert told["values"] == pytest.approx(found.values.tolist(), rel=1e-5)
    assert all(fact["strip"] == told for fact in view.facts["maps"])


def test_heads_are_badged_by_how_far_they_agree(found, model):
    name = "agreement with gradient x input on 'Ben' against 'Lily'"
    view = aw.explore(STORY, attribution=found, measure=name, sort="highest", keep=None)
    wanted = agreement(aw.capture(model[0], STORY, model[1]).maps, found)
    np.testing.assert_allclose(numbers(view, name), wanted, atol=1e-6)
    view.selected = [[0, 1], [2, 3]]
    assert strip(view, "mean of chosen heads") == strip(view)
    assert view.measure == name


def test_relevance_stands_there_too(model):
    given = relevance(model[0], STORY, model[1], target="Ben", position=9)
    view = aw.explore(STORY, attribution=given, keep=None)
    assert strip(view)["name"] == "relevance for 'Ben'"
    assert not strip(view)["signed"]
    assert strip(view)["values"] == pytest.approx(given.values.tolist(), rel=1e-5)
    assert "agreement with relevance for 'Ben'" in view.shown.measures


def test_numbers_of_ones_own_stand_there_and_explain_no_position():
    view = aw.Explorer(pieces(), attribution={"surprisal": [0, 1, 2, 3, 4, 5]}, keep=None)
    assert strip(view) == {"name": "surprisal", "signed": False, "values": [0, 1, 2, 3, 4, 5]}
    assert "agreement with surprisal" not in view.shown.measures
    view = aw.Explorer(pieces(), attribution={"surprisal": torch.linspace(-1, 1, 6)}, keep=None)
    assert strip(view)["signed"]


def test_words_have_the_sum_of_their_pieces_and_what_is_hidden_is_left_out():
    view = aw.Explorer(pieces(), attribution={"own": [1, 2, 4, 8, 16, 32]}, keep=None)
    view.words = True
    assert strip(view)["values"] == [1, 14, 16, 32]
    view.hide = ["special"]
    assert strip(view)["values"] == [14, 16]
    view.hide = [2]
    assert strip(view)["values"] == [1, 10, 16, 32]
    view.hide, view.words, view.only = [], False, [3, 4]
    assert strip(view)["values"] == [8, 16]
    assert view.facts["maps"][0]["n_keys"] == 2


def test_agreement_is_of_all_tokens_whatever_is_seen(found):
    view = aw.explore(STORY, attribution=found, keep=None)
    name = f"agreement with {strip(view)['name']}"
    before = numbers(view, name)
    view.hide = [0, 3]
    np.testing.assert_array_equal(numbers(view, name), before)


def test_nothing_agrees_with_effects(found):
    view = aw.explore(STORY, attribution=found, keep=None)
    view.measure = name = f"agreement with {strip(view)['name']}"
    weigh(view, weighing="effect", target="Ben")
    assert name not in view.shown.measures
    assert strip(view)["values"] == pytest.approx(found.values.tolist(), rel=1e-5)
    view.weighing = "weight"
    assert view.measure == name


def test_it_stands_where_its_text_is():
    maps = {
        "encoder": aw.AttentionMaps.from_arrays(torch.full((1, 2, 3, 3), 1 / 3), tokens=["a", "b", "c"], layout="LHQK"),
        "cross": aw.AttentionMaps.from_arrays(
            torch.full((1, 2, 2, 3), 1 / 3), tokens=["x", "y"], key_tokens=["a", "b", "c"], layout="LHQK"
        ),
    }
    view = aw.Explorer(maps, attribution={"own": [1, 2, 3]}, keep=None)
    assert strip(view, "encoder") == strip(view, "cross")
    view = aw.Explorer(maps | {"other": pieces()}, attribution={"own": range(6)}, keep=None)
    assert strip(view, "cross") is None
    assert strip(view, "other") is not None


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"own": [1, 2]}, ValueError, "2 values; expected one for each key, and of these maps 'attention' has 6"),
        ({"own": [[1] * 6]}, ValueError, r"shape \(1, 6\)"),
        ({"own": [1, 2, 3, 4, 5, float("nan")]}, ValueError, "holds nan; expected finite numbers"),
        ({"own": ["a"] * 6}, TypeError, "no list of numbers"),
        ({"one": [1] * 6, "two": [1] * 6}, ValueError, "names 2 series of numbers; expected one"),
        ({" ": [1] * 6}, TypeError, "expected a name"),
        ([1] * 6, TypeError, "attribution is list; expected what attribute"),
    ],
)
def test_what_does_not_fit_is_refused(given, error, said):
    with pytest.raises(error, match=said):
        aw.Explorer(pieces(), attribution=given, keep=None)


def test_other_tokens_are_refused(found):
    with pytest.raises(ValueError, match="other tokens"):
        aw.explore(STORY.replace("Lily", "Ben"), attribution=found, keep=None)


def test_other_maps_let_it_go_unless_they_come_with_one():
    view = aw.Explorer(pieces(), attribution={"own": range(6)}, keep=None)
    view.show(pieces(), attribution={"another": range(6)})
    assert strip(view)["name"] == "another"
    with pytest.raises(ValueError, match="expected one for each key"):
        view.show(pieces(), attribution={"short": [1]})
    assert strip(view)["name"] == "another"
    view.show(pieces())
    assert strip(view) is None


def test_what_agrees_with_nothing_is_no_measure():
    with pytest.raises(t.TraitError, match="does not exist"):
        aw.Explorer(pieces(), attribution={"own": range(6)}, measure="agreement with own", keep=None)


def test_kept_outputs_say_where_it_is_largest():
    view = aw.Explorer(pieces(), attribution={"<b>": [0, 0.5, -3, 0, 0, 1]}, keep=None)
    assert "&lt;b&gt;, largest: believ \N{MINUS SIGN}3, [SEP] +1, un +0.5" in view.stands().markup(pictured=False)
    assert view.stands().text.endswith("<b>, largest: believ \N{MINUS SIGN}3, [SEP] +1, un +0.5")
    view.show(pieces())
    assert "largest: " not in view.stands().text


def test_pages_have_it():
    view = aw.Explorer(pieces(), attribution={"</script>": range(6)}, keep="page")
    page = view.to_html(progress=False)
    assert r'"name": "\u003c/script>"' in page
    assert '"values": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]' in page
