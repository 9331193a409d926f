"""Code with what it shows under it: run when the pages are built, and saved as a page that works without a kernel."""

from __future__ import annotations

import ast
import html
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from IPython.display import HTML
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

import attnwidget as aw

FOLDER = "live"
LIMIT_MB = 6.0
_FRAMED = HTML((Path(__file__).parent / "framed.html").read_text(encoding="utf-8"))


class Live(SphinxDirective):
    """A cell as in a notebook: ``{live} name``; what its last line gives stands under it.

    Cells of one document share their names, in their order. ``height`` is that of the frame until its page has said how
    high it is, in pixels, and ``title`` what it is called for those who do not see it.
    """

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "height": directives.positive_int,
        "title": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        """The code, and a frame with its page."""
        (name,), code = self.arguments, "\n".join(self.content)
        path = Path(self.env.app.outdir) / FOLDER / f"{name}.html"
        if name in _pages(self.env):
            raise ExtensionError(f"{self.get_location()}: there is a live page {name!r} already.")
        _pages(self.env).add(name)
        names = self.env.temp_data.setdefault("live names", {})
        try:
            shown = run_cell(code, names)
        except Exception as error:
            raise ExtensionError(f"{self.get_location()}: the live cell {name!r} failed: {error!r}", error) from error
        path.parent.mkdir(parents=True, exist_ok=True)
        title = self.options["title"]
        aw.page(_FRAMED, shown, title=title, limit_mb=LIMIT_MB, progress=False, path=path)
        there = "../" * self.env.docname.count("/") + f"{FOLDER}/{name}.html"
        return [nodes.literal_block(code, code, language="python"), _frame(there, title, self.options["height"])]


def run_cell(code: str, names: dict[str, Any]) -> Any:
    """Run code, and return the value of its last line.

    Raises
    ------
    ValueError
        When the last line is no expression.
    """
    *before, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        raise ValueError("the last line of a live cell is what it shows; this one shows nothing")  # noqa: TRY004
    exec(compile(ast.Module(before, []), "<live>", "exec"), names)  # noqa: S102 - our own pages
    return eval(compile(ast.Expression(last.value), "<live>", "eval"), names)  # noqa: S307


def _pages(env: Any) -> set[str]:
    """Names of the pages that there are."""
    if not hasattr(env, "live_pages"):
        env.live_pages = set()
    return env.live_pages


def _frame(there: str, title: str, height: int) -> nodes.raw:
    title = html.escape(title, quote=True)
    return nodes.raw(
        "",
        f'<figure class="live"><iframe src="{there}" title="{title}" loading="lazy" style="height:{height}px"></iframe>'
        f'<figcaption>{title} · <a href="{there}">Open it alone</a></figcaption></figure>',
        format="html",
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_directive("live", Live)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
