"""The translator and its dates: what the card says is measured here again, from the weights in the package."""

import json
from datetime import date

import pytest
import torch

import attnwidget as aw
from attnwidget import demo
from attnwidget.demo.date_forms import FORMS, SHORT, SLASHED, any_date, write
from attnwidget.demo.grammar import source
from attnwidget.demo.recipes.translator import accuracy, alignment_errors


@pytest.fixture(scope="module")
def translator():
    return demo.load("translator")


@pytest.fixture(scope="module")
def reached():
    return json.loads((demo.folder("translator") / "training.json").read_text())["reached"]


def iso_of(model, tokenizer, text):
    return tokenizer.decode(model.generate(**tokenizer(text, return_tensors="pt"))[0], skip_special_tokens=True)


def test_held_out_dates_come_out_as_stated(translator, reached):
    measured = accuracy(*translator)
    assert measured == pytest.approx(reached["held_out_dates"], abs=0.002)
    assert measured >= 0.99


@pytest.mark.parametrize(
    "text",
    [
        "21 November 2026",
        "Sat 21.11.26",
        "the 21st of November, 2026",
        "11/21/2026",
        "21/11/2026",
        "November 21st, 2026",
        "Saturday, November 21, 2026",
        "21-Nov-26",
        "2026/11/21",
        "2026-11-21",
    ],
)
def test_one_day_in_many_forms(translator, text):
    assert iso_of(*translator, text) == "2026-11-21"


def test_cross_attention_aligns_as_stated(translator, reached):
    errors = alignment_errors(*translator)
    best = reached["alignment_error"]
    assert errors.shape == (2, 2)
    assert float(errors.min()) == float(errors[best["layer"], best["head"]]) == pytest.approx(best["score"], abs=0.002)
    assert best["score"] < 0.1


def test_the_links_are_those_of_the_tokens(translator, reached):
    """The documented way from a date to its error rate, with the public names alone."""
    model, tokenizer = translator
    one = next(one for one in demo.dates(100) if "." in one.written)
    inputs = tokenizer(one.written, return_tensors="pt")
    run = aw.capture(model, {**inputs, "labels": tokenizer(one.iso, return_tensors="pt")["input_ids"]}, tokenizer)
    best = reached["alignment_error"]
    found = aw.measures.align(run.cross.weights(best["layer"], best["head"]), target_words=one.target_words)
    assert len(found) == 8
    assert aw.measures.alignment_error_rate(found, one.sure, one.possible) <= 0.3


def test_dates_are_those_of_the_seed():
    assert demo.dates(20, seed=3) == demo.dates(20, seed=3) != demo.dates(20, seed=4)
    assert demo.dates(0) == []
    with pytest.raises(ValueError, match="n must be 0 or more; got -1"):
        demo.dates(-1)


def test_a_held_out_day_is_never_taught():
    taught = {one.iso for one in demo.dates(20_000, held_out=False)}
    held_out = {one.iso for one in demo.dates(5000)}
    assert len(taught) > 10_000
    assert len(held_out) > 2500
    assert not taught & held_out
    # The training draws in the same way, from a seed of its own.
    rng = source("training 0")
    assert not held_out & {any_date(rng, held_out=False).iso for _ in range(20_000)}


@pytest.mark.parametrize("form", FORMS + SHORT + SLASHED)
def test_every_form_is_known_and_its_links_lead_to_the_same_digits(translator, form):
    _, tokenizer = translator
    for day in (date(1999, 9, 30), date(2026, 11, 21), date(2004, 5, 13)):
        one = write(day, form)
        assert one.iso == day.isoformat()
        assert demo.unknown_words(tokenizer, one.written) == []
        tokens = tokenizer.convert_ids_to_tokens(tokenizer(one.written, add_special_tokens=False)["input_ids"])
        assert one.sure <= one.possible
        digits = {place for place, sign in enumerate(one.iso) if sign != "-"}
        assert {place for _, place in one.possible} == digits
        for token, place in one.sure:
            month = 5 <= place <= 6 and f"{day:%B}".startswith(tokens[token])
            assert month or tokens[token] == one.iso[place], (one, token, place)


def test_links_of_what_is_filled_in_are_possible_alone():
    one = write(date(2026, 5, 3), "{d}.{m}.{yy}")
    assert one.written == "3.5.26"
    assert one.sure == {(0, 9), (2, 6), (4, 2), (5, 3)}
    assert one.possible - one.sure == {(0, 8), (2, 5), (4, 0), (4, 1), (5, 0), (5, 1)}
    assert one.target_words == [None, 0, 1, 2, 3, None, 5, 6, None, 8, 9]


def test_a_generation_is_one_map_of_its_steps(translator):
    model, tokenizer = translator
    run = aw.capture(model, "Sat 21.11.26", tokenizer, generate={})
    assert list(run.cross.key_tokens.labels) == ["Sat", "2", "1", ".", "1", "1", ".", "2", "6", "</s>"]
    assert "".join(run.cross.tokens.labels[1:]) == "2026-11-21"


def test_a_batch_can_be_padded(translator):
    model, tokenizer = translator
    inputs = tokenizer(["21.11.26", "the 21st of November, 2026"], padding=True, return_tensors="pt")
    with torch.no_grad():
        ids = model.generate(**inputs)
    assert tokenizer.batch_decode(ids, skip_special_tokens=True) == ["2026-11-21"] * 2
