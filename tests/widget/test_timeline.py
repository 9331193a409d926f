"""A Timeline: what it takes, what it answers, what it follows, and what it leaves behind."""

from __future__ import annotations

import base64
import gzip
import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
import traitlets

import attnwidget as aw
from attnwidget.training.history import History, Reading
from tests.make import projected


def runs(count=5, **shape):
    return [projected(seed=seed, **shape) for seed in range(count)]


def readings(count=4, name="attention", shape=(2, 3), **told):
    draw = np.random.default_rng(0)
    return [Reading(100 * at, {name: {"entropy": draw.random(shape)}}, **told) for at in range(count)]


class Asked:
    """A Timeline, and the answers it sends."""

    def __init__(self, view):
        self.view, self.sent = view, []
        view.send = lambda content, buffers=None: self.sent.append((content, buffers or []))

    def __call__(self, op, run=0, **asked):
        self.view._handle_custom_msg({"id": "1", "op": op, "run": run, **asked}, [])
        content, buffers = self.sent[-1]
        assert content["ok"], content
        return content["header"], buffers

    def refusal(self, **asked):
        self.view._handle_custom_msg({"id": "1", **asked}, [])
        assert not self.sent[-1][0]["ok"]
        return self.sent[-1][0]["error"]


@pytest.fixture
def asked():
    return Asked(aw.Timeline(runs(), steps=[0, 10, 20, 40, 80], progress=False))


def test_takes_captures_in_an_order(asked):
    view = asked.view
    assert (view.map, view.step, view.place()) == ("attention", None, 4)
    view.step = 33  # never read: the nearest
    assert (view.step, view.place()) == (40, 3)
    header, _ = asked("readings", after=0)
    assert header["steps"] == [0, 10, 20, 40, 80]
    assert header["kept"] == "11111"
    assert asked("readings", after=3)[0]["steps"] == [40, 80]


def test_curves_are_the_numbers_of_a_summary(asked):
    header, (buffer,) = asked("curves", map="attention", measure="entropy", after=2)
    found = np.frombuffer(buffer, "<f4").reshape(header["shape"])
    assert found.shape == (3, 3, 4)
    for at, maps in enumerate(runs()[2:]):
        np.testing.assert_allclose(found[at].ravel(), aw.summarize(maps, progress=False)["entropy"], rtol=1e-5)


def test_frames_are_the_weights_of_a_head(asked):
    header, buffers = asked("frames", map="attention", layer=1, head=2, at=[0, 4])
    assert [one["at"] for one in header["frames"]] == [0, 4]
    assert len(buffers) == 6
    for told, codes, maps in zip(header["frames"], buffers[::3], (runs()[0], runs()[4]), strict=True):
        found = np.frombuffer(codes, "<u2").reshape(told["shape"]).astype(float)
        weights = np.where(found == 65535, 0, np.exp(told["low"] + found * told["step"]))
        np.testing.assert_allclose(weights, maps.weights(1, 2), atol=1e-4)


def test_a_long_map_is_pooled_and_says_so():
    asked = Asked(aw.Timeline([projected(600, layers=1, heads=1, key_value_heads=1)], progress=False))
    header, buffers = asked("frames", map="attention", layer=0, head=0, at=[0])
    assert header["frames"][0]["stride"] == (3, 3)
    assert max(header["frames"][0]["shape"]) <= 256
    assert len(buffers[0]) == 2 * np.prod(header["frames"][0]["shape"])


def test_a_question_that_cannot_be_answered_is_refused_in_a_sentence(asked):
    assert "there is no run 3" in asked.refusal(op="readings", run=3, after=0)
    assert "does not know the request 'steal'" in asked.refusal(op="steal", run=0)
    assert "reading 9 does not exist" in asked.refusal(op="frames", run=0, map="attention", layer=0, head=0, at=[9])
    assert "no 'wisdom'" in asked.refusal(op="curves", run=0, map="attention", measure="wisdom", after=0)
    assert "too many" in asked.refusal(op="frames", run=0, map="attention", layer=0, head=0, at=list(range(500)))


def test_steps_may_be_called_something():
    asked = Asked(aw.Timeline(runs(3), steps=["Lily", "and", "Ben"], progress=False))
    header, _ = asked("readings", after=0)
    assert (header["steps"], header["labels"]) == ([0, 1, 2], ["Lily", "and", "Ben"])


def test_opens_at_the_head_in_which_most_happens():
    steps = runs(3)
    still = aw.AttentionMaps([steps[0].layers[0]] * 3, steps[0].tokens)
    moving = [aw.AttentionMaps([still.layers[0], one.layers[1], still.layers[2]], still.tokens) for one in steps]
    assert aw.Timeline(moving, measure="entropy", progress=False).layer == 1


def test_follows_a_history_that_grows():
    history = History(readings(2))
    asked = Asked(aw.Timeline(history))
    assert asked("readings", after=0)[0]["steps"] == [0, 100]
    history.add(readings(3)[2])
    assert asked("readings", after=2)[0]["steps"] == [200]
    assert asked.view.place() == 2  # the newest


def test_begins_before_anything_was_read():
    history = History()
    asked = Asked(aw.Timeline(history))
    assert asked("readings", after=0)[0]["steps"] == []
    assert (asked.view.map, asked.view.facts["maps"]) == ("", [])
    history.add(readings(1)[0])
    asked("readings", after=0)
    assert (asked.view.map, asked.view.measure) == ("attention", "entropy")
    assert asked.view.facts["maps"][0]["layers"] == 2
    with pytest.raises(ValueError, match="were not kept"):
        asked.view.maps_of()


def test_what_leaves_has_what_came_though_no_browser_asked(tmp_path):
    history = History()
    view = aw.Timeline(history)
    for one in readings(3):
        history.add(one)
    assert "step 200" in view.stands().text
    late = aw.Timeline(History())
    late.runs = view.runs
    facts = json.loads(re.search(r'data-part="traits">(.*?)</script>', late.to_html(progress=False)).group(1))
    assert facts["map"] == "attention"
    assert facts["facts"]["maps"][0]["layers"] == 2
    path = tmp_path / "a.jsonl"
    path.write_text(readings(1)[0].line() + "\n")
    followed = aw.Timeline(path)
    path.write_text("".join(one.line() + "\n" for one in readings(3)))
    assert len(pd.read_csv(followed.save(tmp_path / "t.csv"))) == 3 * 6


def test_follows_the_file_of_another_process(tmp_path):
    path = tmp_path / "a.jsonl"
    first, second, third = readings(3)
    path.write_text(first.line() + "\n")
    asked = Asked(aw.Timeline(path))
    assert asked("readings", after=0)[0]["steps"] == [0]
    with path.open("a") as file:
        file.write(second.line() + "\n" + third.line()[:40])
    assert asked("readings", after=1)[0]["steps"] == [100]
    with path.open("a") as file:
        file.write(third.line()[40:] + "\n")
    assert asked("readings", after=2)[0]["steps"] == [200]


def test_a_monitor_keeps_the_maps_that_it_shows(tmp_path):
    model, tokenizer = aw.demo.load()
    path = tmp_path / "a.jsonl"
    monitor = aw.AttentionMonitor(model, "Lily and Ben went to the park .", tokenizer, every=1, path=path, alert=())
    for step in range(3):
        monitor.step(step, loss=3.0 - step)
    weights = aw.capture(model, "Lily and Ben went to the park .", tokenizer).maps.weights(2, 1)
    for view in (aw.Timeline(monitor), aw.Timeline(path)):
        view.layer, view.head = 2, 1
        torch.testing.assert_close(view.maps_of().weights(2, 1), weights, atol=1e-5, rtol=0)
        header, _ = Asked(view)("readings", after=0)
        assert header["kept"] == "111"
        assert header["logged"] == {"loss": [3.0, 2.0, 1.0]}
        explorer = view.explore()
        assert (explorer.layer, explorer.head) == (2, 1)


def test_more_maps_than_are_kept_are_thinned(tmp_path):
    model, tokenizer = aw.demo.load()
    monitor = aw.AttentionMonitor(
        model, "Lily and Ben", tokenizer, every=1, path=tmp_path / "a.jsonl", maps=4, alert=(), diagnose_every=100
    )
    for step in range(12):
        monitor.step(step)
    kept = sorted(monitor.history.kept_steps())
    assert len(kept) <= 4
    assert (kept[0], kept[-1]) == (0, 11)
    view = aw.Timeline(monitor)
    view.step = 1  # those of the step before
    assert view.maps_of().n_layers == 4


def test_a_monitor_that_keeps_none_has_curves_alone():
    model, tokenizer = aw.demo.load()
    monitor = aw.AttentionMonitor(model, "Lily and Ben", tokenizer, every=1, maps=0, alert=())
    monitor.step(0)
    view = aw.Timeline(monitor)
    assert "queries" not in view.facts["maps"][0]
    assert view.stands().png


def test_events_are_what_came_and_went():
    told = readings(4)
    told = [
        Reading(one.step, one.numbers, findings=found, alerts=alerts)
        for one, found, alerts in zip(
            told, [["sink"], None, ["sink", "dead"], ["dead"]], [[], ["nan: x"], ["nan: y"], []], strict=True
        )
    ]
    view = aw.Timeline(History(told), events={200: "learning rate halved"})
    assert [(one.place, one.kind, one.text) for one in view.events()] == [
        (0, "finding", "sink"),
        (1, "alert", "nan: x"),
        (2, "finding", "dead"),
        (2, "own", "learning rate halved"),
        (3, "gone", "sink"),
    ]
    header, _ = Asked(view)("readings", after=2)
    assert header["events"] == [[2, "finding", "dead"], [3, "gone", "sink"]]
    assert view.facts["own"] == [[200, "learning rate halved"]]


def test_events_of_ones_own_need_not_fall_on_a_reading():
    view = aw.Timeline(History(readings(3)), events={120: "halved", 999: "the end"})
    assert view.facts["own"] == [[120, "halved"], [999, "the end"]]
    assert [(one.place, one.text) for one in view.events()] == [(1, "halved"), (2, "the end")]
    named = aw.Timeline(runs(2), steps=["warm", "cold"], events={"cold": "x"}, progress=False)
    assert named.facts["own"] == [[1, "x"]]
    for wrong in (["a"], {1.5: "x"}, {"lukewarm": "x"}):
        with pytest.raises(TypeError, match="events"):
            aw.Timeline(runs(2), steps=["warm", "cold"], events=wrong, progress=False)


def test_a_model_that_grows_has_no_numbers_before():
    draw = np.random.default_rng(0)
    shapes = [(2, 3), (2, 3), (3, 4)]
    told = [Reading(at, {"attention": {"entropy": draw.random(shape)}}) for at, shape in enumerate(shapes)]
    view = aw.Timeline(History(told))
    numbers = view.runs[""].numbers("attention", "entropy", 0)
    assert numbers.shape == (3, 3, 4)
    assert np.isnan(numbers[:2, 2]).all()
    assert np.isnan(numbers[:2, :, 3]).all()
    np.testing.assert_array_equal(numbers[2], told[2].numbers["attention"]["entropy"])


def test_layers_have_the_numbers_of_the_model(tmp_path):
    told = [Reading(at, {"attention": {"entropy": np.ones((2, 3))}}, layers={"attention": [3, 7]}) for at in range(2)]
    view = aw.Timeline(History(told), layer=1)
    assert view.facts["maps"][0]["layer_numbers"] == [3, 7]
    assert "layer 7" in view.stands().text
    assert set(pd.read_csv(view.save(tmp_path / "t.csv"))["layer"]) == {3, 7}


def test_a_head_that_a_layer_does_not_have_is_refused(tmp_path):
    layers = [projected(6, layers=1, heads=heads, key_value_heads=heads).layers[0] for heads in (4, 2)]
    view = aw.Timeline([aw.AttentionMaps(layers, list("abcdef"))] * 2, layer=0, head=3, progress=False)
    view.layer = 1
    assert view.head == 1
    with pytest.raises(traitlets.TraitError, match="goes from 0 to 1"):
        view.head = 3
    assert view.save(tmp_path / "t.png").is_file()


def test_other_tokens_are_refused():
    maps = projected()
    other = aw.AttentionMaps(maps.layers, ["x"] * 14)
    with pytest.raises(ValueError, match="step 1 has other tokens"):
        aw.Timeline([maps, other], progress=False)
    with pytest.raises(ValueError, match="different probes"):
        aw.Timeline({"a": [maps], "b": [other]}, progress=False)


def test_maps_that_cannot_be_read_are_missing_and_the_curves_are_there(tmp_path):
    model, tokenizer = aw.demo.load()
    monitor = aw.AttentionMonitor(model, "Lily and Ben", tokenizer, every=1, path=tmp_path / "a.jsonl", alert=())
    for step in range(3):
        monitor.step(step)
    for file in (tmp_path / "a.maps").glob("*0000000001.*"):
        file.write_bytes(b"broken")
    asked = Asked(aw.Timeline(tmp_path / "a.jsonl"))
    header, buffers = asked("frames", map="attention", layer=0, head=0, at=[0, 1, 2], size=[4, 4])
    assert [one.get("missing", False) for one in header["frames"]] == [False, True, False]
    assert len(buffers) == 6
    header, _ = asked("frames", map="attention", layer=0, head=0, at=[0], size=[9, 9])
    assert header["frames"] == [{"at": 0, "missing": True}]


def test_nothing_read_leaves_as_nothing(tmp_path):
    view = aw.Timeline(History())
    assert "nothing has been read yet" in view.to_html(progress=False)
    assert view.save(tmp_path / "t.png").is_file()
    assert pd.read_csv(view.save(tmp_path / "t.csv")).empty


def test_two_runs_are_laid_over_each_other():
    asked = Asked(aw.Timeline({"a": runs(3), "b": runs(5)}, progress=False))
    assert asked.view.facts["runs"] == ["a", "b"]
    assert len(asked("readings", run=1, after=0)[0]["steps"]) == 5
    asked.view.step = 4
    assert (asked.view.place("a"), asked.view.place("b")) == (2, 4)


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"step 1 is attention: 3 layers x 4 heads, 9 x 9, and the first .* 14 x 14"):
        aw.Timeline([projected(), projected(9)], progress=False)
    with pytest.raises(ValueError, match=r"runs of different models .* 'a': attention 3 x 4; 'b': attention 2 x 4"):
        aw.Timeline({"a": runs(2), "b": runs(2, layers=2)}, progress=False)
    with pytest.raises(ValueError, match="5 runs came"):
        aw.Timeline({str(at): runs(1) for at in range(5)}, progress=False)
    with pytest.raises(ValueError, match="no capture"):
        aw.Timeline([])
    with pytest.raises(TypeError, match="expected a History"):
        aw.Timeline(projected())
    with pytest.raises(TypeError, match="a step is Tensor"):
        aw.Timeline([torch.rand(2, 2)])
    with pytest.raises(ValueError, match="steps names 1; there are 2"):
        aw.Timeline(runs(2), steps=[1], progress=False)
    with pytest.raises(ValueError, match="do not rise"):
        aw.Timeline(runs(2), steps=[5, 5], progress=False)
    with pytest.raises(TypeError, match="whole number, or a string"):
        aw.Timeline(runs(2), steps=[0.5, 1.5], progress=False)
    with pytest.raises(TypeError, match="steps is int"):
        aw.Timeline(runs(2), steps=3, progress=False)
    with pytest.raises(TypeError, match="which has its own"):
        aw.Timeline(History(readings()), steps=[1, 2, 3, 4])
    with pytest.raises(FileNotFoundError, match="AttentionMonitor wrote"):
        aw.Timeline(tmp_path / "none.jsonl")
    with pytest.raises(TypeError, match="did you mean layer"):
        aw.Timeline(runs(1), layr=1, progress=False)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"layer": 3}, "goes from 0 to 2"),
        ({"head": -5}, "goes from 0 to 3"),
        ({"measure": "wisdom"}, "was not measured"),
        ({"map": "cross"}, "there are attention"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused(asked, choice, said):
    for name, value in choice.items():
        before = getattr(asked.view, name)
        with pytest.raises(traitlets.TraitError, match=said):
            setattr(asked.view, name, value)
        assert getattr(asked.view, name) == before


def stored(html):
    packed = re.search(r'data-part="answers">([^<]*)<', html).group(1)
    whole = gzip.decompress(base64.b64decode(packed))
    length = int.from_bytes(whole[-4:], "little")
    return json.loads(whole[-4 - length : -4])


def test_a_page_holds_every_head_at_every_step(asked, tmp_path):
    path = asked.view.save(tmp_path / "t.html", progress=False)
    index = stored(path.read_text())
    frames = [one for one in index["entries"] if one["question"]["op"] == "frames"]
    assert len(frames) == 12
    assert all([told["at"] for told in one["header"]["frames"]] == [0, 1, 2, 3, 4] for one in frames)
    assert index["missing"] == ""


def test_a_page_with_little_room_says_what_is_missing():
    view = aw.Timeline(runs(8, n=120), layer=1, head=2, progress=False)
    html = view.to_html(limit_mb=0.9, progress=False)
    index = stored(html)
    frames = [one["question"] for one in index["entries"] if one["question"]["op"] == "frames"]
    assert 0 < len(frames) < 12
    assert (frames[0]["layer"], frames[0]["head"]) == (1, 2)
    assert f"the maps of {len(frames)} of 12 heads and the curves of all" in index["missing"]


def test_leaves_as_a_picture_and_as_a_table(asked, tmp_path):
    assert asked.view.save(tmp_path / "t.png", dpi=50).read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in asked.view.save(tmp_path / "t.svg").read_bytes()
    table = pd.read_csv(asked.view.save(tmp_path / "t.csv"))
    assert len(table) == 5 * 12
    row = table[(table.step == 40) & (table.layer == 2) & (table["head"] == 1)].iloc[0]
    summary = aw.summarize(runs()[3], progress=False)
    assert row["entropy"] == pytest.approx(summary.xs((2, 1), level=("layer", "head"))["entropy"].item(), rel=1e-5)
    with pytest.raises(ValueError, match="does not end in"):
        asked.view.save(tmp_path / "t.docx")
    with pytest.raises(FileNotFoundError, match="make it first"):
        asked.view.save(tmp_path / "none" / "t.html")


def test_words_of_strangers_are_text_wherever_it_stands():
    words = ["<script>alert(1)</script>"] * 14
    steps = [aw.AttentionMaps(one.layers, words) for one in runs(2)]
    view = aw.Timeline({"</script><b>": steps}, title="<img src=x>", events={0: "<i>"}, progress=False)
    for html in (view.to_html(progress=False), view.stands().markup()):
        assert "<script>alert" not in html
        assert "<img src=x>" not in html
        assert "</script><b>" not in html


def test_closed_it_lets_go_and_says_so(asked, tmp_path):
    asked.view.close()
    with pytest.raises(ValueError, match="is closed"):
        asked.view.save(tmp_path / "t.html")
    assert repr(asked.view)
