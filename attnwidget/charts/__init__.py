"""Charts: numbers of all heads as bqplot draws them, linked with an Explorer. `attnwidget.dashboard` has them all.

Each chart has its file: `depth` (a measure along the layers), `scatter` (one measure against another) and `similarity`
(every head against every other).
"""

from attnwidget.charts.depth import depth
from attnwidget.charts.scatter import scatter
from attnwidget.charts.similarity import similarity

__all__ = ["depth", "scatter", "similarity"]
