"""An Explorer of a survey: the grid says what was found, and a head opens its texts."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import attnwidget as aw

TEXTS = [*aw.demo.sentences(20), *(aw.demo.repeated_words(6, 3, seed=seed) for seed in range(3))]


@pytest.fixture(scope="module")
def storyteller():
    return aw.demo.load()


@pytest.fixture(scope="module")
def survey(storyteller):
    return aw.survey(*storyteller, TEXTS, measures=["induction", "sink"], top=4, progress=False)


def chosen(view, number):
    """Choose a text, and wait until it is shown or said why not."""
    done = threading.Event()
    view.observe(lambda change: change["new"]["state"] != "running" and done.set(), "surveyed")
    view.example = number
    assert done.wait(60)
    view.unobserve_all("surveyed")
    return view.surveyed


def test_it_opens_at_the_strongest_head_with_its_first_text(storyteller, survey):
    view = survey.explore(*storyteller)
    values = np.asarray(survey.arrays()["induction"])
    assert values[view.layer, view.head] == np.nanmax(values)
    first = survey.examples(view.layer, view.head, "induction").largest[0]
    assert (view.example, view.query) == (first.number, first.place)
    assert view.facts["title"] == first.text
    assert (view.measure, view.sort) == ("mean of induction", "highest")
    assert view.surveyed["largest"][0] == [first.number, first.text, first.place, first.value]
    assert len(view.surveyed["smallest"]) == 4


def test_a_text_that_is_chosen_is_read_and_shown(storyteller, survey):
    view = survey.explore(*storyteller, layer=1, head=2)
    smallest = survey.examples(1, 2, "induction").smallest[0]
    assert chosen(view, smallest.number)["state"] == "idle"
    wanted = aw.capture(storyteller[0], smallest.text, storyteller[1], progress=False).maps
    assert view.maps.tokens.labels == wanted.tokens.labels
    assert (view.layer, view.head, view.query) == (1, 2, smallest.place)
    assert (view.measure, view.sort) == ("mean of induction", "highest")
    view.close()


def test_the_list_follows_the_head_and_the_measure(storyteller, survey):
    view = survey.explore(*storyteller)
    view.layer, view.head = 0, 1
    assert view.surveyed["largest"][0][0] == survey.examples(0, 1, "induction").largest[0].number
    view.measure = "mean of sink"
    sink = survey.examples(0, 1, "sink").largest[0]
    assert view.surveyed["measure"] == "sink"
    assert view.surveyed["largest"][0][0] == sink.number
    assert chosen(view, sink.number)["state"] == "idle"
    assert (view.query, view.key) == (None, sink.place)


def test_a_text_that_is_not_listed_is_told(storyteller, survey):
    view = survey.explore(*storyteller)
    assert chosen(view, 1000)["why"] == "row 1000 is not among the texts that are listed."


def test_a_survey_of_a_folder_knows_its_model(survey):
    by_folder = aw.survey(aw.demo.folder("storyteller"), None, TEXTS[:4], measures=["sink"], progress=False)
    assert by_folder.explore(statistic=0.5).measure == "50% of sink"
    with pytest.raises(ValueError, match="does not say where its model is; pass model="):
        survey.explore()
