"""Diagnosis: what is wrong with attention, where, and why that may be."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from attnwidget.diagnosis.checks import CHECKS, LEAK, ROWS_AGREE, Patient
from attnwidget.diagnosis.findings import Evidence, Finding, Findings, number
from attnwidget.diagnosis.origin import Inputs, not_a_number
from attnwidget.diagnosis.vitals import Vitals, vitals_of
from attnwidget.intake import AttentionWarning
from attnwidget.layers import DenseLayer, Layer, Mask, ProjectedLayer
from attnwidget.maps import AttentionMaps
from attnwidget.measures.rows import prefix_mass
from attnwidget.measures.table import by_name
from attnwidget.measures.walk import Given, MaskLike, as_weights
from attnwidget.tokens import Tokens

__all__ = ["Evidence", "Finding", "Findings", "Vitals", "diagnose", "judge", "vitals_of"]

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
    maps : AttentionMaps, Capture, Tensor or ndarray [..., heads, queries, keys], or None
        Captured attention, or weights; None when queries and keys are given.
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
        Whether no query should see a later key. Without it only masks that are nearly causal are found out.
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
    if (query is None) != (key is None) or (value is not None and key is None):
        raise ValueError("query and key belong together, and value needs both; pass query= and key=.")
    inputs, factor, unit = None, None, "layer"
    if query is not None and key is not None:
        found, inputs = _own_attention(query, key, value, mask, scaling)
        unit = "layer" if query.ndim == 3 else "example"
        factor = 1.0 if scaling is None else scaling * math.sqrt(query.shape[-1])
        if maps is not None:
            given = _given(maps, mask, causal=causal)
            factor = _factor(given, found)
            found = given
        several = {"": found}
    elif maps is None:
        raise ValueError("nothing came to look at; pass maps, weights, or query= and key=.")
    elif isinstance(maps, AttentionMaps) or hasattr(maps, "by_name") or isinstance(maps, dict):
        if mask is not None:
            raise ValueError("mask is for weights, and for query and key; maps know what their queries may see.")
        several = by_name(maps)
    else:
        several = {"": _given(maps, mask, causal=causal)}
    findings: list[Finding] = []
    for one in several.values():
        layers = tqdm(range(one.n_layers), "layers", leave=False, disable=not progress or one.n_layers < 8)
        vitals = [vitals_of(one, layer) for layer in layers]
        findings += judge(one, vitals, inputs=inputs, factor=factor, causal=causal, unit=unit)
        if prefix is not None:
            findings += _prompt(one, prefix, anchor)
    return Findings(findings)


def judge(
    maps: AttentionMaps,
    vitals: Sequence[Vitals],
    *,
    inputs: list[Inputs] | None = None,
    factor: float | None = None,
    causal: bool = False,
    unit: str = "layer",
) -> Findings:
    """Say what the vitals of all layers mean."""
    patient = Patient(maps, vitals, causal=causal, factor=factor, layer=unit)
    findings = [*not_a_number(patient, inputs)]
    for check in CHECKS:
        findings += check(patient)
    # A map in which nothing can be seen has no shape to speak of.
    if any(finding.name == "masked" and finding.severity == "alarm" for finding in findings):
        findings = [finding for finding in findings if finding.name in {"masked", "nan", "causality"}]
    return Findings(findings)


def _given(weights: Any, mask: MaskLike, *, causal: bool) -> AttentionMaps:
    """Maps of weights [..., heads, queries, keys]; the axes in front of the heads become layers."""
    matrix = as_weights(weights, "maps").detach()
    if matrix.ndim < 3:
        matrix = matrix[None]
    visible = _additive(mask, tuple(matrix.shape))
    matrix = matrix.flatten(0, -4) if matrix.ndim > 3 else matrix[None]
    n_queries, n_keys = matrix.shape[-2:]
    rule = Mask(causal=True, offset=n_keys - n_queries) if causal else None
    masks = [rule] * len(matrix) if visible is None else [Mask(additive=one) for one in visible]
    layers: list[Layer] = [DenseLayer(one, rule) for one, rule in zip(matrix, masks, strict=True)]
    return AttentionMaps(layers, Tokens.positions(n_queries), Tokens.positions(n_keys) if n_keys != n_queries else None)


def _additive(mask: MaskLike, shape: tuple[int, ...]) -> Tensor | None:
    """One additive mask [1 or heads, queries, keys] for each layer, from a mask of any accepted kind."""
    if mask is None:
        return None
    given = torch.as_tensor(mask).detach()
    try:
        given.expand(shape)
    except RuntimeError as error:
        raise ValueError(
            f"mask has shape {tuple(given.shape)}, which does not fit attention of shape {shape}."
        ) from error
    if given.dtype == torch.bool:
        given = torch.zeros(given.shape).masked_fill(~given.cpu(), -math.inf)
    elif not given.is_floating_point():
        raise TypeError(f"mask holds {given.dtype}; expected bool, True where a query may attend, or numbers to add.")
    given = given.reshape((1,) * (len(shape) - given.ndim) + given.shape)
    given = given.expand(*shape[:-3], given.shape[-3], *shape[-2:]).float()
    return given.flatten(0, -4) if given.ndim > 3 else given[None]


def _own_attention(
    query: Tensor, key: Tensor, value: Tensor | None, mask: MaskLike, scaling: float | None
) -> tuple[AttentionMaps, list[Inputs]]:
    """Maps of somebody's own q and k, one layer for each example."""
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            raise TypeError(
                f"{name} is {getattr(tensor, 'dtype', type(tensor).__name__)}; expected floating-point numbers."
            )
        if tensor.ndim not in {3, 4} or tensor.ndim != query.ndim:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}; expected [heads, tokens, width] or [examples, heads, tokens, "
                "width], the same number of axes for all."
            )
    q, k = (tensor.detach() if tensor.ndim == 4 else tensor.detach()[None] for tensor in (query, key))
    v = None if value is None else value.detach() if value.ndim == 4 else value.detach()[None]
    if len(q) != len(k) or q.shape[-1] != k.shape[-1] or q.shape[1] % k.shape[1]:
        raise ValueError(
            f"query has shape {tuple(query.shape)} and key {tuple(key.shape)}; expected the same examples and width, "
            "and heads that the key's heads divide."
        )
    if v is not None and (v.shape[0] != k.shape[0] or v.shape[2] != k.shape[2] or q.shape[1] % v.shape[1]):
        raise ValueError(f"value has shape {tuple(v.shape)} and key {tuple(k.shape)}; expected the same tokens.")
    factor = q.shape[-1] ** -0.5 if scaling is None else scaling
    shape = (*q.shape[:3], k.shape[2])
    additive = _additive(mask, shape if query.ndim == 4 else shape[1:])
    rules = [Mask()] * len(q) if additive is None else [_rule(one) for one in additive]
    layers = [ProjectedLayer(one, other, factor, rule) for one, other, rule in zip(q, k, rules, strict=True)]
    maps = AttentionMaps(
        layers, Tokens.positions(shape[2]), Tokens.positions(shape[3]) if shape[2] != shape[3] else None
    )
    inputs = [Inputs(layer, q[i], k[i], None if v is None else v[i]) for i, layer in enumerate(layers)]
    return maps, inputs


def _rule(additive: Tensor) -> Mask:
    """The mask as it is, NaN included, so that it can be looked at."""
    hidden = additive <= -9e3
    return Mask(additive=additive.masked_fill(hidden, -math.inf))


def _factor(given: AttentionMaps, expected: AttentionMaps) -> float | None:
    """Factor of given weights over softmax(q k scaling), in 1 / sqrt(width); None where scores do not explain them."""
    shapes = [[layer.shape for layer in maps.layers] for maps in (given, expected)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"maps have layers of shape {shapes[0]} and query and key make {shapes[1]}; expected the same."
        )
    rows = torch.linspace(0, given.n_queries - 1, min(64, given.n_queries)).round().long()
    shared = own = theirs = 0.0
    for one, other in zip(given.layers, expected.layers, strict=True):
        heads = slice(0, one.shape[0])
        weights, scores = one.weights(heads, rows).double(), other.scores(heads, rows).double()
        there = (weights > 0) & scores.isfinite()
        count = there.sum(-1, keepdim=True)
        log, score = (
            values.masked_fill(~there, 0) - values.masked_fill(~there, 0).sum(-1, keepdim=True) / count
            for values in (weights.log(), scores)
        )
        log, score = log.masked_fill(~there, 0), score.masked_fill(~there, 0)
        shared, own, theirs = (
            shared + float((log * score).sum()),
            own + float(score.square().sum()),
            theirs + float(log.square().sum()),
        )
    if not own or not theirs or shared**2 / (own * theirs) < ROWS_AGREE:
        return None
    held = expected.layers[0]
    width = held.q.shape[-1] if isinstance(held, ProjectedLayer) else 1
    return shared / own * held.scaling * math.sqrt(width) if isinstance(held, ProjectedLayer) else None


def _prompt(maps: AttentionMaps, prefix: int | Sequence[int], anchor: Sequence[int] | None) -> Iterator[Finding]:
    """A prefix that is ignored, an anchor that dominates it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AttentionWarning)
        mass = prefix_mass(maps, prefix, anchor)
    found, chance = float(mass["prefix"].nanmean()), float(mass["prefix_chance"].nanmean())
    if found < IGNORED * chance:
        yield Finding(
            "prefix",
            "The prefix is ignored",
            "warning",
            f"The prefix gets {found:.2%} of the attention of the tokens after it; chance would give it {chance:.1%}.",
            (),
            (Evidence("mass on the prefix", f"{found:.2%}", f"above {IGNORED * chance:.2%}"),),
            ("It was not trained long enough, or its embeddings are far smaller than those of words.",),
            ("Compare the norms of prefix and word embeddings; initialise the prefix from words.",),
        )
    if anchor is None:
        return
    per_token = [float(mass[f"{name}_per_token"].nanmean()) for name in ("anchor", "prefix")]
    if per_token[0] > DOMINANT * per_token[1] and float(mass["anchor"].nanmean()) > LEAK:
        yield Finding(
            "anchor",
            "The anchor dominates the prefix",
            "warning",
            f"A token of the anchor gets {number(per_token[0])} and a token of the prefix {number(per_token[1])}.",
            (),
            (
                Evidence(
                    "anchor per token / prefix per token",
                    number(per_token[0] / max(per_token[1], 1e-12)),
                    f"below {DOMINANT:g}",
                ),
            ),
            ("The words of the anchor already say what the prefix should.",),
            ("Measure without the anchor in the prompt.",),
        )
