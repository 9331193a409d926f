"""A prediction with what speaks for it: in words, and as a page."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import transformers as tf

from attnwidget import demo
from attnwidget.effects import debug_prediction
from tests.effects.models import IDS, NEXT_WORD, SIZES, made

STORY = "Lily and Ben went to the park . Lily gave the ball to"


@pytest.fixture(scope="module")
def storyteller():
    return demo.load()


def test_a_right_prediction_is_told_with_what_speaks_for_it(storyteller):
    found = debug_prediction(storyteller[0], STORY, storyteller[1], truth="Ben")
    assert found.prediction == "Ben"
    assert found.correct
    assert found.loss == pytest.approx(-math.log(found.confidence))
    assert sum(one.probability for one in found.guesses) <= 1
    best = found.worth[0]
    assert (best.layer, best.head) == divmod(int(found.effects.heads.argmax()), 4)
    assert "speaks for it" in best.why
    report = str(found)
    assert "That is right." in report
    assert f"layer {best.layer}, head {best.head}" in report
    assert "'Ben' (own 3)" in report


def test_a_wrong_prediction_is_held_against_the_truth(storyteller):
    found = debug_prediction(storyteller[0], STORY, storyteller[1], truth="park")
    assert not found.correct
    assert found.against == "park"
    assert found.effects.against == "park"
    assert found.relevance.against == "park"
    assert found.truth.rank > 1
    assert f"place {found.truth.rank}" in str(found)


def test_a_report_is_a_page(storyteller, tmp_path):
    found = debug_prediction(storyteller[0], STORY, storyteller[1], truth="Ben")
    html = found.save(tmp_path / "why.html").read_text()
    assert html.count('data-attnwidget-place="explorer"') == 2
    assert "Worth a look" in html


def test_what_tokens_hold_is_text_and_no_markup(storyteller):
    model, _ = storyteller
    words = ["<unk>", "<b>hi</b>", "*x*", "[a](javascript:1)", "|", "`"]

    class Hostile:
        """Decodes ids to what would be markup."""

        name_or_path = "hostile"
        all_special_ids = ()

        def __len__(self):
            return 1000

        def decode(self, ids, **_):
            return words[int(ids[0]) % len(words)]

        def convert_ids_to_tokens(self, ids):
            return words[ids % len(words)] if isinstance(ids, int) else [words[int(one) % len(words)] for one in ids]

    found = debug_prediction(model, torch.arange(3, 12)[None], Hostile())
    html = str(found.page())
    assert "<b>hi</b>" not in html.split("<script", maxsplit=1)[0]
    assert "<a href" not in html.split("<script", maxsplit=1)[0]
    assert "<em>x</em>" not in html


def test_of_a_picture_it_says_what_there_is(tmp_path):
    sizes = SIZES | {"intermediate_size": 64, "image_size": 24, "patch_size": 8, "num_labels": 3}
    model = made(lambda: tf.ViTForImageClassification(tf.ViTConfig(**sizes)))
    found = debug_prediction(model, {"pixel_values": torch.randn(1, 3, 24, 24)}, truth="LABEL_1")
    assert found.prediction.startswith("LABEL_")
    assert not found.missing
    assert found.effects.position == found.relevance.position == 0
    assert np.isfinite(found.loss)
    assert found.save(tmp_path / "why.html").exists()


def test_what_is_not_known_is_told_with_its_reason():
    bert = made(lambda: tf.BertForSequenceClassification(tf.BertConfig(**SIZES, intermediate_size=64, num_labels=2)))
    found = debug_prediction(bert, {"input_ids": IDS[:1]}, truth=0)
    assert found.effects is None
    assert "norm" in found.missing["direct effects"]
    assert found.relevance is not None
    assert "Not known" in str(found)


def test_bad_input_is_refused(storyteller):
    model, tokenizer = storyteller
    with pytest.raises(ValueError, match="one text or picture"):
        debug_prediction(model, [STORY, "Lily"], tokenizer)
    with pytest.raises(ValueError, match=r"tokens of this tokenizer"):
        debug_prediction(model, STORY, tokenizer, truth="Ben and Lily")
    with pytest.raises(TypeError, match="NoneType"):
        debug_prediction(None, STORY)


@pytest.mark.parametrize("family", ["GPT-2", "LLaMA", "Gemma 2"])
def test_a_report_of_any_model_can_be_printed(family):
    found = debug_prediction(made(NEXT_WORD[family]), IDS[:1])
    assert "What speaks for it" in str(found)
    assert "embedding" in str(found) or "layer" in str(found)
