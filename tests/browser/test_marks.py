"""What the widget is told of tokens and shows: prompt and generated part, a picture, a text that grows."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.test_explorer import TIMEOUT, part, pixels, ready, show_view, shown

GENERATED = """
import torch, attnwidget as aw
from attnwidget.layers import Mask, ProjectedLayer
from attnwidget.tokens import ImageGrid, Span
def make(n=14, causal=True, tokens=None, **told):
    draw = torch.Generator().manual_seed(0)
    q, k = torch.randn(4, 64, 8, generator=draw) * 1.5, torch.randn(2, 64, 8, generator=draw)
    held = [ProjectedLayer(q[:, :n], k[:, :n], 8 ** -0.5, Mask(causal=causal)) for _ in range(2)]
    words = ("Lily and Ben went to the park . Lily gave the ball to him " * 5).split()
    if tokens is None:
        tokens = aw.Tokens.from_labels(words[:n]).with_spans(Span("prompt", 0, 7), Span("generated", 7, n))
    return aw.AttentionMaps(held, tokens, **told)
"""


def test_prompt_and_generated_part_are_marked(open_notebook):
    notebook = open_notebook([GENERATED + "view = aw.Explorer(make(following='park')); view"])
    notebook.run_all()
    widget = ready(notebook.widget())
    heatmap = part(widget, "heatmap")
    x, y, width, height = map(float, heatmap.get_attribute("data-plot").split(","))
    picture = pixels(heatmap)
    # The line between two masked cells and between two rows: darker than the cells on both sides of it.
    column = round(x + width / 2)
    line = picture[int(y + height * 0.1), column - 4 : column + 5].mean(-1)
    assert line.min() < line[[0, -1]].min() - 20
    expect(widget).to_contain_text("“park” was generated last and was never a query: it has no row.")
    heatmap.hover(position={"x": x + width * 0.1, "y": y + height * 0.9})
    expect(part(widget, "tooltip")).to_contain_text("query 12 (generated), key 1 (prompt)")
    expect(widget).to_contain_text("key-value head 0, shared by heads 0 and 1")
    show_view(widget, "text")
    expect(part(widget, "span")).to_have_text(["prompt", "generated"])


PICTURE = (
    GENERATED
    + """
pixels = torch.zeros(60, 90, 3, dtype=torch.uint8)
pixels[:30] = torch.tensor([200, 40, 40])
pixels[30:] = torch.tensor([40, 40, 200])
labels = ["[CLS]"] + [f"{row},{column}" for row in range(4) for column in range(6)]
tokens = aw.Tokens.from_labels(labels).with_image(ImageGrid(1, 4, 6, pixels))
view = aw.Explorer(make(25, causal=False, tokens=tokens), view="image"); view"""
)


def test_the_weights_of_a_query_lie_over_the_picture(open_notebook):
    notebook = open_notebook([PICTURE])
    notebook.run_all()
    widget = ready(notebook.widget())
    image = part(widget, "image")
    expect(image).to_have_attribute("data-picture", "true", timeout=TIMEOUT)
    expect(image).to_have_attribute("data-query", "0")
    weights = np.array(notebook.value("view.maps.weights(0, 0)[0].tolist()"))
    assert float(image.get_attribute("data-mass")) == pytest.approx(weights[1:].sum(), abs=1e-3)
    beside = part(widget, "image-token", key=0)
    assert float(beside.get_attribute("data-weight")) == pytest.approx(weights[0], abs=1e-3)

    part(widget, "overlay").fill("0")
    expect(part(widget, "overlay")).to_have_attribute("aria-valuetext", "0 %")
    bare = pixels(image)
    height, width = bare.shape[:2]
    np.testing.assert_allclose(bare[height // 4, width // 2], [200, 40, 40], atol=3)
    np.testing.assert_allclose(bare[3 * height // 4, width // 2], [40, 40, 200], atol=3)
    part(widget, "overlay").fill("1")
    expect(part(widget, "overlay")).to_have_attribute("aria-valuetext", "100 %")
    # Over the picture lie the colours of the legend, one a patch, the more of them the larger the weight.
    ramp = pixels(part(widget, "legend").locator(".ramp"))
    colours = ramp[len(ramp) // 2]
    painted = pixels(image)
    rows = ((np.arange(4) + 0.5) * height / 4).astype(int)
    columns = ((np.arange(6) + 0.5) * width / 6).astype(int)
    share = (weights[1:] / weights[1:].max()).reshape(4, 6, 1)
    over = colours[(share[..., 0] * (len(colours) - 1)).round().astype(int)]
    expected = share * over + (1 - share) * bare[np.ix_(rows, columns)]
    np.testing.assert_allclose(painted[np.ix_(rows, columns)], expected, atol=8)  # the legend is 220 dots wide

    image.click(position={"x": width * 3.5 / 6, "y": height * 2.5 / 4})
    notebook.await_value("view.query", 1 + 2 * 6 + 3)
    expect(image).to_have_attribute("data-query", "16")
    expect(part(widget, "image-query")).to_contain_text("Query “2,3”")
    exact = np.array(notebook.value("view.maps.weights(0, 0)[16].tolist()"))
    assert float(image.get_attribute("data-mass")) == pytest.approx(exact[1:].sum(), abs=1e-3)
    notebook.execute("view.query = 0")
    expect(image).to_have_attribute("data-query", "0")


GROWING = """
import time
from pathlib import Path
while not Path("enough").exists():
    for n in range(8, 41):
        view.show(make(n))
        time.sleep(0.02)
    print("grown")
"""


def test_rows_come_while_the_cell_runs(open_notebook):
    notebook = open_notebook([GENERATED + "view = aw.Explorer(make(8), query=5, temperature=0.5); view", GROWING])
    notebook.run_cell(0)
    widget = ready(notebook.widget())
    widget.evaluate(
        """(host) => {
          const canvas = host.shadowRoot.querySelector("[data-part=heatmap]");
          window.windows = [];
          window.blanks = 0;
          new MutationObserver(() => {
            window.windows.push(canvas.dataset.window);
            if (!canvas.dataset.map) window.blanks += 1;
          }).observe(canvas, { attributes: true });
        }"""
    )
    notebook.start_cell(1)
    widget.page.wait_for_function("new Set(window.windows).size > 5", timeout=60_000)
    expect(notebook.output(1)).to_contain_text("grown\ngrown", timeout=60_000)
    expect(notebook.cell(1).locator(".jp-InputArea-prompt")).to_have_text("[*]:")
    seen = widget.page.evaluate("[...new Set(window.windows)]")
    assert all(re.fullmatch(r"0,(\d+),0,\1", window) for window in seen), "the whole map stays in sight"
    assert widget.page.evaluate("window.blanks") == 0
    (notebook.path.parent / "enough").touch()
    expect(notebook.cell(1).locator(".jp-InputArea-prompt")).not_to_have_text("[*]:", timeout=TIMEOUT)
    assert notebook.value("view.maps.n_queries") == 40
    shown(widget, window="0,40,0,40", temperature="0.5")
    ready(widget)
    expect(part(widget, "row")).to_have_attribute("data-query", "5")
    expect(part(widget, "thumb", stale="true")).to_have_count(0, timeout=TIMEOUT)
    last = np.array(notebook.value("view.maps.weights(0, 0, temperature=0.5)[39].tolist()"))
    heatmap = part(widget, "heatmap")
    x, y, width, height = map(float, heatmap.get_attribute("data-plot").split(","))
    strongest = int(last.argmax())
    heatmap.hover(position={"x": x + (strongest + 0.5) * width / 40, "y": y + 39.5 * height / 40})
    expect(part(widget, "tooltip")).to_contain_text(f"{last[strongest]:.3f}"[:-1])
