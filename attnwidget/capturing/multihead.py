"""Queries and keys of torch's multi_head_attention_forward, computed from its arguments and weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, multi_head_attention_forward, pad

from attnwidget.capturing.attending import put_out
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.qk import QK, Masks, additive, causal_mask

__all__ = ["heads_of_multihead", "of_multihead", "of_packed", "projected"]


def of_multihead(given: Mapping[str, Any], masks: Masks) -> QK:
    """What a call of torch's multi_head_attention_forward attends with, by its arguments.

    Keys that it adds by itself come last: the learned one of ``add_bias_kv``, then the zeros of ``add_zero_attn``.
    """
    query, key, value = (given[name] for name in ("query", "key", "value"))
    padding, attn_mask = given["key_padding_mask"], given["attn_mask"]
    if query.ndim == 2:
        query, key, value = query[:, None], key[:, None], value[:, None]
        padding = None if padding is None else padding[None]
    heads = given["num_heads"]
    if given["use_separate_proj_weight"]:
        of_q, of_k, of_v = given["q_proj_weight"], given["k_proj_weight"], given["v_proj_weight"]
    else:
        of_q, of_k, of_v = given["in_proj_weight"].chunk(3)
    bias = given["in_proj_bias"]
    to_q, to_k, to_v = (None, None, None) if bias is None else bias.chunk(3)
    q, k, v = linear(query, of_q, to_q), linear(key, of_k, to_k), linear(value, of_v, to_v)
    if given["bias_k"] is not None:
        k = torch.cat([k, given["bias_k"].to(k).expand(1, k.shape[1], -1)])
        v = torch.cat([v, given["bias_v"].to(v).expand(1, v.shape[1], -1)])
    q, k, v = (x.reshape(*x.shape[:2], heads, -1).permute(1, 2, 0, 3) for x in (q, k, v))
    if given["add_zero_attn"]:
        k, v = pad(k, (0, 0, 0, 1)), pad(v, (0, 0, 0, 1))
    kind = (q.shape[:3], k.shape[2], q.dtype, q.device)
    said: QK = {"q": q, "k": k, "v": v, "dropout": given["dropout_p"] if given["training"] else 0.0}
    if given["is_causal"] and padding is None and not given["need_weights"]:
        # It then goes by the hint and not by the mask; keys that it adds come after all queries.
        said["mask"] = masks.shared(
            ("causal", *kind), lambda: additive(causal_mask(q.shape[2], k.shape[2], q.device), q)
        )
    else:
        said["mask"] = masks.shared(
            ("merged", *kind), lambda: _merged(attn_mask, padding, q, k.shape[2]), attn_mask, padding
        )
    return said


def heads_of_multihead(given: Mapping[str, Any], call: Projections, output: Any) -> Tensor | None:
    """What the heads of such a call put out before it projects them, [batch, heads, queries, width].

    None where that, projected, is not what the call gave.
    """
    heads = put_out(call, range(call.n_heads)).to(call.query.dtype)
    made, was = projected(given, heads), output if isinstance(output, Tensor) else output[0]
    bound = max(1e-4, 16 * torch.finfo(was.dtype).eps)
    with torch.no_grad():
        same = torch.allclose(made, was, rtol=bound, atol=bound * float(was.detach().abs().max()))
    return heads if same else None


def projected(given: Mapping[str, Any], heads: Tensor) -> Tensor:
    """What such a call gives of what its heads put out."""
    together = heads.permute(2, 0, 1, 3).flatten(2)  # [queries, batch, width]
    made = linear(together, given["out_proj_weight"], given["out_proj_bias"])
    return made[:, 0] if given["query"].ndim == 2 else made


def of_packed(  # noqa: PLR0917 - the arguments of nn.MultiheadAttention, which come by place
    module: nn.MultiheadAttention, length: int, masks: Masks, query: Tensor, key: Tensor, value: Tensor, **given: Any
) -> QK:
    """What a call of nn.MultiheadAttention attends with; in a packed batch, padding sees and is seen by none."""
    lengths = None
    if query.is_nested:
        lengths = [len(tokens) for tokens in query.unbind()]
        batch, width = query.size(0), query.size(2)
        query = key = value = torch.nested.to_padded_tensor(query, 0.0, (batch, max(length, *lengths), width))
    if module.batch_first:
        query, key, value = query.transpose(0, 1), key.transpose(0, 1), value.transpose(0, 1)
    names = inspect.signature(multi_head_attention_forward).parameters
    defaults = {name: one.default for name, one in names.items() if one.default is not inspect.Parameter.empty}
    whole = defaults | {
        "query": query, "key": key, "value": value, "num_heads": module.num_heads,
        "in_proj_weight": module.in_proj_weight, "in_proj_bias": module.in_proj_bias, "bias_k": module.bias_k,
        "add_zero_attn": module.add_zero_attn, "dropout_p": module.dropout, "training": module.training,
        "use_separate_proj_weight": module.in_proj_weight is None, "q_proj_weight": module.q_proj_weight,
        "k_proj_weight": module.k_proj_weight, "v_proj_weight": module.v_proj_weight, "bias_v": module.bias_v,
    } | given  # fmt: skip
    said = of_multihead(whole, masks)
    if lengths is not None:
        q = said["q"]
        said["mask"] = masks.shared(("packed", *lengths, q.shape[2]), lambda: _of_lengths(lengths, q))
    return said


def _of_lengths(lengths: list[int], q: Tensor) -> Tensor:
    """Padding that a nested tensor left out attends to nothing, and nothing to it."""
    real = torch.arange(q.shape[2], device=q.device) < torch.tensor(lengths, device=q.device)[:, None]
    return real[:, None, :, None] & real[:, None, None, :]


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
