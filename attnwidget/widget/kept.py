"""Kept: what an output shows without a kernel. An output of its own, beside the widget, which hides it while it lives.

JupyterLab prefers the widget's form whatever else a bundle holds, and deletes stored widget state at the next save: so
neither is a place to keep anything. An HTML output with a picture and a table is drawn everywhere.
"""

from __future__ import annotations

import html
from typing import Any, Literal

from attnwidget.widget.still import Still, still

__all__ = ["KEEPS", "Keep", "Kept"]

Keep = Literal["picture", "page"]
KEEPS = ("picture", "page", None)
PAGE_MB = 2.0
FRAME_HEIGHT = 700

# Hidden at first, so that nothing flashes by in a live run; shown when no live view has come, with the reason.
_SCRIPT = """
(() => {
  const id = "%s";
  const kept = () => document.querySelectorAll(`[data-attnwidget-kept="${id}"]`);
  const live = () => document.querySelector(`[data-attnwidget][data-kept="${id}"]:not([data-state="loading"])`);
  const all = (show) => kept().forEach((one) => { one.style.display = show ? "" : "none"; });
  const neighbour = (one) => one.closest(".jp-OutputArea-child")?.nextElementSibling;
  const forbidden = () => {
    const url = URL.createObjectURL(new Blob(["export {}"], { type: "text/javascript" }));
    return import(url).then(() => false, () => true).finally(() => URL.revokeObjectURL(url));
  };
  const why = async (beside) => {
    if (/No version of module anywidget|Click to show javascript error/.test(beside?.textContent ?? ""))
      return "The live view needs the anywidget extension beside this notebook's server: pip install anywidget there.";
    if (await forbidden()) return "This page forbids modules from blob: addresses, without which no widget runs.";
    return "";
  };
  if (live()) return;
  all(false);
  setTimeout(() => {
    all(true);
    if (live()) return;
    kept().forEach(async (one) => {
      const beside = neighbour(one);
      if (!beside?.querySelector(".jp-OutputArea-output")) return;
      one.querySelector("[data-part=why]").textContent = await why(beside);
      if (!live() && !beside.querySelector("[data-attnwidget]")) beside.style.display = "none";
    });
  }, 3000);
  addEventListener("beforeprint", () => { if (!live()) all(true); });
})();
"""


class Kept:
    """The kept output of one view, wherever it is displayed.

    Parameters
    ----------
    view : Explorer
        What it shows.
    identity : str
        Tells its outputs from those of other views.
    form : {"picture", "page"} or None
        What it shows; None for nothing.
    """

    def __init__(self, view: Any, identity: str, form: Keep | None) -> None:
        self._view, self.identity, self.form = view, identity, form
        self._shown = False
        self._state: Any = None

    def display(self) -> None:
        """Show it here: words and numbers at once, the picture when the cell has run."""
        from IPython.display import display

        self._shown, self._state = True, None
        display(self._bundle(still(self._view), pictured=False), raw=True, display_id=self.identity)  # type: ignore[no-untyped-call]
        self._after_the_cell()

    def renew(self) -> None:
        """Let all its outputs show what is chosen now, if that is something else."""
        from IPython.display import update_display

        state = (self._view.shown.version, self._view.state)
        if not self._shown or state == self._state:
            return
        update_display(self._bundle(still(self._view), pictured=True), raw=True, display_id=self.identity)  # type: ignore[no-untyped-call]
        self._state = state

    def _after_the_cell(self) -> None:
        """A picture takes a moment, which must not be the one in which the widget is waited for."""
        from IPython.core.getipython import get_ipython

        shell = get_ipython()
        if shell is None:
            return

        def renew(*_: Any) -> None:
            shell.events.unregister("post_run_cell", renew)
            if self._view.shown.maps:
                self.renew()

        shell.events.register("post_run_cell", renew)

    def _bundle(self, shown: Still, *, pictured: bool) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": shown.text, "text/html": self._html(shown, pictured=pictured)}
        if pictured and shown.png:
            bundle["image/png"] = shown.png_text
        return bundle

    def _html(self, shown: Still, *, pictured: bool) -> str:
        frame = self._frame() if pictured and self.form == "page" else ""
        body = frame or (shown.html if pictured else shown.words)
        return (
            f'<div data-attnwidget-kept="{self.identity}">{body}<p data-part="why"></p>'
            f"<script>{_SCRIPT % self.identity}</script></div>"
        )

    def _frame(self) -> str:
        """The view as a page, in a frame that can reach nothing."""
        document = html.escape(self._view.to_html(limit_mb=PAGE_MB, progress=False), quote=True)
        return (
            f'<iframe sandbox="allow-scripts allow-downloads" srcdoc="{document}" title="attention" '
            f'style="width:100%;height:{FRAME_HEIGHT}px;border:0"></iframe>'
        )
