"""Arguments: keywords that do not exist are refused, with those that are near."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = ["refuse_unknown"]


def refuse_unknown(given: Iterable[str], known: Sequence[str], whose: str, noun: str = "argument") -> None:
    """Raise TypeError for the first name that is not known.

    Parameters
    ----------
    given : iterable of str
        Names that came.
    known : sequence of str
        Names that there are.
    whose : str
        What they were given to.
    noun : str
        What they are.
    """
    for name in given:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(sorted(known)) or 'none'}."
        raise TypeError(f"{whose} has no {noun} {name!r}; {hint}")
