"""Checks of soundness: what a mask must hold, whatever the model is."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from attnwidget.diagnosis.causes import Cause, Reading, conclude
from attnwidget.diagnosis.findings import Evidence, Finding, number
from attnwidget.diagnosis.patient import Patient
from attnwidget.diagnosis.vitals import Vitals

__all__ = ["LEAK", "causality", "masked_rows", "padding"]

LEAK = 1e-3  # mass of a row where none belongs
AS_CHANCE = 0.1  # of what a head that looks everywhere alike would give: no mask reached it
PADDING = {"[pad]", "<pad>", "<|pad|>", "<|padding|>", "<|finetune_right_pad_id|>"}


def masked_rows(patient: Patient) -> Iterator[Finding]:
    """Rows that see no key; those of padding tokens are harmless."""
    places = patient.places(lambda vitals: vitals.masked > vitals.padding_rows)
    if not places:
        return
    total = sum(int((vitals.masked - vitals.padding_rows).sum()) for vitals in patient.vitals)
    every = sum(vitals.rows * len(vitals.masked) for vitals in patient.vitals)
    everything = total == every
    blind = sum(int((vitals.masked == vitals.rows).sum()) for vitals in patient.vitals)
    first = max(
        int(vitals.masked_first.masked_fill(vitals.masked == vitals.rows, 0).max()) for vitals in patient.vitals
    )
    yield conclude(
        "masked",
        "Everything is masked" if everything else "Rows with everything masked",
        "alarm" if everything else "warning",
        f"{total:,} of {every:,} rows see no key ({patient.where(places)}). Such a row has no attention: eager code "
        "gives it equal weights on all keys, padding included, and other code gives NaN.",
        places,
        evidence=[Evidence("rows that see no key", f"{total:,} of {every:,}", "0")],
        causes=[
            Cause(
                "The mask is inverted: True where it should be False."
                if everything
                else "The mask of these heads hides every key from every query.",
                readings=(Reading("heads in which no row sees a key", blind, "0", high=0),),
            ),
            Cause(
                "A padding mask and a causal mask leave nothing for some queries, as with padding on the left.",
                readings=(Reading("rows at the start that see no key", first, "0", high=0),),
            ),
            Cause("A mask of another length or another example."),
        ],
        remedies=("Print mask.any(-1): every row of a real token must be True.",),
    )


def padding(patient: Patient) -> Iterator[Finding]:
    """Mass on keys that the mask hides from everyone, and on padding tokens that no mask hides."""
    hidden = patient.places(lambda vitals: vitals.hidden_padding > LEAK)
    labelled = _padded(patient)
    places = hidden or (patient.places(lambda vitals: _mass_on(vitals, labelled) > LEAK) if labelled else ())
    if not places:
        return
    mass = max(
        float(vitals.hidden_padding.max() if hidden else _mass_on(vitals, labelled).max()) for vitals in patient.vitals
    )
    yield conclude(
        "padding",
        "Attention to padding",
        "alarm",
        f"Padding tokens get attention in {patient.where(places)}: the mask did not reach the softmax.",
        places,
        evidence=[Evidence("most mass on padding in a head", number(mass), "0")],
        causes=[
            Cause(
                "The attention mask was not added to the scores, or added as 0 and 1."
                if hidden
                else "The attention mask was not passed to the model."
            )
        ],
        remedies=(
            "Pass attention_mask; in your own code, masked_fill(~mask, -inf) before softmax.",
            "Set the tokenizer's padding side and pad token before making the batch.",
        ),
    )


def _padded(patient: Patient) -> list[int]:
    """Keys at an end of the text that are filled up with padding tokens.

    A label alone is no padding: many decoders start with the pad token, which is then a token like any other. So one
    at the start counts only where more follow it, and none counts in the middle.
    """
    pads = [label.lower() in PADDING for label in patient.maps.key_tokens.labels]
    n = len(pads)
    first = next((i for i, pad in enumerate(pads) if not pad), n)
    last = next((i for i, pad in enumerate(reversed(pads)) if not pad), n)
    if first == n:
        return []
    return [*(range(first) if first > 1 else ()), *range(n - last, n)]


def _mass_on(vitals: Vitals, keys: list[int]) -> Tensor:
    return vitals.sink[:, keys].nan_to_num(0).sum(-1)


def causality(patient: Patient) -> Iterator[Finding]:
    """Mass on later keys where there should be none, and masks that are nearly right."""
    upside_down = patient.places(lambda vitals: torch.full_like(vitals.later, vitals.upside_down, dtype=torch.bool))
    late = patient.places(lambda vitals: (vitals.later > 0) & (vitals.reach == (1, 1)))
    if upside_down:
        places, what = upside_down, "The mask shows queries only later keys: it is transposed or inverted."
        causes = [Cause("triu instead of tril, or True read as 'masked' where it means 'may attend'.")]
    elif late:
        places, what = late, "Every query sees exactly one later key: the mask is off by one."
        causes = [Cause("tril(diagonal=1) instead of tril(), or a mask for the shifted sequence.")]
    else:
        places = patient.places(lambda vitals: vitals.hidden_later > LEAK)
        if not places and patient.causal:
            places = patient.places(lambda vitals: vitals.later > LEAK)
        if not places:
            places = _mostly_causal(patient)
        what = f"Queries attend to later keys in {patient.where(places)}, where they should not."
        causes = [
            Cause("No causal mask reached the softmax.", readings=(_like_chance(patient, high=AS_CHANCE),)),
            Cause("Something after the masked softmax moved a little mass: smoothing, or a mean with other weights.",
                readings=(_like_chance(patient, low=AS_CHANCE),)),
        ]  # fmt: skip
    if not places:
        return
    yield conclude(
        "causality",
        "Broken causality",
        "alarm",
        what,
        places,
        evidence=[Evidence("most mass on later keys in a head", number(_most_later(patient)), "0")],
        causes=causes,
        remedies=("A causal mask is torch.ones(n, n, dtype=torch.bool).tril(): rows are queries, True may attend.",),
    )


def _most_later(patient: Patient) -> float:
    return max(float(torch.maximum(v.hidden_later, v.later.nan_to_num(0)).max()) for v in patient.vitals)


def _like_chance(patient: Patient, *, low: float = -math.inf, high: float = math.inf) -> Reading:
    """The most mass on later keys beside the most that chance would put there, on those of the first query."""
    chance = 1 - 1 / max(patient.maps.n_keys, 2)
    return Reading("most mass on later keys, over chance", _most_later(patient) / chance, "0", low, high)


def _mostly_causal(patient: Patient) -> tuple[tuple[int, int | None], ...]:
    """Layers that leak a little, or that see later keys while most others do not."""
    later = [float(vitals.later.nan_to_num(0).max()) for vitals in patient.vitals]
    clean = sum(mass <= 1e-6 for mass in later)
    if clean * 2 > len(later) > clean:
        return patient.places(lambda vitals: vitals.later > 1e-6)
    return ()
