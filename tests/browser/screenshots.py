"""Pictures for the README, taken in a real JupyterLab: python -m tests.browser.screenshots."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Locator, expect, sync_playwright

from tests.browser.lab import CHROMIUM_FLAGS, Lab, Notebook, chromium, write_notebook

IMAGES = Path(__file__).parent.parent.parent / "notebooks" / "images"
CELL = """import attnwidget as aw
view = aw.explore("Lily and Ben went to the park . Lily gave the ball to", layer=3, head=0, query=13, temperature=1.6,
                  measure="induction")
view"""
PLAYGROUND = """import attnwidget as aw
aw.Playground("words", row=4)"""


def themes(notebook: Notebook, widget: Locator) -> Iterator[str]:
    """The widget in a light JupyterLab, then in a dark one."""
    for theme, name in (("JupyterLab Light", "light"), ("JupyterLab Dark", "dark")):
        notebook.set_theme(theme)
        notebook.page.locator("#jupyterlab-splash").wait_for(state="detached")
        expect(widget.locator(f".widget[data-scheme={name}]")).to_be_visible()
        expect(widget).to_have_attribute("data-state", "ready", timeout=30_000)
        yield name


def main() -> None:
    """Write notebooks/images/explorer-*.png and playground-*.png."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        lab = Lab(Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 1500}, device_scale_factor=2)
        cells = [CELL, PLAYGROUND]
        notebook = Notebook(lab, context.new_page(), write_notebook(lab.folder / "work" / "pictures.ipynb", cells))
        notebook.run_all()
        widget = notebook.widget()
        playground = notebook.page.locator("[data-attnwidget=playground]")
        for name in themes(notebook, widget):
            expect(widget.locator("[data-part=progress][data-done=true]")).to_be_attached(timeout=30_000)
            expect(widget.locator("[data-part=findings][data-healthy=true]")).to_be_attached(timeout=30_000)
            widget.screenshot(path=IMAGES / f"explorer-{name}.png")
        for name in themes(notebook, playground):
            playground.scroll_into_view_if_needed()
            playground.screenshot(path=IMAGES / f"playground-{name}.png")
        notebook.close()
        browser.close()
        lab.stop()


if __name__ == "__main__":
    main()
