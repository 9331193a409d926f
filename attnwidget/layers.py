"""How the attention of one layer is held: as a matrix, or as the q and k it is made from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from attnwidget.rotary import Rotary
from attnwidget.values import Values

__all__ = ["DenseLayer", "Layer", "Mask", "ProjectedLayer", "blocks", "cells_for", "check_factor", "lacking", "temper"]

HIDDEN = -9e3  # an additive mask this low hides a key
ROW_SUM_TOLERANCE = 1e-2  # bf16 rows are off by up to 2.6e-3; what is farther off is really missing mass


@dataclass(frozen=True)
class Mask:
    """The rule that says which keys a query may see, kept as a rule wherever it is one.

    Parameters
    ----------
    causal : bool
        Whether query i sees only keys j <= i + offset.
    offset : int
        Position of query 0 among the keys: the number of cached keys in front of it.
    window : int, Tensor of int [queries], or None
        Number of keys a causal query sees at most, itself included; several where it is another for each.
    additive : Tensor [1 or heads, queries, keys] or None
        Terms added to the scores, where the mask is not a plain rule; -inf hides a key.
    """

    causal: bool = False
    offset: int = 0
    window: int | Tensor | None = None
    additive: Tensor | None = None

    @classmethod
    def from_spans(cls, first: Tensor, last: Tensor, n_keys: int) -> Mask:
        """The rule by which queries see the keys from a first to a last: rising positions, int [queries] each.

        A first below 0, or a last beyond the keys, is where it would be if there were more of them.
        """
        offset = int(last[0])
        if not torch.equal(last, torch.arange(offset, offset + len(last))):
            key = torch.arange(n_keys)
            return cls.from_visible(((key >= first[:, None]) & (key <= last[:, None]))[None])
        clipped = first <= 0
        if bool(clipped.all()):
            return cls(causal=True, offset=offset)
        seen = last + 1 - first
        widest = int(seen[~clipped][0])
        if bool((seen[~clipped] == widest).all() & (last[clipped] < widest).all()):
            return cls(causal=True, offset=offset, window=widest)
        return cls(causal=True, offset=offset, window=seen)

    @classmethod
    def from_additive(cls, additive: Tensor) -> Mask:
        """Find the rule behind an additive mask.

        Parameters
        ----------
        additive : Tensor [1 or heads, queries, keys]
            0 for a visible key, a very negative or infinite number for a hidden one, or any bias.
        """
        # No bias is as low as that; -1e4 and -1e9 are how people write a mask by hand.
        hidden = additive <= HIDDEN
        if bool(((additive == 0) | hidden).all()):
            return cls.from_visible(~hidden)
        offset = max(0, additive.shape[-1] - additive.shape[-2])
        return cls(offset=offset, additive=additive.float().masked_fill(hidden, -math.inf))

    @classmethod
    def from_visible(cls, visible: Tensor) -> Mask:
        """Find the rule behind what may be seen: bool [1 or heads, queries, keys]."""
        if bool(visible.all()):
            return cls()
        rule = cls._rule_like(visible)
        if rule is not None:
            return rule
        offset = max(0, visible.shape[-1] - visible.shape[-2])
        blank = torch.zeros(visible.shape, device=visible.device)
        return cls(offset=offset, additive=blank.masked_fill_(~visible, -math.inf))

    @classmethod
    def _rule_like(cls, visible: Tensor) -> Mask | None:
        if visible.shape[0] != 1:
            return None
        n_queries, n_keys = visible.shape[1:]
        offset = n_keys - n_queries
        widest = int(visible[0].sum(-1).max())
        for window in (None, widest) if 0 < widest < n_keys else (None,):
            rule = cls(causal=True, offset=offset, window=window)
            if all(
                torch.equal(visible[0, rows], rule.visible(rows, n_keys, visible.device)[0])
                for rows in blocks(n_queries, n_keys)
            ):
                return rule
        return None

    def visible(self, rows: slice | Tensor, n_keys: int, device: torch.device) -> Tensor:
        """Which keys the given queries may see: bool [1 or heads, rows, keys]."""
        if self.additive is not None:
            return self.additive[:, rows] > -math.inf
        # Rows come as a bounded slice or as positions.
        if isinstance(rows, slice):
            rows = torch.arange(rows.start, rows.stop, device=device)
        if not self.causal:
            return torch.ones(1, len(rows), n_keys, dtype=torch.bool, device=device)
        last = rows[:, None].to(device) + self.offset
        key = torch.arange(n_keys, device=device)
        seen = key <= last
        if self.window is not None:
            seen &= key > last - _of_rows(self.window, rows)
        return seen[None]

    def span(self, rows: slice | Tensor, n_keys: int) -> slice:
        """Keys from the first to the last that any of some ascending rows may see, as far as a plain rule tells."""
        if self.additive is not None or not self.causal:
            return slice(0, n_keys)
        first, last = (rows.start, rows.stop - 1) if isinstance(rows, slice) else (int(rows[0]), int(rows[-1]))
        stop = min(max(last + self.offset + 1, 1), n_keys)
        window = self.window[first] if isinstance(self.window, Tensor) else self.window
        start = 0 if window is None else max(first + self.offset + 1 - int(window), 0)
        return slice(min(start, stop - 1), stop)

    @property
    def is_rule(self) -> bool:
        """Whether a few numbers say all of it: causal, offset, window."""
        return self.additive is None and not isinstance(self.window, Tensor)

    @cached_property
    def is_plain(self) -> bool:
        """Whether the mask only hides keys, and adds nothing to the scores of those that may be seen."""
        return self.additive is None or bool(((self.additive == 0) | (self.additive == -math.inf)).all())

    @cached_property
    def hides_later_keys(self) -> bool:
        """Whether no query sees a key after its own position, by rule or by what the additive mask happens to hide."""
        if self.additive is None:
            return self.causal
        n_queries, n_keys = self.additive.shape[-2:]
        return n_queries > 1 and not any(
            bool((self.additive[:, rows] > -math.inf).triu(rows.start + self.offset + 1).any())
            for rows in blocks(n_queries, self.additive.shape[0] * n_keys)
        )

    def apply(self, scores: Tensor, rows: slice | Tensor, heads: slice, keys: slice) -> Tensor:
        """Scores [heads, rows, keys] of a span of keys with the mask added in place."""
        if self.additive is not None:
            chosen = slice(0, 1) if self.additive.shape[0] == 1 else heads
            return scores.add_(self.additive[chosen, rows][..., keys].to(scores))
        if not self.causal:
            return scores
        position = torch.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
        last = (position + self.offset).to(scores.device)[:, None]
        # Keys up to the first row's last are visible to all that follow: only the rest needs a comparison.
        later = min(max(int(last.min()) + 1 - keys.start, 0), scores.shape[-1])
        key = torch.arange(keys.start, keys.stop, device=scores.device)
        scores[..., later:].masked_fill_(key[later:] > last, -math.inf)
        if self.window is not None:
            scores.masked_fill_(key <= last - _of_rows(self.window, position.to(scores.device)), -math.inf)
        return scores


@runtime_checkable
class Layer(Protocol):
    """What both ways of holding a layer can answer. Heads are a bounded slice, rows a slice or positions."""

    @property
    def mask(self) -> Mask:
        """The rule of what may be seen."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """Heads, queries, keys."""
        ...

    @property
    def key_value_heads(self) -> int:
        """Number of key-value heads; fewer than the heads in grouped-query attention."""
        ...

    @property
    def tempers(self) -> bool:
        """Whether a temperature or a scaling can act: whether a row is the softmax of one row of scores."""
        ...

    def scores(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Scores before softmax, bias and cap included: [heads, rows, keys], -inf where masked."""
        ...

    def log_weights(self, heads: slice, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Log of the weights [heads, rows, keys] and of the mass outside the map [heads, rows]."""
        ...

    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Weights [heads, rows, keys]."""
        ...

    def visible(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Which keys the queries may see: bool [1 or heads, rows, keys]."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """What the layer holds, by name."""
        ...


class DenseLayer:
    """A layer whose matrices are given.

    Parameters
    ----------
    matrix : Tensor [heads, queries, keys]
        Weights after softmax. The tensor is held, not copied.
    mask : Mask or None
        Which keys each query may see. None looks: causal where no head gives a weight to a later key. A weight of
        zero by itself is a small weight, and hides nothing.
    tempers : bool
        Whether a temperature can act: not where the weights are sums over word pieces.
    values : Values or None
        What the weights are multiplied with, where that was kept.
    """

    def __init__(
        self, matrix: Tensor, mask: Mask | None = None, *, tempers: bool = True, values: Values | None = None
    ) -> None:
        self.matrix = matrix
        self.values = values
        self.tempers = tempers
        self._mask = mask

    @property
    def mask(self) -> Mask:
        """The rule of what may be seen."""
        if self._mask is None:
            heads, queries, keys = self.matrix.shape
            square = queries == keys > 1
            # NaN is no sign of a later key that gets anything.
            causal = square and not any(bool((self.matrix[head].triu(1) > 0).any()) for head in range(heads))
            self._mask = Mask(causal=causal)
        return self._mask

    @property
    def shape(self) -> tuple[int, int, int]:
        """Heads, queries, keys."""
        heads, queries, keys = self.matrix.shape
        return heads, queries, keys

    @property
    def key_value_heads(self) -> int:
        """Every head is its own: matrices say nothing of groups."""
        return self.matrix.shape[0]

    def scores(self, heads: slice, rows: slice | Tensor) -> Tensor:  # noqa: ARG002
        """Raise: matrices do not know the scores they came from."""
        raise ValueError(
            "scores are not known here: this map was given as weights, and softmax forgets a constant of "
            "each row. Use log_weights, or capture the model (attnwidget.capture), which keeps q and k."
        )

    def log_weights(self, heads: slice, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Log of the weights [heads, rows, keys] and of the mass that the rows lack [heads, rows]."""
        weights = self.weights(heads, rows)
        return weights.log(), lacking(weights).log()

    def weights(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Weights [heads, rows, keys] in float32 at least."""
        return _at_least_float32(self.matrix[heads][:, rows])

    def visible(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Which keys the queries may see: bool [1 or heads, rows, keys]."""
        seen = self.mask.visible(rows, self.shape[2], self.matrix.device)
        return seen if seen.shape[0] == 1 else seen[heads]

    def tensors(self) -> dict[str, Tensor]:
        """The matrix, and the mask where it is not a rule."""
        held = {"matrix": self.matrix}
        if self.mask.additive is not None:
            held["mask"] = self.mask.additive
        return held if self.values is None else held | self.values.tensors()


@dataclass(frozen=True)
class ProjectedLayer:
    """A layer held as its queries and keys, from which any row of any head is made anew.

    Parameters
    ----------
    q : Tensor [heads, queries, width]
        Queries, after any rotation.
    k : Tensor [key-value heads, keys, width]
        Keys, not repeated for the heads that share them.
    scaling : float
        Factor on q k^T.
    mask : Mask
        Which keys each query may see.
    bias : Tensor [1 or heads, queries, keys] or None
        Position bias added to the scaled scores.
    softcap : float or None
        Scores are capped by softcap * tanh(scores / softcap).
    sinks : Tensor [heads] or None
        Learned logits that take part in the softmax and hold mass outside the map.
    dropout : float
        Share of the weights that the pass dropped: the map is the one before, but what the layer was given is noisy.
    rotary : Rotary or None
        By which angles q and k were turned for their positions, where that was proved; they are the same in all heads.
    values : Values or None
        What the weights are multiplied with, where that was kept.
    """

    q: Tensor
    k: Tensor
    scaling: float
    mask: Mask
    bias: Tensor | None = None
    softcap: float | None = None
    sinks: Tensor | None = None
    dropout: float = 0.0
    rotary: Rotary | None = None
    values: Values | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Heads, queries, keys."""
        return self.q.shape[0], self.q.shape[1], self.k.shape[1]

    @property
    def key_value_heads(self) -> int:
        """Number of key-value heads."""
        return self.k.shape[0]

    @property
    def tempers(self) -> bool:
        """Scores are known: they can be multiplied."""
        return True

    def scores(self, heads: slice, rows: slice | Tensor, keys: slice | None = None) -> Tensor:
        """Scores before softmax, bias and cap included: [heads, rows, keys], -inf where masked; of a span of keys."""
        keys = slice(0, self.shape[2]) if keys is None else keys
        rows = rows.to(self.q.device) if isinstance(rows, Tensor) else rows  # layers may live on several devices
        q = _at_least_float32(self.q[heads][:, rows]) * self.scaling  # there are fewer queries than scores
        group = self.shape[0] // self.key_value_heads
        if heads.start % group == 0 and heads.stop % group == 0:
            # Heads that share keys stand below each other, so that the keys need no copies.
            k = _at_least_float32(self.k[heads.start // group : heads.stop // group, keys])
            scores = (q.reshape(len(k), -1, q.shape[-1]) @ k.transpose(-1, -2)).view(*q.shape[:2], -1)
        else:
            shared = torch.arange(heads.start, heads.stop, device=self.k.device) // group
            scores = q @ _at_least_float32(self.k[shared, keys]).transpose(-1, -2)
        if self.bias is not None:
            scores += self.bias[slice(0, 1) if self.bias.shape[0] == 1 else heads, rows][..., keys].to(scores)
        if self.softcap is not None:
            scores = (scores / self.softcap).tanh() * self.softcap
        return self.mask.apply(scores, rows, heads, keys)

    def log_weights(self, heads: slice, rows: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Log of the weights [heads, rows, keys] and of the mass in the sinks [heads, rows]."""
        return temper(*self.logits(heads, rows))

    def logits(self, heads: slice, rows: slice | Tensor, keys: slice | None = None) -> tuple[Tensor, Tensor]:
        """Scores [heads, rows, keys] of a span of keys, and of the sinks that compete with them [heads, rows]."""
        scores = self.scores(heads, rows, keys)
        sink = scores.new_full(scores.shape[:2], -math.inf)
        if self.sinks is not None:
            sink = self.sinks[heads].to(scores)[:, None].expand_as(sink)
        return scores, sink

    def weights(self, heads: slice, rows: slice | Tensor, keys: slice | None = None) -> Tensor:
        """Weights [heads, rows, keys]; a row that sees no key is all zero. No row may see a key outside the span."""
        return self.weigh(*self.logits(heads, rows, keys), self.visible(heads, rows))

    def weigh(self, scores: Tensor, sink: Tensor, visible: Tensor) -> Tensor:
        """Weights of scores, and of the sinks that compete with them, as `logits` gives them."""
        if self.sinks is not None:
            return temper(scores, sink)[0].exp_()
        seeing = visible.any(-1, keepdim=True)
        if bool(seeing.all()):
            return scores.softmax(-1)
        # Filled on both sides: the gradient of a softmax over nothing is NaN.
        return scores.masked_fill(~seeing, 0).softmax(-1).masked_fill(~seeing, 0)

    def visible(self, heads: slice, rows: slice | Tensor) -> Tensor:
        """Which keys the queries may see: bool [1 or heads, rows, keys]."""
        seen = self.mask.visible(rows, self.shape[2], self.q.device)
        return seen if seen.shape[0] == 1 else seen[heads]

    def tensors(self) -> dict[str, Tensor]:
        """Everything held, by name."""
        held = {"q": self.q, "k": self.k, "bias": self.bias, "sinks": self.sinks, "mask": self.mask.additive}
        if self.rotary is not None:
            held |= {"query_angles": self.rotary.queries, "key_angles": self.rotary.keys}
        if self.values is not None:
            held |= self.values.tensors()
        return {name: tensor for name, tensor in held.items() if tensor is not None}


def check_factor(temperature: float, scaling: float, layer: Layer | None = None) -> None:
    """Refuse a temperature or a scaling that has no meaning, or none for a layer."""
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature={temperature}; expected a number above 0.")
    if not 0 <= scaling < math.inf:
        raise ValueError(f"scaling={scaling}; expected 0 or more.")
    if not scaling / temperature < math.inf:
        raise ValueError(f"scaling / temperature = {scaling} / {temperature} is too large a number to work with.")
    if layer is not None and not layer.tempers and not temperature == scaling == 1:
        raise ValueError(
            f"temperature={temperature} and scaling={scaling} act on scores, and these weights were made of others, "
            "that of a word as the sum over its pieces, or each times the size of its value: the softmax of no score. "
            "Leave both at 1, or look at the weights of the model."
        )


def temper(scores: Tensor, outside: Tensor, factor: float = 1.0) -> tuple[Tensor, Tensor]:
    """Log-softmax of scores * factor, together with the mass outside the map.

    Scores and log-weights give the same result, for they differ by one constant a row.

    Parameters
    ----------
    scores : Tensor [..., keys]
        Scores or log-weights, -inf where masked. Not changed.
    outside : Tensor [...]
        Score, or log of the mass, of what competes with the keys without being one; -inf for nothing.
    factor : float
        scaling / temperature, >= 0.

    Returns
    -------
    tuple of Tensor [..., keys] and Tensor [...]
        Log-weights and log of the mass outside. A row that sees nothing is -inf throughout.
    """
    if factor != 1.0:
        # A factor of 0 must make visible keys equal and leave hidden ones hidden: 0 * inf is no number.
        scores = (scores * factor).masked_fill_(scores == -math.inf, -math.inf)
        outside = (outside * factor).masked_fill_(outside == -math.inf, -math.inf)
    total = torch.logaddexp(scores.logsumexp(-1), outside)
    total = total.masked_fill(total == -math.inf, 0)
    return scores - total[..., None], outside - total


def blocks(n_rows: int, row_cells: int, cells: int = 1 << 20) -> Iterator[slice]:
    """Slices that walk over rows, all alike and each of at most ``cells`` cells: 4 MB of float32, which fit a cache."""
    most = max(1, cells // max(1, row_cells))
    step = -(-n_rows // max(1, -(-n_rows // most)))
    for start in range(0, n_rows, max(1, step)):
        yield slice(start, min(start + step, n_rows))


def cells_for(device: torch.device) -> int:
    """How many cells at a time: what fits a cache, or what keeps a GPU busy in a quarter of a gigabyte."""
    return 1 << 20 if device.type == "cpu" else 1 << 26


def lacking(weights: Tensor) -> Tensor:
    """Mass that rows [..., keys] of given weights lack: [...]."""
    total = weights.sum(-1)
    missing = (1 - total).clamp(min=0)
    # Rounding is no missing mass, and an empty row has no attention to miss any of.
    return missing.masked_fill((missing <= ROW_SUM_TOLERANCE) | (total == 0), 0)


def _of_rows(window: int | Tensor, rows: Tensor) -> int | Tensor:
    """The window of some rows: one for all, or int [rows, 1]."""
    return window.to(rows.device)[rows][:, None] if isinstance(window, Tensor) else window


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype in {torch.float32, torch.float64} else tensor.float()
