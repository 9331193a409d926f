"""Capturing through transformers' own attention registry, and leaving the model as it was."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface, eager_mask, sdpa_mask

from attnwidget.capturing.changes import Change, changing
from attnwidget.capturing.keep import Keep
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.recorder import Hears, Recorder, active_recorder
from attnwidget.intake import AttentionWarning
from attnwidget.layers import blocks

__all__ = ["changed_by", "held", "of_this_thread", "switched", "switches", "transformers_in", "uncompiled"]

# A neutral name: "sdpa", "flash" or "flex_attention" inside it would start checks of support.
_NAME = "attnwidget_capture"
_MASKED_NAME = "attnwidget_capture_masked"

# Keywords that say nothing about the weights beyond what q, k, scaling and the mask say already.
_HARMLESS = frozenset(
    {
        "attention_mask",
        "cache",
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
    is_causal: bool | None = None,
    *,
    unmasked_is_causal: bool,
    **others: Any,
) -> tuple[Tensor, Tensor | None]:
    """The attention function that models call while they are recorded: attends, and keeps q and k."""
    scaling = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    # Models that pass their sinks under another name mean the same logits.
    sinks = s_aux if s_aux is not None else others.pop("sinks", None)
    recorder = active_recorder()
    with nullcontext() if recorder is None else recorder.silence():
        attention_mask = _with_chosen_keys(module, query, key, attention_mask, others)
        _warn_of_unknown(others)
        n_queries = query.shape[2]
        given = key
        causal = unmasked_is_causal and attention_mask is None and n_queries > 1
        causal = causal and (getattr(module, "is_causal", True) if is_causal is None else bool(is_causal))
        if causal and key.shape[2] > n_queries:  # an empty static cache: what follows the queries is no key yet
            key, value = key[:, :, :n_queries], value[:, :, :n_queries]
            position_bias = None if position_bias is None else position_bias[..., :n_queries]
        call = Projections(
            query=query, key=key, value=value, mask=attention_mask, scaling=scaling, position_bias=position_bias,
            softcap=softcap, sinks=sinks, dropout=dropout, causal=causal,
        )  # fmt: skip
        wants_weights = bool(others.get("output_attentions"))
        if softcap is None and sinks is None and not wants_weights:
            output, weights = _attend_plainly(call, value), None
        else:
            output, weights = _attend_by_blocks(call, value, wants_weights=wants_weights)
    if recorder is not None:
        heard: Projections | str = call
        if sinks is not None and sinks.numel() != query.shape[1]:
            heard = f"it has a sink of its own for every query, {list(sinks.shape)}, and maps hold one a head"
        output = recorder.attended(module, heard, output, query, given)
    return output, weights


def _attend_plainly(call: Projections, value: Tensor) -> Tensor:
    groups = call.query.shape[1] // call.key.shape[1]
    mask = call.mask
    if call.position_bias is not None:
        mask = call.terms(slice(0, call.query.shape[2])) + call.position_bias
    output = scaled_dot_product_attention(
        call.query,
        call.key.repeat_interleave(groups, 1) if groups > 1 else call.key,
        value.repeat_interleave(groups, 1) if groups > 1 else value,
        attn_mask=mask,
        dropout_p=call.dropout,
        is_causal=call.causal and mask is None,
        scale=call.scaling,
    )
    return output.transpose(1, 2).contiguous()


def _attend_by_blocks(call: Projections, value: Tensor, *, wants_weights: bool) -> tuple[Tensor, Tensor | None]:
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
        scores = scores + call.terms(rows)
        if call.sinks is not None:
            one_a_head = call.sinks.numel() == q.shape[1]
            sinks = call.sinks.reshape(1, -1, 1, 1) if one_a_head else call.sinks[:, :, rows]
            sinks = sinks.expand(*scores.shape[:-1], 1).to(scores)
            scores = torch.cat([scores, sinks], -1)
        p = scores.softmax(-1, dtype=torch.promote_types(q.dtype, torch.float32)).to(q.dtype)
        if call.sinks is not None:
            p = p[..., :-1]
        if wants_weights:
            weights.append(p)
        outputs.append(nn.functional.dropout(p, call.dropout, training=call.dropout > 0) @ value)
    output = torch.cat(outputs, 2).transpose(1, 2).contiguous()
    return output, torch.cat(weights, 2) if wants_weights else None


def _with_chosen_keys(
    module: nn.Module, query: Tensor, key: Tensor, mask: Tensor | None, others: dict[str, Any]
) -> Tensor | None:
    """The mask without the keys that an indexer left out: models do this themselves under "eager" and "sdpa" only."""
    chosen, blocks_chosen = others.pop("indices", None), others.pop("block_indices", None)
    n_queries, n_keys = query.shape[2], key.shape[2]
    if chosen is not None:
        seen = torch.zeros(*chosen.shape[:2], n_keys, dtype=torch.bool, device=key.device)
        seen = seen.scatter_(-1, chosen.long(), True)[:, None]
        if mask is None:
            return seen.tril(n_keys - n_queries)
        return mask & seen if mask.dtype == torch.bool else mask.masked_fill(~seen, torch.finfo(mask.dtype).min)
    if blocks_chosen is not None:
        positions = others.get("position_ids")
        if positions is None:
            positions = torch.arange(n_keys - n_queries, n_keys, device=key.device)
        positions = (positions if positions.ndim > 1 else positions[None]).expand(query.shape[0], -1)
        build: Any = module.indexer.build_block_mask  # type: ignore[union-attr]
        built: Tensor = build(blocks_chosen, mask, n_keys, query.dtype, query.device, positions)
        return built
    return mask


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


# Without a mask function of the same name the model passes no mask at all, and causality is silently gone.
# Where models know sdpa, a mask is only made where causality alone does not say it: n x n cells less.
AttentionInterface.register(_NAME, partial(_attend, unmasked_is_causal=True))
AttentionMaskInterface.register(_NAME, sdpa_mask)
# The others mean it when they pass no mask.
AttentionInterface.register(_MASKED_NAME, partial(_attend, unmasked_is_causal=False))
AttentionMaskInterface.register(_MASKED_NAME, eager_mask)


def switches(model: nn.Module) -> bool:
    """Whether the model takes its attention function from the registry."""
    can_set = getattr(model, "_can_set_attn_implementation", None)
    return isinstance(model, PreTrainedModel) and can_set is not None and bool(can_set())


def transformers_in(model: nn.Module) -> list[PreTrainedModel]:
    """The outermost transformers models inside a module: itself, or what a wrapper holds."""
    if isinstance(model, PreTrainedModel):
        return [model]
    return [found for child in model.children() for found in transformers_in(child)]


@dataclass
class _Original:
    """An attribute as it was before anybody captured, and how many captures hold it changed."""

    owner: Any
    name: str
    value: Any
    users: int = 0


class _Compiler:
    """How compiled modules run, as an attribute that can be changed and put back."""

    @property
    def stance(self) -> Any:
        from torch._dynamo import eval_frame  # torch sets its stance in public, and tells it nowhere else

        return eval_frame._stance  # noqa: SLF001

    @stance.setter
    def stance(self, value: Any) -> None:
        torch.compiler.set_stance(
            value.stance, skip_guard_eval_unsafe=value.skip_guard_eval_unsafe, force_backend=value.backend
        )

    def run_eagerly(self) -> None:
        torch.compiler.set_stance("force_eager")


_compiler = _Compiler()
_lock = threading.Lock()
# By owner and not by model: parts and wholes, and models built from one config, share what is changed.
_originals: dict[tuple[int, str], _Original] = {}


@contextmanager
def switched(model: nn.Module, recorder: Hears) -> Iterator[None]:
    """Hold a model in eval mode, with the attention function that the recorder needs; restore it in the end.

    The first to change something keeps what it was and the last to leave puts it back, in whatever order captures of
    one model, of its parts, and in several threads begin and end.
    """
    found = transformers_in(model)
    configs = [config for part in found for config in _configs(part)]
    changed: list[tuple[Any, str]] = [(config, "_attn_implementation_internal") for config in configs]
    # Every flag, not only those that are set: code inside the block may set others.
    changed += [(module, "training") for module in model.modules()]
    if "torch._dynamo" in sys.modules:  # else nothing can be compiled
        changed.append((_compiler, "stance"))
    with _lock:
        inside = {
            id(config): (config, config._attn_implementation)  # noqa: SLF001
            for config in configs
            if config._attn_implementation in {_NAME, _MASKED_NAME}  # noqa: SLF001
        }
        _hold(changed)
        try:
            for part in found:
                if not (switches(part) and _take_from_registry(part)):
                    # Falcon attends under sdpa with sdpa's boolean mask added to the scores as 0 and 1.
                    for config in _configs(part):
                        config._attn_implementation_internal = "eager"  # noqa: SLF001
            # Dropout would make the rows sum to anything.
            model.eval()
            if (_compiler, "stance") in changed:
                _compiler.run_eagerly()  # compiled code has no place to listen at
        except BaseException:
            _give_back(changed, inside)
            raise
    try:
        with recorder.listening():
            yield
    finally:
        with _lock:
            _give_back(changed, inside)


@contextmanager
def changed_by(model: nn.Module, change: Change, *, passed: Callable[[], None] | None = None) -> Iterator[Recorder]:
    """Hold a model with a change in force, and keep nothing of its passes.

    Parameters
    ----------
    model : nn.Module
        The model, in eval mode meanwhile.
    change : callable
        What becomes of its attention.
    passed : callable or None
        Called after every pass.
    """
    recorder = Recorder(model, transformers_in(model), Keep(frozenset(), logits="none"), passed=passed)
    with switched(model, recorder), changing(change):
        yield recorder


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run compiled modules as they were written: compiled code has no place to listen at, and none to change."""
    changed: list[tuple[Any, str]] = [(_compiler, "stance")] if "torch._dynamo" in sys.modules else []
    with held(changed):
        if changed:
            _compiler.run_eagerly()
        yield


@contextmanager
def held(attributes: list[tuple[Any, str]]) -> Iterator[None]:
    """Put attributes back, given as owners and names, once the last who holds them has left, in whatever thread."""
    with _lock:
        _hold(attributes)
    try:
        yield
    finally:
        with _lock:
            _give_back(attributes, {})


def of_this_thread(hook: Callable[..., Any]) -> Callable[..., Any]:
    """A hook that takes no notice of passes in other threads, whose results are somebody else's."""
    own = threading.get_ident()
    return lambda *given: hook(*given) if threading.get_ident() == own else None


def _hold(changed: list[tuple[Any, str]]) -> None:
    """Keep what attributes were before anybody changed them."""
    for owner, name in changed:
        key = (id(owner), name)
        _originals.setdefault(key, _Original(owner, name, getattr(owner, name))).users += 1


def _take_from_registry(part: PreTrainedModel) -> bool:
    """Make a model use the attention function of a capture; False where it does not do so."""
    parts = [module for module in part.modules() if isinstance(module, PreTrainedModel)]
    # A model that attends eagerly makes every mask, and a few attend to more where they make none.
    eager = getattr(part.config, "_attn_implementation", None) in {"eager", _MASKED_NAME}
    sdpa = not eager and all(getattr(module, "_supports_sdpa", False) for module in parts)
    wanted = _NAME if sdpa else _MASKED_NAME
    try:
        part.set_attn_implementation(wanted)
    except (ValueError, NotImplementedError, AttributeError, TypeError):
        return False  # its softmax will be heard
    return bool(part.config._attn_implementation == wanted)  # noqa: SLF001


def _give_back(changed: list[tuple[Any, str]], inside: dict[int, tuple[Any, str]]) -> None:
    for config, name in inside.values():
        config._attn_implementation_internal = name  # noqa: SLF001 - a capture around this one goes on
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
