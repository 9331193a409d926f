"""attnwidget survey: the numbers of every head over many texts, in a folder that can be gone on with."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnwidget.commands import options
from attnwidget.commands.models import Loading, quieten
from attnwidget.commands.running import Usage, running, say_json, tell, warnings_told, watched
from attnwidget.commands.texts import Skipped, Texts
from attnwidget.files import as_cell, write

if TYPE_CHECKING:
    from attnwidget.surveying import Survey

__all__ = ["EXAMPLES", "survey"]

MANIFEST = "survey.json"
EXAMPLES = options.examples(
    "attnwidget survey storyteller stories.txt -o found --workers 4",
    "attnwidget survey ./my-model reviews.parquet --column body --by label -o found --max-tokens 512",
    "python -c \"import attnwidget as aw; print(aw.Survey.load('found').to_frame())\"",
)


def survey(
    model: options.Model,
    data: options.Data,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="The folder to write, or to go on with.", show_default=False
        ),
    ],
    workers: Annotated[
        int, typer.Option(metavar="N", min=1, help="Processes at work, each with the model in its own memory.")
    ] = 1,
    measures: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Which numbers, as entropy,induction. [default: the most usual seven]"),
    ] = None,
    column: options.Column = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Column of the group of a text: numbers of each group, too. Empty cells are none."
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Column of a label for each word of a text: attention from label to label, too."
        ),
    ] = None,
    form: options.Form = None,
    max_examples: options.MaxExamples = None,
    max_tokens: options.MaxTokens = None,
    batch_size: Annotated[int, typer.Option(metavar="N", min=1, max=256, help="Texts in a pass.")] = 32,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="Texts that are kept for each head and number.")] = 10,
    device: options.Device = None,
    dtype: options.Dtype = None,
    tokenizer: options.Tokenizer = None,
    own: options.Own = None,
    trust_remote_code: options.Trust = False,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Survey every head over many texts: means, spread, quantiles, and the texts in which a head is most itself.

    The folder gets heads.csv (a row for each layer, head and number), examples.jsonl (the texts with the largest and
    the smallest numbers), groups.csv with --by, labels.csv with --labels, and the survey itself, for
    attnwidget.Survey.load.

    It is written each 256 texts. After Ctrl-C, or whatever ended it, the same command goes on where it was, and counts
    nothing twice.
    """
    with running(debug=debug):
        how = Loading(device, dtype, tokenizer, own, trust_remote_code)
        _check_folder(output)
        with Texts(data, column=column, form=form) as texts:
            import attnwidget as aw
            from attnwidget.measures.numbers import NUMBERS
            from attnwidget.surveying.running import MEASURES

            names = MEASURES if measures is None else options.named("--measures", measures, NUMBERS)
            for option, wanted in (("--by", by), ("--labels", labels)):
                texts.check(option, wanted)
            with _told_by_us(), _pool(workers) as executor:
                found = aw.survey(
                    data=texts.as_they_come(), measures=names, column=texts.column, by=by, labels=labels,
                    executor=executor, folder=output, batch_size=batch_size, max_tokens=max_tokens,
                    max_examples=max_examples, top=top, progress=watched(), **how.to_send(model),
                )  # fmt: skip
        written = _written(found, output)
        _tell_left_out(found)
        held = f"{output} holds {found.count:,} texts"
        if found.reason:
            stop = KeyboardInterrupt() if found.reason.startswith("interrupted") else RuntimeError(found.reason)
            stop.add_note(f"{held}; the same command goes on from there.")
            raise stop
        if as_json:
            left_out = {"count": found.n_skipped, "first": [asdict(one) for one in found.skipped]}
            say_json({"written": str(output), "files": written, "texts": found.count, "left_out": left_out})
        else:
            tell(f"{held}: {', '.join(written)}.")


def _check_folder(folder: Path) -> None:
    """Refuse a folder of other things: what is written would be lost among them."""
    if folder.exists() and not folder.is_dir():
        raise Usage(f"--output: {folder} is a file; name a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
        raise Usage(f"--output: {folder} holds other things, and no survey; name a folder that is new or empty.")


@contextmanager
def _pool(workers: int) -> Iterator[Executor | None]:
    """Processes that hear no Ctrl-C, so that only this one ends, and ends them."""
    if workers == 1:
        yield None
        return
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(threads,)
    )
    try:
        with _deaf():  # a process inherits it: without, Ctrl-C while it starts would end in its traceback
            for _ in range(workers):
                pool.submit(os.getpid)
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for one in multiprocessing.active_children():
            one.terminate()


@contextmanager
def _deaf() -> Iterator[None]:
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)


def _begin(threads: int) -> None:
    """A worker's beginning: quiet, with its share of the processor, and at an end when the command is."""
    import torch

    threading.Thread(target=_end_with_the_command, daemon=True).start()
    torch.set_num_threads(threads)
    quieten()
    warnings_told().__enter__()


def _end_with_the_command() -> None:
    """A command that is killed cannot end its workers, which would wait for ever."""
    command = multiprocessing.parent_process()
    if command is not None:
        command.join()
        os._exit(1)


@contextmanager
def _told_by_us() -> Iterator[None]:
    """Leave out what the command says in its own words."""
    with warnings.catch_warnings():
        for said in ("the survey ended early", r"\d+ rows were left out"):
            warnings.filterwarnings("ignore", said)
        yield


def _tell_left_out(found: Survey) -> None:
    skipped = Skipped()
    for one in found.skipped:
        skipped.add(one.number, one.reason.removeprefix("it cannot be read: ValueError: "))
    for sentence in skipped.sentences():
        tell(sentence)
    if found.n_skipped > len(skipped):
        tell(f"left out {found.n_skipped:,} in all; these are the first {len(skipped):,}.")


def _written(found: Survey, folder: Path) -> list[str]:
    """Write what is read without this package; the names of the files."""
    tables = {"heads.csv": found.to_frame()}
    if found.sizes:
        tables["groups.csv"] = found.to_frame(by_group=True)
    if found.about.get("labels") is not None:
        tables["labels.csv"] = found.between.to_frame()
    for name, table in tables.items():
        plain = table.reset_index().map(lambda cell: as_cell(cell) if isinstance(cell, str) else cell)
        write(folder / name, plain.to_csv(index=False, lineterminator="\n").encode(), endings=(".csv",))
    lines = "".join(json.dumps(one) + "\n" for one in _examples(found))
    write(folder / "examples.jsonl", lines.encode(), endings=(".jsonl",))
    return [*tables, "examples.jsonl"]


def _examples(found: Survey) -> Iterator[dict[str, Any]]:
    """The texts in which each head is most itself, by the model's numbers."""
    places = ((layer, head) for layer, heads in enumerate(found.heads) for head in range(heads))
    for (layer, head), measure in product(places, found.measures):
        for side, examples in found.examples(layer, head, measure)._asdict().items():
            for one in examples:
                place = {"layer": found.layer_numbers[layer], "head": head, "measure": measure, "of": side}
                yield place | {"value": one.value, "example": one.number, "token": one.place, "text": one.text}
