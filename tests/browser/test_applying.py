"""Apply to the model in a real JupyterLab: each change gives what Python computes of it."""

from __future__ import annotations

import time

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.test_explorer import TIMEOUT, part, read_cells, ready, shown

MODEL = """
from contextlib import ExitStack
import attnwidget as aw
text = "Lily and Ben went to the park . Lily gave the ball to"
model, tokenizer = aw.demo.load("storyteller")
def changed(*changes):
    with ExitStack() as stack:
        for change in changes:
            stack.enter_context(aw.effects.intervene(model, **change))
        return aw.capture(model, text, tokenizer, logits="all", progress=False)
def outcome(*changes):
    before, after = (run.next_token_probabilities.double() for run in (changed(), changed(*changes)))
    ids = [tokenizer.convert_tokens_to_ids(token) for token, _, _ in view.outcome["candidates"]]
    return {"kl": (before * (before.log() - after.log())).sum().item(), "after": after[ids].tolist()}
"""
VIEW = "view = aw.explore(text, model=model, tokenizer=tokenizer, layer=1, head=2); view"


def assert_bars(notebook, widget, *changes):
    """The bars come to be what the model says with its attention changed by hand."""
    given = ", ".join(map(repr, changes))
    deadline = time.monotonic() + 30
    while True:
        wanted = notebook.value(f"outcome({given})")
        rows = part(widget, "candidate").evaluate_all("rows => rows.map(({ dataset }) => Number(dataset.after))")
        sums = part(widget, "sums")
        kl = float(sums.get_attribute("data-kl") or "nan") if sums.count() else float("nan")
        if kl == pytest.approx(wanted["kl"], abs=1e-6) and rows == pytest.approx(wanted["after"], abs=1e-6):
            return
        assert time.monotonic() < deadline, (kl, rows, wanted)


def test_slider_key_and_cut_change_the_bars_to_what_python_computes(open_notebook):
    notebook = open_notebook([MODEL, VIEW])
    notebook.run_all()
    widget = ready(notebook.widget())
    cells = notebook.page.locator(".jp-Notebook .jp-Cell")
    expect(part(widget, "applied")).to_be_enabled(timeout=TIMEOUT)
    part(widget, "applied").check()
    expect(part(widget, "unchanged")).to_be_visible(timeout=TIMEOUT)
    assert_bars(notebook, widget)

    part(widget, "temperature-stop", value=2).click()
    expect(part(widget, "change")).to_have_text(["temperature 2 in layer 1 head 2\u00d7"], timeout=TIMEOUT)
    heated = {"heads": (1, 2), "temperature": 2}
    assert_bars(notebook, widget, heated)

    part(widget, "thumb", layer=0, head=1).click()
    notebook.page.keyboard.press("x")
    expect(part(widget, "thumb", layer=0, head=1)).to_have_attribute("data-off", "true", timeout=TIMEOUT)
    off = {"heads": (0, 1), "ablate": "zero"}
    assert_bars(notebook, widget, heated, off)

    heatmap = shown(ready(widget), layer=0, head=1, against="as it is/0/1")
    x, y, width, height = map(float, heatmap.get_attribute("data-plot").split(","))
    n = notebook.value("view.maps.n_queries")
    box = heatmap.bounding_box()
    at = [(box["x"] + x + (key + 0.5) * width / n, box["y"] + y + (query + 0.5) * height / n)
          for query, key in ((8, 4), (5, 1))]  # fmt: skip
    notebook.page.keyboard.down("Shift")
    notebook.page.mouse.move(*at[0])
    notebook.page.mouse.down()
    notebook.page.mouse.move(*at[1], steps=4)
    notebook.page.mouse.up()
    notebook.page.keyboard.up("Shift")
    expect(part(widget, "cut")).to_contain_text("Cut rows 5\u20138 \u00d7 keys 1\u20134", timeout=TIMEOUT)
    notebook.page.keyboard.press("c")
    notebook.await_value("view.cuts", [[0, 1, [5, 9], [1, 5]]])
    # A head that puts out nothing looks at nothing: it is on again, and its cut is felt.
    heatmap.focus()
    notebook.page.keyboard.press("x")
    notebook.await_value("view.off", [])
    cut = {"heads": (0, 1), "cut": ([5, 6, 7, 8], [1, 2, 3, 4])}
    assert_bars(notebook, widget, heated, cut)
    assert cells.count() == 2

    # Where later layers look otherwise is what the picture of a later layer shows.
    notebook.execute("view.layer, view.head = 3, 0")
    heatmap = shown(ready(widget), layer=3, head=0, against="as it is/3/0")
    difference = np.array(
        notebook.value(f"(changed({heated!r}, {cut!r}).maps.weights(3, 0) - changed().maps.weights(3, 0)).tolist()")
    )
    largest = float(heatmap.get_attribute("data-max"))
    visible = np.tri(n, dtype=bool)
    np.testing.assert_allclose(2 * read_cells(widget)[visible] - largest, difference[visible], atol=0.03 * largest)

    for _ in range(2):
        part(widget, "take-back").first.click()
    expect(part(widget, "unchanged")).to_be_visible(timeout=TIMEOUT)
    assert_bars(notebook, widget)
    shown(ready(widget), map="attention", layer=3, head=0)


def test_a_drag_of_the_slider_ends_at_what_it_ends_at(open_notebook):
    notebook = open_notebook([MODEL, VIEW.replace("layer=1", "layer=1, applied=True")])
    notebook.run_all()
    widget = ready(notebook.widget())
    track = part(widget, "temperature")
    track.scroll_into_view_if_needed()
    box = track.bounding_box()
    middle = box["y"] + box["height"] / 2
    notebook.page.mouse.move(box["x"] + box["width"] / 2, middle)
    notebook.page.mouse.down()
    for share in np.linspace(0.5, 0.9, 25):
        notebook.page.mouse.move(box["x"] + share * box["width"], middle)
    notebook.page.mouse.up()
    expect(part(widget, "change")).to_contain_text("temperature", timeout=TIMEOUT)
    temperature = float(part(widget, "temperature-field").input_value())
    assert temperature > 2
    notebook.await_value("view.temperature", temperature)
    assert_bars(notebook, widget, {"heads": (1, 2), "temperature": temperature})
    part(widget, "applied").uncheck()
    shown(ready(widget), map="attention", temperature=temperature)


def test_a_page_shows_what_was_applied(open_notebook, tmp_path, context):
    notebook = open_notebook([MODEL, VIEW.replace("layer=1", "layer=1, off=[[0, 1]], applied=True")])
    notebook.run_all()
    widget = ready(notebook.widget())
    assert_bars(notebook, widget, {"heads": (0, 1), "ablate": "zero"})
    path = tmp_path / "page.html"
    notebook.execute(f"view.save({str(path)!r})")
    page = context.new_page()
    page.goto(path.as_uri())
    saved = ready(page.locator("[data-attnwidget=explorer]"))
    expect(part(saved, "applied")).to_be_disabled(timeout=TIMEOUT)
    expect(part(saved, "apply-said")).to_contain_text("needs the kernel")
    expect(part(saved, "change")).to_have_text(["layer 0 head 1 off"])
    shown(saved, layer=1, head=2, against="as it is/1/2")
    assert float(part(saved, "sums").get_attribute("data-kl")) == pytest.approx(notebook.value("view.outcome['kl']"))
    page.close()
