"""Checks of shape: attention that is sound, and yet says nothing.

The limits let trained models pass. Of the storyteller, the reader and MiniLM on short texts, the flattest tenth of
heads have a score spread of at most 2.8, and the broadest head has 0.96 of the largest entropy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from attnwidget.diagnosis.findings import Evidence, Finding, number
from attnwidget.diagnosis.patient import Patient
from attnwidget.diagnosis.vitals import Vitals
from attnwidget.measures.comparison import row_divergence

__all__ = ["collapsed", "duplicates", "layers_alike", "scaling", "sink", "uniform"]

FEWEST_KEYS = 4  # with fewer, a uniform row and a sharp one are too alike
UNIFORM = 0.98  # of the largest entropy, in the median head
FLAT_SPREAD = 0.5  # of scores in a row; below it attention is all but uniform
SHARP_SPREAD = 5.0  # of scores in a row, in all but the flattest quarter of heads
SHARP_ENTROPY = 0.3  # of the largest, in all but the broadest quarter
SCALED_ONCE = (0.6, 1.7)  # factor of the scores over 1 / sqrt(width)
ONE_KEY = 0.9  # mean weight of a key on which a head has collapsed
SINK = 0.5  # mean weight of a key over all heads
SAME = 1e-4  # nats between heads, or layers, that are the same
ALL_ON_ONE = 0.99  # mean largest weight of a head that is all but one-hot


def uniform(patient: Patient) -> Iterator[Finding]:
    """Heads that look everywhere alike, and why."""
    if patient.maps.n_keys < FEWEST_KEYS:
        return

    def flat(vitals: Vitals) -> Tensor:
        median = vitals.normalized_entropy.nanmedian()
        return (vitals.normalized_entropy > UNIFORM - 0.02) & bool(median > UNIFORM)

    places = patient.places(flat)
    layers = sorted({layer for layer, _ in places})
    seen = [patient.vitals[layer] for layer in layers]
    spread = torch.cat([vitals.spread for vitals in seen]).nanmean() if seen else math.nan
    if not spread < FLAT_SPREAD:  # over very many keys scores of a healthy spread look uniform too
        return
    share = torch.cat([vitals.normalized_entropy for vitals in seen]).nanmean()
    evidence = [
        Evidence("entropy, of the largest", number(share), f"below {UNIFORM - 0.02:g}"),
        Evidence("spread of scores in a row", number(spread), "0.5 to 5"),
    ]
    causes, remedies = _why_uniform(patient, seen, float(spread), evidence)
    yield Finding(
        "uniform",
        "Uniform attention",
        "alarm" if 2 * len(layers) >= len(patient.vitals) else "warning",
        f"Heads look everywhere alike in {patient.where(places)}.",
        places,
        tuple(evidence),
        causes,
        remedies,
    )


def _why_uniform(
    patient: Patient, seen: Sequence[Vitals], spread: float, evidence: list[Evidence]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    factor, size, variety = _projected(patient, seen)
    if factor is not None and factor < SCALED_ONCE[0] and spread / factor > FLAT_SPREAD:
        evidence.append(Evidence("factor of the scores, in 1 / sqrt(width)", number(factor), "1"))
        return (
            (
                "The scores are scaled twice: with one 1 / sqrt(width) they would spread by "
                + number(spread / factor)
                + ".",
            ),
            ("Scale once: q k^T / sqrt(width). scaled_dot_product_attention does it by itself.",),
        )
    if size is None or variety is None:
        return (
            ("Queries or keys of too little variance, as in an untrained model, or scores that are scaled twice.",),
            ("Capture the model, which keeps q and k, to see which.", "Pass query= and key= to diagnose."),
        )
    evidence += [
        Evidence("size of the queries", number(size), "about 1"),
        Evidence("spread of the keys about their mean", number(variety), "about 1"),
    ]
    low = [name for name, value in (("queries", size), ("keys", variety)) if value < 0.3] or (
        ["queries"] if size < variety else ["keys"]
    )
    return (
        (
            f"The {' and the '.join(low)} have too little variance for scores to differ.",
            "The projections start too small, were never trained, or weight decay shrank them.",
        ),
        (
            "Initialise the projections with a standard deviation near 1 / sqrt(model width).",
            "Check that gradients reach them, and that a normalisation stands before them.",
        ),
    )


def _projected(patient: Patient, seen: Sequence[Vitals]) -> tuple[float | None, float | None, float | None]:
    """Factor of the scores, size of the queries, spread of the keys; None where they are not known."""
    held = [vitals.projection for vitals in seen if vitals.projection is not None]
    if not held:
        return patient.factor, None, None
    factor = sum(projection.factor for projection in held) / len(held) if patient.factor is None else patient.factor
    size = float(torch.cat([projection.query_size for projection in held]).nanmean())
    return factor, size, float(torch.cat([projection.key_spread for projection in held]).nanmean())


def scaling(patient: Patient) -> Iterator[Finding]:
    """Scores whose factor is known, and is not 1 / sqrt(width)."""
    factor = patient.factor
    if factor is None or SCALED_ONCE[0] <= factor <= SCALED_ONCE[1]:
        return
    large = factor > 1
    yield Finding(
        "scaling",
        "Scores are not scaled" if large else "Scores are scaled twice",
        "alarm",
        f"The weights are softmax(q k^T x {number(factor)} / sqrt(width)), and a factor of 1 is expected.",
        (),
        (Evidence("factor of the scores, in 1 / sqrt(width)", number(factor), "1"),),
        ("q k^T goes into the softmax without 1 / sqrt(width).",)
        if large
        else ("q was divided by sqrt(width), and the scores were again.",),
        ("Scale once: q k^T / sqrt(width). scaled_dot_product_attention does it by itself.",),
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
    causes: tuple[str, ...]
    remedies: tuple[str, ...]
    if on_one:
        what = f"Every query looks at {patient.key(key)}, in {patient.where(on_one)}."
        evidence.append(Evidence("mean weight on that key", number(_mean_on(patient, key)), f"below {ONE_KEY:g}"))
    else:
        tops = [patient.key(int(k)) for k in _favourites(patient, places)]
        what = (
            f"Nearly every query puts all of its weight on one key, in {patient.where(places)}; most often on "
            f"{', '.join(tops)}."
        )
    layers = sorted({layer for layer, _ in places or on_one})
    factor, size, variety = _projected(patient, [patient.vitals[layer] for layer in layers])
    if factor is not None and factor > SCALED_ONCE[1] and spread / factor < SHARP_SPREAD:
        evidence.append(Evidence("factor of the scores, in 1 / sqrt(width)", number(factor), "1"))
        causes = ("The scores are not scaled by 1 / sqrt(width), and their softmax is saturated.",)
        remedies = ("Divide q k^T by sqrt(width) before softmax.",)
    elif size is not None and variety is not None and size * variety > SHARP_SPREAD:
        evidence += [
            Evidence("size of the queries", number(size), "about 1"),
            Evidence("spread of the keys about their mean", number(variety), "about 1"),
        ]
        causes = ("Queries and keys have grown too large: a learning rate that is too high, or no normalisation.",)
        remedies = ("Lower the learning rate, warm it up, clip gradients, or normalise q and k.",)
    elif on_one:
        causes = ("One key is larger than all others, or a bias on the scores points at it.",)
        remedies = ("Look at the norms of the keys, and at what is added to the scores.",)
    elif size is not None:
        return  # scores of a healthy size, sharp because the heads are
    else:
        causes = ("Scores that are not scaled by 1 / sqrt(width), or weights that blew up in training.",)
        remedies = ("Pass query= and key= to diagnose, or capture the model, to see which.",)
    yield Finding(
        "collapsed",
        "Collapsed attention",
        # One sharp layer by itself may be a layer of sharp heads.
        "alarm" if on_one or size is not None or len(patient.vitals) > 1 else "warning",
        what,
        places or on_one,
        tuple(evidence),
        causes,
        remedies,
    )


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
    yield Finding(
        "sink",
        "A sink holds most of the attention",
        "note",
        f"Of the attention of all heads, {float(scores[key]):.0%} rests on {patient.key(key)}. Trained models do so "
        "when a head has nothing to say; the rest of the map is in the remaining mass.",
        places,
        (Evidence("mean weight on it", number(scores[key]), f"below {SINK:g}, above it in many large models"),),
        ("Heads park attention that they do not need on the first token, or on separators.",),
        ("Measure with exclude_tokens, and look with the logarithmic scale.",),
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
    yield Finding(
        "duplicates",
        "Heads that are the same",
        "warning",
        f"Heads {first} and {second} of {patient.layer} {number_of_layer} give the same map"
        + (f", and {len(pairs) - 1} other pairs do." if len(pairs) > 1 else "."),
        places,
        (Evidence("divergence of the closest pair, in nats", number(apart), f"above {SAME:g}"),),
        (
            "Heads were initialised with equal weights, or one head was repeated.",
            "In grouped-query attention, queries were repeated along with the keys.",
        ),
        ("Compare the slices of the query and key projections of these heads.",),
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
    yield Finding(
        "layers",
        "Layers that do not differ",
        "warning",
        f"The average map is the same in {patient.where(places)}.",
        places,
        (
            Evidence(
                "divergence from the layer before, in nats", number(min(apart[i] for i in same)), f"above {SAME:g}"
            ),
        ),
        ("The same layer was collected several times, or layers share weights and do nothing to their input.",),
        ("Check which module each map came from, and that layers add to the residual stream.",),
    )
