"""Measures: what a map says, in numbers. Torch in, torch out, on the tensor's own device; inputs are not changed."""

from attnwidget.measures.heads import (
    Comparison,
    HeadClusters,
    align_tokens,
    compare,
    head_clusters,
    head_diversity,
    head_similarity,
)
from attnwidget.measures.patterns import PatternLabels, head_scores, pattern_labels, pattern_report, pattern_scores
from attnwidget.measures.rows import entropy, locality, prefix_mass, sinks, top_targets
from attnwidget.measures.table import summarize

__all__ = [
    "Comparison",
    "HeadClusters",
    "PatternLabels",
    "align_tokens",
    "compare",
    "entropy",
    "head_clusters",
    "head_diversity",
    "head_scores",
    "head_similarity",
    "locality",
    "pattern_labels",
    "pattern_report",
    "pattern_scores",
    "prefix_mass",
    "sinks",
    "summarize",
    "top_targets",
]
