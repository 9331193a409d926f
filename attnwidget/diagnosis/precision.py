"""Checks of precision: scores that float16 or bfloat16 can hardly hold, or not tell apart."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from attnwidget.diagnosis.causes import Cause, Reading, conclude
from attnwidget.diagnosis.findings import Evidence, Finding
from attnwidget.diagnosis.patient import Patient
from attnwidget.diagnosis.projection import Precision
from attnwidget.diagnosis.vitals import Vitals

__all__ = ["coarse_scores", "overflow"]

NEAR = 0.25  # of the largest number a precision has: two doublings away from infinity
FINER = "Keep scores in float32, as scaled_dot_product_attention does and attn_implementation='eager' does not."


def overflow(patient: Patient) -> Iterator[Finding]:
    """Products of q and k, scores or their log-sum-exp that half precision cannot hold, or hardly."""
    if any(int(vitals.without_values.sum()) for vitals in patient.vitals):
        return  # it is not near: it has happened
    share = 1.0 if any(bool(_reached(vitals, 1.0).any()) for vitals in patient.vitals) else NEAR
    places = patient.places(lambda vitals: _reached(vitals, share))
    if not places:
        return
    held = [_precision(patient.vitals[layer]) for layer in sorted({layer for layer, _ in places})]
    worst = max((one for one in held if one is not None), key=lambda one: float(_most(one).max()))
    largest, end = float(_most(worst).max()), worst.end
    yield conclude(
        "overflow",
        f"Scores overflow in {worst.name}" if share == 1 else f"Scores near the end of {worst.name}",
        "warning",
        f"q k^T reaches {largest:,.0f} and {worst.name} ends at {end:,.0f}: code that scales after the product gets "
        "infinities" + (", and NaN from the softmax." if share == 1 else " as soon as they grow a little."),
        places,
        evidence=[Evidence("largest |q k^T|", f"{largest:,.0f}", f"below {share * end:,.0f}")],
        causes=[
            Cause(
                f"Queries and keys are large, and the product is made in {worst.name} before it is scaled.",
                ("Scale q before the product, use bfloat16, or scaled_dot_product_attention.",),
            )
        ],
    )


def coarse_scores(patient: Patient) -> Iterator[Finding]:
    """Scores so large that the steps of their precision exceed what separates them in a row."""
    places = patient.places(_too_coarse)
    if not places:
        return
    held = [_precision(patient.vitals[layer]) for layer in sorted({layer for layer, _ in places})]
    worst = max((one for one in held if one is not None), key=lambda one: float(one.coarse.nan_to_num(0).max()))
    head = int(worst.coarse.nan_to_num(0).argmax())
    size, ratio = float(worst.score[head]), float(worst.coarse[head])
    yield conclude(
        "precision",
        f"Scores that {worst.name} cannot tell apart",
        "warning",
        f"Scores reach {size:,.0f} in {patient.where(places)}, where the steps of {worst.name} are larger than what "
        "separates the scores of a row: rounded to it, its weights are chance.",
        places,
        evidence=[
            Evidence(f"step of {worst.name} over the spread of a row's scores", f"{ratio:.3g}", "below 1"),
            Evidence("largest |score|", f"{size:,.0f}", f"below {size / ratio:,.0f}"),
        ],
        causes=[
            Cause(
                "All keys have a large part in common, which adds the same to every score of a row.",
                ("Subtract the mean key, or normalise q and k: a constant of a row changes no weight.", FINER),
                (_common_part(patient, places),),
            ),
            Cause("Queries and keys are large beside what tells the keys apart.", (FINER,)),
        ],
    )


def _precision(vitals: Vitals) -> Precision | None:
    return None if vitals.projection is None else vitals.projection.precision


def _most(precision: Precision) -> Tensor:
    return precision.largest.maximum(precision.lse)


def _reached(vitals: Vitals, share: float) -> Tensor:
    held = _precision(vitals)
    return vitals.masked < 0 if held is None else _most(held) > share * held.end


def _too_coarse(vitals: Vitals) -> Tensor:
    held = _precision(vitals)
    return vitals.masked < 0 if held is None else held.coarse > 1


def _common_part(patient: Patient, places: tuple[tuple[int, int | None], ...]) -> Reading:
    """How much of the keys differs: their spread over their size."""
    held = [patient.vitals[layer].projection for layer, _ in places]
    shares = [float((one.key_spread / one.key_size).nan_to_num(1).min()) for one in held if one is not None]
    return Reading("spread of the keys about their mean, over their size", min(shares), "above 0.3", low=0.3)
