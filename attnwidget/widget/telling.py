"""Telling: how facts travel to the browser."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["as_text"]


def as_text(facts: dict[str, Any], _widget: Any) -> str:
    """Facts as JSON that can stand inside any page: exporters guard their scripts against few of HTML's marks."""
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
