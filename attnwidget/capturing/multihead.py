"""Queries and keys of nn.MultiheadAttention, computed from its arguments and weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from attnwidget.capturing.qk import QK, Masks, additive, causal_mask

__all__ = ["Multihead"]


class Multihead:
    """Says what calls of nn.MultiheadAttention attend with.

    Keys that the module adds by itself come last: the learned one of ``add_bias_kv``, then the zeros of
    ``add_zero_attn``.
    """

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self.padded: int | None = None  # tokens of the batch that nn.TransformerEncoder packed into a nested tensor

    def __call__(  # noqa: PLR0917 - the arguments of nn.MultiheadAttention.forward, which come by place
        self,
        module: nn.MultiheadAttention,
        query: Tensor,
        key: Tensor,
        value: Tensor,  # noqa: ARG002
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,  # noqa: ARG002
        is_causal: bool = False,
    ) -> QK:
        """What a call with these arguments attends with."""
        lengths = None
        if query.is_nested:
            lengths = [len(tokens) for tokens in query.unbind()]
            query = key = _unpacked(query, max(self.padded or 0, *lengths))
        if query.ndim == 2:
            query, key = query[None], key[None]
            key_padding_mask = None if key_padding_mask is None else key_padding_mask[None]
        elif not module.batch_first:
            query, key = query.transpose(0, 1), key.transpose(0, 1)
        q, k = _projected(module, query, key)
        if module.bias_k is not None:
            k = torch.cat([k, module.bias_k.to(k).expand(len(k), 1, -1)], 1)
        q, k = (x.reshape(*x.shape[:2], module.num_heads, -1).transpose(1, 2) for x in (q, k))
        if module.add_zero_attn:
            k = pad(k, (0, 0, 0, 1))
        kind = (q.shape[:3], k.shape[2], q.dtype, q.device)
        said: QK = {"q": q, "k": k, "dropout": module.dropout if module.training else 0.0}
        if lengths is not None:
            said["mask"] = self._masks.shared(("packed", *lengths, *kind), lambda: _of_lengths(lengths, q))
        elif is_causal and key_padding_mask is None and not need_weights:
            # The module then goes by the hint and not by the mask; keys that it adds come after all queries.
            said["mask"] = self._masks.shared(
                ("causal", *kind), lambda: additive(causal_mask(q.shape[2], k.shape[2], q.device), q)
            )
        else:
            given = attn_mask, key_padding_mask
            said["mask"] = self._masks.shared(("merged", *kind), lambda: _merged(*given, q, k.shape[2]), *given)
        return said


def _projected(module: nn.MultiheadAttention, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    if module.in_proj_weight is None:
        of_q, of_k = module.q_proj_weight, module.k_proj_weight
    else:
        of_q, of_k, _ = module.in_proj_weight.chunk(3)
    to_q, to_k = (None, None) if module.in_proj_bias is None else module.in_proj_bias.chunk(3)[:2]
    return linear(query, of_q, to_q), linear(key, of_k, to_k)


def _merged(attn_mask: Tensor | None, padding: Tensor | None, q: Tensor, n_keys: int) -> Tensor | None:
    """Both masks as one additive mask [batch or 1, heads or 1, queries, keys]."""
    heads, n_queries = q.shape[1:3]
    terms = []
    if attn_mask is not None:
        terms.append(
            attn_mask.reshape(-1, heads, *attn_mask.shape[1:]) if attn_mask.ndim == 3 else attn_mask[None, None]
        )
    if padding is not None:
        terms.append(padding[:, None, None])
    # This module's bool masks are True where nothing may be seen, and what it adds to the keys is seen by all.
    numbers = [pad(additive(~t if t.dtype == torch.bool else t, q), (0, n_keys - t.shape[-1])) for t in terms]
    if not numbers:
        return None
    mask = numbers[0] if len(numbers) == 1 else numbers[0] + numbers[1]
    return mask.expand(*mask.shape[:2], n_queries, n_keys)


def _unpacked(nested: Tensor, length: int) -> Tensor:
    batch, width = nested.size(0), nested.size(2)
    padded: Tensor = torch.nested.to_padded_tensor(nested, 0.0, (batch, length, width))
    return padded


def _of_lengths(lengths: list[int], q: Tensor) -> Tensor:
    """Padding that a nested tensor left out attends to nothing, and nothing to it."""
    real = torch.arange(q.shape[2], device=q.device) < torch.tensor(lengths, device=q.device)[:, None]
    seen = real[:, None, :, None] & real[:, None, None, :]
    return torch.zeros(seen.shape, dtype=q.dtype, device=q.device).masked_fill_(~seen, -math.inf)
