"""The notebooks run from top to bottom, show what their words say, and are committed without outputs."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
LESSONS = [path for path in NOTEBOOKS if path.name[0].isdigit()]
WIDGET = "application/vnd.jupyter.widget-view+json"


class Run:
    """A notebook after every cell was run, in a kernel of its own."""

    def __init__(self, path: Path) -> None:
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
        self.name = path.stem
        self.outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        self.printed = self._said("stdout")
        self.complaints = self._said("stderr")
        self.shown = [output.data.get("text/plain", "") for output in self.outputs if "data" in output]
        self.widgets = sum(WIDGET in output.get("data", {}) for output in self.outputs)

    def _said(self, stream: str) -> str:
        return "".join(out.text for out in self.outputs if out.output_type == "stream" and out.name == stream)

    def numbers(self, line: str) -> list[float]:
        """The numbers with decimals in the printed line that begins with these words."""
        found = next(one for one in self.printed.splitlines() if one.strip().startswith(line))
        return [float(number) for number in re.findall(r"\d+\.\d+", found)]


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def run(request):
    return Run(request.param)


def test_a_notebook_runs_without_a_warning_and_shows_widgets(run):
    assert run.widgets
    assert run.complaints == ""


def test_what_a_notebook_claims_is_so(run):
    CLAIMS[run.name](run)


def quickstart(run):
    assert run.numbers("Ben")[0] > 0.9
    assert run.numbers("at temperature 1 ")[0] == pytest.approx(1.19, abs=0.02)


def models(run):
    assert "Lily gave the pink ring to Ben" in run.printed


def lookup(run):
    assert "output  24.4" in run.printed
    assert re.search(r"weights \[0\. +0\.03 0\.23 0\.5 +0\.23\]", run.printed)


def temperature(run):
    assert "temperature   0.01: weights [0. 1. 0.]" in run.printed
    assert "temperature    100: weights [0.33 0.33 0.33]" in run.printed
    assert run.numbers("temperature    4: Lily")[-1] > run.numbers("temperature 0.25: Lily")[-1] + 1
    spread, plain, divided = run.numbers("width 1024")
    assert spread == pytest.approx(32, abs=1)
    assert plain > 0.95
    assert divided < 0.4


def heatmap(run):
    assert run.numbers("the gets 0")[0] > 0.95
    assert run.numbers("the row sums to") == [1.0]
    assert run.numbers("its largest weight is")[0] < 0.7


def masks(run):
    unseen, changed = run.numbers("storyteller:")[:7], run.numbers("storyteller:")[7:]
    assert unseen == [0.0] * 7
    assert min(changed) > 0
    assert min(run.numbers("reader:")) > 0
    assert re.findall(r"the mask: .*?(\d+) queries", run.printed) == ["9", "17"]
    assert run.printed.count("sum 1.00") == 4
    assert "sum 0.06" in run.printed


def heads(run):
    assert run.numbers("previous: the best is layer 0, head 2")[0] > 0.95
    assert run.numbers("induction: the best is layer 1")[0] > 0.95
    for head in range(4):
        on_words, on_story = run.numbers(f"layer 1, head {head}:")
        assert on_words > 0.9
        assert on_story < 0.4
    assert re.search(r"group \d: L1 H0 L1 H1 L1 H2 L1 H3\n", run.printed)
    after = re.findall(r"after +\S+ comes +(\S+); the model says (\S+)", run.printed)
    assert [wanted == said for wanted, said in after] == [False, False, True, True, True]


def layers(run):
    for name in ("all heads", "without layer 0, head 0", "without layer 0, head 1"):
        assert min(run.numbers(name)) > 0.9
    *induction, guessed = run.numbers("without layer 0, head 2")
    assert max(induction) < 0.3
    assert guessed < 0.4
    assert run.numbers("random words, 1 induction heads taken out")[0] > 0.95
    assert run.numbers("random words, 4 induction heads taken out")[0] < 0.05
    looks, ben = run.numbers("story, without [(1, 0)]")
    assert (looks, ben > 0.9) == (1.0, True)
    looks, ben = run.numbers("story, without [(1, 3)]")
    assert (looks, ben < 0.7) == (1.0, True)
    ben = next(line for line in run.shown[-1].splitlines() if line.split()[1] == "Ben")
    assert float(ben.split()[-1]) == pytest.approx(1, abs=0.1)
    first = next(line for line in run.shown[-1].splitlines() if line.split()[1] == "<s>")
    assert float(first.split()[-1]) < 1


def translated(run):
    assert "written: 2 0 2 6 - 1 1 - 2 1" in run.printed
    assert len(re.findall(r"writes +1 and looks at November", run.printed)) == 2
    assert re.findall(r"writes 5 and looks at +(\w+)", run.printed) == ["May", "5"]
    assert max(run.numbers(f"layer 1, head {head}: alignment")[0] for head in (0, 1)) < 0.2
    assert min(run.numbers(f"layer 0, head {head}: alignment")[0] for head in (0, 1)) > 0.25
    assert run.numbers("2026/11/21:")[0] > 0.2
    assert "21.11.2026: monotonicity -" in run.printed
    assert run.numbers("with all heads")[0] > 0.95
    assert max(run.numbers(f"without layer 1, head {head}")[0] for head in (0, 1)) < 0.7
    assert 0.7 < run.numbers("without layer 0, head 1")[0] < 0.95


def pictured(run):
    assert all(label == said for label, said in re.findall(r"a (\d): the model says (\d)", run.printed))
    assert run.numbers("[CLS] looks most at 1,3")[-1] < 0.05
    assert run.numbers("[CLS] looks least at 3,1")[-1] > 0.8
    assert "attention of the last layer: -" in run.printed
    assert run.numbers("ink")[0] > run.numbers("rollout: +")[0] > 0.2


def wrong(run):
    findings = [text for text in run.shown if text.startswith(("severity", "Nothing unusual"))]
    assert findings[0] == "Nothing unusual was found."
    expected = (
        ("Collapsed attention", "5.66"),
        ("Uniform attention", "queries"),
        ("Broken causality", "triu"),
        ("NaN, from the keys on", "keys of layer 2, head 1"),
        ("Attention to padding", "was not passed"),
    )
    for text, (title, cause) in zip(findings[1:], expected, strict=True):
        assert title in text
        assert cause in text
    assert re.findall(r"^ *([^:\n]+): ([^,\n]+)", run.printed, re.MULTILINE) == [
        ("as it should be", "nothing unusual"),
        ("not divided", "Scores are not scaled"),
        ("softmax over the wrong axis", "Softmax over the wrong axis"),
        ("masked after the softmax", "The mask is applied after the softmax"),
        ("softmax twice", "Softmax is applied twice"),
    ]


def own(run):
    assert run.numbers("new puzzles solved")[0] > 99
    assert max(run.numbers("before:")) < 0.5
    assert min(run.numbers("after:")) > 0.6
    assert re.search(r"<Page of 0\.\d\d MB", run.printed)


CLAIMS = {
    "quickstart": quickstart,
    "models": models,
    "01_what_attention_is": lookup,
    "02_reading_a_heatmap": heatmap,
    "03_scaling_and_temperature": temperature,
    "04_masks_and_causality": masks,
    "05_entropy_and_heads": heads,
    "06_layers_and_rollout": layers,
    "07_cross_attention": translated,
    "08_images": pictured,
    "09_when_attention_goes_wrong": wrong,
    "10_your_own_model": own,
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None


def words(path):
    return "\n\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_asks_once_in_the_middle_and_twice_at_the_end(path):
    middle, asked, end = words(path).partition("## Two questions")
    assert asked
    assert middle.count("## Predict") == 1
    code = "".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    assert code.count("aw.Lesson(") + middle.count("<!-- predict -->") == 1
    assert end.count("<details><summary>Answer</summary>\n\n") == end.count("\n\n</details>\n") == 2
    assert words(path).count("<details>") == words(path).count("</details>")
    assert re.match(r"# \d+\. ", words(path))


def test_every_link_between_notebooks_leads_somewhere_and_each_lesson_leads_to_the_next():
    for path in NOTEBOOKS:
        for link in re.findall(r"\]\((\w+\.\w+)\)", words(path)):
            assert (path.parent / link).is_file(), f"{path.name} links to {link}"
    for path, after in pairwise(LESSONS):
        assert words(path).rstrip().endswith(f"({after.name})")
