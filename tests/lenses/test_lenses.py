"""All heads as one: the mean, and the largest."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.layers import DenseLayer, Mask, ProjectedLayer
from attnwidget.tokens import Tokens
from tests.make import matrices, projected
from tests.widget.answers.reading import decoded, whole


def stacked(maps, layer):
    return torch.stack([maps.weights(layer, head) for head in range(maps.heads[layer])])


LENSES = [("mean_of_heads", "mean"), ("max_of_heads", "amax")]


@pytest.mark.parametrize(("door", "reduce"), LENSES)
@pytest.mark.parametrize("n", [14, 700])  # heads that are read together, and one after the other
def test_weights_are_those_of_all_heads(door, reduce, n):
    maps = projected(n, layers=2)
    one = getattr(maps, door)()
    assert one.heads == (1, 1)
    expected = getattr(stacked(maps, 1), reduce)(0)
    torch.testing.assert_close(one.weights(1, 0), expected)
    torch.testing.assert_close(one.log_weights(1, 0).exp(), expected)
    rows = torch.tensor([3, 9])
    torch.testing.assert_close(one.layers[1].weights(slice(0, 1), rows)[0], expected[rows])
    assert one.causal


@pytest.mark.parametrize("door", ["mean_of_heads", "max_of_heads"])
def test_what_is_known_of_the_maps_is_kept(door):
    maps = aw.AttentionMaps(
        [DenseLayer(matrices(4, 3, 5)), DenseLayer(matrices(2, 3, 5))],
        ["a", "b", "c"],
        Tokens.from_labels(list("vwxyz")),
        layer_names=["h.3", "h.7"],
        layer_numbers=[3, 7],
        notes=["Something was cut."],
        following="d",
    )
    one = getattr(maps, door)()
    assert one.heads == (1, 1)
    assert (one.tokens, one.key_tokens, one.following) == (maps.tokens, maps.key_tokens, "d")
    assert (one.layer_names, one.layer_numbers, one.notes) == (("h.3", "h.7"), (3, 7), ("Something was cut.",))
    with pytest.raises(ValueError, match=r"of several heads\. Look at one"):
        one.scores(0, 0)
    assert getattr(one, door)().weights(0, 0).equal(one.weights(0, 0))


def test_heads_that_see_different_keys():
    seen = torch.tensor([[[1, 0], [1, 1]], [[0, 1], [0, 1]]], dtype=torch.bool)
    mask = Mask(additive=torch.zeros(2, 2, 2).masked_fill(~seen, -math.inf))
    maps = aw.AttentionMaps([ProjectedLayer(torch.randn(2, 2, 4), torch.randn(2, 2, 4), 0.5, mask)], ["a", "b"])
    mean = maps.mean_of_heads()
    torch.testing.assert_close(mean.weights(0, 0), stacked(maps, 0).mean(0))
    torch.testing.assert_close(mean.weights(0, 0).sum(-1), torch.ones(2))
    assert mean.layers[0].visible(slice(0, 1), slice(0, 2)).tolist() == [[[True, True], [True, True]]]
    both = aw.AttentionMaps([mean.layers[0]], ["a", "b"]).layers[0].mask
    assert both.visible(slice(0, 2), 2, torch.device("cpu")).all()


@pytest.mark.parametrize("door", ["mean_of_heads", "max_of_heads"])
def test_a_key_that_no_head_may_see_stays_hidden_and_padding_in_front_is_not_the_first_key(door):
    additive = torch.zeros(1, 6, 6).masked_fill(~torch.ones(6, 6, dtype=torch.bool).tril(), -math.inf)
    additive[..., :2] = -math.inf  # padding on the left
    maps = aw.AttentionMaps(
        [ProjectedLayer(torch.randn(2, 6, 4), torch.randn(2, 6, 4), 0.5, Mask(additive=additive))], list("abcdef")
    )
    one = getattr(maps, door)()
    assert one.causal
    summary = aw.summarize(one, progress=False)
    expected = torch.stack([one.weights(0, 0)[row, 2] for row in range(3, 6)]).mean()
    assert summary["first"].item() == pytest.approx(float(expected), abs=1e-6)
    assert aw.measures.entropy(one)[0, 0].isnan().tolist() == [True, True, False, False, False, False]


def test_a_head_that_sees_nothing_in_a_row_has_no_part_in_it():
    weights = matrices(3, 4, 4)
    weights[1, 2] = 0
    weights[:, 3] = 0
    mean = aw.AttentionMaps.from_arrays(weights, layout="HQK").mean_of_heads()
    torch.testing.assert_close(mean.weights(0, 0)[2], weights[[0, 2], 2].mean(0))
    assert mean.weights(0, 0)[3].tolist() == [0, 0, 0, 0]
    assert mean.layers[0].log_weights(slice(0, 1), slice(0, 4))[1].exp().tolist() == [[0, 0, 0, 0]]
    assert aw.measures.entropy(mean)[0, 0].isnan().tolist() == [False, False, False, True]


@pytest.mark.parametrize("door", ["mean_of_heads", "max_of_heads"])
def test_a_head_with_nan_makes_the_row_nan(door):
    weights = matrices(2, 3, 3)
    weights[0, 1] = math.nan
    with pytest.warns(aw.AttentionWarning, match="NaN"):
        one = getattr(aw.AttentionMaps.from_arrays(weights, layout="HQK"), door)()
    assert one.weights(0, 0).isnan().all(-1).tolist() == [False, True, False]
    logs, missing, _ = decoded(whole(one, 0, 0))
    assert np.isnan(missing).tolist() == [False, True, False]
    assert np.isinf(logs[1]).all()


def test_mass_in_sinks_is_the_mean_of_what_the_heads_have_there():
    maps = projected(sinks=torch.tensor([3.0, -4.0, 0.0, 1.0]))
    _, missing, _ = decoded(whole(maps.mean_of_heads(), 0, 0))
    np.testing.assert_allclose(missing, (1 - stacked(maps, 0).sum(-1)).mean(0).numpy(), atol=1e-6)


def test_rows_of_the_largest_that_exceed_one_are_shown_and_measured_as_they_are():
    maps = projected(40, layers=1, causal=False)
    largest = maps.max_of_heads()
    expected = stacked(maps, 0).amax(0)
    assert (expected.sum(-1) > 1.01).all()
    logs, missing, row_entropy = decoded(whole(largest, 0, 0))
    np.testing.assert_allclose(np.exp(logs), expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(missing, 1 - expected.sum(-1).numpy(), atol=1e-5)  # how the browser knows
    np.testing.assert_allclose(row_entropy, aw.measures.entropy(expected / expected.sum(-1, keepdim=True)), atol=1e-5)
    for pooling, reduce in (("max", "amax"), ("mean", "mean")):
        logs, *_ = decoded(whole(largest, 0, 0, height=8, width=8, pooling=pooling))
        cells = getattr(expected.reshape(8, 5, 8, 5), reduce)((1, 3))
        np.testing.assert_allclose(np.exp(logs), cells.numpy(), atol=1e-4)
    table = aw.summarize(largest, progress=False)
    assert table["confidence"].item() == pytest.approx(float(expected.amax(-1).mean()), abs=1e-6)
    assert table["outside"].item() == 0
    tempered = largest.weights(0, 0, temperature=2.0)
    torch.testing.assert_close(tempered.sum(-1), torch.ones(40))


def test_weights_above_one_as_dropout_leaves_them_are_shown_as_they_came():
    given = torch.tensor([[[1.25, 0.0, 0.8], [0.2, 0.3, 0.5], [0.0, 0.0, 0.625]]])
    with pytest.warns(aw.AttentionWarning, match="dropout"):
        maps = aw.AttentionMaps.from_arrays(given, layout="HQK")
    logs, missing, _ = decoded(whole(maps, 0, 0))
    np.testing.assert_allclose(np.exp(logs), given[0].numpy(), atol=2e-3)
    np.testing.assert_allclose(missing, [-1.05, 0, 0.375], atol=1e-6)


@pytest.mark.parametrize(("door", "reduce"), LENSES)
def test_a_file_brings_them_back_as_matrices(door, reduce, tmp_path):
    maps = projected(20)
    path = getattr(maps, door)().save(tmp_path / "one.safetensors")
    back = aw.AttentionMaps.load(path)
    for layer in range(3):
        torch.testing.assert_close(back.weights(layer, 0), getattr(stacked(maps, layer), reduce)(0))
    assert back.causal


def test_nothing_is_computed_before_it_is_looked_at_nor_changed_by_who_looks():
    class Unread(DenseLayer):
        def weights(self, heads, rows):
            raise AssertionError("read too early")

    maps = aw.AttentionMaps([Unread(matrices(2, 5, 5))], list("abcde"))
    assert maps.mean_of_heads().max_of_heads().n_keys == 5
    with pytest.raises(AssertionError, match="too early"):
        maps.max_of_heads().weights(0, 0)
    given = matrices(2, 5, 5)
    one = aw.AttentionMaps.from_arrays(given.clone(), layout="HQK").max_of_heads()
    one.weights(0, 0).zero_()
    torch.testing.assert_close(one.weights(0, 0), given.amax(0))


def test_gradients_reach_every_head_that_has_a_part():
    given = matrices(2, 4, 4).requires_grad_()
    aw.AttentionMaps([DenseLayer(given)], list("abcd")).mean_of_heads().weights(0, 0).square().sum().backward()
    assert (given.grad != 0).all()
