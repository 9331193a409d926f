"""Where NaN began: the first of q, k, value, mask, scores, softmax, output that is no number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attnwidget.diagnosis.causes import Cause, conclude
from attnwidget.diagnosis.findings import Evidence, Finding
from attnwidget.diagnosis.patient import Patient
from attnwidget.layers import Layer, ProjectedLayer, blocks

__all__ = ["Inputs", "not_a_number"]

STAGES = {
    "q": ("the queries", "An earlier layer, or the query projection, gave them: look at its weights and its input."),
    "k": ("the keys", "An earlier layer, or the key projection, gave them: look at its weights and its input."),
    "value": ("the values", "An earlier layer, or the value projection, gave them: look at its weights and its input."),
    "mask": ("the mask", "0 * -inf is NaN: make the mask with masked_fill, not by multiplying."),
    "scores": (
        "the scores",
        "Finite queries and keys whose products overflow: scale q before the product, or use bf16.",
    ),
    "softmax": ("the softmax", "A row in which every key is masked is 0 / 0."),
    "output": ("the output", "0 * inf is NaN: look at the values of masked keys."),
    "weights": (
        "the weights that came",
        "Rows in which every key is masked, or an overflow in half precision before softmax.",
    ),
}


@dataclass(frozen=True)
class Inputs:
    """One layer as a person's own code has it: what its scores are, and its tensors in their own precision."""

    layer: ProjectedLayer
    query: Tensor
    key: Tensor
    value: Tensor | None


def not_a_number(patient: Patient, inputs: Sequence[Inputs] | None = None) -> Iterator[Finding]:
    """NaN and infinities, and the first place that has them."""
    for layer, held in enumerate(patient.maps.layers):
        # NaN in what a layer is made from leaves rows without values; what comes later is only known of one's own.
        whole = isinstance(held, ProjectedLayer) and not bool(patient.vitals[layer].without_values.any())
        if whole and inputs is None:
            continue
        found = _first(held, None if inputs is None else inputs[layer])
        if found is None:
            continue
        stage, heads, what = found
        where, remedy = STAGES[stage]
        places = tuple((layer, head) for head in heads) if len(heads) < held.shape[0] else ((layer, None),)
        rows = sum(int(vitals.without_values.sum()) for vitals in patient.vitals)
        yield conclude(
            "nan",
            f"NaN, from {where} on",
            "alarm",
            f"It begins in {where} of {patient.where(places)}: {what}.",
            places,
            evidence=[Evidence("rows that hold NaN, in all", f"{rows:,}", "0")],
            causes=[Cause(f"What comes after {where} only carries it on.", (remedy,))],
        )
        return


Found = tuple[str, list[int], str]  # stage, heads, words


def _first(held: Layer, inputs: Inputs | None) -> Found | None:
    """The first number that is none, in the order in which attention is computed."""
    projected = inputs.layer if inputs is not None else held if isinstance(held, ProjectedLayer) else None
    if projected is not None:
        found = _in_inputs(projected) or _in_scores(projected) or _in_values(projected, inputs)
        if found is not None:
            return found
    weights = held.weights(slice(0, held.shape[0]), slice(0, held.shape[1]))
    bad = _bad(weights)
    if not bad:
        return None
    rows = weights.isnan().any(-1)
    seeing = held.visible(slice(0, held.shape[0]), slice(0, held.shape[1])).any(-1)
    if not bool((rows & seeing).any()):
        return "softmax", bad, f"{int(rows.sum()):,} rows in which every key is masked"
    words = _words(weights)
    return ("weights", bad, words) if projected is None else ("softmax", bad, f"{words}, and the scores are finite")


def _in_inputs(held: ProjectedLayer) -> Found | None:
    group = held.shape[0] // held.key_value_heads
    heads = range(held.shape[0])
    for stage, tensor, share in (("q", held.q, 1), ("k", held.k, group)):
        bad = sorted({*_bad(tensor), *_bad(-tensor)})
        if bad:
            return stage, [head for head in heads if head // share in bad], _words(tensor)
    for stage, added in (("mask", held.mask.additive), ("scores", held.bias)):
        if added is not None and _bad(added):
            return stage, list(heads), _words(added)
    if held.sinks is not None and not bool(held.sinks.isfinite().all()):
        return "scores", (~held.sinks.isfinite()).nonzero().flatten().tolist(), "the learned sinks hold NaN or infinity"
    return None


def _in_values(held: ProjectedLayer, inputs: Inputs | None) -> Found | None:
    """NaN in the values, and infinite values, which make NaN where they meet a weight of 0."""
    if inputs is None or inputs.value is None:
        return None
    bad = _bad(inputs.value) or _bad(-inputs.value)
    if not bad:
        return None
    share = held.shape[0] // inputs.value.shape[0]
    heads = [head for head in range(held.shape[0]) if head // share in bad]
    if bool(inputs.value.isnan().any()):
        return "value", heads, _words(inputs.value)
    return "output", heads, "infinite values meet weights of 0"


def _in_scores(held: ProjectedLayer) -> Found | None:
    every = slice(0, held.shape[0])
    overflown: set[int] = set()
    for rows in blocks(held.shape[1], held.shape[0] * held.shape[2]):
        overflown |= set(_bad(held.scores(every, rows)))
    return ("scores", sorted(overflown), "q k^T overflows") if overflown else None


def _bad(tensor: Tensor) -> list[int]:
    """Heads (first axis) that hold NaN or infinity; -inf is how a bias hides."""
    return (tensor.isnan() | (tensor == torch.inf)).flatten(1).any(-1).nonzero().flatten().tolist()


def _words(tensor: Tensor) -> str:
    nan, infinite = int(tensor.isnan().sum()), int(tensor.isinf().sum())
    parts = [f"{count:,} {name}" for count, name in ((nan, "NaN"), (infinite, "infinite")) if count]
    return f"{' and '.join(parts)} of {tensor.numel():,} numbers"
