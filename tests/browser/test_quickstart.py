"""The quickstart as a newcomer runs it: in JupyterLab, from top to bottom, in light and in dark."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.lab import Notebook

QUICKSTART = Path(__file__).parent.parent.parent / "notebooks" / "quickstart.ipynb"


def test_every_cell_shows_what_it_should(lab, context):
    path = lab.folder / "work" / "quickstart.ipynb"
    shutil.copy(QUICKSTART, path)
    notebook = Notebook(lab, context.new_page(), path)
    notebook.run_all()
    page = notebook.page
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    widgets = page.locator("[data-attnwidget=explorer]")
    expect(widgets).to_have_count(3)
    for index in range(3):
        widget = widgets.nth(index)
        widget.scroll_into_view_if_needed()
        expect(widget).to_have_attribute("data-state", "ready", timeout=30_000)
        expect(widget.locator("[data-part=heatmap]")).to_be_visible()
    notebook.set_theme("JupyterLab Dark")
    expect(widgets.first.locator(".explorer[data-scheme=dark]")).to_be_attached()
    notebook.set_theme("JupyterLab Light")
    expect(widgets.first.locator(".explorer[data-scheme=light]")).to_be_attached()
    # The story told in words: the last "to" looks at Ben.
    assert notebook.value("view.maps.tokens.labels[view.maps.weights(1, 0)[13].argmax()]") == "Ben"
    assert not notebook.errors
    notebook.close()
