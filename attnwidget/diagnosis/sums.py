"""Checks of sums: rows that are no distributions, and what the pattern of what they lack says."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from attnwidget.diagnosis.causes import Cause, Reading, conclude
from attnwidget.diagnosis.findings import Evidence, Finding, number
from attnwidget.diagnosis.patient import Patient
from attnwidget.layers import ROW_SUM_TOLERANCE

__all__ = ["row_sums"]

Places = tuple[tuple[int, int | None], ...]
LOOK = "Look at the sums: weights.sum(-1)."
BEFORE = "Mask before the softmax: scores.masked_fill(~mask, -inf).softmax(-1)."


def row_sums(patient: Patient) -> Iterator[Finding]:
    """Rows that are no distributions: dropout, the wrong axis, or lost mass."""
    off = patient.places(lambda v: ((v.row_sums - 1).abs() > ROW_SUM_TOLERANCE).any(-1))
    dropped = max(getattr(layer, "dropout", 0.0) for layer in patient.maps.layers)
    if not off and not dropped:
        return
    sums = torch.cat([vitals.row_sums for vitals in patient.vitals])
    lowest, highest = float(sums[:, 0].nan_to_num(1).min()), float(sums[:, 2].nan_to_num(1).max())
    measured = Evidence("rows sum to", f"{lowest:.3f} to {highest:.3f}", "1.000")
    columns = [v.column_sums.nan_to_num(1).max() for v in patient.vitals]
    zeros = float(torch.cat([vitals.zeros for vitals in patient.vitals]).nanmean().nan_to_num(0))
    scattered = lowest < 1 - ROW_SUM_TOLERANCE and highest > 1 + ROW_SUM_TOLERANCE and zeros > 1e-3
    if off and max(map(float, columns)) <= ROW_SUM_TOLERANCE:
        yield conclude(
            "transposed",
            "Softmax over the wrong axis",
            "alarm",
            "The columns sum to 1 and the rows do not: weights were normalised over queries, or maps are transposed.",
            off,
            evidence=[measured],
            causes=[Cause("softmax(dim=-2), or a map whose rows are keys.")],
            remedies=("Use softmax(dim=-1) on scores [..., queries, keys]; transpose maps whose rows are keys.",),
        )
    elif dropped or scattered:
        yield conclude(
            "dropout",
            "Dropout is on",
            "alarm",
            f"The pass dropped {dropped:.0%} of the weights, so that what each layer saw is noisy."
            if dropped
            else "Rows scatter around 1 and cells are exactly 0: these are the weights after dropout, and noisy.",
            off,
            evidence=[Evidence("dropout of the pass", number(dropped), "0")]
            if dropped
            else [measured, Evidence("visible cells that are exactly 0", f"{zeros:.1%}", "0.0%")],
            causes=[Cause("The model is in training mode.")],
            remedies=("Call model.eval() before you look; attnwidget.capture does so for its pass.",),
        )
    elif highest > 1 + ROW_SUM_TOLERANCE:
        yield conclude(
            "rows",
            "Rows do not sum to 1",
            "alarm",
            f"Rows sum to {lowest:.3f} at least and {highest:.3f} at most in {patient.where(off)}.",
            off,
            evidence=[measured],
            causes=[Cause("Something else than softmax made these weights.")],
            remedies=(LOOK,),
        )
    else:
        yield _lacking(patient, off, measured)


def _lacking(patient: Patient, off: Places, measured: Evidence) -> Finding:
    """Rows that lack mass: a mask after the softmax, learned sinks, or keys that are not there."""
    seen = [patient.vitals[layer] for layer in sorted({layer for layer, _ in off})]
    whole, parted = (
        float(torch.cat([getattr(vitals, name) for vitals in seen]).nanmean()) for name in ("open_lack", "shut_lack")
    )
    ignored = min(int(vitals.ignored.min()) for vitals in seen)
    sinks = [getattr(layer, "sinks", None) is not None for layer in patient.maps.layers]
    # A softmax shares out the whole row, so that a row that sees every key lacks what sinks or missing keys took.
    after = parted if not whole > ROW_SUM_TOLERANCE else 0.0
    if all(sinks):
        after = 0.0  # these rows are made from q and k, by a softmax of ours
    elsewhere = Reading("mass that rows lack which see every key", whole, "0", high=ROW_SUM_TOLERANCE)
    where = f"{ignored} keys that get exactly 0 from every query" if ignored else "keys that get exactly 0"
    if patient.maps.causal and not ignored:
        where = "later keys, the upper triangle, which is exactly 0"
    masked = Cause(
        f"A mask was applied after the softmax: what the rows lack stood on the {where}.",
        (BEFORE,),
        (Reading("mass that rows lack which give exactly 0 to some keys", after, "0", high=ROW_SUM_TOLERANCE),),
        proves=not math.isnan(whole),
    )
    causes = [masked, Cause("The map was cut: keys are missing.", readings=(elsewhere,), proves=False)]
    if all(sinks) or not any(sinks):  # where no layer is known, they may have them
        learned = Cause("Learned sinks hold mass outside the map.", readings=(elsewhere,), proves=False)
        causes.insert(1, learned)
    if all(sinks):
        causes = [Cause("Learned sinks hold mass outside the map.")]
    return conclude(
        "rows",
        "The mask is applied after the softmax" if masked.shown else "Rows do not sum to 1",
        "alarm" if masked.shown else "note" if all(sinks) else "warning",
        f"{measured.label.capitalize()} {measured.value} in {patient.where(off)}."
        + (" The model has learned sinks, which hold the rest." if all(sinks) else ""),
        off,
        evidence=[measured],
        causes=causes,
        remedies=(LOOK,),
    )
