"""Each view in a real JupyterLab, against what Python holds."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.test_explorer import TIMEOUT, part, ready

SHOW = 'view = aw.explore("Lily and Ben went to the park . Lily gave the ball to", {}); view'


def opened(open_notebook, choices):
    notebook = open_notebook(["import attnwidget as aw\n" + SHOW.format(choices)])
    notebook.run_all()
    return notebook, ready(notebook.widget())


def test_lines_are_the_weights_of_the_heads_that_are_switched_on(open_notebook):
    notebook, widget = opened(open_notebook, "view='lines', layer=1, head=2")
    drawn = part(widget, "lines-all-drawn")
    expect(drawn).to_have_attribute("data-heads", "2", timeout=TIMEOUT)
    n = notebook.value("view.maps.n_queries")
    expect(part(widget, "lines-count")).to_have_text(f"{n * (n + 1) // 2} lines.")
    word = part(widget, "lines-query", index=9)
    word.hover()
    row = notebook.value("view.maps.weights(1, 2)[9].tolist()")
    told = part(widget, "lines-told")
    expect(told).to_contain_text("looks at")
    assert float(re.search(r"” (\d\.\d+)", told.inner_text()).group(1)) == pytest.approx(max(row), abs=1e-3)
    word.click()
    notebook.await_value("view.query", 9)
    part(widget, "lines-query", index=4).click(modifiers=["Shift"])
    notebook.await_value("view.also", [4])
    part(widget, "lines-head", head=0).click()
    notebook.await_value("view.heads", [2, 0])
    expect(drawn).to_have_attribute("data-heads", "2,0", timeout=TIMEOUT)
    notebook.execute("view.threshold = 0.3; view.heads = []; view.query = None")
    kept = notebook.value("int((view.maps.weights(1, 2) >= 0.3).sum())")
    expect(drawn).to_have_attribute("data-lines", str(kept), timeout=TIMEOUT)


def test_a_text_is_shaded_by_rows_and_by_columns(open_notebook):
    notebook, widget = opened(open_notebook, "view='text', layer=1, head=2, query=9")
    words = part(widget, "text").locator(".word")

    def shades():
        return [float(word.get_attribute("data-weight") or "nan") for word in words.all()]

    def shaded(wanted):
        for index, weight in enumerate(notebook.value(wanted)):
            expect(words.nth(index)).to_have_attribute(
                "data-weight", re.compile("^$" if weight is None else r"\d"), timeout=TIMEOUT
            )
        found = shades()
        for index, weight in enumerate(notebook.value(wanted)):
            if weight is not None:
                assert found[index] == pytest.approx(weight, abs=1e-3)

    shaded("view.maps.weights(1, 2)[9, :10].tolist() + [None] * (view.maps.n_keys - 10)")
    words.nth(3).click(modifiers=["ControlOrMeta"])
    notebook.await_value("[view.query, view.also]", [9, [3]])
    expect(part(widget, "read")).to_have_text("2 queries")
    shaded("view.maps.weights(1, 2)[[9, 3], :10].mean(0).tolist() + [None] * (view.maps.n_keys - 10)")
    part(widget, "reading-column").click()
    notebook.await_value("view.reading", "column")
    words.nth(5).click()
    notebook.await_value("[view.query, view.also, view.key]", [None, [], 5])
    expect(part(widget, "read")).to_contain_text("key 5")
    shaded("[None] * 5 + view.maps.weights(1, 2)[5:, 5].tolist()")
