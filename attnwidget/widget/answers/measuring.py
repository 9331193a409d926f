"""Measuring: the numbers of every head and what is unusual about them, computed layer by layer when somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnwidget.diagnosis import Findings, Vitals, judge, vitals_of
from attnwidget.maps import AttentionMaps
from attnwidget.measures.comparison import compare
from attnwidget.measures.standouts import Reason, best_of
from attnwidget.measures.table import HEAD_MEASURES, HeadMeasure, head_measures, measured
from attnwidget.widget.answers.spread import even_rows

__all__ = ["CHANGED", "MEASURED", "Measuring", "own_measures"]

CHANGED = "changed"

MEASURED = 1 << 23  # cells that the measures read of all heads of a layer: a third of a second
_CHANGED = HeadMeasure("Changed", "nats", "How far its rows lie apart in the two runs: Jensen-Shannon divergence.")
GIVEN = "Given with the widget."
AGREES = "Spearman's rank correlation of the row that is explained with the strip below the map."
JUDGED_ROWS = 128  # findings are about what holds in most rows: an even spread of them is enough


class Measuring:
    """The numbers of one AttentionMaps; each layer is read once.

    Parameters
    ----------
    maps : AttentionMaps
        What is measured.
    own : mapping of str to Tensor [layers, heads]
        Numbers that the caller has measured.
    other : AttentionMaps or None
        Another run on the same tokens: how much each head changed is measured too.
    shares : bool
        Whether its rows are shares; of others nothing is measured.
    agreeing : mapping of str to Tensor [layers, heads]
        How far heads agree with what stands along the keys.
    """

    def __init__(
        self,
        maps: AttentionMaps,
        own: Mapping[str, Tensor],
        other: AttentionMaps | None = None,
        *,
        shares: bool = True,
        agreeing: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._maps, self._other = maps, other
        self._about = dict.fromkeys(own, GIVEN) | dict.fromkeys(agreeing or {}, AGREES)
        self._own = {**own, **(agreeing or {})}
        self._measures = {} if other is None or CHANGED in own else {CHANGED: _CHANGED}
        self._measures = self._measures | measured(maps) if shares else {}
        self._vitals: dict[int, Vitals] = {}
        self._numbers: dict[int, Tensor] = {}

    def facts(self) -> list[dict[str, str]]:
        """What can be measured: name, label, unit, and a sentence about it."""
        theirs = [{"name": name, "label": name, "unit": "", "about": about} for name, about in self._about.items()]
        return theirs + [
            {"name": name, "label": measure.label, "unit": measure.unit, "about": measure.about}
            for name, measure in self._measures.items()
        ]

    def numbers(self, layer: int) -> Tensor:
        """All numbers of a layer's heads: float32 [measures, heads], NaN where a number does not exist."""
        if layer in self._numbers:
            return self._numbers[layer]
        rows = even_rows(self._maps, MEASURED)
        held = _alone(self._maps, layer)
        numbers = head_measures(held, rows=rows) if self._measures else {}
        if self._other is not None and CHANGED in self._measures:
            numbers[CHANGED] = compare(_alone(self._other, layer), held, rows=rows).divergence
        values = [own[layer, : held.heads[0]] for own in self._own.values()]
        values += [numbers[name][0].float().cpu() for name in self._measures]
        self._numbers[layer] = torch.stack(values) if values else torch.zeros(0, held.heads[0])
        return self._numbers[layer]

    def standouts(self) -> list[tuple[int, int, list[tuple[Reason, float]]]]:
        """Heads that are worth a look, by their places: layer, head, and what they have most of and how much."""
        names = [fact["name"] for fact in self.facts()]
        numbers = torch.cat([self.numbers(layer) for layer in range(self._maps.n_layers)], -1).numpy()
        places = [(layer, head) for layer, heads in enumerate(self._maps.heads) for head in range(heads)]
        found = best_of(dict(zip(names, numbers, strict=True)))
        return [(*places[at], named) for at, named in found.items()]

    def vitals(self, layer: int) -> Vitals:
        """What is measured of a layer before the maps are judged."""
        self._maps.locate(layer, 0)
        if layer not in self._vitals:
            self._vitals[layer] = vitals_of(self._maps, layer, rows=self._judged())
        return self._vitals[layer]

    def findings(self) -> Findings:
        """What is unusual about these maps."""
        return judge(self._maps, [self.vitals(layer) for layer in range(self._maps.n_layers)])

    def _judged(self) -> Tensor | None:
        """An even spread of rows of a long map; None for all."""
        few = even_rows(self._maps, MEASURED // 2)
        n_queries = self._maps.n_queries
        most = JUDGED_ROWS if few is None else min(JUDGED_ROWS, len(few))
        return None if n_queries <= most else torch.linspace(0, n_queries - 1, most).round().long()


def _alone(maps: AttentionMaps, layer: int) -> AttentionMaps:
    held, _ = maps.locate(layer, 0)
    return AttentionMaps([held], maps.tokens, maps.key_tokens)


def own_measures(given: Mapping[str, Any], maps: AttentionMaps) -> dict[str, Tensor]:
    """Numbers given by a person, as float32 [layers, heads]; NaN where a layer has fewer heads.

    Raises
    ------
    TypeError
        When they are no mapping of names to numbers.
    ValueError
        When there is not one number a head, or a name is taken.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"measures is {type(given).__name__}; expected a mapping of names to numbers [layers, heads].")
    shape = (maps.n_layers, max(maps.heads))
    found = {}
    for name, values in given.items():
        if not isinstance(name, str) or not name.strip():
            raise TypeError(f"measures names {name!r}; expected a name.")
        if name in HEAD_MEASURES:
            raise ValueError(f"measures names {name!r}, which is measured already; give yours another name.")
        try:
            value = torch.as_tensor(
                values.detach().cpu() if isinstance(values, Tensor) else np.asarray(values, dtype=np.float32)
            ).float()
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"measures[{name!r}] is {type(values).__name__}, and no array of numbers.") from error
        if tuple(value.shape) != shape:
            raise ValueError(
                f"measures[{name!r}] has shape {tuple(value.shape)}; expected one number a head, {shape} for layers x "
                "heads."
            )
        found[str(name)] = value
    return found
