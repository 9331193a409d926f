"""Heads of several layers as one layer, and their mean."""

from __future__ import annotations

import math

import pytest
import torch

import attnwidget as aw
from attnwidget.layers import DenseLayer, Mask, ProjectedLayer
from attnwidget.lenses import mean_of_chosen
from attnwidget.lenses.chosen import ChosenHeads
from attnwidget.lenses.heads import LargestOfHeads
from tests.make import matrices, projected

HEADS = [(0, 1), (2, 0), (2, 3)]


def dense(maps, heads):
    return torch.stack([maps.weights(layer, head) for layer, head in heads])


@pytest.mark.parametrize("n", [14, 700])
def test_the_mean_of_heads_of_several_layers_is_that_of_their_matrices(n):
    maps = projected(n)
    mean = mean_of_chosen(maps, HEADS)
    expected = dense(maps, HEADS).mean(0)
    torch.testing.assert_close(mean.weights(0, 0), expected)
    torch.testing.assert_close(mean.log_weights(0, 0).exp(), expected)
    rows = torch.tensor([3, 9])
    torch.testing.assert_close(mean.layers[0].weights(slice(0, 1), rows)[0], expected[rows])
    assert mean.causal
    assert mean.notes == ("The mean of 3 heads: layer 0 head 1, layer 2 head 0, layer 2 head 3.",)


def test_other_lenses_and_measures_take_them():
    maps = projected()
    one = aw.AttentionMaps([LargestOfHeads(ChosenHeads([(maps.layers[0], 1), (maps.layers[2], 3)]))], maps.tokens)
    torch.testing.assert_close(one.weights(0, 0), dense(maps, [(0, 1), (2, 3)]).amax(0))
    mean = mean_of_chosen(maps, HEADS)
    expected = aw.measures.entropy(dense(maps, HEADS).mean(0), causal=True)
    torch.testing.assert_close(aw.measures.entropy(mean)[0, 0], expected)


def test_scores_of_chosen_heads_are_their_own_and_their_mean_has_none():
    maps = projected()
    chosen = ChosenHeads([(maps.layers[0], 1), (maps.layers[2], 3)])
    torch.testing.assert_close(chosen.scores(slice(1, 2), slice(0, 14))[0], maps.scores(2, 3))
    with pytest.raises(ValueError, match="mean of several heads"):
        mean_of_chosen(maps, HEADS).scores(0, 0)


def test_a_mean_over_windows_of_different_widths_sees_what_any_head_sees():
    layers = [
        ProjectedLayer(torch.randn(2, 9, 4), torch.randn(2, 9, 4), 0.5, Mask(causal=True, window=window))
        for window in (2, 4, None)
    ]
    maps = aw.AttentionMaps(layers, list("abcdefghi"))
    for heads, window in [([(0, 0), (1, 1)], 4), ([(0, 0), (2, 1)], None)]:
        mean = mean_of_chosen(maps, heads)
        torch.testing.assert_close(mean.weights(0, 0), dense(maps, heads).mean(0))
        assert (mean.layers[0].mask.causal, mean.layers[0].mask.window) == (True, window)


def test_a_key_that_no_chosen_head_may_see_stays_hidden():
    hidden = torch.zeros(2, 6, 6).masked_fill(~torch.ones(6, 6, dtype=torch.bool).tril(), -math.inf)
    hidden[:, :, :2] = -math.inf
    hidden[1, 3, 3] = -math.inf  # in one of them
    layers = [ProjectedLayer(torch.randn(2, 6, 4), torch.randn(2, 6, 4), 0.5, Mask(additive=hidden))] * 2
    mean = mean_of_chosen(aw.AttentionMaps(layers, list("abcdef")), [(0, 0), (1, 1)])
    seen = mean.layers[0].mask.visible(slice(0, 6), 6, torch.device("cpu"))[0]
    assert torch.equal(seen, (hidden > -math.inf).any(0))
    assert mean.causal


def test_weights_that_were_given_and_a_layer_twice():
    given = matrices(2, 3, 4, 5)
    maps = aw.AttentionMaps([DenseLayer(layer) for layer in given], ["a", "b", "c", "d"], list("vwxyz"))
    mean = mean_of_chosen(maps, [(1, 0), (1, 2)])
    torch.testing.assert_close(mean.weights(0, 0), given[1, [0, 2]].mean(0))
    assert mean.key_tokens is maps.key_tokens
