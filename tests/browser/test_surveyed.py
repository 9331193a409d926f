"""An Explorer of a survey in a real JupyterLab: a text of the list is read and shown when it is pressed."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.test_explorer import TIMEOUT, part, ready

SURVEY = """
import attnwidget as aw
model, tokenizer = aw.demo.load("storyteller")
texts = [*aw.demo.sentences(12), *(aw.demo.repeated_words(6, 3, seed=seed) for seed in range(3))]
survey = aw.survey(model, tokenizer, texts, measures=["induction", "sink"], top=3, progress=False)
"""
VIEW = "view = survey.explore(model, tokenizer); view"


def test_a_head_opens_its_texts(open_notebook):
    notebook = open_notebook([SURVEY, VIEW])
    notebook.run_all()
    widget = ready(notebook.widget())
    layer, head = notebook.value("[view.layer, view.head]")
    wanted = notebook.value(f"[list(one) for one in survey.examples({layer}, {head}, 'induction').smallest]")
    button = part(widget, "examples-smallest").locator("[data-part=example]").first
    expect(button).to_contain_text(wanted[0][0])
    button.click()
    notebook.await_value("view.facts['title']", wanted[0][0])
    expect(button).to_have_attribute("aria-pressed", "true")
    ready(widget)
    notebook.await_value("[view.example, view.query]", [wanted[0][1], wanted[0][2]])
    notebook.value("setattr(view, 'measure', 'mean of sink')")
    expect(part(widget, "examples")).to_contain_text("by sink", timeout=TIMEOUT)
