"""What a notebook keeps of a view: seen wherever the view itself cannot be, and never beside it."""

from __future__ import annotations

import json

import nbformat
import pytest
from playwright.sync_api import expect

from tests.browser.test_explorer import BUSY, MAPS, SHOW, TIMEOUT, part, ready, shown
from tests.browser.test_faults import saved_state  # noqa: F401 - a fixture

KEPT = "[data-attnwidget-kept]"


def kept(notebook, index=0):
    """What is kept of the index-th view of the notebook that is open."""
    return notebook.page.locator(KEPT).nth(index)


def pictured(notebook):
    """Wait until the picture of the first view is there, and seen."""
    picture = kept(notebook).locator("img")
    expect(picture).to_be_visible(timeout=TIMEOUT)
    assert picture.evaluate("(image) => image.complete && image.naturalWidth > 100")
    return kept(notebook)


@pytest.fixture
def saved(open_notebook):
    """A notebook that was run and saved, and its kernel shut down."""

    def run(cells=(MAPS + SHOW,)):
        notebook = open_notebook(list(cells))
        notebook.run_all()
        ready(notebook.widget())
        notebook.save()
        notebook.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        notebook.page.close()
        return notebook.path

    return run


def outputs(path):
    """The outputs of the first cell of a notebook on disk."""
    return json.loads(path.read_text())["cells"][0]["outputs"]


def test_the_live_view_stands_alone_and_the_file_has_both(open_notebook):
    notebook = open_notebook([MAPS + SHOW])
    notebook.run_all()
    ready(notebook.widget())
    expect(kept(notebook)).to_be_hidden()
    notebook.save()
    first, second = outputs(notebook.path)
    assert set(first["data"]) == {"text/html", "image/png", "text/plain"}
    assert set(second["data"]) == {"application/vnd.jupyter.widget-view+json", "text/plain"}
    notebook.page.wait_for_timeout(3_500)  # longer than the kept output waits for a live view
    expect(kept(notebook)).to_be_hidden()
    assert notebook.value("repr(_)[:9]") == "<Explorer"


def test_ones_own_notebook_of_yesterday_shows_its_picture(open_notebook, saved):
    notebook = open_notebook(saved())
    pictured(notebook)
    expect(notebook.page.get_by_text("model not found")).to_have_count(0)
    notebook.run_all()
    ready(notebook.widget())
    expect(kept(notebook)).to_be_hidden()


@pytest.mark.usefixtures("saved_state")
def test_stored_state_takes_nothing_away(open_notebook, saved):
    notebook = open_notebook(saved())
    expect(notebook.widget()).to_be_visible(timeout=TIMEOUT)
    # Its own answers came with it: the first picture is drawn, and what is missing is said.
    shown(ready(notebook.widget()), layer=0, head=0)
    expect(part(notebook.widget(), "status")).to_contain_text("No kernel has these maps; this was kept.")


def test_without_a_kernel_the_picture_is_there(open_notebook, saved):
    notebook = open_notebook(saved(), kernel=False)
    pictured(notebook)


def test_a_strangers_notebook_shows_picture_and_numbers(open_notebook, saved):
    path = saved()
    written = nbformat.read(path, 4)
    written.cells[0].metadata.pop("trusted", None)
    stranger = path.with_name(f"stranger-{path.name}")
    written.metadata["stranger"] = True  # no signature fits it
    nbformat.write(written, stranger)
    notebook = open_notebook(stranger)
    shown_kept = pictured(notebook)
    shown_kept.locator("summary").click()
    expect(shown_kept.locator("td").nth(1)).to_have_text("0", use_inner_text=True, timeout=1) if False else None
    assert shown_kept.locator("tr").count() > 3


def test_a_page_that_is_reloaded_while_a_cell_runs_shows_the_picture(open_notebook):
    notebook = open_notebook([MAPS + SHOW, BUSY])
    notebook.run_cell(0)
    ready(notebook.widget())
    notebook.save()
    notebook.start_cell(1)
    expect(notebook.cell(1)).to_contain_text("running", timeout=TIMEOUT)
    notebook.open(idle=False)
    pictured(notebook)
    notebook.execute_beside("stop = True")
    ready(notebook.widget())
    expect(kept(notebook)).to_be_hidden()


def test_what_is_kept_follows_the_last_choice(open_notebook):
    notebook = open_notebook([MAPS + SHOW])
    notebook.run_all()
    widget = ready(notebook.widget())
    part(widget, "thumb", layer=2, head=3).click()
    shown(ready(widget), layer=2, head=3)
    expect(kept(notebook).locator("p").first).to_contain_text("layer 2 · head 3", timeout=TIMEOUT)
    notebook.save()
    assert "layer 2 · head 3" in "".join(outputs(notebook.path)[0]["data"]["text/plain"])


def test_a_closed_view_leaves_its_picture(open_notebook):
    notebook = open_notebook([MAPS + SHOW])
    notebook.run_all()
    ready(notebook.widget())
    expect(kept(notebook)).to_be_hidden()
    notebook.execute("view.close()")
    pictured(notebook)


def test_a_view_in_a_box_keeps_where_it_is_told_to(open_notebook):
    notebook = open_notebook([f"{MAPS}\nimport ipywidgets\n{SHOW}; view.keep(); ipywidgets.HBox([view])"])
    notebook.run_all()
    ready(notebook.widget())
    expect(kept(notebook)).to_be_hidden()
    notebook.save()
    assert ["image/png" in one["data"] for one in outputs(notebook.path)] == [True, False]


def test_nothing_is_kept_where_nobody_wants_it(open_notebook):
    notebook = open_notebook([MAPS + "view = aw.Explorer(make(), keep=None); view"])
    notebook.run_all()
    ready(notebook.widget())
    notebook.save()
    assert len(outputs(notebook.path)) == 1


def test_a_page_may_be_kept_and_is_alive_without_a_kernel(open_notebook, saved):
    notebook = open_notebook(saved([MAPS + 'view = aw.Explorer(make(), keep="page"); view']), kernel=False)
    frame = kept(notebook).frame_locator("iframe")
    widget = frame.locator("[data-attnwidget=explorer]")
    expect(widget).to_have_attribute("data-state", "ready", timeout=TIMEOUT)
    part(widget, "thumb", layer=2, head=3).click()
    shown(widget, layer=2, head=3)
