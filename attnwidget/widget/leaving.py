"""Leaving: how an Explorer leaves the notebook, as a page, a figure or a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attnwidget.widget.view import Placing, View

__all__ = ["Leaving"]


class Leaving(View):
    """A view of maps that can be taken away."""

    def placed(self, precision: str | None) -> Placing:
        """Its place in a page."""
        from attnwidget.widget.placing import Placed

        return Placed(self, precision)

    def to_html(
        self,
        *,
        limit_mb: float = 20.0,
        layers: Sequence[int] | None = None,
        precision: str | None = None,
        progress: bool = True,
    ) -> str:
        """The view as one page that needs no kernel and no network, in HTML.

        Parameters
        ----------
        limit_mb : float
            Size of the page, in 10^6 bytes. All heads of all layers are in it where they fit; where they do not, the
            layers around the chosen one are, the rest in coarse points, and the page says so.
        layers : sequence of int or None
            Which layers of the chosen maps are held whole; None for as many as fit.
        precision : {"float32", "float16"} or None
            "float16" keeps queries and keys in half precision, and the page says so; None as they are.
        progress : bool
            Whether to show a progress bar.

        Raises
        ------
        ValueError
            When the limit leaves no room for the chosen head, or something is not known.
        """
        from attnwidget.widget.page import page

        return page(self, limit_mb=limit_mb, layers=layers, precision=precision, progress=progress).html

    def save(self, path: str | Path, **options: Any) -> Path:
        """Write the view to a file, in the form that its name ends in.

        Parameters
        ----------
        path : str or Path
            Ends in

            * ".html": the page of `to_html`, with its options;
            * ".png", ".svg" or ".pdf": a figure of what is chosen now, temperature, view and colours included; options
              are ``dpi`` and those of `attnwidget.figure`, as ``width`` in inches;
            * ".csv": the weights of the chosen head with their labels.

            An existing file is replaced, and stays as it is where anything fails.
        **options
            As above.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        TypeError
            When an option is not known for this ending.
        ValueError
            When the ending is not known, or the view is closed.
        OSError
            When there is no such folder, or it cannot be written to.

        Examples
        --------
        >>> view.save("page.html")
        >>> view.save("head.svg", width=4)
        """
        from attnwidget.widget.saving import save

        return save(self, path, options)
