"""Capturing through transformers' own attention registry, and leaving the model as it was."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from attnwidget.capturing.recorder import Call, Recorder, active_recorder
from attnwidget.intake import AttentionWarning
from attnwidget.layers import blocks

__all__ = ["switched", "switches"]

# A neutral name: "sdpa", "flash" or "flex_attention" inside it would start checks of support.
_NAME = "attnwidget_capture"

# Keywords that say nothing about the weights beyond what q, k, scaling and the mask say already.
_HARMLESS = frozenset(
    {
        "attention_mask",
        "cache_position",
        "cross_attn_head_mask",
        "cu_seq_lens_k",
        "cu_seq_lens_q",
        "deterministic",
        "dropout",
        "encoder_attention_mask",
        "encoder_hidden_states",
        "head_mask",
        "input_ids",
        "inputs_embeds",
        "is_causal",
        "labels",
        "layer_idx",
        "local_rope_cos",
        "local_rope_sin",
        "logits_to_keep",
        "max_length_k",
        "max_length_q",
        "mm_token_type_ids",
        "num_items_in_batch",
        "output_attentions",
        "output_hidden_states",
        "output_router_logits",
        "past_key_value",
        "past_key_values",
        "position_embeddings",
        "position_ids",
        "return_dict",
        "seq_idx",
        "sliding_window",
        "token_type_ids",
        "training",
        "use_cache",
    }
)
_warned_of: set[str] = set()


def _attend(  # noqa: PLR0917
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    position_bias: Tensor | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **others: Any,
) -> tuple[Tensor, Tensor | None]:
    """The attention function that models call while they are recorded: attends, and keeps q and k."""
    scaling = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    # Models that pass their sinks under another name mean the same logits.
    sinks = s_aux if s_aux is not None else others.pop("sinks", None)
    _warn_of_unknown(others)
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        attention_mask = torch.zeros_like(attention_mask, dtype=query.dtype).masked_fill(~attention_mask, -torch.inf)
    call = Call(query, key, attention_mask, scaling, position_bias, softcap, sinks, dropout)
    recorder = active_recorder()
    if recorder is not None:
        recorder.record(module, call)
    wants_weights = bool(others.get("output_attentions"))
    if softcap is None and sinks is None and not wants_weights:
        return _attend_plainly(call, value, dropout), None
    return _attend_by_blocks(call, value, dropout, wants_weights=wants_weights)


def _attend_plainly(call: Call, value: Tensor, dropout: float) -> Tensor:
    groups = call.query.shape[1] // call.key.shape[1]
    mask = call.mask
    if call.position_bias is not None:
        mask = call.position_bias if mask is None else mask + call.position_bias
    output = scaled_dot_product_attention(
        call.query,
        call.key.repeat_interleave(groups, 1) if groups > 1 else call.key,
        value.repeat_interleave(groups, 1) if groups > 1 else value,
        attn_mask=mask,
        dropout_p=dropout,
        scale=call.scaling,
    )
    return output.transpose(1, 2).contiguous()


def _attend_by_blocks(
    call: Call, value: Tensor, dropout: float, *, wants_weights: bool
) -> tuple[Tensor, Tensor | None]:
    """Attention with a soft cap or sinks, which sdpa does not know, over blocks of rows."""
    q, k = call.query, call.key
    groups = q.shape[1] // k.shape[1]
    k, value = k.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    outputs, weights = [], []
    for rows in blocks(q.shape[2], q.shape[0] * q.shape[1] * k.shape[2]):
        scores = q[:, :, rows] @ k.transpose(-1, -2) * call.scaling
        if call.position_bias is not None:
            scores = scores + call.position_bias[:, :, rows]
        if call.softcap is not None:
            scores = torch.tanh(scores / call.softcap) * call.softcap
        if call.mask is not None:
            scores = scores + call.mask[:, :, rows]
        if call.sinks is not None:
            sinks = call.sinks.reshape(1, -1, 1, 1).expand(*scores.shape[:-1], 1).to(scores)
            scores = torch.cat([scores, sinks], -1)
        p = scores.softmax(-1, dtype=torch.float32).to(q.dtype)
        if call.sinks is not None:
            p = p[..., :-1]
        if wants_weights:
            weights.append(p)
        outputs.append(nn.functional.dropout(p, dropout, training=dropout > 0) @ value)
    output = torch.cat(outputs, 2).transpose(1, 2).contiguous()
    return output, torch.cat(weights, 2) if wants_weights else None


def _warn_of_unknown(others: dict[str, Any]) -> None:
    for name, value in others.items():
        if value is None or name in _HARMLESS or name in _warned_of:
            continue
        _warned_of.add(name)
        warnings.warn(
            f"this model gives its attention function the argument {name!r}, which attnwidget does not know; if it "
            "changes the weights, the captured maps miss that change. Compare with attn_implementation='eager'.",
            AttentionWarning,
            stacklevel=2,
        )


AttentionInterface.register(_NAME, _attend)
# Without a mask function of the same name the model passes no mask at all, and causality is silently gone.
AttentionMaskInterface.register(_NAME, eager_mask)


def switches(model: nn.Module) -> bool:
    """Whether the model takes its attention function from the registry."""
    can_set = getattr(model, "_can_set_attn_implementation", None)
    return isinstance(model, PreTrainedModel) and can_set is not None and bool(can_set())


@dataclass
class _Original:
    """An attribute as it was before anybody captured, and how many captures hold it changed."""

    owner: Any
    name: str
    value: Any
    users: int = 0


_lock = threading.Lock()
# By owner and not by model: parts and wholes, and models built from one config, share what is changed.
_originals: dict[tuple[int, str], _Original] = {}


@contextmanager
def switched(model: PreTrainedModel, recorder: Recorder) -> Iterator[None]:
    """Hold a model in eval mode, with the attention function that the recorder needs; restore it in the end.

    The first to change something keeps what it was and the last to leave puts it back, in whatever order captures of
    one model, of its parts, and in several threads begin and end.
    """
    implementation = "eager" if recorder.matrices else _NAME
    changed = [(config, "_attn_implementation_internal") for config in _configs(model)]
    # Every flag, not only those that are set: code inside the block may set others.
    changed += [(module, "training") for module in model.modules()]
    with _lock:
        inside = [config for config in _configs(model) if config._attn_implementation == _NAME]  # noqa: SLF001
        for owner, name in changed:
            key = (id(owner), name)
            _originals.setdefault(key, _Original(owner, name, getattr(owner, name))).users += 1
        try:
            if switches(model):
                _set_implementation(model, implementation)
            # Dropout would make the rows sum to anything.
            model.eval()  # type: ignore[no-untyped-call]
        except BaseException:
            _give_back(changed, inside)
            raise
    try:
        with recorder.listening():
            yield
    finally:
        with _lock:
            _give_back(changed, inside)


def _give_back(changed: list[tuple[Any, str]], inside: list[Any]) -> None:
    for config in inside:
        config._attn_implementation_internal = _NAME  # noqa: SLF001 - a capture around this one goes on
    for owner, name in changed:
        original = _originals[id(owner), name]
        original.users -= 1
        if original.users == 0:
            setattr(owner, name, original.value)
            del _originals[id(owner), name]


def _configs(model: nn.Module) -> list[Any]:
    """Configs of a model, of its parts, and the sub-configs that no part claims."""
    found = {id(m.config): m.config for m in model.modules() if isinstance(m, PreTrainedModel)}
    for config in list(found.values()):
        for name in getattr(config, "sub_configs", {}):
            sub = getattr(config, name, None)
            if sub is not None:
                found[id(sub)] = sub
    return list(found.values())


def _set_implementation(model: PreTrainedModel, implementation: str) -> None:
    model.set_attn_implementation(implementation)
    came = model.config._attn_implementation  # noqa: SLF001
    if came != implementation:
        raise RuntimeError(
            f"{type(model).__name__} kept attn_implementation={came!r} although it was asked to change it. "
            "Load it with attn_implementation='eager' and pass outputs.attentions to AttentionMaps.from_arrays."
        )
