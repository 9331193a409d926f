"""Targets: a token by its text or its id, and what a number is called."""

from __future__ import annotations

from typing import Any

from attnwidget.measures.arguments import whole

__all__ = ["name_of", "token_of"]


def token_of(token: Any, tokenizer: Any, size: int) -> int:
    """The id of a token that is named by its text or by its id, of a vocabulary.

    Raises
    ------
    ValueError
        When a text is no token, or several, or comes without a tokenizer; when there is no such id.
    """
    if isinstance(token, str):
        if tokenizer is None:
            raise ValueError(f"{token!r} is a text, and no tokenizer came; pass one, or the number of the token.")
        ids = tokenizer(token, add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            raise ValueError(
                f"{token!r} is {len(ids)} tokens of this tokenizer; give one that is one, with its space: ' {token}'."
            )
        return int(ids[0])
    number = whole("target", token)
    if not 0 <= number < size:
        raise ValueError(f"token {number} does not exist; there are 0 to {size - 1}.")
    return number


def name_of(number: int, tokenizer: Any) -> str:
    """What a token is called: its text, or its id where there is no tokenizer."""
    return str(number) if tokenizer is None else str(tokenizer.decode([number]))
