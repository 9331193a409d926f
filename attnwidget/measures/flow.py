"""Where the content of a token came from through all layers: rollout and additive relevance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import choice, positions
from attnwidget.measures.given import Excluded, MaskLike, check_weights
from attnwidget.measures.transitions import GivenLayers, Known, Layers, Recipe, fuse, steps, through

__all__ = ["additive_relevance", "cross_rollout", "rollout", "rollout_baseline"]


def rollout(
    a: GivenLayers,
    *,
    fusion: str = "mean",
    residual: float = 0.5,
    discard: float = 0.0,
    discard_scope: str = "matrix",
    discard_after_residual: bool = False,
    keep: Sequence[int] | None = None,
    queries: int | Sequence[int] | None = None,
    start_layer: int = 0,
    compat: str | None = None,
    per_layer: bool = False,
    progress: bool = True,
    mask: MaskLike = None,
    causal: bool = False,
    exclude_tokens: Excluded = None,
) -> Tensor:
    """Attention rollout: how much of each token of the input is in each token of the output.

    Each layer's heads are fused, the residual path is added and the rows are rescaled,
    ``a_l = rownorm(residual * I + (1 - residual) * fused_l)``; the result is ``a_L ... a_2 a_1``, the later layer on
    the left. In a causal model every token ends at token 0 when the layers are many, whatever the heads do: compare
    with `rollout_baseline`.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [layers, ..., heads, n, n], or sequence of them [..., heads, n, n], one a layer
        Self-attention after softmax; the first axis is the layers, the third from last the heads. An axis between them
        is the batch. Maps that hold q and k are never made whole: their rows come block by block.
    fusion : {"mean", "max", "min"}
        How heads become one. Max and min are no distributions until the rows are rescaled.
    residual : float
        Weight of the residual path, in [0, 1). At 0.5 the layer is (fused + I) with rescaled rows.
    discard : float
        Share of the fused entries, in [0, 1), that is dropped before the residual path is added: the lowest
        floor(discard * N) of the N entries that may be attended. One layer's fused matrix is then held whole.
    discard_scope : {"matrix", "row"}
        One threshold for each layer and example, or one for each row.
    discard_after_residual : bool
        Drop after the residual path was added and rows were rescaled, from all entries, masked ones included, and
        rescale again, as some course texts do. ``keep`` then protects only what it names.
    keep : sequence of int or None
        Key columns that are never dropped; they count among the N. None protects the [CLS] column 0 where the tokens
        of non-causal maps say that a special token stands there, and otherwise nothing; () nothing.
    queries : int, sequence of int, or None
        Carry only these rows, negative ones from the end: a vector-matrix product a layer, and only the rows that
        something of them comes to are read, and looked at for NaN. None takes all.
    start_layer : int
        The lowest layer that takes part.
    compat : {None, "vit-explain"}
        "vit-explain" gives what that program computes before it takes the row of the [CLS] token, bit for bit, its
        division by the sum of the wrong axis included: rows do not sum to 1. For comparison only; together with
        ``fusion`` and ``discard`` and nothing else, and for one example.
    per_layer : bool
        All partial products, from ``start_layer`` up to each layer.
    progress : bool
        Show a progress bar where it takes long.
    mask : Tensor or ndarray of bool, broadcast to ``a``, or to each element of a sequence, or None
        True where a query may attend, for bare arrays. Padding columns must be masked, or padding takes part.
    causal : bool
        For bare arrays: no query sees a later key.
    exclude_tokens : "special", sequence of int, or None
        Tokens that are disconnected: their rows are NaN, their columns 0, other rows are rescaled.

    Returns
    -------
    Tensor [..., n, n], or [..., queries, n]; with ``per_layer`` [layers, ..., n, n]
        Shares in [0, 1]; rows sum to 1. A row that sees no key in some layer is NaN; where others attend to it, it
        counts as a token that stays what it is. A row that holds NaN in some layer is NaN, and so is every row that
        part of it reaches. Heads are fused in the precision they come in, and layers multiplied in float64.
        Differentiable, except through what is dropped.

    Raises
    ------
    TypeError
        When ``a`` holds no floating-point arrays.
    ValueError
        When ``a`` is not square or its layers differ in length (pooled, windowed or cached attention); when an
        argument has a value that is not listed.

    Warns
    -----
    AttentionWarning
        When rows hold NaN; and when rows of bare arrays do not sum to 1. They are rescaled all the same, the residual
        path included.

    References
    ----------
    Abnar & Zuidema, Quantifying Attention Flow in Transformers, ACL 2020, section 3. Discarding: Gildenblat,
    vit-explain, 2020.
    """
    options: dict[str, Any] = {"causal": causal, "exclude_tokens": exclude_tokens}
    layers = Layers.square(a, "rollout", mask=mask, **options)
    recipe = Recipe(
        fusion=fusion,
        residual=residual,
        discard=discard,
        discard_scope=discard_scope,
        discard_after_residual=discard_after_residual,
        keep=_kept(keep, layers, course=discard_after_residual),
    )
    if compat is not None:
        if compat != "vit-explain":
            raise ValueError(f"compat={compat!r} is not known; expected None or 'vit-explain'.")
        plain = Recipe(fusion=fusion, discard=discard, keep=recipe.keep) == recipe
        others = (keep, queries, mask, exclude_tokens)
        if not plain or start_layer or per_layer or causal or any(other is not None for other in others):
            raise ValueError("compat='vit-explain' goes with fusion and discard alone; that program has nothing else.")
        return _vit_explain(layers, recipe)
    layers.start_at(start_layer)
    with layers.shown(progress=progress):
        return _carried(layers, recipe, queries, per_layer=per_layer).to(layers.dtype)


def rollout_baseline(
    a: GivenLayers,
    *,
    residual: float = 0.5,
    queries: int | Sequence[int] | None = None,
    start_layer: int = 0,
    per_layer: bool = False,
    mask: MaskLike = None,
    causal: bool = False,
    exclude_tokens: Excluded = None,
) -> Tensor:
    """Rollout of heads that look everywhere alike: what the mask and the depth give by themselves.

    Parameters
    ----------
    a, residual, queries, start_layer, per_layer, mask, causal, exclude_tokens
        As for `rollout`. Of the weights only the shape counts, and where they have no values.

    Returns
    -------
    Tensor [..., n, n], or [..., queries, n]; with ``per_layer`` [layers, ..., n, n]
        Shares in [0, 1], NaN where `rollout` is.

    Raises
    ------
    TypeError, ValueError
        As for `rollout`.
    """
    layers = Layers.square(a, "rollout", mask=mask, causal=causal, exclude_tokens=exclude_tokens)
    layers.start_at(start_layer)
    recipe = Recipe(residual=residual, uniform=True)
    return _carried(layers, recipe, queries, per_layer=per_layer).to(layers.dtype)


def cross_rollout(
    decoder: GivenLayers,
    cross: GivenLayers,
    encoder: GivenLayers,
    *,
    layer: int = -1,
    fusion: str = "mean",
    residual: float = 0.5,
    decoder_mask: MaskLike = None,
    cross_mask: MaskLike = None,
    encoder_mask: MaskLike = None,
    causal: bool = True,
) -> Tensor:
    """Rollout of an encoder-decoder: how much of each source token is in each target token.

    It is ``rollout(decoder) @ cross_l @ rollout(encoder)`` with the heads of one cross-attention layer fused, and no
    transpose: rows are queries in all three. (Code that compares methods has transposed the first factor.)

    Parameters
    ----------
    decoder, cross, encoder : AttentionMaps, Tensor or ndarray [layers, ..., heads, queries, keys], or sequence of them
        The three kinds of attention of one model, after softmax: target x target, target x source, source x source.
    layer : int
        Which layer of the cross-attention; negative numbers count from the end.
    fusion, residual
        As for `rollout`; the cross-attention has no residual path.
    decoder_mask, cross_mask, encoder_mask : Tensor or ndarray of bool, or None
        As ``mask`` of `rollout`, for bare arrays.
    causal : bool
        Whether a decoder given as bare arrays is causal.

    Returns
    -------
    Tensor [..., target, source]
        Shares in [0, 1]; rows sum to 1 where those of the cross-attention do. NaN as in `rollout`.

    Raises
    ------
    TypeError, ValueError
        As for `rollout`; and when the three do not fit each other.
    """
    parts = Recipe(fusion=fusion, residual=residual)
    below = Layers.square(encoder, "rollout of the encoder", mask=encoder_mask)
    above = Layers.square(
        decoder,
        "rollout of the decoder",
        mask=decoder_mask,
        causal=causal and not isinstance(decoder, AttentionMaps),
    )
    between = Layers(cross, mask=cross_mask)
    sizes, expected = (between.n_queries, between.n_keys), (above.n_queries, below.n_queries)
    if sizes != expected:
        raise ValueError(
            f"cross is {sizes[0]} queries x {sizes[1]} keys; the decoder has {expected[0]} tokens and the encoder "
            f"{expected[1]}."
        )
    if not above.batch == between.batch == below.batch:
        raise ValueError(
            f"decoder, cross and encoder have batches {above.batch}, {between.batch} and {below.batch}; expected one."
        )
    (chosen,) = positions(layer, between.n_layers, "layer", "layer")
    between.order = [chosen]
    rows = []
    for number in between.each():
        for block in between.blocks_of(number, slice(0, between.n_queries)):
            fused = fuse(between, block, parts)
            rows.append(fused.weights.to(between.exact).masked_fill(fused.absent[..., None], math.nan))
    reached = through(Known.of(_carried(above, parts, None)), Known.of(torch.cat(rows, -2)))
    product = through(reached, Known.of(_carried(below, parts, None)))
    return product.shown(product.unknown).to(between.dtype)


def additive_relevance(
    a: GivenLayers,
    *,
    output: str = "relevance",
    start_layer: int = 0,
    mask: MaskLike = None,
    causal: bool = False,
    exclude_tokens: Excluded = None,
) -> Tensor:
    """Relevance that adds up, R <- R + A R with the mean of the heads: the rule for self-attention, without gradients.

    Without gradients this says nothing that rollout does not: where rows of attention sum to 1 it is exactly
    ``2 ** layers * rollout(a)``, so that its rows sum to ``2 ** layers``.

    Parameters
    ----------
    a : AttentionMaps, Tensor or ndarray [layers, ..., heads, n, n], or sequence of them [..., heads, n, n], one a layer
        Self-attention after softmax, as for `rollout`.
    output : {"relevance", "normalized", "raw"}
        R - I; R with rows that sum to 1, which is the rollout; or R.
    start_layer, mask, causal, exclude_tokens
        As for `rollout`.

    Returns
    -------
    Tensor [..., n, n]
        Relevance in [0, 2 ** layers], or shares in [0, 1]. NaN as in `rollout`. Computed in float64; differentiable.

    Raises
    ------
    TypeError, ValueError
        As for `rollout`.

    Warns
    -----
    AttentionWarning
        When rows hold NaN; and when rows of bare arrays do not sum to 1.

    References
    ----------
    Chefer, Gur & Wolf, Generic Attention-model Explainability, ICCV 2021, eq. 6.
    """
    choice("output", output, ("relevance", "normalized", "raw"))
    layers = Layers.square(a, "relevance", mask=mask, causal=causal, exclude_tokens=exclude_tokens)
    layers.start_at(start_layer)
    recipe = Recipe(normalize=False)
    relevance = _last(_upward(layers, recipe, additive=True))
    if output == "relevance":
        relevance = relevance - layers.identity()
    elif output == "normalized":
        relevance = relevance / relevance.sum(-1, keepdim=True)
    return relevance.to(layers.dtype)


def _kept(keep: Sequence[int] | None, layers: Layers, *, course: bool) -> tuple[int, ...]:
    if keep is not None:
        return tuple(positions(keep, layers.n_keys, "keep"))
    maps = layers.maps
    return (0,) if maps is not None and not course and not maps.causal and maps.key_tokens.special[0] else ()


def _last(stages: Iterator[Tensor]) -> Tensor:
    for stage in stages:
        last = stage
    return last


def _carried(layers: Layers, recipe: Recipe, queries: int | Sequence[int] | None, *, per_layer: bool = False) -> Tensor:
    """Product of the layers' matrices: [..., queries, n], or [layers, ..., queries, n]."""
    if queries is not None:
        stages = _downward(layers, recipe, positions(queries, layers.n_keys, "queries"), per_layer=per_layer)
        return stages if per_layer else stages[0]
    products = _upward(layers, recipe)
    return torch.stack(list(products)) if per_layer else _last(products)


def _upward(layers: Layers, recipe: Recipe, *, additive: bool = False) -> Iterator[Tensor]:
    """All rows, from the lowest layer up: the product up to each layer."""
    n, below = layers.n_keys, None
    nowhere = torch.zeros(*layers.batch, n, dtype=torch.bool, device=layers.device)
    absent = nowhere
    for layer in layers.each():
        filled = torch.empty(*layers.batch, n, n, dtype=layers.exact, device=layers.device)
        unknown, without = nowhere.clone(), nowhere.clone()
        for step in steps(layers, layer, recipe):
            # No row of a causal block reaches a later key; nor does it through the layers below, where all are causal.
            inner = step.matrix.filled.shape[-1]
            width = inner if layers.causal else n
            reached = step.matrix
            if below is not None:
                reached = through(reached, Known(below.filled[..., :inner, :width], below.unknown[..., :inner]))
            width = reached.filled.shape[-1]
            filled[..., step.rows, :width], filled[..., step.rows, width:] = reached.filled, 0
            unknown[..., step.rows], without[..., step.rows] = reached.unknown, step.absent
        if additive:
            before = Known(layers.identity(), nowhere) if below is None else below
            filled, unknown = before.filled + filled, before.unknown | unknown
        below, absent = Known(filled, unknown), absent | without
        yield below.shown(absent)


def _downward(layers: Layers, recipe: Recipe, wanted: list[int], *, per_layer: bool) -> Tensor:
    """Some rows, from the highest layer down: [layers or 1, ..., queries, n]."""
    layers.order = layers.order[::-1]
    start = layers.identity(wanted)[None]
    carried = Known(start[:0] if per_layer else start, torch.zeros_like(start[..., 0], dtype=torch.bool))
    if per_layer:
        carried = Known(carried.filled, carried.unknown[:0])
    for layer in layers.each():
        if per_layer:
            fresh = torch.zeros_like(start[..., 0], dtype=torch.bool)
            carried = Known(torch.cat([start, carried.filled]), torch.cat([fresh, carried.unknown]))
        below, lost = torch.zeros_like(carried.filled), carried.unknown
        absent = torch.zeros_like(start[0, ..., 0, :], dtype=torch.bool)
        for step in steps(layers, layer, recipe, _reached(carried, wanted)):
            part = through(Known(carried.filled[..., step.rows], lost), step.matrix)
            below[..., : part.filled.shape[-1]] += part.filled
            lost = lost | part.unknown
            absent[..., step.rows] = step.absent
        carried = Known(below, lost | absent[..., wanted])
    return carried.shown(carried.unknown)


def _reached(carried: Known, wanted: list[int]) -> slice:
    """Rows of the layer below from the first to the last that anything comes to; and those that were asked for."""
    some = (carried.filled != 0).flatten(0, -2).any(0)
    some[wanted] = True
    rows = some.nonzero()
    return slice(int(rows[0]), int(rows[-1]) + 1)


@torch.no_grad()
def _vit_explain(layers: Layers, recipe: Recipe) -> Tensor:
    """What vit-explain computes, in the dtype that came: columns divided by row sums, entry (0, 0) never dropped."""
    if math.prod(layers.batch) != 1:
        raise ValueError(f"compat='vit-explain' takes one example; a has a batch of {layers.batch}.")
    identity = torch.eye(layers.n_keys, dtype=layers.dtype, device=layers.device)
    product = identity
    for layer in layers.order:
        raw = layers.heads(layer)[0]
        check_weights(raw)
        heads = raw.reshape(1, -1, layers.n_keys, layers.n_keys)
        fused = heads.mean(1) if recipe.fusion == "mean" else getattr(heads, f"a{recipe.fusion}")(1)
        flat = fused.view(1, -1)
        lowest = flat.topk(int(flat.shape[-1] * recipe.discard), -1, largest=False).indices
        flat[0, lowest[lowest != 0]] = 0
        mixed = (fused + identity) / 2
        product = (mixed / mixed.sum(-1)) @ product
    return product.reshape(*layers.batch, layers.n_keys, layers.n_keys)
