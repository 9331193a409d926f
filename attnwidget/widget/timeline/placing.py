"""Placing: a Timeline's place in a page."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any

from attnwidget.progress import progress_bar
from attnwidget.widget.packing import Packer
from attnwidget.widget.page import place, stood
from attnwidget.widget.timeline.answers import MOST, answer

__all__ = ["Placed"]


class Placed:
    """A picture for those who run no scripts, what is chosen, and the answers.

    Parameters
    ----------
    view : Timeline
        What is shown, as it stands.
    precision : None
        There are no queries and keys in it.

    Raises
    ------
    ValueError
        When a precision was asked for.
    """

    def __init__(self, view: Any, precision: str | None) -> None:
        if precision is not None:
            raise ValueError(f"precision={precision!r} came with a Timeline, whose page holds weights; leave it out.")
        self.view, self.title, self.widgets, self.answers = view, view.facts["title"], ("timeline",), ""
        self._tracks = [*view.runs.values()]
        self._stood = stood(view, view.facts | {"growing": False})

    def fill(self, limit: int, layers: Sequence[int] | None, *, progress: bool) -> None:
        """Put in the answers, at most so many bytes before they are written as text.

        All curves first; then the frames of the chosen head, and of the others from the nearest on, while they fit.
        """
        packer = Packer(self.view.facts["version"], limit)
        for run in range(len(self._tracks)):
            self._put(packer, {"op": "readings", "run": run, "after": 0})
            for told in self.view.facts["maps"]:
                for measure in self._tracks[run].measures():
                    self._put(packer, {"op": "curves", "run": run, "map": told["name"], "measure": measure, "after": 0})
        heads = [one for one in self._heads() if layers is None or one[1] in layers]
        missing = 0
        with progress_bar("page", len(heads), shown=progress) as bar:
            for name, layer, head in heads:
                missing += not all(self._put_frames(packer, run, name, layer, head) for run in range(len(self._tracks)))
                bar.update()
        there = len(heads) - missing
        said = (
            f"This page holds the maps of {there} of {len(heads)} heads and the curves of all; save it with a larger "
            "limit_mb, or from a kernel with another head chosen."
        )
        self.answers = base64.b64encode(packer.finished(said if missing else "")).decode()

    @property
    def body(self) -> str:
        """All of it, in HTML."""
        return place("timeline", self._stood, self.answers)

    def _put(self, packer: Packer, question: dict[str, Any]) -> bool:
        return packer.add(question, self.view.asked(question))

    def _put_frames(self, packer: Packer, run: int, name: str, layer: int, head: int) -> bool:
        """All frames of a head in one answer, however many."""
        kept = [at for at, there in enumerate(self._tracks[run].kept()) if there]
        question = {"op": "frames", "run": run, "map": name, "layer": layer, "head": head}
        parts = [
            answer(self._tracks, question | {"at": kept[start : start + MOST]}) for start in range(0, len(kept), MOST)
        ]
        if not parts:
            return True
        headers = [one for part in parts for one in part.header["frames"]]
        whole = type(parts[0])({"frames": headers}, [one for part in parts for one in part.buffers])
        return packer.add(question, whole)

    def _heads(self) -> Iterator[tuple[str, int, int]]:
        """Every head, the chosen one first, then those of its layer, then those of the nearest layers."""
        view = self.view
        maps = sorted(view.facts["maps"], key=lambda told: told["name"] != view.map)
        for told in maps:
            if "heads" not in told:
                continue
            for layer in sorted(range(told["layers"]), key=lambda one: abs(one - view.layer)):
                order = sorted(range(told["heads"][layer]), key=lambda one: (layer, one) != (view.layer, view.head))
                for head in order:
                    yield told["name"], layer, head
