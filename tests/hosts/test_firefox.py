"""Pages in Firefox, from disk and without a network."""

from __future__ import annotations

import attnwidget as aw

WIDGET = "document.querySelector('[data-attnwidget=explorer]')"
HEATMAP = f"{WIDGET}?.shadowRoot.querySelector('[data-part=heatmap]')"
PICTURE = f"{HEATMAP}.getContext('2d').getImageData(0, 0, {HEATMAP}.width, {HEATMAP}.height).data"


def test_a_saved_view_is_drawn_and_answers(firefox, tmp_path):
    view = aw.explore("Lily and Ben went to the park . Lily gave the ball to")
    firefox.open(view.save(tmp_path / "page.html"))
    firefox.await_value(f"{WIDGET}?.dataset.state", "ready")
    colours = f"new Set(new Uint32Array(({PICTURE}).buffer)).size"
    assert firefox.evaluate(colours) > 10
    firefox.evaluate(f'{WIDGET}.shadowRoot.querySelector(\'[data-part=thumb][data-layer="1"][data-head="2"]\').click()')
    firefox.await_value(f"[{HEATMAP}.dataset.layer, {HEATMAP}.dataset.head]", ["1", "2"])
    assert [address for address in firefox.requests if not address.startswith(("file:", "blob:", "data:"))] == []
    assert firefox.errors == []


def test_no_page_reaches_a_network(firefox, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        "<script>fetch('https://example.org').then(() => 'came', () => 'lost').then((how) => window.how = how)</script>"
    )
    firefox.open(page)
    firefox.await_value("window.how", "lost")
    assert "https://example.org/" in firefox.requests
