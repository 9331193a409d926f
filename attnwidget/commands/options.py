"""Options: the arguments that several commands share, with what their help says of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

import typer

from attnwidget.commands.running import Usage

__all__ = [
    "Column",
    "Data",
    "Debug",
    "Device",
    "Dtype",
    "Form",
    "Generate",
    "Json",
    "MaxExamples",
    "MaxTokens",
    "Model",
    "Own",
    "Prefix",
    "Target",
    "TargetColumn",
    "Text",
    "Tokenizer",
    "Trust",
    "examples",
    "named",
]


def examples(*lines: str) -> str:
    """The end of a help text: what can be typed, line by line."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])  # \b: lines stay as they are


def named(option: str, given: str, known: Collection[str]) -> list[str]:
    """Names with commas between them, each once; Usage where there is none, or one is not known."""
    wanted = [name.strip() for name in given.split(",") if name.strip()]
    if not wanted:
        raise Usage(f"{option} names nothing; there are {', '.join(known)}.")
    for name in wanted:
        if name not in known:
            raise Usage(f"{option} {name} is not known; there are {', '.join(known)}.")
    return list(dict.fromkeys(wanted))


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        show_default=False,
        help="Name on the Hugging Face hub, folder written by save_pretrained, or a model inside this package: "
        "storyteller, reader, translator.",
    ),
]
Text = Annotated[
    str, typer.Argument(metavar="TEXT", show_default=False, help="What the model reads; - takes it from stdin.")
]
Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        show_default=False,
        help="Texts: .txt (one a line), .jsonl, .csv, .tsv or .parquet; - takes lines from stdin.",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="cpu, cuda, cuda:1, mps, or auto, which spreads the model over all devices with accelerate. "
        "[default: cuda where there is one]",
        show_default=False,
    ),
]
Dtype = Annotated[
    str | None,
    typer.Option(
        metavar="DTYPE",
        help="float32, float16, bfloat16 or float64. [default: as the model was saved]",
        show_default=False,
    ),
]
Tokenizer = Annotated[
    str | None, typer.Option(metavar="NAME", help="Name or folder of the tokenizer, where it is not beside the model.")
]
Own = Annotated[
    str | None,
    typer.Option(
        metavar="MODULE:FUNCTION",
        help="A function of yours that loads the model: it gets MODEL, and returns the model and its tokenizer, or "
        "None for the one beside MODEL. The module is looked for in this folder too.",
    ),
]
Trust = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that comes with the model. Read that code first.")
]
Target = Annotated[
    str | None, typer.Option(metavar="TEXT", help="What the decoder reads, for a model with an encoder and a decoder.")
]
Generate = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Let the model go on for N tokens at most, the likeliest each time, and look at all."
    ),
]
Prefix = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="The first N tokens, one like <s> counted, are a prefix (a prompt)."),
]
Column = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help='Which column, or key of .jsonl, holds the texts. [default: the only one, or "text"]'
    ),
]
TargetColumn = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Which column holds what the decoder reads, for a model with an encoder too."),
]
Form = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="FORMAT", help="txt, jsonl, csv, tsv or parquet, where the name of DATA says nothing."
    ),
]
MaxExamples = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Read the first N rows of DATA alone.", show_default=False)
]
MaxTokens = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Cut longer texts after N tokens. [default: they are left out, and named]"),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, for programs.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
