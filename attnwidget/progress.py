"""Progress bars, all of one kind: silent where TQDM_DISABLE says so, and gone when the work ends, however it ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import std
from tqdm.auto import tqdm

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(desc: str, total: float | None, *, shown: bool, **options: Any) -> Iterator[std.tqdm[Any]]:
    """Show how far the work inside has come, as far as it says so with ``update``.

    Parameters
    ----------
    desc : str
        What is counted.
    total : float or None
        How much of it there is, where that is known.
    shown : bool
        Whether to show a bar at all.
    **options
        Further keywords of tqdm.

    Yields
    ------
    tqdm
        To be told of progress with ``update``; a loop over the bar itself would outlive an exception.
    """
    if not shown:  # tqdm heeds TQDM_DISABLE only where ``disable`` is not given
        options["disable"] = True
    # Colab saves widgets in a form for which GitHub refuses the whole notebook, hidden bars among them.
    kind = std.tqdm if "google.colab" in sys.modules else tqdm
    with kind(desc=desc, total=total, leave=False, **options) as bar:
        try:
            yield bar
        finally:
            bar.total = bar.n  # a notebook keeps a bar that ends short of its total, in red
