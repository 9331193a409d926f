"""Fixtures: servers of hosts, and a page that reaches nothing but this computer."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import browser  # noqa: F401 - a fixture here too
from tests.hosts.firefox import Firefox
from tests.hosts.server import Server

PICTURES = Path(__file__).parent.parent.parent / "build" / "hosts"
HOSTS = ("anywidget", "ipywidgets", "marimo", "voila", "solara", "shiny", "shinywidgets", "streamlit")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was tested."""
    terminalreporter.section("hosts")
    terminalreporter.write_line(", ".join(f"{name} {importlib.metadata.version(name)}" for name in HOSTS))


def _outside(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme in {"http", "https"} and parts.hostname not in {"127.0.0.1", "localhost"}


@pytest.fixture(scope="session")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """One for all tests, with one page; it opens files and reaches no network."""
    started = Firefox(tmp_path_factory.mktemp("firefox"))
    yield started
    started.stop()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:  # noqa: F811
    """A page without a network; what goes wrong in it goes wrong in the test. Its last look is kept in build/hosts."""
    context = browser.new_context(viewport={"width": 1500, "height": 1200})
    context.route(_outside, lambda route: route.abort())
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    opened.screenshot(path=PICTURES / f"{request.path.stem}-{request.node.name}.png", full_page=True)
    context.close()
    assert not errors, f"errors in the page: {errors}"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    servers: list[Server] = []

    def start(*command: str) -> str:
        """Address of a server that this command starts in the test's own folder."""
        servers.append(Server(list(command), tmp_path))
        return servers[-1].url

    yield start
    for server in servers:
        server.stop()
