"""The documentation: built strictly, then clicked through from disk with no kernel and no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

ROOT = Path(__file__).parent.parent.parent
SITE = ROOT / "build" / "docs"
SOURCES = ("attnwidget", "docs", "notebooks")
FIRST = ("start", "gallery", "course", "teachers", "guide/index", "numbers/index", "api/index")
LAST = ("comparison", "limits", "speed", "versions", "contributing", "changelog")
LEFT = "net::ERR_ABORTED"  # what was still to come when the page was left
WIDTHS = {"desk": 1400, "phone": 390}

pytestmark = pytest.mark.timeout(1800)  # the first test builds the site, lessons included


def newest():
    """When a source was last changed; what the build itself writes is none."""
    files = (path for name in SOURCES for path in (ROOT / name).rglob("*") if path.is_file())
    ours = (path for path in files if not {"__pycache__", "generated", ".ipynb_checkpoints"} & set(path.parts))
    return max(path.stat().st_mtime for path in [*ours, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"])


@pytest.fixture(scope="module")
def site():
    """The folder of the site, as `make docs` writes it; built where it is older than what it is made of."""
    index = SITE / "index.html"
    if not index.is_file() or index.stat().st_mtime < newest():
        for old in (SITE, ROOT / "docs" / "api" / "generated"):  # pages of names that are gone
            shutil.rmtree(old, ignore_errors=True)
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-E", "-W", "--keep-going", "-q"]
        folders = ["-d", str(ROOT / "build" / "doctrees"), str(ROOT / "docs"), str(SITE)]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command + folders, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return SITE


@pytest.fixture
def open_site(browser, site):
    """Opens a page of the site without a network; there must be no error, and nothing that is fetched."""
    contexts, faults = [], []

    def opened(name, *, scheme="light", width="desk"):
        size = {"width": WIDTHS[width], "height": 1000}
        contexts.append(browser.new_context(offline=True, viewport=size, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.on("console", lambda said: faults.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url) if request.url.startswith("http") else None)
        page.on("requestfailed", lambda request: faults.append(request.url) if request.failure != LEFT else None)
        page.goto((site / f"{name}.html").as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


def frames(page):
    """The frames of a page, each scrolled to and drawn."""
    found = page.locator("figure.live iframe")
    for index in range(found.count()):
        found.nth(index).scroll_into_view_if_needed()
        widget = found.nth(index).content_frame.locator("[data-attnwidget]")
        expect(widget).to_have_attribute("data-state", "ready", timeout=60_000)
        yield widget


def test_every_page_opens_and_fits_a_phone(open_site, site):
    page = open_site("index", width="phone")
    wide = []
    pages = [
        path
        for path in site.rglob("*.html")
        if path.relative_to(site).parts[0] not in {"live", "course", "search.html"}
    ]
    for path in pages:
        page.goto(path.as_uri())
        expect(page.locator("article h1").first).to_be_visible()
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(str(path.relative_to(site)))
    assert len(pages) > 100
    assert wide == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_gallery_is_alive(open_site, scheme, width):
    page = open_site("gallery", scheme=scheme, width=width)
    kinds = []
    for widget in frames(page):
        kinds.append(widget.get_attribute("data-attnwidget"))
        expect(widget.locator(".widget").first).to_have_attribute("data-scheme", scheme)
    assert kinds.count("explorer") >= 5
    assert "playground" in kinds


def test_a_frame_is_as_high_as_what_it_shows_and_can_be_used(open_site):
    page = open_site("start")
    (widget,) = frames(page)
    expect(widget.locator("[data-part=heatmap]")).to_have_attribute("data-head", "0")
    frame = page.locator("figure.live iframe")
    inside = frame.content_frame.locator("html")
    page.wait_for_function("document.querySelector('figure.live iframe').style.height !== '860px'")
    assert inside.evaluate("root => root.scrollHeight - innerHeight") <= 0
    widget.locator("[data-part=thumb][data-layer='2'][data-head='1']").click()
    expect(widget.locator("[data-part=heatmap]")).to_have_attribute("data-layer", "2")


def test_the_theme_of_the_page_is_that_of_its_frames(open_site):
    page = open_site("index")
    (widget,) = frames(page)
    expect(widget.locator(".widget").first).to_have_attribute("data-scheme", "light")
    for scheme in ("light", "dark"):  # from what the system has, to either
        page.locator(".theme-toggle:visible").first.click()
        chosen = page.locator("body").get_attribute("data-theme")
        expect(widget.locator(".widget").first).to_have_attribute("data-scheme", chosen)
        assert chosen in {"light", "dark"}, scheme


def test_from_the_first_page_everything_is_one_click_away(open_site):
    page = open_site("index")
    for name in (*FIRST, *LAST):
        page.locator(f".sidebar-tree a[href='{name}.html'], .sidebar-tree a[href$='/{name}.html']").first.click()
        page.wait_for_url(f"**/{name}.html")
        page.locator(".sidebar-brand").click()
        page.wait_for_url("**/index.html")


def test_a_name_in_the_text_leads_to_its_reference_and_a_search_finds_it(open_site):
    page = open_site("numbers/rows")
    page.locator("article a", has_text="aw.measures.entropy").first.click()
    page.wait_for_url("**/attnwidget.measures.entropy.html*")
    page.locator(".sidebar-search").fill("entropy of attention rows")
    page.locator(".sidebar-search").press("Enter")
    expect(page.locator("ul.search a", has_text="aw.measures.entropy").first).to_be_visible()


def test_a_lesson_of_the_course_and_a_page_alone_open_from_it(open_site):
    page = open_site("course")
    page.locator("dl.lessons a").first.click()
    page.wait_for_url("**/course/01_*.html")
    page.go_back()
    page.goto(page.url.replace("course.html", "gallery.html"))
    page.get_by_role("link", name="Open it alone").first.click()
    page.wait_for_url("**/live/*.html")
    expect(page.locator("[data-attnwidget]")).to_have_attribute("data-state", "ready", timeout=60_000)
