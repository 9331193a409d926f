"""Names of ours in code, as `aw.explore`, lead to their reference; one that does not exist fails the build."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

_NAME = re.compile(r"(?:aw|attnwidget)\.([A-Za-z][\w.]*)(?:\(.*\))?", re.DOTALL)


class LinkNames(SphinxTransform):
    """Wraps each literal that is one name, or a call of one, into a reference."""

    default_priority = 700

    def apply(self) -> None:
        """Go through one document."""
        for literal in list(self.document.findall(nodes.literal)):
            found = _NAME.fullmatch(literal.astext())
            if found and not isinstance(literal.parent, (nodes.reference, addnodes.pending_xref)):
                where = {"refdomain": "py", "reftype": "obj", "reftarget": f"attnwidget.{found[1]}"}
                reference = addnodes.pending_xref("", refdoc=self.env.docname, refexplicit=True, refwarn=True, **where)
                literal.replace_self(reference)
                reference += literal


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx."""
    app.add_transform(LinkNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
