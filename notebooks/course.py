"""The course as pages: every lesson is run, and becomes one file that works without a kernel and without a network.

``python -m notebooks.course`` writes build/course/index.html and a page for each lesson; ``make course`` calls it.
"""

from __future__ import annotations

import html
import io
import re
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import HTML
from ipywidgets import Widget
from markdown_it import MarkdownIt
from matplotlib.figure import Figure
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

import attnwidget as aw

HERE = Path(__file__).parent
LESSONS = sorted(HERE.glob("[0-9][0-9]_*.ipynb"))
REFERENCE = HERE / "models.ipynb"  # lessons link to it; as a notebook, since its views need a kernel
LIMIT_MB = 12.0
_CODE = {scheme: HtmlFormatter(style=style) for scheme, style in (("light", "default"), ("dark", "github-dark"))}
STYLE = f"""
body > :not([data-attnwidget-place=explorer], figure, script, style) {{ margin-left: max(0px, 50% - 420px) }}
body > :not([data-attnwidget-place], figure, script, style) {{ max-width: 720px }}
body > :is(.code, pre, table) {{ max-width: 840px }}
body > h1 {{ font-size: 28px; line-height: 1.25 }} body > h2 {{ font-size: 20px; margin-top: 44px }}
body > nav {{ display: flex; gap: 24px; flex-wrap: wrap; color: GrayText; margin-bottom: 28px }}
body > nav.foot {{ margin-top: 56px; padding-top: 12px; border-top: 1px solid #8884 }}
body > pre, .code pre {{ padding: 10px 14px; font: 12.5px/1.5 ui-monospace, monospace }}
body > pre, .code pre {{ white-space: pre-wrap; overflow-wrap: anywhere }}
.code pre, body > pre:not(.out) {{ background: #8881; border-left: 3px solid #8886 }} .code pre {{ margin: 20px 0 }}
body > pre.out {{ box-sizing: border-box; margin-top: -12px; margin-bottom: 20px; padding-left: 17px }}
body > details {{ margin-top: 14px; margin-bottom: 14px }} body > details > summary {{ cursor: pointer }}
body > details > :not(summary) {{ margin-left: 18px }}
body > table, .dataframe {{ width: fit-content; border: 0; font-size: 14px; margin-top: 12px; margin-bottom: 24px }}
:is(body > table, .dataframe) :is(td, th) {{ border: 0; border-bottom: 1px solid #8883 }}
body > table :is(td, th) {{ text-align: left; vertical-align: top }}
.dataframe :is(td, th) {{ text-align: right; font-variant-numeric: tabular-nums }}
body > figure {{ text-align: center }} body > figure svg {{ max-width: 100%; height: auto; background: #fff }}
{_CODE["light"].get_style_defs(".code")}
@media (prefers-color-scheme: dark) {{ {_CODE["dark"].get_style_defs(".code")} }}
.code {{ background: none !important }}
"""


class _Caught(DisplayFormatter):
    """Hands on what a cell shows, instead of telling a front end of it."""

    def __init__(self, caught: Callable[[Any], None]) -> None:
        super().__init__()
        self._caught = caught

    def format(self, obj: Any, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Nothing is left to be shown."""
        self._caught(obj)
        return {}, {}


class _Printed(io.TextIOBase):
    """Hands on what a cell prints."""

    def __init__(self, caught: Callable[[str], None]) -> None:
        self._caught = caught

    def write(self, text: str) -> int:
        """Write so many characters."""
        self._caught(text)
        return len(text)


def title_of(notebook: Any) -> str:
    """The first heading."""
    return str(re.search(r"^# (.+)$", notebook.cells[0].source, re.MULTILINE)[1])


def lesson_page(path: Path, before: Path | None = None, after: Path | None = None) -> aw.Page:
    """Run a lesson, and put what it says, does and shows on a page.

    Parameters
    ----------
    path : Path
        The notebook; its outputs do not matter.
    before, after : Path or None
        The lessons that its links lead to.

    Raises
    ------
    Exception
        What a cell raises.
    """
    notebook = nbformat.read(path, as_version=4)
    parts: list[Any] = [HTML(f"<style>{STYLE}</style>"), HTML(_links(before, after, path.name))]
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(HTML(_markdown(cell.source)))
        else:
            parts.append(HTML(f'<div class="code">{highlight(cell.source, PythonLexer(), _CODE["light"])}</div>'))
            parts += _shown(shell, cell.source)
    parts.append(HTML(_links(before, after, kind="foot")))
    return aw.page(*parts, title=title_of(notebook), limit_mb=LIMIT_MB, progress=False)


def _shown(shell: InteractiveShell, source: str) -> list[Any]:
    """What a cell prints and shows, in its order; a view as it stands when it is shown."""
    caught: list[Any] = []

    def printed(text: str) -> None:
        if caught and isinstance(caught[-1], str):
            caught[-1] += text
        else:
            caught.append(text)

    shell.display_formatter = _Caught(lambda shown: caught.append(_part(shown)))
    shell.displayhook.write_output_prompt = lambda: None
    with redirect_stdout(_Printed(printed)):
        shell.run_cell(source, store_history=False).raise_error()
    return [HTML(_text(part)) if isinstance(part, str) else part for part in caught if part != "\n"]


def _part(shown: Any) -> aw.Page | HTML:
    """Something that a cell shows, as a part of a page."""
    if isinstance(shown, Widget):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", aw.AttentionWarning)  # a broken model's view says by itself what is wrong
            return aw.page(shown, limit_mb=LIMIT_MB, progress=False)
    if isinstance(shown, Figure):
        drawn = io.StringIO()
        shown.savefig(drawn, format="svg", metadata={"Date": None})
        return HTML(f"<figure>{drawn.getvalue()[drawn.getvalue().index('<svg') :]}</figure>")
    if hasattr(shown, "_repr_html_"):
        return HTML(shown._repr_html_())
    return HTML(_text(DisplayFormatter().format(shown, include={"text/plain"})[0]["text/plain"]))


def _text(text: str) -> str:
    return f'<pre class="out">{html.escape(text.rstrip())}</pre>'


def _markdown(text: str) -> str:
    """A lesson's own words as HTML; its links to other lessons lead to their pages."""
    return str(MarkdownIt("commonmark").enable("table").render(re.sub(r"(\]\(\d\d_\w+)\.ipynb\)", r"\1.html)", text)))


def _links(before: Path | None, after: Path | None, notebook: str = "", *, kind: str = "head") -> str:
    ends = [("←", before), ("→", after)]
    links = [f'<a href="{path.stem}.html">{arrow} {path.stem[:2]}</a>' for arrow, path in ends if path]
    links.insert(1 if before else 0, '<a href="index.html">Contents</a>')
    if notebook:
        links.append(f"<span>The views below are alive. To run the code, open {notebook} in Jupyter.</span>")
    return f'<nav class="{kind}">{" ".join(links)}</nav>'


def _contents(lessons: Iterable[Path]) -> aw.Page:
    """The page that leads to the others: the title of each, and its first paragraph."""
    entries = []
    for path in lessons:
        notebook = nbformat.read(path, as_version=4)
        about = notebook.cells[0].source.split("\n\n")[1]
        entries.append(f"## [{title_of(notebook)}]({path.stem}.html)\n\n{about}")
    text = "\n\n".join(["# Attention, a course", *entries])
    return aw.page(HTML(f"<style>{STYLE}</style>"), HTML(_markdown(text)), title="Attention, a course")


def write_course(folder: Path, lessons: list[Path] = LESSONS) -> list[Path]:
    """Write the pages of the course into a folder, and return them, the contents first.

    Parameters
    ----------
    folder : Path
        Made where it does not exist.
    lessons : list of Path
        The notebooks, in their order.

    Raises
    ------
    Exception
        What a cell of a lesson raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(REFERENCE, folder)
    written = [_contents(lessons).save(folder / "index.html")]
    for before, path, after in zip([None, *lessons], lessons, [*lessons[1:], None], strict=False):
        written.append(lesson_page(path, before, after).save(folder / f"{path.stem}.html"))
        print(f"{written[-1]}  {written[-1].stat().st_size / 1e6:.1f} MB")
    return written


if __name__ == "__main__":
    write_course(Path(*sys.argv[1:2]) if sys.argv[1:] else HERE.parent / "build" / "course")
