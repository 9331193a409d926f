"""Fitting: whether the tables of a Playground fit each other."""

from __future__ import annotations

from typing import Any

__all__ = ["fault"]


def fault(scene: str, **tables: Any) -> str:
    """Why these do not fit each other, in a sentence that says what was expected; empty where they do.

    Parameters
    ----------
    scene : str
        What is shown.
    **tables
        Values of the traits query, key, value, mask, rotary, positions, heads and mixing of a Playground.
    """
    if scene == "scaling":
        return ""  # makes its own
    return _of_tables(**tables) or _of_scene(scene, **tables)


def _of_tables(*, query: Any, key: Any, value: Any, mask: Any, **_: Any) -> str:
    for name, table in (("query", query), ("key", key), ("value", value)):
        if not table:
            return f"{name} is empty; expected at least one row."
    if len(query[0]) != len(key[0]):
        return f"query is {len(query[0])} wide and key {len(key[0])}; expected one width."
    if len(value) != len(key):
        return f"there are {len(key)} keys and {len(value)} values; expected one value a key."
    if not isinstance(mask, str) and (len(mask), len(mask[0])) != (len(query), len(key)):
        return f"mask is {len(mask)} x {len(mask[0])}; expected {len(query)} queries x {len(key)} keys."
    return ""


def _of_scene(
    scene: str, *, query: Any, key: Any, value: Any, rotary: bool, positions: Any, heads: Any, mixing: Any, **_: Any
) -> str:
    if (rotary or scene == "heads") and len(query) != len(key):
        return f"there are {len(query)} queries and {len(key)} keys; expected one of each a token."
    if positions and (len(positions) != len(key) or max(map(abs, positions)) > 1000):
        return f"positions are {positions}; expected {len(key)} integers of up to 1,000, one a token."
    if scene != "heads":
        return ""
    if not heads:
        return "heads is empty; expected at least one."
    rows = len(heads) * len(value[0])
    if mixing and len(mixing) != rows:
        return f"mixing has {len(mixing)} rows; expected {rows}: {len(heads)} heads of {len(value[0])} numbers."
    return ""
