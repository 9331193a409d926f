"""A class: one page with questions is handed out, three students answer in it, and the teacher collects."""

from __future__ import annotations

import html
import json

import numpy as np
import pytest
from playwright.sync_api import expect

import attnwidget as aw
from tests.browser.test_explorer import part, ready
from tests.make import projected

NUMBER = aw.Lesson("How much does the second key get?", predict="weights[0, 1]", reveal="The largest score wins.")
BARS = aw.Lesson("How is it shared out?", predict="weights[0]", locked=["query", "key", "scene"], tolerance=0.1)
CELL = aw.Lesson("Whom does “cats” look at most?", predict="largest weights[2]")
HEAD = aw.Lesson("Which head looks at the previous word?", predict="previous", reveal="Look at its stripe.")


@pytest.fixture
def handed_out(tmp_path):
    """The page of a class, on disk."""
    parts = [
        "# A lesson",
        aw.Playground("temperature", lesson=NUMBER),
        aw.Playground("temperature", temperature=0.1, lesson=BARS),
        aw.Playground("words", lesson=CELL),
        aw.Explorer(projected(), layer=1, head=0, lesson=HEAD),
    ]
    aw.page(*parts, path=tmp_path / "lesson.html")
    return tmp_path / "lesson.html"


@pytest.fixture
def student(browser, handed_out):
    """Opens the page for one more student, in a browser of their own, without a network."""
    contexts, faults = [], []

    def come():
        context = browser.new_context(offline=True, accept_downloads=True, viewport={"width": 1200, "height": 1000})
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url) if request.url.startswith("http") else None)
        page.goto(handed_out.as_uri())
        for at in range(3):
            expect(page.locator("[data-attnwidget=playground]").nth(at)).to_have_attribute("data-state", "ready")
        ready(page.locator("[data-attnwidget=explorer]"))
        return page

    yield come
    for context in contexts:
        context.close()
    assert faults == []


def playground(page, at):
    return page.locator("[data-attnwidget=playground]").nth(at)


def guess_a_number(page, guess, right):
    first = playground(page, 0)
    # What is asked, and what would give it away, is not there yet.
    expect(part(first, "weights").first).to_have_text("?")
    expect(part(first, "output").first).to_have_text("?")
    expect(part(first, "chosen-temperature")).to_have_count(0)
    part(first, "guess").fill(guess)
    part(first, "reveal").click()
    expect(part(first, "is")).to_have_text(f"{right:.3f}")
    expect(part(first, "weights").nth(1)).to_have_text(f"{right:.3f}")
    expect(part(first, "answer")).to_contain_text("The largest score wins.")


def guess_bars(page, heights):
    second = playground(page, 1)
    expect(part(second, "scene")).to_have_count(0)
    for bar, height in enumerate(heights):
        well = part(second, "guess-bar").nth(bar)
        well.scroll_into_view_if_needed()
        box = well.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 1)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * (1 - height), steps=4)
        page.mouse.up()
        expect(well).to_have_attribute("aria-valuenow", f"{height:g}")
    part(second, "reveal").click()
    expect(part(second, "answer")).to_be_visible()


def guess_by_click(page, word):
    third = playground(page, 2)
    part(third, "weights").nth(2 * 5 + word).click()
    part(third, "reveal").click()
    expect(part(third, "answer")).to_be_visible()
    view = page.locator("[data-attnwidget=explorer]")
    expect(part(view, "measure")).to_have_count(0)
    part(view, "thumb", layer=0, head=1).click()
    part(view, "reveal").click()
    expect(part(view, "answer")).to_contain_text("layer 0, head 1")
    expect(part(view, "measure")).to_have_count(1)


def save_file(page, name, folder):
    bar = page.locator("[data-attnwidget-answers]")
    bar.get_by_label("Your name").fill(name)
    with page.expect_download() as saved:
        bar.get_by_role("button", name="Save my answers").click()
    saved.value.save_as(folder / saved.value.suggested_filename)


def mail_code(page, name):
    bar = page.locator("[data-attnwidget-answers]")
    bar.get_by_label("Your name").fill(name)
    bar.get_by_role("button", name="Copy my answers").click()
    expect(bar).to_contain_text("Copied")
    code = page.evaluate("navigator.clipboard.readText()")
    return f"Dear teacher,\nhere it is:\n{code[:60]}\n{code[60:]}\nBye"


def test_three_students_answer_and_are_collected(student, tmp_path):
    right = aw.Playground("temperature").weights[0, 1]
    sharp = aw.Playground("temperature", temperature=0.1).weights[0]
    answers = tmp_path / "answers"
    answers.mkdir()
    ada, bjoern, chen = student(), student(), student()
    guess_a_number(ada, "0.46", right)
    guess_bars(ada, (0, 1, 0))
    guess_by_click(ada, 2)
    save_file(ada, "Ada", answers)
    guess_a_number(bjoern, "0,7", right)
    guess_bars(bjoern, (0.5, 0.5, 0))
    guess_by_click(bjoern, 4)
    guess_a_number(chen, "1", right)
    mails = [mail_code(bjoern, "Björn"), mail_code(chen, "Chen")]

    table = aw.collect([answers, *mails])
    assert list(table["student"]) == ["Ada"] * 4 + ["Björn"] * 4 + ["Chen"]
    numbers = table[table["predict"] == "weights[0, 1]"]
    assert list(numbers["guess"]) == [0.46, 0.7, 1]
    assert list(numbers["right"]) == [True, False, False]
    np.testing.assert_allclose(numbers["answer"].astype(float), right, atol=1e-12)
    np.testing.assert_allclose(numbers["error"], abs(np.array([0.46, 0.7, 1]) - right), atol=1e-12)
    bars = table[table["predict"] == "weights[0]"]
    np.testing.assert_allclose(np.stack(bars["answer"]), [sharp, sharp], atol=1e-9)
    assert list(bars["right"]) == [True, False]
    cells = table[table["predict"] == "largest weights[2]"]
    assert list(cells["guess"]) == [[2, 2], [2, 4]]
    assert list(cells["right"]) == [True, False]
    heads = table[table["predict"] == "previous"]
    assert list(heads["guess"]) == [[0, 1], [0, 1]]
    assert table["time"].notna().all()
    assert (table["seconds"] >= 0).all()


def test_a_page_that_is_loaded_again_still_has_its_answers(student):
    page = student()
    part(playground(page, 0), "guess").fill("0.5")
    part(playground(page, 0), "reveal").click()
    page.reload()
    expect(part(playground(page, 0), "said")).to_have_text("0.500")
    expect(page.locator("[data-attnwidget-answers]")).to_contain_text("1 answer so far")
    # The others are still to be guessed.
    expect(part(playground(page, 2), "weights").first).to_have_text("?")


def test_what_a_page_kept_in_another_form_is_asked_again(student):
    page = student()
    part(playground(page, 0), "guess").fill("0.5")
    part(playground(page, 0), "reveal").click()
    page.evaluate(
        """() => {
            for (const [name, kept] of Object.entries(localStorage)) {
                localStorage[name] = kept.replace('"guess":0.5', '"guess":null');
            }
        }"""
    )
    page.reload()
    expect(part(playground(page, 0), "guess")).to_be_visible()


def test_a_page_in_a_sandbox_asks_and_answers(browser, handed_out):
    page = browser.new_page()
    markup = html.escape(handed_out.read_text(), quote=True)
    page.set_content(f'<iframe sandbox="allow-scripts" width="900" height="900" srcdoc="{markup}"></iframe>')
    framed = page.frame_locator("iframe")
    first = playground(framed, 0)
    part(first, "guess").fill("0.5")
    part(first, "guess").press("Enter")
    expect(part(first, "said")).to_have_text("0.500")
    part(first, "again").click()
    part(first, "guess").fill("0.25")
    part(first, "reveal").click()
    expect(part(first, "said")).to_have_text("0.250")
    framed.get_by_role("button", name="Save my answers").click()
    expect(framed.locator("[data-attnwidget-answers]")).to_contain_text("If none came, copy the code")
    page.close()


def test_a_damaged_answer_is_named_and_the_others_are_there(tmp_path):
    whole = {"attnwidget": "guesses", "student": "Ada", "guesses": [{"prompt": "x", "kind": "number", "guess": 1}]}
    (tmp_path / "a.json").write_text(json.dumps(whole))
    (tmp_path / "b.json").write_text("{not json")
    (tmp_path / "c.json").write_text('{"attnwidget": "something else"}')
    with pytest.warns(aw.AttentionWarning, match=r"b\.json: it is no JSON\. c\.json: it does not hold guesses"):
        table = aw.collect(tmp_path)
    assert list(table["student"]) == ["Ada"]
    with pytest.raises(ValueError, match="nothing could be read"):
        aw.collect(["aw1.abc.00000000"])
