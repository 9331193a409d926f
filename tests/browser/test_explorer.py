"""The Explorer in a real JupyterLab with a real kernel."""

from __future__ import annotations

import io
import re
import time

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

MAPS = """
import torch, attnwidget as aw
from attnwidget.layers import Mask, ProjectedLayer
def make(n=14, layers=3, heads=4, seed=0, words=None):
    draw = torch.Generator().manual_seed(seed)
    held = [ProjectedLayer(torch.randn(heads, n, 8, generator=draw) * 1.5, torch.randn(2, n, 8, generator=draw),
                           8 ** -0.5, Mask(causal=True)) for _ in range(layers)]
    words = words or ("<s> Lily and Ben went to the park . Lily gave the ball to " * (n // 14 + 1)).split()[:n]
    return aw.AttentionMaps(held, aw.Tokens.from_labels(words))
"""
SHOW = "view = aw.Explorer(make()); view"
TIMEOUT = 30_000


def show_view(widget, name):
    """Choose a view: side by side, or in a menu where there is little room."""
    menu = part(widget, "view")
    if menu.count():
        menu.select_option(name)
    else:
        part(widget, f"view-{name}").click()


def ready(widget):
    expect(widget).to_have_attribute("data-state", "ready", timeout=TIMEOUT)
    return widget


def part(widget, name, /, **attributes):
    chosen = "".join(f'[data-{key.replace("_", "-")}="{value}"]' for key, value in attributes.items())
    return widget.locator(f'[data-part="{name}"]{chosen}')


def shown(widget, **attributes):
    """Wait until the heatmap that is drawn is the wanted one."""
    heatmap = part(widget, "heatmap")
    for key, value in attributes.items():
        expect(heatmap).to_have_attribute(f"data-{key}", str(value), timeout=TIMEOUT)
    return heatmap


def python_entropy(notebook, query, *, at="view.temperature"):
    return notebook.value(
        f"aw.measures.entropy(view.maps.weights(view.layer, view.head, temperature={at}, scaling=view.scaling))"
        f"[{query}].item()"
    )


def pixels(locator):
    """What is on the screen, [height, width, 3]."""
    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB"), dtype=float)


def read_cells(widget):
    """The value of every cell, read from its colour by way of the legend: what a person does."""
    heatmap = part(widget, "heatmap")
    ramp = pixels(part(widget, "legend").locator(".ramp"))
    colours = ramp[len(ramp) // 2]
    picture = pixels(heatmap)
    x, y, width, height = map(float, heatmap.get_attribute("data-plot").split(","))
    top, bottom, left, right = (int(float(edge)) for edge in heatmap.get_attribute("data-window").split(","))
    # Near a corner of the cell: its number stands in the middle.
    rows = (y + (np.arange(bottom - top) + 0.85) * height / (bottom - top)).astype(int)
    columns = (x + (np.arange(right - left) + 0.1) * width / (right - left)).astype(int)
    cells = picture[np.ix_(rows, columns)]
    nearest = np.linalg.norm(cells[:, :, None] - colours, axis=-1).argmin(-1)
    return nearest / (len(colours) - 1) * float(heatmap.get_attribute("data-max"))


def test_the_pixels_are_the_numbers(open_notebook):
    notebook = open_notebook([MAPS, SHOW])
    notebook.run_all()
    widget = ready(notebook.widget())
    visible = np.tri(14, dtype=bool)
    for color_map, theme in [("ink", "light"), ("ink", "dark"), ("viridis", "light"), ("greys", "dark")]:
        for temperature in (1, 2.5):
            notebook.execute(
                f"view.color_map, view.theme = {color_map!r}, {theme!r}\n"
                f"view.temperature, view.layer, view.head = {temperature}, 2, 1"
            )
            shown(widget, layer=2, head=1, temperature=temperature)
            expect(part(widget, "colours")).to_have_attribute("data-value", color_map)
            expect(widget.locator(f".widget[data-scheme={theme}]")).to_be_attached()
            expect(part(widget, "heatmap")).to_have_css("opacity", "1")
            largest = float(part(widget, "heatmap").get_attribute("data-max"))
            weights = np.array(notebook.value(f"view.maps.weights(2, 1, temperature={temperature}).tolist()"))
            cells = read_cells(widget)
            np.testing.assert_allclose(cells[visible], weights.clip(max=largest)[visible], atol=0.02)


def test_layer_and_head_from_the_browser_and_from_python(open_notebook):
    notebook = open_notebook([MAPS, SHOW])
    notebook.run_all()
    widget = ready(notebook.widget())
    shown(widget, layer=0, head=0)
    part(widget, "thumb", layer=2, head=3).click()
    shown(widget, layer=2, head=3)
    notebook.await_value("[view.layer, view.head]", [2, 3])
    notebook.execute("view.layer, view.head = 1, 0")
    shown(widget, layer=1, head=0)
    part(widget, "head-bar", head=2).click()
    shown(widget, layer=1, head=2)
    notebook.await_value("[view.layer, view.head]", [1, 2])
    part(widget, "thumb", layer=1, head=2).focus()
    widget.page.keyboard.press("ArrowDown")
    widget.page.keyboard.press("Enter")
    shown(widget, layer=2, head=2)
    notebook.await_value("[view.layer, view.head]", [2, 2])


def test_the_temperature_slider_reads_the_entropy_that_python_computes(open_notebook):
    notebook = open_notebook([MAPS, SHOW])
    notebook.run_all()
    widget = ready(notebook.widget())
    notebook.execute("view.query = 9")
    row = part(widget, "row")
    expect(row).to_have_attribute("data-query", "9", timeout=TIMEOUT)
    slider = part(widget, "temperature")
    box = slider.bounding_box()
    page = widget.page
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2, steps=8)
    page.mouse.up()
    chosen = float(f"{10 ** float(slider.input_value()):.3g}")
    assert chosen > 1
    shown(widget, temperature=f"{chosen:g}")
    notebook.await_value("view.temperature", chosen)
    before, after = (float(row.get_attribute(f"data-entropy-{when}")) for when in ("before", "after"))
    assert before == pytest.approx(python_entropy(notebook, 9, at="1.0"), abs=1e-3)
    assert after == pytest.approx(python_entropy(notebook, 9), abs=1e-3)
    assert after > before
    part(widget, "reset").click()
    shown(widget, temperature=1)
    notebook.await_value("[view.temperature, view.scaling]", [1.0, 1.0])


def test_entropy_of_the_heads_is_what_python_computes(open_notebook):
    notebook = open_notebook([MAPS, SHOW])
    notebook.run_all()
    widget = ready(notebook.widget())
    expected = notebook.value("aw.measures.entropy(view.maps, reduce='queries')[0].tolist()")
    for head in range(4):
        bar = part(widget, "head-bar", head=head)
        expect(bar).to_have_attribute("data-entropy", re.compile(r"\d"), timeout=TIMEOUT)
        assert float(bar.get_attribute("data-entropy")) == pytest.approx(expected[head], abs=1e-3)
    largest = expected.index(max(expected))
    expect(part(widget, "head-bar", head=largest)).to_have_attribute("data-max", "true")
    rows = notebook.value("aw.measures.entropy(view.maps)[0, 0].tolist()")
    expect(part(widget, "query-entropy")).to_have_attribute("data-max-row", str(rows.index(max(rows))))


def test_a_pin_is_seen_by_python_and_a_hover_is_not(open_notebook):
    notebook = open_notebook([MAPS, SHOW])
    notebook.run_all()
    widget = ready(notebook.widget())
    heatmap = part(widget, "heatmap")
    x, y, width, height = map(float, heatmap.get_attribute("data-plot").split(","))
    cell = lambda row, column: {"x": x + (column + 0.5) * width / 14, "y": y + (row + 0.5) * height / 14}  # noqa: E731
    heatmap.hover(position=cell(7, 3))
    expect(part(widget, "tooltip")).to_contain_text("park")
    assert notebook.value("[view.query, view.key]") == [None, None]
    heatmap.click(position=cell(7, 3))
    expect(part(widget, "row")).to_have_attribute("data-query", "7")
    heatmap.hover(position=cell(11, 1))
    notebook.await_value("[view.query, view.key]", [7, 3])
    expect(part(widget, "row")).to_have_attribute("data-query", "7")
    heatmap.focus()
    widget.page.keyboard.press("Escape")
    expect(part(widget, "row")).not_to_have_attribute("data-query", "7")
    notebook.await_value("[view.query, view.key]", [None, None])


def test_two_widgets_share_nothing(open_notebook):
    notebook = open_notebook([MAPS, SHOW, "other = aw.Explorer(make(seed=1), layer=1); other"])
    notebook.run_all()
    first, second = ready(notebook.widget(0)), ready(notebook.widget(1))
    part(first, "thumb", layer=2, head=1).click()
    shown(first, layer=2, head=1)
    shown(second, layer=1, head=0)
    notebook.await_value("[view.layer, other.layer]", [2, 1])
    notebook.execute("other.temperature = 3")
    shown(second, temperature=3)
    shown(first, temperature=1)


def test_two_views_of_one_widget_move_together(open_notebook):
    notebook = open_notebook([MAPS, SHOW, "view"])
    notebook.run_all()
    first, second = ready(notebook.widget(0)), ready(notebook.widget(1))
    part(second, "thumb", layer=1, head=3).click()
    shown(first, layer=1, head=3)
    shown(second, layer=1, head=3)
    notebook.await_value("[view.layer, view.head]", [1, 3])


def test_a_tenth_widget_works_as_the_first(open_notebook):
    notebook = open_notebook([MAPS, *(f"v{i} = aw.Explorer(make(seed={i})); v{i}" for i in range(10))])
    notebook.run_all()
    last = notebook.widget(9)
    last.scroll_into_view_if_needed()
    ready(last)
    part(last, "thumb", layer=1, head=1).click()
    shown(last, layer=1, head=1)
    notebook.await_value("[v9.layer, v8.layer]", [1, 0])


def test_fifty_widgets_leave_nothing_in_the_page(open_notebook):
    # Running a cell again replaces its output, and closes the widget that stood there.
    again = "if 'view' in globals(): view.close()\nview = aw.Explorer(make()); view"
    notebook = open_notebook([MAPS + again])
    page = notebook.page
    session = page.context.new_cdp_session(page)

    def live_canvases():
        session.send("HeapProfiler.collectGarbage")
        prototype = session.send("Runtime.evaluate", {"expression": "HTMLCanvasElement.prototype"})["result"]
        found = session.send("Runtime.queryObjects", {"prototypeObjectId": prototype["objectId"]})["objects"]
        count = session.send(
            "Runtime.callFunctionOn",
            {"objectId": found["objectId"], "functionDeclaration": "function () { return this.length }"},
        )["result"]["value"]
        session.send("Runtime.releaseObject", {"objectId": found["objectId"]})
        return count

    def show_and_close(times):
        for _ in range(times):
            notebook.run_all()
            expect(page.locator("[data-attnwidget]")).to_have_count(1)
            ready(notebook.widget())

    show_and_close(3)
    few = live_canvases()
    show_and_close(47)
    # The page lets go of what was closed last when it finds the time.
    until = time.monotonic() + TIMEOUT / 1000
    while (many := live_canvases()) > few + 2:
        assert time.monotonic() < until, f"{many} canvases live after 50 widgets, {few} after 3"
        page.wait_for_timeout(100)


def test_a_token_is_text_and_never_markup(open_notebook):
    words = """["<s>", "</script><img src=x onerror=document.title='owned'>", "<b>bold</b>", "a\\nb", "", " "]"""
    notebook = open_notebook([MAPS, f"view = aw.Explorer(make(6, words={words}), query=1, view='text'); view"])
    notebook.run_all()
    widget = ready(notebook.widget())
    expect(part(widget, "text")).to_contain_text("</script><img src=x")
    assert widget.locator("img").count() == 0
    assert widget.locator("b", has_text="bold").count() == 0
    assert notebook.page.title() != "owned"


def test_a_request_that_fails_says_why_and_can_be_tried_again(open_notebook):
    notebook = open_notebook([MAPS, SHOW])
    notebook.run_all()
    widget = ready(notebook.widget())
    notebook.execute(
        "from attnwidget.widget.answers import QUESTIONS; kept = QUESTIONS['tile']\n"
        "def broken(*a, **k): raise RuntimeError('the disk of the maps is full')\n"
        "QUESTIONS['tile'] = broken"
    )
    part(widget, "thumb", layer=2, head=3).click()
    expect(widget).to_have_attribute("data-state", "error", timeout=TIMEOUT)
    expect(widget).to_contain_text("the disk of the maps is full")
    notebook.execute("QUESTIONS['tile'] = kept")
    part(widget, "retry").click()
    ready(widget)
    shown(widget, layer=2, head=3)


BUSY = "import time\nprint('running')\nwhile not globals().get('stop'): time.sleep(0.05)"


def test_while_a_cell_runs_the_widget_answers(open_notebook):
    notebook = open_notebook([MAPS, SHOW, BUSY])
    notebook.start_all()
    widget = ready(notebook.widget())
    expect(notebook.output(2)).to_contain_text("running", timeout=TIMEOUT)
    part(widget, "thumb", layer=2, head=3).click()
    shown(widget, layer=2, head=3)
    # The prompt, not the kernel's status: a subshell that is done reports idle while the cell still runs.
    expect(notebook.cell(2).locator(".jp-InputArea-prompt")).to_have_text("[*]:")
    notebook.interrupt()


def test_a_host_that_cannot_do_so_leaves_the_widget_saying_that_the_kernel_is_busy(open_notebook):
    notebook = open_notebook([MAPS, SHOW, BUSY])
    notebook.page.evaluate(
        "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.commsOverSubshells = 'disabled'"
    )
    notebook.start_all()
    widget = notebook.widget()
    expect(widget).to_have_attribute("data-state", "waiting", timeout=TIMEOUT)
    expect(part(widget, "status")).to_contain_text("The kernel is busy")
    notebook.interrupt()
    ready(widget)
    expect(part(widget, "status")).to_be_empty()


def test_without_a_kernel_the_widget_says_what_to_do(open_notebook):
    notebook = open_notebook([MAPS, SHOW])
    notebook.run_all()
    widget = ready(notebook.widget())
    notebook.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.shutdown()")
    part(widget, "thumb", layer=2, head=3).click()
    expect(part(widget, "status")).to_contain_text(re.compile("kernel", re.IGNORECASE), timeout=TIMEOUT)
    assert widget.get_attribute("data-state") in {"waiting", "error"}


def test_the_grid_is_badged_and_ranked_by_a_measure(open_notebook):
    notebook = open_notebook([MAPS, SHOW])
    notebook.run_all()
    widget = ready(notebook.widget())
    part(widget, "measure").select_option("entropy")
    notebook.await_value("view.measure", "entropy")
    badges = part(widget, "badge")
    expect(badges).to_have_count(12, timeout=TIMEOUT)
    exact = np.array(notebook.value("aw.summarize(view.maps)['entropy'].tolist()")).reshape(3, 4)
    for layer, head in ((0, 0), (2, 3)):
        badge = part(part(widget, "thumb", layer=layer, head=head), "badge")
        assert float(badge.get_attribute("data-value")) == pytest.approx(exact[layer, head], abs=1e-5)
    part(widget, "sort").select_option("highest")
    notebook.await_value("view.sort", "highest")
    expect(part(widget, "thumb").first).to_have_attribute("data-layer", str(exact.argmax() // 4))
    seen = [float(badge.get_attribute("data-value")) for badge in badges.all()]
    assert seen == sorted(seen, reverse=True)
    part(widget, "thumb").first.click()
    notebook.await_value("[view.layer, view.head]", [int(exact.argmax()) // 4, int(exact.argmax()) % 4])


BROKEN = """
import torch, attnwidget as aw
weights = torch.randn(3, 4, 12, 12, generator=torch.Generator().manual_seed(0)).softmax(-1)
weights[1, 3] = weights[1, 2]
view = aw.explore(weights, layout="LHQK"); view"""


def test_findings_are_listed_and_a_click_goes_to_the_head(open_notebook):
    notebook = open_notebook([BROKEN])
    notebook.run_all()
    widget = ready(notebook.widget())
    finding = part(widget, "finding", name="duplicates", severity="warning")
    if part(widget, "findings").get_attribute("data-open") == "false":
        part(widget, "findings").locator("h3 button").click()
    expect(finding).to_contain_text("Heads that are the same", timeout=TIMEOUT)
    part(finding, "finding-place", layer=1, head=3).click()
    shown(widget, layer=1, head=3)
    notebook.await_value("[view.layer, view.head]", [1, 3])
    assert notebook.value("[finding.name for finding in view.findings]") == ["duplicates"]


def test_rollout_is_a_map_like_any_other(open_notebook):
    notebook = open_notebook([MAPS, SHOW])
    notebook.run_all()
    widget = ready(notebook.widget())
    part(widget, "map").select_option("rollout")
    notebook.await_value("view.map", "rollout")
    part(widget, "thumb", layer=2, head=0).click()
    shown(widget, layer=2, map="rollout")
    ready(widget)
    exact = np.array(notebook.value("aw.measures.rollout(view._maps['attention']).tolist()"))
    visible = np.tri(14, dtype=bool)
    visible[0] = False  # the only key of the first row does not stretch the colours
    np.testing.assert_allclose(read_cells(widget)[visible], exact[visible], atol=0.03)
    expect(part(widget, "temperature")).to_have_count(0)


LONG = """
import torch, attnwidget as aw
from attnwidget.layers import Mask, ProjectedLayer
draw = torch.Generator().manual_seed(0)
def long(n, heads=1, layers=1):
    held = [ProjectedLayer(torch.randn(heads, n, 64, generator=draw) * 1.5, torch.randn(heads, n, 64, generator=draw),
                           0.125, Mask(causal=True)) for _ in range(layers)]
    return aw.AttentionMaps(held, aw.Tokens.from_labels([f"w{i}" for i in range(n)]))
def rows(start, stop):
    return view.maps.layers[0].weights(slice(0, 1), slice(start, stop))[0]
"""


def test_32768_tokens_open_sampled_and_zoom_to_single_cells(open_notebook):
    notebook = open_notebook([LONG, "view = aw.Explorer(long(32768), query=20000, key=100); view"])
    notebook.run_all()
    widget = ready(notebook.widget())
    said = part(widget, "pooled")
    expect(said).to_contain_text("Approximate", timeout=TIMEOUT)
    # The pinned row is exact from the start.
    expect(part(widget, "row")).to_have_attribute("data-query", "20000", timeout=TIMEOUT)
    assert float(part(widget, "row").get_attribute("data-entropy-before")) == pytest.approx(
        notebook.value("aw.measures.entropy(rows(20000, 20001))[0].item()"), abs=1e-3
    )
    heatmap = part(widget, "heatmap")
    heatmap.focus()
    for _ in range(23):
        heatmap.press("+")
    ready(widget)
    expect(said).to_have_text("", timeout=TIMEOUT)
    top, bottom, left, right = (round(float(edge)) for edge in heatmap.get_attribute("data-window").split(","))
    assert (bottom - top, right - left) == (4, 4)
    assert top <= 20000 < bottom
    assert left <= 100 < right
    largest = float(heatmap.get_attribute("data-max"))
    weights = np.array(notebook.value(f"rows({top}, {bottom})[:, {left}:{right}].tolist()"))
    np.testing.assert_allclose(read_cells(widget), weights.clip(max=largest), atol=0.02 * largest)


def test_a_long_map_pooled_by_its_mean(open_notebook):
    notebook = open_notebook([LONG, "view = aw.Explorer(long(2048, heads=2, layers=2), pooling='mean'); view"])
    notebook.run_all()
    widget = ready(notebook.widget())
    expect(part(widget, "pooled")).to_contain_text("the mean of what is visible in")
    mean = float(part(widget, "heatmap").get_attribute("data-max"))
    part(widget, "colours").click()
    part(widget, "pooling").select_option("max")
    expect(part(widget, "pooled")).to_contain_text("the largest of", timeout=TIMEOUT)
    ready(widget)
    notebook.await_value("view.pooling", "max")
    assert float(part(widget, "heatmap").get_attribute("data-max")) > mean
