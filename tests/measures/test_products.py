"""Products: where a score comes from."""

from __future__ import annotations

import math

import pytest
import torch

import attnwidget as aw
from attnwidget.layers import Mask, ProjectedLayer
from attnwidget.rotary import Rotary
from tests.make import matrices, projected

N, WIDTH = 9, 12


def turned(pairing, start, *, known=True):
    """Vectors turned by hand, one by one; and the same before."""
    draw = torch.Generator().manual_seed(3)
    q, k = torch.randn(2, 1, N, WIDTH, generator=draw)
    angles = torch.arange(N)[:, None] * torch.tensor([1.0, 0.3, 0.01])
    after = [one.clone() for one in (q, k)]
    pairs = [
        (start + i, start + i + 3) if pairing == "halves" else (start + 2 * i, start + 2 * i + 1) for i in range(3)
    ]
    for before, now in zip((q, k), after, strict=True):
        for position in range(N):
            for number, (one, two) in enumerate(pairs):
                angle = float(angles[position, number])
                a, b = before[0, position, one], before[0, position, two]
                now[0, position, one] = a * math.cos(angle) - b * math.sin(angle)
                now[0, position, two] = b * math.cos(angle) + a * math.sin(angle)
    of_keys = angles if known else torch.full_like(angles, math.nan)
    rotary = Rotary(pairing, start, angles, of_keys)
    layer = ProjectedLayer(*after, WIDTH**-0.5, Mask(causal=True), rotary=rotary)
    return aw.AttentionMaps([layer], aw.Tokens.positions(N)), q, k, pairs


@pytest.mark.parametrize("pairing", ["halves", "neighbours"])
@pytest.mark.parametrize("start", [0, 6])
def test_content_is_the_product_before_the_turning_and_distance_the_rest(pairing, start):
    maps, q, k, pairs = turned(pairing, start)
    found = aw.measures.score_products(maps, 0, 0, 7, 2)
    score = maps.scores(0, 0)[7, 2] * WIDTH**0.5
    assert torch.allclose(found.products.sum(), score, atol=1e-5)
    assert found.dimensions[:3] == pairs
    for number, dimensions in enumerate(found.dimensions):
        at = list(dimensions)
        assert found.content[number] == pytest.approx(float(q[0, 7, at] @ k[0, 2, at]), abs=1e-5)
    assert torch.equal(found.distance, found.products - found.content)
    assert found.distance[3:].eq(0).all()


def test_a_key_whose_place_is_not_known_has_no_content():
    maps, *_ = turned("halves", 0, known=False)
    found = aw.measures.score_products(maps, 0, 0, 7, 2)
    assert found.content[:3].isnan().all()
    assert found.products.isfinite().all()


def test_tokens_that_are_left_stay_turned_as_where_they_stood():
    maps, *_ = turned("halves", 0)
    found = aw.measures.score_products(maps.without(tokens=[0, 3]), 0, 0, 5, 1)
    expected = aw.measures.score_products(maps, 0, 0, 7, 2)
    assert torch.equal(found.content, expected.content)


def test_without_a_turning_each_dimension_stands_alone():
    maps = projected(heads=4, key_value_heads=2)
    layer = maps.layers[1]
    found = aw.measures.score_products(maps, 1, 3, 10, 4)
    assert torch.equal(found.products, layer.q[3, 10] * layer.k[1, 4])
    assert (found.dimensions[5], found.content, found.distance) == ((5,), None, None)


def test_what_is_not_there_is_said():
    with pytest.raises(IndexError, match="key 14 does not exist; there are 14"):
        aw.measures.score_products(projected(), 0, 0, 1, 14)
    with pytest.raises(ValueError, match="held as weights, which do not tell what was multiplied"):
        aw.measures.score_products(aw.AttentionMaps.from_arrays([matrices(2, 5, 5)]), 0, 0, 1, 1)
    with pytest.raises(TypeError, match="expected an integer"):
        aw.measures.score_products(projected(), 0, 0, 1.5, 1)
