"""MODEL: what it may be, and what is said of what it is not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

import attnwidget as aw
from tests.commands.conftest import STORY

MINE = """
import attnwidget as aw

class Mine(aw.demo.load("storyteller")[0].__class__):
    pass

def load(name):
    model, tokenizer = aw.demo.load("storyteller")
    model.__class__ = Mine
    return model.train(), tokenizer

def without(name):
    return load(name)[0], None

def wrong(name):
    return 3

def broken(name):
    return {}[name]
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE)
    before = list(sys.path)
    yield tmp_path
    sys.path[:] = before
    sys.modules.pop("mine", None)


def test_a_folder_gives_what_the_model_gives(attnwidget, tmp_path):
    by_name, by_folder = (
        attnwidget("measure", model, "-", "--dtype", "float32", stdin=STORY.encode())
        for model in ("storyteller", aw.demo.folder("storyteller"))
    )
    assert by_name.out == by_folder.out
    assert by_name.code == by_folder.code == 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_a_model_runs_in_the_precision_that_is_asked_for(attnwidget, mine, dtype, monkeypatch):
    ran = []
    whole = aw.capture
    monkeypatch.setattr(
        aw, "capture", lambda model, *a, **k: ran.append(model.dtype) or whole(model, *a, **k), raising=False
    )
    assert attnwidget("diagnose", "storyteller", STORY, "--dtype", dtype, "--device", "cpu").code == 0
    assert attnwidget("diagnose", "x", STORY, "--own", "mine:load", "--dtype", dtype, "--device", "cpu").code == 0
    assert [str(one) for one in ran] == [f"torch.{dtype}"] * 2


def test_a_function_of_ones_own_loads_the_model(attnwidget, mine):
    assert attnwidget("diagnose", "x", STORY, "--own", "mine:load") == (0, "Nothing unusual was found.\n", "")
    tokenizer = aw.demo.folder("storyteller")
    assert attnwidget("diagnose", tokenizer, STORY, "--own", "mine:without").code == 0
    assert attnwidget("diagnose", "x", STORY, "--own", "mine:without", "--tokenizer", tokenizer).code == 0


@pytest.mark.parametrize(
    ("own", "code", "said"),
    [
        ("mine", 2, "expected MODULE:FUNCTION"),
        ("nix:load", 2, "there is no module nix, neither in"),
        ("mine:nix", 2, "mine has no function nix."),
        ("mine:wrong", 1, "mine:wrong returned int; expected a pair: the model, and its tokenizer or None."),
        ("mine:without", 1, "mine:without returned no tokenizer, and none is beside x;"),
        ("mine:broken", 1, "KeyError: 'x' (--debug shows where)"),
    ],
)
def test_a_function_that_does_not_fit_is_said_in_one_line(attnwidget, mine, own, code, said):
    ended = attnwidget("diagnose", "x", STORY, "--own", own)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1


def test_debug_shows_where(attnwidget, mine):
    ended = attnwidget("diagnose", "x", STORY, "--own", "mine:broken", "--debug")
    assert ended.code == 1
    assert 'mine.py", line' in ended.err
    assert ended.err.endswith("attnwidget: KeyError: 'x'.\n")


def test_a_folder_that_holds_no_model_says_what_it_holds(attnwidget, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text('{"model_type": "llama"')
    ended = attnwidget("diagnose", "./m", STORY)
    assert ended.code == 1
    assert "no model can be loaded from the folder './m', which holds config.json;" in ended.err
    assert "not a valid JSON file" in ended.err
    assert "'nix/nix' cannot be loaded" in attnwidget("diagnose", "nix/nix", STORY).err


def test_weights_that_are_missing_are_told(attnwidget, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(aw.demo.folder("storyteller"), tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    gone = "model.layers.1.self_attn.q_proj.weight"
    save_file({name: value for name, value in weights.items() if name != gone}, folder / "model.safetensors")
    ended = attnwidget("diagnose", folder, STORY)
    assert f"note: {str(folder)!r} lacks weights of the model, which are random instead: {gone}." in ended.err


def test_code_that_comes_with_a_model_runs_only_where_it_is_asked_for(tmp_path):
    folder = shutil.copytree(aw.demo.folder("storyteller"), tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "brought",
        "architectures": ["Brought"],
        "auto_map": {"AutoConfig": "brought.BroughtConfig", "AutoModelForCausalLM": "brought.Brought"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "brought.py").write_text(
        "from pathlib import Path\n"
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        f"Path({str(tmp_path / 'ran')!r}).touch()\n"
        "class BroughtConfig(LlamaConfig):\n    model_type = 'brought'\n"
        "class Brought(LlamaForCausalLM):\n    config_class = BroughtConfig\n"
    )

    def run(*more):
        return subprocess.run(
            [sys.executable, "-m", "attnwidget", "diagnose", str(folder), STORY, *more],
            env=os.environ | {"HF_HOME": str(tmp_path / "home")}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    refused = run()
    assert refused.returncode == 1
    assert "brings code of its own, which runs only where trust_remote_code says so" in refused.stderr
    assert not (tmp_path / "ran").exists()
    assert run("--trust-remote-code").stdout == "Nothing unusual was found.\n"
    assert (tmp_path / "ran").exists()
