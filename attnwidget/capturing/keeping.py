"""Keeping: calls and logits as they are kept, apart from the model that computed them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.calls import Call
from attnwidget.capturing.keep import Keep
from attnwidget.capturing.passes import Pass, is_pair
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.weighed import Weights

__all__ = ["Keeping", "generates"]


class Keeping:
    """Copies what is to be kept.

    Parameters
    ----------
    keep : Keep
        How much.
    roots : sequence of nn.Module
        The transformers models in the model that runs.
    """

    def __init__(self, keep: Keep, roots: Sequence[nn.Module]) -> None:
        self.keep, self.roots = keep, roots
        self.failure: Exception | None = None  # of what was asked for, for after the pass

    def kept(self, call: Call, current: Pass, *, main: bool) -> Call:
        """The call as it is kept: copied, since caches change in place, and with its own keys only where it goes on."""
        heads, probe = self._heads(call), call.probe
        if heads is not None and probe is not None:
            probe = replace(probe, total=probe.total[:, list(heads)])
        start, stop = 0, call.n_keys
        if current.continues and call.place.crossing:
            stop = 0  # the source has not changed
        elif current.continues and main:
            start, stop = call.front, call.front + call.n_queries
        if isinstance(call, Weights):
            weights = call.weights if heads is None else call.weights[:, list(heads)]
            seeing = call.seeing
            if heads is not None and seeing is not None and seeing.shape[1] > 1:
                seeing = seeing[:, list(heads)]
            return replace(
                call, weights=self._copy(weights.detach()), seeing=self._share_equal(seeing, current), heads=heads,
                probe=probe, value=self._values(call.value, slice(start, stop), heads, call.n_heads),
            )  # fmt: skip
        if not isinstance(call, Projections):
            raise TypeError(type(call).__name__)
        call = call.keys_between(start, stop)
        query, key = call.query.detach(), call.key.detach()
        mask, bias, sinks = call.mask, call.position_bias, call.sinks
        if heads is not None:
            groups = call.n_heads // key.shape[1]
            query = query[:, list(heads)]
            key = key[:, _groups_of(heads, groups)]
            mask = mask[:, list(heads)] if mask is not None and mask.shape[1] > 1 else mask
            bias = bias[:, list(heads)] if bias is not None and bias.shape[1] > 1 else bias
            sinks = None if sinks is None else sinks.flatten()[list(heads)]
        return replace(
            call,
            query=self._copy(query),
            key=self._copy(key),
            value=self._values(call.value, slice(0, call.n_keys), heads, call.n_heads),
            mask=self._share(mask, current),
            position_bias=self._share(bias, current),
            sinks=None if sinks is None else self._copy(sinks.detach()),
            heads=heads,
            probe=probe,
        )

    def _heads(self, call: Call) -> tuple[int, ...] | None:
        try:
            return self.keep.heads_of(call.place.layer, call.n_heads)
        except ValueError as error:  # raised when the pass is over
            self.failure = self.failure or error
            return None

    def _values(self, value: Tensor | None, keys: slice, heads: tuple[int, ...] | None, n_heads: int) -> Tensor | None:
        if value is None or not self.keep.values:
            return None
        value = value.detach()[:, :, keys]
        return self._copy(value if heads is None else value[:, _groups_of(heads, n_heads // value.shape[1])])

    def _copy(self, tensor: Tensor) -> Tensor:
        device = torch.device("cpu") if self.keep.offload else tensor.device
        return torch.empty(tensor.shape, dtype=tensor.dtype, device=device).copy_(tensor)

    def _share(self, term: Tensor | None, current: Pass) -> Tensor | None:
        """A mask or bias, by reference, so that layers that share it share what is kept."""
        if term is None:
            return None
        if id(term) not in current.shared:
            kept = term.detach()
            if kept.dtype == torch.bool:  # made anew in each layer, by modules that multiply by themselves
                known = (one for _, one in current.shared.values() if one.dtype == torch.bool)
                equal = (one for one in known if one.shape == kept.shape and torch.equal(one.to(kept.device), kept))
                kept = next(equal, kept)
            current.shared[id(term)] = term, kept.cpu() if self.keep.offload else kept
        return current.shared[id(term)][1]

    def _share_equal(self, seeing: Tensor | None, current: Pass) -> Tensor | None:
        """What may be seen, once for all layers in which it is the same."""
        if seeing is None:
            return None
        for call in reversed(current.calls):
            known = call.seeing if isinstance(call, Weights) else None
            if known is not None and known.shape == seeing.shape and torch.equal(known.to(seeing.device), seeing):
                return known
        return self._copy(seeing)

    def logits(self, module: nn.Module, ended: Pass, output: Any) -> Tensor | None:
        """The logits of a pass as they are kept; None where there are none, or none are wanted."""
        logits = getattr(output, "logits", None)
        if not isinstance(logits, Tensor) or self.keep.logits == "none":
            return None
        logits = logits.detach()
        predicts_next = any(map(generates, self.roots))
        last_only = self.keep.logits == "last" or (self.keep.logits == "auto" and predicts_next)
        if logits.ndim == 3 and last_only:
            ids = ended.inputs.get("decoder_attention_mask" if is_pair(module) else "attention_mask")
            last = torch.full((logits.shape[0],), logits.shape[1] - 1, device=logits.device)
            if isinstance(ids, Tensor) and ids.ndim == 2 and ids.shape == logits.shape[:2]:
                # The last real position of each text, whichever side the padding is on.
                last = (ids.to(logits.device).cumsum(-1) * ids.to(logits.device)).argmax(-1)
            logits = logits[torch.arange(len(last), device=logits.device), last][:, None]
        return self._copy(logits)


def generates(model: nn.Module) -> bool:
    """Whether a model predicts the next token."""
    can = getattr(model, "can_generate", None)
    return callable(can) and bool(can())


def _groups_of(heads: Sequence[int], size: int) -> list[int]:
    """Key-value heads of some heads: each once where they serve equally many, else one a head."""
    groups = [head // size for head in heads]
    counts = Counter(groups)
    return list(counts) if len(set(counts.values())) == 1 else groups
