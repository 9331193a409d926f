"""Checks of shape: attention that is sound, and yet says nothing.

The limits let trained models pass. Of the storyteller, the reader and MiniLM on short texts, the flattest tenth of
heads have a score spread of at most 2.8, and the broadest head has 0.96 of the largest entropy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from attnwidget.diagnosis.causes import Cause, Reading, conclude, there
from attnwidget.diagnosis.findings import Evidence, Finding, number
from attnwidget.diagnosis.flat import FEWEST_KEYS, ONCE, SCALED_ONCE, UNIFORM, Known, projected, scaled
from attnwidget.diagnosis.patient import Patient
from attnwidget.diagnosis.vitals import Vitals
from attnwidget.measures.information import row_divergence

__all__ = ["collapsed", "duplicates", "layers_alike", "scaling", "sink"]

SHARP_SPREAD = 5.0  # of scores in a row, in all but the flattest quarter of heads
SHARP_ENTROPY = 0.3  # of the largest, in all but the broadest quarter
ONE_KEY = 0.9  # mean weight of a key on which a head has collapsed
SINK = 0.5  # mean weight of a key over all heads
SAME = 1e-4  # nats between heads, or layers, that are the same
ALL_ON_ONE = 0.99  # mean largest weight of a head that is all but one-hot


def scaling(patient: Patient) -> Iterator[Finding]:
    """Scores whose factor is known, and is not 1 / sqrt(width)."""
    factor = patient.factor
    if factor is None or SCALED_ONCE[0] <= factor <= SCALED_ONCE[1]:
        return
    large = factor > 1
    yield conclude(
        "scaling",
        "Scores are not scaled" if large else "Scores are scaled twice",
        "alarm",
        f"The weights are softmax(q k^T x {number(factor)} / sqrt(width)), and a factor of 1 is expected.",
        evidence=[scaled(factor).evidence],
        causes=[
            Cause("q k^T goes into the softmax without 1 / sqrt(width).")
            if large
            else Cause("q was divided by sqrt(width), and the scores were again.")
        ],
        remedies=(ONCE,),
    )


def collapsed(patient: Patient) -> Iterator[Finding]:
    """Rows that are all but one-hot in nearly every head, or all queries on one key."""
    if patient.maps.n_keys < FEWEST_KEYS:
        return
    places, spread, entropies = _saturated(patient)
    on_one, key = _on_one_key(patient)
    if not places and not on_one:
        return
    evidence = [
        Evidence("spread of scores in a row", number(spread), "0.5 to 5"),
        Evidence("entropy, of the largest", number(entropies), f"above {SHARP_ENTROPY:g} in most heads"),
    ]
    if on_one:
        what = f"Every query looks at {patient.key(key)}, in {patient.where(on_one)}."
        evidence.append(Evidence("mean weight on that key", number(_mean_on(patient, key)), f"below {ONE_KEY:g}"))
    else:
        tops = [patient.key(int(k)) for k in _favourites(patient, places)]
        what = (
            f"Nearly every query puts all of its weight on one key, in {patient.where(places)}; most often on "
            f"{', '.join(tops)}."
        )
    seen = [patient.vitals[layer] for layer in sorted({layer for layer, _ in places or on_one})]
    causes = _why_collapsed(patient, seen, spread, key if on_one else None)
    known = projected(patient, seen)
    if known is not None and not on_one and not any(cause.shown for cause in causes):
        return  # scores of a healthy size, sharp because the heads are
    yield conclude(
        "collapsed",
        "Collapsed attention",
        # One sharp layer by itself may be a layer of sharp heads.
        "alarm" if on_one or known is not None or len(patient.vitals) > 1 else "warning",
        what,
        places or on_one,
        evidence=evidence,
        causes=causes,
        remedies=()
        if known is not None
        else ("Pass query= and key= to diagnose, or capture the model, to see which.",),
    )


def _why_collapsed(patient: Patient, seen: Sequence[Vitals], spread: float, key: int | None) -> list[Cause]:
    known = projected(patient, seen)
    factor = patient.factor if known is None or patient.factor is not None else known.factor
    if factor is not None and spread / factor >= SHARP_SPREAD:
        factor = math.nan  # with a factor of 1 it would be no less sharp
    causes = [
        Cause(
            "The scores are not scaled by 1 / sqrt(width), and their softmax is saturated.",
            ("Divide q k^T by sqrt(width) before softmax.",),
            () if factor is None else (scaled(factor, high=SCALED_ONCE[1]),),
        ),
        Cause(
            "Queries and keys have grown too large: a learning rate that is too high, or no normalisation.",
            ("Lower the learning rate, warm it up, clip gradients, or normalise q and k.",),
            () if known is None else (_grown(known),),
        ),
    ]
    if key is not None:
        causes += [
            Cause(
                "One key is larger than all others.",
                ("Look at the norms of the keys.",),
                () if known is None else (_longest(known, key),),
            ),
            Cause(
                "A bias on the scores points at it.",
                ("Look at what is added to the scores.",),
                () if known is None else (there("bias on the scores", known.biased),),
                proves=False,
            ),
        ]
    return causes


def _grown(known: Known) -> Reading:
    return Reading(
        "size of the queries times spread of the keys",
        known.query_size * known.key_spread,
        "about 1",
        high=SHARP_SPREAD,
    )


def _longest(known: Known, key: int) -> Reading:
    """How long the key is that all look at, beside the others; 1 where another one is the longest."""
    length = max((length for place, length in known.longest if place == key), default=1.0)
    return Reading("length of that key, over the median", length, "about 1", high=2.0)


def _saturated(patient: Patient) -> tuple[tuple[tuple[int, int | None], ...], float, float]:
    """Layers in which all but a few heads are all but one-hot, each query on a key of its own."""

    def sharp(vitals: Vitals) -> Tensor:
        spread, entropy = vitals.spread, vitals.normalized_entropy
        known = ~spread.isnan() & ~entropy.isnan()
        if not bool(known.any()):
            return torch.zeros_like(known)
        flattest = spread[known].quantile(0.25)
        broadest = entropy[known].quantile(0.75)
        return known & bool(flattest > SHARP_SPREAD) & bool(broadest < SHARP_ENTROPY)

    places = patient.places(sharp)
    layers = {layer for layer, _ in places}
    if 2 * len(layers) < len(patient.vitals):  # a few sharp layers are a way to work
        places = ()
    spread = torch.cat([v.spread for v in patient.vitals]).nanmean()
    return places, float(spread), float(torch.cat([v.normalized_entropy for v in patient.vitals]).nanmean())


def _on_one_key(patient: Patient) -> tuple[tuple[tuple[int, int | None], ...], int]:
    """Heads that all look at one same key, when nearly all heads of the model do: (heads, key)."""
    key = int(torch.cat([vitals.sink for vitals in patient.vitals]).nan_to_num(0).mean(0).argmax())
    # Large models park attention on the first token in nearly every head, but not in their first layers.
    if min(float((vitals.sink[:, key] > ONE_KEY).float().mean()) for vitals in patient.vitals) < ONE_KEY:
        return (), key
    return patient.places(lambda vitals: vitals.sink[:, key] > ONE_KEY), key


def _mean_on(patient: Patient, key: int) -> float:
    return float(torch.cat([vitals.sink[:, key] for vitals in patient.vitals]).nanmean())


def _favourites(patient: Patient, places: Sequence[tuple[int, int | None]], most: int = 3) -> list[int]:
    chosen = torch.cat([patient.vitals[layer].sink for layer in sorted({layer for layer, _ in places})])
    return chosen.nan_to_num(0).mean(0).topk(min(most, chosen.shape[-1])).indices.tolist()


def sink(patient: Patient) -> Iterator[Finding]:
    """One key that holds most of the attention of the whole model."""
    scores = torch.cat([vitals.sink for vitals in patient.vitals]).nan_to_num(0).mean(0)
    if patient.maps.n_keys < FEWEST_KEYS or float(scores.max()) <= SINK or _on_one_key(patient)[0]:
        return
    key = int(scores.argmax())
    places = patient.places(lambda vitals: vitals.sink[:, key] > SINK)
    yield conclude(
        "sink",
        "A sink holds most of the attention",
        "note",
        f"Of the attention of all heads, {float(scores[key]):.0%} rests on {patient.key(key)}. Trained models do so "
        "when a head has nothing to say; the rest of the map is in the remaining mass.",
        places,
        evidence=[Evidence("mean weight on it", number(scores[key]), f"below {SINK:g}, above it in many large models")],
        causes=[Cause("Heads park attention that they do not need on the first token, or on separators.")],
        remedies=("Measure with exclude_tokens, and look with the logarithmic scale.",),
    )


def duplicates(patient: Patient) -> Iterator[Finding]:
    """Heads of a layer that give the same map."""
    pairs = [
        (layer, int(one), int(other), float(vitals.divergence[one, other]))
        for layer, vitals in enumerate(patient.vitals)
        for one, other in (
            vitals.divergence.triu(1).nan_to_num(1) + torch.ones_like(vitals.divergence).tril() < SAME
        ).nonzero()
        if not _dull(vitals, int(one))
    ]
    if not pairs or patient.maps.n_keys < FEWEST_KEYS:
        return
    places = tuple(sorted({(layer, head) for layer, one, other, _ in pairs for head in (one, other)}))
    layer, one, other, apart = min(pairs, key=lambda pair: pair[-1])
    (number_of_layer, first), (_, second) = patient.numbers((layer, one)), patient.numbers((layer, other))
    known = [projection for pair in pairs if (projection := patient.vitals[pair[0]].projection) is not None]
    shared = there("heads that share keys", any(projection.shared for projection in known))
    yield conclude(
        "duplicates",
        "Heads that are the same",
        "warning",
        f"Heads {first} and {second} of {patient.layer} {number_of_layer} give the same map"
        + (f", and {len(pairs) - 1} other pairs do." if len(pairs) > 1 else "."),
        places,
        evidence=[Evidence("divergence of the closest pair, in nats", number(apart), f"above {SAME:g}")],
        causes=[
            Cause("Heads were initialised with equal weights, or one head was repeated."),
            Cause(
                "In grouped-query attention, queries were repeated along with the keys.",
                readings=(shared,) if known else (),
                proves=False,
            ),
        ],
        remedies=("Compare the slices of the query and key projections of these heads.",),
    )


def _dull(vitals: Vitals, head: int) -> bool:
    """Whether a head is uniform, looks at one key only, or is all but one-hot: such heads are alike without a fault."""
    entropy, top = float(vitals.normalized_entropy[head]), float(vitals.sink[head].nan_to_num(0).max())
    return not entropy < UNIFORM - 0.02 or top > ONE_KEY or float(vitals.confidence[head]) > ALL_ON_ONE


def layers_alike(patient: Patient) -> Iterator[Finding]:
    """Layers whose averaged map is that of the layer before."""
    if len(patient.vitals) < 2 or patient.maps.n_keys < FEWEST_KEYS or patient.layer != "layer":
        return
    apart = []
    for one, other in zip(patient.vitals[:-1], patient.vitals[1:], strict=True):
        value = row_divergence(one.mean_rows, other.mean_rows).nanmean()
        dull = all(_dull(vitals, head) for vitals in (one, other) for head in range(len(vitals.spread)))
        apart.append(math.nan if dull else float(value))
    same = [layer for layer, value in enumerate(apart) if value < SAME]
    if not same:
        return
    places = tuple((layer, None) for layer in sorted({at for layer in same for at in (layer, layer + 1)}))
    yield conclude(
        "layers",
        "Layers that do not differ",
        "warning",
        f"The average map is the same in {patient.where(places)}.",
        places,
        evidence=[
            Evidence(
                "divergence from the layer before, in nats", number(min(apart[i] for i in same)), f"above {SAME:g}"
            )
        ],
        causes=[
            Cause("The same layer was collected several times, or layers share weights and do nothing to their input.")
        ],
        remedies=("Check which module each map came from, and that layers add to the residual stream.",),
    )
