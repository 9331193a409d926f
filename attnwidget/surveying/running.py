"""survey: the numbers of every head over many texts, in batches, on whatever executor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from attnwidget.surveying.result import Survey

__all__ = ["MEASURES", "survey"]

MEASURES = ("entropy", "normalized_entropy", "distance", "previous", "first", "induction", "sink")


def survey(
    model: Any,
    tokenizer: Any,
    data: Iterable[Any],
    *,
    measures: Sequence[str] = MEASURES,
    column: str | None = None,
    by: str | Callable[[Any], Any] | None = None,
    labels: str | Callable[[list[str]], Sequence[Any]] | None = None,
    executor: Any = None,
    folder: str | Path | None = None,
    batch_size: int = 32,
    max_tokens: int | None = None,
    max_examples: int | None = None,
    top: int = 10,
    device: Any = None,
    dtype: Any = None,
    progress: bool = True,
) -> Survey:
    """The numbers of every head over many texts.

    Parameters
    ----------
    model : nn.Module, str, Path, or callable
        A transformers model, its name, the folder it was saved to, or a function without arguments that makes it, or
        a pair of it and its tokenizer.
    tokenizer : transformers.PreTrainedTokenizerBase, str, Path or None
        The tokenizer, its name or folder; None looks beside a model that is given by name or folder.
    """
    raise NotImplementedError
