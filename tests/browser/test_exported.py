"""Notebooks that were turned into something else: the picture is in all of it, with and without stored state."""

from __future__ import annotations

import nbclient
import nbformat
import pytest
from nbconvert import HTMLExporter, LatexExporter, MarkdownExporter, SlidesExporter
from playwright.sync_api import expect

from tests.browser.test_explorer import MAPS, SHOW, part, ready, shown

CELLS = [MAPS + SHOW, 'page = aw.Explorer(make(seed=1), keep="page"); page']


@pytest.fixture(scope="module")
def executed():
    """A notebook that was run without a browser, by whether the state of its widgets is stored."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    nbclient.NotebookClient(notebook, store_widget_state=True).execute()
    bare = nbformat.from_dict(notebook)
    bare.metadata = {name: value for name, value in notebook.metadata.items() if name != "widgets"}
    assert "widgets" in notebook.metadata
    return {"state": notebook, "no state": bare}


@pytest.mark.parametrize("state", ["state", "no state"])
@pytest.mark.parametrize("exporter", [HTMLExporter, SlidesExporter])
def test_a_page_of_a_notebook_shows_picture_and_page_offline(executed, browser, tmp_path, exporter, state):
    path = tmp_path / "notebook.html"
    path.write_text(exporter().from_notebook_node(executed[state])[0], encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    fetched = []
    page.on("request", lambda request: fetched.append(request.url))
    # The page's own scripts come from elsewhere, and are not waited for.
    page.goto(path.as_uri(), wait_until="commit")
    picture = page.locator("[data-attnwidget-kept] img").first
    expect(picture).to_be_visible()
    assert picture.evaluate("(image) => image.complete && image.naturalWidth > 100")
    page.locator("iframe").scroll_into_view_if_needed()  # a frame that is not seen is not drawn
    widget = page.frame_locator("iframe").locator("[data-attnwidget=explorer]")
    part(ready(widget), "thumb", layer=2, head=3).click()
    shown(ready(widget), layer=2, head=3)
    assert not [url for url in fetched if "attnwidget" in url]
    context.close()


@pytest.mark.parametrize("state", ["state", "no state"])
def test_a_paper_of_a_notebook_has_the_picture_and_needs_no_converter(executed, state):
    written, resources = LatexExporter().from_notebook_node(executed[state])
    pictures = [name for name in resources["outputs"] if name in written]
    assert len(pictures) == 2
    assert all(name.endswith(".png") for name in pictures)
    assert ".svg" not in written


def test_where_scripts_are_written_out_they_are_folded_away(executed, browser):
    text, _ = MarkdownExporter().from_notebook_node(executed["no state"])
    kept = text[text.index("<div data-attnwidget-kept") : text.index("</script>")]
    # Else a reader of Markdown takes the rest for text.
    assert "\n\n" not in kept
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(text[text.index("<div data-attnwidget-kept") :].replace("<script", "&lt;script"))
    assert "querySelectorAll" in page.locator("details").first.text_content()
    assert "querySelectorAll" not in page.locator("body").inner_text()
    expect(page.locator("img").first).to_be_visible()
    context.close()
