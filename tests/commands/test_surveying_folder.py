"""attnwidget survey: what its folder holds, and which folders it refuses."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import attnwidget as aw

TYPED = ["survey", "storyteller", "a.csv", "--measures", "entropy,sink", "-o", "found"]


@pytest.fixture
def texts(tmp_path):
    texts = aw.demo.sentences(24)
    table = pd.DataFrame({"text": texts, "kind": ["=1+1", "plain"] * 12})
    table["parts"] = table["text"].map(lambda text: " ".join("a" if len(word) < 4 else "b" for word in text.split()))
    table.to_csv(tmp_path / "a.csv", index=False)
    return texts


def test_the_folder_holds_tables_examples_and_the_survey(attnwidget, tmp_path, texts):
    ended = attnwidget(*TYPED, "--by", "kind", "--labels", "parts", "--top", 3, "--json")
    assert ended.code == 0
    names = ["heads.csv", "groups.csv", "labels.csv", "examples.jsonl"]
    left_out = {"count": 0, "first": []}
    assert json.loads(ended.out) == {"written": "found", "files": names, "texts": 24, "left_out": left_out}
    found = aw.Survey.load(tmp_path / "found")
    heads, groups, labels = (pd.read_csv(tmp_path / "found" / name) for name in names[:3])
    assert len(heads) == 16 * 2
    assert heads["mean"].tolist() == pytest.approx(found.to_frame()["mean"].tolist())
    assert set(groups["group"]) == {"'=1+1", "plain"}  # no spreadsheet takes it for a formula
    assert set(labels["from"]) == {"a", "b"}
    examples = [json.loads(line) for line in (tmp_path / "found" / "examples.jsonl").read_text().splitlines()]
    assert len(examples) == 16 * 2 * 2 * 3
    best = max(
        (one for one in examples if one["measure"] == "sink" and one["layer"] == 1), key=lambda one: one["value"]
    )
    assert best["text"] == texts[best["example"]]
    assert best["of"] == "largest"


def test_the_same_command_again_adds_nothing_and_another_is_refused(attnwidget, texts):
    assert attnwidget(*TYPED).err == "attnwidget: found holds 24 texts: heads.csv, examples.jsonl.\n"
    assert attnwidget(*TYPED).err == "attnwidget: found holds 24 texts: heads.csv, examples.jsonl.\n"
    other = attnwidget(*TYPED, "--max-tokens", 5)
    assert other.code == 1
    assert "found holds another survey: its max_tokens is None, and this one's is 5. Give another folder." in other.err


def test_a_folder_of_other_things_is_refused_as_it_is(attnwidget, tmp_path, texts):
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "heads.csv").write_text("mine")
    ended = attnwidget(*TYPED)
    assert ended.code == 2
    assert "found holds other things, and no survey; name a folder that is new or empty." in ended.err
    assert (tmp_path / "found" / "heads.csv").read_text() == "mine"
    assert [one.name for one in (tmp_path / "found").iterdir()] == ["heads.csv"]
    assert "a.csv is a file; name a folder." in attnwidget(*TYPED[:-1], "a.csv").err


def test_an_interrupt_keeps_the_texts_so_far_and_says_how_to_go_on(attnwidget, tmp_path, texts, monkeypatch):
    from attnwidget.surveying.working import Reader

    lines = aw.demo.sentences(300)
    (tmp_path / "a.csv").write_text("\n".join(["text", *(f'"{line}"' for line in lines)]))
    read, chunks = Reader.read, []

    def interrupted(self, chunk, wish):
        chunks.append(chunk)
        if len(chunks) == 2:
            raise KeyboardInterrupt
        return read(self, chunk, wish)

    monkeypatch.setattr(Reader, "read", interrupted)
    ended = attnwidget(*TYPED)
    assert ended == (
        130,
        "",
        "attnwidget: interrupted. found holds 256 texts; the same command goes on from there.\n",
    )
    monkeypatch.setattr(Reader, "read", read)
    assert attnwidget(*TYPED).err == "attnwidget: found holds 300 texts: heads.csv, examples.jsonl.\n"
    assert (pd.read_csv(tmp_path / "found" / "heads.csv")["count"] == 300).all()


@pytest.mark.usefixtures("texts")
@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--by", "knd", "a.csv has no column 'knd'; choose with --by among 'text', 'kind', 'parts'."),
        ("--labels", "pos", "choose with --labels among"),
        ("--measures", "entrpy", "--measures entrpy is not known; there are entropy,"),
        ("--measures", "", "--measures names nothing; there are"),
    ],
)
def test_what_is_called_wrongly_ends_with_2_and_spoils_no_folder(attnwidget, tmp_path, option, value, said):
    ended = attnwidget(*TYPED, option, value)
    assert ended.code == 2
    assert said in ended.err
    assert not (tmp_path / "found").exists()
