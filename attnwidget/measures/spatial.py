"""Attention over image patches: where a query looks, how concentrated, and how far."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attnwidget.intake import as_tensor
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import choice, positions
from attnwidget.measures.given import Given, MaskLike, as_weights
from attnwidget.measures.rows import mass_received
from attnwidget.measures.walk import Measure, Rows, Walk, mean_over_queries, root

__all__ = ["SpatialPeak", "cls_map", "mass_mask", "patch_distance", "spatial_peak"]

_ROUNDING = 1e-12  # share of the mass that adding up may lose or gain


class SpatialPeak(NamedTuple):
    """Where the mass of a picture lies; each a Tensor [...], in cells, row 0 at the top and column 0 at the left.

    Parameters
    ----------
    row, column : Tensor
        The largest cell; the first of several.
    weight : Tensor
        Its value.
    centre_row, centre_column : Tensor
        Centre of mass.
    spread : Tensor
        Root mean square distance from the centre of mass.
    """

    row: Tensor
    column: Tensor
    weight: Tensor
    centre_row: Tensor
    centre_column: Tensor
    spread: Tensor


def cls_map(
    a: Given,
    grid: tuple[int, int] | None = None,
    *,
    query: int | None = 0,
    prefix: int | None = None,
    picture: int | None = None,
    reduce: str | None = None,
    display: str | None = None,
) -> Tensor:
    """What one query, such as [CLS], gives to each patch, as a picture.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., queries, keys]
        Attention, or what has its form: a rollout, a relevance. Of maps only the row that is asked for is made.
    grid : (int, int) or None
        Rows and columns of patches: image height and width divided by the patch size. None takes what captured maps
        know of their picture.
    query : int or None
        The query; negative numbers count from the end. None, for models without [CLS], takes the mean of all rows
        that have values.
    prefix : int or None
        Number of tokens in front of the patches: 1 in ViT, 2 in DeiT with distillation, 1 + registers in DINOv2, 0
        without [CLS]. None takes what captured maps know, and 1 for others.
    picture : int or None
        Which of several pictures among the keys of maps; may be left out where there is one.
    reduce : {None, "heads"}
        "heads" takes the mean over the last of the leading axes.
    display : {None, "max", "minmax"}
        Scaling for a display: each picture divided by its largest value (vit-explain), or from 0 at its smallest to 1
        at its largest (Chefer et al. 2021). A picture that cannot be scaled, for it is constant, is zero.

    Returns
    -------
    Tensor [..., rows, columns]
        The weights as they are, in [0, 1] for attention, or scaled. For maps the first axes are layers x heads. NaN
        where the row has no values, and for a patch that no token stands for. Differentiable.

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array.
    ValueError
        When the grid does not fit, or an argument has a value that is not listed.

    References
    ----------
    Caron et al., Emerging Properties in Self-Supervised Vision Transformers, ICCV 2021.
    """
    choice("reduce", reduce, (None, "heads"))
    choice("display", display, (None, "max", "minmax"))
    n_keys = a.n_keys if isinstance(a, AttentionMaps) else as_weights(a).shape[-1]
    size, places = _grid_of(a, grid, prefix, picture, n_keys)
    values = _of_maps(a, query) if isinstance(a, AttentionMaps) else _of_array(as_weights(a), query)
    if reduce == "heads":
        if values.ndim < 2:
            raise ValueError("reduce='heads' needs an axis of heads; a has shape [queries, keys].")
        values = mean_over_queries(values.transpose(-1, -2))
    shown = values[..., places].masked_fill((places < 0).to(values.device), math.nan)
    shown = shown.reshape(*values.shape[:-1], *size)
    return shown if display is None else _for_display(shown, display)


def mass_mask(picture: Tensor | np.ndarray[Any, Any], share: float = 0.6) -> Tensor:
    """The fewest cells that hold a share of a picture's mass.

    Parameters
    ----------
    picture : Tensor or ndarray [..., rows, columns]
        Values of 0 or more, as from `cls_map`.
    share : float
        Share of the mass, in (0, 1].

    Returns
    -------
    Tensor of bool [..., rows, columns]
        True for the largest cells, as many as are needed; the first of equal ones. False throughout where there is no
        mass or a value is NaN.

    Raises
    ------
    TypeError
        When the picture is no floating-point array.
    ValueError
        When values are negative, or the share is outside (0, 1].

    References
    ----------
    Caron et al., Emerging Properties in Self-Supervised Vision Transformers, ICCV 2021.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share}; expected more than 0 and at most 1.")
    flat = _picture(picture).flatten(-2).detach().double()
    total = flat.sum(-1, keepdim=True)
    largest, order = flat.sort(dim=-1, descending=True, stable=True)
    before = largest.cumsum(-1) - largest
    needed = (before < (share - _ROUNDING) * total) & (largest > 0)
    return torch.zeros_like(needed).scatter_(-1, order, needed).view(picture.shape)


def spatial_peak(picture: Tensor | np.ndarray[Any, Any]) -> SpatialPeak:
    """Where the mass of a picture lies: its largest cell, its centre, and how far it spreads.

    Parameters
    ----------
    picture : Tensor or ndarray [..., rows, columns]
        Values of 0 or more, as from `cls_map`.

    Returns
    -------
    SpatialPeak of Tensor [...]
        In cells; row and column of the peak are whole numbers in a floating-point tensor, so that all can be NaN: where
        a value is, and where there is no mass. Centre and spread are differentiable.

    Raises
    ------
    TypeError
        When the picture is no floating-point array.
    ValueError
        When values are negative.
    """
    values = _picture(picture)
    n_rows, n_columns = values.shape[-2:]
    total = values.sum((-2, -1))
    none = (total == 0) | total.isnan()
    weight, place = values.flatten(-2).max(-1)
    share = values / total.masked_fill(none, 1)[..., None, None]
    row = torch.arange(n_rows, device=values.device).to(values)[:, None]
    column = torch.arange(n_columns, device=values.device).to(values)
    centre_row, centre_column = (share * row).sum((-2, -1)), (share * column).sum((-2, -1))
    from_centre = (row - centre_row[..., None, None]) ** 2 + (column - centre_column[..., None, None]) ** 2
    spread = root((share * from_centre).sum((-2, -1)))
    found = (place // n_columns, place % n_columns, weight, centre_row, centre_column, spread)
    return SpatialPeak(*(part.to(values.dtype).masked_fill(none, math.nan) for part in found))


def patch_distance(
    a: Given,
    grid: tuple[int, int] | None = None,
    *,
    patch: int | tuple[int, int] = 16,
    prefix: int | None = None,
    picture: int | None = None,
    reduce: str | None = None,
    mask: MaskLike = None,
) -> Tensor:
    """Mean attention distance over an image: how far, in pixels, a patch looks.

    The Euclidean distance between the centres of two patches, weighted by attention. Tokens in front of the patches,
    such as [CLS] and registers, are left out, as queries and as keys, and what remains of each row is rescaled.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [..., n, n]
        Self-attention after softmax over prefix and patches.
    grid : (int, int) or None
        Rows and columns of patches; None takes what captured maps know of their picture.
    patch : int or (int, int)
        Height and width of a patch in pixels; 1 gives distances in patches.
    prefix : int or None
        Number of tokens in front of the patches, as for `cls_map`.
    picture : int or None
        Which of several pictures, as for `cls_map`; what is no patch of it is left out.
    reduce : {None, "queries"}
        "queries" takes the mean over the patches that have values.
    mask : Tensor or ndarray of bool, broadcast to the weights, or None
        True where a query may attend, for bare arrays.

    Returns
    -------
    Tensor [..., patches], or [...] when reduced
        Pixels, from 0 to the diagonal between the outermost centres. For maps the first axes are layers x heads. NaN
        for a row that gives nothing to any patch. Differentiable.

    Raises
    ------
    TypeError
        When ``a`` is no floating-point array.
    ValueError
        When ``a`` is not square, the grid does not fit, or an argument has a value that is not listed.

    Warns
    -----
    AttentionWarning
        When rows hold NaN; and, without prefix, when rows of a bare array do not sum to 1.

    References
    ----------
    Dosovitskiy et al., ICLR 2021, appendix D.7; Raghu et al., NeurIPS 2021.
    """
    choice("reduce", reduce, (None, "queries"))
    height, width = (patch, patch) if isinstance(patch, int) else patch
    if not (height > 0 and width > 0):
        raise ValueError(f"patch={patch!r}; expected the height and width of a patch in pixels.")
    plain = Walk(a, mask=mask)
    plain.require_square("patch_distance")
    (n_rows, n_columns), places = _grid_of(a, grid, prefix, picture, plain.n_keys)
    there = places >= 0
    others = torch.ones(plain.n_keys, dtype=torch.bool).index_fill(0, places[there], value=False)
    walk = Walk(a, mask=mask, exclude_tokens=others.nonzero().flatten().tolist())
    patches = torch.cartesian_prod(torch.arange(n_rows) * float(height), torch.arange(n_columns) * float(width))
    centres = torch.zeros(plain.n_keys, 2)
    centres[places[there]] = patches[there]
    centres = centres.to(walk.device, walk.dtype)

    def measure(rows: Rows) -> Tensor:
        # The quick way by matrix products is off by up to a thousandth of a pixel and more.
        away = torch.cdist(centres[rows.rows], centres, compute_mode="donot_use_mm_for_euclid_dist")
        return (rows.weights * away).sum(-1)

    distance = walk.per_row(measure)[..., places].masked_fill(~there.to(walk.device), math.nan)
    return mean_over_queries(distance) if reduce == "queries" else distance


def _grid_of(
    a: Given, grid: tuple[int, int] | None, prefix: int | None, picture: int | None, n_keys: int
) -> tuple[tuple[int, int], Tensor]:
    """Rows and columns, and the position of each patch, as they were given or as the maps know them."""
    images = a.key_tokens.images if isinstance(a, AttentionMaps) else ()
    if grid is not None:
        prefix = 1 if prefix is None else prefix
        size = _check_grid(grid, prefix, n_keys)
        return size, torch.arange(prefix, n_keys)
    if not images:
        raise ValueError(
            "grid is missing, and what came knows no picture; give (rows, columns) of patches, (14, 14) for 224 "
            "pixels in patches of 16."
        )
    if picture is None and len(images) > 1:
        names = ", ".join(f"{number} ({image.name})" for number, image in enumerate(images))
        raise ValueError(f"these maps have {len(images)} pictures; choose one with picture=: {names}.")
    image = images[positions(picture or 0, len(images), "picture")[0]]
    places = torch.tensor(tuple(image.positions))
    if prefix is not None and prefix != image.start:
        raise ValueError(f"prefix={prefix} and the patches of these maps begin at {image.start}; leave it out.")
    return (image.rows, image.columns), places


def _of_maps(maps: AttentionMaps, query: int | None) -> Tensor:
    """One row of every head, or the mean of its rows: [layers, heads, keys]."""
    sums: dict[str, Measure] = {"row": lambda rows: rows.weights.sum(-2)}
    if query is not None:
        wanted = torch.tensor(positions(query, maps.n_queries, "query"))
        return Walk(maps, rows=wanted).gather({}, sums)["row"]
    sums = {"mass": mass_received, "rows": lambda rows: (~rows.weights[..., 0].isnan()).sum(-1)}
    found = Walk(maps).gather({}, sums)
    return found["mass"] / found["rows"][..., None]


def _of_array(weights: Tensor, query: int | None) -> Tensor:
    """One row as it is, for relevances are no distributions; or the mean of the rows: [..., keys]."""
    if query is not None:
        return weights[..., positions(query, weights.shape[-2], "query")[0], :]
    # A row of zeros is one that sees nothing.
    empty = weights.isnan().any(-1, keepdim=True) | (weights == 0).all(-1, keepdim=True)
    return mean_over_queries(weights.masked_fill(empty, math.nan).transpose(-1, -2))


def _for_display(picture: Tensor, display: str) -> Tensor:
    lowest = picture.amin((-2, -1), keepdim=True) if display == "minmax" else torch.zeros_like(picture[..., :1, :1])
    span = picture.amax((-2, -1), keepdim=True) - lowest
    return (picture - lowest) / span.masked_fill(span == 0, 1)


def _check_grid(grid: tuple[int, int], prefix: int, n: int) -> tuple[int, int]:
    sizes = tuple(grid) if isinstance(grid, (tuple, list)) else ()
    if len(sizes) != 2 or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ValueError(
            f"grid={grid!r}; expected (rows, columns) of patches, (14, 14) for 224 pixels in patches of 16."
        )
    if not isinstance(prefix, int) or prefix < 0:
        raise ValueError(f"prefix={prefix!r}; expected the number of tokens in front of the patches, 0 or more.")
    patches = sizes[0] * sizes[1]
    if patches + prefix != n:
        left = n - patches
        hint = f" prefix={left} would fit this grid." if left >= 0 else ""
        raise ValueError(
            f"grid={sizes} with prefix={prefix} makes {patches + prefix} tokens and a has {n} keys. The prefix is 1 in "
            f"ViT, 2 in DeiT with distillation, 1 + registers in DINOv2.{hint}"
        )
    return sizes[0], sizes[1]


def _picture(picture: Any) -> Tensor:
    values = as_tensor(picture, "picture")
    values = values if values.dtype in {torch.float32, torch.float64} else values.float()
    if values.ndim < 2 or 0 in values.shape:
        raise ValueError(f"picture has shape {tuple(values.shape)}; expected [..., rows, columns] with none empty.")
    if bool((values < 0).any()):
        raise ValueError(f"picture holds values down to {float(values.min()):.3g}; mass is 0 or more.")
    return values
