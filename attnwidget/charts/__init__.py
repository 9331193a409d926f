"""Charts: numbers of all heads as bqplot draws them, linked with an Explorer. `attnwidget.dashboard` has them all.

Each chart has its file: `depth` (a measure along the layers), `scatter` (one measure against another), `similarity`
(every head against every other), `span_mass` (where the layers look) and `trends` (a measure over the steps of a
Timeline).
"""

from attnwidget.charts.depth import depth
from attnwidget.charts.scatter import scatter
from attnwidget.charts.similarity import similarity
from attnwidget.charts.span_mass import span_mass
from attnwidget.charts.trends import trends

__all__ = ["depth", "scatter", "similarity", "span_mass", "trends"]
