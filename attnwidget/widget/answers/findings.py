"""Findings: what is unusual about the maps, and each layer looked at for them."""

from __future__ import annotations

from attnwidget.diagnosis.findings import HEALTHY
from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.measuring import Measuring

__all__ = ["findings", "vitals"]


def vitals(measuring: Measuring, layer: int) -> Answer:
    """Measure a layer for the findings, so that they come at once when all layers were."""
    measuring.vitals(layer)
    return Answer({"layer": layer})


def findings(measuring: Measuring) -> Answer:
    """The findings as the browser lists them."""
    found = [
        {
            "name": finding.name,
            "title": finding.title,
            "severity": finding.severity,
            "sentence": finding.sentence,
            "evidence": [list(evidence) for evidence in finding.evidence],
            "causes": list(finding.causes),
            "remedies": list(finding.remedies),
            "places": [list(place) for place in finding.places],
        }
        for finding in measuring.findings()
    ]
    return Answer({"findings": found, "healthy": HEALTHY})
