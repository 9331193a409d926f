"""Views: how maps can be seen in an Explorer, and which maps can be seen so."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from attnwidget.layers import ProjectedLayer
from attnwidget.maps import AttentionMaps

__all__ = ["VIEWS", "refusal"]


class Seen(NamedTuple):
    """Which maps a view can show, what it needs where it cannot, and the kind of figure that it is on paper."""

    figure: str
    shows: Callable[[AttentionMaps], bool] = lambda _maps: True
    needs: str = ""
    derived: bool = True  # whether what was made of all heads can be seen so


def _has_picture(maps: AttentionMaps) -> bool:
    return bool(maps.tokens.images or maps.key_tokens.images)


def _goes_on(maps: AttentionMaps) -> bool:
    """Whether what a layer gives out for a token is what the next one takes in."""
    return maps.n_layers > 1 and maps.key_tokens is maps.tokens and maps.n_queries == maps.n_keys


def _has_projections(maps: AttentionMaps) -> bool:
    return any(isinstance(layer, ProjectedLayer) for layer in maps.layers)


_PROJECTED = (
    "maps whose queries and keys are held, and these are weights; capture the model (attnwidget.capture), or pass "
    "q and k (AttentionMaps.from_queries_keys)"
)

VIEWS: dict[str, Seen] = {
    "heatmap": Seen("head"),
    "lines": Seen("lines"),
    "text": Seen("row"),
    "spans": Seen("spans"),
    "grid": Seen("grid"),
    "rows": Seen("row", lambda maps: sum(maps.heads) > 1, "maps of more than one head", derived=False),
    "layers": Seen("layers", lambda maps: maps.n_layers > 1, "maps of more than one layer"),
    "flow": Seen("flow", _goes_on, "self-attention of more than one layer", derived=False),
    "image": Seen(
        "image",
        _has_picture,
        "maps whose tokens carry the patches of a picture, and these do not; give them with "
        "tokens.with_image(ImageGrid(start, rows, columns, picture))",
    ),
    "neurons": Seen("neurons", _has_projections, _PROJECTED),
    "plane": Seen("plane", _has_projections, _PROJECTED),
}


def refusal(view: str, maps: list[AttentionMaps]) -> str | None:
    """Why none of some maps can be seen so; None where one can."""
    if view not in VIEWS:
        return f"view={view!r} does not exist; there are {', '.join(VIEWS)}."
    if any(VIEWS[view].shows(one) for one in maps):
        return None
    return f"view={view!r} needs {VIEWS[view].needs}."
