"""Queries whose rows have no values: one that holds NaN, one that sees no key. Every view says which it is."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.test_explorer import TIMEOUT, part, ready

LACKING = """
import torch, attnwidget as aw
from attnwidget.tokens import ImageGrid
draw = torch.Generator().manual_seed(0)
q, k = (torch.randn(2, 3, 12, 8, generator=draw) for _ in range(2))
tokens = aw.Tokens.from_labels([f"w{at}" for at in range(12)]).with_image(ImageGrid(3, 2, 4, None))
"""
ROWS = {
    "NaN": ("q[:, :, 5] = torch.nan", "{}", "This row holds NaN: its weights are not known."),
    "masked": ("seen = torch.ones(12, 12, dtype=bool); seen[5] = False", "{'mask': seen}", "This query sees no key."),
}


@pytest.mark.parametrize("kind", ROWS)
def test_a_row_without_values_is_told_in_every_view(open_notebook, kind):
    before, options, sentence = ROWS[kind]
    notebook = open_notebook(
        [
            LACKING + before,
            (
                f"maps = aw.AttentionMaps.from_queries_keys(list(q), list(k), tokens=tokens, **{options})\n"
                "view = aw.Explorer(maps, query=5, key=2, view='text'); view"
            ),
        ]
    )
    notebook.run_all()
    widget = notebook.widget()
    ready(widget)
    for view in ("text", "image", "neurons", "plane"):
        notebook.execute(f"view.view = {view!r}")
        expect(widget).to_have_attribute("data-view", view, timeout=TIMEOUT)
        expect(widget.locator(".map")).to_contain_text(sentence, timeout=TIMEOUT)
        expect(widget.locator(".map")).not_to_contain_text("outside the map")
        expect(part(widget, "legend").filter(has_text="e\u2212")).to_have_count(0)
    assert notebook.errors == []
