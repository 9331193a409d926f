"""What hands do to a notebook around the Explorer: outputs are folded away, and keys follow clicks."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.test_explorer import MAPS, SHOW, TIMEOUT, part, pixels, ready

FOLD = "window.jupyterapp.commands.execute('notebook:{}-cell-outputs')"


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_an_output_that_was_folded_while_cells_ran_comes_back_as_it_was(open_notebook, theme):
    notebook = open_notebook([MAPS, SHOW, "print('ran')"])
    notebook.set_theme(theme)
    notebook.run_all()
    widget = ready(notebook.widget())
    expect(part(widget, "thumb", loaded="true")).to_have_count(12, timeout=TIMEOUT)
    notebook.page.mouse.move(0, 0)
    before = pixels(part(widget, "heatmap"))
    notebook.page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1")
    notebook.page.evaluate(FOLD.format("hide"))
    expect(widget).to_have_count(0)
    notebook.run_cell(2)
    notebook.page.evaluate("document.head.append(document.createElement('style'))")
    notebook.page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1")
    notebook.page.evaluate(FOLD.format("show"))
    ready(widget)
    expect(part(widget, "heatmap")).to_be_visible()
    notebook.page.wait_for_function("() => new Promise((done) => requestAnimationFrame(() => done(true)))")
    assert (pixels(part(widget, "heatmap")) == before).mean() > 0.999
    notebook.set_theme("JupyterLab Light")


@pytest.mark.parametrize("name", ["query-entropy", "row", "legend"])
def test_a_key_after_a_click_inside_does_not_reach_the_notebook(open_notebook, name):
    notebook = open_notebook([MAPS + "view = aw.Explorer(make(), query=9); view"])
    notebook.run_all()
    widget = ready(notebook.widget())
    expect(part(widget, "row")).to_have_attribute("data-query", "9", timeout=TIMEOUT)
    part(widget, name).click(position={"x": 6, "y": 6})
    notebook.page.keyboard.press("m")
    notebook.page.keyboard.press("x")
    kinds = "window.jupyterapp.shell.currentWidget.content.widgets.map((cell) => cell.model.type)"
    assert notebook.page.evaluate(kinds) == ["code"]
    expect(part(widget, "heatmap")).to_be_visible()
