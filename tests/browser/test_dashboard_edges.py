"""Charts of maps that have little to say: one token, other keys than queries, nothing but zeros, nothing but NaN."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.test_explorer import MAPS

TIMEOUT = 30_000
EDGES = {
    "one token": "aw.AttentionMaps.from_arrays(torch.ones(1, 1, 1, 1), layout='LHQK', tokens=['only'])",
    "one layer of few tokens": "make(n=2, layers=1, heads=2)",
    "two texts": "aw.AttentionMaps.from_arrays(torch.rand(2, 3, 5, 9).softmax(-1), layout='LHQK', "
    "tokens=list('abcde'), key_tokens=list('fghijklmn'))",
    "zeros": "aw.AttentionMaps.from_arrays(torch.zeros(2, 3, 6, 6), layout='LHQK', tokens=list('abcdef'))",
    "NaN": "aw.AttentionMaps.from_arrays(torch.full((2, 3, 6, 6), torch.nan), layout='LHQK', tokens=list('abcdef'))",
}


@pytest.mark.parametrize("chart", ["depth", "scatter", "similarity", "span_mass"])
def test_each_chart_says_what_is_not_there(open_notebook, chart):
    cells = [MAPS + "import warnings; warnings.simplefilter('ignore')"]
    cells += [f"aw.charts.{chart}({maps})" for maps in EDGES.values()]
    notebook = open_notebook(cells)
    notebook.run_all()
    for number, name in enumerate(EDGES, 1):
        output = notebook.output(number)
        output.scroll_into_view_if_needed()
        expect(output.locator(".bqplot.figure .mainheading"), name).not_to_be_empty(timeout=TIMEOUT)
        for element in output.locator(".bqplot.figure g").all():
            assert "NaN" not in (element.get_attribute("transform") or ""), name
    assert notebook.errors == []
