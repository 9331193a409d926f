"""One query's row in every head of a layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.widget.answers import Shown, answer
from tests.make import projected


def asked(maps, **more):
    answered = answer(Shown.of({"attention": maps}), {"op": "rows", "map": "attention", **more})
    shape = answered.header["shape"]
    return answered.header, (np.frombuffer(answered.buffers[0], "<u2").reshape(shape) / 65535) ** 2


def test_are_the_weights_of_every_head():
    maps = projected(causal=False)
    header, weights = asked(maps, layer=2, query=5)
    exact = torch.stack([maps.weights(2, head)[5] for head in range(4)]).numpy()
    assert (header["heads"], header["stride"], header["query"]) == (4, 1, 5)
    np.testing.assert_allclose(weights, exact, atol=2e-5)
    np.testing.assert_allclose(header["peak"], exact.max(-1), atol=1e-6)


def test_small_weights_beside_a_large_one_are_told_apart():
    matrix = torch.full((1, 1, 4, 4), 1e-5)
    matrix[..., 1], matrix[..., 0] = 2e-5, 1 - 4e-5
    _, weights = asked(aw.AttentionMaps.from_arrays(matrix, layout="LHQK"), layer=0, query=3)
    np.testing.assert_allclose(weights[0, 1:], [2e-5, 1e-5, 1e-5], rtol=0.01)


def test_of_a_long_text_a_cell_is_the_largest_of_its_keys():
    maps = projected(2100, layers=1)
    header, weights = asked(maps, layer=0, query=2099)
    exact = torch.stack([maps.layers[0].weights(slice(head, head + 1), slice(2099, 2100))[0, 0] for head in range(4)])
    assert (header["stride"], header["shape"]) == (3, (4, 700))
    np.testing.assert_allclose(weights, exact.view(4, 700, 3).amax(-1).numpy(), atol=2e-5)


@pytest.mark.filterwarnings("ignore:NaN in layer")
def test_a_row_without_values_is_zero():
    maps = aw.AttentionMaps.from_arrays(torch.full((1, 2, 3, 3), torch.nan), layout="LHQK")
    header, weights = asked(maps, layer=0, query=0)
    assert header["peak"] == [0, 0]
    assert not weights.any()


@pytest.mark.parametrize("query", [14, -1])
def test_a_query_that_does_not_exist(query):
    with pytest.raises(ValueError, match=f"query {query} was asked for; they go from 0 to 13"):
        asked(projected(), layer=0, query=query)
