"""Timeline: every head over the steps of a training: its map at a step, and its numbers at all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets as t

from attnwidget.arguments import refuse_unknown
from attnwidget.maps import AttentionMaps
from attnwidget.measures.table import HEAD_MEASURES
from attnwidget.training.history import History
from attnwidget.widget.answers import Answer
from attnwidget.widget.facts import describe
from attnwidget.widget.kept import Keep
from attnwidget.widget.module import front_end
from attnwidget.widget.numbers import Index
from attnwidget.widget.rpc import reply
from attnwidget.widget.telling import as_text
from attnwidget.widget.timeline.answers import answer, any_maps, kept_maps
from attnwidget.widget.timeline.track import Event, Track, track_of
from attnwidget.widget.view import View

if TYPE_CHECKING:
    from attnwidget.widget.explorer import Explorer
    from attnwidget.widget.timeline.placing import Placed
    from attnwidget.widget.timeline.still import Still

__all__ = ["Timeline"]

MOST_RUNS = 4
PREFERRED = ("induction", "entropy")  # the first of them that is there is shown first
_TOLD = (
    "name", "heads", "layer_names", "layer_numbers", "head_numbers", "n_queries", "n_keys", "queries", "keys", "causal",
    "following",
)  # fmt: skip


class Timeline(View):
    """Attention over the steps of a training, or over any ordered list of captures of one shape.

    The map of the chosen head at the chosen step, with a scrubber; the curve of a measure of every head beneath, and
    what happened on the way. While a training writes, it follows: in the same kernel, or from the file of another
    process.

    Parameters
    ----------
    what : History, AttentionMonitor, str or Path, list of captures, or mapping of str to any of these
        A run: what a monitor has read, in memory or in its file, or captures in an order (checkpoints, epochs,
        generated tokens). A mapping names up to 4 runs on the same probe, which are laid over each other.
    steps : sequence of int or of str, or None
        Of a list of captures, the step of each, rising, or what each is called; None counts from 0.
    events : mapping of int to str, or None
        What else happened, by its step, which need not have been read: "learning rate halved". Steps that are called
        something go by that.
    title : str or None
        Shown above the views.
    keep : {"picture", "page"} or None
        What the notebook keeps of it, to be seen without a kernel.
    progress : bool
        Whether to show a progress bar while captures are measured.
    **choices : Any
        Traits to begin with.

    Attributes
    ----------
    map : str
        Which maps: "attention", "encoder", "cross".
    layer, head : int
        The chosen head.
    measure : str
        Whose curves are drawn.
    step : int or None
        The chosen step; one that was not read becomes the nearest that was. None follows the newest.
    readings : int
        How many readings of all runs have come; observe it to follow a training.
    theme : {"auto", "light", "dark"}
        "auto" follows the notebook.

    Raises
    ------
    TypeError
        When what came is nothing of this.
    ValueError
        When captures or runs differ in shape, or there is none.
    FileNotFoundError
        When there is no such file.
    traitlets.TraitError
        When a choice does not exist.

    Examples
    --------
    >>> aw.Timeline(monitor)
    >>> aw.Timeline({"warm-up": "a/attention.jsonl", "none": "b/attention.jsonl"}, measure="entropy")
    >>> aw.Timeline([aw.capture(model, text, tokenizer) for model in checkpoints], steps=[0, 1000, 2000])
    """

    _esm = front_end("timeline")

    facts = t.Dict(read_only=True).tag(sync=True, to_json=as_text)
    map = t.Unicode().tag(sync=True)
    layer = Index(0).tag(sync=True)
    head = Index(0).tag(sync=True)
    measure = t.Unicode().tag(sync=True)
    step = Index(None, allow_none=True).tag(sync=True)
    readings = t.Int(0, read_only=True)

    def __init__(
        self,
        what: Any,
        *,
        steps: Sequence[Any] | None = None,
        events: Mapping[int, str] | None = None,
        title: str | None = None,
        keep: Keep | None = "picture",
        progress: bool = True,
        **choices: Any,
    ) -> None:
        refuse_unknown(choices, self.choices(), "Timeline")
        runs = dict(what) if isinstance(what, Mapping) else {"": what}
        if not 1 <= len(runs) <= MOST_RUNS:
            raise ValueError(f"{len(runs)} runs came; a Timeline lays 1 to {MOST_RUNS} over each other.")
        if steps is not None and len(runs) > 1:
            raise TypeError("steps= came with several runs; give it with one list of captures.")
        self.runs: dict[str, Track] = {str(name): track_of(run, steps, progress=progress) for name, run in runs.items()}
        self._own = _events(events, self.runs)
        self._title = title or ""
        self._check_alike()
        self._tell(0)
        self.set_trait("readings", self._count())
        super().__init__(keep=keep, **self._opening(choices))
        self.on_msg(self._answer)

    def _opening(self, choices: Mapping[str, Any]) -> dict[str, Any]:
        """What is chosen where nobody chose: the head in which most happened."""
        chosen = dict(choices)
        heads, measures = self._heads, self._measures
        if heads:
            chosen.setdefault("map", next(iter(heads)))
        if measures:
            likely = [name for name in PREFERRED if name in measures]
            chosen.setdefault("measure", next(iter([*self._varying(chosen, likely), *likely, *measures])))
        if "layer" not in chosen and "head" not in chosen and chosen.get("map") in heads:
            chosen["layer"], chosen["head"] = self._liveliest(chosen["map"], chosen.get("measure", ""))
        return chosen

    def _varying(self, chosen: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        """Those of some measures that have numbers."""
        track = self._first
        if track is None or chosen.get("map") not in track.heads():
            return []
        return [one for one in names if np.isfinite(track.numbers(chosen["map"], one, 0)).any()]

    def _liveliest(self, name: str, measure: str) -> tuple[int, int]:
        track = self._first
        if track is None or measure not in track.measures():
            return 0, 0
        values = track.numbers(name, measure, 0)
        there = np.isfinite(values)
        # Below 0 where a head has no number at all.
        moved = np.where(there, values, -np.inf).max(0) - np.where(there, values, np.inf).min(0)
        layer, head = np.unravel_index(int(moved.argmax()), moved.shape)
        return int(layer), int(head)

    def _check_alike(self) -> None:
        for name in self._heads:
            self._check_tokens(name)
        known = {name: track.heads() for name, track in self.runs.items() if len(track.steps)}
        if len({str(sorted(heads.items())) for heads in known.values()}) > 1:
            shapes = "; ".join(
                f"{name!r}: {', '.join(f'{one} {layers} x {heads}' for one, (layers, heads) in of.items())}"
                for name, of in known.items()
            )
            raise ValueError(f"runs of different models cannot be laid over each other (layers x heads): {shapes}.")

    def _check_tokens(self, name: str) -> None:
        """Refuse runs on different probes, as far as their maps tell."""
        texts = {}
        for run, track in self.runs.items():
            maps = any_maps(track, name)
            if maps is not None:
                texts[run] = (tuple(maps.tokens.labels), tuple(maps.key_tokens.labels))
        if len(set(texts.values())) > 1:
            said = "; ".join(f"{run!r}: {' '.join(queries)[:60]}" for run, (queries, _) in texts.items())
            raise ValueError(f"runs on different probes cannot be laid over each other: {said}.")

    @property
    def _first(self) -> Track | None:
        """The first run that has anything yet."""
        return next((track for track in self.runs.values() if len(track.steps)), None)

    @property
    def _heads(self) -> dict[str, tuple[int, int]]:
        return self._first.heads() if self._first else {}

    @property
    def _measures(self) -> list[str]:
        return list(dict.fromkeys(name for track in self.runs.values() for name in track.measures()))

    def _tell(self, version: int) -> None:
        """Say what there is to choose from."""
        maps = []
        for name, (layers, heads) in self._heads.items():
            kept = self._a_map(name)
            told: dict[str, Any] = {"name": name, "layers": layers, "most": heads}
            if kept is not None:
                whole = describe(name, kept)
                told |= {key: whole[key] for key in _TOLD if key in whole}
            numbers = list(self._first.layer_numbers(name)) if self._first else []
            if numbers != list(range(layers)):
                told["layer_numbers"] = numbers
            maps.append(told)
        measures = [
            {"name": name, "label": known.label, "unit": known.unit, "about": known.about}
            if (known := HEAD_MEASURES.get(name))
            else {"name": name, "label": name[:1].upper() + name[1:], "unit": "", "about": "Given with the run."}
            for name in self._measures
        ]
        title = self._title.encode(errors="replace").decode()
        told = {"title": title, "version": version, "runs": list(self.runs), "maps": maps, "measures": measures}
        growing = any(track.growing for track in self.runs.values())
        own = [[step, text.encode(errors="replace").decode()] for step, text in self._own.items()]
        self.set_trait("facts", told | {"growing": growing, "own": own})

    def _a_map(self, name: str) -> AttentionMaps | None:
        """Maps of any run, for their tokens."""
        found = (any_maps(track, name) for track in self.runs.values())
        return next((maps for maps in found if maps is not None), None)

    def _answer(self, _widget: Any, content: Any, _buffers: Any) -> None:
        for message, buffers in reply(content, self.asked):
            self.send(message, buffers)

    def asked(self, request: Mapping[str, Any]) -> Answer:
        """The answer to a question of the browser."""
        if request.get("op") == "keep":
            self._kept.renew()
            return Answer({})
        found = answer([*self.runs.values()], request)
        if request.get("op") == "readings":
            self._notice()
        return found

    def refresh(self) -> None:
        """Take what has come since: the browser asks for it, and whatever leaves does too."""
        for track in self.runs.values():
            track.refresh()
        self._notice()

    def _notice(self) -> None:
        """Tell more where a run has begun, or its first maps have come, since it was told."""
        self.set_trait("readings", self._count())
        told = {one["name"]: "queries" in one for one in self.facts["maps"]}
        news = self._heads.keys() - told.keys()
        drawn = [name for name, known in told.items() if not known and self._a_map(name) is not None]
        if not (news or drawn or len(self._measures) != len(self.facts["measures"])):
            return
        self._check_alike()
        with self.hold_sync():
            self._tell(self.facts["version"] + 1)
            if not self.map:
                for name, value in self._opening({}).items():
                    setattr(self, name, value)

    def _count(self) -> int:
        return sum(len(track.steps) for track in self.runs.values())

    def _track(self, run: int) -> Track:
        return [*self.runs.values()][run]

    def place(self, run: str | None = None) -> int:
        """Which reading of a run is the chosen one: the last at or before the chosen step, or its first.

        Parameters
        ----------
        run : str or None
            Its name; None for the first.

        Raises
        ------
        ValueError
            When nothing has been read yet.
        """
        track = self._track(0) if run is None else self.runs[run]
        if not len(track.steps):
            raise ValueError("nothing has been read yet; train on, and ask again.")
        if self.step is None:
            return len(track.steps) - 1
        return max(0, int(np.searchsorted(np.asarray(track.steps), self.step, side="right")) - 1)

    def maps_of(self, run: str | None = None) -> AttentionMaps:
        """The chosen maps of a run at the chosen step, or at the last before it whose maps were kept.

        Raises
        ------
        ValueError
            When none were.
        """
        self.refresh()
        track = self._track(0) if run is None else self.runs[run]
        kept = track.kept()
        for place in range(self.place(run), -1, -1):
            if kept[place] and (maps := kept_maps(track, place, self.map)) is not None:
                return maps
        raise ValueError("the maps of this run were not kept; an AttentionMonitor keeps them with maps=.")

    def explore(self, **choices: Any) -> Explorer:
        """The maps of the chosen step in an Explorer, with the same head chosen.

        Parameters
        ----------
        **choices
            As in `attnwidget.explore`.
        """
        from attnwidget.widget.exploring import explore

        maps = self.maps_of()
        return explore(maps, **({"layer": self.layer, "head": self.head, "theme": self.theme} | choices))

    def events(self, run: str | None = None) -> list[Event]:
        """What happened in a run, in order."""
        track = self._track(0) if run is None else self.runs[run]
        steps = np.asarray(track.steps)
        own = [Event(int(np.abs(steps - step).argmin()), "own", text) for step, text in self._own.items() if len(steps)]
        return sorted([*track.events(0), *own], key=lambda one: one.place)

    @property
    def layer_number(self) -> int:
        """The number of the chosen layer in the model."""
        numbers = self._first.layer_numbers(self.map) if self._first else []
        return int(numbers[self.layer]) if self.layer < len(numbers) else self.layer

    @property
    def edition(self) -> Any:
        """What is kept is made again when this is another."""
        return self.state, [len(track.steps) for track in self.runs.values()]

    def stands(self) -> Still:
        """What it shows now: a picture, its numbers, and words."""
        from attnwidget.widget.timeline.still import Still

        self.refresh()
        return Still(self)

    def placed(self, precision: str | None) -> Placed:
        """Its place in a page."""
        from attnwidget.widget.timeline.placing import Placed

        self.check_open()
        self.refresh()
        return Placed(self, precision)

    def to_html(self, **options: Any) -> str:
        """The timeline as one page that needs no kernel and no network, in HTML.

        Parameters
        ----------
        **options
            ``limit_mb`` and ``progress`` of `attnwidget.page`.
        """
        from attnwidget.widget.page import page

        return page(self, **options).html

    def save(self, path: str | Path, **options: Any) -> Path:
        """Write it to a file: a page (".html"), a picture (".png", ".svg", ".pdf"), or all its numbers (".csv").

        Parameters
        ----------
        path : str or Path
            Its ending says what.
        **options
            Of a page ``limit_mb`` and ``progress``, of a picture ``dpi``.

        Raises
        ------
        ValueError
            When the ending is another.
        OSError
            When there is no such folder, or it cannot be written to.
        """
        from attnwidget.widget.timeline.saving import save

        self.refresh()
        return save(self, path, options)

    def __repr__(self) -> str:
        counts = [
            f"{name!r} {len(track.steps)}" if name else f"{len(track.steps)}" for name, track in self.runs.items()
        ]
        return f"<Timeline of {', '.join(counts)} readings>"

    @t.validate("map")
    def _valid_map(self, proposal: Any) -> str:
        name = str(proposal["value"])
        if self._heads and name not in self._heads:
            raise t.TraitError(f"map={name!r} does not exist; there are {', '.join(self._heads)}.")
        return name

    @t.validate("measure")
    def _valid_measure(self, proposal: Any) -> str:
        name = str(proposal["value"])
        if self._measures and name not in self._measures:
            raise t.TraitError(f"measure={name!r} was not measured; there are {', '.join(self._measures)}.")
        return name

    @t.validate("layer", "head")
    def _valid_place(self, proposal: Any) -> int:
        value, trait = int(proposal["value"]), proposal["trait"].name
        shape = self._heads.get(self.map) or next(iter(self._heads.values()), None)
        if shape is None:
            return value
        most = self._most_heads(self.layer, shape) if trait == "head" else shape[0]
        if not -most <= value < most:
            raise t.TraitError(f"{trait}={value} does not exist; it goes from 0 to {most - 1}.")
        return value % most

    def _most_heads(self, layer: int, shape: tuple[int, int]) -> int:
        """Heads of a layer, as far as that is known."""
        told: dict[str, Any] = next((one for one in self.facts["maps"] if one["name"] == self.map), {})
        heads = told.get("heads", [])
        return int(heads[layer]) if layer < len(heads) else shape[1]

    @t.observe("layer", "map")
    def _keep_head_inside(self, _change: Any) -> None:
        shape = self._heads.get(self.map)
        if shape is not None:
            self.layer = min(self.layer, shape[0] - 1)
            self.head = min(self.head, self._most_heads(self.layer, shape) - 1)

    @t.validate("step")
    def _valid_step(self, proposal: Any) -> int | None:
        value: int | None = proposal["value"]
        steps = sorted({step for track in self.runs.values() for step in track.steps})
        if value is None or not steps:
            return value
        return min(steps, key=lambda step: abs(step - value))

    def close(self) -> None:
        """Close the widget and let go of its runs."""
        super().close()
        with suppress(AttributeError):  # ipywidgets closes what was made half-way too
            self.runs = {name: track_of(History(), None, progress=False) for name in self.runs}


def _events(given: Any, runs: Mapping[str, Track]) -> dict[int, str]:
    """What happened by its step, where steps may be called something.

    Raises
    ------
    TypeError
        When it is no mapping of steps to words.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"events is {type(given).__name__}; expected a mapping of steps to words, as {{1000: 'warm'}}.")
    labels = next((track.labels for track in runs.values() if track.labels is not None), None) or []
    found = {}
    for step, text in given.items():
        if isinstance(step, str) and step in labels:
            found[list(labels).index(step)] = str(text)
        elif hasattr(step, "__index__") and not isinstance(step, bool):
            found[int(step)] = str(text)
        else:
            raise TypeError(f"events names {step!r}; expected the number of a step, or what a step is called.")
    return found
