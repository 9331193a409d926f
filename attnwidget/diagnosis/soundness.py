"""Checks of soundness: what a mask and a softmax must hold, whatever the model is."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from attnwidget.diagnosis.findings import Evidence, Finding, number
from attnwidget.diagnosis.patient import Patient
from attnwidget.diagnosis.vitals import Vitals
from attnwidget.layers import ROW_SUM_TOLERANCE

__all__ = ["LEAK", "causality", "masked_rows", "padding", "row_sums"]

LEAK = 1e-3  # mass of a row where none belongs
PADDING = {"[pad]", "<pad>", "<|pad|>", "<|padding|>", "<|finetune_right_pad_id|>"}


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
