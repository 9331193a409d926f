"""What bad input gets: a clear sentence, and nothing that was done is lost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import attnwidget as aw
from tests.surveying import making

TEXTS = aw.demo.sentences(12)


@pytest.fixture(scope="module")
def storyteller():
    return aw.demo.load()


def skipping(storyteller, data, **options):
    with pytest.warns(aw.AttentionWarning, match="left out"):
        return aw.survey(*storyteller, data, progress=False, **options)


def test_rows_that_cannot_be_read_are_named_and_the_others_count(storyteller):
    data = [{"text": text} for text in TEXTS]
    data[2] = {"text": "   "}
    data[4] = {"text": None}
    data[6] = {"title": "no text"}
    found = skipping(storyteller, data)
    assert found.count == 9
    assert [(one.number, one.reason) for one in found.skipped] == [
        (2, "it is empty."),
        (4, "its text is NoneType; expected a string."),
        (6, "it has no column 'text'."),
    ]


def test_an_unreadable_row_in_the_middle_of_many(storyteller):
    class Files:
        def __len__(self):
            return 12

        def __getitem__(self, at):
            if at == 5:
                raise OSError("part-5 is damaged")
            return TEXTS[at]

    found = skipping(storyteller, Files())
    assert found.count == 11
    assert found.skipped[0].reason == "it cannot be read: OSError: part-5 is damaged."


def test_a_generator_that_fails_keeps_what_came_before(storyteller):
    def texts():
        yield from TEXTS[:7]
        raise OSError("the connection is gone")

    with pytest.warns(aw.AttentionWarning, match="ended early"):
        found = aw.survey(*storyteller, texts(), progress=False)
    assert (found.count, found.n_skipped) == (7, 0)
    assert found.reason.startswith("the data broke off at row 7: OSError: the connection is gone. 7 texts are in it")


def test_a_generator_that_fails_at_once_is_told(storyteller):
    def texts():
        raise OSError("the connection is gone")
        yield

    with pytest.raises(ValueError, match=r"no text could be measured\. The data broke off at row 0: OSError"):
        aw.survey(*storyteller, texts(), progress=False)


def test_data_that_fails_row_after_row_ends(storyteller):
    class Broken:
        def __len__(self):
            return 1000

        def __getitem__(self, at):
            raise OSError("no such disk")

    with pytest.raises(ValueError, match="100 rows in a row cannot be read"):
        aw.survey(*storyteller, Broken(), progress=False)


def test_labels_that_do_not_fit_are_named(storyteller):
    data = [{"text": text, "pos": ["x"] * len(text.split())} for text in TEXTS]
    data[3]["pos"] = ["x", "y"]
    words = len(TEXTS[3].split())
    found = skipping(storyteller, data, labels="pos")
    assert found.skipped[0] == (found.skipped[0].__class__)(
        3, f"it has 2 labels for {words} words; expected one for each."
    )
    with pytest.raises(ValueError, match=r"no text could be measured.*labels= gave \d+ labels for \d+ tokens"):
        aw.survey(*storyteller, TEXTS, labels=making.one_too_few, progress=False)


def test_a_text_longer_than_the_model_is_named_or_cut(storyteller):
    data = [TEXTS[0], " ".join(["Ben ran ."] * 100), TEXTS[1]]
    found = skipping(storyteller, data)
    assert found.count == 2
    assert "the model reads 256; max_tokens=256 cuts such texts" in found.skipped[0].reason
    cut = aw.survey(*storyteller, data, max_tokens=64, progress=False)
    assert (cut.count, cut.n_cut, cut.n_skipped) == (3, 1, 0)


def test_memory_that_runs_out_halves_the_batch(storyteller, monkeypatch):
    model, tokenizer = aw.demo.load()
    forward, sizes = model.forward, []

    def small(input_ids=None, **others):
        sizes.append(len(input_ids))
        if len(input_ids) > 3:
            raise torch.OutOfMemoryError("out of memory")
        if len(tokenizer.decode(input_ids[0])) > 10_000:
            raise AssertionError
        return forward(input_ids=input_ids, **others)

    monkeypatch.setattr(model, "forward", small)
    found = aw.survey(model, tokenizer, TEXTS, progress=False, measures=["entropy"])
    whole = aw.survey(*storyteller, TEXTS, progress=False, measures=["entropy"])
    assert max(sizes) == 12
    assert found.count == 12
    torch.testing.assert_close(
        torch.tensor(found.arrays()["entropy"].values),
        torch.tensor(whole.arrays()["entropy"].values),
        atol=1e-6,
        rtol=0,
    )


def test_a_text_on_which_the_model_fails_is_named(storyteller, monkeypatch):
    model, tokenizer = aw.demo.load()
    forward = model.forward
    bad = max(range(12), key=lambda at: len(TEXTS[at].split()))
    longest = len(tokenizer(TEXTS[bad])["input_ids"])

    def failing(input_ids=None, **others):
        if input_ids.shape[1] == longest:
            raise RuntimeError("a kernel failed")
        return forward(input_ids=input_ids, **others)

    monkeypatch.setattr(model, "forward", failing)
    found = skipping((model, tokenizer), TEXTS)
    assert found.skipped[0].reason == "RuntimeError: a kernel failed"
    assert found.count + found.n_skipped == 12


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        ([], {}, "data is empty"),
        ([{"a": "x", "b": "y"}], {}, "which column holds the text"),
        ([{"a": "x"}], {"column": "body"}, "has no column 'body'; it has 'a'"),
        ([{"text": "x"}], {"by": "kind"}, "has no column 'kind'"),
        (["x"], {"column": "text"}, "a row of data is str and has no column 'text'"),
        (["", " "], {}, "no text could be measured. The first: row 0, it is empty."),
        (TEXTS, {"measures": ["receiver"]}, "'receiver' needs more than a text"),
        (TEXTS, {"measures": []}, "expected at least one"),
        (TEXTS, {"batch_size": 0}, "batch_size=0; expected 1 or more"),
        (TEXTS, {"dtype": "int8"}, "dtype='int8' is not known"),
        (TEXTS, {"device": "cpu"}, "this one stays where it is"),
    ],
)
def test_clear_sentences(storyteller, data, options, said):
    with pytest.raises(ValueError, match=said):
        aw.survey(*storyteller, data, progress=False, **options)


def test_things_of_another_kind(storyteller):
    with pytest.raises(TypeError, match="data is str; expected something that yields texts"):
        aw.survey(*storyteller, "one text", progress=False)
    with pytest.raises(TypeError, match="data is int"):
        aw.survey(*storyteller, 3, progress=False)
    with pytest.raises(TypeError, match="did you mean entropy"):
        aw.survey(*storyteller, TEXTS, measures=["entrpy"], progress=False)
    with pytest.raises(TypeError, match="model is int"):
        aw.survey(3, None, TEXTS, progress=False)
    with pytest.raises(ValueError, match="a survey reads texts, and needs the tokenizer"):
        aw.survey(storyteller[0], None, TEXTS, progress=False)


def test_a_model_of_two_texts_is_surveyed_by_its_encoder():
    model, tokenizer = aw.demo.load("translator")
    texts = [one.written for one in aw.demo.dates(6)]
    with pytest.raises(ValueError, match=r"reads a source and a target.*get_encoder\(\)"):
        aw.survey(model, tokenizer, texts, progress=False)
    assert aw.survey(model.get_encoder(), tokenizer, texts, progress=False).count == 6


def test_what_was_not_asked_for_is_told(storyteller):
    found = aw.survey(*storyteller, TEXTS, measures=["entropy"], progress=False)
    with pytest.raises(ValueError, match="the tokens had no labels"):
        _ = found.between
    with pytest.raises(ValueError, match="measure='sink' was not surveyed; expected 'entropy'"):
        found.examples(0, 0, "sink")
    with pytest.raises(IndexError, match="layer 9 does not exist"):
        found.examples(9, 0, "entropy")
    with pytest.raises(ValueError, match="there is no group 'a'"):
        found.groups("entropy", "a", "b")
    with pytest.raises(ValueError, match="statistic='median' is not known"):
        found.arrays("median")
    other = aw.survey(*storyteller, TEXTS, measures=["sink"], progress=False)
    with pytest.raises(ValueError, match="do not go together: their measures"):
        _ = found + other


def test_groups_that_are_none(storyteller):
    data = [("Ben ran .", number) for number in range(120)]
    with pytest.raises(ValueError, match="more than 100 different groups"):
        aw.survey(*storyteller, data, progress=False)


def test_a_text_that_the_tokenizer_refuses_is_named(storyteller):
    found = skipping(storyteller, [*TEXTS[:3], "Ben \ud800 ran .", *TEXTS[3:5]])
    assert (found.count, found.skipped[0].number) == (5, 3)
    assert found.skipped[0].reason.startswith("the tokenizer refuses it: TypeError")


def test_a_text_for_which_the_labels_fail_is_named(storyteller):
    def labels(tokens):
        if len(tokens) < 4:
            raise KeyError("Ben")
        return ["a"] * len(tokens)

    found = skipping(storyteller, [TEXTS[0], "Ben", TEXTS[1]], labels=labels)
    assert [(one.number, one.reason) for one in found.skipped] == [(1, "labels= fails for it: KeyError: 'Ben'.")]


def test_what_is_missing_is_no_group(storyteller):
    missing = [None, float("nan"), np.float64("nan"), np.datetime64("NaT"), pd.NaT, pd.NA, "", " "]
    data = [*zip(TEXTS, missing, strict=False), (TEXTS[8], "b"), (TEXTS[9], 2), (TEXTS[10], "a"), (TEXTS[11], 1)]
    found = aw.survey(*storyteller, data, measures=["entropy"], progress=False)
    assert found.count == 12
    assert list(found.sizes.items()) == [(1, 1), (2, 1), ("a", 1), ("b", 1)]


def test_groups_stand_in_one_order_however_they_come(storyteller):
    parts = [aw.survey(*storyteller, [(TEXTS[0], kind)], progress=False) for kind in ("b", 2, "a")]
    assert list((parts[0] + parts[1] + parts[2]).sizes) == list((parts[2] + parts[0] + parts[1]).sizes) == [2, "a", "b"]


def test_the_column_of_labels_is_no_text(storyteller):
    data = [{"body": text, "pos": " ".join("x" for _ in text.split())} for text in TEXTS]
    assert aw.survey(*storyteller, data, labels="pos", progress=False).count == 12


def test_rows_that_hold_nan_are_told_once(tmp_path):
    model, tokenizer = aw.demo.load()
    width = model.config.head_dim
    with torch.no_grad():
        model.model.layers[3].self_attn.q_proj.weight[2 * width : 3 * width] = float("nan")
    with pytest.warns(aw.AttentionWarning, match=r"NaN in rows of layer 3, head 2, in up to 12 texts") as told:
        found = aw.survey(model, tokenizer, TEXTS, batch_size=5, folder=tmp_path, progress=False)
    assert len(told) == 1
    assert found.broken == aw.Survey.load(tmp_path).broken == {(3, 2): 12}
    assert (found + found).broken == {(3, 2): 24}
