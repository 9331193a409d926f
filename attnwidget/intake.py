"""Intake: the matrices people have, in every shape they come in, made into layers of [heads, queries, keys]."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnwidget.layers import ROW_SUM_TOLERANCE, DenseLayer, Mask, blocks
from attnwidget.layouts import MATRICES, arrange, ask, by_layer

__all__ = ["AttentionWarning", "as_tensor", "dense_layers", "instead_of_weights", "listed"]

ROUNDING = 1e-6  # of the largest weight: what arithmetic in float32 leaves below 0
_LIKELY = {
    3: " Heads of one layer are 'HQK', layers of one head 'LQK'.",
    4: " Layers x heads are 'LHQK', a batch of one layer is 'BHQK'.",
    5: " A stack of a transformers model's attentions is 'LBHQK'.",
}


class AttentionWarning(UserWarning):
    """Something about the numbers that a reader of the map should know."""


def dense_layers(
    weights: Any,
    *,
    layout: str | None = None,
    example: int | None = None,
    mask: Any = None,
    causal: bool = False,
    names: Sequence[str] | None = None,
    numbers: Sequence[int] | None = None,
) -> tuple[list[DenseLayer], list[str]]:
    """Layers of matrices from arrays.

    Parameters
    ----------
    weights : tuple or list of arrays, or array
        One array [B, H, Q, K] or [H, Q, K] a layer, or one array for all with its ``layout``.
    layout : str or None
        One letter an axis: L layers, B examples, H heads, Q queries, K keys; "LBHQK", "LHQK", "HQK", "QK" ...
        For a tuple or list it describes one element. Without H there is one head, without Q one query.
    example : int or None
        Which example of a batch.
    mask : Tensor or ndarray of bool [queries, keys] or [heads, queries, keys], or None
        True where a query may attend.
    causal : bool
        Whether queries see no later keys; the last query sees all.
    names : sequence of str or None
        What the arrays of a sequence are called in errors.
    numbers : sequence of int or None
        What the layers are called in errors and notes.

    Returns
    -------
    tuple of list of DenseLayer and list of str
        The layers, and what a reader of them should know: each is warned of as well.

    Raises
    ------
    TypeError
        When what came is no array of floating-point numbers.
    ValueError
        When it is empty, when its axes are ambiguous, when a batch came without a choice, when weights are
        negative or infinite.
    """
    if isinstance(weights, (tuple, list)):
        matrices = _from_sequence(weights, layout, example, names)
    else:
        matrices = _from_array(as_tensor(weights, "weights").detach(), layout, example)
    if not matrices:
        raise ValueError("weights is empty: it holds no layer.")
    notes: list[str] = []
    for place, matrix in enumerate(matrices):
        matrices[place], said = _checked(matrix, place if numbers is None else numbers[place])
        notes += said
    if note := _check_row_sums(matrices, range(len(matrices)) if numbers is None else numbers):
        notes.append(note)
    for note in notes:
        warnings.warn(note, AttentionWarning, stacklevel=3)
    return [DenseLayer(matrix, _rule(mask, causal=causal, shape=tuple(matrix.shape))) for matrix in matrices], notes


def _rule(mask: Any, *, causal: bool, shape: tuple[int, ...]) -> Mask | None:
    """What a caller says that queries may see; None where nothing was said."""
    n_queries, n_keys = shape[1:]
    rule = Mask(causal=True, offset=n_keys - n_queries) if causal else None
    if mask is None:
        return rule
    given = torch.as_tensor(np.array(mask) if isinstance(mask, np.ndarray) else mask)
    if given.dtype != torch.bool:
        raise TypeError(f"mask holds {given.dtype}; expected bool, True where a query may attend.")
    if given.ndim == 2:
        given = given[None]
    if given.ndim != 3 or given.shape[0] not in {1, shape[0]} or tuple(given.shape[1:]) != (n_queries, n_keys):
        raise ValueError(
            f"mask has shape {tuple(given.shape)}; expected [{n_queries}, {n_keys}] or [{shape[0]}, {n_queries}, "
            f"{n_keys}], as the maps."
        )
    if rule is not None:
        given = given & rule.visible(slice(0, n_queries), n_keys, given.device)
    return Mask.from_additive(torch.zeros(given.shape, device=given.device).masked_fill(~given, -torch.inf))


def _from_sequence(
    items: Sequence[Any], layout: str | None, example: int | None, names: Sequence[str] | None
) -> list[Tensor]:
    called = [f"weights[{i}]" for i in range(len(items))] if names is None else names
    arrays = [as_tensor(item, name).detach() for item, name in zip(items, called, strict=True)]
    ranks = sorted({array.ndim for array in arrays})
    if len(ranks) > 1:
        raise ValueError(f"weights holds arrays of {ranks} dimensions; expected one number of dimensions.")
    assumed = layout is None
    if layout is None:
        if ranks and ranks[0] not in {3, 4}:
            raise ValueError(
                f"weights is a sequence of {len(arrays)} arrays of shape {tuple(arrays[0].shape)}; expected one array "
                "a layer, [batch, heads, queries, keys] or [heads, queries, keys]. If each array is one head of a "
                "single layer, stack them and pass layout='HQK'; if its axes are others, say what they are with "
                f"layout=: {MATRICES}."
            )
        layout = "BHQK" if ranks and ranks[0] == 4 else "HQK"
    layout = layout.removeprefix("L")  # the sequence itself is that axis
    return [
        arrange(array, layout, example, name, MATRICES, assumed=assumed)
        for array, name in zip(arrays, called, strict=True)
    ]


def _from_array(array: Tensor, layout: str | None, example: int | None) -> list[Tensor]:
    if layout is None:
        if array.ndim != 2:
            raise ask(array, "weights", MATRICES, _LIKELY.get(array.ndim, ""))
        layout = "QK"
    return by_layer(array, layout, example, "weights", MATRICES)


def as_tensor(array: Any, name: str) -> Tensor:
    """A floating-point tensor from torch, numpy, and whatever numpy reads; nothing is copied without need."""
    if not isinstance(array, (Tensor, np.ndarray)):
        array = _read(array, name)
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be lost; pass array.filled(0).")
    if isinstance(array, np.ndarray):
        # numpy has no bfloat16 of its own: JAX and ml_dtypes bring theirs.
        brain = array.dtype.name == "bfloat16"
        if not brain and not np.issubdtype(array.dtype, np.floating):
            raise TypeError(f"{name} holds {array.dtype}; expected floating-point numbers.")
        native = np.dtype(np.int16) if brain else array.dtype.newbyteorder("=")
        array = (
            array.view(native) if brain else array.astype(native if native.itemsize <= 8 else np.float64, copy=False)
        )
        if not array.flags.writeable or any(step < 0 for step in array.strides):
            array = array.copy()  # torch takes neither
        array = torch.from_numpy(array)
        array = array.view(torch.bfloat16) if brain else array
    if not array.is_floating_point():
        raise TypeError(f"{name} holds {array.dtype}; expected floating-point numbers.")
    if array.layout != torch.strided or array.device.type == "meta":
        raise TypeError(f"{name} is a sparse or meta tensor; expected one with values: tensor.to_dense().")
    detached: Tensor = array
    return detached


def _read(array: Any, name: str) -> Any:
    """Arrays of other libraries, and nested lists."""
    try:
        read = np.asarray(array)  # jax, tensorflow, mlx
    except (TypeError, ValueError, RuntimeError) as error:
        try:
            return torch.utils.dlpack.from_dlpack(array)  # bfloat16 of mlx, which numpy cannot take
        except (TypeError, ValueError, RuntimeError, AttributeError, BufferError):
            raise TypeError(
                f"{name} is {type(array).__name__}, which is no array ({error}); expected torch tensors or numpy "
                "arrays."
            ) from error
    if read.dtype == object:
        raise TypeError(f"{name} is {type(array).__name__}, which is no array of numbers.")
    return read


def _checked(matrix: Tensor, layer: int) -> tuple[Tensor, list[str]]:
    """Refuse what softmax cannot have made, drop what rounding left below 0, say where NaN is."""
    lowest, highest = (float(value) for value in torch.aminmax(matrix))
    holds_nan = lowest != lowest or highest != highest  # noqa: PLR0124
    if holds_nan:
        least, most = torch.aminmax(matrix.nan_to_num(0, torch.inf, -torch.inf))
        lowest, highest = float(least), float(most)
    if lowest < -ROUNDING * highest or highest == float("inf"):
        raise ValueError(
            f"layer {layer} holds weights from {lowest:.3g} to {highest:.3g}; weights after softmax lie in [0, 1]. "
            + instead_of_weights(matrix, highest)
        )
    notes = []
    if lowest < 0:
        count = int((matrix < 0).sum())
        notes.append(
            f"{count} weight{'s' * (count > 1)} of layer {layer} lie{'s' * (count == 1)} below 0, by {-lowest:.1g} at "
            "most: that is rounding, and 0 is taken."
        )
        matrix = matrix.clamp(min=0)
    if holds_nan:
        heads = matrix.isnan().flatten(1).any(-1).nonzero().flatten().tolist()
        notes.append(
            f"NaN in layer {layer}, heads {listed(heads)}: rows with NaN have no values and are shown as such. "
            "Usual causes: a row in which every key is masked, or an overflow in half precision."
        )
    return matrix, notes


def instead_of_weights(matrix: Tensor, highest: float) -> str:
    """What numbers are that are no weights, as far as their rows tell, and what to do with them."""

    def rows_sum_to(value: float, numbers: Tensor) -> bool:
        sums = numbers.sum(-1)
        return bool((sums[~sums.isnan()] - value).abs().le(ROW_SUM_TOLERANCE).all())

    numbers = matrix.float()
    if highest <= 0 and rows_sum_to(1, numbers.exp()):
        return "Their exponentials sum to 1 in every row: these are logarithms of weights. Pass weights.exp()."
    if rows_sum_to(0, numbers):
        return (
            "Every row sums to 0, as in a difference of two maps, which is no attention itself: make maps of each; "
            "attnwidget.measures.compare says how they differ."
        )
    if rows_sum_to(1, numbers):
        return (
            "Every row sums to 1, so softmax has been applied, and what came after it went below 0. If that is to "
            "count as nothing, pass weights.clip(min=0)."
        )
    return "These look like scores: if they are, apply softmax over the axis of the keys first."


def _check_row_sums(matrices: list[Tensor], numbers: Sequence[int]) -> str | None:
    """Say where rows do not sum to 1, and what usually makes them do so. Empty rows are masked rows."""
    lowest, highest = (1.0, ""), (1.0, "")
    columns_fit = True
    for number, matrix in zip(numbers, matrices, strict=True):
        for head in range(matrix.shape[0]):
            place = f"of layer {number}, head {head}"
            sums = torch.cat([matrix[head, rows].float().sum(-1) for rows in blocks(*matrix.shape[1:])])
            sums = sums.masked_fill((sums == 0) | sums.isnan(), 1)
            lowest = min(lowest, (float(sums.min()), f"row {int(sums.argmin())} {place}"))
            highest = max(highest, (float(sums.max()), f"row {int(sums.argmax())} {place}"))
        if columns_fit and max(1 - lowest[0], highest[0] - 1) > ROW_SUM_TOLERANCE:
            columns_fit = bool(((matrix.float().sum(-2) - 1).abs() < ROW_SUM_TOLERANCE).all())
    worst = highest if highest[0] - 1 > ROW_SUM_TOLERANCE else lowest
    if abs(worst[0] - 1) <= ROW_SUM_TOLERANCE:
        return None
    cause = (
        "The columns sum to 1 instead: the matrices seem transposed (rows are queries)."
        if columns_fit
        else "More than 1 means that dropout was on (call model.eval()), or that these are no weights."
        if worst is highest
        else "Less than 1 means that mass went elsewhere (learned sinks), or that the map was cut."
    )
    return (
        f"Rows do not sum to 1: they sum to {lowest[0]:.3f} at least and {highest[0]:.3f} at most ({worst[1]}). "
        f"{cause} The numbers stay as they are; pictures rescale rows above 1 and show what rows lack as missing."
    )


def listed(numbers: list[int], limit: int = 8) -> str:
    """Numbers in a sentence."""
    return ", ".join(map(str, numbers[:limit])) + (", …" if len(numbers) > limit else "")
