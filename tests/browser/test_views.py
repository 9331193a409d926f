"""The views of the Explorer in a real JupyterLab, over a trained model, against what Python holds."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.test_explorer import TIMEOUT, part, ready

STORY = """
import attnwidget as aw
view = aw.explore("Lily and Ben went to the park . Lily gave the ball to Ben . Ben was happy .")
view
"""


def test_why_and_plane_are_what_python_holds(open_notebook):
    notebook = open_notebook([STORY])
    notebook.run_all()
    widget = ready(notebook.widget())
    notebook.execute("view.layer, view.head, view.query, view.key, view.view = 1, 2, 12, 5, 'neurons'")
    bars = part(widget, "neurons")
    expect(bars).to_have_attribute("data-query", "12", timeout=TIMEOUT)
    expect(bars).to_have_attribute("data-key", "5")
    ready(widget)
    found = "aw.measures.score_products(view.maps, 1, 2, 12, 5)"
    total, content, terms = notebook.value(
        f"[{found}.products.sum().item(), {found}.content.sum().item(), len({found}.dimensions)]"
    )
    assert float(bars.get_attribute("data-sum")) == pytest.approx(total, abs=1e-3)
    assert float(bars.get_attribute("data-content")) == pytest.approx(content, abs=1e-3)
    assert int(bars.get_attribute("data-terms")) == terms
    weight = notebook.value("view.maps.weights(1, 2)[12, 5].item()")
    expect(part(widget, "way")).to_contain_text(f"weight {weight:.4f}" if weight >= 0.001 else "weight")

    # A key that is chosen here is pinned for Python.
    part(widget, "neurons-key").first.click()
    heaviest = notebook.value("int(view.maps.weights(1, 2)[12].argmax())")
    expect(bars).to_have_attribute("data-key", str(heaviest))
    notebook.await_value("[view.query, view.key]", [12, heaviest])

    notebook.execute("view.view = 'plane'")
    picture = part(widget, "plane")
    expect(picture).to_have_attribute("data-lit", "queries 12", timeout=TIMEOUT)
    ready(widget)
    correlation = notebook.value("aw.measures.plane(view.maps, 1, 2).correlation")
    assert float(picture.get_attribute("data-correlation")) == pytest.approx(correlation, abs=1e-4)
    expect(part(widget, "verdict")).to_contain_text(f"rank correlation {correlation:.2f}")
    part(widget, "plane-head", head="0").click()
    expect(picture).to_have_attribute("data-head", "0")
    notebook.await_value("view.head", 0)
