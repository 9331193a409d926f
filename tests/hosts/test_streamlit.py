"""Streamlit: the page of a view, in a frame."""

from __future__ import annotations

from tests.hosts.looking import TEXT, choose, ready

APP = f"""
import streamlit as st
from streamlit.components.v1 import html
import attnwidget as aw

st.set_page_config(layout="wide")
html(aw.explore("{TEXT}").to_html(), height=900)
"""


def test_an_app(serve, page, tmp_path):
    (tmp_path / "app.py").write_text(APP)
    page.goto(
        serve(
            *("streamlit", "run", "app.py", "--server.headless=true", "--server.address=127.0.0.1"),
            *("--server.port={port}", "--browser.gatherUsageStats=false"),
        )
    )
    choose(ready(page.frame_locator("iframe")), 1, 2)
