"""Tiles, profiles and thumbnails say what the maps say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import attnwidget as aw
from attnwidget.measures import entropy
from attnwidget.widget import codec
from tests.make import by_hand, matrices, projected


def decoded(answer):
    """Log-weights, missing mass and entropy of a tile, as the browser reads them."""
    height, width = answer.header["shape"]
    codes = np.frombuffer(answer.buffers[0], "<u2").reshape(height, width)
    logs = np.where(codes == 65535, -math.inf, answer.header["low"] + codes * answer.header["step"])
    return logs, np.frombuffer(answer.buffers[1], "<f4"), np.frombuffer(answer.buffers[2], "<f4")


def whole(maps, layer, head, **options):
    span = {"rows": (0, maps.n_queries), "columns": (0, maps.n_keys), "height": 1024, "width": 1024}
    return codec.tile(maps, layer, head, **span | options)


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
    answer = codec.tile(maps, 0, 0, rows=(3, 9), columns=(2, 7), height=50, width=50, temperature=2.0)
    assert answer.header["shape"] == (6, 5)
    assert answer.header["temperature"] == 2.0
    logs, _, tile_entropy = decoded(answer)
    wanted = by_hand(maps, 0, 0, 0.5)
    np.testing.assert_allclose(np.exp(logs), wanted[3:9, 2:7].numpy(), atol=1e-4)
    np.testing.assert_allclose(tile_entropy, entropy(wanted)[3:9].numpy(), atol=1e-5)


def test_pooling_keeps_the_largest_weight_after_tempering():
    maps = projected(50)
    answer = codec.tile(maps, 2, 3, rows=(1, 50), columns=(0, 50), height=13, width=20, temperature=0.5)
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


def test_one_row_of_a_long_map_is_exact():
    maps = projected(1500, layers=1, heads=1, key_value_heads=1)
    answer = codec.tile(maps, 0, 0, rows=(1400, 1401), columns=(0, 1500), height=1, width=1500, temperature=9.0)
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


def test_the_uniform_line_is_of_rows_that_have_an_entropy():
    weights = matrices(1, 4, 4)
    weights[0, :2] = 0
    maps = aw.AttentionMaps.from_arrays(weights, layout="HQK")
    assert codec.profile(maps, 0).header["uniform"] == pytest.approx(math.log(4))


def test_a_map_of_one_token():
    answer = whole(projected(1), 0, 0)
    assert decoded(answer)[0].tolist() == [[0.0]]
    assert codec.profile(projected(1), 0).header["uniform"] == 0
    assert codec.thumbnails(projected(1), 0).header["peak"] == [0.0] * 4


def test_profile_is_the_mean_entropy_of_each_head():
    answer = codec.profile(projected(), 1)
    got = np.frombuffer(answer.buffers[0], "<f4")
    np.testing.assert_allclose(got, entropy(projected(), reduce="queries")[1].numpy(), atol=1e-6)
    assert answer.header["uniform"] == pytest.approx(float(torch.arange(1, 15).log().mean()))


@pytest.mark.parametrize("n", [5, 64, 100])
def test_thumbnails_show_the_largest_weight_under_each_cell(n):
    maps = projected(n, causal=False)
    answer = codec.thumbnails(maps, 2)
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
    assert codec.thumbnails(maps, 0).header["peak"] == pytest.approx(informative)


def test_thumbnails_of_a_long_map_read_some_rows_only():
    maps = projected(3000, layers=1)
    answer = codec.thumbnails(maps, 0)
    assert answer.header["shape"] == (64, 64)


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
    ],
)
def test_a_tile_that_cannot_be_drawn(options, error, words):
    with pytest.raises(error, match=words):
        whole(projected(), 0, 0, **options)
