"""Reading: one text, read by one model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from attnwidget import demo
from attnwidget.commands.models import Loading, inputs_of, target_named
from attnwidget.commands.running import tell, watched

if TYPE_CHECKING:
    from attnwidget.capturing import Capture

__all__ = ["read", "text_of"]


def text_of(argument: str) -> str:
    """The text that TEXT means: itself, or all of stdin where it is "-".

    Raises
    ------
    ValueError
        When stdin is no UTF-8, or there is no text.
    """
    if argument == "-":
        try:
            argument = sys.stdin.buffer.read().decode("utf-8-sig").strip()
        except UnicodeDecodeError as error:
            raise ValueError(f"what came on stdin is not UTF-8: byte {error.start} is none of it.") from error
    if not argument.strip():
        raise ValueError("the text is empty: there is no token to look at. Give at least one word.")
    return argument


def read(
    how: Loading,
    name: str,
    text: str,
    *,
    target: str | None = None,
    generate: int | None = None,
    prefix: int | None = None,
) -> Capture:
    """Load a model, let it read a text, and keep its attention.

    Parameters
    ----------
    how : Loading
        How to load it.
    name : str
        MODEL, as it was given.
    text : str
        What it reads.
    target : str or None
        What its decoder reads.
    generate : int or None
        How many tokens it may go on for.
    prefix : int or None
        How many tokens in front are one.

    Raises
    ------
    Usage, TypeError, ValueError
        As `Loading.load` and `attnwidget.capture`.
    """
    import attnwidget as aw

    model, tokenizer = how.load(name)
    inputs = inputs_of(model, text, tokenizer, target=target)
    unknown = demo.unknown_words(tokenizer, text) if name in demo.NAMES else []
    if unknown:
        tell(f"note: the {name} has {len(tokenizer)} tokens, and these are not among them: {', '.join(unknown)}.")
    options = None if generate is None else {"max_new_tokens": generate, "do_sample": False}
    spans = None if prefix is None else {"prefix": (0, prefix)}
    with target_named(model, target, "give it with --target, or let the model write one with --generate."):
        return aw.capture(model, inputs, tokenizer, generate=options, spans=spans, progress=watched())
