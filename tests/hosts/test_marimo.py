"""marimo: as an app, as a notebook, and as an exported page."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import marimo
from playwright.sync_api import expect

from tests.hosts.looking import TEXT, TIMEOUT, acts_both_ways, choose, part, ready, shown
from tests.hosts.server import PROGRAMS

NOTEBOOK = f"""
import marimo
app = marimo.App()

@app.cell
def _():
    import marimo as mo
    import attnwidget as aw
    held = mo.ui.anywidget(aw.explore("{TEXT}"))
    held
    return held, mo

@app.cell
def _(held, mo):
    mo.md(f"Python has layer {{held.value['layer']}}, head {{held.value['head']}}")

@app.cell
def _(held, mo):
    def go_on(_):
        held.widget.head = (held.widget.head + 1) % 4
    mo.ui.button(label="Go on", on_click=go_on)
"""
SERVING = ("--headless", "--no-token", "--host=127.0.0.1", "--port={port}", "notebook.py")


def test_an_app(serve, page, tmp_path):
    (tmp_path / "notebook.py").write_text(NOTEBOOK)
    page.goto(serve("marimo", "run", *SERVING))
    acts_both_ways(page)


def test_a_view_that_is_not_wrapped(serve, page, tmp_path):
    wrapped = f'mo.ui.anywidget(aw.explore("{TEXT}"))'
    assert wrapped in NOTEBOOK
    bare = NOTEBOOK.partition("@app.cell\ndef _(held")[0].replace(wrapped, f'aw.explore("{TEXT}")')
    (tmp_path / "notebook.py").write_text(bare)
    page.goto(serve("marimo", "run", *SERVING))
    choose(ready(page), 2, 1)


def test_a_notebook_keeps_its_head_when_it_is_loaded_again(serve, page, tmp_path):
    (tmp_path / "notebook.py").write_text(NOTEBOOK)
    (tmp_path / "pyproject.toml").write_text("[tool.marimo.runtime]\nauto_instantiate = true")
    page.goto(serve("marimo", "edit", *SERVING))
    acts_both_ways(page)
    page.reload()
    shown(ready(page), 1, 3)


def test_an_exported_page_draws_what_it_was_opened_with(page, tmp_path):
    (tmp_path / "notebook.py").write_text(NOTEBOOK)
    exported = tmp_path / "page.html"
    command = [PROGRAMS / "marimo", "export", "html", "notebook.py", "-o", exported]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    # marimo's own front end is what such a page fetches.
    own = re.compile(r"^https://cdn\.jsdelivr\.net/npm/@marimo-team/frontend@[^/]*/dist/")
    files = Path(marimo.__file__).parent / "_static"

    def answer(route):
        wanted = files / own.sub("", route.request.url).partition("?")[0]
        route.fulfill(path=wanted, headers={"Access-Control-Allow-Origin": "*"})

    page.route(own, answer)
    page.goto(exported.as_uri())
    choose(ready(page), 0, 2)


PLAYGROUND = """
import marimo
app = marimo.App()

@app.cell
def _():
    import marimo as mo
    import attnwidget as aw
    held = mo.ui.anywidget(aw.Playground("temperature"))
    held
    return held, mo

@app.cell
def _(held, mo):
    mo.md(f"Python has T = {held.value['temperature']}, weights {held.widget.weights.round(3).tolist()}")

@app.cell
def _(held, mo):
    def cool(_):
        held.widget.temperature = 0.01
    mo.ui.button(label="Cool down", on_click=cool)
"""


def test_a_playground_acts_both_ways(serve, page, tmp_path):
    (tmp_path / "notebook.py").write_text(PLAYGROUND)
    page.goto(serve("marimo", "run", *SERVING))
    widget = page.locator("[data-attnwidget=playground]")
    expect(widget).to_have_attribute("data-state", "ready", timeout=TIMEOUT)
    part(widget, "temperature-stop", value=0.1).click()
    expect(part(widget, "weights")).to_have_text(["0.018", "0.981", "0.001"], timeout=TIMEOUT)
    expect(page.get_by_text("Python has T = 0.1, weights [[0.018, 0.981, 0.001]]")).to_be_visible(timeout=TIMEOUT)
    page.get_by_role("button", name="Cool down").click()
    expect(part(widget, "weights")).to_have_text(["0.000", "1.000", "0.000"], timeout=TIMEOUT)
