"""The course as pages: opened from disk, with no kernel and no network, every lesson is alive."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

ROOT = Path(__file__).parent.parent.parent
LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The folder of the pages, as `make course` writes them."""
    folder = tmp_path_factory.mktemp("course")
    command = [sys.executable, "-m", "notebooks.course", str(folder)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


@pytest.fixture
def open_lesson(browser, course):
    """Opens a page of the course without a network; there must be no error, and nothing that is fetched."""
    context = browser.new_context(offline=True, viewport={"width": 1400, "height": 1100})
    faults = []

    def opened(stem):
        page = context.new_page()
        page.on("console", lambda said: faults.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url) if request.url.startswith("http") else None)
        page.on("requestfailed", lambda request: faults.append(request.url))
        page.goto((course / f"{stem}.html").as_uri())
        return page

    yield opened
    context.close()
    assert faults == []


@pytest.mark.parametrize("stem", LESSONS)
def test_a_lesson_opens_with_its_widgets_alive(open_lesson, stem):
    page = open_lesson(stem)
    places = page.locator("[data-attnwidget-place]")
    widgets = page.locator("[data-attnwidget]")
    assert places.count() > 0
    expect(widgets).to_have_count(places.count())
    for index in range(places.count()):
        widgets.nth(index).scroll_into_view_if_needed()
        expect(widgets.nth(index)).to_have_attribute("data-state", "ready", timeout=30_000)
    expect(page.locator("[data-part=still]")).to_have_count(0)
    answer = page.locator("details", has=page.locator("summary", has_text=re.compile("^Answer$"))).first
    expect(answer.locator("p").first).to_be_hidden()
    answer.locator("summary").click()
    expect(answer.locator("p").first).to_be_visible()


def test_the_contents_lead_through_all_lessons(open_lesson):
    page = open_lesson("index")
    expect(page.locator("h2 a")).to_have_count(len(LESSONS))
    page.locator("h2 a").first.click()
    for stem in LESSONS[1:]:
        page.locator("nav.foot").get_by_role("link", name="→").click()
        page.wait_for_url(f"**/{stem}.html")
    page.locator("nav.foot").get_by_role("link", name="Contents").click()
    page.wait_for_url("**/index.html")
