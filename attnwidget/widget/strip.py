"""Strip: what each token has to do with an output, along the keys of the maps, and how far each head agrees with it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from attnwidget.effects.agreement import agreement
from attnwidget.effects.attribution import Attribution
from attnwidget.effects.relevance import Relevance
from attnwidget.lenses.lensed import standing
from attnwidget.maps import AttentionMaps
from attnwidget.tokens import Tokens

if TYPE_CHECKING:
    from attnwidget.widget.looking import Seen

__all__ = ["Strip", "strip_of"]

DIGITS = 6  # of a number that is looked at


class Strip(NamedTuple):
    """One number for each token of a text.

    Attributes
    ----------
    name : str
        What the numbers are.
    values : tuple of float
        Of each token.
    signed : bool
        Whether they have a sign.
    position : int or None
        The token that they explain; None where that is none.
    labels, ids : tuple or None
        The tokens, where they are known.
    """

    name: str
    values: tuple[float, ...]
    signed: bool
    position: int | None = None
    labels: tuple[str, ...] | None = None
    ids: tuple[int, ...] | None = None

    def under(self, heads: Mapping[str, AttentionMaps]) -> list[str]:
        """Names of the maps on whose keys it stands: of those with as many keys the ones with the same tokens."""
        fitting = [name for name, maps in heads.items() if self._fits(maps.key_tokens)]
        same = [name for name in fitting if heads[name].key_tokens.labels == self.labels]
        return same or fitting

    def told(self, heads: Mapping[str, AttentionMaps], seen: Mapping[str, Seen]) -> dict[str, dict[str, Any]]:
        """What the browser is told of it, by the name of the maps: of a word the sum over its pieces."""
        told = {"name": self.name, "signed": self.signed}
        return {
            name: told | {"values": self._through(heads[name].key_tokens, seen[name])} for name in self.under(heads)
        }

    def agreeing(self, heads: Mapping[str, AttentionMaps]) -> dict[str, dict[str, Tensor]]:
        """Spearman's rho of it with each head's row at the position that it explains, by the name of the maps."""
        found = {}
        for name in self.under(heads):
            query = self._query(name, heads)
            if query is not None:
                # Its tokens are those of the maps, or `under` would not name them.
                given = self._as_attribution(heads[name].key_tokens)
                found[name] = {f"agreement with {self.name}": agreement(heads[name], given, query=query)}
        return found

    def _fits(self, keys: Tokens) -> bool:
        return len(keys) == len(self.values) and (None in (self.ids, keys.ids) or self.ids == keys.ids)

    def _through(self, keys: Tokens, seen: Seen) -> list[float]:
        """Its numbers on the keys that are seen."""
        given = dict(zip(keys.begins, self.values, strict=True))
        words = seen.maps.key_tokens.begins
        found = [0.0] * len(words)
        for origin in seen.pieces.key_tokens.begins:
            found[bisect_right(words, origin) - 1] += given[origin]
        return [float(f"{value:.{DIGITS}g}") for value in found]

    def _query(self, name: str, heads: Mapping[str, AttentionMaps]) -> int | None:
        """The row of the position that it explains; None where that has none."""
        maps = heads[name]
        offset = standing(maps)
        if self.position is None:
            return None
        if offset is not None and any(standing(heads[one]) is None for one in self.under(heads)):
            return None  # the position is one of the other text, which looks across at this one
        query = self.position - (offset or 0)
        return query if 0 <= query < maps.n_queries else None

    def _as_attribution(self, tokens: Tokens) -> Attribution:
        return Attribution(
            values=torch.tensor(self.values, dtype=torch.float64),
            tokens=tokens,
            method="",
            signed=self.signed,
            target="",
            against="",
            position=self.position,
            logit=math.nan,
            delta=math.nan,
            caveat="",
        )


def strip_of(found: Any, heads: Mapping[str, AttentionMaps]) -> Strip | None:
    """What was found, as a strip under some of the maps; None for None.

    Raises
    ------
    TypeError
        When it is neither an attribution nor numbers by name.
    ValueError
        When it is not about the keys of any maps.
    """
    if found is None:
        return None
    strip = _read(found)
    if strip.under(heads):
        return strip
    if any(len(maps.key_tokens) == len(strip.values) for maps in heads.values()):
        raise ValueError("the keys of the maps are other tokens than those of the attribution; take both of one text.")
    keys = ", ".join(f"{name!r} has {maps.n_keys}" for name, maps in heads.items())
    raise ValueError(
        f"attribution has {len(strip.values)} values; expected one for each key, and of these maps {keys}. Take both "
        "of the same text, and maps without words joined or tokens hidden."
    )


def _read(found: Any) -> Strip:
    if isinstance(found, Attribution):
        name = f"{found.method.replace('_', ' ')} on {_target(found)}"
        values = _numbers(name, found.values)
        return Strip(name, values, found.signed, found.position, found.tokens.labels, found.tokens.ids)
    if isinstance(found, Relevance):
        what = "gradient rollout" if found.variant == "gradient_rollout" else "relevance"
        name = f"{what} for {_target(found)}"
        return Strip(name, _numbers(name, found.values), signed=False, position=found.position, labels=found.tokens)
    if not isinstance(found, Mapping):
        raise TypeError(
            f"attribution is {type(found).__name__}; expected what attribute() or relevance() returned, or "
            "{'a name': one number for each key}."
        )
    if len(found) != 1:
        raise ValueError(f"attribution names {len(found)} series of numbers; expected one, as {{'a name': values}}.")
    name, given = next(iter(found.items()))
    if not isinstance(name, str) or not name.strip():
        raise TypeError(f"attribution names {name!r}; expected a name.")
    values = _numbers(name, given)
    return Strip(name, values, signed=min(values, default=0.0) < 0)


def _target(found: Attribution | Relevance) -> str:
    return repr(found.target) + (f" against {found.against!r}" if found.against else "")


def _numbers(name: str, given: Any) -> tuple[float, ...]:
    try:
        values = np.asarray(given.detach().cpu().double() if isinstance(given, Tensor) else given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"attribution[{name!r}] is {type(given).__name__}, and no list of numbers.") from error
    if values.ndim != 1:
        raise ValueError(f"attribution[{name!r}] has shape {values.shape}; expected one number for each key.")
    if not np.isfinite(values).all():
        raise ValueError(f"attribution[{name!r}] holds {values[~np.isfinite(values)][0]}; expected finite numbers.")
    return tuple(values.tolist())
