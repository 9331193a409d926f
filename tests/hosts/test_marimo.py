"""marimo: as an app, as a notebook, and as an exported page."""

from __future__ import annotations

from tests.hosts.looking import TEXT, acts_both_ways, choose, ready, shown

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
    mo.ui.button(label="Next head", on_click=go_on)
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
