"""The Playground in JupyterLab and Notebook 7, in a page from disk, and in what an output keeps."""

from __future__ import annotations

import math
import re

import pytest
from playwright.sync_api import expect

import attnwidget as aw
from tests.browser.lab import Notebook, write_notebook
from tests.browser.test_explorer import TIMEOUT, part, ready
from tests.browser.test_kept import copied, kept
from tests.browser.test_page import STRICT, open_page  # noqa: F401 - a fixture here too
from tests.make import projected

CELLS = [
    "import attnwidget as aw\nplayground = aw.Playground('temperature'); playground",
    "words = aw.Playground('words'); words",
]


def numbers(widget, name):
    """The numbers of a table, as they are read."""
    return [float(text.replace("\N{MINUS SIGN}", "-")) for text in part(widget, name).all_text_contents()]


def cell(widget, name, row, column):
    return part(widget, name, row=row, column=column)


def dragged(page, element, x, y=0):
    """Drag an element with the mouse."""
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(at[0] + x, at[1] + y, steps=6)
    page.mouse.up()


def softmax(scores):
    exponentials = [math.exp(score) for score in scores]
    return [one / sum(exponentials) for one in exponentials]


@pytest.fixture(scope="module")
def running(lab, context):
    """A notebook whose cells were run."""
    notebook = Notebook(lab, context.new_page(), write_notebook(lab.folder / "work" / "playgrounds.ipynb", CELLS))
    notebook.run_all()
    yield notebook
    notebook.close()
    assert not notebook.errors


def shown(notebook, at=0):
    """The Playground of a cell, once it is drawn."""
    return ready(notebook.cell(at).locator("[data-attnwidget=playground]"))


def test_a_scene_that_python_opens_is_drawn_whole(running):
    widget = shown(running)
    for scene, title in (("heads", "Why several"), ("scaling", "Why are"), ("heads", "Why several")):
        running.execute(f"playground.scene = {scene!r}")
        expect(widget.locator("h2")).to_contain_text(title, timeout=TIMEOUT)
    expect(part(widget, "mixed")).to_have_count(10)
    assert not running.errors


def test_what_hands_do_reaches_python(running):
    widget = shown(running)
    running.execute("playground.scene = 'words'; playground.scene = 'temperature'")
    expect(part(widget, "weights")).to_have_text(["0.309", "0.461", "0.229"], timeout=TIMEOUT)
    dragged(running.page, cell(widget, "query", 0, 2), 40)
    running.await_value("playground.query", [[0.3, 0.7, 1.0]])
    cell(widget, "query", 0, 0).focus()
    for key in ("-", "1", ",", "5", "Enter"):
        running.page.keyboard.press(key)
    running.await_value("playground.query", [[-1.5, 0.7, 1.0]])
    wanted = softmax([-1.5, 0.7, 1.0])
    assert running.value("playground.weights.tolist()") == [pytest.approx(wanted, abs=1e-9)]
    assert numbers(widget, "weights") == pytest.approx(wanted, abs=6e-4)
    part(widget, "temperature-stop", value="0.1").click()
    running.await_value("playground.temperature", 0.1)
    running.page.keyboard.press("Control+z")
    running.await_value("playground.temperature", 1)
    assert running.page.evaluate("window.jupyterapp.shell.currentWidget.content.widgets.length") == len(CELLS)


def test_what_python_does_is_shown(running):
    widget = shown(running)
    running.execute("playground.scene = 'masking'")
    expect(part(widget, "scene")).to_have_value("masking", timeout=TIMEOUT)
    expect(part(widget, "preset")).to_have_value("Causal")
    running.execute(
        "with playground.hold_trait_notifications():\n"
        "    playground.query = playground.key = [[1, 0], [0, 1]]\n"
        "    playground.value = [1, 2]\n"
        "    playground.key_labels = playground.query_labels = 'a b'"
    )
    expect(part(widget, "weights")).to_have_count(4, timeout=TIMEOUT)
    expect(cell(widget, "weights", 1, 1)).to_have_text(f"{softmax([0, 0.5**0.5])[1]:.3f}")
    running.execute("playground.preset = 'A row that sees nothing'")
    expect(cell(widget, "weights", 2, 0)).to_have_text("NaN", timeout=TIMEOUT)
    choose = part(widget, "scene")
    choose.select_option("values")
    running.await_value("[playground.scene, playground.preset]", ["values", "A large weight on a small value"])
    running.await_value("playground.key_labels", ["[start]", "red", "ball", "."])


def test_a_word_in_the_plane_is_one_vector_in_python(running):
    widget = shown(running, 1)
    word = part(widget, "word", word=2)
    dragged(running.page, word, -50, -30)
    running.await_value("words.query == words.key == words.value and words.query[2] != [1.6, 0.5]", True)
    # The last of a drag's messages may still be on its way.
    running.await_value("[round(number, 3) for number in words.key[2]]", numbers(widget, "key")[4:6])
    assert numbers(widget, "weights") == pytest.approx(running.value("words.weights.ravel().tolist()"), abs=6e-4)


def test_notebook_7_shows_it_and_keys_stay_inside(open_notebook):
    notebook = open_notebook(CELLS[:1], tree="notebooks")
    notebook.run_all()
    widget = shown(notebook)
    cell(widget, "query", 0, 0).focus()
    for key in ("ArrowUp", "ArrowRight", "ArrowDown", "9", "Enter"):
        notebook.page.keyboard.press(key)
    notebook.await_value("playground.query", [[0.4, 9, 0]])
    expect(part(widget, "weights")).to_have_text(["0.000", "1.000", "0.000"])


def test_what_is_kept_is_alive_without_a_kernel(lab, context, open_notebook):
    path = write_notebook(lab.folder / "work" / "kept-playground.ipynb", CELLS[:1])
    notebook = Notebook(lab, context.new_page(), path)
    notebook.run_all()
    shown(notebook)
    expect(kept(notebook)).to_be_hidden()
    notebook.save()
    notebook.close()

    def forget(saved):
        del saved.metadata["kernelspec"], saved.metadata["language_info"]

    path = copied(path, "playground-without-kernel", forget)
    lab.trust(path)
    notebook = open_notebook(path, kernel=False)
    frame = kept(notebook).frame_locator("iframe")
    widget = ready(frame.locator("[data-attnwidget=playground]"))
    cell(widget, "query", 0, 2).focus()
    for key in ("3", "Enter"):
        notebook.page.keyboard.press(key)
    expect(part(widget, "weights")).to_have_text([f"{one:.3f}" for one in softmax([0.3, 0.7, 3])])


@pytest.mark.parametrize("policy", ["", STRICT], ids=["from disk", "inline scripts only"])
def test_a_page_from_disk_is_used_by_keys_alone(open_page, policy):  # noqa: F811
    page = open_page(aw.page("# A lesson", aw.Playground("temperature"), "The end.").html, policy=policy)
    widget = ready(page.locator("[data-attnwidget=playground]"))
    expect(page.locator("[data-part=still]")).to_have_count(0)
    focused = "document.activeElement.shadowRoot?.activeElement?.dataset.part ?? ''"
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(focused))
        if reached[-1] == "query":
            break
    assert {"scene", "preset", "temperature", "query"} <= set(reached)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    page.keyboard.type("2,5")
    page.keyboard.press("Enter")
    wanted = softmax([0.4, 2.5, 0])
    expect(part(widget, "weights")).to_have_text([f"{one:.3f}" for one in wanted])
    expect(part(widget, "why")).to_contain_text("number 1 of the query")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    expect(part(widget, "weights")).to_have_text([f"{one:.3f}" for one in softmax([0.3, 0.7, 0])])


def test_a_page_holds_both_widgets_and_every_scene(open_page):  # noqa: F811
    page = open_page(aw.page(aw.Playground("words"), aw.Explorer(projected()), aw.Playground("scaling")).html)
    expect(page.locator("[data-attnwidget][data-state=ready]")).to_have_count(3, timeout=TIMEOUT)
    widget = page.locator("[data-attnwidget=playground]").first
    for scene in ("lookup", "temperature", "scaling", "masking", "position", "words", "heads", "values"):
        part(widget, "scene").select_option(scene)
        expect(part(widget, "preset")).to_have_value(re.compile("."))
        ready(widget)


def test_without_scripts_there_are_numbers(browser, tmp_path):
    path = aw.Playground("temperature").save(tmp_path / "page.html")
    context = browser.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    page.locator("summary").click()
    expect(page.get_by_role("cell", name="second 0.461, first 0.309, third 0.229")).to_be_visible()
    context.close()
