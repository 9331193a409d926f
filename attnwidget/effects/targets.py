"""Targets: the token or the class whose logit is asked about, by its name or its number."""

from __future__ import annotations

from typing import Any

from torch import nn

from attnwidget.measures.arguments import whole

__all__ = ["class_name", "class_number", "token_name", "token_number"]


def token_number(token: Any, tokenizer: Any, size: int) -> int:
    """The id of a token given as text or id; ValueError where it is several tokens, or does not exist."""
    if isinstance(token, str):
        if tokenizer is None:
            raise ValueError(f"{token!r} is a text, and no tokenizer came; pass one, or the number of the token.")
        ids = tokenizer(token, add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            raise ValueError(
                f"{token!r} is {len(ids)} tokens of this tokenizer; give one that is one, with its space: ' {token}'."
            )
        if ids[0] == getattr(tokenizer, "unk_token_id", None) and token != getattr(tokenizer, "unk_token", None):
            raise ValueError(f"{token!r} is no token of this tokenizer, which reads it as {tokenizer.unk_token!r}.")
        return int(ids[0])
    number = whole("target", token)
    if not 0 <= number < size:
        raise ValueError(f"token {number} does not exist; there are 0 to {size - 1}.")
    return number


def token_name(number: int, tokenizer: Any) -> str:
    """The text of a token; its number where nobody knows it."""
    return str(number) if tokenizer is None else str(tokenizer.decode([number]))


def class_number(label: Any, model: nn.Module, size: int) -> int:
    """The number of a class given as its label or number; ValueError where there is no such."""
    names = getattr(getattr(model, "config", None), "id2label", None) or {}
    known = {str(name): int(one) for one, name in names.items()}
    if isinstance(label, str):
        if label not in known:
            raise ValueError(
                f"class {label!r} is not known; this model has {', '.join(map(repr, known)) or 'no names'}."
            )
        return known[label]
    number = whole("target", label)
    if not 0 <= number < size:
        raise ValueError(f"class {number} does not exist; there are 0 to {size - 1}.")
    return number


def class_name(number: int, model: nn.Module) -> str:
    """The label of a class; its number where it has none."""
    known = getattr(getattr(model, "config", None), "id2label", None) or {}
    return str(known.get(number, number))
