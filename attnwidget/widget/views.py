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


def _has_picture(maps: AttentionMaps) -> bool:
    return maps.tokens.image is not None or maps.key_tokens.image is not None


def _has_projections(maps: AttentionMaps) -> bool:
    return any(isinstance(layer, ProjectedLayer) for layer in maps.layers)


_PROJECTED = (
    "maps whose queries and keys are held, and these are weights; capture the model (attnwidget.capture), or pass "
    "q and k (AttentionMaps.from_queries_keys)"
)

VIEWS: dict[str, Seen] = {
    "heatmap": Seen("head"),
    "text": Seen("row"),
    "spans": Seen("spans"),
    "grid": Seen("grid"),
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
