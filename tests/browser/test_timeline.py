"""A Timeline in JupyterLab: beside a training of its own kernel, from the file of another process, and as a page."""

from __future__ import annotations

import json

import numpy as np
import pytest
from playwright.sync_api import expect

from attnwidget.training.history import Reading
from tests.browser.test_explorer import TIMEOUT, part, ready

TRAINED = """
import time, torch, transformers as tf, attnwidget as aw
from pathlib import Path
torch.manual_seed(0)
shape = tf.GPT2Config(n_layer=2, n_head=3, n_embd=24, vocab_size=20, n_positions=16, bos_token_id=0, eos_token_id=0)
model = tf.GPT2LMHeadModel(shape)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
rows = torch.randint(1, 20, (4, 12))
monitor = aw.AttentionMonitor(model, rows[:1], every=1, path="{path}", alert=())
def train(steps):
    for _ in range(steps):
        loss = model(rows, labels=rows).loss
        loss.backward(); optimizer.step(); optimizer.zero_grad()
        monitor.step(loss=loss.item())
"""
TRAIN = "while not Path('{stop}').exists():\n    train(1)\n    time.sleep(0.05)"


def timeline(page):
    return page.locator("[data-attnwidget=timeline]")


def scrub(widget, step):
    slider = part(widget, "scrubber")
    slider.evaluate(
        """(slider, step) => {
          slider.value = step;
          for (const name of ["input", "change"]) slider.dispatchEvent(new Event(name, { bubbles: true }));
        }""",
        str(step),
    )
    expect(widget).to_have_attribute("data-step", str(step), timeout=TIMEOUT)
    return ready(widget)


def test_follows_a_training_while_its_cell_runs(open_notebook, tmp_path):
    stop = tmp_path / "stop"
    train = TRAINED.format(path=tmp_path / "a.jsonl") + "view = aw.Timeline(monitor); view"
    notebook = open_notebook([train, TRAIN.format(stop=stop)])
    notebook.run_cell(0)
    widget = ready(timeline(notebook.page))
    expect(part(widget, "empty")).to_contain_text("the first reading shows by itself")
    notebook.start_cell(1)
    try:
        # The cell runs on: what comes, comes beside it.
        expect(part(widget, "status")).to_have_text("Follows the newest reading.")
        notebook.page.wait_for_function(
            "widget => Number(widget.dataset.step) >= 6", arg=widget.element_handle(), timeout=TIMEOUT
        )
        scrub(widget, 1)
        expect(part(widget, "map-cells")).to_have_attribute("data-step", "1")
    finally:
        stop.touch()
    notebook.await_value("view.step", 1)
    notebook.await_kernel()
    notebook.execute("view.step = None")
    last = notebook.value("monitor.history.steps[-1]")
    expect(widget).to_have_attribute("data-step", str(last), timeout=TIMEOUT)
    assert notebook.value("view.runs[''].steps == monitor.history.steps")


def test_follows_the_file_of_another_process(open_notebook, tmp_path):
    path = tmp_path / "a.jsonl"
    draw = np.random.default_rng(0)

    def write(step, **told):
        with path.open("a") as file:
            file.write(Reading(step, {"attention": {"entropy": draw.random((2, 3))}}, **told).line() + "\n")

    write(0)
    notebook = open_notebook([f"import attnwidget as aw; view = aw.Timeline({json.dumps(str(path))}); view"])
    notebook.run_all()
    widget = ready(timeline(notebook.page))
    expect(part(widget, "no-maps")).to_be_visible()
    write(100, alerts=["nan: heads 0.1 have no entropy"])
    expect(widget).to_have_attribute("data-step", "100", timeout=TIMEOUT)
    expect(part(widget, "event", kind="alert")).to_contain_text("step 100 nan: heads 0.1")


def test_what_is_scrubbed_and_chosen_python_knows(open_notebook):
    cell = """
import torch, attnwidget as aw
from tests.make import projected
view = aw.Timeline([projected(seed=seed) for seed in range(6)], steps=[0, 10, 20, 30, 40, 50], progress=False); view
"""
    notebook = open_notebook([cell])
    notebook.run_all()
    widget = ready(timeline(notebook.page))
    scrub(widget, 20)
    notebook.await_value("view.step", 20)
    part(widget, "head", layer=2, head=3).click()
    ready(widget)
    notebook.await_value("[view.layer, view.head]", [2, 3])
    part(widget, "measure").select_option("previous")
    ready(widget)
    exact = notebook.value("float(view.runs[''].numbers('attention', 'previous', 2)[0, 2, 3])")
    assert float(part(widget, "value").inner_text()) == pytest.approx(exact, rel=1e-3)
    notebook.execute("view.step = 50")
    expect(widget).to_have_attribute("data-step", "50", timeout=TIMEOUT)


def test_a_page_scrubs_without_a_kernel(browser, tmp_path):
    import attnwidget as aw
    from tests.make import projected

    runs = {name: [projected(seed=seed + shift) for seed in range(5)] for name, shift in (("a", 0), ("b", 9))}
    path = aw.Timeline(runs, progress=False).save(tmp_path / "t.html", progress=False)
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    faults = []
    page.on("console", lambda said: faults.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(path.as_uri())
    widget = ready(timeline(page))
    for step in (0, 3):
        scrub(widget, step)
        part(widget, "head", layer=step and 2, head=1).click()
        ready(widget)
        expect(part(widget, "map-cells").nth(1)).to_have_attribute("data-step", str(step))
    part(widget, "play").click()
    expect(widget).to_have_attribute("data-step", "4", timeout=TIMEOUT)
    context.close()
    assert faults == []
