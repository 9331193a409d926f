"""Views: how maps can be seen in an Explorer, and which maps can be seen so."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from attnwidget.maps import AttentionMaps

__all__ = ["VIEWS", "refusal"]


class Seen(NamedTuple):
    """Which maps a view can show, what it needs where it cannot, and the kind of figure that it is on paper."""

    figure: str
    shows: Callable[[AttentionMaps], bool] = lambda _maps: True
    needs: str = ""


def _has_picture(maps: AttentionMaps) -> bool:
    return bool(maps.tokens.images or maps.key_tokens.images)


VIEWS: dict[str, Seen] = {
    "heatmap": Seen("head"),
    "lines": Seen("lines"),
    "text": Seen("row"),
    "spans": Seen("spans"),
    "grid": Seen("grid"),
    "image": Seen(
        "image",
        _has_picture,
        "maps whose tokens carry the patches of a picture, and these do not; give them with "
        "tokens.with_image(ImageGrid(start, rows, columns, picture))",
    ),
}


def refusal(view: str, maps: list[AttentionMaps]) -> str | None:
    """Why none of some maps can be seen so; None where one can."""
    if view not in VIEWS:
        return f"view={view!r} does not exist; there are {', '.join(VIEWS)}."
    if any(VIEWS[view].shows(one) for one in maps):
        return None
    return f"view={view!r} needs {VIEWS[view].needs}."
