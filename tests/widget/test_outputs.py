"""What travels with a view, and what its output keeps of it."""

from __future__ import annotations

import base64
import io
import json

import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

import attnwidget as aw
from attnwidget.layers import DenseLayer
from attnwidget.widget.answers import answer
from tests.make import projected


@pytest.fixture
def published(monkeypatch):
    """What is published to a notebook: (bundle, display id, whether it replaces another)."""
    shell = InteractiveShell.instance()
    seen = []

    def publish(data, *_args, transient=None, update=False, **_kwargs):
        seen.append((data, (transient or {}).get("display_id"), update))

    monkeypatch.setattr(shell.display_pub, "publish", publish)
    yield seen
    InteractiveShell.clear_instance()


def run(view):
    """Display a view as the last line of a cell."""
    view._ipython_display_()


def test_a_view_is_two_outputs_and_the_kept_one_gets_its_picture_behind_the_widget(published):
    view = aw.Explorer(projected(6), title="<b>Lily</b>", layer=1)
    run(view)
    (kept, identity, _), (widget, _, _), (pictured, again, update) = published
    assert "application/vnd.jupyter.widget-view+json" in widget
    assert identity == again == view.kept
    assert update
    assert set(kept) == {"text/html", "text/plain"}
    assert set(pictured) == {"text/html", "text/plain", "image/png"}
    for html in (kept["text/html"], pictured["text/html"]):
        assert "&lt;b&gt;Lily&lt;/b&gt; · layer 1 · head 0" in html
        assert "<b>Lily" not in html
    picture = Image.open(io.BytesIO(base64.b64decode(pictured["image/png"])))
    assert picture.format == "PNG"
    assert min(picture.size) > 100


def test_an_output_is_small_and_never_svg_or_latex(published):
    run(aw.Explorer(projected(60, layers=12, heads=12)))
    bundle = published[-1][0]
    assert sum(len(one) for one in bundle.values()) < 50_000
    assert not {"image/svg+xml", "text/latex"} & set(bundle)


def test_where_the_page_is_too_large_to_keep_there_is_a_picture_and_the_reason(published):
    run(aw.Explorer(projected(900, layers=1, heads=12, width=64), keep="page"))
    html = published[-1][0]["text/html"]
    assert "srcdoc" not in html
    assert "data:image/png" in html
    assert "more than the 2 MB that are kept" in html


def test_its_words_are_the_largest_weights_of_the_last_queries(published):
    maps = projected(5)
    run(aw.Explorer(maps, layer=1, head=2, temperature=0.5))
    last = published[-1][0]["text/plain"].splitlines()[-1]
    weights, keys = maps.weights(1, 2, temperature=0.5)[-1].topk(3)
    labels = maps.key_tokens.labels
    expected = ", ".join(
        f"{labels[key]} {weight:.3f}" for weight, key in zip(weights.tolist(), keys.tolist(), strict=True)
    )
    assert last == f"{maps.tokens.labels[-1]} → {expected}"


def test_it_follows_the_choice_when_the_browser_says_that_the_person_stopped(published):
    view = aw.Explorer(projected(6))
    run(view)
    view.layer, view.head = 1, 2
    sent = []
    view.send = lambda content, buffers: sent.append(content)
    view._handle_custom_msg({"id": "k", "op": "keep"}, [])
    assert sent == [{"id": "k", "ok": True, "header": {}}]
    assert "layer 1 · head 2" in published[-1][0]["text/plain"]
    count = len(published)
    view._handle_custom_msg({"id": "l", "op": "keep"}, [])
    assert len(published) == count


@pytest.mark.parametrize("keep", ["all", "png", True])
def test_an_unknown_way_to_keep_is_refused(keep):
    with pytest.raises(ValueError, match="expected 'picture', 'page' or None"):
        aw.Explorer(projected(4), keep=keep)


def test_nothing_is_kept_where_nobody_wants_it(published):
    view = aw.explore(projected(4), keep=None)
    run(view)
    assert [sorted(bundle) for bundle, _, _ in published] == [
        ["application/vnd.jupyter.widget-view+json", "text/plain"]
    ]
    with pytest.raises(ValueError, match="keep=None"):
        view.keep()


def test_a_view_in_a_box_keeps_where_it_is_told(published):
    view = aw.Explorer(projected(4))
    view.keep()
    assert [identity for _, identity, _ in published] == [view.kept] * 2
    view.close()
    with pytest.raises(ValueError, match="closed"):
        view.keep()


def test_a_page_may_be_kept_in_a_frame_that_reaches_nothing(published):
    run(aw.Explorer(projected(4), keep="page"))
    html = published[-1][0]["text/html"]
    assert '<iframe sandbox="allow-scripts allow-downloads" srcdoc="' in html


def opening_of(view):
    packed = view.opening
    length = int.from_bytes(packed[-4:], "little")
    return json.loads(packed[-4 - length : -4])


def test_the_first_answers_travel_with_the_widget_and_are_the_kernels_own():
    view = aw.Explorer(projected(14, layers=3, heads=4), layer=2, head=1)
    index = opening_of(view)
    asked = [(one["question"]["op"], one["question"].get("layer")) for one in index["entries"]]
    assert asked[:2] == [("projections", 2), ("profile", 2)]
    assert {layer for op, layer in asked if op == "thumbnails"} == {0, 1, 2}
    start = 0
    for entry in index["entries"]:
        kernels = answer(view.shown, entry["question"])
        end = start + sum(entry["sizes"])
        if not entry.get("coarse") and "planes" not in entry:
            assert view.opening[start:end] == b"".join(kernels.buffers)
        start = end


@pytest.mark.parametrize("n", [1, 60, 300, 1500])
def test_what_travels_stays_small(n):
    view = aw.Explorer(projected(n, layers=2, heads=4))
    assert 0 < len(view.opening) <= 64 << 10
    assert opening_of(view)["version"] == view.facts["version"]


def test_answers_about_other_maps_do_not_travel():
    view = aw.Explorer(projected(6))
    view.show(projected(7))
    assert view.opening == b""


def test_a_rollout_opens_at_its_last_layer_unless_another_was_chosen():
    maps = projected(6, layers=4)
    assert aw.Explorer(maps, map="rollout").layer == 3
    assert aw.Explorer(maps, map="rollout", layer=1).layer == 1
    view = aw.Explorer(maps, layer=1)
    view.map = "rollout"
    assert view.layer == 3


def test_a_page_that_the_browser_asks_for_is_the_one_that_it_shows():
    view = aw.Explorer(projected(6))
    sent = []
    view.send = lambda content, buffers: sent.append((content, buffers))
    for identity in ("a", "b"):
        view._handle_custom_msg({"id": identity, "op": "page", "map": "mean of heads", "layer": 1, "head": 0}, [])
    (first, (page,)), (_, (again,)) = sent
    assert first["header"] == {}
    # What was chosen may reach the kernel behind the question.
    assert (view.map, view.layer) == ("mean of heads", 1)
    assert page == again == view.to_html().encode()


def test_a_map_of_nothing_is_kept_in_words(published):
    empty = aw.AttentionMaps([DenseLayer(torch.zeros(1, 0, 0))], aw.Tokens.from_labels([]))
    run(aw.Explorer(empty))
    assert all(
        "there is no attention to show" in bundle["text/html"] for bundle, *_ in published if "text/html" in bundle
    )


def test_where_no_widget_is_drawn_the_text_says_what_to_do():
    view = aw.Explorer(projected())
    data, _ = view._repr_mimebundle_()
    assert data["text/plain"] == f"{view!r}\nThe live view needs a kernel: run this cell in a notebook."
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == view.model_id
