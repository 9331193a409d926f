"""What goes into a model: its name or the model itself, a text or the inputs themselves."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from attnwidget.capturing.registry import switches, transformers_in
from attnwidget.capturing.transformers_names import cache_among, cache_by_its_name, shares_keys
from attnwidget.intake import AttentionWarning

__all__ = ["as_inputs", "lacks_target", "last_logits_will_do", "load_model", "longest"]

_TOKENWISE = ("input_ids", "attention_mask", "token_type_ids", "position_ids", "labels")
_LOADERS = ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "AutoModelForMaskedLM", "AutoModel")


def load_model(model: Any, tokenizer: Any = None, **options: Any) -> tuple[nn.Module, Any]:
    """Model and tokenizer, from the model itself, its name, or the folder it was saved to.

    Parameters
    ----------
    model : nn.Module, str or Path
        A transformers model, a name on the hub, or a folder written by save_pretrained.
    tokenizer : transformers.PreTrainedTokenizerBase, str, Path or None
        The tokenizer, its name or folder; None looks beside the model.
    **options
        How from_pretrained loads a model that is given by name: ``dtype``, ``device_map``, ``trust_remote_code``.

    Returns
    -------
    tuple of nn.Module and tokenizer
        The model in eval mode if it was loaded here. The tokenizer is None where there is none.

    Raises
    ------
    TypeError
        When model is something else.
    ValueError
        When the name cannot be loaded; the message says how to pass a local folder.
    """
    if not isinstance(model, (str, Path, nn.Module)):
        raise TypeError(
            f"model is {type(model).__name__}; expected a transformers model, its name, or the folder it was saved to."
        )
    place = tokenizer if isinstance(tokenizer, (str, Path)) else None
    if isinstance(model, (str, Path)):
        place, model = place or model, _load(model, options)
        if tokenizer is None:
            tokenizer = _load_tokenizer(place, options, required=False)
    if isinstance(tokenizer, (str, Path)):
        tokenizer = _load_tokenizer(tokenizer, options, required=True)
    return model, tokenizer


def _load(name: str | Path, options: Mapping[str, Any]) -> nn.Module:
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(name, **_trust(options))
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(_cannot_load("model", name, error)) from error
    built_as = set(getattr(config, "architectures", None) or ())
    brought = set(getattr(config, "auto_map", None) or ()) if options.get("trust_remote_code") else set()
    for loader in (getattr(transformers, loader) for loader in _LOADERS):
        # Take the class the weights were saved with, so that nothing is newly initialised.
        mapped = loader._model_mapping.get(type(config), None)  # noqa: SLF001
        classes = mapped if isinstance(mapped, (tuple, list)) else [mapped]
        known = bool(built_as & {c.__name__ for c in classes if c is not None})
        if loader is transformers.AutoModel or known or loader.__name__ in brought:
            try:
                model, found = loader.from_pretrained(name, output_loading_info=True, **options)
                _tell_missing(name, found["missing_keys"])
                return model.eval()  # type: ignore[no-any-return]
            except (OSError, ValueError, RuntimeError) as error:
                raise ValueError(_cannot_load("model", name, error)) from error
    raise AssertionError("AutoModel is the last loader")


def _tell_missing(name: str | Path, missing: Iterable[str]) -> None:
    """Warn of weights that nobody trained."""
    names = sorted(missing)
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        warnings.warn(
            f"{str(name)!r} lacks weights of the model, which are random instead: {', '.join(names[:3])}{more}.",
            AttentionWarning,
            stacklevel=5,
        )


def _trust(options: Mapping[str, Any]) -> dict[str, Any]:
    """What configurations and tokenizers are told of the options of a model."""
    return {name: value for name, value in options.items() if name == "trust_remote_code"}


def _load_tokenizer(name: str | Path, options: Mapping[str, Any], *, required: bool) -> Any:
    import transformers

    try:
        return transformers.AutoTokenizer.from_pretrained(name, **_trust(options))
    except Exception as error:  # tokenizers fail in many ways, and none is fatal if nobody asked for one
        if required:
            raise ValueError(_cannot_load("tokenizer", name, error)) from error
        return None


def _cannot_load(what: str, name: str | Path, error: Exception) -> str:
    if "trust_remote_code" in str(error):
        return f"the {what} {str(name)!r} brings code of its own, which runs only where trust_remote_code says so."
    if Path(name).is_dir():
        held = sorted(p.name for p in Path(name).iterdir())[:6]
        return (
            f"no {what} can be loaded from the folder {str(name)!r}, which holds {', '.join(held) or 'nothing'}; "
            "expected what save_pretrained writes: config.json, model.safetensors, tokenizer.json. transformers says: "
            + (str(error).strip().partition("\n")[0] or type(error).__name__)
        )
    return (
        f"the {what} {str(name)!r} cannot be loaded: it is no folder here, and the hub does not give it (no network, "
        "no such name, or no permission). On a machine that has it, call model.save_pretrained('my-model') and "
        "tokenizer.save_pretrained('my-model'), copy the folder, and pass its path: model='my-model'."
    )


def as_inputs(
    model: nn.Module, inputs: Any, tokenizer: Any, *, generating: bool = False
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of a forward call, on the model's device.

    Parameters
    ----------
    model : nn.Module
        The model they go into.
    inputs : str, list of str, mapping, tuple, or Tensor
        A text, several texts, what a tokenizer or processor returned, token ids [batch, tokens] or [tokens]; for
        modules that are no transformers model the arguments themselves.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Needed for text.
    generating : bool
        Whether the model is going to make its own target.

    Returns
    -------
    tuple of tuple and dict
        Positional and named arguments.

    Raises
    ------
    TypeError
        When inputs is something else.
    ValueError
        When a text is empty, when a tokenizer is missing, or when the text is longer than the model allows.
    """
    device, dtype = _device(model), getattr(model, "dtype", None)
    reads_ids = "input_ids" in inspect.signature(model.forward).parameters or bool(
        {"args", "kwargs"} & set(inspect.signature(model.forward).parameters)
    )
    if not isinstance(model, PreTrainedModel) and (
        isinstance(inputs, tuple) or (isinstance(inputs, Tensor) and not (reads_ids and _are_ids(inputs)))
    ):
        given = inputs if isinstance(inputs, tuple) else (inputs,)
        return tuple(_moved(value, device, _own_dtype(model)) for value in given), {}
    if isinstance(inputs, str) or (isinstance(inputs, (list, tuple)) and inputs and isinstance(inputs[0], str)):
        arguments = _tokenize(inputs, tokenizer)
    elif isinstance(inputs, Mapping):
        arguments = dict(inputs)
    elif _are_ids(inputs):
        arguments = {"input_ids": inputs}
    else:
        main = str(getattr(model, "main_input_name", "input_ids"))
        if isinstance(inputs, Tensor) and inputs.is_floating_point() and main != "input_ids":
            raise TypeError(
                f"inputs is {_describe(inputs)}, and which of the inputs of {type(model).__name__} it is was not said; "
                f"its main one is {main}: pass {{{main!r}: tensor}}, or what the processor returned."
            )
        raise TypeError(
            f"inputs is {_describe(inputs)}; expected a text, a list of texts, what the tokenizer returned "
            "(tokenizer(text, return_tensors='pt')), or a tensor of token ids."
        )
    arguments = {name: _as_batch(name, value) for name, value in arguments.items()}
    arguments = cache_by_its_name(arguments, inspect.signature(model.forward).parameters)
    for name in ("input_ids", "decoder_input_ids"):
        if isinstance(arguments.get(name), Tensor):
            _check_ids(model, name, arguments[name])
    if not generating and cache_among(arguments) is None and _needs_no_cache(model):
        arguments.setdefault("use_cache", False)  # as large as q and k, and nobody would read it
    return (), {name: _moved(value, device, dtype) for name, value in arguments.items()}


def _needs_no_cache(model: nn.Module) -> bool:
    """Whether a single pass attends to the same without a cache.

    It does where the registry's function is given what a fresh cache gives back: the keys themselves. Code of a model's
    own may mask by whether there will be a next step, and layers that share keys find them in the cache.
    """
    roots = transformers_in(model)
    knows = "use_cache" in inspect.signature(model.forward).parameters
    return knows and bool(roots) and all(map(switches, roots)) and not shares_keys(model)


def last_logits_will_do(named: Mapping[str, Any]) -> bool:
    """Whether the logits of the last position alone are those of the last token, which is no padding."""
    if "labels" in named:
        return False
    real = named.get("attention_mask")
    return not isinstance(real, Tensor) or (real.ndim == 2 and bool(real[:, -1].all()))


def _are_ids(inputs: Any) -> bool:
    return isinstance(inputs, Tensor) and not inputs.is_floating_point() and inputs.ndim in {1, 2}


def _own_dtype(model: nn.Module) -> torch.dtype | None:
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), None)


def _moved(value: Any, device: torch.device, dtype: Any) -> Any:
    """A tensor where the model is, pictures and sound in the precision it computes in."""
    if not isinstance(value, Tensor):
        return copy.deepcopy(value) if hasattr(value, "get_seq_length") else value  # a cache would grow
    if value.is_floating_point() and isinstance(dtype, torch.dtype) and dtype.is_floating_point:
        return value.to(device, dtype)
    return value.to(device)


def _check_ids(model: nn.Module, name: str, ids: Tensor) -> None:
    if ids.ndim != 2:
        raise ValueError(f"{name} has shape {list(ids.shape)}; expected [batch, tokens].")
    if ids.numel() == 0:
        raise ValueError("the text is empty: there is no token to look at. Give at least one word.")
    table = None
    with suppress(NotImplementedError):  # models of several parts have no one table
        table = model.get_input_embeddings() if isinstance(model, PreTrainedModel) else None
    known = getattr(table, "num_embeddings", None)
    if isinstance(known, int) and int(ids.max()) >= known:
        raise ValueError(
            f"{name} holds the id {int(ids.max())} and the model knows ids 0 to {known - 1}: these ids are of another "
            "model's tokenizer."
        )
    _check_length(model, ids.shape[1], decoder=name.startswith("decoder"))


def lacks_target(model: nn.Module, arguments: Mapping[str, Any]) -> str:
    """What to say when a model that reads a source and a target has failed, and was given no target; or nothing."""
    given = {"decoder_input_ids", "decoder_inputs_embeds", "labels"} & set(arguments)
    if given or "decoder_input_ids" not in inspect.signature(model.forward).parameters:
        return ""
    return (
        f"{type(model).__name__} reads a source and a target, and no target came: add decoder_input_ids, or "
        "labels, to the inputs, for example labels=tokenizer(target, return_tensors='pt')['input_ids']."
    )


def _tokenize(text: Any, tokenizer: Any) -> dict[str, Any]:
    if tokenizer is None:
        raise ValueError(
            "inputs is text and no tokenizer came with it; pass tokenizer=, or token ids: tokenizer(text, "
            "return_tensors='pt')."
        )
    texts = [text] if isinstance(text, str) else list(text)
    for i, one in enumerate(texts):
        if not isinstance(one, str):
            raise TypeError(f"inputs[{i}] is {_describe(one)}; expected text.")
        if not one.strip():
            raise ValueError("the text is empty: there is no token to look at. Give at least one word.")
    several = len(texts) > 1
    if several and tokenizer.pad_token is None:
        raise ValueError(
            "several texts need padding and this tokenizer has no pad token; set tokenizer.pad_token = "
            "tokenizer.eos_token, or capture one text at a time."
        )
    return dict(tokenizer(texts, return_tensors="pt", padding=several))


def _as_batch(name: str, value: Any) -> Any:
    """Arrays and lists, as a tokenizer returns them, become tensors, and one row a batch of one."""
    if isinstance(value, np.ndarray) or (isinstance(value, (list, tuple)) and name.endswith(_TOKENWISE)):
        try:
            value = torch.as_tensor(value)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{name} holds lists of different length; pass padding=True and return_tensors='pt' to the tokenizer."
            ) from error
    if isinstance(value, Tensor) and value.ndim == 1 and name.endswith(_TOKENWISE):
        return value[None]
    return value


def longest(model: nn.Module, *, decoder: bool = False) -> tuple[int, bool] | None:
    """How many tokens a model reads, and whether it cannot read more; None where it does not say."""
    limit = getattr(getattr(model, "config", None), "max_target_positions" if decoder else "max_position_embeddings", 0)
    if not isinstance(limit, int) or limit <= 0:
        return None
    if decoder:
        return limit, True
    tables = [m for n, m in model.named_modules() if isinstance(m, nn.Embedding) and "pos" in n.split(".")[-1]]
    tables += [m for n, m in model.named_modules() if isinstance(m, nn.Embedding) and n.split(".")[-1] == "wpe"]
    if not tables:
        return limit, False
    # Some families keep the first rows of their position table for padding.
    table = tables[0]
    reserved = getattr(table, "offset", None) or (0 if table.padding_idx is None else table.padding_idx + 1)
    return min(limit, table.num_embeddings - reserved), True


def _check_length(model: nn.Module, length: int, *, decoder: bool) -> None:
    known = longest(model, decoder=decoder)
    if known is None or length <= known[0]:
        return
    limit, at_most = known
    if decoder:
        raise ValueError(f"decoder_input_ids are {length} tokens long and the decoder has positions for {limit}.")
    if at_most:
        raise ValueError(
            f"the text is {length} tokens long and the model has positions for {limit}. Shorten it, or cut it: "
            f"tokenizer(text, return_tensors='pt', truncation=True, max_length={limit})."
        )
    warnings.warn(
        f"the text is {length} tokens long and the model was made for {limit}: beyond that its attention may be "
        "meaningless.",
        AttentionWarning,
        stacklevel=4,
    )


def _device(model: nn.Module) -> torch.device:
    # Weights that accelerate keeps elsewhere come to this device when they are needed.
    hooks = (getattr(module, "_hf_hook", None) for module in model.modules())
    places = (getattr(hook, "execution_device", None) for hook in hooks)
    device = next((torch.device(place) for place in places if place is not None), getattr(model, "device", None))
    if not isinstance(device, torch.device):
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
    if device.type == "meta":
        raise ValueError(
            "the model is on the meta device: it has shapes and no weights, so it computes nothing. Load it with "
            "from_pretrained, or move it with model.to_empty(device='cpu') and load weights."
        )
    return device


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of {value.dtype} {list(value.shape)}"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}" + (f" {type(value[0]).__name__}" if value else "")
    return type(value).__name__
