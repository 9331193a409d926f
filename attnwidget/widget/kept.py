"""Kept: what an output shows without a kernel. An output of its own, beside the widget, which hides it while it lives.

JupyterLab prefers the widget's form whatever else a bundle holds, and deletes stored widget state at the next save: so
neither is a place to keep anything. An HTML output with a picture and a table is drawn everywhere.
"""

from __future__ import annotations

import base64
from typing import Any, Literal, Protocol

__all__ = ["KEEPS", "Keep", "Kept", "Stands"]

Keep = Literal["picture", "page"]
KEEPS = ("picture", "page", None)
PAGE_MB = 2.0
_TOO_LARGE = (
    f"A page takes more than the {PAGE_MB:g} MB that are kept: this is a picture; view.save('page.html') writes it. "
)
_ADVICE = "Kept from the live view, which needs a kernel: run this cell."

WAIT = 3_000  # ms that a live view may take

# In a live run hidden until a live view would have come, so that nothing flashes by; in a file seen at once. In
# JupyterLab a widget that cannot be drawn is a line of text or a broken sign: hidden, and seen should it come to life.
_SCRIPT = """
(() => {
  const id = "%(id)s";
  const named = `[data-attnwidget-kept="${id}"]`;
  const live = document.querySelector(`[data-attnwidget][data-kept="${id}"]:not([data-state="loading"])`);
  const due = (globalThis[Symbol.for("attnwidget/kept")] ??= {});
  due[id] ??= performance.now() + %(wait)d;
  const wait = live ? 0 : due[id] - performance.now();
  const child = ".jp-OutputArea-child";
  const beside = `${child}:has(${named}) + ${child} > .jp-OutputArea-output.lm-Panel`;
  const broken = `${beside}:has(.jupyter-widgets-error-widget)`;
  const rules = `${beside}:not(:has(*)), ${broken}, ${named} > iframe + [data-part=still] { display: none; }`;
  const forbidden = () => {
    const url = URL.createObjectURL(new Blob(["export {}"], { type: "text/javascript" }));
    return import(url).then(() => false, () => true).finally(() => URL.revokeObjectURL(url));
  };
  for (const kept of document.querySelectorAll(named)) {
    if (kept.querySelector("style")) continue;
    const sheet = document.createElement("style");
    sheet.textContent = rules;
    kept.append(sheet);
    if (wait > 0) {
      sheet.textContent += `@media screen { ${named} { display: none; } }`;
      setTimeout(() => { sheet.textContent = rules; }, wait);
    }
    const area = kept.closest(".jp-OutputArea");
    const watch = new MutationObserver(explain);
    const say = (why) => { kept.querySelector("[data-part=why]").textContent = `There is no live view${why}`; };
    function explain() {
      if (!kept.isConnected) watch.disconnect();
      if (!kept.isConnected || !area.querySelector(broken)) return;
      watch.disconnect();
      say(", most likely for want of the anywidget extension beside this notebook's server: " +
        "pip install anywidget there, and reload the page.");
    }
    // A forbidden module leaves a broken sign or nothing, as anywidget happens to take its turns: so it is asked here.
    if (area) forbidden().then((is) => {
      if (is) return say(": this page forbids modules from blob: addresses.");
      watch.observe(area, { childList: true, subtree: true });
      explain();
    });
  }
})();
"""


class Stands(Protocol):
    """A view as it stood, for where no script runs and no widget is drawn."""

    @property
    def text(self) -> str:
        """Words and numbers as plain text."""

    @property
    def png(self) -> bytes:
        """A picture; empty where there is none."""

    def markup(self, *, pictured: bool = True, folded: str = "") -> str:
        """The same as markup that needs neither script nor style; what is folded comes where nobody looks."""


class Kept:
    """The kept output of one view, wherever it is displayed.

    Parameters
    ----------
    view : View
        What it shows.
    identity : str
        Tells its outputs from those of other views.
    form : {"picture", "page"} or None
        What it shows; None for nothing.
    """

    def __init__(self, view: Any, identity: str, form: Keep | None) -> None:
        self._view, self.identity, self.form = view, identity, form
        self._shown = False
        self._edition: Any = None

    def display(self) -> None:
        """Show words and numbers here; the picture takes a moment, and comes with `renew`."""
        from IPython.display import display

        self._shown, self._edition = True, None
        display(self._bundle(self._view.stands(), pictured=False), raw=True, display_id=self.identity)  # type: ignore[no-untyped-call]

    def renew(self) -> None:
        """Let all its outputs show what is chosen now, if that is something else."""
        from IPython.display import update_display

        edition = self._view.edition
        if not self._shown or edition == self._edition:
            return
        update_display(self._bundle(self._view.stands(), pictured=True), raw=True, display_id=self.identity)  # type: ignore[no-untyped-call]
        self._edition = edition

    def _bundle(self, shown: Stands, *, pictured: bool) -> dict[str, Any]:
        bundle: dict[str, Any] = {"text/plain": shown.text, "text/html": self._html(shown, pictured=pictured)}
        if pictured and shown.png:
            bundle["image/png"] = base64.b64encode(shown.png).decode()
        return bundle

    def _html(self, shown: Stands, *, pictured: bool) -> str:
        from attnwidget.widget.page import page

        script = _SCRIPT % {"id": self.identity, "wait": 0 if pictured else WAIT}
        # Hosts that forbid scripts may write them out: in the fold that is not seen.
        words = shown.markup(pictured=pictured, folded=f"<script>{script}</script>")
        frame, advice = "", _ADVICE
        if pictured and self.form == "page":
            try:
                frame = page(self._view, limit_mb=PAGE_MB, progress=False)._repr_html_()
            except ValueError:  # the chosen head alone is too large
                advice = _TOO_LARGE + _ADVICE
        return (
            f'<div data-attnwidget-kept="{self.identity}">{frame}<div data-part="still">{words}</div>'
            f'<p><small data-part="why">{advice}</small></p></div>'
        )
