"""What a notebook keeps of a view: seen wherever the view itself cannot be, and never beside it."""

from __future__ import annotations

import json

import nbformat
import pytest
from playwright.sync_api import expect

from tests.browser.lab import Lab, Notebook, write_notebook
from tests.browser.test_explorer import BUSY, MAPS, SHOW, TIMEOUT, part, ready, shown

KEPT = "[data-attnwidget-kept]"
CELLS = [
    MAPS + SHOW,
    'page = aw.Explorer(make(seed=1), keep="page"); page',
    "import ipywidgets\nboxed = aw.Explorer(make(seed=2)); boxed.keep(); ipywidgets.HBox([boxed])",
    "aw.Explorer(make(seed=3), keep=None)",
    "view.keep(); ipywidgets.IntSlider()",
]
TAB = """import ipywidgets
hidden = aw.Explorer(make()); hidden.keep()
ipywidgets.Tab([ipywidgets.HTML('first'), hidden], titles=['one', 'two'])"""
LIVE = [
    MAPS,
    SHOW,
    TAB,
    "from IPython.display import display\nviews = [aw.Explorer(make(seed=n)) for n in range(20)]\ndisplay(*views)",
]
ADVICE = "Kept from the live view, which needs a kernel: run this cell."

# Frames that show what is kept although there is a live view, or is about to be.
WATCH = """() => {
  window.flashes = 0;
  const look = () => {
    window.flashes += [...document.querySelectorAll("[data-attnwidget-kept]")].some((one) => one.checkVisibility());
    requestAnimationFrame(look);
  };
  look();
}"""


def kept(notebook, cell=0):
    """What is kept in a cell."""
    return notebook.cell(cell).locator(KEPT)


def pictured(notebook, cell=0):
    """Wait until the picture in a cell is there, and seen, and nothing that failed beside it."""
    picture = kept(notebook, cell).locator("img").first
    expect(picture).to_be_visible(timeout=TIMEOUT)
    assert picture.evaluate("(image) => image.complete && image.naturalWidth > 100")
    for failure in ("model not found", "Loading widget", "javascript error"):
        expect(notebook.cell(cell).get_by_text(failure).filter(visible=True)).to_have_count(0)
    return kept(notebook, cell)


def live(notebook, cell=0):
    """Wait until the live view of a cell is drawn, alone."""
    widget = ready(notebook.cell(cell).locator("[data-attnwidget=explorer]"))
    expect(widget).to_be_visible()
    expect(kept(notebook, cell)).to_be_hidden()
    return widget


def outputs(path, cell=0):
    """The outputs of a cell of a notebook on disk."""
    return json.loads(path.read_text())["cells"][cell]["outputs"]


def copied(path, name, change):
    """Another file of a notebook."""
    notebook = nbformat.read(path, 4)
    change(notebook)
    copy = path.with_name(f"{name}.ipynb")
    nbformat.write(notebook, copy)
    return copy


@pytest.fixture(scope="module")
def yesterday(lab, context):
    """A notebook that was run and saved, and its kernel shut down."""
    path = write_notebook(lab.folder / "work" / "yesterday.ipynb", CELLS)
    notebook = Notebook(lab, context.new_page(), path)
    notebook.run_all()
    for cell in range(4):
        # JupyterLab gives no width to what is far from sight.
        notebook.cell(cell).scroll_into_view_if_needed()
        ready(notebook.cell(cell).locator("[data-attnwidget=explorer]"))
    notebook.save()
    notebook.close()
    return path


@pytest.fixture(scope="module")
def without_kernel(lab, yesterday):
    """The same, trusted, for which no kernel is found."""

    def forget(notebook):
        del notebook.metadata["kernelspec"], notebook.metadata["language_info"]

    path = copied(yesterday, "without-kernel", forget)
    lab.trust(path)
    return path


@pytest.fixture(scope="module")
def running(lab, context):
    """A notebook whose cells tests run, each its own."""
    notebook = Notebook(lab, context.new_page(), write_notebook(lab.folder / "work" / "running.ipynb", LIVE))
    notebook.run_cell(0)
    yield notebook
    notebook.close()
    assert not notebook.errors


def test_the_live_view_stands_alone_and_the_file_has_both(running):
    running.page.evaluate(WATCH)
    running.run_cell(1)
    live(running, 1)
    # Longer than the kept output waits for a live view: its own clock has to pass.
    running.page.wait_for_function(
        "(until) => performance.now() > until", arg=running.page.evaluate("performance.now()") + 3_500
    )
    assert running.page.evaluate("window.flashes") == 0
    running.save()
    first, second = outputs(running.path, 1)
    assert set(first["data"]) == {"text/html", "image/png", "text/plain"}
    assert set(second["data"]) == {"application/vnd.jupyter.widget-view+json", "text/plain"}
    assert running.value("type(_).__name__") == "Explorer"


def test_what_is_kept_follows_the_last_choice_and_stays_when_the_view_is_closed(running):
    running.run_cell(1)
    widget = live(running, 1)
    part(widget, "thumb", layer=2, head=3).click()
    shown(ready(widget), layer=2, head=3)
    expect(kept(running, 1)).to_contain_text("layer 2 · head 3", timeout=TIMEOUT)
    expect(kept(running, 1)).to_be_hidden()
    running.save()
    assert "layer 2 · head 3" in "".join(outputs(running.path, 1)[0]["data"]["text/plain"])
    running.execute("view.close()")
    pictured(running, 1)


def test_a_view_in_a_hidden_tab_is_drawn_when_the_tab_is_opened(running):
    running.run_cell(2)
    running.page.get_by_role("tab", name="two").click()
    live(running, 2)


def test_twenty_views_of_one_cell_are_drawn_and_their_file_is_small(running):
    # On a machine a sixth as fast none is forgotten for the drawing of others: `running` sees what fails in the page.
    session = running.page.context.new_cdp_session(running.page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 6})
    running.run_cell(3)
    widgets = running.cell(3).locator("[data-attnwidget=explorer]")
    expect(widgets).to_have_count(20, timeout=2 * TIMEOUT)
    ready(widgets.nth(0))
    session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    for at in range(20):
        ready(widgets.nth(at))
        expect(kept(running, 3).nth(at)).to_be_hidden()
    expect(kept(running, 3).locator("img")).to_have_count(20, timeout=TIMEOUT)
    running.save()
    assert running.path.stat().st_size < 1e6


def test_ones_own_notebook_of_yesterday_shows_what_was_kept(open_notebook, yesterday):
    notebook = open_notebook(yesterday)
    for cell in (0, 2, 4):
        pictured(notebook, cell)
        expect(kept(notebook, cell)).to_contain_text(ADVICE)
    frame = kept(notebook, 1).frame_locator("iframe")
    ready(frame.locator("[data-attnwidget=explorer]"))
    expect(kept(notebook, 1).locator("img")).to_be_hidden()  # the same, and less
    assert outputs(yesterday, 3)[0]["data"].keys() == {"application/vnd.jupyter.widget-view+json", "text/plain"}
    notebook.run_all()
    for cell in range(3):
        live(notebook, cell)
    # What stands beside it by chance is no view that failed.
    expect(notebook.cell(4).locator(".widget-slider")).to_be_visible()


def test_without_a_kernel_the_picture_is_there_and_a_page_is_alive(open_notebook, without_kernel):
    notebook = open_notebook(without_kernel, kernel=False)
    said = pictured(notebook)
    expect(said).to_contain_text("14 tokens · layer 0 · head 0")
    said.locator("summary").click()
    expect(said.get_by_role("row").nth(1)).to_contain_text("and")
    pictured(notebook, 2)
    widget = kept(notebook, 1).frame_locator("iframe").locator("[data-attnwidget=explorer]")
    part(ready(widget), "thumb", layer=2, head=3).click()
    shown(ready(widget), layer=2, head=3)
    part(widget, "temperature").fill("0.5")
    shown(widget, temperature=3.16)
    notebook.page.emulate_media(media="print")
    expect(kept(notebook).locator("img")).to_be_visible()


def test_a_strangers_notebook_shows_picture_and_numbers(open_notebook, yesterday):
    notebook = open_notebook(copied(yesterday, "stranger", lambda notebook: notebook.metadata.update(stranger=True)))
    output = notebook.cell(0).locator(".jp-RenderedHTML").first
    expect(output.locator("img")).to_be_visible(timeout=TIMEOUT)
    assert output.locator("script").count() == 0
    expect(output).to_contain_text(ADVICE)
    output.locator("summary").click()
    expect(output.get_by_role("row").last).to_contain_text("0.381")
    # Where a frame is taken out, what it stands for is not.
    expect(notebook.cell(1).locator(".jp-RenderedHTML img")).to_be_visible()


def test_the_same_in_notebook_7(open_notebook, without_kernel, yesterday):
    notebook = open_notebook(yesterday, tree="notebooks")
    pictured(notebook)
    notebook.page.evaluate(WATCH)
    notebook.run_cell(0)
    live(notebook)
    notebook.page.close()
    pictured(open_notebook(without_kernel, tree="notebooks", kernel=False))


SAVED = """() => window.jupyterapp.serviceManager.settings.save(
  "@jupyter-widgets/jupyterlab-manager:plugin", JSON.stringify({ saveState: %s }))"""


@pytest.fixture
def saved_state(open_notebook):
    """JupyterLab's setting that writes the state of widgets into notebooks."""
    settings = open_notebook(["pass"])
    settings.page.evaluate(SAVED % "true")
    yield
    settings.page.evaluate(SAVED % "false")


@pytest.mark.usefixtures("saved_state")
def test_stored_state_takes_nothing_away(open_notebook, lab):
    notebook = open_notebook([MAPS + SHOW])
    notebook.run_all()
    live(notebook)
    notebook.save()
    notebook.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    notebook.page.close()
    assert "widgets" in json.loads(notebook.path.read_text())["metadata"]

    def forget(notebook):
        del notebook.metadata["kernelspec"], notebook.metadata["language_info"]

    alone = copied(notebook.path, "state-without-kernel", forget)
    lab.trust(alone)
    pictured(open_notebook(alone, kernel=False))

    again = open_notebook(notebook.path)
    # Its own answers came with it: the heads of its layer are drawn, and what is missing is said.
    widget = live(again)
    expect(part(widget, "status")).to_contain_text("No kernel has these maps; this was kept on 20")
    part(widget, "thumb", layer=0, head=3).click()
    shown(ready(widget), layer=0, head=3)
    part(widget, "thumb", layer=2, head=3).click()
    expect(widget).to_contain_text("there is no kernel to ask for it")
    again.run_all()
    live(again)


def test_a_page_that_is_reloaded_shows_picture_or_view(open_notebook):
    notebook = open_notebook([MAPS + SHOW, BUSY])
    notebook.run_cell(0)
    live(notebook)
    notebook.save()
    notebook.open()
    live(notebook)
    notebook.start_cell(1)
    expect(notebook.output(1)).to_contain_text("running", timeout=TIMEOUT)
    notebook.open(idle=False)
    # Sooner than the 3 s after which it is clear that no live view comes.
    expect(kept(notebook).locator("img")).to_be_visible(timeout=2_500)
    pictured(notebook)
    notebook.interrupt()
    live(notebook)
    notebook.restart()
    expect(part(notebook.widget(), "heatmap")).to_be_visible()
    expect(kept(notebook)).to_be_hidden()
    notebook.open()
    pictured(notebook)


NO_WIDGETS = {
    "without the extension": ({"without": "anywidget"}, "for want of the anywidget extension"),
    "policy": ({"policy": "script-src 'self' 'unsafe-inline' 'unsafe-eval'"}, "forbids modules from blob: addresses"),
}


@pytest.mark.parametrize("host", NO_WIDGETS)
def test_where_no_widget_can_be_drawn_there_is_the_picture_and_the_reason(host, tmp_path, context):
    options, reason = NO_WIDGETS[host]
    lab = Lab(tmp_path / "lab", **options)
    try:
        page = context.new_page()
        notebook = Notebook(lab, page, write_notebook(lab.folder / "work" / "run.ipynb", [MAPS + SHOW]))
        notebook.run_all()
        expect(kept(notebook)).to_contain_text(reason, timeout=TIMEOUT)
        pictured(notebook)
        notebook.close()
    finally:
        lab.stop()
