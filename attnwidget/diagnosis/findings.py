"""Findings: what was found wrong, or worth knowing, with the numbers that say so."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["Evidence", "Finding", "Findings"]

SEVERITIES = ("alarm", "warning", "note")
HEALTHY = "Nothing unusual was found."


class Evidence(NamedTuple):
    """One number, and what it is when all is well."""

    label: str
    value: str
    healthy: str


@dataclass(frozen=True)
class Finding:
    """Something that was found.

    Parameters
    ----------
    name : str
        Short name that stays the same: "nan", "overflow", "precision", "masked", "padding", "causality", "transposed",
        "dropout", "rows", "scaling", "unexplained", "uniform", "constant", "collapsed", "sink", "duplicates", "layers",
        "prefix", "anchor".
    title : str
        What it is, in a few words.
    severity : {"alarm", "warning", "note"}
        "alarm": the numbers cannot be right, or the model cannot work. "warning": probably wrong. "note": healthy
        models show it too, and a reader of the maps should know.
    sentence : str
        What was found, and where.
    places : tuple of (layer, head)
        The heads concerned; a head of None means the whole layer.
    evidence : tuple of Evidence
        What was measured, beside what a healthy model has.
    causes, remedies : tuple of str
        Likely causes, the likeliest first, and what to try.
    map : str
        Which maps it is about, where several were looked at.
    names : tuple of str
        The places in short, by the numbers that they have in the model; empty where these are the places themselves.
    """

    name: str
    title: str
    severity: str
    sentence: str
    places: tuple[tuple[int, int | None], ...] = ()
    evidence: tuple[Evidence, ...] = ()
    causes: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    map: str = ""
    names: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """The title, and whose it is."""
        return f"{self.map}: {self.title}" if self.map else self.title

    @property
    def where(self) -> str:
        """The places in short: "L0, L2 H3"."""
        named = self.names or tuple(short_name(layer, head) for layer, head in self.places)
        shown = named[:4]
        rest = len(named) - len(shown)
        return ", ".join(shown) + (f" +{rest}" if rest else "")

    def __str__(self) -> str:
        lines = [f"{self.severity.upper()}: {self.heading} [{self.name}]", f"  {self.sentence}"]
        lines += [f"  {label}: {value} (healthy: {healthy})" for label, value, healthy in self.evidence]
        lines += [f"  likely cause: {cause}" for cause in self.causes]
        lines += [f"  to try: {remedy}" for remedy in self.remedies]
        return "\n".join(lines)


class Findings(list[Finding]):
    """Findings, the gravest first; prints as a table, and shows as one in a notebook."""

    def __init__(self, found: Iterable[Finding] = ()) -> None:
        super().__init__(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)))

    def named(self, name: str) -> Finding:
        """The finding of a name; KeyError with the names there are."""
        for finding in self:
            if finding.name == name:
                return finding
        raise KeyError(f"there is no finding {name!r}; there are {[finding.name for finding in self]}.")

    def __str__(self) -> str:
        if not self:
            return HEALTHY
        rows = [("severity", "finding", "where", "measured", "healthy")]
        for finding in self:
            first = finding.evidence[0] if finding.evidence else Evidence("", "", "")
            measured = f"{first.label}: {first.value}" if finding.evidence else ""
            rows.append((finding.severity, finding.heading, finding.where, measured, first.healthy))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*table, "", "\n\n".join(map(str, self))])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        if not self:
            return f"<p>{HEALTHY}</p>"
        head = "".join(
            f"<th style='text-align:left'>{name}</th>" for name in ("Finding", "Measured", "Causes", "To try")
        )
        body = "".join(_row(finding) for finding in self)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def short_name(layer: int, head: int | None) -> str:
    """A place in a few letters: "L2 H3"."""
    return f"L{layer}" + ("" if head is None else f" H{head}")


def _row(finding: Finding) -> str:
    evidence = [f"{label}: {value} (healthy: {healthy})" for label, value, healthy in finding.evidence]
    title = f"<b>{html.escape(finding.severity)}</b>: {html.escape(finding.heading)}<br>{html.escape(finding.sentence)}"
    cells = [title, *(_lines(texts) for texts in (evidence, finding.causes, finding.remedies))]
    return "<tr>" + "".join(f"<td style='text-align:left;vertical-align:top'>{cell}</td>" for cell in cells) + "</tr>"


def _lines(texts: Iterable[str]) -> str:
    return "<br>".join(map(html.escape, texts))


def number(value: Any) -> str:
    """A number as a person reads it."""
    return f"{float(value):.3g}"
