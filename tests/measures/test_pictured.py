"""How much heads look at pictures, and in how few places: equal to loops over dense matrices."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

import attnwidget as aw
from attnwidget.measures.table import measured
from tests.make import matrices, projected


def by_hand(maps, layer, head, *, queries, patches):
    """Mean over queries that see a patch of the mass on patches, and of the exponent of its entropy there."""
    weights, masses, spreads = maps.weights(layer, head).double(), [], []
    for query in queries:
        if maps.causal and min(patches) > query:
            continue
        row = weights[query, patches]
        masses.append(row.sum())
        share = row[row > 0] / row.sum()
        spreads.append((-(share * share.log()).sum()).exp())
    return float(torch.stack(masses).mean()), float(torch.stack(spreads).mean())


@pytest.mark.parametrize("causal", [True, False])
def test_words_over_two_pictures(causal):
    images = aw.ImageGrid(2, 2, 2, name="picture 1"), aw.ImageGrid.at((8, -1, 7, 9), 2, 2, name="picture 2")
    maps = aw.AttentionMaps(projected(causal=causal).layers, aw.Tokens.positions(14).with_image(*images))
    table = aw.summarize(maps)
    patches, words = [2, 3, 4, 5, 7, 8, 9], [0, 1, 6, 10, 11, 12, 13]
    for layer, head in ((0, 0), (2, 3)):
        mass, spread = by_hand(maps, layer, head, queries=words, patches=patches)
        assert table.loc[("attention", layer, head), "picture"] == pytest.approx(mass, abs=1e-6)
        assert table.loc[("attention", layer, head), "patches"] == pytest.approx(spread, abs=1e-4)


def test_where_every_query_is_a_patch_all_count():
    tokens = aw.Tokens.positions(14).with_image(aw.ImageGrid(0, 2, 7))
    maps = aw.AttentionMaps(projected(causal=False).layers, tokens)
    table = aw.summarize(maps)
    mass, spread = by_hand(maps, 1, 2, queries=range(14), patches=list(range(14)))
    assert mass == pytest.approx(1)
    assert table.loc[("attention", 1, 2), "picture"] == pytest.approx(1, abs=1e-6)
    assert table.loc[("attention", 1, 2), "patches"] == pytest.approx(spread, abs=1e-4)


def test_slots_over_a_picture():
    keys = aw.Tokens.positions(6).with_image(aw.ImageGrid(0, 2, 3))
    matrix = torch.zeros(1, 2, 4, 6)
    matrix[0, 0, :, 4], matrix[0, 1] = 1, 1 / 6
    maps = aw.AttentionMaps.from_arrays(matrix, layout="LHQK", key_tokens=keys, name="cross")
    assert aw.summarize(maps)["patches"].tolist() == pytest.approx([1, 6])


def test_a_head_that_gives_the_picture_nothing_has_no_spread():
    matrix = torch.zeros(1, 1, 2, 4)
    matrix[..., 3] = 1
    keys = aw.Tokens.positions(4).with_image(aw.ImageGrid(0, 1, 3))
    row = aw.summarize(aw.AttentionMaps.from_arrays(matrix, layout="LHQK", key_tokens=keys)).iloc[0]
    assert row["picture"] == 0
    assert pd.isna(row["patches"])


def test_are_there_where_there_is_a_picture():
    plain = projected()
    pictured = aw.AttentionMaps(projected().layers, aw.Tokens.positions(14).with_image(aw.ImageGrid(1, 2, 2)))
    assert not {"picture", "patches"} & {*aw.summarize(plain).columns, *measured(plain)}
    assert set(measured(pictured)) - set(measured(plain)) == {"picture", "patches"}
    both = aw.summarize({"seen": pictured, "text": plain})
    assert both.xs("text")["picture"].isna().all()
    assert both.xs("seen")["picture"].notna().all()


def test_a_map_of_a_picture_among_words_is_read_at_its_places():
    images = aw.ImageGrid.at((3, 2, 5, -1), 2, 2, name="picture 1"), aw.ImageGrid(6, 1, 2, name="picture 2")
    maps = aw.AttentionMaps.from_arrays(
        matrices(1, 2, 3, 9), layout="LHQK", key_tokens=aw.Tokens.positions(9).with_image(*images)
    )
    shown = aw.measures.cls_map(maps, picture=0, query=1)
    weights = maps.weights(0, 1)[1]
    torch.testing.assert_close(shown[0, 1].flatten()[:3], weights[[3, 2, 5]])
    assert shown[0, 1, 1, 1].isnan()
    with pytest.raises(ValueError, match=r"2 pictures; choose one with picture=: 0 \(picture 1\), 1 \(picture 2\)"):
        aw.measures.cls_map(maps)
