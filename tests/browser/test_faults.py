"""What goes wrong between a notebook and its kernel: the widget recovers, or says what to do."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from playwright.sync_api import expect

from tests.browser.lab import Wire
from tests.browser.test_explorer import BUSY, MAPS, SHOW, TIMEOUT, part, ready, shown

GONE = "The kernel was restarted or shut down: run the cell again."


def loaded(widget):
    """Wait until there is nothing left to ask for."""
    expect(part(widget, "progress", done="true")).to_be_attached(timeout=TIMEOUT)
    expect(part(widget, "findings")).to_have_attribute("data-healthy", "true", timeout=TIMEOUT)
    return ready(widget)


def works(notebook, widget, layer=2, head=3):
    """A head that is chosen is drawn, and Python knows."""
    part(widget, "thumb", layer=layer, head=head).click()
    ready(widget)
    shown(widget, layer=layer, head=head)
    notebook.await_value("[view.layer, view.head]", [layer, head])


def test_a_restarted_kernel_is_told_at_once_and_what_came_stays(open_notebook):
    notebook = open_notebook([MAPS + SHOW])
    notebook.run_all()
    widget = loaded(notebook.widget())
    notebook.restart()
    expect(part(widget, "status")).to_have_text(GONE, timeout=5_000)
    expect(part(widget, "heatmap")).to_be_visible()
    expect(part(widget, "thumb", loaded="true")).to_have_count(12)
    part(widget, "thumb", layer=2, head=3).click()
    expect(widget).to_contain_text("This had not come, and there is no kernel to ask for it.")
    expect(widget.get_by_role("button", name="Try again")).to_have_count(0)
    part(widget, "thumb", layer=0, head=0).click()
    expect(part(widget, "heatmap")).to_be_visible()
    notebook.run_all()
    works(notebook, ready(notebook.widget()))


def test_a_kernel_that_dies_is_told_when_somebody_asks(open_notebook):
    notebook = open_notebook([MAPS + SHOW, "import os; os._exit(1)"])
    notebook.run_cell(0)
    widget = loaded(notebook.widget())
    notebook.start_cell(1)
    notebook.page.locator(".jp-Dialog button").click(timeout=TIMEOUT)
    part(widget, "thumb", layer=2, head=3).click()
    expect(part(widget, "status")).to_have_text(GONE, timeout=TIMEOUT)
    part(widget, "thumb", layer=0, head=0).click()
    expect(part(widget, "heatmap")).to_be_visible()
    notebook.run_cell(0)
    works(notebook, ready(notebook.widget()))


def test_a_killed_kernel_costs_nothing_that_is_here(open_notebook):
    notebook = open_notebook([MAPS + SHOW, "import os; os._exit(1)"])
    notebook.run_cell(0)
    widget = loaded(notebook.widget())
    weights = np.array(notebook.value("view.maps.weights(0, 3, temperature=2.0).tolist()"))
    notebook.start_cell(1)
    notebook.page.locator(".jp-Dialog button").click(timeout=TIMEOUT)
    for head in (2, 1, 3):
        part(widget, "thumb", layer=0, head=head).click()
        shown(widget, layer=0, head=head)
    part(widget, "temperature").fill("0.3")
    shown(widget, temperature=2)
    part(widget, "save").click()
    with notebook.page.expect_download() as saved:
        part(widget, "save-csv").click()
    with Path(saved.value.path()).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))[1:]
    found = np.array([[float(cell or 0) for cell in row[1:]] for row in rows])
    np.testing.assert_allclose(found, weights, atol=1e-4)


def test_a_page_that_is_reloaded_shows_what_was_chosen(open_notebook):
    notebook = open_notebook([MAPS + SHOW])
    notebook.run_all()
    works(notebook, ready(notebook.widget()), layer=1, head=2)
    notebook.execute("view.query, view.temperature = 9, 2.0")
    notebook.save()
    notebook.open()
    widget = ready(notebook.widget())
    shown(widget, layer=1, head=2, temperature=2)
    expect(part(widget, "row")).to_have_attribute("data-query", "9")
    works(notebook, widget)


def test_where_no_widget_can_be_drawn_its_text_says_what_to_do(open_notebook):
    notebook = open_notebook([MAPS + SHOW])
    notebook.run_all()
    ready(notebook.widget())
    notebook.save()
    _, output = json.loads(notebook.path.read_text())["cells"][0]["outputs"]
    said = "".join(output["data"]["text/plain"])
    assert said == f"{notebook.value('repr(view)')}\nThe live view needs a kernel: run this cell in a notebook."


def test_a_socket_that_is_cut_during_a_request_is_waited_for(open_notebook, context):
    page = context.new_page()
    wire = Wire(page)
    notebook = open_notebook([MAPS + SHOW], page=page)
    notebook.run_all()
    widget = loaded(notebook.widget())
    wire.cut()
    part(widget, "thumb", layer=2, head=3).click()
    expect(part(widget, "status")).to_have_text(
        "The connection to the kernel is cut; the picture comes when it is back.", timeout=TIMEOUT
    )
    expect(widget).to_have_attribute("data-state", "waiting")
    wire.mend()
    ready(widget)
    shown(widget, layer=2, head=3)
    expect(part(widget, "status")).to_be_empty()
    notebook.await_value("[view.layer, view.head]", [2, 3])
    works(notebook, widget, layer=1, head=1)


def test_a_choice_that_was_on_its_way_when_the_socket_was_cut_is_not_lost(open_notebook, context):
    page = context.new_page()
    wire = Wire(page)
    notebook = open_notebook([MAPS + SHOW], page=page)
    notebook.run_all()
    widget = loaded(notebook.widget())
    # The host waits for the end of what it sent last before it sends more: here, for ever.
    wire.loses = lambda message: '"idle"' in str(message)
    part(widget, "thumb", layer=1, head=1).click()
    shown(widget, layer=1, head=1)
    wire.cut()
    part(widget, "thumb", layer=2, head=3).click()
    expect(widget).to_have_attribute("data-state", "waiting", timeout=TIMEOUT)
    wire.loses = lambda _message: False
    wire.mend()
    ready(widget)
    shown(widget, layer=2, head=3)
    notebook.await_value("[view.layer, view.head]", [2, 3])
    works(notebook, widget, layer=1, head=2)


def test_a_reply_that_is_lost_is_asked_for_again(open_notebook, context):
    page = context.new_page()
    wire = Wire(page)
    notebook = open_notebook([MAPS + SHOW], page=page)
    notebook.run_all()
    widget = loaded(notebook.widget())
    lost = []

    def lose_one(message):
        reply = b'"custom"' in message and b'"ok": true' in message and not lost
        lost.extend([message] if reply else [])
        return reply

    wire.loses = lose_one
    part(widget, "thumb", layer=2, head=3).click()
    ready(widget)
    shown(widget, layer=2, head=3)
    assert len(lost) == 1


ASK = """([comm, content]) => new Promise((resolve) => {
  const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
  const hear = (_, { content: { comm_id, data } }) => {
    if (comm_id !== comm || data?.content?.id !== content.id) return;
    kernel.iopubMessage.disconnect(hear);
    resolve(data.content);
  };
  kernel.iopubMessage.connect(hear);
  kernel._comms.get(comm).send({ method: "custom", content });
})"""
TILE = {
    "op": "tile",
    "map": "attention",
    "layer": 0,
    "head": 0,
    "rows": [0, 14],
    "columns": [0, 14],
    "height": 14,
    "width": 14,
    "temperature": 1,
    "scaling": 1,
}
REFUSED = [
    (TILE | {"rows": [0, 99]}, "rows 0 to 99 lie outside the map, which has rows 0 to 14."),
    (TILE | {"columns": [-3, 4]}, "columns -3 to 4 lie outside the map"),
    (TILE | {"height": 0}, "a tile of 0 x 14 cells cannot be drawn"),
    (TILE | {"layer": 7}, "layer 7 does not exist"),
    (TILE | {"head": -9}, "head -9 does not exist"),
    (TILE | {"map": "decoder"}, "there are no maps called 'decoder'"),
    (TILE | {"rows": None}, "cannot be read"),
    (TILE | {"temperature": "warm"}, "cannot be read"),
    ({"op": "tile"}, "cannot be read"),
    ({"op": "sing"}, "does not know the request 'sing'"),
    ({"op": ["tile"]}, "does not know the request ['tile']"),
    ({}, "does not know the request None"),
]


def test_a_request_that_cannot_be_answered_is_refused_in_a_sentence(open_notebook):
    notebook = open_notebook([MAPS + SHOW])
    notebook.run_all()
    widget = loaded(notebook.widget())
    comm = notebook.value("view.model_id")
    for at, (content, sentence) in enumerate(REFUSED):
        answer = notebook.page.evaluate(ASK, [comm, content | {"id": f"raw-{at}"}])
        assert answer["ok"] is False, content
        assert sentence in answer["error"], content
    for nobody in (None, 3, "text", {"op": "tile"}):
        notebook.page.evaluate(
            """([comm, content]) => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel
            ._comms.get(comm).send({ method: "custom", content })""",
            [comm, nobody],
        )
    works(notebook, widget)
    expect(part(widget, "status")).to_be_empty()
    expect(notebook.output(0)).not_to_contain_text("Traceback")


def test_after_an_interrupt_the_widget_works(open_notebook):
    notebook = open_notebook([MAPS + SHOW, BUSY])
    notebook.start_all()
    widget = ready(notebook.widget())
    expect(notebook.output(1)).to_contain_text("running", timeout=TIMEOUT)
    part(widget, "thumb", layer=1, head=1).click()
    notebook.interrupt()
    expect(notebook.output(1)).to_contain_text("KeyboardInterrupt", timeout=TIMEOUT)
    shown(ready(widget), layer=1, head=1)
    works(notebook, widget)


def test_of_two_widgets_one_is_closed_and_says_so(open_notebook):
    notebook = open_notebook([MAPS + SHOW, "other = aw.Explorer(make(seed=1)); other", "other"])
    notebook.run_cell(0)
    notebook.run_cell(1)
    ready(notebook.widget(1))
    notebook.execute("other.close()")
    expect(notebook.page.locator("[data-attnwidget]")).to_have_count(1)
    works(notebook, ready(notebook.widget(0)))
    notebook.run_cell(2)
    expect(notebook.output(2)).to_contain_text("<Explorer, closed: make a new one with attnwidget.explore()>")


MANY = """
import gc, weakref
from IPython.display import display
views = [aw.Explorer(make(seed=seed)) for seed in range(20)]
refs = [weakref.ref(view.maps) for view in views]
layers = [weakref.ref(view.maps.layers[0]) for view in views]
display(*views)
"""
CLOSE = "for view in views: view.close()\ndel views, view\n_ = gc.collect()"


def test_twenty_closed_widgets_leave_nothing_in_kernel_or_page(open_notebook):
    notebook = open_notebook([MAPS, MANY])
    page = notebook.page
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def left_behind():
        notebook.run_all()
        widgets = page.locator("[data-attnwidget]")
        expect(widgets).to_have_count(20, timeout=TIMEOUT)
        for at in range(20):
            ready(widgets.nth(at))
        notebook.execute(CLOSE)
        assert notebook.value("sum(ref() is not None for ref in refs + layers)") == 0
        expect(widgets).to_have_count(0)
        session.send("HeapProfiler.collectGarbage")
        metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
        return metrics["JSEventListeners"], metrics["Nodes"]

    listeners, nodes = left_behind()
    more_listeners, more_nodes = left_behind()
    # One widget has some hundreds of each.
    assert more_listeners - listeners < 100
    assert more_nodes - nodes < 500


def test_a_new_view_of_an_output_works_beside_the_first(open_notebook):
    notebook = open_notebook([MAPS + SHOW])
    notebook.run_all()
    ready(notebook.widget(0))
    notebook.page.evaluate("window.jupyterapp.commands.execute('notebook:create-output-view')")
    expect(notebook.page.locator("[data-attnwidget]")).to_have_count(2, timeout=TIMEOUT)
    first, second = ready(notebook.widget(0)), ready(notebook.widget(1))
    part(second, "thumb", layer=1, head=3).click()
    shown(first, layer=1, head=3)
    works(notebook, first)
    shown(ready(second), layer=2, head=3)
