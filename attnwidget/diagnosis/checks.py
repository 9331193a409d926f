"""Checks: what the vitals of all layers say. Each check gives the findings of one kind.

The limits are set so that trained models pass: of the models in the tests the sharpest has a quarter of its heads at a
score spread above 5, and the broadest no head above 0.97 of the largest entropy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attnwidget.diagnosis.findings import Evidence, Finding, number
from attnwidget.diagnosis.vitals import Vitals
from attnwidget.layers import ROW_SUM_TOLERANCE
from attnwidget.maps import AttentionMaps
from attnwidget.measures.heads import row_divergence

__all__ = ["CHECKS", "Patient"]

FEWEST_KEYS = 4  # with fewer, a uniform row and a sharp one are too alike
UNIFORM = 0.98  # of the largest entropy, in the median head
FLAT_SPREAD = 0.5  # of scores in a row; below it attention is all but uniform
SHARP_SPREAD = 5.0  # of scores in a row, in all but the flattest quarter of heads
SHARP_ENTROPY = 0.3  # of the largest, in all but the broadest quarter
SCALED_ONCE = (0.6, 1.7)  # factor of the scores over 1 / sqrt(width)
ONE_KEY = 0.9  # mean weight of a key on which a head has collapsed
SINK = 0.5  # mean weight of a key over all heads
SAME = 1e-4  # nats between heads, or layers, that are the same
LEAK = 1e-3  # mass of a row where none belongs
ALL_ON_ONE = 0.99  # mean largest weight of a head that is all but one-hot


@dataclass(frozen=True)
class Patient:
    """What is judged: maps, the vitals of each layer, and what the caller knows."""

    maps: AttentionMaps
    vitals: Sequence[Vitals]
    causal: bool = False  # the caller says that it should be
    factor: float | None = None  # of given weights over softmax(q k / sqrt(width)), where both are known
    layer: str = "layer"  # what the first axis is

    def places(self, chosen: Callable[[Vitals], Tensor]) -> tuple[tuple[int, int | None], ...]:
        """Heads for which something holds; a layer stands for all of its heads."""
        found: list[tuple[int, int | None]] = []
        for layer, vitals in enumerate(self.vitals):
            hits = chosen(vitals)
            if bool(hits.all()) and len(hits) > 1:
                found.append((layer, None))
            else:
                found += [(layer, head) for head in hits.nonzero().flatten().tolist()]
        return tuple(found)

    def where(self, places: Sequence[tuple[int, int | None]], limit: int = 4) -> str:
        """Places in words."""
        if len(places) == len(self.vitals) and all(head is None for _, head in places) and len(places) > 1:
            return f"all {self.layer}s"
        words = [f"{self.layer} {layer}" + ("" if head is None else f", head {head}") for layer, head in places[:limit]]
        return "; ".join(words) + (f" and {len(places) - limit} more" if len(places) > limit else "")

    def key(self, position: int) -> str:
        """A key with its label."""
        label = self.maps.key_tokens.labels[position]
        return f"token {position}" + ("" if label == str(position) else f" ({label!r})")


def masked_rows(patient: Patient) -> Iterator[Finding]:
    """Rows that see no key; those of padding tokens are harmless."""
    places = patient.places(lambda vitals: vitals.masked > vitals.padding_rows)
    if not places:
        return
    total = sum(int((vitals.masked - vitals.padding_rows).sum()) for vitals in patient.vitals)
    every = sum(vitals.rows * len(vitals.masked) for vitals in patient.vitals)
    everything = total == every
    yield Finding(
        "masked",
        "Everything is masked" if everything else "Rows with everything masked",
        "alarm" if everything else "warning",
        f"{total:,} of {every:,} rows see no key ({patient.where(places)}). Such a row has no attention: eager code "
        "gives it equal weights on all keys, padding included, and other code gives NaN.",
        places,
        (Evidence("rows that see no key", f"{total:,} of {every:,}", "0"),),
        (
            "The mask is inverted: True where it should be False."
            if everything
            else "A padding mask and a causal mask leave nothing for some queries, as with padding on the left.",
            "A mask of another length or another example.",
        ),
        ("Print mask.any(-1): every row of a real token must be True.",),
    )


def padding(patient: Patient) -> Iterator[Finding]:
    """Mass on tokens that are padding."""
    places = patient.places(lambda vitals: vitals.hidden_padding > LEAK)
    labels = [i for i, label in enumerate(patient.maps.key_tokens.labels) if label.lower() in PADDING]

    def on_labels(vitals: Vitals) -> Tensor:
        return vitals.sink[:, labels].nan_to_num(0).sum(-1)

    if not places and labels:
        places = patient.places(lambda vitals: on_labels(vitals) > LEAK)
    if not places:
        return
    mass = max(float(torch.maximum(vitals.hidden_padding, on_labels(vitals)).max()) for vitals in patient.vitals)
    yield Finding(
        "padding",
        "Attention to padding",
        "alarm",
        f"Padding tokens get attention in {patient.where(places)}: the mask did not reach the softmax.",
        places,
        (Evidence("most mass on padding in a head", number(mass), "0"),),
        (
            "The attention mask was not passed to the model, or not added to the scores.",
            "The mask was multiplied with the weights after softmax, or added as 0 and 1.",
        ),
        (
            "Pass attention_mask; in your own code, masked_fill(~mask, -inf) before softmax.",
            "Set the tokenizer's padding side and pad token before making the batch.",
        ),
    )


PADDING = {"[pad]", "<pad>", "<|pad|>", "<|padding|>", "<|finetune_right_pad_id|>"}


def causality(patient: Patient) -> Iterator[Finding]:
    """Mass on later keys where there should be none, and masks that are nearly right."""
    evidence: tuple[Evidence, ...] = ()
    upside_down = patient.places(lambda vitals: torch.full_like(vitals.later, vitals.upside_down, dtype=torch.bool))
    late = patient.places(lambda vitals: (vitals.later > 0) & (vitals.reach == (1, 1)))
    if upside_down:
        places, what = upside_down, "The mask shows queries only later keys: it is transposed or inverted."
        cause = "triu instead of tril, or True read as 'masked' where it means 'may attend'."
    elif late:
        places, what = late, "Every query sees exactly one later key: the mask is off by one."
        cause = "tril(diagonal=1) instead of tril(), or a mask for the shifted sequence."
    else:
        places = patient.places(lambda vitals: vitals.hidden_later > LEAK)
        if not places and patient.causal:
            places = patient.places(lambda vitals: vitals.later > LEAK)
        if not places:
            places = _mostly_causal(patient)
        what = f"Queries attend to later keys in {patient.where(places)}, where they should not."
        cause = "The causal mask is missing, transposed, or was added after softmax."
    if not places:
        return
    mass = max(float(torch.maximum(v.hidden_later, v.later.nan_to_num(0)).max()) for v in patient.vitals)
    evidence = (Evidence("most mass on later keys in a head", number(mass), "0"),)
    yield Finding(
        "causality",
        "Broken causality",
        "alarm",
        what,
        places,
        evidence,
        (cause,),
        ("A causal mask is torch.ones(n, n, dtype=torch.bool).tril(): rows are queries, True may attend.",),
    )


def _mostly_causal(patient: Patient) -> tuple[tuple[int, int | None], ...]:
    """Layers that leak a little, or that see later keys while most others do not."""
    later = [float(vitals.later.nan_to_num(0).max()) for vitals in patient.vitals]
    clean = sum(mass <= 1e-6 for mass in later)
    if clean * 2 > len(later) > clean:
        return patient.places(lambda vitals: vitals.later > 1e-6)
    return ()


def row_sums(patient: Patient) -> Iterator[Finding]:
    """Rows that are no distributions: dropout, the wrong axis, or lost mass."""
    off = patient.places(lambda v: ((v.row_sums - 1).abs() > ROW_SUM_TOLERANCE).any(-1))
    dropped = max(getattr(layer, "dropout", 0.0) for layer in patient.maps.layers)
    if not off and not dropped:
        return
    sums = torch.cat([vitals.row_sums for vitals in patient.vitals])
    lowest, highest = float(sums[:, 0].nan_to_num(1).min()), float(sums[:, 2].nan_to_num(1).max())
    evidence = [Evidence("rows sum to", f"{lowest:.3f} to {highest:.3f}", "1.000")]
    columns = [v.column_sums.nan_to_num(1).max() for v in patient.vitals]
    zeros = float(torch.cat([vitals.zeros for vitals in patient.vitals]).nanmean().nan_to_num(0))
    if off and max(map(float, columns)) <= ROW_SUM_TOLERANCE:
        yield Finding(
            "transposed",
            "Softmax over the wrong axis",
            "alarm",
            "The columns sum to 1 and the rows do not: weights were normalised over queries, or maps are transposed.",
            off,
            tuple(evidence),
            ("softmax(dim=-2), or a map whose rows are keys.",),
            ("Use softmax(dim=-1) on scores [..., queries, keys]; transpose maps whose rows are keys.",),
        )
    elif dropped or (lowest < 1 - ROW_SUM_TOLERANCE and highest > 1 + ROW_SUM_TOLERANCE and zeros > 1e-3):
        evidence.append(Evidence("visible cells that are exactly 0", f"{zeros:.1%}", "0.0%"))
        if dropped:
            evidence = [Evidence("dropout of the pass", number(dropped), "0")]
        yield Finding(
            "dropout",
            "Dropout is on",
            "alarm",
            f"The pass dropped {dropped:.0%} of the weights, so that what each layer saw is noisy."
            if dropped
            else "Rows scatter around 1 and cells are exactly 0: these are the weights after dropout, and noisy.",
            off,
            tuple(evidence),
            ("The model is in training mode.",),
            ("Call model.eval() before you look; attnwidget.capture does so for its pass.",),
        )
    else:
        above = highest > 1 + ROW_SUM_TOLERANCE
        learned = all(getattr(layer, "sinks", None) is not None for layer in patient.maps.layers)
        yield Finding(
            "rows",
            "Rows do not sum to 1",
            "alarm" if above else "note" if learned else "warning",
            f"Rows sum to {lowest:.3f} at least and {highest:.3f} at most in {patient.where(off)}."
            + (" The model has learned sinks, which hold the rest." if learned else ""),
            off,
            tuple(evidence),
            ("Something else than softmax made these weights.",)
            if above
            else ("Learned sinks hold mass outside the map.", "The map was cut: keys are missing."),
            ("Look at the sums: weights.sum(-1).",),
        )


def uniform(patient: Patient) -> Iterator[Finding]:
    """Heads that look everywhere alike, and why."""
    if patient.maps.n_keys < FEWEST_KEYS:
        return

    def flat(vitals: Vitals) -> Tensor:
        median = vitals.normalized_entropy.nanmedian()
        return (vitals.normalized_entropy > UNIFORM - 0.02) & bool(median > UNIFORM)

    places = patient.places(flat)
    if not places or not float(torch.cat([v.spread for v in patient.vitals]).nanmean()) < FLAT_SPREAD:
        return
    layers = sorted({layer for layer, _ in places})
    seen = [patient.vitals[layer] for layer in layers]
    share = torch.cat([vitals.normalized_entropy for vitals in seen]).nanmean()
    spread = torch.cat([vitals.spread for vitals in seen]).nanmean()
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
        f"{patient.key(key).capitalize()} gets {float(scores[key]):.0%} of the attention of all heads. Trained models "
        "do so when a head has nothing to say; the rest of the map is in the remaining mass.",
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
    yield Finding(
        "duplicates",
        "Heads that are the same",
        "warning",
        f"Heads {one} and {other} of {patient.layer} {layer} give the same map"
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


CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    masked_rows,
    padding,
    causality,
    row_sums,
    scaling,
    uniform,
    collapsed,
    sink,
    duplicates,
    layers_alike,
)
