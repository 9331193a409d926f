"""attnwidget measure: the numbers of every head for every text of a file, as a table."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnwidget.commands import options
from attnwidget.commands.models import Loading, inputs_of, target_named
from attnwidget.commands.running import running, say_json, tell, watched
from attnwidget.commands.tables import open_table
from attnwidget.commands.texts import Texts

if TYPE_CHECKING:
    import pandas as pd

    from attnwidget.maps import AttentionMaps

__all__ = ["EXAMPLES", "measure"]

EXAMPLES = options.examples(
    "attnwidget measure storyteller texts.txt -o heads.csv",
    "attnwidget measure ./my-model reviews.parquet --column body --measures entropy,sink -o heads.parquet",
    "cat texts.txt | attnwidget measure storyteller - | head",
)
PREFIX = ("prefix", "prefix_without_first", "prefix_chance")


def measure(
    model: options.Model,
    data: options.Data,
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The table: .csv, .jsonl or .parquet; - writes CSV to stdout."
        ),
    ] = "-",
    measures: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Which numbers, as entropy,induction. [default: all]"),
    ] = None,
    column: options.Column = None,
    target_column: options.TargetColumn = None,
    form: options.Form = None,
    max_examples: options.MaxExamples = None,
    max_tokens: options.MaxTokens = None,
    prefix: options.Prefix = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    tokenizer: options.Tokenizer = None,
    own: options.Own = None,
    trust_remote_code: options.Trust = False,
    as_json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Measure every head on every text: a table of a row for each text, layer and head.

    A row begins with the place of the text in DATA (from 0), its tokens, the map (attention; or encoder, decoder and
    cross), the layer and the head. The numbers are those of attnwidget.summarize: entropy, induction, sinks, the
    largest score and more; one that does not exist is empty. With --prefix the attention to the prefix comes too.

    Rows are written as they are done. After Ctrl-C the table has those so far.
    """
    with running(debug=debug):
        from attnwidget.progress import progress_bar  # tqdm, which asks the environment when it is imported

        how = Loading(device, dtype, tokenizer, own, trust_remote_code)
        names = _names(measures)
        to_terminal = output == "-" and sys.stdout.isatty()
        texts = Texts(data, column=column, target=target_column, form=form, most=max_examples)
        with texts, open_table(output, json_lines=as_json) as write:
            loaded, reader = how.load(model)
            n_texts = n_rows = 0
            try:
                with progress_bar("texts", max_examples, shown=watched() and not to_terminal) as bar:
                    for example in texts:
                        bar.update()
                        try:
                            inputs = inputs_of(loaded, example.text, reader, target=example.target, most=max_tokens)
                            with target_named(loaded, example.target, "name its column: --target-column."):
                                frame = _measured(loaded, inputs, reader, names, prefix)
                        except (ValueError, RuntimeError, MemoryError) as error:
                            texts.skipped.add(example.number, _reason(error))
                            continue
                        frame.insert(0, "example", example.number)
                        write(frame)
                        n_texts, n_rows = n_texts + 1, n_rows + len(frame)
            except BaseException as error:
                held = "what was written" if output == "-" else output
                error.add_note(f"{held} holds {_texts(n_texts)}." if n_texts else "No text was done.")
                raise
            finally:
                for sentence in texts.skipped.sentences():
                    tell(sentence)
        if not n_texts:
            raise ValueError(f"no text of {data} could be measured, so nothing was written.")
        if as_json and output != "-":
            say_json({"written": output, "texts": n_texts, "rows": n_rows, "left_out": texts.skipped.by_reason})
        elif output != "-":
            tell(f"{output}: {n_rows:,} rows, of {_texts(n_texts)}.")


def _texts(n: int) -> str:
    return f"{n:,} text{'' if n == 1 else 's'}"


def _names(measures: str | None) -> list[str]:
    """Names of the numbers that are wanted."""
    from attnwidget.measures.pictured import PICTURE_ROWS
    from attnwidget.measures.table import HEAD_MEASURES

    known = [name for name in HEAD_MEASURES if name not in PICTURE_ROWS]  # of texts there are no pictures
    if measures is None:
        return known
    return options.named("--measures", measures, known)


def _reason(error: Exception) -> str:
    """Why a text is left out; what is no fault of the text is raised again."""
    from attnwidget.effects.stopping import is_out_of_memory

    if is_out_of_memory(error):
        return "memory ran out for it"
    if isinstance(error, ValueError):
        return " ".join([str(error), *getattr(error, "__notes__", ())])
    raise error


def _measured(model: Any, inputs: Any, tokenizer: Any, names: Sequence[str], prefix: int | None) -> pd.DataFrame:
    """Rows of one text."""
    import attnwidget as aw

    run = aw.capture(model, inputs, tokenizer, logits="none", progress=False)
    table = aw.summarize(run, progress=False)[list(names)].reset_index()
    table.insert(0, "tokens", table["map"].map({name: maps.n_queries for name, maps in run.by_name.items()}))
    if prefix is not None:
        for name, maps in run.by_name.items():
            of_map = table["map"] == name
            for column, values in _prefix_mass(maps, prefix).items():
                table.loc[of_map, column] = values
    return table


def _prefix_mass(maps: AttentionMaps, prefix: int) -> dict[str, Any]:
    """What each head of each layer gives to the prefix; NaN where there is none, or nothing behind it."""
    from attnwidget.intake import AttentionWarning
    from attnwidget.measures.rows import prefix_mass

    if maps.key_tokens is not maps.tokens:
        return dict.fromkeys(PREFIX, math.nan)
    if maps.n_queries <= prefix:
        warnings.warn(
            f"texts of {prefix} tokens or fewer have nothing behind the prefix, and no numbers of it.",
            AttentionWarning,
            stacklevel=2,
        )
        return dict.fromkeys(PREFIX, math.nan)
    held = [(layer, head) for layer, heads in enumerate(maps.heads) for head in range(heads)]
    places = tuple(zip(*held, strict=True))
    mass = prefix_mass(maps, prefix)
    return {name: mass[name].detach().cpu().float()[places].numpy() for name in PREFIX}
