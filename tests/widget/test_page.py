"""Pages and files: what they hold, what was left out, and what bad input gets."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from IPython.display import HTML

import attnwidget as aw
from attnwidget.layers import DenseLayer

HOSTILE = ["<script>alert(1)</script>", "</script><!--", '"quoted"', "'", "\ud800", "&amp;", "=1+1", "x" * 10_000]


def made(n: int = 9, layers: int = 3, heads: int = 2, width: int = 4, **rule: object) -> aw.AttentionMaps:
    generator = torch.Generator().manual_seed(0)

    def draw() -> list[torch.Tensor]:
        return [torch.randn(heads, n, width, generator=generator) for _ in range(layers)]

    return aw.AttentionMaps.from_queries_keys(draw(), draw(), **{"causal": True, **rule})


class Reader(HTMLParser):
    """The parts of a page that a browser would find, as it would find them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: dict[str, list[str]] = {}
        self.attributes: list[tuple[str, str, str | None]] = []
        self._inside: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag in {"script", "style", "title", "h1", "h2", "table"}:
            self._inside = dict(attributes).get("data-part") or tag
            self.parts.setdefault(self._inside, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style", "title", "h1", "h2", "table"}:
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside is not None:
            self.parts[self._inside][-1] += data


def index_of(html: str, at: int = 0) -> dict[str, object]:
    packed = gzip.decompress(base64.b64decode(Reader(html).parts["answers"][at]))
    length = int.from_bytes(packed[-4:], "little")
    return json.loads(packed[-4 - length : -4])


def whole_layers(html: str, name: str = "attention") -> list[int]:
    questions = [entry["question"] for entry in index_of(html)["entries"]]
    return sorted(one["layer"] for one in questions if one["op"] == "projections" and one["map"] == name)


def notes_of(html: str) -> list[str]:
    return json.loads(Reader(html).parts["traits"][0])["facts"]["maps"][0]["notes"]


def test_a_page_holds_every_layer_and_all_that_was_measured() -> None:
    view = aw.Explorer(made(), layer=1, head=1, temperature=0.5)
    html = view.to_html()
    assert whole_layers(html) == [0, 1, 2]
    index = index_of(html)
    asked = {entry["question"]["op"] for entry in index["entries"]}
    small = {"profile", "thumbnails", "measures", "vitals", "findings", "standouts", "paths"}
    assert asked == {"projections", *small, "plane", "products"}
    assert index["missing"] == ""
    traits = json.loads(Reader(html).parts["traits"][0])
    assert {name: traits[name] for name in view.state} == view.state
    assert traits["facts"]["maps"][0]["n_queries"] == 9


@pytest.mark.parametrize(("width", "held"), [(4, []), (64, [("scores", 2, 1, 5)])])
def test_a_page_holds_the_scores_of_the_pinned_row_where_its_layer_does_not_tell_them(width, held) -> None:
    view = aw.Explorer(made(n=40, width=width), layer=2, head=1, query=5)
    questions = [entry["question"] for entry in index_of(view.to_html())["entries"]]
    rows = [one for one in questions if one["op"] == "scores"]
    assert [(one["op"], one["layer"], one["head"], one["query"]) for one in rows] == held


def test_a_page_holds_the_spans_that_were_found_and_their_mass_in_the_chosen_layer() -> None:
    tokens = ["Lily", "ran", ".", "Ben", "ran", ".", "Tom", "too", "."]
    view = aw.Explorer(aw.AttentionMaps(made().layers, tokens), layer=1, head=1)
    questions = [entry["question"] for entry in index_of(view.to_html())["entries"]]
    asked = [one for one in questions if one["op"].startswith("span")]
    assert [one["map"] for one in asked if one["op"] == "spans"] == list(view.shown.maps)
    place = {"map": "attention", "layer": 1}
    assert [one for one in asked if one["op"] != "spans"] == [
        {"op": "span_mass", **place, "kind": "sentences"},
        {"op": "span_rows", **place, "head": 1, "kind": "sentences"},
        {"op": "span_rows", **place, "head": None, "kind": "sentences"},
    ]


def test_a_page_holds_the_paths_of_every_token_of_a_short_text_and_of_the_nearest_of_a_long_one() -> None:
    for n, held in ((14, set(range(14))), (400, set(range(3, 12)) - {11})):
        index = index_of(aw.Explorer(made(n), query=7).to_html())
        asked = [entry["question"] for entry in index["entries"] if entry["question"]["op"] == "paths"]
        assert {one["query"] for one in asked} == held
        assert {one["heads"] for one in asked} == {"mean", "each"}


def test_nothing_in_a_page_is_fetched() -> None:
    html = aw.Explorer(made()).to_html()
    fetched = [(tag, name, value) for tag, name, value in Reader(html).attributes if name in {"src", "href"}]
    assert all(value is not None and value.startswith("data:image/png") for _, _, value in fetched)
    assert "import(" not in html.split('<script type="module">')[0]
    assert not re.search(r"\bfrom\s*[\"']https?:", html)


def test_the_state_gives_the_same_view_again() -> None:
    maps = made()
    view = aw.Explorer(maps, layer=2, head=1, query=4, key=1, temperature=2.0, view="text", color_map="magma")
    again = aw.Explorer(maps, **view.state)
    assert again.state == view.state


def test_labels_and_titles_stay_text() -> None:
    maps = aw.AttentionMaps.from_arrays(torch.eye(8).expand(2, 2, 8, 8), tokens=HOSTILE, layout="LHQK")
    view = aw.Explorer(maps, title="</title></script><script>alert(1)</script>")
    reader = Reader(view.to_html())
    assert reader.parts["title"] == ["</title></script><script>alert(1)</script>"]
    scripts = [value for tag, name, value in reader.attributes if tag == "script" and name == "type"]
    assert scripts == ["application/json", "text/plain", "module"]
    labels = json.loads(reader.parts["traits"][0])["facts"]["maps"][0]["queries"]["labels"]
    assert labels == [label.replace("\ud800", "?") for label in HOSTILE]


def test_what_does_not_fit_is_left_out_farthest_first_and_said() -> None:
    view = aw.Explorer(made(n=200, layers=6, heads=4, width=32), layer=3)
    html = view.to_html(limit_mb=1.0)
    kept = whole_layers(html)
    assert 3 in kept
    assert 0 < len(kept) < 6
    assert kept == list(range(kept[0], kept[-1] + 1))
    index = index_of(html)
    assert "here in coarse points only" in index["missing"]
    assert "limit_mb" in index["missing"]
    coarse = [one["question"] for one in index["entries"] if one.get("coarse")]
    left = sorted(set(range(6)) - set(kept))
    assert {one["layer"] for one in coarse if one["map"] == "attention"} == set(left)
    assert len(html.encode()) <= 1.0e6


def test_layers_that_are_asked_for_are_the_ones() -> None:
    html = aw.Explorer(made(), layer=1).to_html(layers=[1, -1])
    assert whole_layers(html) == [1, 2]
    assert "Of attention, layer 0 is here in coarse points only." in index_of(html)["missing"]
    with pytest.raises(IndexError, match="layers=7 does not exist; there are 3"):
        aw.Explorer(made()).to_html(layers=[7])


def test_half_precision_halves_it_and_is_said() -> None:
    view = aw.Explorer(made(n=300, width=16))
    exact, half = view.to_html(), view.to_html(precision="float16")

    def sizes(html: str) -> list[int]:
        entries = index_of(html)["entries"]
        return [entry["sizes"][0] for entry in entries if entry["header"].get("form") == "projections"]

    assert len(sizes(exact)) == 3
    assert [2 * size for size in sizes(half)] == sizes(exact)
    with pytest.raises(ValueError, match="precision='int4'; expected 'float32' or 'float16'"):
        view.to_html(precision="int4")


@pytest.mark.parametrize("size", [1, 30])
def test_half_precision_says_by_how_much_weights_are_off(size: float) -> None:
    """Scores of some tens lose thousandths, scores of some thousands lose all."""
    generator = torch.Generator().manual_seed(0)
    q, k = (size * torch.randn(2, 60, 8, generator=generator) for _ in range(2))
    exact, half = (
        aw.AttentionMaps.from_queries_keys([one], [other], causal=True)
        for one, other in ((q, k), (q.half().float(), k.half().float()))
    )
    error = max(float((exact.weights(0, head) - half.weights(0, head)).abs().max()) for head in (0, 1))
    (note,) = notes_of(aw.Explorer(exact).to_html(precision="float16"))
    assert float(re.search(r"off by (\S+) at most", note)[1]) == pytest.approx(error, rel=0.1)
    assert notes_of(aw.Explorer(exact).to_html()) == []


@pytest.mark.parametrize(
    "maps",
    [
        pytest.param(made, id="sent as codes, which are fewer"),
        pytest.param(lambda: made(n=1100, layers=1), id="sent as points"),
        pytest.param(lambda: aw.AttentionMaps.from_arrays(torch.eye(9)), id="given as a matrix"),
    ],
)
def test_what_is_not_rounded_is_not_said_to_be(maps) -> None:
    notes = notes_of(aw.Explorer(maps()).to_html(precision="float16"))
    assert not [note for note in notes if "half precision" in note]


@pytest.mark.parametrize(
    ("limit", "sentence"), [(0.5, "chosen layer"), (0.01, "without any attention"), (0, "above 0")]
)
def test_a_limit_that_is_too_small_says_how_much_is_needed(limit: float, sentence: str) -> None:
    view = aw.Explorer(made(n=700, layers=1, heads=8, width=64))
    with pytest.raises(ValueError, match=sentence):
        view.to_html(limit_mb=limit)


@pytest.mark.parametrize("layers", [1, "all", [1.5], ["0"], [None], [True]])
def test_layers_that_are_no_integers_are_refused(layers) -> None:
    with pytest.raises(TypeError, match=r"layers=.*; expected a"):
        aw.Explorer(made()).to_html(layers=layers)


def test_numbers_of_numpy_are_numbers() -> None:
    view = aw.Explorer(made())
    html = view.to_html(limit_mb=np.int64(5), layers=np.array([0, 2]))
    assert whole_layers(html) == [0, 2]
    with pytest.raises(TypeError, match="title is int; expected a string"):
        aw.page(view, title=3)


def test_a_long_map_is_held_at_several_zooms() -> None:
    view = aw.Explorer(made(n=1500, layers=1, heads=2), head=1, query=1200)
    index = index_of(view.to_html())
    tiles = [one for one in index["entries"] if one["question"]["op"] == "tile" and one["question"]["head"] == 1]
    strides = {tuple(one["header"]["stride"]) for one in tiles}
    assert strides == {(3, 3), (2, 2), (1, 1)}
    assert "3 zooms" in index["missing"]


def test_of_a_long_map_the_rows_and_the_column_that_are_read_are_held() -> None:
    maps = made(n=1500, layers=1, heads=2)
    view = aw.Explorer(maps, head=1, query=1200, also=[7], key=5, reading="column", temperature=0.5)
    questions = [one["question"] for one in index_of(view.to_html())["entries"]]
    rows = [one["rows"][0] for one in questions if one.get("whole") == "row"]
    assert rows == [1200, 7]
    (column,) = (one for one in questions if one["op"] == "column")
    assert (column["head"], column["key"], column["temperature"]) == (1, 5, 0.5)


def test_the_points_of_a_page_are_read_as_the_view_reads_them() -> None:
    maps = made(n=1500, layers=1, heads=2)
    view = aw.Explorer(maps, temperature=0.5, scaling=2.0, pooling="mean")
    tiles = [one for one in index_of(view.to_html())["entries"] if one["question"]["op"] == "tile"]
    assert {one["question"]["head"] for one in tiles} == {0, 1}
    coarse = [one["header"] for one in tiles if one["header"]["stride"] != [1, 1]]
    assert {(one["temperature"], one["scaling"], one["pooling"]) for one in coarse} == {(0.5, 2.0, "mean")}


def test_a_map_of_forty_thousand_tokens_becomes_a_page() -> None:
    view = aw.Explorer(made(n=40_000, layers=1, heads=1, width=2))
    assert "coarse" in index_of(view.to_html(limit_mb=10))["missing"]


@pytest.mark.filterwarnings("ignore::attnwidget.AttentionWarning")
def test_maps_without_numbers_become_pages() -> None:
    empty = aw.AttentionMaps.from_arrays(torch.zeros(1, 1, 2, 2), layout="LHQK", tokens=["a", "b"])
    nothing = aw.AttentionMaps.from_arrays(torch.full((1, 1, 2, 2), torch.nan), layout="LHQK", tokens=["a", "b"])
    for maps in (empty, nothing):
        assert whole_layers(aw.Explorer(maps).to_html()) == [0]


def test_an_empty_map_becomes_a_page_and_a_table_and_no_picture(tmp_path) -> None:
    view = aw.Explorer(aw.AttentionMaps([DenseLayer(torch.zeros(1, 0, 0))], aw.Tokens.from_labels([])))
    assert "there is no attention to show" in view.save(tmp_path / "nothing.html").read_text()
    assert read(view.save(tmp_path / "nothing.csv")) == [[""]]
    with pytest.raises(ValueError, match="there is nothing to draw"):
        view.save(tmp_path / "nothing.png")


def test_several_views_with_text_between_them(tmp_path) -> None:
    before, after = aw.Explorer(made(), title="before"), made(n=5)
    page = aw.page("# Two *runs*\n\n<b>no markup</b>", before, "## After", after, path=tmp_path / "lesson.html")
    reader = Reader((tmp_path / "lesson.html").read_text())
    assert len(reader.parts["answers"]) == 2
    assert reader.parts["h2"] == ["After"]
    assert reader.parts["title"] == ["before"]
    assert "&lt;b&gt;no markup" in str(page)
    assert len([1 for tag, name, value in reader.attributes if (tag, name, value) == ("script", "type", "module")]) == 1
    assert "srcdoc" in page._repr_html_()
    with pytest.raises(TypeError, match="without anything to show"):
        aw.page()


def test_a_page_in_a_page_stands_as_it_stood_when_it_was_made() -> None:
    view = aw.Explorer(made(), title="first")
    before = aw.page(view)
    view.layer = 2
    reader = Reader(aw.page(before, HTML("<h2>as <b>made</b></h2>"), view).html)
    assert [json.loads(traits)["layer"] for traits in reader.parts["traits"]] == [0, 2]
    assert reader.parts["h2"] == ["as made"]
    assert reader.parts["title"] == ["first"]
    assert sum("openPage(document)" in script for script in reader.parts["script"]) == 1


ENDING = r"'view.{}' does not end in .html, .png, .svg, .pdf or .csv"


@pytest.mark.parametrize("ending", ["gif", "HTM5", "", "tar.gz"])
def test_endings_nobody_knows_are_refused_with_the_list(tmp_path, ending: str) -> None:
    with pytest.raises(ValueError, match=r"does not end in \.html, \.png, \.svg, \.pdf or \.csv"):
        aw.Explorer(made()).save(tmp_path / f"view.{ending}")
    assert list(tmp_path.iterdir()) == []


def test_options_nobody_knows_are_refused_with_the_near_ones(tmp_path) -> None:
    view = aw.Explorer(made())
    with pytest.raises(TypeError, match="a page has no argument 'limit'; did you mean limit_mb"):
        view.save(tmp_path / "view.html", limit=3)
    with pytest.raises(TypeError, match="figure has no argument 'widht'; did you mean width"):
        view.save(tmp_path / "view.png", widht=3)
    with pytest.raises(TypeError, match="figure has no argument 'view'"):
        view.save(tmp_path / "view.png", view="grid")
    with pytest.raises(TypeError, match="a table has no argument 'dpi'"):
        view.save(tmp_path / "view.csv", dpi=3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["html", "png", "svg", "pdf", "csv"])
def test_a_view_is_written_by_its_ending_and_bad_places_are_named(tmp_path, ending: str) -> None:
    view = aw.Explorer(made())
    path = view.save(tmp_path / f"view.{ending}")
    assert path.stat().st_size > 100
    view.save(str(path))
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere; make it first"):
        view.save(tmp_path / "nowhere" / f"view.{ending}")
    folder = tmp_path / f"folder.{ending}"
    folder.mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        view.save(folder)
    view.close()
    with pytest.raises(ValueError, match="closed"):
        view.save(tmp_path / f"other.{ending}")


def test_a_link_stays_a_link_and_what_it_leads_to_is_written(tmp_path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "view.csv"
    link.symlink_to(tmp_path / "there" / "real.csv")
    aw.Explorer(made()).save(link)
    assert link.is_symlink()
    assert [one.name for one in (tmp_path / "there").iterdir()] == ["real.csv"]


def test_what_fails_half_way_leaves_the_older_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / "view.html"
    path.write_text("older")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(PermissionError("read-only")))
    with pytest.raises(PermissionError):
        aw.Explorer(made()).save(path)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("view.html", "older")]


def read(path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def test_a_table_reads_back_as_the_weights_that_are_shown(tmp_path) -> None:
    maps = made(n=6)
    view = aw.Explorer(maps, layer=1, head=1, temperature=0.5)
    rows = read(view.save(tmp_path / "head.csv"))
    weights = maps.weights(1, 1, temperature=0.5)
    for query, row in enumerate(rows[1:]):
        assert [cell == "" for cell in row[1:]] == [key > query for key in range(6)]
        found = np.array([float(cell or 0) for cell in row[1:]])
        np.testing.assert_allclose(found, weights[query].numpy(), atol=1e-6)


def test_no_cell_of_a_table_is_a_formula(tmp_path) -> None:
    tokens = ["=1+1", "+x", "-x", "@x", "\tx", "a,b", 'c"d', "e\nf", "\ud800", "'"]
    maps = aw.AttentionMaps.from_arrays(torch.eye(10), tokens=tokens)
    rows = read(aw.Explorer(maps).save(tmp_path / "head.csv"))
    expected = ["'=1+1", "'+x", "'-x", "'@x", "'\tx", "a,b", 'c"d', "e\nf", "?", "'"]
    assert rows[0] == ["", *expected]
    assert [row[0] for row in rows[1:]] == expected


def test_a_table_of_a_map_made_of_heads_knows_no_temperature(tmp_path) -> None:
    maps = made(n=6)
    view = aw.Explorer(maps, map="mean of heads", layer=1, temperature=0.5)
    rows = read(view.save(tmp_path / "mean.csv"))
    found = np.array([[float(cell or 0) for cell in row[1:]] for row in rows[1:]])
    np.testing.assert_allclose(found, maps.mean_of_heads().weights(1, 0).numpy(), atol=1e-6)
