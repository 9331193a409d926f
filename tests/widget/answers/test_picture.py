"""Pictures that an image model saw."""

from __future__ import annotations

import numpy as np
import torch

import attnwidget as aw
from attnwidget.tokens import ImageGrid
from attnwidget.widget.answers.picture import picture
from tests.make import projected


def test_a_large_one_is_made_smaller_by_means():
    pixels = torch.zeros(900, 1200, 3, dtype=torch.uint8)
    pixels[:, 600:] = 200
    image = ImageGrid(0, 2, 2, pixels)
    maps = aw.AttentionMaps(projected(4, causal=False).layers, aw.Tokens.positions(4).with_image(image))
    answer = picture(maps, "keys")
    assert answer.header == {"height": 384, "width": 512}
    sent = np.frombuffer(answer.buffers[0], np.uint8).reshape(384, 512, 3)
    assert (sent[:, :255] == 0).all()
    assert (sent[:, 257:] == 200).all()
