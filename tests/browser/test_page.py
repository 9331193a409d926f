"""Saved pages: opened from disk, with no kernel and no network, they are the view itself."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

import attnwidget as aw
from attnwidget.layers import Mask
from attnwidget.widget.module import inline_module
from tests.browser.test_explorer import part, pixels, read_cells, ready, show_view, shown
from tests.make import matrices, projected

STRICT = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'\">"
)
HOSTILE = ["</script><img src=x onerror=document.title='owned'>", "<!-- <script>", '"', "&amp;", "a\nb", "", " ", "💡"]


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens a page from disk without a network; there must be no error, and nothing that is fetched."""
    context = browser.new_context(offline=True, viewport={"width": 1400, "height": 1100}, accept_downloads=True)
    faults, strict = [], []

    def open_html(html, *, policy=""):
        path = tmp_path / f"page-{len(context.pages)}.html"
        path.write_text(html.replace("<head>", f"<head>{policy}"), encoding="utf-8")
        page = context.new_page()
        page.on("console", lambda said: faults.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url) if request.url.startswith("http") else None)
        page.on("requestfailed", lambda request: faults.append(request.url))
        strict.append(bool(policy))
        page.goto(path.as_uri())
        return page

    yield open_html
    context.close()
    # What such a policy forbids by itself, the browser says: the picture for those without scripts, and the worker.
    forbidden = ("Loading the image 'data:", "Creating a worker from 'blob:") if any(strict) else ()
    assert [fault for fault in faults if not fault.startswith(forbidden)] == []


def views(page):
    """The views of a page."""
    return page.locator("[data-attnwidget=explorer]")


def only(page):
    """The view of a page of one, when it is drawn and the picture that stood there is gone."""
    widget = ready(views(page))
    expect(page.locator("[data-part=still]")).to_have_count(0)
    return widget


@pytest.mark.parametrize("policy", ["", STRICT], ids=["from disk", "inline scripts only"])
def test_a_page_is_the_view(open_page, policy):
    maps = projected()
    widget = only(open_page(aw.Explorer(maps, layer=1).to_html(), policy=policy))
    expect(part(widget, "status")).to_be_empty()
    visible = np.tri(14, dtype=bool)
    part(widget, "thumb", layer=2, head=1).click()
    shown(ready(widget), layer=2, head=1)
    for value, temperature in (("0", 1), ("0.4", 2.51)):
        part(widget, "temperature").fill(value)
        heatmap = shown(ready(widget), temperature=temperature)
        weights = maps.weights(2, 1, temperature=temperature).numpy()
        largest = float(heatmap.get_attribute("data-max"))
        np.testing.assert_allclose(read_cells(widget)[visible], weights.clip(max=largest)[visible], atol=0.02)

    x, y, width, height = map(float, heatmap.get_attribute("data-plot").split(","))
    heatmap.click(position={"x": x + 3.5 * width / 14, "y": y + 7.5 * height / 14})
    row = part(widget, "row")
    expect(row).to_have_attribute("data-query", "7")
    entropy = aw.measures.entropy(maps.weights(2, 1, temperature=2.51))[7].item()
    assert float(row.get_attribute("data-entropy-after")) == pytest.approx(entropy, abs=1e-3)

    show_view(widget, "text")
    word = part(widget, "text").locator("[data-index='3']")
    expect(word).to_have_attribute("data-weight", re.compile(r"\d"))
    weight = maps.weights(2, 1, temperature=2.51)[7, 3].item()
    assert float(word.get_attribute("data-weight")) == pytest.approx(weight, abs=1e-3)

    show_view(widget, "grid")
    part(widget, "measure").select_option("entropy")
    exact = aw.summarize(maps)["entropy"].to_numpy().reshape(3, 4)
    badge = part(part(widget, "thumb", layer=2, head=3), "badge")
    assert float(badge.get_attribute("data-value")) == pytest.approx(exact[2, 3], abs=1e-5)
    show_view(widget, "heatmap")
    part(widget, "map").select_option("rollout")
    shown(ready(widget), map="rollout")


@pytest.mark.parametrize("n", [14, 60], ids=["held as codes", "held as queries and keys"])
def test_the_formula_has_the_numbers_that_python_has(open_page, n):
    maps = projected(n)
    view = aw.Explorer(maps, layer=1, head=3, query=9, key=4, temperature=2.0, scaling=8**0.5)
    widget = only(open_page(view.to_html()))
    expect(part(widget, "rule")).to_have_text("softmax(q·k / √8 × √8 / 2)")  # noqa: RUF001
    score = maps.scores(1, 3)[9, 4].item()
    weight = maps.weights(1, 3, temperature=2.0, scaling=8**0.5)[9, 4].item()
    wanted = {"product": score * 8**0.5, "score": score, "turned": score * 8**0.5 / 2, "weight": weight}
    for name, number in wanted.items():
        step = part(widget, "steps").locator(f"[data-step={name}]")
        expect(step).to_have_count(1)
        assert float(step.get_attribute("data-value")) == pytest.approx(number, rel=1e-5)
        said = step.locator("dd").inner_text().replace("−", "-")  # noqa: RUF001
        assert float(said) == pytest.approx(number, rel=5e-3 if name == "weight" else 5e-4)
    part(widget, "reset").click()
    expect(part(widget, "rule")).to_have_text("softmax(q·k / √8)")
    part(widget, "unscaled").click()
    shown(ready(widget), scaling=8**0.5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_view_stands_in_its_page_without_a_frame(open_page, scheme):
    page = open_page(aw.page("Text.", projected()).html)
    page.emulate_media(color_scheme=scheme)
    expect(ready(views(page)).locator(f".widget[data-scheme={scheme}]")).to_be_attached()
    edge, inside = pixels(page), pixels(views(page))
    assert (edge[0, 0] == inside[0, 0]).all()


def test_findings_come_with_the_page(open_page):
    weights = matrices(3, 4, 12, 12)
    weights[1, 3] = weights[1, 2]
    widget = only(open_page(aw.Explorer(aw.AttentionMaps.from_arrays(weights, layout="LHQK")).to_html()))
    if part(widget, "findings").get_attribute("data-open") == "false":
        part(widget, "findings").locator("h3 button").click()
    finding = part(widget, "finding", name="duplicates")
    expect(finding).to_contain_text("Heads that are the same")
    part(finding, "finding-place", layer=1, head=3).click()
    shown(ready(widget), layer=1, head=3)


def test_what_is_coarse_says_so_at_its_place_and_how_it_is_had_whole(open_page):
    view = aw.Explorer(projected(200, layers=6, width=32), layer=3)
    room = len(inline_module("explorer").encode()) / 1e6 + 0.8
    widget = only(open_page(view.to_html(limit_mb=room)))
    expect(part(widget, "status")).to_be_empty()
    part(widget, "thumb", layer=0, head=1).click()
    shown(ready(widget), layer=0, head=1)
    coarse = "Of attention, layers 0 to 1, 4 to 5 are here in coarse points only."
    expect(part(widget, "status")).to_contain_text(coarse)
    expect(part(widget, "status")).to_contain_text("That is to stay within limit_mb: save again with more")
    expect(part(widget, "temperature")).to_be_disabled()
    part(widget, "thumb", layer=3, head=1).click()
    shown(ready(widget), layer=3, head=1)
    expect(part(widget, "status")).to_be_empty()
    expect(part(widget, "temperature")).to_be_enabled()


def test_a_long_map_zooms_to_single_cells(open_page):
    maps = projected(1500, layers=1, heads=2, key_value_heads=1)
    widget = only(open_page(aw.Explorer(maps, query=1200, key=100).to_html()))
    heatmap = part(widget, "heatmap")
    expect(part(widget, "pooled")).to_contain_text("the largest of 3")
    heatmap.focus()
    for _ in range(20):
        heatmap.press("+")
    ready(widget)
    expect(part(widget, "pooled")).to_have_text("")
    top, bottom, left, right = (round(float(edge)) for edge in heatmap.get_attribute("data-window").split(","))
    assert (bottom - top, right - left) == (4, 4)
    assert top <= 1200 < bottom
    assert left <= 100 < right
    weights = maps.weights(0, 0)[top:bottom, left:right].numpy()
    largest = float(heatmap.get_attribute("data-max"))
    np.testing.assert_allclose(read_cells(widget), weights.clip(max=largest), atol=0.03 * largest)


def test_what_no_slider_can_change_has_none_and_says_at_which_temperature_it_is(open_page):
    maps = projected(1100, layers=1, heads=2, key_value_heads=1)
    widget = only(open_page(aw.Explorer(maps, temperature=0.5).to_html()))
    temperature = part(widget, "temperature")
    expect(temperature).to_be_disabled()
    expect(temperature).to_have_attribute("aria-valuetext", "0.5")
    expect(part(widget, "status")).to_contain_text("Of attention, a long map")
    largest = float(maps.weights(0, 0, temperature=0.5)[2:].max())
    heatmap = shown(widget, temperature=0.5)
    assert float(heatmap.get_attribute("data-max")) == pytest.approx(largest, abs=1e-3)


def test_all_maps_of_an_encoder_and_a_decoder_are_there(open_page):
    cross = aw.AttentionMaps.from_arrays(
        matrices(2, 3, 5, 8), tokens=list("vwxyz"), key_tokens=list("abcdefgh"), layout="LHQK"
    )
    maps = {"encoder": projected(8, layers=2, causal=False), "decoder": projected(5, layers=2), "cross": cross}
    widget = only(open_page(aw.Explorer(maps).to_html()))
    for name in ("cross", "decoder", "encoder"):
        part(widget, "map").select_option(name)
        part(widget, "thumb", layer=1, head=2).click()
        shown(ready(widget), map=name, layer=1, head=2)
        weights = maps[name].weights(1, 2).numpy()
        largest = float(part(widget, "heatmap").get_attribute("data-max"))
        seen = maps[name].layers[1].visible(slice(2, 3), slice(0, len(weights)))[0].numpy()
        np.testing.assert_allclose(read_cells(widget)[seen], weights.clip(max=largest)[seen], atol=0.02)


@pytest.mark.parametrize(
    ("window", "lens", "chips"),
    [
        (None, {"words": True}, 1),
        (4, {"hide": ["special", 6]}, 2),
        (4, {"hide": ["special", 6], "only": ["said"], "words": True}, 4),
    ],
)
def test_what_is_seen_through_lenses_is_what_python_sees(open_page, window, lens, chips):
    pieces = ["<s>", "Lil", "##y", "and", "Ben", "pla", "##y", "##ed", "in", "the", "park", "."]
    tokens = aw.Tokens.from_labels(pieces).with_spans(aw.Span("said", 1, 11))
    layers = [replace(layer, mask=Mask(causal=True, window=window)) for layer in projected(12).layers]
    view = aw.Explorer(aw.AttentionMaps(layers, tokens), layer=1, head=2, color_range="map", **lens)
    widget = only(open_page(view.to_html(progress=False)))
    expect(part(widget, "chip")).to_have_count(chips)
    weights = view.maps.weights(1, 2).numpy()
    largest = float(part(widget, "heatmap").get_attribute("data-max"))
    seen = view.maps.layers[1].visible(slice(2, 3), slice(0, len(weights)))[0].numpy()
    np.testing.assert_allclose(read_cells(widget)[seen], weights.clip(max=largest)[seen], atol=0.02)


def test_the_patches_of_an_image_lie_over_their_picture(open_page):
    picture = torch.zeros(60, 90, 3, dtype=torch.uint8)
    picture[:30] = torch.tensor([200, 40, 40])
    tokens = aw.Tokens.from_labels(["[CLS]", *map(str, range(24))]).with_image(aw.ImageGrid(1, 4, 6, picture))
    view = aw.Explorer(aw.AttentionMaps(projected(25, causal=False).layers, tokens), view="image", query=5)
    widget = only(open_page(view.to_html()))
    image = part(widget, "image")
    expect(image).to_have_attribute("data-picture", "true")
    mass = view.maps.weights(0, 0)[5, 1:].sum().item()
    assert float(image.get_attribute("data-mass")) == pytest.approx(mass, abs=1e-3)
    part(widget, "overlay").fill("0")
    expect(part(widget, "overlay")).to_have_attribute("aria-valuetext", "0 %")
    bare = pixels(image)
    np.testing.assert_allclose(bare[bare.shape[0] // 4, bare.shape[1] // 2], [200, 40, 40], atol=3)


def test_several_views_stand_between_text_and_share_nothing(open_page):
    html = aw.page(
        "# Before *and* after", projected(seed=1), "| a | b |\n|-|-|\n| 1 | 2 |", projected(9), "The end."
    ).html
    page = open_page(html)
    expect(views(page)).to_have_count(2)
    first, second = ready(views(page).nth(0)), ready(views(page).nth(1))
    part(first, "thumb", layer=2, head=3).click()
    shown(ready(first), layer=2, head=3)
    shown(second, layer=0, head=0)
    expect(page.get_by_role("heading", name="Before and after")).to_be_visible()
    expect(page.get_by_role("cell", name="2")).to_be_visible()


def test_tokens_and_titles_stay_text(open_page):
    maps = aw.AttentionMaps.from_arrays(matrices(2, 2, 8, 8), tokens=HOSTILE, layout="LHQK")
    view = aw.Explorer(maps, title="</title><script>document.title='owned'</script>", view="text", query=7)
    page = open_page(aw.page("<script>document.title = 'owned'</script>", view).html)
    widget = ready(views(page))
    expect(part(widget, "text")).to_contain_text("</script><img src=x")
    assert page.title() == "</title><script>document.title='owned'</script>"
    assert widget.locator("img").count() == 0


def test_what_is_shown_leaves_a_page_as_files(open_page, tmp_path):
    maps = projected()
    widget = only(open_page(aw.Explorer(maps, layer=1, head=2).to_html()))

    def saved(what):
        part(widget, "save").click()
        with widget.page.expect_download() as download:
            part(widget, f"save-{what}").click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path

    svg = ET.parse(saved("svg")).getroot()
    assert svg.tag.endswith("svg")
    assert "Lily" in "".join(svg.itertext())
    with saved("csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    weights = maps.weights(1, 2).numpy()
    for query, row in enumerate(rows[1:]):
        np.testing.assert_allclose([float(cell) for cell in row[1 : query + 2]], weights[query, : query + 1], atol=1e-4)


def test_without_scripts_there_is_a_picture(browser, tmp_path):
    path = aw.Explorer(projected(), layer=1).save(tmp_path / "page.html")
    context = browser.new_context(offline=True, java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    expect(page.locator("img")).to_be_visible()
    page.locator("summary").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text(re.compile(r"0\.\d{3}"))
    context.close()


def test_a_printed_page_has_the_view_on_it(open_page):
    page = open_page(aw.Explorer(projected()).to_html())
    only(page)
    printed = page.pdf(width="1400px", height="1100px", print_background=True)
    assert printed.startswith(b"%PDF")
    page.emulate_media(media="print")
    expect(part(views(page), "heatmap")).to_be_visible()
    ready(views(page))


def test_a_damaged_view_leaves_its_picture_and_the_others(browser, tmp_path):
    made = aw.page(aw.Explorer(projected(4)), "![from elsewhere](https://example.org/x.png)", aw.Explorer(projected(5)))
    html = made.html.replace('data-part="answers">H4', 'data-part="answers">AA', 1)
    assert html != made.html
    path = tmp_path / "page.html"
    path.write_text(html)
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"file://{path}")
    ready(page.locator("[data-attnwidget=explorer]"))
    expect(page.get_by_text("is damaged")).to_have_count(1)
    expect(page.locator("[data-part=still] img").first).to_be_visible()
    assert not [address for address in asked if address.startswith("http")]
    context.close()


def test_the_flow_moves_its_threshold_without_a_kernel(open_page):
    maps = projected()
    widget = only(open_page(aw.Explorer(maps, view="flow", query=9).to_html()))
    for value, threshold in ((-2, 0.01), (-1, 0.1), (-2.5, 0.0032)):
        part(widget, "flow-threshold").fill(str(value))
        carried = aw.measures.paths(maps, 9, threshold=threshold).carried
        expect(part(widget, "flow-carried")).to_contain_text(f"carry {carried:.4f} of what reaches the input")
    part(widget, "flow-heads").select_option("each")
    carried = aw.measures.paths(maps, 9, threshold=0.0032, heads="each").carried
    expect(part(widget, "flow-carried")).to_contain_text(f"carry {carried:.4f} of what reaches the input")


def test_two_runs_are_compared_without_a_kernel(open_page):
    before, after = projected(seed=0), projected(seed=1)
    view = aw.compare(before, after, layer=1, head=2, query=6)
    page = open_page(view.to_html(progress=False))
    widget = only(page)
    heatmap = shown(widget, layer=1, head=2, against="before/1/2")
    visible = np.tri(14, dtype=bool)

    def check(layer, head):
        largest = float(heatmap.get_attribute("data-max"))
        less = (after.weights(layer, head) - before.weights(layer, head)).numpy()
        # The legend runs from the least to the most.
        np.testing.assert_allclose(2 * read_cells(widget)[visible] - largest, less[visible], atol=0.02)

    check(1, 2)
    part(widget, "thumb", layer=2, head=0).click()
    shown(widget, layer=2, head=0, against="before/2/0")
    ready(widget)
    check(2, 0)
    entropy = float(aw.measures.entropy(before.weights(2, 0))[6])
    assert float(part(widget, "row").get_attribute("data-entropy-before")) == pytest.approx(entropy, abs=1e-3)
    part(widget, "show-first").click()
    shown(widget, map="before", layer=2, head=0)
