"""Diagnosis: what is wrong with attention, where, and why that may be."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from attnwidget.diagnosis import flat, precision, shape, soundness, sums
from attnwidget.diagnosis.causes import Cause, conclude
from attnwidget.diagnosis.findings import Evidence, Finding, Findings, number, short_name
from attnwidget.diagnosis.origin import Inputs, not_a_number
from attnwidget.diagnosis.own import given_maps, own_attention, unexplained
from attnwidget.diagnosis.patient import Patient
from attnwidget.diagnosis.projection import Projection
from attnwidget.diagnosis.vitals import Vitals, vitals_of
from attnwidget.intake import AttentionWarning
from attnwidget.maps import AttentionMaps
from attnwidget.measures.given import Given, MaskLike
from attnwidget.measures.rows import prefix_mass
from attnwidget.measures.table import by_name
from attnwidget.progress import progress_bar

__all__ = ["Evidence", "Finding", "Findings", "Vitals", "diagnose", "judge", "vitals_of"]

CHECKS = (
    soundness.masked_rows,
    soundness.padding,
    soundness.causality,
    sums.row_sums,
    precision.overflow,
    precision.coarse_scores,
    shape.scaling,
    flat.uniform,
    flat.same_rows,
    shape.collapsed,
    shape.sink,
    shape.duplicates,
    shape.layers_alike,
)
IGNORED = 0.1  # of the mass that chance gives a prefix
DOMINANT = 5.0  # times the mass per token of the prefix


def diagnose(
    maps: Given | Any = None,
    *,
    query: Tensor | None = None,
    key: Tensor | None = None,
    value: Tensor | None = None,
    mask: MaskLike = None,
    scaling: float | None = None,
    causal: bool = False,
    prefix: int | Sequence[int] | None = None,
    anchor: Sequence[int] | None = None,
    progress: bool = True,
) -> Findings:
    """Look for what commonly goes wrong with attention.

    Parameters
    ----------
    maps : AttentionMaps, Capture, Tensor or ndarray [..., heads, queries, keys], outputs.attentions, or None
        Captured attention, or weights; the axes before the heads are taken for layers. None when queries and keys are
        given.
    query : Tensor [heads, queries, width] or [examples, heads, queries, width], or None
        Queries of your own attention, in the precision that your code uses.
    key, value : Tensor [..., key-value heads, keys, width] or None
        Its keys and values; fewer heads than the queries' are shared in groups. With ``maps`` as well, the weights
        that your code made of them, the two are compared.
    mask : Tensor, broadcast to [..., heads, queries, keys], or None
        bool, True where a query may attend; or numbers that are added to the scores.
    scaling : float or None
        Factor on q k^T; None is 1 / sqrt(width).
    causal : bool
        Whether no query should see a later key: the rule itself where there is no mask, and what the mask, the weights
        or the maps are held to. Without it only masks that are nearly causal are found out.
    prefix, anchor : int or sequence of int, or None
        A soft-prompt prefix and the positions to compare it with, as in `attnwidget.measures.prefix_mass`.
    progress : bool
        Show a progress bar where there are many layers.

    Returns
    -------
    Findings
        A list of `Finding`, the gravest first; prints as a table. Empty when nothing unusual was found.

    Raises
    ------
    TypeError, ValueError
        When what came cannot be read as attention.

    Examples
    --------
    >>> print(aw.diagnose(aw.capture(model, "A text.", tokenizer)))
    >>> aw.diagnose(query=q, key=k, value=v, mask=m, causal=True)
    """
    _require_together(("query", query), ("key", key))
    _require_together(("key", key), ("query", query))
    for name, argument in (("value", value), ("scaling", scaling)):
        _require_together((name, argument), ("query", query))
    _require_together(("anchor", anchor), ("prefix", prefix))
    options: dict[str, Any] = {"causal": causal}
    projections: list[Projection | None] | None = None
    findings: list[Finding] = []
    if query is not None:
        own = own_attention(query, key, value, mask=mask, scaling=scaling, causal=causal, weights=maps)
        options |= {"inputs": own.inputs, "factor": own.factor, "second": own.second, "unit": own.unit}
        several, projections, findings = {"": own.maps}, own.projections, [*unexplained(own)]
    else:
        several = _several(maps, mask, causal=causal)
    for name, one in several.items():
        vitals = []
        with progress_bar("layers", one.n_layers, shown=progress and one.n_layers >= 8) as bar:
            for layer in range(one.n_layers):
                vitals.append(vitals_of(one, layer))
                bar.update()
        if projections is not None:
            vitals = [v.with_projection(known) for v, known in zip(vitals, projections, strict=True)]
        about = [*judge(one, vitals, **options)]
        if prefix is not None:
            about += _prompt(one, prefix, anchor)
        findings += [replace(finding, map=name) for finding in about] if len(several) > 1 else about
    return Findings(findings)


def _require_together(given: tuple[str, Any], needed: tuple[str, Any]) -> None:
    if given[1] is not None and needed[1] is None:
        raise ValueError(f"{given[0]} came without {needed[0]}, and says nothing alone; pass {needed[0]}= too.")


def _several(maps: Any, mask: MaskLike, *, causal: bool) -> dict[str, AttentionMaps]:
    """The maps to look at, by name."""
    if maps is None:
        raise ValueError("nothing came to look at; pass maps, weights, or query= and key=.")
    if isinstance(maps, (AttentionMaps, Mapping)) or hasattr(maps, "by_name"):
        if mask is not None:
            raise ValueError("mask is for weights, and for query and key; maps know what their queries may see.")
        return by_name(maps)
    if isinstance(maps, (tuple, list)):  # as outputs.attentions comes
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AttentionWarning)  # what is wrong becomes a finding
            return {"": AttentionMaps.from_arrays(maps, mask=mask, causal=causal)}
    return {"": given_maps(maps, mask, causal=causal)}


def judge(
    maps: AttentionMaps,
    vitals: Sequence[Vitals],
    *,
    inputs: list[Inputs] | None = None,
    factor: float | None = None,
    second: float = math.nan,
    causal: bool = False,
    unit: str = "layer",
) -> Findings:
    """Say what the vitals of all layers mean."""
    patient = Patient(maps, vitals, causal=causal, factor=factor, second=second, layer=unit)
    findings = [*not_a_number(patient, inputs)]
    for check in CHECKS:
        findings += check(patient)
    return Findings(
        replace(finding, names=tuple(short_name(*patient.numbers(place)) for place in finding.places))
        for finding in _without_consequences(findings)
    )


def _without_consequences(findings: list[Finding]) -> list[Finding]:
    """Findings less those that only follow from a graver one."""
    names = {finding.name for finding in findings if finding.severity == "alarm"}
    follow: set[str] = set()
    if "masked" in names:  # a map in which nothing can be seen has no shape to speak of
        follow |= {finding.name for finding in findings} - {"masked", "nan", "causality"}
    if "transposed" in names:
        follow |= {finding.name for finding in findings} - {"transposed", "nan"}
    if "dropout" in names:  # a row whose only weight was dropped is empty
        follow |= {"masked", "rows"}
    if any(finding.name == "nan" and "mask" in finding.title for finding in findings):
        follow.add("masked")
    return [finding for finding in findings if finding.name not in follow]


def _prompt(maps: AttentionMaps, prefix: int | Sequence[int], anchor: Sequence[int] | None) -> Iterator[Finding]:
    """A prefix that is ignored, an anchor that dominates it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AttentionWarning)
        mass = prefix_mass(maps, prefix, anchor)
    found, chance = float(mass["prefix"].nanmean()), float(mass["prefix_chance"].nanmean())
    length = len(prefix) if isinstance(prefix, Sequence) else int(prefix)
    rest, rest_chance = float(mass["prefix_without_first"].nanmean()), chance * (length - 1) / length
    apart = found >= IGNORED * chance and rest_chance > 0 and rest < IGNORED * rest_chance
    if apart:  # position 0 is a sink in most models, whatever stands there
        found, chance = rest, rest_chance
    if found < IGNORED * chance:
        yield conclude(
            "prefix",
            "The prefix is ignored",
            "warning",
            f"The prefix{', position 0 apart,' if apart else ''} gets {found:.2%} of the attention of the tokens after "
            f"it; chance would give it {chance:.1%}.",
            evidence=[Evidence("mass on the prefix", f"{found:.2%}", f"above {IGNORED * chance:.2%}")],
            causes=[Cause("It was not trained long enough, or its embeddings are far smaller than those of words.")],
            remedies=("Compare the norms of prefix and word embeddings; initialise the prefix from words.",),
        )
    if anchor is None:
        return
    per_token = [float(mass[f"{name}_per_token"].nanmean()) for name in ("anchor", "prefix")]
    if per_token[0] > DOMINANT * per_token[1] and float(mass["anchor"].nanmean()) > soundness.LEAK:
        yield conclude(
            "anchor",
            "The anchor dominates the prefix",
            "warning",
            f"A token of the anchor gets {number(per_token[0])} and a token of the prefix {number(per_token[1])}.",
            evidence=[
                Evidence(
                    "anchor per token / prefix per token",
                    number(per_token[0] / max(per_token[1], 1e-12)),
                    f"below {DOMINANT:g}",
                )
            ],
            causes=[Cause("The words of the anchor already say what the prefix should.")],
            remedies=("Measure without the anchor in the prompt.",),
        )
