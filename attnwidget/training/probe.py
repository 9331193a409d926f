"""Probe: a model read on fixed inputs in the middle of its training, which goes on as if nobody had."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attnwidget.capturing import Capture, capture
from attnwidget.diagnosis import diagnose
from attnwidget.maps import AttentionMaps
from attnwidget.measures.table import HEAD_MEASURES, head_measures

__all__ = ["MASS", "Probe"]

MASS = "mass on "  # of a span, as the name of a measure


class Probe:
    """Inputs on which a model is read.

    Parameters
    ----------
    inputs : str, mapping, or Tensor
        As in `attnwidget.capture`.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Needed for a text.
    measures : sequence of str
        Names of `attnwidget.summarize`, and "mass on NAME" for a span.
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
        self.inputs, self.tokenizer, self.spans, self.prefix = inputs, tokenizer, dict(spans or {}), prefix
        self.measures = [measures] if isinstance(measures, str) else list(measures)
        named = {*self.spans, *(["prefix"] if prefix else [])}
        for one in self.measures:
            if one.startswith(MASS) and one.removeprefix(MASS) not in named:
                there = f"there are {', '.join(map(repr, named))}" if named else "give spans={name: (start, stop)}"
                raise ValueError(f"measure {one!r} names a span that is not known; {there}.")
            if not one.startswith(MASS) and one not in HEAD_MEASURES:
                raise ValueError(
                    f"there is no measure {one!r}; there are {', '.join(HEAD_MEASURES)}, and 'mass on NAME'."
                )

    def read(self, model: nn.Module) -> tuple[dict[str, dict[str, NDArray[np.float64]]], list[str]]:
        """Numbers of every head by maps and measure, and the names of findings.

        The model's mode, its gradients and the state of every random number generator are as before.
        """
        with untouched(), torch.no_grad():
            run = capture(
                model, self.inputs, self.tokenizer, logits="none", spans=self.spans or None, prefix=self.prefix,
                progress=False,
            )  # fmt: skip
            numbers = {name: self._of(maps) for name, maps in run[0].by_name.items()}
            return numbers, _findings(run[0])

    def _of(self, maps: AttentionMaps) -> dict[str, NDArray[np.float64]]:
        plain = [one for one in self.measures if not one.startswith(MASS)]
        known = head_measures(maps) if plain else {}
        found = {name: _numbers(known[name]) for name in plain if name in known}
        for one in self.measures:
            if one.startswith(MASS):
                found[one] = _mass(maps, one.removeprefix(MASS))
        return found


@contextmanager
def untouched() -> Iterator[None]:
    """Let random numbers go on as if nothing had been drawn in between."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - a training may use the old one
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _mass(maps: AttentionMaps, name: str) -> NDArray[np.float64]:
    """Mean mass that all queries behind a span give to it: [layers, heads]."""
    span = next((one for one in maps.key_tokens.spans if one.name == name), None)
    if span is None:
        return np.full((maps.n_layers, max(maps.heads)), np.nan)
    found = np.full((maps.n_layers, max(maps.heads)), np.nan)
    for layer in range(maps.n_layers):
        source, _ = maps.locate(layer, 0)
        weights = source.weights(slice(0, source.shape[0]), slice(0, maps.n_queries))
        behind = weights[:, span.stop :] if maps.causal else weights
        found[layer, : source.shape[0]] = _numbers(behind[..., span.start : span.stop].sum(-1).mean(-1))
    return found


def _findings(run: Capture) -> list[str]:
    return [finding.name for finding in diagnose(run)]


def _numbers(values: Tensor) -> NDArray[np.float64]:
    return values.detach().double().cpu().numpy()
