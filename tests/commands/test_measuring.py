"""attnwidget measure: texts of every format in, tables of every format out, and nothing lost or left out in silence."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import attnwidget as aw
from tests.commands.conftest import STORY

TEXTS = ["Lily and Ben went home .", "Tom saw a dog .", STORY]


@pytest.fixture
def sources(tmp_path):
    """The same texts in every format."""
    table = pd.DataFrame({"id": range(3), "text": TEXTS})
    (tmp_path / "a.txt").write_bytes("\r\n".join(TEXTS).encode())
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    table.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    table.to_parquet(tmp_path / "a.parquet")
    return tmp_path


@pytest.mark.parametrize("ending", ["txt", "csv", "tsv", "jsonl", "parquet"])
def test_every_format_gives_the_numbers_of_summarize(attnwidget, sources, ending):
    ended = attnwidget("measure", "storyteller", f"a.{ending}", "-o", "heads.csv")
    assert ended == (0, "", "attnwidget: heads.csv: 48 rows, of 3 texts.\n")
    table = pd.read_csv(sources / "heads.csv")
    assert list(table["example"].unique()) == [0, 1, 2]
    model, tokenizer = aw.demo.load("storyteller")
    for number, text in enumerate(TEXTS):
        run = aw.capture(model, text, tokenizer)
        mine = table[table["example"] == number].set_index(["map", "layer", "head"])
        assert set(mine.pop("tokens")) == {run.maps.n_queries}
        pd.testing.assert_frame_equal(
            mine.drop(columns="example"), aw.summarize(run, progress=False), rtol=1e-5, check_dtype=False
        )


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_every_table_holds_the_same(attnwidget, sources, ending):
    ended = attnwidget(
        "measure", "storyteller", "a.txt", "-o", f"t.{ending}", "--measures", "entropy,induction", "--json"
    )
    assert json.loads(ended.out) == {"written": f"t.{ending}", "texts": 3, "rows": 48, "left_out": {}}
    reads = {"csv": pd.read_csv, "jsonl": lambda path: pd.read_json(path, lines=True), "parquet": pd.read_parquet}
    table = reads[ending](sources / f"t.{ending}")
    assert list(table) == ["example", "tokens", "map", "layer", "head", "entropy", "induction"]
    assert len(table) == 48
    assert table.query("example == 0")["induction"].isna().all()  # nothing is said twice in it
    assert table.query("example == 2")["induction"].notna().all()
    assert table["entropy"].notna().all()


def test_stdout_gets_rows_and_nothing_else(attnwidget):
    lines = b"\n".join(text.encode() for text in TEXTS)
    table = pd.read_csv(io.StringIO(attnwidget("measure", "storyteller", "-", stdin=lines).out))
    assert len(table) == 48
    said = attnwidget("measure", "storyteller", "-", "--json", "--measures", "sink", stdin=lines)
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert np.allclose([row["sink"] for row in rows], table["sink"], atol=1e-6)
    said = attnwidget(
        "measure", "storyteller", "-", "--format", "jsonl", "--max-examples", 1, stdin=b'{"a": "Tom saw a dog ."}\n'
    )
    assert len(said.out.splitlines()) == 17


def test_what_is_left_out_is_named_with_its_place_and_reason(attnwidget, tmp_path):
    lines = [b'{"text": "Tom ran ."}', b"", b"nonsense", b'{"text": 3}', b'{"other": "a"}', b"[1]", b'{"text": "\xff"}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([*lines, b'{"text": null}', b'{"text": "Ben ran ."}']))
    ended = attnwidget("measure", "storyteller", "a.jsonl", "-o", "t.csv", "--json")
    assert ended.code == 0
    assert "attnwidget: left out examples 1, 7, counted from 0: it is empty.\n" in ended.err
    left_out = json.loads(ended.out)["left_out"]
    assert {place: reason for reason, places in left_out.items() for place in places} == {
        1: "it is empty",
        2: "it is no JSON (expecting value)",
        3: "its 'text' is int, and no text",
        4: "it has no 'text'",
        5: "it is JSON, and no object but list",
        6: "it is not UTF-8",
        7: "it is empty",
    }
    assert list(pd.read_csv(tmp_path / "t.csv")["example"].unique()) == [0, 8]


def test_texts_that_are_too_long_are_left_out_or_cut(attnwidget, tmp_path):
    (tmp_path / "a.txt").write_text("ball " * 300 + "\nTom saw a dog .\n")
    whole = attnwidget("measure", "reader", "a.txt", "-o", "t.csv")
    assert whole.code == 0
    assert (
        "left out example 0, counted from 0: the text is 302 tokens long and the model has positions for" in whole.err
    )
    cut = attnwidget("measure", "reader", "a.txt", "-o", "t.csv", "--max-tokens", 50)
    assert cut.err == "attnwidget: t.csv: 32 rows, of 2 texts.\n"
    assert pd.read_csv(tmp_path / "t.csv")["tokens"].max() == 50


def test_columns_are_chosen_and_never_guessed(attnwidget, tmp_path):
    (tmp_path / "a.csv").write_text("id,body\n1,Tom saw a dog .\n")
    asked = attnwidget("measure", "storyteller", "a.csv")
    assert asked.code == 2
    assert "a.csv has several columns, and none is called 'text'; choose with --column among 'id', 'body'." in asked.err
    assert "a.csv has no column 'nix'" in attnwidget("measure", "storyteller", "a.csv", "--column", "nix").err
    assert attnwidget("measure", "storyteller", "a.csv", "--column", "body", "-o", "t.csv").code == 0


def test_a_cell_of_csv_may_have_lines_and_any_length(attnwidget, tmp_path):
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text", "note"], ["Tom saw\na dog .", "x" * 200_000], ["Ben ran .", ""]])
    assert attnwidget("measure", "storyteller", "a.csv", "-o", "t.csv").err.endswith("32 rows, of 2 texts.\n")


def test_pairs_come_with_a_column_for_the_target(attnwidget, tmp_path):
    (tmp_path / "a.csv").write_text("text,iso\nSat 21.11.26,2026-11-21\n")
    lacking = attnwidget("measure", "translator", "a.csv", "-o", "t.csv")
    assert lacking.code == 1
    assert "no target came; name its column: --target-column." in lacking.err
    assert "no text of a.csv could be measured" in lacking.err
    assert not (tmp_path / "t.csv").exists()
    assert attnwidget("measure", "translator", "a.csv", "-o", "t.csv", "--target-column", "iso").code == 0
    assert set(pd.read_csv(tmp_path / "t.csv")["map"]) == {"encoder", "decoder", "cross"}


def test_the_mass_on_a_prefix_is_that_of_prefix_mass(attnwidget, tmp_path):
    (tmp_path / "a.txt").write_text(f"{STORY}\nTom .\n")
    ended = attnwidget("measure", "storyteller", "a.txt", "-o", "t.parquet", "--prefix", 4)
    assert "texts of 4 tokens or fewer have nothing behind the prefix" in ended.err
    table = pd.read_parquet(tmp_path / "t.parquet")
    model, tokenizer = aw.demo.load("storyteller")
    mass = aw.measures.prefix_mass(aw.capture(model, STORY, tokenizer).maps, 4)
    for name in ("prefix", "prefix_without_first", "prefix_chance"):
        of_first, of_second = (table.query("example == @one")[name] for one in (0, 1))
        assert np.allclose(of_first, mass[name].flatten())
        assert of_second.isna().all()


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        (("nix.txt", None), 1, "nix.txt: no such file or directory."),
        (("a.doc", b""), 2, "a.doc: its ending is not known; expected txt, jsonl, csv, tsv or parquet, or say which"),
        (("a.txt", b""), 1, "no text of a.txt could be measured, so nothing was written."),
        (("a.csv", b""), 1, "a.csv is empty: there is no text in it."),
        (("a.jsonl", b""), 1, "a.jsonl is empty: there is no text in it."),
        (("a.jsonl", b"Tom\n"), 1, "the first line of a.jsonl is no JSON object: 'Tom'."),
        (("a.csv", b'text\n"Tom'), 1, "a.csv cannot be read from line 2 on: unexpected end of data."),
        (("a.parquet", b"PAR1 and no more"), 1, "a.parquet is no Parquet:"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(attnwidget, tmp_path, source, code, said):
    name, content = source
    (tmp_path / "t.csv").write_text("older")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    ended = attnwidget("measure", "storyteller", name, "-o", "t.csv")
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert (tmp_path / "t.csv").read_text() == "older"


def test_a_folder_is_no_file_of_texts(attnwidget, tmp_path):
    (tmp_path / "a.txt").mkdir()
    assert "a.txt is a folder; name a file of texts." in attnwidget("measure", "storyteller", "a.txt").err


def test_measures_that_do_not_exist_are_refused_with_those_that_do(attnwidget, sources):
    ended = attnwidget("measure", "storyteller", "a.txt", "--measures", "entropi")
    assert ended.code == 2
    assert "--measures entropi is not known; there are entropy," in ended.err


def test_an_interrupt_leaves_the_rows_so_far(attnwidget, sources, monkeypatch):
    passes = []

    def capture(*arguments, **options):
        passes.append(arguments)
        if len(passes) == 3:
            raise KeyboardInterrupt
        return whole(*arguments, **options)

    whole = aw.capture
    monkeypatch.setattr(aw, "capture", capture, raising=False)
    for output in ("t.csv", "t.parquet"):
        passes.clear()
        ended = attnwidget("measure", "storyteller", "a.txt", "-o", output)
        assert ended == (130, "", f"attnwidget: interrupted. {output} holds 2 texts.\n")
    assert len(pd.read_csv(sources / "t.csv")) == pq.read_table(sources / "t.parquet").num_rows == 32
    assert sorted(one.name for one in sources.iterdir() if one.name.startswith(".")) == []


def test_no_measure_at_all_is_called_wrongly(attnwidget, tmp_path):
    (tmp_path / "a.txt").write_text("Ben ran .")
    ended = attnwidget("measure", "storyteller", "a.txt", "--measures", "", "-o", "a.csv")
    assert ended.code == 2
    assert "--measures names nothing; there are entropy" in ended.err


@pytest.mark.parametrize("command", ["measure", "survey"])
@pytest.mark.parametrize("ending", ["txt", "csv", "jsonl"])
@pytest.mark.parametrize(
    ("held", "what"),
    [
        ("text\nBen ran .\n".encode("utf-16"), "begins as UTF-16"),
        (b"te\0xt\nBen ran .\n", "has NUL bytes in line 1"),
    ],
)
def test_a_file_that_is_no_utf_8_is_refused(attnwidget, tmp_path, command, ending, *, held, what):
    (tmp_path / f"a.{ending}").write_bytes(held)
    ended = attnwidget(command, "storyteller", f"a.{ending}", "-o", "a.csv" if command == "measure" else "found")
    assert ended.code == 1
    assert f"a.{ending} {what}, and is no text in UTF-8; save it as UTF-8." in ended.err


def test_blank_lines_are_left_out_wherever_they_stand(attnwidget, tmp_path):
    (tmp_path / "a.jsonl").write_text('\n \n{"text": "Ben ran ."}\n\n')
    ended = attnwidget("measure", "storyteller", "a.jsonl", "--measures", "entropy", "-o", "a.csv")
    assert ended.code == 0
    assert "left out examples 0, 1, 3, counted from 0: it is empty." in ended.err
