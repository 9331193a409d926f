"""Answer: what goes back to the browser."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer"]


@dataclass(frozen=True)
class Answer:
    """A header that JSON can hold, and buffers beside it."""

    header: dict[str, Any]
    buffers: list[bytes] = field(default_factory=list)
