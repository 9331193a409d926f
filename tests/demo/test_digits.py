"""Digits: what the card says is measured here again, and a capture brings the patches and their picture."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import attnwidget as aw
from attnwidget import demo
from attnwidget.demo.handwriting import pictures
from attnwidget.demo.recipes.digits import accuracy


@pytest.fixture(scope="module")
def digits():
    return demo.load("digits")


def test_held_out_pictures_are_read_as_stated(digits):
    stated = json.loads((demo.folder("digits") / "training.json").read_text())["reached"]["held_out_pictures"]
    measured = accuracy(*digits)
    assert measured == pytest.approx(stated, abs=0.003)
    assert measured > 0.93


def test_held_out_pictures_are_no_part_of_the_training():
    (held_out, labels), (taught, names) = pictures(held_out=True), pictures(held_out=False)
    assert (len(held_out), len(taught)) == (len(labels), len(names)) == (360, 1437)
    known = {picture.tobytes() for picture in taught}
    assert not [picture for picture in held_out if picture.tobytes() in known]


@pytest.mark.parametrize("seed", [0, 1])
def test_ten_images_are_one_of_each_digit(digits, seed):
    images, labels = demo.digit_images(seed)
    assert (images.shape, images.dtype) == ((10, 8, 8, 3), np.uint8)
    assert labels.tolist() == list(range(10))
    assert (images[..., 0].min(), images[..., 0].max()) == (0, 255)
    held_out = {picture.tobytes() for picture in pictures(held_out=True)[0]}
    assert {picture.tobytes() for picture in images} <= held_out
    assert (images == demo.digit_images(seed)[0]).all()
    assert not (images == demo.digit_images(seed + 1)[0]).all()
    model, processor = digits
    with torch.no_grad():
        best = model(**processor(list(images), return_tensors="pt")).logits.argmax(-1)
    assert int((best == torch.from_numpy(labels)).sum()) >= 9


def test_the_picture_may_come_as_pil_has_it_grey_and_larger(digits):
    model, processor = digits
    images, _ = demo.digit_images()
    grey = Image.fromarray(images[3, ..., 0])
    assert torch.equal(processor(grey, return_tensors="pt")["pixel_values"], pixels(processor, images[3]))
    large = processor(grey.resize((64, 64)), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        assert model.config.id2label[int(model(large).logits.argmax())] == "3"


def pixels(processor, image):
    return processor(image, return_tensors="pt")["pixel_values"]


def test_a_capture_has_the_patches_and_the_picture(digits):
    model, processor = digits
    images, _ = demo.digit_images()
    run = aw.capture(model, processor(images[3], return_tensors="pt"), processor)
    tokens = run.maps.tokens
    assert tuple(run.maps.heads) == (4, 4, 4)
    assert tokens.labels[:2] == ("[CLS]", "0,0")
    assert (tokens.image.start, tokens.image.rows, tokens.image.columns) == (1, 4, 4)
    # The normalisation is undone: what is shown is what was given.
    assert torch.equal(tokens.image.picture, torch.from_numpy(images[3]))
    assert aw.explore(run, view="image").view == "image"
