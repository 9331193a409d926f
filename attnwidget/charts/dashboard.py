"""Dashboard: all charts of an Explorer together, with what they can be asked."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
from ipywidgets import HTML, Dropdown, GridBox, HBox, Layout, ToggleButtons, VBox
from traitlets import link

from attnwidget.charts.chart import FOLLOWED, Chart, close_all, short_name, view_of
from attnwidget.charts.depth import depth
from attnwidget.charts.scatter import scatter
from attnwidget.charts.similarity import similarity
from attnwidget.charts.span_mass import span_mass
from attnwidget.measures.spans import SpansLike

__all__ = ["Dashboard", "dashboard"]

MOST_TOLD = 8  # numbers of the chosen head

# In a dark JupyterLab bqplot writes in orange.
_STYLE = """<style>
.attnwidget-dashboard {
  --bq-content-font-color: var(--jp-content-font-color1); --bq-axislabel-fill: var(--jp-content-font-color1);
  --bq-axislabel-font: 12px var(--jp-ui-font-family, system-ui, sans-serif);
  --bq-axis-tick-text-font: 11px var(--jp-ui-font-family, system-ui, sans-serif);
}
.attnwidget-dashboard .bqplot > svg .axis text.axislabel { fill: var(--jp-content-font-color2); }
</style>"""


class Dashboard(VBox):
    """Charts linked to an Explorer; most people make one with `attnwidget.dashboard`.

    Closing it, or the Explorer, closes everything in it.

    Parameters
    ----------
    view : Explorer
        What the charts follow, and what follows them.
    spans : str, sequence of Span or of (name, start, stop), or None
        Runs of tokens, as in `attnwidget.charts.span_mass`.

    Attributes
    ----------
    view : Explorer
    depth, scatter, similarity, span_mass : bqplot.Figure
        The charts, as the functions of `attnwidget.charts` return them.
    """

    def __init__(self, view: Any, *, spans: SpansLike = None) -> None:
        self.view = view_of(view)
        self.depth, self.scatter, self.similarity = depth(view), scatter(view), similarity(view)
        self.span_mass = span_mass(view, spans=spans)
        several = _buttons(self.scatter, "brushing", [("Click a head", False), ("Drag over several", True)])
        whose = _buttons(self.similarity, "layer", [("All heads", "all"), ("The layer shown", "shown")])
        self._told = HTML()  # for those who do not see the charts too
        charts = [
            VBox([_controls(_menu(self.depth, "measure", "Measure")), self.depth]),
            VBox(
                [_controls(_menu(self.scatter, "y", "Up"), _menu(self.scatter, "x", "Across"), several), self.scatter]
            ),
            VBox([_controls(whose), self.similarity]),
            VBox([self.span_mass]),
        ]
        for chart in charts:
            chart.layout.min_width, chart.layout.justify_content = "0", "space-between"
        if not self.span_mass.areas.visible:
            charts[-1].layout.display = "none"  # these tokens have no spans
        columns = Layout(grid_template_columns="repeat(auto-fit, minmax(min(100%, 420px), 1fr))", grid_gap="8px 20px")
        super().__init__([HTML(_STYLE, layout=Layout(display="none")), self._told, GridBox(charts, layout=columns)])
        self.add_class("attnwidget-dashboard")
        self._tell(None)
        self.view.observe(self._tell, FOLLOWED)
        self.view.observe(self._close_too, "comm")

    def _tell(self, _change: Any) -> None:
        """Say in words what the charts mark."""
        if self.view.map not in self.view.shown.maps:
            return  # amid other maps: their name follows
        chart = self.depth
        names = [short_name(chart.maps, *head) for head in chart.chosen_heads]
        told = f"{self.view.map}: made of several heads" if not names else ", ".join(names)
        if len(names) == 1:
            place = chart.chosen_heads[0]
            numbers = [(chart.named(name)[0], value[place]) for name, value in chart.numbers().items()]
            parts = [f"{label.lower()} {value:.3g}" for label, value in numbers if np.isfinite(value)][:MOST_TOLD]
            told = f"{names[0]}: {', '.join(parts)}"
        elif names:
            told = f"{len(names)} heads together: {told}"
        self._told.value = f'<div role="status">{html.escape(told)}</div>'

    def _close_too(self, change: Any) -> None:
        if change["new"] is None:
            self.close()

    def close(self) -> None:
        """Close every chart, and let go of the Explorer."""
        if self.comm is None:
            return
        self.view.unobserve(self._tell, FOLLOWED)
        self.view.unobserve(self._close_too, "comm")
        for chart in (self.depth, self.scatter, self.similarity, self.span_mass):
            chart.close()
        close_all(self)


def dashboard(view: Any, *, spans: SpansLike = None) -> Dashboard:
    """Charts of all heads beside an Explorer, each linked with it both ways.

    Measures along depth, one measure against another with a dot for every head, how far apart heads are, and where the
    layers look. A click shows a head in the Explorer, a drag over several their mean, and every chart marks what is
    chosen there.

    Parameters
    ----------
    view : Explorer
        As `attnwidget.explore` returns it.
    spans : str, sequence of Span or of (name, start, stop), or None
        Runs of tokens whose share of the attention is drawn, as in `attnwidget.charts.span_mass`.

    Returns
    -------
    Dashboard
        A box of widgets: shows itself as the last line of a cell, and goes into other boxes. It closes with the
        Explorer.

    Raises
    ------
    TypeError
        When what came is no Explorer.
    ValueError
        When it is closed.

    Examples
    --------
    >>> view = aw.explore("Lily and Ben went to the park .")
    >>> view
    >>> aw.dashboard(view)
    """
    return Dashboard(view, spans=spans)


def _controls(*widgets: Any) -> HBox:
    return HBox([*widgets], layout=Layout(flex_flow="row wrap"))


def _menu(chart: Chart, name: str, description: str) -> Dropdown:
    """A menu of what is measured, for a trait of a chart."""
    menu = Dropdown(
        options=chart.known,
        value=getattr(chart, name),
        description=description,
        style={"description_width": "auto"},
        layout=Layout(width="auto"),
    )

    def renew(_change: Any) -> None:
        chosen = getattr(chart, name)
        if [*menu.options] != chart.known:
            menu.unobserve(choose, "value")  # other options choose the first of them
            menu.options = chart.known
            menu.observe(choose, "value")
        menu.value = chosen

    def choose(change: Any) -> None:
        setattr(chart, name, change["new"])

    chart.observe(renew, ["known", name])
    menu.observe(choose, "value")
    return menu


def _buttons(chart: Chart, name: str, options: list[tuple[str, Any]]) -> ToggleButtons:
    """A choice between few values of a trait of a chart."""
    buttons = ToggleButtons(
        options=options,
        value=getattr(chart, name),
        style={"button_width": "auto"},
        layout=Layout(width="auto"),
    )
    link((chart, name), (buttons, "value"))
    return buttons
