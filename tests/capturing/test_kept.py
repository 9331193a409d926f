"""What is kept of a pass: layers, heads, where, logits, and in a file."""

from __future__ import annotations

import contextlib
import itertools
import json
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

import attnwidget as aw
from attnwidget.capturing.recorder import Recorder
from attnwidget.tokens import Span
from tests.capturing.families import FAMILIES, GPT2, ids
from tests.capturing.test_capture import state


def made(family):
    return FAMILIES[family][0]().eval()


class TestLayersAndHeads:
    @pytest.mark.parametrize("family", ["llama-grouped", "gpt-oss-sinks", "t5", "falcon"])
    def test_some_are_those_of_the_whole(self, family):
        make, inputs = FAMILIES[family]
        model = make().eval()
        whole = aw.capture(model, inputs)[0]
        some = aw.capture(model, inputs, layers=[1], heads=[0, 3])[0]
        for name, maps in some.by_name.items():
            assert (maps.layer_numbers, maps.head_numbers) == ((1,), ((0, 3),))
            assert maps.heads == (2,)
            for place, head in enumerate((0, 3)):
                torch.testing.assert_close(maps.weights(0, place), whole.by_name[name].weights(1, head))

    def test_heads_of_one_group_share_their_keys(self):
        model = made("llama-grouped")
        layer = aw.capture(model, ids(1), heads=[2, 3]).maps.layers[0]
        assert (layer.shape[0], layer.key_value_heads) == (2, 1)
        uneven = aw.capture(model, ids(1), heads=[0, 1, 3]).maps
        torch.testing.assert_close(uneven.weights(0, 2), aw.capture(model, ids(1)).maps.weights(0, 3))

    def test_heads_by_layer(self):
        maps = aw.capture(made("llama-grouped"), ids(1), heads={0: [1], 1: [2, 3]}).maps
        assert maps.head_numbers == ((1,), (2, 3))
        assert aw.capture(made("llama-grouped"), ids(1), heads={1: [0]}).maps.layer_numbers == (1,)

    def test_less_is_kept(self):
        model = made("llama-grouped")
        with aw.recording(model, layers=[0], heads=[1]) as recorder:
            model(ids(1, 50))
        kept = [call.query.nbytes + call.key.nbytes for call in recorder._recorder.passes[0].calls]
        assert kept == [2 * 50 * 8 * 4]

    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"layers": [2]}, ValueError, r"layers=\[2\].*attends in layers 0 to 1"),
            ({"heads": [4]}, ValueError, "head 4 does not exist: layer 0 has heads 0 to 3"),
            ({"layers": [-1]}, ValueError, "counted from 0, and not from the end"),
            ({"layers": []}, ValueError, "at least one number"),
            ({"layers": [0, 0]}, ValueError, "each once"),
            ({"layers": 1}, TypeError, "layers is int; expected a sequence of numbers"),
            ({"heads": "12"}, TypeError, "heads is str"),
            ({"heads": [1.5]}, TypeError, "heads holds 1.5"),
            ({"logits": "some"}, ValueError, "logits='some'; expected one of 'auto', 'all', 'last', 'none'"),
        ],
    )
    def test_what_does_not_exist(self, options, error, words):
        with pytest.raises(error, match=words):
            aw.capture(made("llama-grouped"), ids(1), **options)

    def test_a_generation_of_one_head(self):
        model, options = made("llama-grouped"), {"max_new_tokens": 4, "do_sample": False, "num_beams": 2}
        one = aw.capture(model, ids(1), generate=options, layers=[1], heads=[2]).maps
        torch.testing.assert_close(one.weights(0, 0), aw.capture(model, ids(1), generate=options).maps.weights(1, 2))


def test_what_is_offloaded_is_on_the_host():
    run = aw.capture(made("t5"), FAMILIES["t5"][1], offload=True)[0]
    plain = aw.capture(made("t5"), FAMILIES["t5"][1])[0]
    for name, maps in run.by_name.items():
        assert all(t.device.type == "cpu" for layer in maps.layers for t in layer.tensors().values())
        torch.testing.assert_close(maps.weights(1, 1), plain.by_name[name].weights(1, 1))


class TestLogits:
    def test_the_last_position_of_a_model_that_generates(self):
        model = made("llama-grouped")
        run = aw.capture(model, ids(1))
        with torch.no_grad():
            wanted = model(ids(1)).logits[0, -1]
        torch.testing.assert_close(run.logits, wanted[None], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(run.next_token_probabilities, wanted.softmax(-1), atol=1e-6, rtol=1e-4)
        likeliest = run.next_tokens(3)
        assert [one.id for one in likeliest] == wanted.topk(3).indices.tolist()
        assert likeliest[0].probability == pytest.approx(float(wanted.softmax(-1).max()), abs=1e-6)

    @pytest.mark.parametrize("left", [False, True])
    def test_the_last_position_is_never_padding(self, left):
        from tests.capturing.families import padding

        model, mask = made("llama-grouped"), padding(left=left)
        run = aw.capture(model, {"input_ids": ids(), "attention_mask": mask})
        kept = ids()[1][mask[1].bool()]
        with torch.no_grad():
            alone = model(kept[None], position_ids=(mask[1:].cumsum(-1) - 1)[:, mask[1].bool()]).logits[0, -1]
        torch.testing.assert_close(run[1].logits[0], alone, atol=1e-5, rtol=1e-4)

    def test_all_positions(self):
        run = aw.capture(made("llama-grouped"), FAMILIES["llama-grouped"][1], logits="all")
        assert [len(one.logits) for one in run] == [7, 5]

    def test_labels_are_the_tokenizer_s(self):
        model, tokenizer = aw.demo.load("storyteller")
        likeliest = aw.capture(model, "Lily went to the", tokenizer).next_tokens(5)
        assert [tokenizer.convert_tokens_to_ids(one.token) for one in likeliest] == [one.id for one in likeliest]

    def test_classes(self):
        from transformers import BertConfig, BertForSequenceClassification

        from tests.capturing.families import SMALL

        run = aw.capture(BertForSequenceClassification(BertConfig(**SMALL, num_labels=3)), ids(1))
        assert run.logits.shape == (3,)
        with pytest.raises(ValueError, match="predicts no next token"):
            run.next_tokens()

    def test_none(self):
        run = aw.capture(made("llama-grouped"), ids(1), logits="none")
        with pytest.raises(ValueError, match="logits were not kept"):
            run.logits  # noqa: B018
        with pytest.raises(ValueError, match="logits were not kept"):
            run.next_tokens()
        with pytest.raises(ValueError, match="BertModel puts out no logits"):
            aw.capture(made("bert"), ids(1)).logits  # noqa: B018


class TestFiles:
    def test_a_capture_comes_back_without_its_model(self, tmp_path):
        model, tokenizer = aw.demo.load("storyteller")
        run = aw.capture(model, "Lily went to the", tokenizer, generate={"max_new_tokens": 3}, spans={"name": (1, 2)})
        back = aw.Capture.load(run.save(tmp_path / "run.safetensors"))
        assert back.maps.tokens == run.maps.tokens
        assert Span("name", 1, 2) in back.maps.tokens.spans
        assert back.maps.following == run.maps.following
        assert back.next_tokens(5) == run.next_tokens(5)
        assert torch.equal(back.logits, run.logits)
        assert torch.equal(back.maps.weights(1, 2), run.maps.weights(1, 2))

    def test_three_maps_of_a_batch(self, tmp_path):
        run = aw.capture(made("bart"), FAMILIES["bart"][1])
        back = aw.Capture.load(run.save(tmp_path / "run.safetensors"))
        assert len(back) == 2
        for one, other in zip(back, run, strict=True):
            assert list(one.by_name) == ["encoder", "decoder", "cross"]
            for name, maps in one.by_name.items():
                assert torch.equal(maps.weights(1, 1), other.by_name[name].weights(1, 1))
                assert maps.tokens == other.by_name[name].tokens

    def test_some_layers_and_a_picture(self, tmp_path):
        run = aw.capture(made("vit"), FAMILIES["vit"][1], layers=[1], heads=[2])[0]
        maps = aw.Capture.load(run.save(tmp_path / "run.safetensors")).maps
        assert (maps.layer_numbers, maps.head_numbers) == ((1,), ((2,),))
        assert torch.equal(maps.tokens.image.picture, run.maps.tokens.image.picture)

    def test_the_wrong_reader_names_the_right_one(self, tmp_path):
        run = aw.capture(made("gpt2"), ids(1))
        run.save(tmp_path / "run.safetensors")
        run.maps.save(tmp_path / "maps.safetensors")
        with pytest.raises(ValueError, match=r"kind 'capture'; read it with Capture\.load"):
            aw.AttentionMaps.load(tmp_path / "run.safetensors")
        with pytest.raises(ValueError, match=r"kind 'maps'; read it with AttentionMaps\.load"):
            aw.Capture.load(tmp_path / "maps.safetensors")
        with pytest.raises(FileNotFoundError, match=r"written by Capture\.save"):
            aw.Capture.load(tmp_path / "nothing.safetensors")

    def test_a_file_of_something_else(self, tmp_path):
        (tmp_path / "run.safetensors").write_bytes(b"\x80\x04cos\nsystem\n")
        with pytest.raises(ValueError, match="holds no attention maps"):
            aw.Capture.load(tmp_path / "run.safetensors")


def damaged(path, change):
    """A file of maps whose description somebody has changed."""
    aw.capture(made("gpt-oss-sinks"), ids(1)).maps.save(path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        description = json.loads(file.metadata()["attnwidget"])
    change(description)
    save_file(tensors, path, metadata={"attnwidget": json.dumps(description)})
    return path


class TestDamagedFiles:
    @pytest.mark.parametrize(
        "change",
        [
            lambda d: d.pop("layers"),
            lambda d: d.update(layers=7),
            lambda d: d.update(layers=[]),
            lambda d: d.update(name=["attention"]),
            lambda d: d.update(notes=[{}]),
            lambda d: d.update(head_numbers=[[0]]),
            lambda d: d["layers"][0]["tensors"].update(q="no such tensor"),
            lambda d: d["layers"][0]["tensors"].update(k=d["layers"][0]["tensors"]["sinks"]),
            lambda d: d["layers"][0]["tensors"].update(sinks=d["layers"][0]["tensors"]["k"]),
            lambda d: d["layers"][0]["tensors"].update(mask=d["layers"][0]["tensors"]["k"]),
            lambda d: d["layers"][0]["tensors"].pop("q"),
            lambda d: d["layers"][0].update(scaling="os.system"),
            lambda d: d["layers"][0].update(mask={"causal": True, "offset": 10**30, "window": None}),
            lambda d: d["layers"][0].update(mask={"causal": True, "offset": 0, "window": "all"}),
            lambda d: d["layers"][0].update(mask={"causal": True, "reach": 3}),
            lambda d: d["tokens"].update(labels=[1] * 7),
            lambda d: d["tokens"].update(labels=["a"] * 100_000),
            lambda d: d["tokens"].update(spans=[["all", 0, 10**30]]),
            lambda d: d["tokens"].update(image={"start": 0, "rows": 10**20, "columns": 10**20, "picture": None}),
            lambda d: d["tokens"].update(
                images=[{"start": 0, "rows": 1, "columns": 2, "picture": None, "places": [10**30, 0]}]
            ),
            lambda d: d["tokens"].update(
                images=[{"start": 0, "rows": 1, "columns": 2, "picture": "q", "places": None}]
            ),
            lambda d: d["tokens"].update(images=[7]),
        ],
    )
    def test_one_thing_is_wrong(self, change, tmp_path):
        with pytest.raises(ValueError, match="is damaged, or was made by something else"):
            aw.AttentionMaps.load(damaged(tmp_path / "maps.safetensors", change))

    @pytest.mark.parametrize("text", ["[]", "7", "{", "[" * 100_000, '"maps"'])
    def test_no_description(self, text, tmp_path):
        save_file({"q": torch.zeros(1)}, tmp_path / "maps.safetensors", metadata={"attnwidget": text})
        with pytest.raises(ValueError, match="holds no attention maps"):
            aw.AttentionMaps.load(tmp_path / "maps.safetensors")

    @pytest.mark.parametrize("change", [{"format": [2]}, {"format": {}}, {"kind": ["maps"]}, {"kind": None}])
    def test_another_version_or_kind(self, change, tmp_path):
        with pytest.raises(ValueError, match=r"has format|of kind"):
            aw.AttentionMaps.load(damaged(tmp_path / "maps.safetensors", lambda d: d.update(change)))

    @pytest.mark.parametrize("examples", [None, 3, [3], [{}], [{"maps": [], "logits": None}]])
    def test_no_capture(self, examples, tmp_path):
        def change(description):
            description.clear()
            description.update(format=2, kind="capture", examples=examples)

        with pytest.raises(ValueError, match="is damaged, or was made by something else"):
            aw.Capture.load(damaged(tmp_path / "run.safetensors", change))


class _Interrupting:
    """Inputs of a pass that somebody interrupts."""

    def __getattr__(self, name):
        raise KeyboardInterrupt


class TestInterrupted:
    @pytest.mark.parametrize("family", ["llama-grouped", "t5", "vit"])
    def test_at_every_layer_the_model_is_unharmed(self, family, monkeypatch):
        make, inputs = FAMILIES[family]
        model = make().train()
        before, whole = state(model), aw.capture(model, inputs)[0]
        record = Recorder._hear
        for last in range(sum(maps.n_layers for maps in whole.by_name.values())):
            calls = itertools.count()

            def interrupted(self, heard, calls=calls, last=last):
                record(self, heard)
                if next(calls) == last:
                    raise KeyboardInterrupt

            monkeypatch.setattr(Recorder, "_hear", interrupted)
            with pytest.raises(KeyboardInterrupt):
                aw.capture(model, inputs)
            monkeypatch.undo()
            assert state(model) == before
        again = aw.capture(model, inputs)[0]
        for name, maps in again.by_name.items():
            assert torch.equal(maps.weights(1, 1), whole.by_name[name].weights(1, 1))

    def test_in_the_middle_of_a_generation(self):
        model = GPT2LMHeadModel(GPT2Config(**GPT2)).train()
        before = state(model)

        def stop(run):
            if run.maps.n_queries == 9:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            aw.capture(model, ids(1), generate={"max_new_tokens": 20}, watch=stop)
        assert state(model) == before

    def test_a_recording_keeps_what_was_finished(self):
        model = made("gpt2")
        with aw.recording(model) as recorder:
            model(ids(1))
            with contextlib.suppress(KeyboardInterrupt):
                model(_Interrupting())
        assert recorder.capture().maps.n_queries == 7


def test_a_long_capture_shows_its_progress(capsys, monkeypatch):
    model, record = made("llama-grouped"), Recorder._hear

    def slow(self, heard):
        time.sleep(0.6)  # a layer of a long text
        record(self, heard)

    monkeypatch.setattr(Recorder, "_hear", slow)
    aw.capture(model, ids(1))
    assert "layers" in capsys.readouterr().err
    aw.capture(model, ids(1), progress=False)
    assert not capsys.readouterr().err
