"""Examples: texts, or inputs with labels, and what a model makes of them: one loss, or one distribution, an example."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, mse_loss

from attnwidget.capturing.inputs import as_inputs
from attnwidget.capturing.keeping import generates
from attnwidget.capturing.passes import is_pair
from attnwidget.capturing.registry import held, transformers_in, uncompiled

__all__ = [
    "IGNORED",
    "Batch",
    "batches",
    "evaluating",
    "frozen",
    "hits",
    "logits_of",
    "losses",
    "read_positions",
    "unlabelled",
]

IGNORED = -100  # of labels, as in torch

Batch = dict[str, Any]


def batches(model: nn.Module, data: Any, tokenizer: Any = None) -> Iterator[Batch]:
    """Arguments of the model's forward, batch by batch, with labels where there are any.

    Parameters
    ----------
    model : nn.Module
        The model.
    data : str, mapping, or iterable of them
        Texts; what a tokenizer or processor returned; pairs of inputs and labels; a DataLoader of any of these.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Needed for texts.

    Raises
    ------
    TypeError
        When data is something else.
    ValueError
        When there is no example, or a text is empty or too long.
    """
    some = False
    for given in [data] if isinstance(data, str | Mapping) else _iterable(data):
        inputs, labels = given if isinstance(given, tuple) and len(given) == 2 else _apart(given)
        positional, named = as_inputs(model, inputs, tokenizer)
        if positional:
            raise TypeError("examples of a module that is no transformers model come as mappings of its arguments.")
        if labels is not None:
            named["labels"] = torch.as_tensor(labels).reshape(-1) if not isinstance(labels, Tensor) else labels
        if isinstance(named.get("labels"), Tensor):
            named["labels"] = named["labels"].to(next(model.parameters()).device)
        some = True
        yield named
    if not some:
        raise ValueError("data is empty: give at least one example.")


def _apart(given: Any) -> tuple[Any, Any]:
    """Inputs, and labels of which each example has one: a mapping of a single text has one for each token instead."""
    if not isinstance(given, Mapping) or given.get("labels") is None:
        return given, None
    others = [value for name, value in given.items() if name != "labels" and hasattr(value, "ndim")]
    labels = torch.as_tensor(given["labels"])
    if labels.ndim > 1 or not others or others[0].ndim < 2:
        return given, None
    return {name: value for name, value in given.items() if name != "labels"}, labels


def _iterable(data: Any) -> Iterable[Any]:
    if not isinstance(data, Iterable) or isinstance(data, Tensor):
        raise TypeError(
            f"data is {type(data).__name__}; expected texts, inputs with labels, or a DataLoader of such batches."
        )
    return data


def unlabelled(model: nn.Module, batch: Batch) -> Batch:
    """What makes logits alone: no labels, but for a pair that needs them to have something to decode, and no cache."""
    decodes = "decoder_input_ids" not in batch and "labels" in batch and batch["labels"].ndim > 1
    plain = dict(batch) if decodes else {name: value for name, value in batch.items() if name != "labels"}
    if "use_cache" in inspect.signature(model.forward).parameters:
        plain.setdefault("use_cache", False)
    return plain


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Hold a model in eval mode and uncompiled, and leave every module as it was, whatever happens."""
    with held([(module, "training") for module in model.modules()]), uncompiled():
        model.eval()
        yield


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Hold a model in eval mode with no parameter that asks for a gradient, and leave all as it was."""
    parameters = list(model.parameters())
    with evaluating(model), held([(parameter, "requires_grad") for parameter in parameters]):
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield


def logits_of(output: Any) -> Tensor:
    """What a model says, before any softmax: [batch, classes] or [batch, tokens, words].

    Raises
    ------
    TypeError
        When it says nothing of that kind.
    """
    logits = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    if not isinstance(logits, Tensor):
        raise TypeError(
            f"the model returns {type(output).__name__} without logits; load it with the head whose output counts, as "
            "AutoModelForCausalLM."
        )
    return logits


def _next_words(model: nn.Module) -> bool:
    """Whether the logits of a position are about the token after it."""
    roots: list[nn.Module] = [*transformers_in(model)] or [model]
    return any(generates(root) and not is_pair(root) for root in roots)


def losses(model: nn.Module, batch: Batch, logits: Tensor) -> Tensor:
    """Loss of each example [batch]: of tokens their mean, of classes the cross-entropy, of numbers the squared error.

    Where an example may be of several classes at once it is the mean over classes of the binary cross-entropy.

    Raises
    ------
    ValueError
        When there are no labels, and the model predicts no next token; when an example has no token with a loss.
    """
    logits, labels = _against_labels(model, batch, logits)
    if labels.ndim == 2 and labels.is_floating_point() and labels.shape == logits.shape:
        numbers = getattr(getattr(model, "config", None), "problem_type", None) == "regression"
        if numbers or labels.shape[1] == 1:
            return mse_loss(logits, labels.to(logits), reduction="none").mean(1)
        return binary_cross_entropy_with_logits(logits, labels.to(logits), reduction="none").mean(1)
    if labels.ndim < 2:
        if _are_numbers(logits, labels):
            return mse_loss(logits.flatten(1).mean(1), labels.flatten().to(logits), reduction="none")
        return cross_entropy(logits, labels.flatten(), reduction="none")
    # One row after the other: with the words in the second axis a GPU takes ten times as long as for the whole pass.
    each = cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none")
    return _mean_of_told(each.view(labels.shape), labels)


def hits(model: nn.Module, batch: Batch, logits: Tensor) -> Tensor:
    """Share of right first choices of each example [batch]: of its tokens, or 0 or 1 of its class; NaN where unknown.

    Raises
    ------
    ValueError
        As `losses`; when labels are numbers, of which none is right or wrong.
    """
    logits, labels = _against_labels(model, batch, logits)
    if labels.is_floating_point() or (labels.ndim < 2 and _are_numbers(logits, labels)):
        raise ValueError("these labels are numbers, and no choice among classes is right or wrong; use metric='loss'.")
    labels = labels if labels.ndim > 1 else labels.flatten()
    right = (logits.argmax(-1) == labels).to(logits).masked_fill(logits.isnan().any(-1), torch.nan)
    return right if right.ndim < 2 else _mean_of_told(right.masked_fill(labels == IGNORED, 0), labels)


def _against_labels(model: nn.Module, batch: Batch, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, and the labels that each of them is held against."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    labels = batch.get("labels")
    shifts = _next_words(model)
    if labels is None and not shifts:
        raise ValueError(
            "these examples have no labels; give pairs (inputs, labels), or a mapping with 'labels'. A loss without "
            "them exists for models that predict the next token."
        )
    if labels is None:
        told = read_positions(batch, logits.shape[:2]).to(logits.device).clone()
        told[:, 1:] &= told[:, :-1].clone()  # nothing tells the first word behind padding
        labels = batch["input_ids"].masked_fill(~told, IGNORED)
    if shifts and labels.ndim > 1:
        return logits[:, :-1], labels[:, 1:]
    return logits, labels


def _are_numbers(logits: Tensor, labels: Tensor) -> bool:
    return labels.is_floating_point() or logits.shape[-1] == 1


def _mean_of_told(each: Tensor, labels: Tensor) -> Tensor:
    told = (labels != IGNORED).sum(1)
    if bool((told == 0).any()):
        raise ValueError(
            "an example has no token whose loss could be taken: it is one token long, or all its labels are left out. "
            "Leave it out of data."
        )
    mean: Tensor = each.sum(1) / told
    return mean


def read_positions(batch: Batch, shape: Sequence[int], *, decoded: bool = False) -> Tensor:
    """Which positions are no padding: bool [batch, tokens].

    Parameters
    ----------
    batch : mapping
        Arguments of a forward call.
    shape : sequence of int
        (batch, tokens) of what is asked about.
    decoded : bool
        Whether these are the positions of a pair's target.
    """
    mask = batch.get("decoder_attention_mask" if decoded else "attention_mask")
    if isinstance(mask, Tensor) and mask.shape == tuple(shape):
        return mask.bool()
    labels = batch.get("labels")
    if decoded and isinstance(labels, Tensor) and labels.shape == tuple(shape):
        return labels != IGNORED
    return torch.ones(tuple(shape), dtype=torch.bool)
