"""The application: which commands there are, and how it ends."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated

import typer

import attnwidget
from attnwidget.commands import demo, diagnose, figure, measure, options, survey, view
from attnwidget.commands.running import INTERRUPTED, USAGE, tell, watched

__all__ = ["app", "main"]

app = typer.Typer(
    name="attnwidget",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: read in a terminal, in a pipe and in a log alike
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=options.examples("attnwidget demo", 'attnwidget view storyteller "Lily and Ben went home ." -o page.html'),
)
for _module, _command, _short in (
    (view, view.view, "One text as a page: every layer and head, linked views."),
    (figure, figure.figure, "One text as a figure for print."),
    (diagnose, diagnose.diagnose, "What is unusual about the attention on one text."),
    (measure, measure.measure, "The numbers of every head for every text of a file."),
    (survey, survey.survey, "The numbers of every head over many texts, on several processes."),
    (demo, demo.demo, "A first look, with nothing to download."),
):
    app.command(epilog=_module.EXAMPLES, short_help=_short)(_command)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"attnwidget {attnwidget.__version__}")
        raise typer.Exit


@app.callback()
def _attnwidget(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback has said it
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Look at a transformer's attention: pages, figures, tables and findings.

    Results go to files or to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 called wrongly,
    130 interrupted.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(USAGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str or None
        What was typed behind its name; None takes it from the process.

    Returns
    -------
    int
        The exit code: 0 done, 1 failed, 2 called wrongly, 130 interrupted, 141 when nobody reads stdout any more.
    """
    if not watched():
        os.environ.setdefault("TQDM_DISABLE", "1")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        code = app(None if arguments is None else list(arguments), prog_name="attnwidget", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        tell("interrupted.")
        return INTERRUPTED
    except Exception as error:
        said = getattr(error, "format_message", None)  # what typer, or click below it, finds wrong with arguments
        if said is None:
            raise
        context = getattr(error, "ctx", None)
        tell(f"{said().rstrip('.')}. See {context.command_path if context else 'attnwidget'} --help.")
        return USAGE
    return int(code or 0)
