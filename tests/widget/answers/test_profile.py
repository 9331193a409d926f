"""Profiles: the mean entropy of every head."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.measures import entropy
from attnwidget.widget.answers.profile import profile
from tests.make import matrices, projected


def test_the_uniform_line_is_of_rows_that_have_an_entropy():
    weights = matrices(1, 4, 4)
    weights[0, :2] = 0
    maps = aw.AttentionMaps.from_arrays(weights, layout="HQK")
    assert profile(maps, 0).header["uniform"] == pytest.approx(math.log(4))


def test_profile_is_the_mean_entropy_of_each_head():
    answer = profile(projected(), 1)
    got = np.frombuffer(answer.buffers[0], "<f4")
    np.testing.assert_allclose(got, entropy(projected(), reduce="queries")[1].numpy(), atol=1e-6)
    assert answer.header["uniform"] == pytest.approx(float(torch.arange(1, 15).log().mean()))


def test_a_map_of_one_token_is_certain():
    assert profile(projected(1), 0).header["uniform"] == 0
