"""How much a head looks at the pictures among its keys, and in how few places."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from attnwidget.maps import AttentionMaps
from attnwidget.measures.information import row_entropy
from attnwidget.measures.walk import Measure, Rows
from attnwidget.tokens import Tokens

__all__ = ["PICTURE_ROWS", "holds_pictures", "patches_among", "picture_rows"]

PICTURE_ROWS = ("picture", "patches")


def holds_pictures(maps: AttentionMaps) -> bool:
    """Whether some of the keys are patches of a picture."""
    return bool(maps.key_tokens.images)


def patches_among(tokens: Tokens) -> Tensor:
    """Which tokens are patches, of any picture: bool [tokens]."""
    found = torch.zeros(len(tokens), dtype=torch.bool)
    for image in tokens.images:
        places = torch.tensor(tuple(image.positions))
        found[places[places >= 0]] = True
    return found


def picture_rows(maps: AttentionMaps) -> dict[str, Measure]:
    """What each row gives to the patches among the keys: its mass on them, and on how many it lies.

    Counted are queries that are no patches themselves and see some; all that see some, where every query is a patch.

    Parameters
    ----------
    maps : AttentionMaps
        Maps with pictures on their keys.

    Returns
    -------
    dict of callable
        "picture": the mass on all patches, 0 to 1. "patches": exp of the entropy of that mass over the patches, from 1
        to their number; NaN where nothing is on them. Both NaN for rows that are not counted.
    """
    keys, own = patches_among(maps.key_tokens), patches_among(maps.tokens)
    counted = ~own if not bool(own.all()) else own

    def on_patches(rows: Rows) -> tuple[Tensor, Tensor]:
        """Weights on the patches, and which rows are not counted."""
        among = keys[: rows.weights.shape[-1]].to(rows.weights.device)
        sees = (rows.visible & among).any(-1)
        return rows.weights[..., among], ~(sees & counted[rows.rows].to(sees.device))

    def mass(rows: Rows) -> Tensor:
        weights, left_out = on_patches(rows)
        return weights.sum(-1).masked_fill(left_out | rows.without, math.nan)

    def spread(rows: Rows) -> Tensor:
        weights, left_out = on_patches(rows)
        if not weights.shape[-1]:
            return torch.full_like(rows.total, math.nan)
        return row_entropy(weights).exp().masked_fill(left_out | rows.without, math.nan)

    return {"picture": mass, "patches": spread}
