"""Thumbnails show where the weights are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnwidget.widget.answers.spread import PICTURED, even_rows
from attnwidget.widget.answers.thumbnails import thumbnails
from tests.make import projected


@pytest.mark.parametrize("n", [5, 64, 100])
def test_thumbnails_show_the_largest_weight_under_each_cell(n):
    maps = projected(n, causal=False)
    answer = thumbnails(maps, 2)
    height, width = answer.header["shape"]
    pictures = np.frombuffer(answer.buffers[0], np.uint8).reshape(4, height, width)
    assert (height, width) == (min(n, 64), min(n, 64))
    expected = torch.nn.functional.adaptive_max_pool2d(
        torch.stack([maps.weights(2, head) for head in range(4)])[None], (height, width)
    )[0]
    np.testing.assert_allclose(pictures, expected.sqrt().numpy() * 255, atol=0.51)
    assert answer.header["peak"] == pytest.approx([float(maps.weights(2, head).max()) for head in range(4)])


def test_the_peak_leaves_out_rows_that_have_no_choice():
    maps = projected(6)
    informative = [float(maps.weights(0, head)[1:].max()) for head in range(4)]
    assert thumbnails(maps, 0).header["peak"] == pytest.approx(informative)


def test_thumbnails_of_a_long_map_are_exact_on_the_rows_that_are_read():
    maps = projected(3000, layers=1)
    answer = thumbnails(maps, 0)
    assert answer.header["shape"] == (64, 64)
    rows = even_rows(maps, PICTURED)
    assert len(rows) < 3000
    read = torch.stack([maps.weights(0, head)[rows] for head in range(4)])
    expected = torch.nn.functional.adaptive_max_pool2d(read[None], (64, 64))[0]
    pictures = np.frombuffer(answer.buffers[0], np.uint8).reshape(4, 64, 64)
    np.testing.assert_allclose(pictures, expected.sqrt().numpy() * 255, atol=0.51)


def test_what_is_read_of_all_heads_grows_no_faster_than_the_text():
    cells = [len(even_rows(projected(n, layers=1), PICTURED)) * n for n in (8192, 16384, 32768)]
    assert max(cells) <= PICTURED


def test_a_map_of_one_token_has_no_peak():
    assert thumbnails(projected(1), 0).header["peak"] == [0.0] * 4
