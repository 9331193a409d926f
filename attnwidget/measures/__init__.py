"""Measures: what a map says, in numbers. Torch in, torch out, on the tensor's own device; inputs are not changed."""

from attnwidget.measures.alignment import alignment_entropy, coverage, coverage_penalty, focus, monotonicity
from attnwidget.measures.comparison import Comparison, align_tokens, compare
from attnwidget.measures.flow import additive_relevance, cross_rollout, rollout, rollout_baseline
from attnwidget.measures.heads import HeadClusters, head_clusters, head_diversity, head_similarity
from attnwidget.measures.links import align, alignment_error_rate
from attnwidget.measures.maxflow import attention_flow
from attnwidget.measures.paths import Paths, paths
from attnwidget.measures.patterns import PatternLabels, head_scores, pattern_labels, pattern_report, pattern_scores
from attnwidget.measures.plane import Plane, plane
from attnwidget.measures.products import ScoreProducts, score_products
from attnwidget.measures.receivers import receiver_score
from attnwidget.measures.rows import entropy, locality, prefix_mass, sinks, top_targets
from attnwidget.measures.scores import score_health
from attnwidget.measures.spans import span_mass, span_rows
from attnwidget.measures.spatial import SpatialPeak, cls_map, mass_mask, patch_distance, spatial_peak
from attnwidget.measures.standouts import Standout, standouts
from attnwidget.measures.table import summarize

__all__ = [
    "Comparison",
    "HeadClusters",
    "Paths",
    "PatternLabels",
    "Plane",
    "ScoreProducts",
    "SpatialPeak",
    "Standout",
    "additive_relevance",
    "align",
    "align_tokens",
    "alignment_entropy",
    "alignment_error_rate",
    "attention_flow",
    "cls_map",
    "compare",
    "coverage",
    "coverage_penalty",
    "cross_rollout",
    "entropy",
    "focus",
    "head_clusters",
    "head_diversity",
    "head_scores",
    "head_similarity",
    "locality",
    "mass_mask",
    "monotonicity",
    "patch_distance",
    "paths",
    "pattern_labels",
    "pattern_report",
    "pattern_scores",
    "plane",
    "prefix_mass",
    "receiver_score",
    "rollout",
    "rollout_baseline",
    "score_health",
    "score_products",
    "sinks",
    "span_mass",
    "span_rows",
    "spatial_peak",
    "standouts",
    "summarize",
    "top_targets",
]
