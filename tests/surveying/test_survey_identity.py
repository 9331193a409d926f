"""A folder goes on with the same model, tokenizer and functions, and with no others."""

from __future__ import annotations

import pytest

import attnwidget as aw

TEXTS = aw.demo.sentences(4)


def survey(folder, model=None, tokenizer=None, **options):
    own, spoken = aw.demo.load()
    options = {"measures": ["entropy"], **options}
    return aw.survey(model or own, tokenizer or spoken, TEXTS, folder=folder, progress=False, **options)


def grouped(key):
    return lambda text: text[key]


def one(model, _tokenizer):
    model.model.layers[0].self_attn.q_proj.weight.data[7, 7] += 1


def config(model, _tokenizer):
    model.config.rms_norm_eps *= 2


def words(_model, tokenizer):
    tokenizer.add_tokens(["zebra"])


@pytest.mark.parametrize(("change", "differs"), [(one, "weights"), (config, "weights"), (words, "tokenizer")])
def test_a_small_difference_is_another_survey(tmp_path, change, differs):
    survey(tmp_path)
    other = aw.demo.load()
    change(*other)
    with pytest.raises(ValueError, match=f"another survey: its {differs} is"):
        survey(tmp_path, *other)


def test_a_weight_in_the_middle_of_a_file_tells_folders_apart(tmp_path):
    model, tokenizer = aw.demo.load()
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "model")
    survey(tmp_path / "found", str(tmp_path / "model"))
    one(model, tokenizer)
    model.save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="another survey: its weights is"):
        survey(tmp_path / "found", str(tmp_path / "model"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda text: text[0], lambda text: text[1]),
        (lambda text: text.upper()[0], lambda text: text.lower()[0]),
        (grouped(0), grouped(1)),
    ],
)
def test_functions_are_told_apart_by_what_they_do(tmp_path, first, second):
    survey(tmp_path, by=first)
    assert survey(tmp_path, by=first).count == 4
    with pytest.raises(ValueError, match="another survey: its by is"):
        survey(tmp_path, by=second)


def test_what_a_tokenizer_did_last_does_not_matter(tmp_path):
    tokenizer = aw.demo.load()[1]
    survey(tmp_path, None, tokenizer, max_tokens=4)
    tokenizer("Ben ran .", truncation=True, max_length=2, padding="max_length")
    assert survey(tmp_path, None, tokenizer, max_tokens=4).count == 4
