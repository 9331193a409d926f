"""What is read from transformers by name, and since which release; everything else goes by what it does.

=====================================  ==========================================================================
name                                   releases
=====================================  ==========================================================================
``AttentionInterface``                 4.48 on; its functions get (module, q, k, v, mask, scaling=, dropout=, ...)
``AttentionMaskInterface``             4.53 on; with ``sdpa_mask`` and ``eager_mask``
``_attn_implementation_internal``      4.50 on, where a config keeps the name of its attention function
``_can_set_attn_implementation``       4.56 on, whether a model takes its attention from the registry
``past_key_values=``, then ``cache=``  the cache in forward: until 5.23, and from 5.24 on
``logits_to_keep=``                    4.50 on, for how many positions forward computes logits
``get_output_embeddings``              all, the module that makes logits of hidden states
``num_kv_shared_layers``               4.53 on, layers that look at keys of other layers, which they find in the cache
``is_encoder_decoder``                 all, used for names alone
``main_input_name``                    all, used for words of advice
``encoder_outputs``, ``mm_...``        all, and 5.24 on: what generate() has computed before the first step
``image_token_id``, ``video_...``      all (``_index`` until 4.50): the ids that stand for patches in a text
``image_grid_thw``, ``video_...``      4.45 on: the processor's own grid of each picture; ``spatial_merge_size``
``pixel_values``, ``patch_size``       all: what patches show; ``num_register_tokens``, ``num_detection_tokens``
``model_type``, ``image_sizes``        all: in which order a family turns patches into tokens, with the factors by which
                                       it merges them (`layouts`)
``attention_mask`` and its kin         all: what a tokenizer calls padding, believed where attention agrees
=====================================  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

__all__ = ["cache_among", "cache_by_its_name", "length_of", "logits_of", "shares_keys"]

_CACHE = ("cache", "past_key_values")  # the newest first


def cache_among(held: Any) -> Any:
    """The cache among the arguments or outputs of a forward call: whatever can tell its length; None without one."""
    values: Iterable[Any] = ()
    if isinstance(held, Mapping):
        values = held.values()  # an output's attributes may warn that they have a new name
    elif isinstance(held, (tuple, list)):
        values = held
    return next((value for value in values if callable(getattr(type(value), "get_seq_length", None))), None)


def length_of(cache: Any) -> int:
    """Tokens in a cache, as it tells; 0 where it cannot."""
    try:
        return int(cache.get_seq_length())
    except (TypeError, ValueError, AttributeError, IndexError, RuntimeError):
        return 0


def cache_by_its_name(arguments: dict[str, Any], parameters: Iterable[str]) -> dict[str, Any]:
    """Arguments in which a cache has the name that forward knows it by, so that no release warns of another's."""
    known = next((name for name in _CACHE if name in set(parameters)), None)
    given = next((name for name in _CACHE if name in arguments), None)
    if known is None or given is None or known == given or known in arguments:
        return arguments
    return {known if name == given else name: value for name, value in arguments.items()}


def shares_keys(model: nn.Module) -> bool:
    """Whether some layers look at the keys of others, which they may find in the cache alone."""
    configs = [config for module in model.modules() if (config := getattr(module, "config", None)) is not None]
    return any(getattr(config, "num_kv_shared_layers", 0) for config in configs)


def logits_of(model: nn.Module) -> nn.Module | None:
    """The module that makes logits of hidden states; None where there is none, or none that is known."""
    try:
        head = model.get_output_embeddings()  # type: ignore[operator]
    except (AttributeError, NotImplementedError, TypeError):
        return None
    return head if isinstance(head, nn.Module) else None
