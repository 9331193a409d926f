"""The demo models as they ship: what the card says is measured here again, from the weights in the package."""

import json
import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from attnwidget import demo
from attnwidget.demo import train
from attnwidget.demo.loading import load_folder
from attnwidget.demo.measure import masked_accuracy
from attnwidget.training import History

NURSE = "The nurse examined the farmer for ticks because she was late."
STORIES = ("storyteller", "reader")
FILES = ["README.md", "config.json", "model.safetensors", "training.json"]
TOKENIZER, PROCESSOR = ["tokenizer.json", "tokenizer_config.json"], ["preprocessor_config.json"]
LARGEST = {"storyteller": 2_000_000, "reader": 2_000_000, "translator": 1_000_000, "digits": 1_000_000}  # bytes


@pytest.fixture(scope="module")
def storyteller():
    return demo.load("storyteller")


@pytest.fixture(scope="module")
def reader():
    return demo.load("reader")


@pytest.fixture(scope="module")
def repeated_maps():
    """Attention of every head on <s> + r + r, 24 random distinct words r, 32 texts: [texts, layers, heads, n, n]."""
    path = demo.folder("storyteller")
    model = AutoModelForCausalLM.from_pretrained(path, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(path)
    assert model.dtype == torch.float32
    maps = []
    with torch.no_grad():
        for seed in range(100, 132):
            inputs = tokenizer(demo.repeated_words(24, seed=seed), return_tensors="pt")
            assert inputs["input_ids"].shape == (1, 49)
            maps.append(torch.stack(model(**inputs, output_attentions=True).attentions)[:, 0])
    return torch.stack(maps)


def completes(model, tokenizer, prompt, answer):
    with torch.no_grad():
        logits = model(**tokenizer(prompt, return_tensors="pt")).logits
    return tokenizer.convert_ids_to_tokens(int(logits[0, -1].argmax())) == answer


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_storyteller_completes_held_out_pairs(storyteller, seed):
    prompts = demo.name_pairs(held_out=True, seed=seed)
    share = sum(completes(*storyteller, *prompt) for prompt in prompts) / len(prompts)
    assert share >= 0.95


def test_storyteller_completes_held_out_pairs_in_either_order(storyteller):
    prompts = [prompt for seed in range(3) for prompt in demo.name_pairs(seed=seed)]
    # "Lily and Ben ... Lily gave": the giver is named first; "Ben and Lily ... Lily gave": second.
    for place in (0, 2):
        some = [(text, answer) for text, answer in prompts if text.split()[place] != answer]
        assert len(some) == len(prompts) / 2
        assert sum(completes(*storyteller, *prompt) for prompt in some) / len(some) >= 0.95


def test_storyteller_knows_the_frame_of_the_documentation(storyteller):
    assert completes(*storyteller, "Lily and Ben went to the park . Lily gave the ball to", "Ben")
    assert completes(*storyteller, "Lily and Ben went to the park. Ben gave the ball to", "Lily")


def test_storyteller_has_a_previous_token_head(repeated_maps):
    n = repeated_maps.shape[-1]
    rows = range(1, n)
    score = sum(repeated_maps[..., i, i - 1] for i in rows) / len(rows)
    assert score.mean(0).max() > 0.5


def test_storyteller_has_an_induction_head(repeated_maps):
    length = 24
    # With <s> at 0, row i of the second copy saw its word at i - length; the target is the word after that.
    rows = range(length + 1, 2 * length + 1)
    score = sum(repeated_maps[..., i, i - length + 1] for i in rows) / len(rows)
    assert score.mean(0).max() > 0.5


def test_storyteller_stops_and_tells_readable_text(storyteller):
    model, tokenizer = storyteller
    inputs = tokenizer("Once upon a time", return_tensors="pt")
    ids = model.generate(**inputs, max_new_tokens=60, do_sample=False)
    text = tokenizer.decode(ids[0], skip_special_tokens=True)
    assert text.startswith("Once upon a time there was a")
    assert " ." not in text


def test_reader_guesses_masked_words(reader):
    said = json.loads((demo.folder("reader") / "training.json").read_text())["reached"]["masked_words"]
    measured = masked_accuracy(*reader)
    assert measured == pytest.approx(said, abs=0.01)
    assert measured > 0.7


def test_reader_fills_in_held_out_names(reader):
    model, tokenizer = reader
    prompts, right = demo.name_pairs(held_out=True, seed=1), 0
    for prompt, answer in prompts:
        inputs = tokenizer(f"{prompt} [MASK] .", return_tensors="pt")
        assert inputs["input_ids"][0, -3] == tokenizer.mask_token_id
        with torch.no_grad():
            best = int(model(**inputs).logits[0, -3].argmax())
        right += tokenizer.convert_ids_to_tokens(best) == answer
    assert right / len(prompts) > 0.85


@pytest.mark.parametrize("name", demo.NAMES)
class TestFolder:
    def test_files(self, name):
        path = demo.folder(name)
        assert all((path / file).is_file() for file in FILES + (PROCESSOR if name == "digits" else TOKENIZER))
        assert sum(file.stat().st_size for file in path.iterdir()) < LARGEST[name]

    def test_card_says_what_training_json_holds(self, name):
        path = demo.folder(name)
        facts, card = json.loads((path / "training.json").read_text()), (path / "README.md").read_text()
        assert facts["bytes"] == (path / "model.safetensors").stat().st_size
        assert facts["parameters"] == sum(parameter.numel() for parameter in demo.load(name)[0].parameters())
        assert f"train {name} --steps {facts['steps']} --seed {facts['seed']}" in card
        for reached in facts["reached"].values():
            of_a_head = isinstance(reached, dict)
            assert (f"head {reached['head']}: {reached['score']:.3f}" if of_a_head else f"{reached:.1%}") in card

    def test_loads_ready_to_use(self, name):
        model, _ = demo.load(name)
        assert not model.training
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}

    def test_loading_is_silent_and_offline(self, name):
        code = f"from attnwidget import demo; demo.load({name!r})"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            check=False,
            env={"HF_HUB_OFFLINE": "1", "PATH": "", "PYTHONPATH": ":".join(filter(None, sys.path))},
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_smoke_run_of_the_training(self, name, tmp_path, capsys):
        read = tmp_path / "attention.jsonl"
        asked = ["--steps", "2", "--seed", "7", "--out", str(tmp_path / "new"), "--attention", str(read)]
        train.main([name, *asked])
        assert History.load(read).steps == [0, 2]
        assert f"train {name} --steps 2 --seed 7" in capsys.readouterr().out
        model, reader = load_folder(tmp_path / "new")
        shipped, its_reader = demo.load(name)
        assert (type(model), type(reader)) == (type(shipped), type(its_reader))
        written = {file.name for file in (tmp_path / "new").iterdir()}
        # What a folder has beside what the training writes is data, and no part of the weights.
        assert {file.name for file in demo.folder(name).iterdir()} - {"images.npz", "attention.jsonl"} == written


@pytest.mark.parametrize("name", STORIES)
class TestStories:
    def test_size(self, name):
        config = demo.load(name)[0].config
        assert (config.num_hidden_layers, config.num_attention_heads) == (4, 4)

    def test_vocabulary(self, name):
        tokenizer = AutoTokenizer.from_pretrained(demo.folder(name))
        assert len(tokenizer) <= 512
        assert demo.load(name)[0].get_input_embeddings().num_embeddings == len(tokenizer)
        assert tokenizer.model_max_length == 256
        assert demo.unknown_words(tokenizer, NURSE) == []
        assert demo.unknown_words(tokenizer, "The zorp and the nurse saw a zorp and a Blib .") == ["zorp", "Blib"]

    def test_text_survives_the_tokenizer(self, name):
        _, tokenizer = demo.load(name)
        for text in [NURSE, *demo.sentences(300)]:
            assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text

    def test_special_tokens_are_added(self, name):
        _, tokenizer = demo.load(name)
        tokens = tokenizer.convert_ids_to_tokens(tokenizer("Lily ran.")["input_ids"])
        start, end = (["<s>"], []) if name == "storyteller" else (["[CLS]"], ["[SEP]"])
        assert tokens == [*start, "Lily", "ran", ".", *end]

    def test_a_batch_can_be_padded(self, name):
        model, tokenizer = demo.load(name)
        inputs = tokenizer([NURSE, "Lily ran."], padding=True, return_tensors="pt")
        with torch.no_grad():
            assert model(**inputs).logits.isfinite().all()


def test_unknown_name_lists_the_choices():
    with pytest.raises(ValueError, match="storyteller, reader, translator, digits"):
        demo.load("poet")


def test_importing_is_light():
    code = "import sys, attnwidget.demo; print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    env = {"PATH": "", "PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"
