"""Fixtures: one JupyterLab and one Chromium for all tests, a page and a kernel for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.lab import CHROMIUM_FLAGS, Lab, Notebook, chromium, write_notebook


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def context(browser: Browser) -> BrowserContext:
    """One for all tests, so that JupyterLab itself comes from the cache."""
    return browser.new_context(viewport={"width": 1500, "height": 1400}, device_scale_factor=1)


@pytest.fixture
def open_notebook(
    lab: Lab, context: BrowserContext, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Notebook]]:
    opened: list[Notebook] = []

    def open_cells(cells: list[str] | Path, *, page: Page | None = None, **options: object) -> Notebook:
        """A new notebook of these cells, or one that there is already, in a new page or in one that is given."""
        if isinstance(cells, Path):
            path = cells
        else:
            name = re.sub(r"\W", "-", request.node.name)[:60]
            path = write_notebook(lab.folder / "work" / f"{name}-{len(opened)}.ipynb", cells)
        notebook = Notebook(lab, page or context.new_page(), path, **options)
        opened.append(notebook)
        return notebook

    yield open_cells
    errors = [error for notebook in opened for error in notebook.errors]
    for notebook in opened:
        notebook.close()
    assert not errors, f"errors in the page: {errors}"
