"""Survey: what was found over many texts."""

from __future__ import annotations

__all__ = ["Survey"]


class Survey:
    """The numbers of every head over many texts."""
