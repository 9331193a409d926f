"""The notebooks as a newcomer runs them: in JupyterLab, from top to bottom, in light and in dark."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.lab import Notebook
from tests.browser.test_explorer import part

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"
STDERR = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"


def run_all(lab, context, name, n_widgets):
    """Run a notebook and wait until each of its widgets shows its map."""
    path = lab.folder / "work" / name
    shutil.copy(NOTEBOOKS / name, path)
    notebook = Notebook(lab, context.new_page(), path)
    notebook.run_all()
    assert notebook.page.locator(STDERR).count() == 0
    widgets = notebook.page.locator("[data-attnwidget=explorer]")
    expect(widgets).to_have_count(n_widgets)
    for index in range(n_widgets):
        widget = widgets.nth(index)
        widget.scroll_into_view_if_needed()
        expect(widget).to_have_attribute("data-state", "ready", timeout=30_000)
        expect(widget.locator("[data-part=heatmap], [data-part=image], [data-part=text]").first).to_be_visible()
    return notebook, widgets


def test_the_quickstart(lab, context):
    notebook, widgets = run_all(lab, context, "quickstart.ipynb", 3)
    notebook.set_theme("JupyterLab Dark")
    expect(widgets.first.locator("[data-scheme=dark]")).to_be_attached()
    notebook.set_theme("JupyterLab Light")
    expect(widgets.first.locator("[data-scheme=light]")).to_be_attached()
    # What is turned in the widget is what Python reads.
    part(widgets.nth(1), "temperature").fill("0.4")
    notebook.await_value("view.temperature", 2.51)
    # The story told in words: the last "to" looks at Ben.
    assert float(part(widgets.nth(2), "text").locator("[data-index='3']").get_attribute("data-weight")) > 0.9
    assert not notebook.errors
    notebook.close()


def test_the_lesson_on_heads(lab, context):
    notebook, widgets = run_all(lab, context, "05_entropy_and_heads.ipynb", 3)
    expect(part(widgets.nth(0), "row")).to_have_attribute("data-query", "13")
    expect(part(widgets.nth(2), "thumb").first).to_have_attribute("data-layer", "1")  # an induction head leads
    assert not notebook.errors
    notebook.close()


def test_the_lesson_on_layers(lab, context):
    notebook, widgets = run_all(lab, context, "06_layers_and_rollout.ipynb", 2)
    expect(part(widgets.nth(1), "path")).to_have_attribute("data-place", re.compile("rollout"))
    assert not notebook.errors
    notebook.close()


def test_the_lesson_on_broken_models(lab, context):
    notebook, widgets = run_all(lab, context, "09_when_attention_goes_wrong.ipynb", 1)
    expect(part(widgets.first, "finding", name="collapsed")).to_have_count(1, timeout=30_000)
    assert not notebook.errors
    notebook.close()


def answered(view, right):
    """Guess the wrong head, and then see which is right."""
    expect(part(view, "answer")).to_have_count(0)
    part(view, "thumb", layer=2, head=1).click()
    part(view, "reveal").click()
    expect(part(view, "answer")).to_contain_text(right)


def test_the_lesson_on_effects(lab, context):
    notebook, widgets = run_all(lab, context, "11_what_a_head_does.ipynb", 2)
    expect(part(widgets.nth(0), "row")).to_have_attribute("data-query", "13")
    answered(widgets.nth(0), "Layer 3, head 1 adds 6.0 logits.")
    expect(part(widgets.nth(1), "path")).to_have_attribute("data-place", "layer 2 · head 0")
    assert not notebook.errors
    notebook.close()


def test_the_lesson_on_pruning(lab, context):
    notebook, widgets = run_all(lab, context, "12_pruning.ipynb", 1)
    answered(widgets.first, "Layer 0, head 3, where each word looks at itself")
    expect(notebook.page.locator(".jp-OutputArea-output[data-mime-type='image/png']")).to_have_count(1)
    assert not notebook.errors
    notebook.close()


def test_the_first_lesson(lab, context):
    path = lab.folder / "work" / "01_what_attention_is.ipynb"
    shutil.copy(NOTEBOOKS / path.name, path)
    notebook = Notebook(lab, context.new_page(), path)
    notebook.run_all()
    widgets = notebook.page.locator("[data-attnwidget=playground]")
    expect(widgets).to_have_count(5)
    for index in range(5):
        widgets.nth(index).scroll_into_view_if_needed()
        expect(widgets.nth(index)).to_have_attribute("data-state", "ready", timeout=30_000)
    notebook.execute("playground.temperature = 0.01")
    expect(part(widgets.first, "temperature")).to_have_attribute("aria-valuetext", "0.01")
    assert not notebook.errors
    notebook.close()


def test_any_model(lab, context):
    notebook, widgets = run_all(lab, context, "models.ipynb", 5)
    story, translation, picture, prompted, long = (widgets.nth(index) for index in range(5))
    expect(story.locator(".notes")).to_contain_text("was generated last and was never a query")
    expect(translation.locator("[data-part=map]")).to_have_value("cross")
    expect(picture.locator("[data-part=image]")).to_be_visible()
    expect(part(prompted, "path")).to_have_attribute("data-place", re.compile("layer 1"))
    expect(part(long, "path")).to_have_attribute("data-place", "layer 1 · head 0")
    expect(long.locator("[data-part=pooled]")).to_contain_text("Each point: the largest of")
    assert not notebook.errors
    notebook.close()
