"""Several heads chosen in an Explorer, and their mean as one of the maps."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import traitlets

import attnwidget as aw
from attnwidget.widget.answers import answer
from tests.make import matrices, projected

MEAN = "mean of chosen heads"


@pytest.fixture
def view():
    explorer = aw.Explorer(projected(), layer=2, head=3)
    yield explorer
    explorer.close()


def names(view):
    return [one["name"] for one in json.loads(view.get_state("facts")["facts"])["maps"]]


def test_two_heads_have_a_mean_that_can_be_shown(view):
    view.selected = [(2, 3), (0, 1)]
    assert view.selected == [[0, 1], [2, 3]]
    assert view.map == "attention"
    heads = view.maps
    view.map = MEAN
    torch.testing.assert_close(view.maps.weights(0, 0), (heads.weights(0, 1) + heads.weights(2, 3)) / 2)
    assert view.facts["maps"][-1]["derived"] == MEAN
    assert MEAN in view.stands().caption
    assert "layer" not in view.stands().caption


@pytest.mark.parametrize("heads", [[], [[1, 1]]])
def test_fewer_have_none_and_the_view_goes_back_to_where_it_was(view, heads):
    view.selected = [[0, 1], [1, 1]]
    view.map = MEAN
    view.selected = [[0, 2], [1, 1], [2, 0]]
    assert view.map == MEAN
    view.selected = heads
    assert (view.map, view.layer, view.head) == ("attention", 2, 3)
    assert MEAN not in names(view)


def test_the_browser_is_told_of_a_new_version_and_nothing_is_measured_twice(view, monkeypatch):
    version = view.facts["version"]
    view.findings  # noqa: B018 - measures what it needs
    asked = {"op": "measures", "map": "attention", "layer": 1}
    before = answer(view.shown, asked)
    monkeypatch.setattr("attnwidget.widget.answers.measuring.head_measures", None)
    monkeypatch.setattr("attnwidget.widget.answers.measuring.vitals_of", None)
    view.selected = [[0, 1], [1, 1]]
    assert view.facts["version"] > version
    assert answer(view.shown, asked).buffers == before.buffers
    assert view.findings is not None


def test_a_question_about_the_mean_is_answered_and_about_its_numbers_refused(view):
    view.selected = [[0, 1], [1, 1]]
    assert answer(view.shown, {"op": "profile", "map": MEAN, "layer": 0}).header["heads"] == 1
    with pytest.raises(ValueError, match="derived from others"):
        answer(view.shown, {"op": "measures", "map": MEAN, "layer": 0})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([[0, 4]], "head 4 of layer 0, which has heads 0 to 3"),
        ([[3, 0]], "layer 3, which does not exist; there are 0 to 2"),
        ([3], "holds 3; expected pairs"),
        ([[0, 1, 2]], "expected pairs of layer and head"),
        ([[0, 0.5]], "expected pairs"),
        ("ab", "expected pairs"),
        (3, "expected a list"),
    ],
)
def test_what_is_no_head_is_refused_and_changes_nothing(view, given, words):
    view.selected = [[0, 1], [1, 1]]
    with pytest.raises(traitlets.TraitError, match=words):
        view.selected = given
    assert view.selected == [[0, 1], [1, 1]]
    with pytest.raises(traitlets.TraitError):
        aw.Explorer(projected(), selected=given)


def test_heads_may_come_as_arrays_and_count_from_the_end(view):
    view.selected = np.array([[0, 1], [1, 2]])
    assert view.selected == [[0, 1], [1, 2]]
    view.selected = torch.tensor([[-1, -1], [0, 0], [2, 3]])
    assert view.selected == [[0, 0], [2, 3]]


def test_a_state_opens_the_same_view_again_and_a_page_holds_it(view):
    view.selected = [[0, 1], [1, 1]]
    view.map = MEAN
    other = aw.Explorer(projected(), **view.state)
    assert other.map == MEAN
    assert other.maps.weights(0, 0).equal(view.maps.weights(0, 0))
    other.selected = []
    assert other.map == "attention"
    page = view.to_html(progress=False)
    assert f'"map": "{MEAN}"' in page
    assert '"selected": [[0, 1], [1, 1]]' in page


def test_other_maps_keep_the_heads_that_they_have(view):
    view.selected = [[0, 1], [1, 1], [2, 3]]
    view.map = MEAN
    view.show(projected(20, layers=2))
    assert (view.selected, view.map) == ([[0, 1], [1, 1]], MEAN)
    assert view.maps.n_queries == 20
    view.show(projected(layers=1))
    assert (view.selected, view.map) == ([[0, 1]], "attention")


def test_maps_with_other_heads_have_nothing_chosen():
    both = {
        "encoder": aw.AttentionMaps.from_arrays(matrices(2, 4, 5, 5), layout="LHQK"),
        "cross": aw.AttentionMaps.from_arrays(matrices(2, 4, 3, 5), layout="LHQK"),
    }
    view = aw.Explorer(both, map="encoder", selected=[[0, 1], [1, 1]])
    assert f"encoder: {MEAN}" in names(view)
    view.map = "encoder: mean of heads"
    assert view.selected == [[0, 1], [1, 1]]
    view.map = f"encoder: {MEAN}"
    view.map = "cross"
    assert view.selected == []
    assert not [name for name in names(view) if MEAN in name]
    again = aw.Explorer(both, map=f"cross: {MEAN}", selected=[[1, 3], [0, 0]])
    assert again.maps.n_queries == 3


def test_a_lesson_outlives_them():
    view = aw.Explorer(projected(), lesson=aw.Lesson("Which head?", predict="previous"))
    view.selected = [[0, 1], [1, 1]]
    assert view.facts["lesson"]["prompt"] == "Which head?"


def test_a_figure_of_the_mean_names_no_layer(view):
    view.selected = [[0, 1], [1, 1]]
    view.map = MEAN
    texts = [text.get_text() for text in aw.figure(view).findobj(lambda one: hasattr(one, "get_text"))]
    assert MEAN in texts
    assert not [text for text in texts if "layer" in text]


def test_a_closed_view_has_nothing_to_choose():
    view = aw.Explorer(projected(), selected=[[0, 1], [1, 1]])
    view.close()
    view.selected = [[0, 1]]
    assert view.selected == []


def test_the_mean_is_seen_through_lenses_too(view):
    view.selected = [[0, 1], [1, 1]]
    view.map = MEAN
    view.hide = [0]
    assert (view.map, view.selected) == (MEAN, [[0, 1], [1, 1]])
    assert view.maps.n_keys == 13
    view.hide = []
    assert view.maps.n_keys == 14
