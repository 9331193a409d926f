"""Intake: the matrices people have, in every shape they come in, made into layers of [heads, queries, keys]."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnwidget.layers import ROW_SUM_TOLERANCE, DenseLayer, Mask, blocks

__all__ = ["AttentionWarning", "dense_layers"]

_AXES = {"L": "layers", "B": "examples", "H": "heads", "Q": "queries", "K": "keys"}
_ATTENTIONS = ("attentions", "encoder_attentions", "decoder_attentions", "cross_attentions")
_NOTHING_CAME = (
    "The model was asked for its attention and gave none: with sdpa or flash attention, transformers returns an "
    "empty tuple. Use attnwidget.capture(model, inputs), which works with every attention implementation, or load "
    "the model with attn_implementation='eager' and pass output_attentions=True."
)


class AttentionWarning(UserWarning):
    """Something about the numbers that a reader of the map should know."""


def dense_layers(
    weights: Any, *, layout: str | None = None, example: int | None = None, mask: Any = None, causal: bool = False
) -> tuple[list[DenseLayer], list[str]]:
    """Layers of matrices from whatever holds them.

    Parameters
    ----------
    weights : model output, tuple or list of arrays, or array
        One array [B, H, Q, K] or [H, Q, K] a layer, or one array for all with its ``layout``.
    layout : str or None
        One letter an axis: L layers, B examples, H heads, Q queries, K keys; "LBHQK", "LHQK", "HQK", "QK" ...
        For a tuple or list it describes one element.
    example : int or None
        Which example of a batch.
    mask : Tensor or ndarray of bool [queries, keys] or [heads, queries, keys], or None
        True where a query may attend.
    causal : bool
        Whether queries see no later keys; the last query sees all.

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
    weights = _unwrap(weights)
    if isinstance(weights, (tuple, list)):
        matrices = _from_sequence(weights, layout, example)
    else:
        matrices = _from_array(as_tensor(weights, "weights").detach(), layout, example)
        if not matrices:
            raise ValueError("weights is empty: it holds no layer.")
    notes = [note for number, matrix in enumerate(matrices) if (note := _check_values(matrix, number))]
    if note := _check_row_sums(matrices):
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


def _unwrap(weights: Any) -> Any:
    if weights is None:
        raise ValueError(f"weights is None. {_NOTHING_CAME}")
    if isinstance(weights, Mapping):
        # A transformers output: take its attentions, if it has one kind and no more.
        found = {name: weights[name] for name in _ATTENTIONS if weights.get(name) is not None}
        if not found:
            raise ValueError(f"weights is a {type(weights).__name__} without attentions. {_NOTHING_CAME}")
        if len(found) > 1:
            raise ValueError(
                f"weights is a {type(weights).__name__} with {', '.join(found)}: a map shows one of them, each has "
                f"tokens of its own. Pass one, for example outputs.{next(iter(found))}."
            )
        weights = next(iter(found.values()))
    if isinstance(weights, (tuple, list)):
        if len(weights) == 0:
            raise ValueError(f"weights is an empty {type(weights).__name__}. {_NOTHING_CAME}")
        missing = [i for i, layer in enumerate(weights) if layer is None]
        if missing:
            raise ValueError(
                f"weights holds None for layer {missing[0]} ({len(missing)} of {len(weights)} in all). {_NOTHING_CAME}"
            )
        first = weights[0]
        if _holds_numbers(weights):
            return as_tensor(np.asarray(weights, dtype=np.float64), "weights")
        if isinstance(first, (tuple, list)):
            inner = "empty tuples" if len(first) == 0 else f"tuples of {len(first)}"
            raise ValueError(  # noqa: TRY004
                f"weights is a {type(weights).__name__} of {len(weights)} {inner}, as generate() returns them: one "
                "tuple of layers a step. Pass one step, weights[0] is the prompt."
                + (f" {_NOTHING_CAME}" if len(first) == 0 else "")
            )
    return weights


def _holds_numbers(nested: Any) -> bool:
    """Whether nested lists end in numbers, and not in arrays."""
    while isinstance(nested, (tuple, list)) and nested:
        nested = nested[0]
    return isinstance(nested, (int, float)) and not isinstance(nested, bool)


def _from_sequence(items: Sequence[Any], layout: str | None, example: int | None) -> list[Tensor]:
    arrays = [as_tensor(item, f"weights[{i}]").detach() for i, item in enumerate(items)]
    ranks = sorted({array.ndim for array in arrays})
    if len(ranks) > 1:
        raise ValueError(f"weights holds arrays of {ranks} dimensions; expected one number of dimensions.")
    if layout is None:
        if ranks[0] not in {3, 4}:
            raise ValueError(
                f"weights is a sequence of {len(arrays)} arrays of shape {tuple(arrays[0].shape)}; expected one array "
                "a layer, [batch, heads, queries, keys] or [heads, queries, keys]. If each array is one head of a "
                "single layer, stack them and pass layout='HQK'."
            )
        layout = "BHQK" if ranks[0] == 4 else "HQK"
    layout = layout.removeprefix("L")  # the sequence itself is that axis
    return [_arrange(array, layout, example, f"weights[{i}]") for i, array in enumerate(arrays)]


def _from_array(array: Tensor, layout: str | None, example: int | None) -> list[Tensor]:
    shape = tuple(array.shape)
    if layout is None:
        certain = {2: "QK", 5: "LBHQK"}
        if array.ndim not in certain:
            choices = {
                3: "'HQK' (heads of one layer) or 'LQK' (layers of one head)",
                4: "'LHQK' (layers x heads) or 'BHQK' (a batch of one layer)",
            }
            raise ValueError(
                f"weights has shape {shape}, which can be read in more than one way. Say which with "
                f"layout={choices.get(array.ndim, 'one letter an axis, from L, B, H, Q, K')}."
            )
        layout = certain[array.ndim]
    _check_layout(array, layout, "weights")
    if "L" not in layout:
        return [_arrange(array, layout, example, "weights")]
    axis = layout.index("L")
    rest = layout.replace("L", "")
    return [_arrange(layer, rest, example, "weights") for layer in array.unbind(axis)]


def _arrange(array: Tensor, layout: str, example: int | None, name: str) -> Tensor:
    """One layer as [heads, queries, keys]."""
    _check_layout(array, layout, name)
    if example is not None and (not isinstance(example, int) or "B" not in layout):
        raise ValueError(
            f"example={example!r} chooses from a batch, by its number; {name} has layout {layout!r}"
            + (" and no batch." if "B" not in layout else ".")
        )
    if "B" in layout:
        axis = layout.index("B")
        size = array.shape[axis]
        if example is None and size != 1:
            raise ValueError(
                f"{name} holds a batch of {size} examples (shape {tuple(array.shape)}, layout {layout!r}); a map shows "
                "one. Choose it with example=0."
            )
        if example is not None and not -size <= example < size:
            raise ValueError(f"example={example} is outside the batch of {size} in {name}.")
        array = array.select(axis, example or 0)
        layout = layout.replace("B", "")
    if "H" not in layout:
        array, layout = array[None], "H" + layout
    array = array.permute([layout.index(axis) for axis in "HQK"])
    if 0 in array.shape:
        raise ValueError(f"{name} is empty: heads, queries, keys are {tuple(array.shape)}.")
    return array


def _check_layout(array: Tensor, layout: str, name: str) -> None:
    if not isinstance(layout, str) or not set("QK") <= set(layout) <= set(_AXES) or len(set(layout)) < len(layout):
        raise ValueError(
            f"layout={layout!r} is no layout; expected one letter an axis, Q and K among them: "
            + ", ".join(f"{letter} {meaning}" for letter, meaning in _AXES.items())
        )
    if len(layout) != array.ndim:
        raise ValueError(
            f"{name} has {array.ndim} dimensions (shape {tuple(array.shape)}) and layout={layout!r} names "
            f"{len(layout)}."
        )


def as_tensor(array: Any, name: str) -> Tensor:
    """A floating-point tensor from torch, numpy, and whatever numpy reads; nothing is copied without need."""
    if not isinstance(array, (Tensor, np.ndarray)):
        try:
            array = np.asarray(array)  # jax, tensorflow, nested lists
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(
                f"{name} is {type(array).__name__}, which is no array; expected torch tensors or numpy arrays."
            ) from error
        if array.dtype == object:
            raise TypeError(f"{name} is {type(array.tolist()).__name__}, which is no array of numbers.")
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be lost; pass array.filled(0).")
    if isinstance(array, np.ndarray):
        if not np.issubdtype(array.dtype, np.floating):
            raise TypeError(f"{name} holds {array.dtype}; attention weights are floating-point numbers.")
        native = array.dtype.newbyteorder("=")
        array = array.astype(native if native.itemsize <= 8 else np.float64, copy=False)
        if not array.flags.writeable or any(step < 0 for step in array.strides):
            array = array.copy()  # torch takes neither
        array = torch.from_numpy(array)
    if not array.is_floating_point():
        raise TypeError(f"{name} holds {array.dtype}; attention weights are floating-point numbers.")
    if array.layout != torch.strided or array.device.type == "meta":
        raise TypeError(f"{name} is a sparse or meta tensor; expected one with values: tensor.to_dense().")
    detached: Tensor = array
    return detached


def _check_values(matrix: Tensor, layer: int) -> str | None:
    """Refuse what softmax cannot have made; say where NaN is."""
    lowest, highest = (float(value) for value in torch.aminmax(matrix))
    holds_nan = lowest != lowest or highest != highest  # noqa: PLR0124
    if holds_nan:
        least, most = torch.aminmax(matrix.nan_to_num(0, torch.inf, -torch.inf))
        lowest, highest = float(least), float(most)
    if lowest < 0 or highest == float("inf"):
        raise ValueError(
            f"layer {layer} holds weights from {lowest:.3g} to {highest:.3g}; weights after softmax lie in [0, 1]. "
            "These look like scores: apply softmax over the last axis first."
        )
    if holds_nan:
        heads = matrix.isnan().flatten(1).any(-1).nonzero().flatten().tolist()
        return (
            f"NaN in layer {layer}, heads {_listed(heads)}: rows with NaN have no values and are shown as such. "
            "Usual causes: a row in which every key is masked, or an overflow in half precision."
        )
    return None


def _check_row_sums(matrices: list[Tensor]) -> str | None:
    """Say where rows do not sum to 1, and what usually makes them do so. Empty rows are masked rows."""
    lowest, highest = (1.0, ""), (1.0, "")
    columns_fit = True
    for number, matrix in enumerate(matrices):
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


def _listed(numbers: list[int], limit: int = 8) -> str:
    return ", ".join(map(str, numbers[:limit])) + (", …" if len(numbers) > limit else "")
