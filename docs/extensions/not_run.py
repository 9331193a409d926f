"""Code that is not run when the documentation is tested says so, with the reason."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class NotRun(SphinxDirective):
    """Python that cannot be run here: ``{not-run} why not``."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        """The code, under a line that says why it is not run."""
        code = "\n".join(self.content)
        why = nodes.paragraph("", f"Not run in the tests: {self.arguments[0]}.", classes=["why-not-run"])
        return [nodes.container("", why, nodes.literal_block(code, code, language="python"), classes=["not-run"])]


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_directive("not-run", NotRun)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
