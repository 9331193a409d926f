"""What cells say in a real JupyterLab: effects on a token as Python computes them, and weights again."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.test_explorer import TIMEOUT, part, read_cells, ready, shown

MODEL = """
import attnwidget as aw
text = "Lily and Ben went to the park . Lily gave the ball to"
model, tokenizer = aw.demo.load("storyteller")
effects = aw.effects.direct(model, text, tokenizer, target="Ben", against="Lily")
"""
VIEW = "view = aw.explore(text, model=model, tokenizer=tokenizer, layer=3, head=1); view"
EFFECT = {"layer": 3, "head": 1, "map": "for 'Ben'", "against": "for 'Lily'/3/1"}


def pointed(notebook, heatmap, query, key):
    """Point at a cell, and read what is said of it."""
    x, y, width, height = map(float, heatmap.get_attribute("data-plot").split(","))
    box, n = heatmap.bounding_box(), notebook.value("view.maps.n_queries")
    notebook.page.mouse.move(box["x"] + x + (key + 0.5) * width / n, box["y"] + y + (query + 0.5) * height / n)
    tooltip = notebook.widget().locator("[data-part=tooltip]")
    expect(tooltip).to_contain_text(f"query {query}, key {key}", timeout=TIMEOUT)
    return tooltip.inner_text()


def await_sum(widget, wanted):
    """Wait until the cells of the pinned row add up to a number."""
    deadline = time.monotonic() + 30
    while (found := number(part(ready(widget), "row-sum").inner_text())) != pytest.approx(wanted, rel=2e-2, abs=1e-3):
        assert time.monotonic() < deadline, (found, wanted)


def number(said):
    """The number of a cell that is said with its unit."""
    return float(re.search(r"(\S+) logits", said).group(1).replace("\N{MINUS SIGN}", "-"))


def test_an_effect_is_what_python_computes_and_weights_come_back(open_notebook):
    notebook = open_notebook([MODEL, VIEW])
    notebook.run_all()
    widget = ready(notebook.widget())
    part(widget, "weigh-effect").click()
    expect(part(widget, "target")).to_have_attribute("placeholder", "Ben", timeout=TIMEOUT)
    shown(ready(widget), **EFFECT | {"against": "against 'Ben'/3/1"})

    part(widget, "versus").click()
    notebook.page.keyboard.type("Lily")
    notebook.page.keyboard.press("Enter")
    heatmap = shown(ready(widget), **EFFECT)
    notebook.await_value("[view.target, view.versus]", ["", "Lily"])
    logit = notebook.value("effects.logit")
    expect(part(widget, "effect-place")).to_have_text(f"at position 13, logit {logit:+.2f}")
    computed = np.array(notebook.value("effects.split.map(3, 1).tolist()"))
    for query, key in ((13, 10), (8, 5), (10, 7)):
        assert number(pointed(notebook, heatmap, query, key)) == pytest.approx(computed[query, key], rel=1e-2, abs=1e-3)
    largest = notebook.value("view.facts['unit']") * float(heatmap.get_attribute("data-max"))
    assert largest == pytest.approx(np.abs(computed).max(), rel=1e-2)
    expect(part(widget, "ends")).to_have_text("logits: ← for “Lily” · for “Ben” →")

    more, less = notebook.value("effects.promoted(3, 1, 6)")
    for name, words in (("more", more), ("less", less)):
        told = part(widget, f"promoted-{name}").locator("[data-part=promoted-word] bdi")
        expect(told).to_have_text([word for word, _ in words])
    first = part(widget, "thumb").first
    layer, head = notebook.value("divmod(effects.heads.argmax().item(), 4)")
    expect(first).to_have_attribute("data-layer", str(layer))
    expect(first).to_have_attribute("data-head", str(head))
    expect(first.locator("[data-part=badge]")).to_have_text(re.compile(r"^\+\d"))

    # The pinned query is whose next token it is, and its row adds up to the effect of the head there.
    part(widget, "target").click()
    notebook.page.keyboard.type("Ben")
    notebook.page.keyboard.press("Enter")
    notebook.await_value("view.target", "Ben")
    notebook.execute("view.query = 5")
    expect(part(widget, "effect-place")).to_contain_text("at position 5", timeout=TIMEOUT)
    there = "aw.effects.direct(model, text, tokenizer, target='Ben', against='Lily', position=5)"
    await_sum(widget, notebook.value(f"{there}.sources(3, 1).sum().item()"))

    part(widget, "weigh-weight").click()
    shown(ready(widget), map="attention", layer=3, head=1)
    expect(part(widget, "effect")).to_have_count(0)
    weights = np.array(notebook.value("view.maps.weights(3, 1).tolist()"))
    visible = np.tri(len(weights), dtype=bool)
    largest = float(part(widget, "heatmap").get_attribute("data-max"))
    np.testing.assert_allclose(read_cells(widget)[visible], weights.clip(max=largest)[visible], atol=0.02)


def test_maps_without_a_model_say_what_is_missing(open_notebook):
    notebook = open_notebook([MODEL, "view = aw.explore(aw.capture(model, text, tokenizer)); view"])
    notebook.run_all()
    widget = ready(notebook.widget())
    effect = part(widget, "weigh-effect")
    expect(effect).to_have_attribute("aria-disabled", "true", timeout=TIMEOUT)
    effect.focus()
    notebook.page.keyboard.press("Enter")
    expect(part(widget, "weighing-refused")).to_contain_text("explore(text, model=...)")
    assert notebook.value("view.weighing") == "weight"


def test_a_page_says_effects_without_a_kernel(open_notebook, tmp_path, context):
    notebook = open_notebook(
        [MODEL, VIEW.replace("layer=3", "weighing='effect', target='Ben', versus='Lily', layer=3")]
    )
    notebook.run_all()
    widget = notebook.widget()
    expect(part(widget, "promoted")).to_be_visible(timeout=TIMEOUT)
    shown(ready(widget), **EFFECT)
    path = tmp_path / "page.html"
    notebook.execute(f"view.save({str(path)!r})")
    page = context.new_page()
    page.goto(path.as_uri())
    saved = ready(page.locator("[data-attnwidget=explorer]"))
    shown(saved, **EFFECT)
    expect(part(saved, "effect-place")).to_contain_text("at position 13, logit +")
    expect(part(saved, "target")).to_be_disabled()
    expect(part(saved, "weigh-weight")).to_have_attribute("title", re.compile("needs the kernel"))
    page.close()
