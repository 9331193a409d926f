"""Voila: a notebook as an app."""

from __future__ import annotations

from tests.browser.lab import write_notebook
from tests.hosts.looking import TEXT, acts_both_ways

CELL = f"""
import ipywidgets
import attnwidget as aw
view = aw.explore("{TEXT}")
said = ipywidgets.Label()
def say(_):
    said.value = f"Python has layer {{view.layer}}, head {{view.head}}"
def go_on(_):
    view.head = (view.head + 1) % 4
view.observe(say, ["layer", "head"])
button = ipywidgets.Button(description="Go on")
button.on_click(go_on)
display(view, said, button)
"""


def test_an_app(serve, page, tmp_path):
    write_notebook(tmp_path / "notebook.ipynb", [CELL])
    page.goto(serve("voila", "--no-browser", "--port={port}", "notebook.ipynb"))
    acts_both_ways(page)
