"""The notebooks run from top to bottom, and are committed without outputs."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def test_there_is_a_quickstart():
    assert "quickstart.ipynb" in [path.name for path in NOTEBOOKS]


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def executed(request):
    """A notebook after every cell was run, in a kernel of its own."""
    notebook = nbformat.read(request.param, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return request.param.stem, [output for cell in notebook.cells for output in cell.get("outputs", [])]


def test_a_notebook_runs_without_a_warning_and_shows_widgets(executed):
    _, shown = executed
    assert any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in shown)
    assert not [output.text for output in shown if output.output_type == "stream" and output.name == "stderr"]


def test_the_quickstart_finds_its_heads(executed):
    name, shown = executed
    if name != "quickstart":
        return
    printed = "".join(output.text for output in shown if output.output_type == "stream")
    induction = re.search(r"is an induction head: (\d\.\d+)", printed)
    previous = re.search(r"looks at the previous token: (\d\.\d+)", printed)
    assert float(induction[1]) > 0.5
    assert float(previous[1]) > 0.5
    assert re.search(r"Ben +0\.9", printed)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
