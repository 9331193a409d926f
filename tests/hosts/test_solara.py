"""Solara: an app of components."""

from __future__ import annotations

from tests.hosts.looking import TEXT, acts_both_ways

APP = f"""
import solara
import attnwidget as aw

@solara.component
def Page():
    view = solara.use_memo(lambda: aw.explore("{TEXT}"), [])
    chosen, set_chosen = solara.use_state((0, 0))
    def follow():
        view.observe(lambda _: set_chosen((view.layer, view.head)), ["layer", "head"])
    def go_on():
        view.head = (view.head + 1) % 4
    solara.use_effect(follow, [])
    solara.display(view)
    solara.Text(f"Python has layer {{chosen[0]}}, head {{chosen[1]}}")
    solara.Button("Go on", on_click=go_on)
"""


def test_an_app(serve, page, tmp_path):
    (tmp_path / "app.py").write_text(APP)
    page.goto(serve("solara", "run", "--no-open", "--production", "--host=127.0.0.1", "--port={port}", "app.py"))
    acts_both_ways(page)
