"""What a person looks at and does, whatever the host is."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from playwright.sync_api import FrameLocator, Locator, Page, expect

TEXT = "Lily and Ben went to the park . Lily gave the ball to"
TIMEOUT = 60_000


def ready(place: Page | FrameLocator) -> Locator:
    """The Explorer, once it has drawn its picture in its colours."""
    widget = place.locator("[data-attnwidget=explorer]")
    expect(widget).to_have_attribute("data-state", "ready", timeout=TIMEOUT)
    ramp = part(widget, "legend").locator(".ramp").screenshot()
    lightness = np.asarray(Image.open(io.BytesIO(ramp)).convert("L"), dtype=float)
    assert np.ptp(lightness) > 100, "the legend goes from the surface to the ink"
    return widget


def part(widget: Locator, name: str, /, **attributes: object) -> Locator:
    """A part of the Explorer."""
    chosen = "".join(f'[data-{key}="{value}"]' for key, value in attributes.items())
    return widget.locator(f'[data-part="{name}"]{chosen}')


def shown(widget: Locator, layer: int, head: int) -> None:
    """Wait until the heatmap of a head is drawn."""
    expect(part(widget, "heatmap", layer=layer, head=head)).to_be_visible(timeout=TIMEOUT)


def choose(widget: Locator, layer: int, head: int) -> None:
    """Click on a head and wait until it is drawn."""
    part(widget, "thumb", layer=layer, head=head).click()
    shown(widget, layer, head)


def acts_both_ways(page: Page) -> Locator:
    """A click is drawn and heard by Python, and what Python changes is drawn; the page says what Python has."""
    widget = ready(page)
    shown(widget, 0, 0)
    choose(widget, 1, 2)
    expect(page.get_by_text("Python has layer 1, head 2")).to_be_visible(timeout=TIMEOUT)
    page.get_by_role("button", name="Go on").click()
    shown(widget, 1, 3)
    return widget
