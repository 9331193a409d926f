"""One text: pages, figures and findings of it, and the demo."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest

import attnwidget as aw
from attnwidget.commands import demo
from attnwidget.commands.browsing import open_page
from tests.commands.conftest import STORY

DATE = ["translator", "Sat 21.11.26"]


def test_view_writes_a_page_of_all_heads_in_the_place_of_an_older_one(attnwidget, tmp_path):
    (tmp_path / "page.html").write_text("older")
    ended = attnwidget("view", "storyteller", STORY, "-o", "page.html", "--layer", 2, "--head", 1, "--json")
    assert ended.code == 0
    assert not ended.err
    page = (tmp_path / "page.html").read_text()
    assert json.loads(ended.out) == {"written": "page.html", "bytes": len(page.encode()), "maps": ["attention"]}
    assert 'data-attnwidget-place="explorer"' in page
    chosen = json.loads(re.search(r'data-part="traits">(.*?)</script>', page)[1])
    assert (chosen["layer"], chosen["head"]) == (2, 1)


def test_view_keeps_an_older_page_where_it_fails(attnwidget, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("older")
    assert attnwidget("view", "storyteller", STORY, "-o", page, "--layer", 9) == (
        1,
        "",
        "attnwidget: layer=9 does not exist; it goes from 0 to 3.\n",
    )
    assert page.read_text() == "older"


def test_a_text_is_text_and_never_markup(attnwidget, tmp_path):
    ended = attnwidget("view", "storyteller", "Lily </script><script>alert(1)</script>\x1b[31m", "-o", "page.html")
    assert ended.code == 0
    assert "\x1b" not in ended.err
    assert "<script>alert" not in (tmp_path / "page.html").read_text()


def test_a_text_comes_from_stdin(attnwidget):
    ended = attnwidget("diagnose", "storyteller", "-", stdin=b"\xef\xbb\xbf" + STORY.encode() + b"\n")
    assert ended == (0, "Nothing unusual was found.\n", "")
    ended = attnwidget("diagnose", "storyteller", "-", stdin=b"Lily \xff")
    assert ended == (1, "", "attnwidget: what came on stdin is not UTF-8: byte 5 is none of it.\n")
    assert "the text is empty" in attnwidget("diagnose", "storyteller", "-", stdin=b" \n").err


def test_words_that_a_model_inside_does_not_know_are_named(attnwidget):
    ended = attnwidget("diagnose", "storyteller", "Lily saw a quokka .")
    assert ended.code == 0
    assert "these are not among them: quokka." in ended.err


def test_findings_come_with_their_numbers_and_as_json(attnwidget):
    typed = ["diagnose", *DATE, "--target", "2026-11-21", "--prefix", 3]
    said = attnwidget(*typed)
    assert said.code == 0
    assert "decoder: The prefix is ignored" in said.out
    assert "(healthy: above" in said.out
    told = attnwidget(*typed, "--json")
    assert not told.err
    (finding,) = json.loads(told.out)
    assert (finding["name"], finding["severity"], finding["map"]) == ("prefix", "warning", "decoder")
    assert finding["evidence"][0]["label"] == "mass on the prefix"
    assert json.loads(attnwidget("diagnose", "storyteller", STORY, "--json").out) == []


@pytest.mark.parametrize("command", ["view", "figure", "diagnose"])
def test_a_missing_target_is_said_with_the_option_that_gives_it(attnwidget, command):
    output = {"view": ["-o", "page.html"], "figure": ["-o", "head.svg"], "diagnose": []}[command]
    ended = attnwidget(command, *DATE, *output)
    assert ended.code == 1
    assert "no target came; give it with --target, or let the model write one with --generate." in ended.err
    assert ended.err.count("\n") == 1


def test_a_model_writes_its_own_target(attnwidget, tmp_path):
    ended = attnwidget(
        "figure", *DATE, "-o", "cross.svg", "--generate", 12, "--map", "cross", "--layer", 1, "--head", 1
    )
    assert ended.code == 0
    words = [one.text for one in ET.parse(tmp_path / "cross.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert {"2", "0", "6", "Sat"} <= {word.strip() for word in words if word}


@pytest.mark.parametrize("ending", ["svg", "pdf", "png"])
def test_a_figure_is_written_as_its_name_ends(attnwidget, tmp_path, ending):
    ended = attnwidget("figure", "storyteller", STORY, "-o", f"head.{ending}", "--layer", 2, "--head", 0, "--dpi", 72)
    assert ended.code == 0
    start = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[ending]
    assert (tmp_path / f"head.{ending}").read_bytes().startswith(start)


def test_which_map_is_drawn_is_asked_and_never_guessed(attnwidget):
    typed = ["figure", *DATE, "--target", "2026-11-21", "-o", "head.svg"]
    several = attnwidget(*typed)
    assert several.code == 2
    assert "several maps; choose with --map among encoder, decoder, cross." in several.err
    assert "--map nix is not one of its maps" in attnwidget(*typed, "--map", "nix").err


def test_a_model_of_pictures_says_that_it_reads_no_text(attnwidget):
    ended = attnwidget("diagnose", "digits", STORY)
    assert ended.code == 1
    assert "this model reads pixel_values and no text" in ended.err


def test_the_demo_writes_a_page_and_opens_it_where_it_may(attnwidget, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    monkeypatch.setenv("BROWSER", "somebrowser")
    ended = attnwidget("demo", "--open")
    page = tmp_path / "attnwidget-demo.html"
    assert ended.code == 0
    assert f"{page} opens in your browser." in ended.err
    assert opened == [page.as_uri()]
    assert 'data-attnwidget-place="explorer"' in page.read_text()
    assert 'data-attnwidget-place="playground"' in page.read_text()


def test_what_the_demo_says_of_its_model_is_so():
    model, tokenizer = aw.demo.load("storyteller")
    run = aw.capture(model, demo.STORY, tokenizer)
    ben = run.maps.tokens.labels.index("Ben")
    assert run.maps.weights(demo.LAYER, demo.HEAD)[demo.QUERY, ben] > 0.9
    assert run.maps.n_queries == demo.QUERY + 1
    assert run.next_tokens(1)[0].token.strip() == "Ben"


def test_no_browser_takes_over_a_terminal(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert not open_page(tmp_path / "page.html")
    assert not opened
