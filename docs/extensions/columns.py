"""The columns of `attnwidget.summarize` as a table, from the table that the package itself reads."""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from attnwidget.measures.table import HEAD_MEASURES


class Columns(SphinxDirective):
    """Name, label, unit and meaning of every column."""

    def run(self) -> list[nodes.Node]:
        """A table."""
        lines = ["| column | in the Explorer | unit | says |", "|---|---|---|---|"]
        lines += [f"| `{name}` | {one.label} | {one.unit} | {one.about} |" for name, one in HEAD_MEASURES.items()]
        section = nodes.section()
        self.state.nested_parse(StringList(lines), 0, section)
        return section.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_directive("columns", Columns)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
