"""Tiles say what the maps say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import attnwidget as aw
from attnwidget.layers import Mask, ProjectedLayer
from attnwidget.measures import entropy
from attnwidget.measures.information import row_entropy
from attnwidget.widget.answers.tile import tile
from tests.make import by_hand, matrices, projected
from tests.widget.answers.reading import decoded, whole


@given(n=st.integers(1, 30), seed=st.integers(0, 1000), factor=st.floats(0.1, 5))
@settings(deadline=None, max_examples=40)
def test_the_browser_can_temper_a_whole_tile(n, seed, factor):
    maps = projected(n, layers=1, seed=seed, sinks=torch.tensor([0.5, -3.0, 2.0, 0.0]) if seed % 2 else None)
    logs, missing, _ = decoded(whole(maps, 0, 1))
    with np.errstate(divide="ignore"):
        scores = np.concatenate([logs, np.log(missing)[:, None]], 1) * factor
    shifted = np.exp(scores - scores.max(1, keepdims=True))
    tempered = (shifted / shifted.sum(1, keepdims=True))[:, :-1]
    np.testing.assert_allclose(tempered, by_hand(maps, 0, 1, factor).numpy(), atol=5e-4 * max(1, factor))


def test_a_whole_tile_is_sent_as_the_model_made_it():
    answer = whole(projected(), 1, 2, temperature=3.0, scaling=0.5)
    assert (answer.header["temperature"], answer.header["scaling"]) == (1.0, 1.0)
    logs, missing, tile_entropy = decoded(answer)
    np.testing.assert_allclose(np.exp(logs), projected().weights(1, 2).numpy(), atol=1e-4)
    np.testing.assert_allclose(tile_entropy, entropy(projected())[1, 2].numpy(), atol=1e-6)
    assert (missing == 0).all()
    assert (np.isinf(logs) == np.triu(np.ones((14, 14), bool), 1)).all()


def test_a_part_is_tempered_here():
    maps = projected()
    answer = tile(maps, 0, 0, rows=(3, 9), columns=(2, 7), height=50, width=50, temperature=2.0)
    assert answer.header["shape"] == (6, 5)
    assert answer.header["temperature"] == 2.0
    logs, _, tile_entropy = decoded(answer)
    wanted = by_hand(maps, 0, 0, 0.5)
    np.testing.assert_allclose(np.exp(logs), wanted[3:9, 2:7].numpy(), atol=1e-4)
    np.testing.assert_allclose(tile_entropy, entropy(wanted)[3:9].numpy(), atol=1e-5)


def test_pooling_keeps_the_largest_weight_after_tempering():
    maps = projected(50)
    answer = tile(maps, 2, 3, rows=(1, 50), columns=(0, 50), height=13, width=20, temperature=0.5)
    (down, across), (height, width) = answer.header["stride"], answer.header["shape"]
    assert (height, width) == (-(-49 // down), -(-50 // across))
    wanted = by_hand(maps, 2, 3, 2.0)[1:]
    cells = np.array(
        [
            [wanted[i * down : (i + 1) * down, j * across : (j + 1) * across].max() for j in range(width)]
            for i in range(height)
        ]
    )
    logs, _, tile_entropy = decoded(answer)
    np.testing.assert_allclose(np.exp(logs), cells, atol=1e-4)
    rows = entropy(wanted)
    np.testing.assert_allclose(tile_entropy, [rows[i * down : (i + 1) * down].mean() for i in range(height)], atol=1e-5)


def pooled_by_hand(weights, visible, stride, reduce):
    """Each cell of the given rows: the largest or the mean of its visible weights, NaN where none is visible."""
    down, across = stride
    height, width = -(-weights.shape[0] // down), -(-weights.shape[1] // across)
    cells = np.full((height, width), math.nan)
    for i, j in np.ndindex(height, width):
        here = np.s_[i * down : (i + 1) * down, j * across : (j + 1) * across]
        if visible[here].any():
            cells[i, j] = getattr(np, reduce)(weights[here][visible[here]])
    return cells


@pytest.mark.parametrize("pooling", ["max", "mean"])
@pytest.mark.parametrize("mask", ["causal", "window", "cached", "additive", "none"])
@pytest.mark.parametrize("columns", [(0, 40), (3, 31)])
def test_pooled_cells_are_the_largest_or_the_mean_of_what_is_visible(pooling, mask, columns):
    queries = 31 if mask == "cached" else 40
    additive = torch.zeros(1, 40, 40).masked_fill(torch.rand(1, 40, 40, generator=torch.Generator()) < 0.5, -math.inf)
    rule = {
        "causal": Mask(causal=True),
        "window": Mask(causal=True, window=6),
        "cached": Mask(causal=True, offset=9),
        "additive": Mask(additive=additive),
        "none": Mask(),
    }[mask]
    draw = torch.Generator().manual_seed(1)
    q, k = torch.randn(2, queries, 8, generator=draw), torch.randn(1, 40, 8, generator=draw)
    held = ProjectedLayer(q, k, 8**-0.5, rule, sinks=torch.tensor([0.5, -1.0]))
    maps = aw.AttentionMaps([held], aw.Tokens.positions(queries), aw.Tokens.positions(40))
    rows = (2, 29)
    answer = tile(
        maps, 0, 1, rows=rows, columns=columns, height=6, width=7, temperature=0.5, scaling=0.8, pooling=pooling
    )
    weights = maps.weights(0, 1, temperature=0.5, scaling=0.8).numpy()[slice(*rows), slice(*columns)]
    visible = held.visible(slice(1, 2), slice(0, queries))[0].numpy()[slice(*rows), slice(*columns)]
    logs, missing, tile_entropy = decoded(answer)
    cells = pooled_by_hand(weights, visible, answer.header["stride"], pooling)
    assert (np.isinf(logs) == np.isnan(cells)).all()
    np.testing.assert_allclose(np.exp(logs), np.nan_to_num(cells), atol=1e-4)
    full = maps.weights(0, 1, temperature=0.5, scaling=0.8)[slice(*rows)]
    by_cell = [slice(i * 5, (i + 1) * 5) for i in range(6)]
    np.testing.assert_allclose(missing, [(1 - full[c].sum(-1)).mean() for c in by_cell], atol=1e-5)
    np.testing.assert_allclose(tile_entropy, [row_entropy(full[c]).nanmean() for c in by_cell], atol=1e-4)


@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_blocks_leave_no_seams(pooling, monkeypatch):
    maps = projected(70, layers=1)
    span = {"rows": (0, 70), "columns": (0, 70), "height": 8, "width": 9, "pooling": pooling}
    whole_at_once = tile(maps, 0, 0, **span)
    monkeypatch.setattr("attnwidget.pooling.BLOCK", 70 * 4)
    in_blocks = tile(maps, 0, 0, **span)
    for one, other in zip(decoded(whole_at_once), decoded(in_blocks), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)


def test_a_mean_of_rows_some_of_which_hold_nan():
    weights = matrices(1, 4, 4)
    weights[0, 2] = math.nan
    with pytest.warns(aw.AttentionWarning, match="NaN"):
        maps = aw.AttentionMaps.from_arrays(weights, layout="HQK")
    answer = tile(maps, 0, 0, rows=(0, 4), columns=(0, 4), height=2, width=4, pooling="mean")
    logs, missing, _ = decoded(answer)
    np.testing.assert_allclose(np.exp(logs), [weights[0, :2].mean(0).numpy(), weights[0, 3].numpy()], atol=1e-4)
    assert not np.isnan(missing).any()


def test_a_mean_of_weights_of_zero_is_zero_and_not_masked():
    maps = aw.AttentionMaps.from_arrays(torch.eye(4).flip(0)[None], layout="HQK")
    answer = tile(maps, 0, 0, rows=(0, 4), columns=(0, 4), height=2, width=2, pooling="mean")
    logs, _, _ = decoded(answer)
    assert np.isfinite(logs).all()
    np.testing.assert_allclose(np.exp(logs), [[0, 0.5], [0.5, 0]], atol=1e-3)


@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_a_tile_beyond_the_budget_reads_an_even_spread_of_rows_and_says_so(pooling):
    maps = projected(96, layers=1, heads=1, key_value_heads=1, causal=False)
    span = {"rows": (0, 96), "columns": (0, 96), "height": 12, "width": 12, "pooling": pooling}
    answer = tile(maps, 0, 0, **span, cells=96 * 96 // 4)
    assert answer.header["sampled"] == (2, 8)
    assert answer.header["work"] == 96 * 96
    logs, _, tile_entropy = decoded(answer)
    weights = maps.weights(0, 0)
    read = weights.reshape(12, 8, 96)[:, [2, 6]].reshape(24, 96).numpy()
    cells = pooled_by_hand(read, np.ones_like(read, dtype=bool), (2, 8), pooling)
    np.testing.assert_allclose(np.exp(logs), cells, atol=1e-4)
    np.testing.assert_allclose(tile_entropy, entropy(torch.tensor(read)).reshape(12, 2).mean(1), atol=1e-5)


def test_a_tile_within_the_budget_is_exact():
    maps = projected(96, layers=1)
    span = {"rows": (0, 96), "columns": (0, 96), "height": 12, "width": 12}
    plain, within = tile(maps, 0, 0, **span), tile(maps, 0, 0, **span, cells=96 * 97 // 2)
    assert plain.header["sampled"] is None
    assert (within.header, within.buffers) == (plain.header, plain.buffers)


def test_however_small_the_budget_every_cell_is_read_and_the_last_may_be_short():
    maps = projected(50, layers=1)
    answer = tile(maps, 0, 0, rows=(0, 50), columns=(0, 50), height=7, width=7, cells=1)
    assert answer.header["sampled"] == (1, 8)
    logs, missing, tile_entropy = decoded(answer)
    assert np.isfinite(logs[:, 0]).all()
    assert np.isfinite(tile_entropy).all()
    assert np.isfinite(missing).all()


def test_one_row_of_a_long_map_is_exact():
    maps = projected(1500, layers=1, heads=1, key_value_heads=1)
    answer = tile(maps, 0, 0, rows=(1400, 1401), columns=(0, 1500), height=1, width=1500, temperature=9.0)
    assert answer.header["shape"] == (1, 1500)
    assert answer.header["temperature"] == 1.0
    np.testing.assert_allclose(np.exp(decoded(answer)[0][0]), maps.weights(0, 0)[1400].numpy(), atol=1e-4)


def test_no_tile_is_larger_than_a_reply_may_be():
    maps = projected(2500, layers=1, heads=1, key_value_heads=1)
    answer = whole(maps, 0, 0, height=9999, width=9999)
    assert sum(map(len, answer.buffers)) < 4 * 2**20


def test_a_row_of_nan_is_marked_and_spoils_no_other():
    weights = matrices(1, 4, 4)
    weights[0, 2] = math.nan
    with pytest.warns(aw.AttentionWarning, match="NaN"):
        maps = aw.AttentionMaps.from_arrays(weights, layout="HQK")
    logs, missing, tile_entropy = decoded(whole(maps, 0, 0))
    assert np.isinf(logs[2]).all()
    assert np.isnan(missing).tolist() == [False, False, True, False]
    assert np.isnan(tile_entropy).tolist() == [False, False, True, False]
    np.testing.assert_allclose(np.exp(logs[[0, 1, 3]]), weights[0, [0, 1, 3]].numpy(), atol=1e-4)


def test_a_row_with_nothing_in_it():
    weights = matrices(1, 3, 3)
    weights[0, 1] = 0
    logs, missing, tile_entropy = decoded(whole(aw.AttentionMaps.from_arrays(weights, layout="HQK"), 0, 0))
    assert np.isinf(logs[1]).all()
    assert missing[1] == 0
    assert np.isnan(tile_entropy[1])


def test_a_weight_of_zero_is_not_masked():
    maps = aw.AttentionMaps.from_arrays(torch.eye(3).flip(0)[None], layout="HQK")
    logs, _, _ = decoded(whole(maps, 0, 0))
    assert np.isfinite(logs).all()
    np.testing.assert_allclose(np.exp(logs), np.eye(3)[::-1], atol=1e-6)


def test_very_unequal_scores_spoil_no_others():
    maps = projected(6, layers=1)
    maps.layers[0].q[1] *= 3000
    logs, _, _ = decoded(whole(maps, 0, 1))
    np.testing.assert_allclose(np.exp(logs), maps.weights(0, 1).numpy(), atol=1e-3)


def test_a_map_of_one_token():
    answer = whole(projected(1), 0, 0)
    assert decoded(answer)[0].tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"rows": (0, 15)}, IndexError, "rows 0 to 15 lie outside"),
        ({"columns": (5, 5)}, IndexError, "columns 5 to 5"),
        ({"rows": (-1, 5)}, IndexError, "rows -1 to 5"),
        ({"height": 0}, ValueError, "0 x 1024 cells"),
        ({"temperature": 0}, ValueError, "temperature=0"),
        ({"temperature": math.inf}, ValueError, "temperature=inf"),
        ({"scaling": -1}, ValueError, "scaling=-1"),
        ({"pooling": "median"}, ValueError, "expected one of 'max', 'mean'"),
        ({"cells": 0}, ValueError, "cells=0 leaves nothing"),
    ],
)
def test_a_tile_that_cannot_be_drawn(options, error, words):
    with pytest.raises(error, match=words):
        whole(projected(), 0, 0, **options)


def test_maps_in_double_precision():
    maps = aw.AttentionMaps.from_arrays(matrices(2, 6, 6).double(), layout="HQK")
    for pooling in ("max", "mean"):
        logs, *_ = decoded(whole(maps, 0, 1, pooling=pooling))
        np.testing.assert_allclose(np.exp(logs), maps.weights(0, 1).numpy(), atol=1e-4)
