"""Pictures of the Explorer for the README, taken in a real JupyterLab: python -m tests.browser.screenshots."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.browser.lab import CHROMIUM_FLAGS, Lab, Notebook, chromium, write_notebook

IMAGES = Path(__file__).parent.parent.parent / "notebooks" / "images"
CELL = """import attnwidget as aw
view = aw.explore("Lily and Ben went to the park . Lily gave the ball to", layer=3, head=0, query=13, temperature=1.6,
                  measure="induction")
view"""


def main() -> None:
    """Write notebooks/images/explorer-light.png and explorer-dark.png."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        lab = Lab(Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 1500}, device_scale_factor=2)
        notebook = Notebook(lab, context.new_page(), write_notebook(lab.folder / "work" / "explorer.ipynb", [CELL]))
        notebook.run_all()
        widget = notebook.widget()
        for theme, name in (("JupyterLab Light", "light"), ("JupyterLab Dark", "dark")):
            notebook.set_theme(theme)
            notebook.page.locator("#jupyterlab-splash").wait_for(state="detached")
            expect(widget.locator(f".widget[data-scheme={name}]")).to_be_visible()
            expect(widget).to_have_attribute("data-state", "ready", timeout=30_000)
            expect(widget.locator("[data-part=progress][data-done=true]")).to_be_attached(timeout=30_000)
            expect(widget.locator("[data-part=findings][data-healthy=true]")).to_be_attached(timeout=30_000)
            widget.screenshot(path=IMAGES / f"explorer-{name}.png")
        notebook.close()
        browser.close()
        lab.stop()


if __name__ == "__main__":
    main()
