"""Every view in a real JupyterLab, of tokens that would hurt, held to what axe finds and to what runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.test_explorer import TIMEOUT, part, ready

AXE = Path(__file__).parents[2] / "js/node_modules/axe-core/axe.min.js"
HOSTILE = """
import torch, attnwidget as aw
from attnwidget.layers import Mask, ProjectedLayer
from attnwidget.tokens import ImageGrid, Span
HURT = ["<b>bold</b>", "<img src=x onerror='window.hurt=true'>", "</script><script>window.hurt=true</script>",
        "x" * 10_000, "\u05e9\u05dc\u05d5\u05dd", "\u200b", "", "\\n",
        "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\u6c34", "."]
def make(seed=0, causal=True, n=None, tokens=None):
    draw = torch.Generator().manual_seed(seed)
    n = n or len(HURT)
    held = [ProjectedLayer(torch.randn(4, n, 8, generator=draw) * 1.5, torch.randn(2, n, 8, generator=draw),
                           8 ** -0.5, Mask(causal=causal)) for _ in range(3)]
    return aw.AttentionMaps(held, tokens or aw.Tokens.from_labels(HURT).with_spans(
        Span("<i>one</i>", 0, 5), Span("<script>window.hurt=true</script>", 5, n)))
"""
SHOWN = {
    "a text": "view = aw.Explorer(make(), query=9, key=3); view",
    "two runs": "view = aw.compare(make(), make(1), labels=('<b>a</b>', '<img src=x onerror=hurt>'), query=9); view",
    "a picture": """
grid = ImageGrid(2, 3, 3, torch.full((30, 30, 3), 90, dtype=torch.uint8))
view = aw.Explorer(make(causal=False, tokens=aw.Tokens.from_labels(HURT).with_image(grid)), query=1); view""",
}
SERIOUS = """async (element) => {
  // What was chosen is laid out.
  for (const _ of [1, 2, 3]) await new Promise(requestAnimationFrame);
  const { violations } = await axe.run(element, { resultTypes: ["violations"] });
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html.slice(0, 160)).join(" | "));
}"""


@pytest.mark.parametrize("what", SHOWN)
def test_no_view_has_a_serious_finding_or_runs_what_a_token_says(open_notebook, what):
    notebook = open_notebook([HOSTILE + SHOWN[what]])
    notebook.run_all()
    widget = ready(notebook.widget())
    notebook.page.add_script_tag(path=str(AXE))
    names = notebook.value("[name for name, one in aw.widget.views.VIEWS.items() if one.shows(view.maps)]")
    assert len(names) > 8
    for theme in ("light", "dark"):
        notebook.execute(f"view.theme = {theme!r}")
        expect(widget.locator(f".widget[data-scheme={theme}]")).to_be_attached()
        for name in names:
            notebook.execute(f"view.view = {name!r}")
            expect(widget).to_have_attribute("data-view", name, timeout=TIMEOUT)
            ready(widget)
            expect(part(widget, "progress")).to_have_attribute("data-done", "true", timeout=TIMEOUT)
            found = widget.evaluate(SERIOUS)
            assert found == [], f"{theme}, {name}"
    assert notebook.page.evaluate("window.hurt") is None
    assert notebook.errors == []
