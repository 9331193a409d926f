"""Probe: a model read on fixed inputs in the middle of its training, which goes on as if nobody had."""

from __future__ import annotations

import hashlib
import json
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attnwidget.capturing import Capture
from attnwidget.capturing.again import Again
from attnwidget.capturing.inputs import as_inputs
from attnwidget.diagnosis import diagnose
from attnwidget.intake import AttentionWarning
from attnwidget.maps import AttentionMaps
from attnwidget.measures.stacked import stacked
from attnwidget.measures.table import HEAD_MEASURES, head_measures
from attnwidget.measures.walk import Measure, Rows
from attnwidget.training.reducing import Numbers, reduced

__all__ = ["MASS", "Probe"]

MASS, LESS = "mass on ", "[1:]"  # of a span, as the name of a measure; without its first token
NOT_ALONE = {"unlike"}  # what compares the heads of a layer


class Probe:
    """Inputs on which a model is read.

    Parameters
    ----------
    inputs : str, list of str, mapping, or Tensor
        As in `attnwidget.capture`. Of several examples the numbers are means, of a largest score the largest.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Needed for a text.
    measures : sequence of str
        Names of `attnwidget.summarize`, "mass on NAME" for a span, and "mass on NAME[1:]" for the span without its
        first token.
    spans : mapping of str to (start, stop) or None
        Named runs of tokens, as a soft prompt or an anchor.
    prefix : int
        Number of learned positions in front.

    Raises
    ------
    ValueError
        When a measure is not known, or names a span that is not.
    """

    def __init__(
        self,
        inputs: Any,
        tokenizer: Any = None,
        *,
        measures: Sequence[str],
        spans: Mapping[str, tuple[int, int]] | None = None,
        prefix: int = 0,
    ) -> None:
        self.inputs, self.tokenizer = inputs, tokenizer
        self.measures = list(dict.fromkeys([measures] if isinstance(measures, str) else measures))
        self.named = {*(spans or {}), *(["prefix"] if prefix else [])}
        for one in self.measures:
            if one.startswith(MASS) and one.removeprefix(MASS).removesuffix(LESS) not in self.named:
                there = ", ".join(map(repr, sorted(self.named)))
                there = f"there are {there}" if there else "give spans={name: (start, stop)}"
                raise ValueError(f"measure {one!r} names a span that is not known; {there}.")
            if not one.startswith(MASS) and one not in HEAD_MEASURES:
                raise ValueError(
                    f"there is no measure {one!r}; there are {', '.join(HEAD_MEASURES)}, 'mass on NAME' and "
                    "'mass on NAME[1:]'."
                )
        self._again = Again(inputs, tokenizer, spans=dict(spans or {}) or None, prefix=prefix)
        self._looked = False
        self.digest = ""  # of its tokens; known once the model was looked at

    def check(self, model: nn.Module) -> None:
        """Raise what a model would refuse these inputs with, as far as that is known before it runs.

        Raises
        ------
        TypeError, ValueError
            When they are empty, too long, or nothing that the model reads.
        """
        if self.inputs is None or (isinstance(self.inputs, Mapping | list | tuple) and not len(self.inputs)):
            raise ValueError("the probe is empty: give a text, token ids, or what the tokenizer returned.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AttentionWarning)  # said at the first reading
            as_inputs(model, self.inputs, self.tokenizer)

    def look(self, model: nn.Module) -> Capture:
        """What the model attends to on these inputs now, an example each.

        The model's mode, its gradients and the state of every random number generator are as before.
        """
        with untouched(), torch.no_grad(), warnings.catch_warnings():
            if self._looked:
                warnings.simplefilter(
                    "ignore", AttentionWarning
                )  # what cannot be shown was said; NaN is in the numbers
            run = self._again.capture(model)
        self.digest = self.digest or _digest(run)
        self._looked = True
        return run

    def measure(self, run: Capture) -> Numbers:
        """Numbers of every head [layers, heads] by maps and measure."""
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", AttentionWarning)  # rows without values are NaN in the numbers
            return reduced([{name: self._of(maps) for name, maps in one.by_name.items()} for one in run])

    def chance(self, run: Capture) -> dict[str, dict[str, float]]:
        """Mass that spans of the first example would get from heads that look everywhere alike, by maps and measure."""
        return {
            name: {one: _chance(maps, one) for one in self.measures if one.startswith(MASS)}
            for name, maps in run[0].by_name.items()
        }

    def diagnose(self, run: Capture) -> list[str]:
        """Names of what `attnwidget.diagnose` finds in any example."""
        with torch.no_grad():
            found = [finding.name for one in run for finding in diagnose(one, progress=False)]
        return list(dict.fromkeys(found))

    def _of(self, maps: AttentionMaps) -> dict[str, NDArray[np.float64]]:
        plain = [one for one in self.measures if not one.startswith(MASS)]
        masses = {one: _mass(maps, one) for one in self.measures if one.startswith(MASS)}
        # What a head has by itself is the same wherever it stands.
        one_layer = None if NOT_ALONE & set(plain) else stacked(maps)
        found = head_measures(one_layer or maps, only=plain, further=masses)
        shape = maps.n_layers, max(maps.heads)
        return {one: _numbers(found[one]).reshape(shape) for one in self.measures}


def _digest(run: Capture) -> str:
    """What tells the tokens of some examples from others."""
    tokens = [
        {name: [maps.tokens.labels, maps.key_tokens.labels] for name, maps in sorted(one.by_name.items())}
        for one in run
    ]
    return hashlib.sha256(json.dumps(tokens, default=list).encode()).hexdigest()[:16]


@contextmanager
def untouched() -> Iterator[None]:
    """Let random numbers, and what autocast keeps, go on as if nothing had been computed in between."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - a training may use the old one
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    caching = torch.is_autocast_cache_enabled()
    try:
        # Weights that are cast here have no gradient, and no training shall find them in the cache.
        torch.set_autocast_cache_enabled(False)
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        torch.set_autocast_cache_enabled(caching)
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _keys(maps: AttentionMaps, measure: str) -> slice | None:
    """The keys of a measure's span, where these maps have it."""
    name = measure.removeprefix(MASS)
    span = next((one for one in maps.key_tokens.spans if one.name == name.removesuffix(LESS)), None)
    return None if span is None else slice(span.start + name.endswith(LESS), span.stop)


def _mass(maps: AttentionMaps, measure: str) -> Measure:
    """Mass that a query gives to a span; of a causal map, queries that stand behind it."""
    keys = _keys(maps, measure)
    if keys is None:
        return lambda rows: torch.full_like(rows.total, torch.nan)
    return partial(_on, keys=keys, behind=maps.causal)


def _on(rows: Rows, keys: slice, *, behind: bool) -> Tensor:
    mass = rows.weights[..., keys].sum(-1).masked_fill(rows.without, torch.nan)
    return mass.masked_fill(rows.query[:, 0] < keys.stop, torch.nan) if behind else mass


def _numbers(values: Tensor) -> NDArray[np.float64]:
    return values.detach().double().cpu().numpy()


def _chance(maps: AttentionMaps, measure: str) -> float:
    keys = _keys(maps, measure)
    if keys is None:
        return 0.0
    if not maps.causal:
        return float(keys.stop - keys.start) / maps.n_keys
    seen = np.arange(maps.n_keys - maps.n_queries, maps.n_keys) + 1  # by each query
    behind = seen[seen > keys.stop]
    return float(((keys.stop - keys.start) / behind).mean()) if len(behind) else 0.0
