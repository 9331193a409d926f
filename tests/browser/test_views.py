"""Each view of the Explorer in a real JupyterLab, against what Python holds."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.test_explorer import TIMEOUT, part, read_cells, ready, shown

STORY = "import attnwidget as aw\nview = aw.explore('Lily and Ben went to the park . Lily gave the ball to'); view"
LONGER = STORY.replace("to');", "to Ben . Ben was happy .');")
TEXTS = tuple(f"Lily and Ben went to the park . Lily gave the {what} to" for what in ("ball", "dog"))


def test_all_heads_and_all_layers(open_notebook):
    """From one word in every head, through the layers, and back through them: one pin for all three."""
    notebook = open_notebook([STORY])
    notebook.run_all()
    widget = ready(notebook.widget())
    last = notebook.value("view.maps.n_queries - 1")

    notebook.execute("view.view = 'rows'")
    strips = part(widget, "strips")
    expect(strips).to_have_attribute("data-query", str(last), timeout=TIMEOUT)
    left, wide, line = map(float, strips.get_attribute("data-plot").split(","))
    strips.hover(position={"x": left + 4.5 * wide, "y": 2 + 1.5 * line})
    weight = notebook.value(f"float(view.maps.weights(0, 1)[{last}, 4])")
    expect(part(widget, "rows-said")).to_contain_text("layer 0 · head 1 →", timeout=TIMEOUT)
    said = part(widget, "rows-said").text_content()
    assert float(said.rsplit(" ", 1)[1].replace("\u2212", "-")) == pytest.approx(weight, abs=1e-3)
    strips.click(position={"x": left + 4.5 * wide, "y": 2 + 1.5 * line})
    notebook.await_value("[view.layer, view.head]", [0, 1])

    notebook.execute("view.view = 'layers'")
    last_layer = notebook.value("view.maps.n_layers - 1")
    part(widget, "multiple", layer=last_layer).click()
    notebook.await_value("[view.layer, view.head]", [last_layer, 1])
    expect(part(widget, "multiple", layer=last_layer)).to_have_attribute("aria-checked", "true", timeout=TIMEOUT)

    notebook.execute("view.view = 'flow'")
    carried = part(widget, "flow-carried")
    expect(part(widget, "flow-diagram")).to_have_attribute("data-query", str(last), timeout=TIMEOUT)
    for query, heads, threshold in [(last, "mean", 0.01), (6, "mean", 0.05), (6, "each", 0.004)]:
        notebook.execute(f"view.query, view.flow_heads, view.flow_threshold = {query}, {heads!r}, {threshold}")
        expect(part(widget, "flow-diagram")).to_have_attribute("data-query", str(query), timeout=TIMEOUT)
        expected = notebook.value(
            f"aw.measures.paths(view.maps, {query}, heads={heads!r}, threshold={threshold}).carried"
        )
        expect(carried).to_contain_text(f"carry {expected:.4f} of what reaches the input", timeout=TIMEOUT)
    diagram = part(widget, "flow-diagram")
    x, _, width, _ = map(float, diagram.get_attribute("data-plot").split(","))
    diagram.click(position={"x": x + width * 3.5 / (last + 1), "y": diagram.bounding_box()["height"] - 8})
    notebook.await_value("view.query", 3)


def test_why_and_plane_are_what_python_holds(open_notebook):
    notebook = open_notebook([LONGER])
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


SHOW = 'view = aw.explore("Lily and Ben went to the park . Lily gave the ball to", {}); view'


def opened(open_notebook, choices):
    notebook = open_notebook(["import attnwidget as aw\n" + SHOW.format(choices)])
    notebook.run_all()
    return notebook, ready(notebook.widget())


def test_lines_are_the_weights_of_the_heads_that_are_switched_on(open_notebook):
    notebook, widget = opened(open_notebook, "view='lines', layer=1, head=2")
    drawn = part(widget, "lines-all-drawn")
    expect(drawn).to_have_attribute("data-heads", "2", timeout=TIMEOUT)
    n = notebook.value("view.maps.n_queries")
    expect(part(widget, "lines-count")).to_have_text(f"{n * (n + 1) // 2} lines.")
    word = part(widget, "lines-query", index=9)
    word.hover()
    row = notebook.value("view.maps.weights(1, 2)[9].tolist()")
    told = part(widget, "lines-told")
    expect(told).to_contain_text("looks at")
    assert float(re.search(r"” (\d\.\d+)", told.inner_text()).group(1)) == pytest.approx(max(row), abs=1e-3)
    word.click()
    notebook.await_value("view.query", 9)
    part(widget, "lines-query", index=4).click(modifiers=["Shift"])
    notebook.await_value("view.also", [4])
    part(widget, "lines-head", head=0).click()
    notebook.await_value("view.heads", [2, 0])
    expect(drawn).to_have_attribute("data-heads", "2,0", timeout=TIMEOUT)
    notebook.execute("view.threshold = 0.3; view.heads = []; view.query = None")
    kept = notebook.value("int((view.maps.weights(1, 2) >= 0.3).sum())")
    expect(drawn).to_have_attribute("data-lines", str(kept), timeout=TIMEOUT)


def test_a_text_is_shaded_by_rows_and_by_columns(open_notebook):
    notebook, widget = opened(open_notebook, "view='text', layer=1, head=2, query=9")
    words = part(widget, "text").locator(".word")

    def shades():
        return [float(word.get_attribute("data-weight") or "nan") for word in words.all()]

    def shaded(wanted):
        for index, weight in enumerate(notebook.value(wanted)):
            expect(words.nth(index)).to_have_attribute(
                "data-weight", re.compile("^$" if weight is None else r"\d"), timeout=TIMEOUT
            )
        found = shades()
        for index, weight in enumerate(notebook.value(wanted)):
            if weight is not None:
                assert found[index] == pytest.approx(weight, abs=1e-3)

    shaded("view.maps.weights(1, 2)[9, :10].tolist() + [None] * (view.maps.n_keys - 10)")
    words.nth(3).click(modifiers=["ControlOrMeta"])
    notebook.await_value("[view.query, view.also]", [9, [3]])
    expect(part(widget, "read")).to_have_text("2 queries")
    shaded("view.maps.weights(1, 2)[[9, 3], :10].mean(0).tolist() + [None] * (view.maps.n_keys - 10)")
    part(widget, "reading-column").click()
    notebook.await_value("view.reading", "column")
    words.nth(5).click()
    notebook.await_value("[view.query, view.also, view.key]", [None, [], 5])
    expect(part(widget, "read")).to_contain_text("key 5")
    shaded("[None] * 5 + view.maps.weights(1, 2)[5:, 5].tolist()")


def test_two_runs_are_compared(open_notebook):
    notebook = open_notebook(["import attnwidget as aw", f"view = aw.compare(*{TEXTS!r}, layer=1, head=2); view"])
    notebook.run_all()
    widget = ready(notebook.widget())
    names = notebook.value("[place.run for place in view.shown.runs.values()][:2]")
    heatmap = shown(widget, layer=1, head=2, against=f"{names[1]}/1/2")

    def less(layer, head):
        maps = "view.shown.maps[{!r}].weights({}, {})"
        return np.array(
            notebook.value(f"({maps.format(names[0], layer, head)} - {maps.format(names[1], layer, head)}).tolist()")
        )

    # The legend runs from the least to the most.
    largest = float(heatmap.get_attribute("data-max"))
    visible = np.tri(len(less(1, 2)), dtype=bool)
    np.testing.assert_allclose(2 * read_cells(widget)[visible] - largest, less(1, 2)[visible], atol=0.02)

    # The heads are in the order of how much they changed.
    ranked = notebook.value(
        f"[list(at) for at in aw.measures.compare(*(view.shown.maps[name] for name in {names[::-1]!r})).ranked[:3]]"
    )
    thumbs = part(widget, "thumb")
    for at, (layer, head) in enumerate(ranked):
        expect(thumbs.nth(at)).to_have_attribute("data-layer", str(layer), timeout=TIMEOUT)
        expect(thumbs.nth(at)).to_have_attribute("data-head", str(head))
    thumbs.first.click()
    shown(widget, layer=ranked[0][0], head=ranked[0][1])
    notebook.await_value("[view.layer, view.head]", ranked[0])

    part(widget, "show-beside").click()
    notebook.await_value("view.compared", "beside")
    for side, name in zip(("first", "second"), names[::-1], strict=True):
        expect(part(widget, f"heatmap-{side}")).to_have_attribute("data-map", name, timeout=TIMEOUT)
    notebook.execute("view.compared = 'difference'; view.query = 11")
    expect(part(widget, "row")).to_have_attribute("data-query", "11", timeout=TIMEOUT)
    before = notebook.value(
        f"aw.measures.entropy(view.shown.maps[{names[1]!r}].weights(view.layer, view.head))[11].item()"
    )
    assert abs(float(part(widget, "row").get_attribute("data-entropy-before")) - before) < 1e-3
    part(widget, "compare").click()
    notebook.await_value("view.against is None", True)
    expect(part(widget, "compared")).to_have_count(0)
