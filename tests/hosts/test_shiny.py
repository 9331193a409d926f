"""Shiny, by way of shinywidgets."""

from __future__ import annotations

from tests.hosts.looking import TEXT, acts_both_ways, part

APP = f"""
from shiny import App, reactive, render, ui
from shinywidgets import output_widget, reactive_read, render_widget
import attnwidget as aw

def server(input, output, session):
    @render_widget
    def view():
        return aw.explore("{TEXT}")

    @render.text
    def chosen():
        return f"Python has layer {{reactive_read(view.widget, 'layer')}}, head {{reactive_read(view.widget, 'head')}}"

    @reactive.effect
    @reactive.event(input.go_on)
    def _():
        view.widget.head = (view.widget.head + 1) % 4

button = ui.input_action_button("go_on", "Go on")
app = App(ui.page_fluid(output_widget("view"), ui.output_text("chosen"), button), server)
"""


def test_an_app(serve, page, tmp_path):
    (tmp_path / "app.py").write_text(APP)
    page.goto(serve("shiny", "run", "--host=127.0.0.1", "--port={port}", "app.py"))
    widget = acts_both_ways(page)
    # Below the Explorer, which is as high as what is in it: nothing is cut off.
    legend = part(widget, "legend").bounding_box()
    button = page.get_by_role("button", name="Go on").bounding_box()
    assert button["y"] > legend["y"] + legend["height"]
    assert widget.evaluate("(host) => host.getBoundingClientRect().height >= host.scrollHeight - 1")
