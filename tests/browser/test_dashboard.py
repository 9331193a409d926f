"""The dashboard beside an Explorer in a real JupyterLab."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.test_explorer import MAPS, part, ready, shown

SHOW = "view = aw.Explorer(make(), layer=1, head=2); board = aw.dashboard(view); view"
TIMEOUT = 30_000
MARKED = re.compile(r"stroke: rgb\(213, 94, 0\)")
HERE = re.compile(r"^(https?|ws)://(localhost|127\.0\.0\.1)\b|^(blob|data):")


@pytest.fixture
def notebook(open_notebook):
    """An Explorer in one cell, its charts in another; nothing is asked of elsewhere."""
    notebook = open_notebook([MAPS, SHOW, "board"])
    away = []
    notebook.page.on("request", lambda asked: None if HERE.match(asked.url) else away.append(asked.url))
    notebook.run_all()
    ready(notebook.widget())
    notebook.output(2).scroll_into_view_if_needed()
    expect(dot(notebook, "L2 H3")).to_be_visible(timeout=TIMEOUT)
    yield notebook
    assert not away


def chart(notebook, title):
    return notebook.output(2).locator(".bqplot.figure").filter(has=notebook.page.get_by_text(title))


def dot(notebook, name):
    group = chart(notebook, "Entropy against locality").locator(".object_grp")
    return group.filter(has=notebook.page.get_by_text(name, exact=True)).locator("path.dot")


def test_a_click_on_a_dot_shows_its_head_and_a_head_chosen_in_the_explorer_is_marked(notebook):
    expect(dot(notebook, "L1 H2")).to_have_attribute("style", MARKED)
    dot(notebook, "L2 H3").click()
    shown(notebook.widget(), layer=2, head=3)
    expect(dot(notebook, "L2 H3")).to_have_attribute("style", MARKED)
    expect(dot(notebook, "L1 H2")).not_to_have_attribute("style", MARKED)
    notebook.widget().scroll_into_view_if_needed()
    part(notebook.widget(), "thumb", layer=0, head=1).click()
    expect(dot(notebook, "L0 H1")).to_have_attribute("style", MARKED)
    expect(dot(notebook, "L2 H3")).not_to_have_attribute("style", MARKED)
    expect(notebook.output(2).get_by_role("status")).to_contain_text("L0 H1: entropy")


def test_a_brush_shows_the_mean_of_its_heads_and_an_empty_one_the_head_before(notebook):
    page, scatter = notebook.page, chart(notebook, "Entropy against locality")
    notebook.output(2).get_by_role("button", name="Drag over several").click()
    overlay = scatter.locator(".brushintsel .overlay")
    expect(overlay).to_be_attached(timeout=TIMEOUT)
    box = overlay.bounding_box()
    left, right, middle = box["x"] + 60, box["x"] + box["width"] - 2, box["y"] + box["height"] / 2
    inside = []
    for layer, head in [(layer, head) for layer in range(3) for head in range(4)]:
        at = dot(notebook, f"L{layer} H{head}").bounding_box()
        if at["x"] + at["width"] / 2 > left:
            inside.append([layer, head])
    assert 2 <= len(inside) < 12
    page.mouse.move(left, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(right, middle)
    page.mouse.move(right, box["y"] + box["height"] - 2)
    page.mouse.up()
    notebook.await_value("[view.map, view.selected]", ["mean of chosen heads", inside])
    expect(part(notebook.widget(), "heatmap")).to_have_attribute("aria-label", re.compile("[Mm]ean of chosen heads"))
    overlay.click(position={"x": 20, "y": 20})  # beside it
    notebook.await_value("[view.map, view.layer, view.head, view.selected]", ["attention", 1, 2, []])
    shown(notebook.widget(), layer=1, head=2)


def test_layers_and_rows_of_the_matrix_can_be_clicked_and_hovered(notebook):
    page = notebook.page
    chart(notebook, "Entropy along depth").locator("rect.bar").nth(2).click()
    shown(notebook.widget(), layer=2, head=2)
    cell = chart(notebook, "How far apart all heads are").locator(".heatmapcell").nth(4 * 12 + 7)
    cell.hover()
    tip = page.locator(".bqplot_mark_tooltip:visible")
    expect(tip).to_contain_text("L1 H0")
    expect(tip).to_contain_text("L1 H3")
    cell.click()
    shown(notebook.widget(), layer=1, head=0)


def test_words_have_the_colours_of_the_notebook_in_the_dark(notebook):
    notebook.set_theme("JupyterLab Dark")
    wanted = notebook.page.evaluate("""() => {
      const probe = document.body.appendChild(document.createElement("p"));
      probe.style.color = "var(--jp-content-font-color1)";
      const { color } = getComputedStyle(probe);
      probe.remove();
      return color;
    }""")
    depth = chart(notebook, "Entropy along depth")
    for words in (depth.locator(".mainheading"), depth.locator(".axislabel").first):
        expect(words).to_have_css("fill", wanted)
