"""Written: a Playground as it stood, where no script runs and no widget is drawn."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Written", "written"]


@dataclass(frozen=True)
class Written:
    """Its question, and its numbers.

    Parameters
    ----------
    title : str
        The question.
    rows : list of tuple of str, str and str
        Each query, its weights, and what it gets.
    """

    title: str
    rows: list[tuple[str, str, str]]
    png: bytes = b""

    @property
    def text(self) -> str:
        """All of it as plain text."""
        return "\n".join([self.title, *(f"{query}: {weights} → {output}" for query, weights, output in self.rows)])

    def markup(self, *, pictured: bool = True, folded: str = "") -> str:  # noqa: ARG002 - there is no picture to leave out
        """The same as markup that needs neither script nor style; what is folded comes where nobody looks."""
        rows = "".join(
            f"<tr><th>{html.escape(query)}</th><td>{html.escape(weights)}</td><td>{output}</td></tr>"
            for query, weights, output in self.rows
        )
        return (
            f"<p><b>{html.escape(self.title)}</b></p><details><summary>Weights and output of each query</summary>"
            f"<table><thead><tr><th>query</th><th>weights</th><th>output</th></tr></thead><tbody>{rows}</tbody></table>"
            f"{folded}</details>"
        )


def written(playground: Any) -> Written:
    """What a Playground shows now."""
    weights, output = playground.weights, playground.output
    if playground.scene == "heads":
        weights = weights.mean(axis=0)  # of all heads
    title = next(one["title"] for one in playground.facts["scenes"] if one["name"] == playground.scene)
    queries, keys = playground.query_labels, playground.key_labels

    def label(labels: list[str], at: int) -> str:
        return labels[at] if at < len(labels) else str(at)

    def numbers(row: np.ndarray[Any, Any]) -> str:
        return ", ".join(f"{number:.3f}" for number in row)

    def shares(row: np.ndarray[Any, Any]) -> str:
        order = np.argsort(-row, kind="stable")[:4]
        return ", ".join(f"{label(keys, int(key))} {row[key]:.3f}" for key in order if row[key] > 0) or "sees nothing"

    rows = [(label(queries, at), shares(row), numbers(output[at])) for at, row in enumerate(weights)]
    return Written(title, rows)
