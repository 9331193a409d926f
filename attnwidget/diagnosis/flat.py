"""Checks of attention that tells nothing apart: uniform heads, and heads in which every query does the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attnwidget.diagnosis.causes import Cause, Reading, conclude
from attnwidget.diagnosis.findings import Evidence, Finding, number
from attnwidget.diagnosis.own import second_softmax
from attnwidget.diagnosis.patient import Patient
from attnwidget.diagnosis.vitals import Vitals

__all__ = [
    "FEWEST_KEYS",
    "ONCE",
    "SCALED_ONCE",
    "SEE_WHICH",
    "UNIFORM",
    "Known",
    "projected",
    "same_rows",
    "scaled",
    "uniform",
]

FEWEST_KEYS = 4  # with fewer, a uniform row and a sharp one are too alike
UNIFORM = 0.98  # of the largest entropy, in the median head
FLAT_SPREAD = 0.5  # of scores in a row; below it attention is all but uniform
NO_SPREAD = 1e-4  # of scores in a row: nothing at all is told apart
SAME_VECTOR = 1e-3  # of the size of queries, or keys: what float16 and bfloat16 leave of equal ones
SAME_ROWS = 0.01  # of the spread of a row's scores: how little may change from one query to the next
SCALED_ONCE = (0.6, 1.7)  # factor of the scores over 1 / sqrt(width)
SMALL = 0.7  # of queries or keys: where the product of both is below FLAT_SPREAD, one of them is below its root
ONCE = "Scale once: q k^T / sqrt(width). scaled_dot_product_attention does it by itself."
SEE_WHICH = ("Capture the model, which keeps q and k, to see which.", "Pass query= and key= to diagnose.")


@dataclass(frozen=True)
class Known:
    """What the queries and keys of some layers say together."""

    factor: float
    query_size: float
    query_spread: float
    key_size: float
    key_spread: float
    longest: tuple[tuple[int, float], ...]  # position of the longest key of a head, and its length over the median
    biased: bool


def projected(patient: Patient, seen: Sequence[Vitals]) -> Known | None:
    """What the queries and keys of some layers say; None where they are not held."""
    held = [vitals.projection for vitals in seen if vitals.projection is not None]
    if not held:
        return None

    def mean(name: str) -> float:
        return float(torch.cat([getattr(projection, name) for projection in held]).nanmean())

    longest = [zip(one.longest.tolist(), one.length.tolist(), strict=True) for one in held]
    return Known(
        sum(projection.factor for projection in held) / len(held) if patient.factor is None else patient.factor,
        mean("query_size"),
        mean("query_spread"),
        mean("key_size"),
        mean("key_spread"),
        tuple(pair for pairs in longest for pair in pairs),
        any(projection.biased for projection in held),
    )


def scaled(factor: float, *, low: float = -math.inf, high: float = math.inf) -> Reading:
    """The factor of the scores."""
    return Reading("factor of the scores, in 1 / sqrt(width)", factor, "1", low, high)


def uniform(patient: Patient) -> Iterator[Finding]:
    """Heads that look everywhere alike, and why."""
    if patient.maps.n_keys < FEWEST_KEYS:
        return

    def flat(vitals: Vitals) -> Tensor:
        median = vitals.normalized_entropy.nanmedian()
        spread = vitals.spread[vitals.normalized_entropy > UNIFORM - 0.02].nanmean()
        # Over very many keys scores of a healthy spread look uniform too.
        wide = (vitals.normalized_entropy > UNIFORM - 0.02) & bool((median > UNIFORM) & (spread < FLAT_SPREAD))
        return wide | (vitals.spread < NO_SPREAD)

    places = patient.places(flat)
    if not places:
        return
    layers = sorted({layer for layer, _ in places})
    seen = [patient.vitals[layer] for layer in layers]
    chosen = [(vitals, flat(vitals)) for vitals in seen]
    spread = float(torch.cat([vitals.spread[hits] for vitals, hits in chosen]).nanmean())
    share = torch.cat([vitals.normalized_entropy[hits] for vitals, hits in chosen]).nanmean()
    yield conclude(
        "uniform",
        "Uniform attention",
        _gravity(patient, [hits for _, hits in chosen]),
        f"Heads look everywhere alike in {patient.where(places)}.",
        places,
        evidence=[
            Evidence("entropy, of the largest", number(share), f"below {UNIFORM - 0.02:g}"),
            Evidence("spread of scores in a row", number(spread), "0.5 to 5"),
        ],
        causes=_why_uniform(patient, seen, [hits for _, hits in chosen], spread),
    )


def _gravity(patient: Patient, hits: Sequence[Tensor]) -> str:
    """An alarm where half of the layers have it in half of their heads."""
    return "alarm" if 2 * sum(2 * int(one.sum()) >= len(one) for one in hits) >= len(patient.vitals) else "warning"


def _why_uniform(patient: Patient, seen: Sequence[Vitals], hits: Sequence[Tensor], spread: float) -> list[Cause]:
    known = projected(patient, [_of_heads(vitals, chosen) for vitals, chosen in zip(seen, hits, strict=True)])
    again = second_softmax(patient.second)
    if again.shown:
        return [again]
    factor = patient.factor if known is None else known.factor
    if factor is not None and not spread / factor > FLAT_SPREAD:
        factor = math.nan  # with a factor of 1 it would be no less flat
    twice = Cause(
        "The scores are scaled twice"
        + (f": with one 1 / sqrt(width) they would spread by {number(spread / factor)}." if factor else "."),
        (ONCE,),
        () if factor is None else (scaled(factor, low=SCALED_ONCE[0]),),
    )
    if known is None:
        least = torch.cat([vitals.twice[chosen] for vitals, chosen in zip(seen, hits, strict=True)])
        allowed = Reading(
            "least weight before a softmax that was applied twice",
            float(least.nan_to_num(0).min()),
            "below 0",
            high=-1e-6,
        )
        small = Cause("Queries or keys of too little variance, as in an untrained model.", SEE_WHICH)
        return [small, twice, Cause(again.text, again.remedies, (allowed,), proves=False)]
    return [twice, *_too_little(known), _apart(known, spread)]


def _of_heads(vitals: Vitals, chosen: Tensor) -> Vitals:
    """The vitals of a layer with the projections of some heads alone."""
    if vitals.projection is None:
        return vitals
    return vitals.with_projection(vitals.projection.of_heads(chosen))


def _too_little(known: Known) -> list[Cause]:
    """Keys that are all the same, or else queries or keys that are too small, the smaller first."""
    apart = known.key_spread / known.key_size if known.key_size else math.nan
    same = Cause(
        "The keys are the same vector at every position, so that queries cannot tell them apart.",
        ("Look at what the keys are made from: an input, a cache or a broadcast that repeats one token.",),
        (Reading("spread of the keys, over their size", apart, "about 1", low=SAME_VECTOR),),
    )
    if same.shown:
        return [same]
    sizes = [
        ("queries", "size of the queries", known.query_size),
        ("keys", "spread of the keys about their mean", known.key_spread),
    ]
    return [
        Cause(
            f"The {name} have too little variance for scores to differ: their projection starts too small, was never "
            "trained, or weight decay shrank it.",
            (
                "Initialise the projections with a standard deviation near 1 / sqrt(model width).",
                "Check that gradients reach them, and that a normalisation stands before them.",
            ),
            (Reading(label, size, "about 1", low=SMALL),),
        )
        for name, label, size in sorted(sizes, key=lambda one: one[-1])
    ]


def _apart(known: Known, spread: float) -> Cause:
    """Queries and keys of a healthy size that do not meet."""
    expected = known.factor * known.query_size * known.key_spread
    return Cause(
        "Queries and keys lie in different directions, so that their products are small whatever their size.",
        ("Compare the query and key projections: do both read the same part of their input?",),
        (
            Reading(
                "spread of the scores, over what sizes of q and k give",
                spread / expected if expected else math.nan,
                "about 1",
                low=0.3,
            ),
        ),
    )


def same_rows(patient: Patient) -> Iterator[Finding]:
    """Heads in which every query does the same, as where all queries are one vector."""
    if patient.maps.n_keys < FEWEST_KEYS:
        return
    places = patient.places(lambda vitals: (vitals.change < SAME_ROWS) & (vitals.spread > NO_SPREAD))
    if not places:
        return
    seen = [patient.vitals[layer] for layer in sorted({layer for layer, _ in places})]
    hits = [(vitals.change < SAME_ROWS) & (vitals.spread > NO_SPREAD) for vitals in seen]
    known = projected(patient, [_of_heads(vitals, chosen) for vitals, chosen in zip(seen, hits, strict=True)])
    change = torch.cat([vitals.change[chosen] for vitals, chosen in zip(seen, hits, strict=True)]).nanmean()
    apart = math.nan if known is None else known.query_spread
    yield conclude(
        "constant",
        "Every query looks alike",
        _gravity(patient, hits),
        f"Rows do not differ from one query to the next in {patient.where(places)}: what a token is does not matter.",
        places,
        evidence=[Evidence("change of scores between queries, over their spread", number(change), "above 0.1")],
        causes=[
            Cause(
                "The queries are the same vector at every position.",
                ("Look at what the queries are made from: an input or a broadcast that repeats one token.",),
                (Reading("spread of the queries, over their size", apart, "about 1", low=SAME_ROWS),),
            ),
            Cause(
                "Queries differ only in directions that no key has.",
                ("Compare the query and key projections: do both read the same part of their input?",),
            ),
        ],
    )
