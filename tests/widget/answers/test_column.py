"""The column of one key: what every query gives to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.layers import Mask, ProjectedLayer
from attnwidget.widget.answers.column import column
from tests.make import by_hand, matrices, projected

WINDOWED = aw.AttentionMaps(
    [ProjectedLayer(torch.randn(2, 12, 4), torch.randn(2, 12, 4), 0.5, Mask(causal=True, window=3))],
    aw.Tokens.positions(12),
)


def read(answer):
    return np.frombuffer(answer.buffers[0], "<f4")


@pytest.mark.parametrize("factor", [1.0, 2.5, 0.0])
@pytest.mark.parametrize("key", [0, 5, 13])
@pytest.mark.parametrize("maps", [projected(), projected(causal=False), projected(sinks=torch.ones(4))])
def test_it_is_that_of_the_map_and_nan_where_it_is_masked(maps, key, factor):
    paid = read(column(maps, 1, 2, key, scaling=factor))
    visible = np.arange(14) >= (key if maps.causal else 0)
    assert np.isnan(paid[~visible]).all()
    wanted = maps.weights(1, 2, scaling=factor)[:, key].numpy()
    np.testing.assert_allclose(paid[visible], wanted[visible], atol=1e-6)
    if factor:
        np.testing.assert_allclose(wanted, by_hand(maps, 1, 2, factor)[:, key], atol=1e-5)


def test_a_query_that_has_left_the_key_behind_does_not_see_it():
    paid = read(column(WINDOWED, 0, 1, 4))
    assert np.flatnonzero(~np.isnan(paid)).tolist() == [4, 5, 6]
    np.testing.assert_allclose(paid[4:7], WINDOWED.weights(0, 1)[4:7, 4], atol=1e-6)


def test_matrices_are_given_as_they_are_and_rows_without_values_are_nan():
    weights = matrices(1, 5, 7)
    weights[0, 2] = 0
    weights[0, 3] = torch.nan
    with pytest.warns(aw.AttentionWarning, match="NaN"):
        maps = aw.AttentionMaps.from_arrays(weights, layout="HQK")
    paid = read(column(maps, 0, 0, 6))
    assert np.isnan(paid[2:4]).all()
    np.testing.assert_allclose(paid[[0, 1, 4]], weights[0, [0, 1, 4], 6])


def test_of_what_is_made_of_heads():
    maps = projected().mean_of_heads()
    np.testing.assert_allclose(read(column(maps, 0, 0, 3))[3:], maps.weights(0, 0)[3:, 3], atol=1e-6)


def test_of_a_long_map_an_even_spread_of_rows_is_read_and_counted(monkeypatch):
    monkeypatch.setitem(column.__globals__, "READ", 14 * 3)
    maps = projected(causal=False)
    answered = column(maps, 0, 0, 3)
    paid = read(answered)
    assert answered.header["read"] == 3
    assert np.flatnonzero(~np.isnan(paid)).tolist() == [0, 6, 13]
    np.testing.assert_allclose(paid[[0, 6, 13]], maps.weights(0, 0)[[0, 6, 13], 3], atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ((0, 0, 14), IndexError, "key 14 does not exist: these maps have keys 0 to 13"),
        ((0, 0, -1), IndexError, "key -1 does not exist"),
        ((0, 4, 0), IndexError, "head 4 does not exist"),
        ((0, 0, 0), ValueError, "temperature=0.0; expected a number above 0"),
    ],
)
def test_what_has_none(asked, error, words):
    with pytest.raises(error, match=words):
        column(projected(), *asked, temperature=0.0)
