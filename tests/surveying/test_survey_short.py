"""Texts of one token: they say nothing of order, and their numbers are those that summarize tells."""

from __future__ import annotations

import numpy as np
import pytest

import attnwidget as aw
from attnwidget.measures.numbers import NUMBERS
from attnwidget.surveying import rows, running
from tests.surveying import brute, making

TEXTS = ["Ben", "ran", "Ben ran home and Ben ran", "Ben ran"]


def quiet(*given, **options):
    return aw.survey(*given, progress=False, **options)


@pytest.mark.parametrize("name", ["GPT-2", "BERT", "Gemma 2", "DeBERTa"])
@pytest.mark.parametrize("size", [2, 256])
def test_a_first_chunk_of_single_tokens_decides_nothing(monkeypatch, name, size):
    monkeypatch.setattr(rows, "CHUNK", size)
    monkeypatch.setattr(running, "CHUNK", size)
    model, tokenizer = making.of_kind(name, 5), making.of_words()
    brute.assert_same(quiet(model, tokenizer, TEXTS, measures=NUMBERS), brute.numbers(model, tokenizer, TEXTS, NUMBERS))


@pytest.mark.parametrize("name", ["GPT-2", "BERT"])
def test_a_single_token_has_no_sink(name):
    model, tokenizer = making.of_kind(name, 5), making.of_words()
    assert not np.asarray(quiet(model, tokenizer, ["Ben"]).arrays("count")["sink"]).any()
    told = aw.summarize(aw.capture(model, "Ben", tokenizer, progress=False).maps)
    assert told[["sink", "sink_key"]].isna().all(axis=None)


def test_numbers_of_a_single_token_do_not_depend_on_its_batch():
    model, tokenizer = making.of_kind("BLOOM", 5), making.of_words()
    alone, together = (quiet(model, tokenizer, TEXTS, measures=NUMBERS, batch_size=size) for size in (1, 8))
    for name in NUMBERS:
        np.testing.assert_array_equal(alone.arrays("count")[name], together.arrays("count")[name], name)
        np.testing.assert_allclose(alone.arrays()[name], together.arrays()[name], atol=1e-9, err_msg=name)
