"""survey: the numbers of every head over many texts, in batches, on whatever executor."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from attnwidget.arguments import refuse_unknown
from attnwidget.intake import AttentionWarning
from attnwidget.measures.arguments import whole
from attnwidget.measures.numbers import NUMBERS
from attnwidget.measures.table import HEAD_MEASURES
from attnwidget.progress import progress_bar
from attnwidget.surveying.executing import WorkerLostError, results
from attnwidget.surveying.folder import Folder
from attnwidget.surveying.identity import of_function, of_model, of_tokenizer
from attnwidget.surveying.result import Survey
from attnwidget.surveying.rows import CHUNK, BrokenOffError, Chunk, Columns, chunks
from attnwidget.surveying.storing import State
from attnwidget.surveying.working import Wish

__all__ = ["MEASURES", "survey"]

MOST_PLACES = 6  # that are named
MEASURES = ("entropy", "previous", "induction", "sink")


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

    Texts are read 256 at a time, in batches of like length; no more of the data is held than what workers are at. The
    numbers of a text are those of `attnwidget.summarize`, and a text for which a number does not exist counts in it as
    absent.

    Parameters
    ----------
    model : nn.Module, str, Path, or callable
        A transformers model, its name, the folder it was saved to, or a function without arguments that makes it, or
        a pair of it and its tokenizer. A model that reads a source and a target is surveyed by its parts:
        ``model.get_encoder()``.
    tokenizer : transformers.PreTrainedTokenizerBase, str, Path or None
        The tokenizer, its name or folder; None looks beside a model that is given by name or folder, or is made by a
        function.
    data : iterable
        Texts; rows with a column of text, as of a DataFrame or a data set; or pairs of a text and its group. A text
        may be a list of words.
    measures : sequence of str
        Columns of `attnwidget.summarize`, of those that need nothing but a text.
    column : str or None
        The column with the text; None takes "text", or the only one that holds a string.
    by : str, callable or None
        The group of each text: a column, or a function of the row; None takes that of pairs. Texts whose group is
        None, NaN, NaT, NA or blank, as an empty cell of a table, are in no group.
    labels : str, callable or None
        The label of each token, for the mass from label to label (``survey.between``): a column with one label for
        each word of the text, words as blanks part them; or a function of the list of tokens, which gives one for
        each. None is no label.
    executor : concurrent.futures.Executor, distributed.Client or None
        Who does the work; None does it here. A thread pool shares the model. To processes and to Dask it goes by its
        name or folder, which is best, or as it is, once to each worker.
    folder : str, Path or None
        Where it is written, each 256 rows as they are done; called again with the same, it goes on where it ended.
    batch_size : int
        Texts in a pass, 256 at most. A batch for which memory does not do is halved.
    max_tokens : int or None
        Longer texts are cut to so many tokens; None leaves out texts that are longer than the model reads.
    max_examples : int or None
        Read so many rows at most.
    top : int
        How many texts are kept with the largest number of each head and measure, and how many with the smallest.
    device, dtype : str, torch.device, torch.dtype or None
        Where a model goes that is given by name, folder or function, and in what precision.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Survey
        Interrupted, or where the data broke off, a worker died or the disk is full, it has the rows, 256 at a time,
        that were done before, and its ``reason`` says why; without a folder also the last rows of data that broke off.
        Rows that cannot be read, and texts that cannot be measured, are in ``skipped``.

    Raises
    ------
    TypeError
        When data, model or executor is of another kind.
    ValueError
        When data is empty or has no such column, an argument is out of range, the model cannot be had or cannot be
        sent to a worker, the folder holds another survey or somebody is at work in it, or no text could be measured.

    Warns
    -----
    AttentionWarning
        When rows were left out, rows of a head held NaN, or it ended early.

    Examples
    --------
    >>> found = aw.survey("my-model", None, texts, measures=["entropy", "induction"])
    >>> found.to_frame().xs("induction", level="measure").sort_values("mean")
    >>> with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
    ...     found = aw.survey("my-model", None, rows, column="text", executor=pool, folder="found")

    References
    ----------
    Means and variances are put together after Chan, Golub & LeVeque 1979, quantiles after Masson, Rim & Lee, VLDB 2019.
    """
    measures = _checked(measures)
    for name, value, least in (("batch_size", batch_size, 1), ("top", top, 1)):
        if whole(name, value) < least:
            raise ValueError(f"{name}={value}; expected {least} or more.")
    for name, limit in (("max_tokens", max_tokens), ("max_examples", max_examples)):
        if limit is not None and whole(name, limit) < 1:
            raise ValueError(f"{name}={limit}; expected 1 or more, or None.")
    if not isinstance(model, str | Path | nn.Module) and not callable(model):
        raise TypeError(
            f"model is {type(model).__name__}; expected a model, its name, its folder, or a function that makes it."
        )
    wish = Wish(measures, top, min(batch_size, CHUNK), max_tokens, labels if callable(labels) else None)
    columns = Columns(column, by, labels if isinstance(labels, str) else None)
    on, kind = _of_device(device), _of_dtype(dtype)
    about = of_model(model) | {
        "tokenizer": of_tokenizer(tokenizer),
        "measures": measures,
        "column": column,
        "by": of_function(by) if callable(by) else by,
        "labels": of_function(labels) if callable(labels) else labels,
        "max_tokens": max_tokens,
        "max_examples": max_examples,
        "top": top,
        "dtype": kind,
    }
    kept = None if folder is None else Folder(folder)
    held: AbstractContextManager[State] = nullcontext(State()) if kept is None else kept.held(about)

    def write() -> None:
        if kept is not None:
            kept.write(state, measures)

    size = len(data) if isinstance(data, Sized) else None
    total = size if max_examples is None else min(max_examples, size or max_examples)
    with held as state, progress_bar("texts", total, shown=progress, delay=1) as bar:
        todo = _Todo(chunks(data, columns, max_examples), state, bar, kept=kept is not None)
        made = results(
            iter(todo), wish, executor=executor, model=model, tokenizer=tokenizer, device=on, dtype=kind
        )  # fmt: skip
        reason = _gathered(made, state, todo, write)
    if state.tally is None:
        said = [f"The first: row {one.number}, {one.reason}" for one in state.left.skipped[:1]]
        said += [f"{reason[:1].upper()}{reason[1:]}"] if reason else []
        raise ValueError(" ".join(["no text could be measured.", *said]))
    if reason:
        reason += f" {state.tally.count} texts are in it; call survey again with folder= to go on."
    return _warned(Survey(state, measures, about, reason=reason))


class _Todo:
    """Chunks that are not done yet, as they are asked for."""

    def __init__(self, found: Iterator[Chunk], state: State, bar: Any, *, kept: bool) -> None:
        self._found, self._state, self._bar, self._kept = found, state, bar, kept
        self._sizes: dict[int, int] = {}
        self.broken = ""  # why the data ended before its end

    def __iter__(self) -> Iterator[Chunk]:
        try:
            yield from self._not_done()
        except BrokenOffError as error:
            self.broken = str(error)

    def _not_done(self) -> Iterator[Chunk]:
        for chunk in self._found:
            known = self._state.done.get(chunk.number)
            if not chunk.whole and self._kept:
                continue  # its rows come again, with more behind them
            if known is None:
                self._sizes[chunk.number] = len(chunk)
                yield chunk
            elif known != chunk.digest:
                first = chunk.number * CHUNK
                raise ValueError(
                    f"the folder holds a survey of other data: rows {first} to {first + len(chunk) - 1} were others "
                    "when it was begun. Give another folder."
                )
            else:
                self._bar.update(len(chunk))

    def done(self, number: int) -> None:
        """A chunk is done."""
        self._bar.update(self._sizes.pop(number))


def _gathered(made: Iterator[Any], state: State, todo: _Todo, write: Callable[[], Any]) -> str:
    """Put together what comes; why it ended early, if it did."""
    whole_before = state.whole
    reason = ""
    try:
        for result in made:
            state.add(result)
            todo.done(result.number)
            write()
        reason = todo.broken
        if not reason and not whole_before:
            state.whole = True
            write()
    except KeyboardInterrupt:
        if state.tally is None:
            raise
        write()  # it may have come in the middle of one
        reason = "interrupted."
    except WorkerLostError as error:
        if state.tally is None:
            raise
        reason = f"{error}."
    except OSError as error:
        if state.tally is None:
            raise
        reason = f"what is done cannot be written, {error}."
    finally:
        made.close()  # type: ignore[attr-defined]
    return reason


def _warned(found: Survey) -> Survey:
    said = [f"the survey ended early: {found.reason}"] if found.reason else []
    if found.n_skipped:
        first = found.skipped[0]
        said.append(
            f"{found.n_skipped} rows were left out, the first of them row {first.number}: {first.reason} "
            "survey.skipped lists them."
        )
    if found.broken:
        places = [f"layer {layer}, head {head}" for layer, head in found.broken]
        more = f"; and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
        said.append(
            f"NaN in rows of {'; '.join(places[:MOST_PLACES])}{more}, in up to {max(found.broken.values())} texts: "
            "those rows have no values, and count in no mean. The usual cause is an overflow in half precision. "
            "survey.broken lists them."
        )
    for one in said:
        warnings.warn(one, AttentionWarning, stacklevel=3)
    return found


def _checked(measures: Any) -> tuple[str, ...]:
    names = (measures,) if isinstance(measures, str) else tuple(measures)
    for name in names:
        if name in HEAD_MEASURES and name not in NUMBERS:
            raise ValueError(
                f"{name!r} needs more than a text, and cannot be surveyed; there are {', '.join(NUMBERS)}."
            )
    refuse_unknown(names, NUMBERS, "survey", "measure")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"measures={list(names)}; expected at least one, and each once.")
    return names


def _of_device(device: Any) -> str | None:
    return None if device is None else str(torch.device(device))


def _of_dtype(dtype: Any) -> str | None:
    """The name of a precision of floats."""
    if dtype is None:
        return None
    name = str(dtype).removeprefix("torch.")
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise ValueError(f"dtype={dtype!r} is not known; expected a precision of torch, as 'bfloat16'.")
    return name
