"""Attention over image patches: by hand, at the edges, and for grids that are not square."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.measures.flow import rollout
from attnwidget.measures.spatial import cls_map, mass_mask, patch_distance, spatial_peak
from tests.make import matrices, projected

GRID = (2, 3)


class TestClsMap:
    @pytest.mark.parametrize("prefix", [0, 1, 2, 5])
    def test_drops_the_prefix_and_counts_by_rows(self, prefix):
        a = torch.arange(GRID[0] * GRID[1] + prefix).float().repeat(8, 1)
        expected = prefix + torch.arange(6.0).view(2, 3)
        assert torch.equal(cls_map(a, GRID, prefix=prefix), expected)
        assert cls_map(a, (3, 2), prefix=prefix)[1].tolist() == [prefix + 2, prefix + 3]

    def test_is_the_row_as_it_is(self):
        a = matrices(2, 3, 7, 7)
        value = cls_map(a, GRID)
        assert value.shape == (2, 3, 2, 3)
        assert torch.equal(value.flatten(-2), a[..., 0, 1:])
        assert torch.equal(cls_map(a, GRID, query=-1).flatten(-2), a[..., -1, 1:])
        torch.testing.assert_close(cls_map(a, GRID, reduce="heads"), value.mean(1))
        assert torch.equal(cls_map(rollout(a, queries=0), GRID), cls_map(rollout(a), GRID))

    def test_without_cls_it_is_the_mean_of_the_rows(self):
        a = matrices(2, 6, 6)
        torch.testing.assert_close(cls_map(a, GRID, query=None, prefix=0).flatten(-2), a.mean(-2))
        a[0, 2], a[0, 3] = 0, math.nan
        torch.testing.assert_close(cls_map(a, GRID, query=None, prefix=0)[0].flatten(), a[0, [0, 1, 4, 5]].mean(0))

    def test_of_maps(self):
        maps = projected(n=7, causal=False)
        value = cls_map(maps, GRID, query=3)
        assert value.shape == (3, 4, 2, 3)
        torch.testing.assert_close(value[1, 2].flatten(), maps.weights(1, 2)[3, 1:])
        mean = cls_map(maps, GRID, query=None)
        torch.testing.assert_close(mean[0, 1].flatten(), maps.weights(0, 1).mean(0)[1:])
        heads_differ = aw.AttentionMaps.from_arrays([matrices(2, 7, 7), matrices(3, 7, 7)])
        assert cls_map(heads_differ, GRID)[0, 2].isnan().all()
        assert cls_map(heads_differ, GRID, reduce="heads").isfinite().all()

    def test_of_maps_only_the_row_is_made(self, monkeypatch):
        maps = projected(n=7, causal=False)
        made = []
        make = type(maps.layers[0]).weights
        monkeypatch.setattr(type(maps.layers[0]), "weights", lambda self, h, r: made.append(len(r)) or make(self, h, r))
        cls_map(maps, GRID)
        assert made == [1, 1, 1]

    def test_scaled_for_a_display(self):
        a = matrices(3, 7, 7)
        raw = cls_map(a, GRID)
        most, least = raw.amax((-2, -1), keepdim=True), raw.amin((-2, -1), keepdim=True)
        torch.testing.assert_close(cls_map(a, GRID, display="max"), raw / most)
        torch.testing.assert_close(cls_map(a, GRID, display="minmax"), (raw - least) / (most - least))

    def test_what_cannot_be_scaled_is_zero(self):
        constant = torch.full((7, 7), 1 / 7)
        assert (cls_map(constant, GRID, display="minmax") == 0).all()
        assert (cls_map(torch.zeros(7, 7), GRID, display="max") == 0).all()
        assert cls_map(torch.full((7, 7), math.nan), GRID, display="minmax").isnan().all()

    def test_keeps_dtype_gradient_and_input(self):
        a = matrices(2, 7, 7).double().requires_grad_()
        value = cls_map(a, GRID, display="max", reduce="heads")
        value[0, 0].backward()
        assert value.dtype == torch.float64
        assert a.grad.abs().sum() > 0
        assert cls_map(matrices(7, 7).half(), GRID).dtype == torch.float32
        given = matrices(7, 7).numpy()
        before = given.copy()
        assert isinstance(cls_map(given, GRID, display="max"), torch.Tensor)
        assert np.array_equal(given, before)

    @pytest.mark.parametrize(
        ("a", "grid", "options", "error", "words"),
        [
            (matrices(7, 7), (2, 2), {}, ValueError, "makes 5 tokens and a has 7 keys.*prefix=3 would fit"),
            (matrices(7, 7), (3, 3), {}, ValueError, "makes 10 tokens and a has 7 keys"),
            (matrices(7, 7), 2, {}, ValueError, "grid=2; expected"),
            (matrices(7, 7), (2.0, 3.0), {}, ValueError, "grid="),
            (matrices(7, 7), (0, 3), {}, ValueError, "grid="),
            (matrices(7, 7), GRID, {"prefix": -1}, ValueError, "prefix=-1"),
            (matrices(7, 7), GRID, {"query": 7}, ValueError, "query names token 7"),
            (matrices(7, 7), GRID, {"query": 0.5}, TypeError, "query=0.5 is float"),
            (matrices(7, 7), GRID, {"display": "sqrt"}, ValueError, "display='sqrt'"),
            (matrices(7, 7), GRID, {"reduce": "layers"}, ValueError, "reduce='layers'"),
            (matrices(7, 7), GRID, {"reduce": "heads"}, ValueError, "axis of heads"),
            ("a", GRID, {}, TypeError, "a is str"),
        ],
    )
    def test_bad_input(self, a, grid, options, error, words):
        with pytest.raises(error, match=words):
            cls_map(a, grid, **options)


class TestMassMask:
    def test_by_hand(self):
        picture = torch.tensor([[0.1, 0.35], [0.3, 0.25]])
        assert mass_mask(picture).tolist() == [[False, True], [True, False]]
        assert mass_mask(picture, 0.66).tolist() == [[False, True], [True, True]]
        assert mass_mask(picture, 1.0).all()
        assert mass_mask(picture, 0.01).sum() == 1

    def test_is_the_smallest_set_that_holds_the_share(self):
        pictures = matrices(3, 4, 30).view(3, 4, 5, 6)
        held = mass_mask(pictures)
        assert held.shape == pictures.shape
        mass = (pictures * held).sum((-2, -1))
        least = pictures.masked_fill(~held, math.inf).amin((-2, -1))
        assert (mass >= 0.6).all()
        assert (mass - least < 0.6).all()

    def test_equal_cells(self):
        assert mass_mask(torch.full((2, 5), 0.1)).sum() == 6
        assert mass_mask(torch.full((2, 5), 0.1).double()).sum() == 6

    def test_without_mass_or_values_there_is_none(self):
        assert not mass_mask(torch.zeros(2, 2)).any()
        assert not mass_mask(torch.tensor([[math.nan, 1.0]])).any()

    @pytest.mark.parametrize(
        ("picture", "share", "error", "words"),
        [
            (torch.ones(2, 2), 0, ValueError, "share=0"),
            (torch.ones(2, 2), 1.5, ValueError, "share=1.5"),
            (torch.ones(3), 0.6, ValueError, r"shape \(3,\)"),
            (-torch.ones(2, 2), 0.6, ValueError, "down to -1"),
            (torch.ones(2, 2, dtype=torch.int64), 0.6, TypeError, "torch.int64"),
        ],
    )
    def test_bad_input(self, picture, share, error, words):
        with pytest.raises(error, match=words):
            mass_mask(picture, share)


class TestSpatialPeak:
    def test_by_hand(self):
        found = spatial_peak(torch.tensor([[0.0, 0.0, 0.25], [0.0, 0.0, 0.75]]))
        assert [float(value) for value in found] == pytest.approx([1, 2, 0.75, 0.75, 2, math.sqrt(3) / 4])
        one = spatial_peak(torch.eye(3)[1].expand(1, 3))
        assert (one.row, one.column, one.spread) == (0, 1, 0)

    def test_scale_does_not_matter_but_for_the_weight(self):
        pictures = matrices(2, 3, 4, 5)
        once, twice = spatial_peak(pictures), spatial_peak(2 * pictures)
        torch.testing.assert_close(twice.weight, 2 * once.weight)
        for name in ("row", "column", "centre_row", "centre_column", "spread"):
            torch.testing.assert_close(getattr(twice, name), getattr(once, name))
            assert getattr(once, name).shape == (2, 3)

    def test_without_mass_or_values_there_is_none(self):
        assert all(
            value.isnan().all()
            for value in spatial_peak(torch.stack([torch.zeros(2, 2), torch.full((2, 2), math.nan)]))
        )

    def test_of_a_cls_map(self):
        a = matrices(7, 7)
        found = spatial_peak(cls_map(a, GRID))
        place = int(found.row) * 3 + int(found.column)
        assert found.weight == a[0, 1 + place] == a[0, 1:].max()


class TestPatchDistance:
    def by_hand(self, a, height, width, prefix):
        inner = a[prefix:, prefix:].double()
        inner = inner / inner.sum(-1, keepdim=True)
        cells = [(row * height, column * width) for row in range(2) for column in range(3)]
        away = torch.tensor([[math.dist(one, other) for other in cells] for one in cells], dtype=torch.float64)
        return (inner * away).sum(-1)

    @pytest.mark.parametrize("prefix", [0, 1, 3])
    def test_by_hand(self, prefix):
        a = matrices(6 + prefix, 6 + prefix).double()
        value = patch_distance(a, GRID, patch=(16, 8), prefix=prefix)
        torch.testing.assert_close(value, self.by_hand(a, 16, 8, prefix), rtol=1e-6, atol=1e-6)
        mean = patch_distance(a, GRID, patch=(16, 8), prefix=prefix, reduce="queries")
        torch.testing.assert_close(mean, value.mean())

    def test_on_itself_is_zero_exactly_and_neighbours_are_a_patch_apart(self):
        assert (patch_distance(torch.eye(7), GRID) == 0).all()
        assert (patch_distance(torch.eye(101), (10, 10)) == 0).all()
        right = torch.zeros(6, 6)
        right[torch.arange(6), torch.tensor([1, 2, 1, 4, 5, 4])] = 1
        assert (patch_distance(right, GRID, patch=14, prefix=0) == 14).all()

    def test_maps_answer_as_their_matrices_do(self):
        maps = projected(n=7, causal=False)
        value = patch_distance(maps, GRID)
        assert value.shape == (3, 4, 6)
        torch.testing.assert_close(value[2, 1], patch_distance(maps.weights(2, 1), GRID))

    def test_a_row_that_gives_patches_nothing_has_no_distance(self):
        a = matrices(7, 7)
        a[3] = torch.eye(7)[0]
        value = patch_distance(a, GRID)
        assert value.isnan().tolist() == [False, False, True, False, False, False]
        assert patch_distance(a, GRID, reduce="queries") == pytest.approx(float(value[~value.isnan()].mean()))

    def test_keeps_axes_dtype_gradient_and_input(self):
        a = matrices(2, 3, 7, 7).requires_grad_()
        before = a.detach().clone()
        value = patch_distance(a, GRID, reduce="queries")
        value.sum().backward()
        assert value.shape == (2, 3)
        assert a.grad.isfinite().all()
        assert torch.equal(a.detach(), before)
        exact = patch_distance(before.double(), GRID, reduce="queries")
        assert exact.dtype == torch.float64
        torch.testing.assert_close(exact.float(), value.detach())

    @pytest.mark.parametrize(
        ("a", "options", "words"),
        [
            (matrices(7, 8), {}, "7 queries x 8 keys; .* square"),
            (matrices(8, 8), {}, "makes 7 tokens and a has 8 keys.*prefix=2 would fit"),
            (matrices(7, 7), {"patch": 0}, "patch=0"),
            (matrices(7, 7), {"reduce": "heads"}, "reduce='heads'"),
        ],
    )
    def test_bad_input(self, a, options, words):
        with pytest.raises(ValueError, match=words):
            patch_distance(a, GRID, **options)


def test_captured_maps_know_their_grid():
    from tests.capturing.families import FAMILIES

    make, inputs = FAMILIES["dinov2-registers"]
    maps = aw.capture(make(), inputs)[0].maps
    assert torch.equal(aw.measures.cls_map(maps), aw.measures.cls_map(maps, (4, 4), prefix=4))
    assert torch.equal(aw.measures.patch_distance(maps), aw.measures.patch_distance(maps, (4, 4), prefix=4))
    with pytest.raises(ValueError, match="grid is missing"):
        aw.measures.cls_map(maps.weights(0, 0))
