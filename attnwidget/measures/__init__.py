"""Measures: what a map says, in numbers. Torch in, torch out, on the tensor's own device; inputs are not changed."""

from attnwidget.measures.rows import entropy, head_scores

__all__ = ["entropy", "head_scores"]
