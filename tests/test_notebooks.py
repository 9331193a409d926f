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
        self.frames = [frame(output.data["text/html"]) for output in self.outputs if "dataframe" in str(output)]
        self.pictures = sum("image/png" in output.get("data", {}) for output in self.outputs)
        self.widgets = sum(WIDGET in output.get("data", {}) for output in self.outputs)

    def _said(self, stream: str) -> str:
        return "".join(out.text for out in self.outputs if out.output_type == "stream" and out.name == stream)

    def numbers(self, line: str) -> list[float]:
        """The numbers with decimals in the printed line that begins with these words."""
        found = next(one for one in self.printed.splitlines() if one.strip().startswith(line))
        return [float(number) for number in re.findall(r"\d+\.\d+", found)]

    def signed(self, line: str) -> list[float]:
        """The same, with their signs."""
        found = next(one for one in self.printed.splitlines() if one.strip().startswith(line))
        return [float(number) for number in re.findall(r"[+-]?\d+\.\d+", found)]


def frame(page: str) -> list[list[str]]:
    """The rows of a data frame, each as its cells and the labels before them."""
    rows = re.findall(r"<tr>(.*?)</tr>", page.partition("<tbody>")[2], re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


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


def does(run):
    parts = [run.signed(name)[-1] for name in ("16 heads", "4 MLPs", "the word")]
    assert run.signed("together") == pytest.approx([sum(parts)] * 2, abs=0.02)
    assert run.signed("together")[1] == pytest.approx(9.6, abs=0.05)
    largest, both, sentences, words = run.frames
    assert [row[1:3] for row in largest[:7]] == [
        ["layer 3, head 1", "gave"],
        ["layer 1, head 2", "Lily"],
        ["layer 1, head 3", "Ben"],
        ["layer 1, head 1", "Lily"],
        ["layer 1, head 0", "Ben"],
        ["layer 3, head 3", "gave"],
        ["layer 2, head 2", "gave"],
    ]
    assert [row[3] for row in largest[:5]] == ["0.98", "1.00", "1.00", "1.00", "1.00"]
    assert float(largest[0][4]) == pytest.approx(6, abs=0.1)
    assert [4.7 < abs(float(row[4])) < 5.6 for row in largest[1:5]] == [True] * 4
    assert abs(run.signed("the four heads of layer 1 together")[0]) < 0.5
    assert run.printed.count("made least likely: Lily -5.0") == 1
    assert run.signed("to Ben") == [11.9, 1.0]
    assert run.signed("to Lily") == [12.3, -5.0]
    removed(run, {row[0]: [float(one) for one in row[1:]] for row in both})
    voting(run, sentences)
    resting(run, words)


def removed(run, both):
    whole = run.numbers("the whole model: lead")[0]
    cut = {place: run.numbers(f"layer {place[0]}, head {place[1]} looks at Lily") for place in CUT}
    assert len(re.findall(r"looks at Lily with", run.printed)) == len(CUT) == 6
    for place, (weight, lead) in cut.items():
        assert weight >= 0.95
        assert (lead < whole - 2) == (place in {(1, 2), (1, 3)})
        assert abs(lead - whole) < 0.2 or place in {(1, 2), (1, 3)}
    assert cut[2, 0][0] == 0.98
    assert cut[3, 2][1] == whole == run.numbers("all 16 heads cut from Ben")[0]
    assert run.numbers("all 16 heads cut from Lily")[0] < 0.3
    sizes = [run.numbers(f"layer {layer}, head {head}: what it adds")[0] for layer, head in ((1, 2), (1, 3), (2, 0))]
    assert 5 < sizes[2] < min(sizes[:2]) / 2
    for name, direct, lost in (
        ("layer 3, head 1", 6.0, 7.0),
        ("layer 0, head 3", -0.2, 8.6),
        ("layer 1, head 3", 5.2, 9.1),
        ("layer 1, head 2", -5.5, -2.9),
        ("layer 2, head 0", -0.2, -0.1),
    ):
        assert both[name][1:] == pytest.approx([direct, lost], abs=0.05), name
    assert both["layer 2, head 0"][0] == 0.7
    one_by_one, together = run.numbers("[(3, 1), (3, 3)]")
    assert one_by_one == pytest.approx(together, abs=0.2)
    one_by_one, together = run.numbers("[(1, 0), (1, 1)")
    assert together > one_by_one + 4


def voting(run, sentences):
    third, first = re.search(r"head 1: (\d+) of 40; a head of layer 1: (\d+) of 40", run.printed).groups()
    assert abs(int(third) - 20) < 3
    assert int(third) + int(first) == 40
    for label, one, other, right in sentences:
        if label.startswith("layer 1"):
            assert abs(float(one) + float(other)) < 0.3
            assert abs(float(one)) > 6
            assert right == "20 of 40"
        else:
            assert right == "40 of 40"
    assert [row[0] for row in sentences[4:]] == ["layer 2, head 2", "layer 3, head 1", "layer 3, head 3"]


def resting(run, words):
    (near,) = run.signed("integrated gradients, from")
    assert abs(near) < 0.05
    relevance = sorted(words, key=lambda row: -float(row[3]))
    assert [(row[1], row[0]) for row in relevance[:3]] == [("Ben", "3"), ("Lily", "9"), ("gave", "10")]
    assert float(relevance[2][3]) > 2
    assert float(relevance[3][3]) < 0.2
    assert float(words[3][2]) == pytest.approx(1, abs=0.1)  # rollout, over the baseline
    assert max(abs(float(row[4])) for row in words) < 0.7
    added = sorted(words, key=lambda row: -float(row[5]))
    assert {row[0] for row in added[:3]} == {"3", "9", "10"}
    assert added[-1][0] == "1"
    slope, sum_of_slopes = run.numbers("gradient_x_input"), run.numbers("integrated_gradients")
    assert [slope[1], sum_of_slopes[1]] == pytest.approx([0.3, 0.3], abs=0.05)
    assert "gradient_x_input: best layer 2, head 2" in run.printed
    assert "integrated_gradients: best layer 3, head 3" in run.printed


CUT = ((0, 0), (0, 2), (1, 2), (1, 3), (2, 0), (3, 2))


def pruned(run):
    ranked, curves, alone, trio = run.frames
    # A row of the ranking lacks the number of its layer where the row before has the same.
    numbers = [[float(one) for one in row[-2:]] for row in ranked]
    assert ranked[0][:2] == ["0", "3"]
    assert numbers[0][0] == pytest.approx(1.6, abs=0.05)
    assert numbers[1][0] < numbers[0][0] / 10
    assert sorted(slope for _, slope in numbers)[-5] == numbers[0][1]  # four are above it
    assert all(lost > 0.01 for lost, _ in numbers[:8])
    assert all(abs(lost) < 0.005 for lost, _ in numbers[8:])
    assert run.numbers("rank correlation") == [pytest.approx(0.83, abs=0.03)]
    gone = {int(row[0]): [float(one) for one in row[1:]] for row in curves}
    curved(gone)
    losses = {row[-3]: float(row[-2]) for row in alone[4:]}
    assert max(losses.values()) < 0.01
    assert float(alone[2][-2]) > 6
    assert float(alone[2][-1]) == 0.006
    together = [run.numbers(f"{count} of the induction heads")[0] for count in range(5)]
    assert together == pytest.approx([0.002, 0.006, 0.04, 1.7, 9.8], abs=0.03)
    assert run.numbers("one by one, in sum")[0] < together[4] / 100
    assert [float(row[2]) for row in trio] == [1, 1, 0.875, 0.475]
    assert float(trio[3][1]) - float(trio[0][1]) == pytest.approx(0.035, abs=0.006)
    assert run.pictures == 2


def curved(gone):
    least, slope, most, *orders, right = zip(*gone.values(), strict=True)
    assert (gone[4][0], gone[4][-1]) == pytest.approx((gone[0][0], gone[0][-1]), abs=0.011)
    assert least[3] > least[2] + 0.1
    assert (least[4], right[4], right[0]) == pytest.approx((1.6, 0.57, 0.66), abs=0.015)
    assert (most[1], most[8]) == pytest.approx((4.7, 4.9), abs=0.05)
    assert slope[:6] == pytest.approx(least[:6], abs=0.06)
    assert slope[6] > least[6] + 1
    at_four, at_eight = [one[2] for one in orders], [one[4] for one in orders]
    assert 1.2 <= min(at_four) <= max(at_four) < 1.4
    assert (min(at_eight), max(at_eight)) == pytest.approx((1.5, 4.4), abs=0.05)
    assert min(at_eight) < min(least[4], slope[4])
    assert (most[3], most[4]) == pytest.approx((4.5, 3.7), abs=0.06)


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
    "11_what_a_head_does": does,
    "12_pruning": pruned,
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
