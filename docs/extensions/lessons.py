"""The course: its lessons listed, and written beside the pages as `make course` writes them."""

from __future__ import annotations

import html
import re
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from notebooks.course import LESSONS, title_of, write_course

FOLDER = "course"


class Lessons(SphinxDirective):
    """Title and first paragraph of every lesson, each with a link to its page."""

    def run(self) -> list[nodes.Node]:
        """A list of definitions."""
        return [nodes.raw("", f'<dl class="lessons">{"".join(map(_entry, LESSONS))}</dl>', format="html")]


def _entry(path: Path) -> str:
    notebook = nbformat.read(path, as_version=4)
    about = re.sub(r"\[([^]]+)\]\([^)]+\)|[*`]", r"\1", notebook.cells[0].source.split("\n\n")[1])
    title = html.escape(title_of(notebook))
    return f'<dt><a href="{FOLDER}/{path.stem}.html">{title}</a></dt><dd>{html.escape(about)}</dd>'


def _write(app: Sphinx, error: Exception | None) -> None:
    if error is None:
        write_course(Path(app.outdir) / FOLDER)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_directive("lessons", Lessons)
    app.connect("build-finished", _write, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
