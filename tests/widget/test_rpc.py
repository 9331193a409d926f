"""Replies: whole, in pieces, and as sentences."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import torch

import attnwidget as aw
from attnwidget.layers import DenseLayer
from attnwidget.widget.answers import Shown, answer
from attnwidget.widget.rpc import reply
from tests.make import projected

ASKED = {"op": "projections", "map": "attention", "layer": 0}


def joined(messages):
    """Header and buffers of a reply, as the browser puts its pieces together."""
    content = messages[0][0]
    assert [message["piece"] for message, _ in messages] == list(range(content["pieces"])) == list(range(len(messages)))
    together = b"".join(buffer for _, buffers in messages for buffer in buffers)
    ends = np.cumsum(content["sizes"])
    assert ends[-1] == len(together)
    return content["header"], [together[end - size : end] for end, size in zip(ends, content["sizes"], strict=True)]


@pytest.mark.parametrize("heads", [3, 8])
def test_a_large_reply_goes_out_in_pieces(heads):
    maps = aw.AttentionMaps([DenseLayer(torch.rand(heads, 1000, 1000).softmax(-1))], aw.Tokens.positions(1000))
    shown = Shown.of({"attention": maps})
    messages = reply({"id": "a", **ASKED}, partial(answer, shown))
    assert len(messages) == -(-heads * (2 * 1000 * 1000 + 8 * 1000) // 2**22)
    for at, (content, buffers) in enumerate(messages):
        assert (content["id"], content["ok"], len(buffers)) == ("a", True, 1)
        assert len(buffers[0]) <= 2**22
        assert ("header" in content) == ("sizes" in content) == (at == 0)
        json.dumps(content, allow_nan=False)
    whole = answer(shown, ASKED)
    assert joined(messages) == (whole.header, whole.buffers)


def test_a_small_reply_is_one_message():
    shown = Shown.of({"attention": projected()})
    ((content, buffers),) = reply({"id": 3, **ASKED}, partial(answer, shown))
    whole = answer(shown, ASKED)
    assert content == {"id": 3, "ok": True, "header": whole.header}
    assert buffers == whole.buffers


def test_the_explorer_sends_every_piece():
    maps = aw.AttentionMaps([DenseLayer(torch.rand(5, 1000, 1000).softmax(-1))], aw.Tokens.positions(1000))
    view, sent = aw.Explorer(maps), []
    view.send = lambda content, buffers=None: sent.append((content, buffers))
    view._handle_custom_msg({"id": "a", **ASKED}, [])
    assert joined(sent)[0]["form"] == "codes"
    view.close()


def test_a_refusal_is_one_message_without_buffers():
    shown = Shown.of({"attention": projected()})
    assert reply({"id": 1, **ASKED, "layer": 9}, partial(answer, shown)) == [
        ({"id": 1, "ok": False, "error": "layer 9 does not exist: these maps have layers 0 to 2."}, [])
    ]
    assert reply({**ASKED}, partial(answer, shown)) == []
