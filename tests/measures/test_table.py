"""summarize: one row a head, and every number the one its own function gives."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch

import attnwidget as aw
from attnwidget import measures
from tests.make import matrices, projected


def same(column, value):
    torch.testing.assert_close(torch.tensor(column.to_numpy()), value.flatten().float(), equal_nan=True)


def test_every_number_is_the_one_its_function_gives():
    maps = projected()
    table = aw.summarize(maps)
    assert table.index.names == ["map", "layer", "head"]
    assert len(table) == 12
    same(table["entropy"], measures.entropy(maps, reduce="queries"))
    same(table["normalized_entropy"], measures.entropy(maps, reduce="queries", normalize=True))
    same(table["effective_keys"], measures.entropy(maps).exp().mean(-1))
    same(table["locality"], measures.locality(maps))
    same(table["distance"], measures.locality(maps, measure="distance"))
    same(table["window"], measures.locality(maps, measure="window"))
    for name in ("diagonal", "previous", "next", "first", "sparse"):
        same(table[name], measures.pattern_scores(maps)[name])
    for name in ("duplicate", "induction"):
        same(table[name], measures.head_scores(maps)[name])
    same(table["sink"], measures.sinks(maps)["top_score"])
    same(table["sink_key"], measures.sinks(maps)["top"])
    confidence = torch.stack([maps.weights(0, head).amax(-1).mean() for head in range(4)])
    same(table["confidence"][:4], confidence)


def test_places_carry_the_numbers_of_the_model():
    some = aw.AttentionMaps(
        projected(layers=2, heads=2).layers, ["a"] * 14, layer_numbers=[4, 7], head_numbers=[[0, 3], [1, 2]]
    )
    table = aw.summarize(some)
    assert list(table.index) == [("attention", *place) for place in ((4, 0), (4, 3), (7, 1), (7, 2))]
    same(table["entropy"], measures.entropy(some, reduce="queries"))


def test_says_its_units():
    table = aw.summarize(projected())
    assert table.attrs["units"]["entropy"] == "nats"
    assert table.attrs["units"]["distance"] == "tokens"
    assert set(table.attrs["units"]) == set(table.columns) == set(table.attrs["about"])


def test_what_does_not_exist_is_nan():
    cross = aw.AttentionMaps.from_arrays(matrices(2, 2, 3, 5), layout="LHQK", name="cross")
    table = aw.summarize(cross)
    assert table[["locality", "diagonal", "induction"]].isna().all(axis=None)
    assert table[["entropy", "sparse", "sink"]].notna().all(axis=None)
    both_ways = aw.summarize(projected(causal=False))
    assert both_ways["induction"].isna().all()
    assert both_ways["next"].notna().all()
    assert aw.summarize(projected())["next"].isna().all()


def test_one_token():
    table = aw.summarize(projected(1))
    assert table["entropy"].eq(0).all()
    assert table["normalized_entropy"].isna().all()


def test_several_maps_and_layers_of_several_sizes():
    maps = {"a": projected(), "b": aw.AttentionMaps.from_arrays([matrices(2, 4, 4), matrices(3, 4, 4)])}
    table = aw.summarize(maps)
    assert len(table) == 12 + 5
    assert table.loc["b"].index.tolist() == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    assert table.loc[("b", 1, 2), "entropy"] == pytest.approx(
        float(measures.entropy(maps["b"].weights(1, 2), reduce="queries"))
    )


def test_of_a_capture():
    model, tokenizer = aw.demo.load("storyteller")
    table = aw.summarize(aw.capture(model, aw.demo.repeated_words(12), tokenizer))
    assert isinstance(table, pd.DataFrame)
    assert table.loc[("attention", 1, 2), "induction"] > 0.9
    assert table["previous"].idxmax() == ("attention", 0, 2)


def test_padding_changes_nothing():
    model, tokenizer = aw.demo.load("reader")
    batch = tokenizer(
        ["Lily gave Ben the ball .", "Lily and Ben went to the park ."], padding=True, return_tensors="pt"
    )
    alone = aw.summarize(aw.capture(model, "Lily gave Ben the ball .", tokenizer))
    padded = aw.summarize(aw.capture(model, batch, tokenizer)[0])
    pd.testing.assert_frame_equal(alone, padded, atol=1e-4, rtol=1e-4)


def test_bad_input():
    with pytest.raises(TypeError, match=r"maps is Tensor; expected AttentionMaps.*from_arrays"):
        aw.summarize(matrices(2, 3, 3))
    with pytest.raises(TypeError, match="maps is dict"):
        aw.summarize({})


def test_a_capture_where_one_map_is_needed():
    model, tokenizer = aw.demo.load("storyteller")
    with pytest.raises(TypeError, match=r"several maps; pass one of them: run\.maps"):
        measures.entropy(aw.capture(model, "Lily ran .", tokenizer))


def test_rows_without_values_are_warned_of_and_left_out():
    weights = matrices(1, 2, 4, 4)
    weights[0, 1, 2, 0] = math.nan
    with pytest.warns(aw.AttentionWarning, match="NaN in layer 0, heads 1"):
        maps = aw.AttentionMaps.from_arrays(weights, layout="LHQK")
    with pytest.warns(aw.AttentionWarning, match="NaN in rows of layer 0, head 1"):
        table = aw.summarize(maps)
    rest = measures.entropy(weights[0, 1, [0, 1, 3]]).mean()
    assert table.loc[("attention", 0, 1), "entropy"] == pytest.approx(float(rest))
