"""Running: what holds for every command: results on stdout, all else in single lines on stderr, and exit codes."""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from attnwidget.files import check_path

__all__ = [
    "INTERRUPTED",
    "USAGE",
    "Usage",
    "running",
    "say",
    "say_json",
    "say_lines",
    "tell",
    "warnings_told",
    "watched",
    "writable",
]

FAILED, USAGE, INTERRUPTED, UNREAD = 1, 2, 130, 141  # the last two as shells count SIGINT and SIGPIPE

_PLAIN = {
    "ValueError",
    "TypeError",
    "IndexError",
    "RuntimeError",
    "TraitError",
    "Usage",
}  # what these say is to be read


class Usage(Exception):  # noqa: N818 - it names what is wrong, as click does
    """The command was called in a way that cannot be meant."""


class _Unread(Exception):  # noqa: N818 - nothing has gone wrong
    """Nobody reads stdout any more."""


def tell(sentence: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(f"attnwidget: {_printable(' '.join(sentence.split()))}\n")
    sys.stderr.flush()


def watched() -> bool:
    """Whether somebody sees stderr, so that bars say something."""
    return sys.stderr.isatty()


def writable(output: str, endings: Sequence[str]) -> Path:
    """The path of a file to write, as `attnwidget.files.check_path`; Usage says what is wrong with it."""
    try:
        return check_path(output, endings)
    except (ValueError, OSError) as error:
        raise Usage(f"--output: {error}") from error


def say(text: str) -> None:
    """Write to stdout; ends the command where nobody reads it."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise _Unread from error


def say_lines(text: str) -> None:
    """Write lines for people to stdout, with control characters spelled out: a token is text."""
    say("\n".join(_printable(line) for line in text.split("\n")) + "\n")


def say_json(value: Any) -> None:
    """Write a line of JSON to stdout."""
    say(json.dumps(value, allow_nan=False) + "\n")


@contextmanager
def running(*, debug: bool = False) -> Iterator[None]:
    """The inside of a command: warnings and errors become lines on stderr, and the command ends with its exit code.

    Parameters
    ----------
    debug : bool
        Show the traceback of an error before its line, and warnings of other libraries.

    Raises
    ------
    typer.Exit
        With 1 after an error, 2 where the command was called wrongly, 130 after an interrupt, 141 when nobody reads
        stdout any more.
    """
    try:
        with warnings_told(everything=debug):
            yield
    except typer.Exit:
        raise
    except _Unread:
        # What is still in the buffer would be complained about at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(UNREAD) from None
    except KeyboardInterrupt as stop:
        tell(" ".join(["interrupted.", *_notes(stop)]))
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:  # noqa: BLE001 - whatever it is, a command ends with a sentence
        if debug:
            traceback.print_exc()
        tell(_sentence(error, "" if debug else " (--debug shows where)"))
        raise typer.Exit(USAGE if isinstance(error, Usage) else FAILED) from None


@contextmanager
def warnings_told(*, everything: bool = False) -> Iterator[None]:
    """Our own warnings as lines, each once; those of other libraries only where everything is asked for."""
    told: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *_where: Any, **_more: Any) -> None:
        text = str(message)
        if text not in told and (everything or category.__name__ == "AttentionWarning"):  # its class is torch away
            told.add(text)
            tell(f"note: {text}")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        yield


def _sentence(error: Exception, hint: str) -> str:
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename is not None else ""
        said = f"{named}{error.strerror.lower()}"
    else:
        said = str(error).strip()
        if not said or not (type(error).__name__ in _PLAIN or isinstance(error, OSError | ImportError)):
            said = f"{type(error).__name__}{': ' if said else ''}{said}{hint}"
    ended = said if said.endswith((".", ")", "?")) else f"{said}."
    return " ".join([ended, *_notes(error)])


def _notes(error: BaseException) -> list[str]:
    return list(getattr(error, "__notes__", ()))


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() or one == "\t" else ascii(one)[1:-1] for one in text)
