"""Lessons: what can be asked, what is refused, and what is right of real attention."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

import attnwidget as aw
from tests.make import projected


@pytest.mark.parametrize(
    ("predict", "kind", "place"),
    [
        ("weights[0, 1]", "number", ("weights", 0, 1)),
        ("entropy[2]", "number", ("entropy", 2, None)),
        ("output[0,0]", "number", ("output", 0, 0)),
        ("weights[1]", "bars", ("weights", 1, None)),
        ("largest scores[3]", "cell", ("scores", 3, None)),
    ],
)
def test_a_step_is_read_with_its_place(predict, kind, place):
    asked = aw.Lesson("?", predict=predict).prediction
    assert (asked.kind, (asked.step, asked.row, asked.column)) == (kind, place)


def test_a_name_is_a_measure_and_nothing_is_only_a_prompt():
    assert aw.Lesson("?", predict="previous").prediction.measure == "previous"
    assert aw.Lesson("Look at this.").prediction is None


@pytest.mark.parametrize(
    "predict", ["weights[", "weight[0]", "weights[-1]", "output[0]", "entropy[0, 1]", "largest entropy[0]", "scores[1]"]
)
def test_what_cannot_be_guessed_is_refused_with_what_can(predict):
    with pytest.raises(ValueError, match=r"expected .*'weights\[0\]'"):
        aw.Lesson("?", predict=predict)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"prompt": " "}, ValueError),
        ({"prompt": 3}, TypeError),
        ({"prompt": "?", "locked": "key"}, TypeError),
        ({"prompt": "?", "tolerance": -1}, ValueError),
        ({"prompt": "?", "tolerance": True}, ValueError),
        ({"prompt": "?", "tolerance": math.inf}, ValueError),
        ({"prompt": "?", "locked": None}, TypeError),
        ({"prompt": "?", "answer": 1}, ValueError),
        ({"prompt": "?", "predict": "weights[0, 0]", "answer": math.nan}, ValueError),
        ({"prompt": "?", "predict": "weights[0, 0]", "answer": "much"}, ValueError),
        ({"prompt": "?", "predict": "weights[0]", "answer": 0.5}, ValueError),
        ({"prompt": "?", "predict": "previous", "answer": [0.5, 1]}, ValueError),
        ({"prompt": "?", "predict": "previous", "answer": []}, ValueError),
    ],
)
def test_a_lesson_of_another_kind_is_refused(options, error):
    with pytest.raises(error):
        aw.Lesson(**options)


def test_a_playground_refuses_what_it_does_not_have():
    with pytest.raises(ValueError, match="does not exist"):
        aw.Playground("temperature", lesson=aw.Lesson("?", predict="weights[0, 3]"))
    with pytest.raises(ValueError, match="no step of a Playground"):
        aw.Playground("temperature", lesson=aw.Lesson("?", predict="previous"))
    with pytest.raises(ValueError, match="no single table"):
        aw.Playground("heads", lesson=aw.Lesson("?", predict="weights[0, 0]"))
    with pytest.raises(TypeError, match="did you mean temperature"):
        aw.Playground("temperature", lesson=aw.Lesson("?", locked=["temprature"]))
    with pytest.raises(TypeError, match=r"expected attnwidget\.Lesson"):
        aw.Playground("temperature", lesson="How much?")


def test_the_right_head_is_the_one_where_the_measure_is_highest():
    maps = projected()
    view = aw.Explorer(maps, lesson=aw.Lesson("Which?", predict="previous"))
    scores = torch.as_tensor(aw.measures.head_scores(maps)["previous"])
    layer, head = divmod(int(scores.argmax()), scores.shape[1])
    assert view.facts["lesson"]["answer"] == [[layer, head]]
    assert view.guesses == []


def test_the_right_key_is_the_one_that_gets_most_and_ties_are_all_right():
    weights = torch.tensor([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.2, 0.6]])
    maps = aw.AttentionMaps.from_arrays(weights, tokens=["a", "b", "c"])
    asked = [aw.Explorer(maps, lesson=aw.Lesson("?", predict=f"largest weights[{row}]")) for row in (1, 2)]
    assert [view.facts["lesson"]["answer"] for view in asked] == [[[1, 0], [1, 1]], [[2, 2]]]


def test_an_answer_that_is_given_is_taken():
    view = aw.Explorer(projected(), lesson=aw.Lesson("?", predict="previous", answer=[[0, 1], [2, 0]]))
    assert view.facts["lesson"]["answer"] == [[0, 1], [2, 0]]


@pytest.mark.parametrize(
    ("predict", "answer", "told"),
    [
        ("weights[0, 1]", np.float32(0.5), 0.5),
        ("weights[0]", np.array([0.5, 0.25, 0.25]), [0.5, 0.25, 0.25]),
        ("weights[0]", torch.tensor([0.5, 0.25, 0.25]), [0.5, 0.25, 0.25]),
        ("largest weights[0]", [(0, 1), (0, 2)], [[0, 1], [0, 2]]),
        ("largest weights[0]", (0, 1), [0, 1]),
    ],
)
def test_an_answer_is_taken_from_anywhere(predict, answer, told):
    view = aw.Playground("temperature", lesson=aw.Lesson("?", predict=predict, answer=answer))
    assert json.loads(json.dumps(view.facts["lesson"]["answer"])) == told


def test_of_a_row_that_sees_nothing_no_key_is_known_to_get_most():
    weights = torch.tensor([[1.0, 0.0], [math.nan, math.nan]])
    with pytest.warns(aw.AttentionWarning):
        maps = aw.AttentionMaps.from_arrays(weights)
    view = aw.Explorer(maps, lesson=aw.Lesson("?", predict="largest weights[1]"))
    assert view.facts["lesson"]["answer"] is None


def test_an_explorer_refuses_what_it_does_not_have():
    with pytest.raises(ValueError, match="is for a Playground"):
        aw.Explorer(projected(), lesson=aw.Lesson("?", predict="weights[0, 1]"))
    with pytest.raises(ValueError, match="did you mean previous"):
        aw.Explorer(projected(), lesson=aw.Lesson("?", predict="previos"))
    with pytest.raises(ValueError, match="does not exist"):
        aw.Explorer(projected(), lesson=aw.Lesson("?", predict="largest weights[99]"))
    with pytest.raises(TypeError, match="has no control 'layer'"):
        aw.Explorer(projected(), lesson=aw.Lesson("?", locked=["layer"]))


def test_other_maps_are_asked_about_as_they_are():
    view = aw.Explorer(projected(), lesson=aw.Lesson("?", predict="previous"))
    other = projected(seed=5)
    view.show(other)
    scores = torch.as_tensor(aw.measures.head_scores(other)["previous"])
    assert view.facts["lesson"]["answer"] == [list(divmod(int(scores.argmax()), scores.shape[1]))]


def test_a_page_that_is_handed_out_has_the_question_and_no_guess():
    view = aw.Playground("temperature", lesson=aw.Lesson("How much?", predict="weights[0, 1]"))
    view.guesses = [{"prompt": "How much?", "guess": 0.123456}]
    html = view.to_html()
    assert "How much?" in html
    assert "0.123456" not in html
