"""embed_minimal_html of ipywidgets: a page that holds the state of a view, and fetches what draws it."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from ipywidgets.embed import embed_minimal_html
from playwright.sync_api import expect

import attnwidget as aw
from tests.hosts.looking import TEXT, choose, part, ready

BUILD = Path(__file__).parent.parent.parent / "build"
HTML_MANAGER = "1.0.15"
INSTALLED = Path(sys.prefix) / "share"


@pytest.fixture(scope="session")
def html_manager() -> Path:
    """Folder of the scripts that such a page fetches of ipywidgets."""
    name = f"html-manager-{HTML_MANAGER}"
    if not (BUILD / name).is_dir():
        BUILD.mkdir(exist_ok=True)
        wanted = f"@jupyter-widgets/html-manager@{HTML_MANAGER}"
        subprocess.run(["npm", "pack", "--silent", "--pack-destination", BUILD, wanted], check=True)
        with tarfile.open(BUILD / f"jupyter-widgets-{name}.tgz") as packed:
            packed.extractall(BUILD / name, filter="data")
    return BUILD / name / "package" / "dist"


@pytest.fixture
def network(page, html_manager) -> list[str]:
    """A network that has the scripts such a page fetches, and nothing else; what was asked of it."""
    asked: list[str] = []

    def give(pattern: str, file: Path) -> None:
        def answer(route):
            asked.append(route.request.url)
            route.fulfill(path=file, headers={"Access-Control-Allow-Origin": "*"}, content_type="text/javascript")

        page.route(re.compile(pattern), answer)

    give(r"^https://cdnjs\.cloudflare\.com/.*/require\.min\.js$", next(INSTALLED.glob("**/require.min.js")))
    give(
        r"^https://cdn\.jsdelivr\.net/npm/@jupyter-widgets/html-manager@.*/embed-amd\.js$",
        html_manager / "embed-amd.js",
    )
    give(
        r"^https://cdn\.jsdelivr\.net/npm/anywidget@.*",
        INSTALLED / "jupyter" / "nbextensions" / "anywidget" / "index.js",
    )
    return asked


def test_a_page_draws_what_it_was_opened_with(page, network, tmp_path):
    path = tmp_path / "page.html"
    embed_minimal_html(path, views=[aw.explore(TEXT)])
    # The build of require.js that is here is not the very one that the page names.
    path.write_text(re.sub(r' integrity="[^"]*"', "", path.read_text()))
    page.goto(path.as_uri())
    widget = ready(page)
    assert len(network) == 3
    choose(widget, 0, 2)
    # The other layers did not travel, and nobody can be asked for them.
    part(widget, "thumb", layer=1, head=2).click()
    expect(widget).to_have_attribute("data-state", "error")
    expect(part(widget, "status")).to_contain_text("No kernel has these maps")
