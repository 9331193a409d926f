"""Explorer: the linked views of every layer and head."""

from __future__ import annotations

import difflib
import operator
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import traitlets as t

from attnwidget.arguments import refuse_unknown
from attnwidget.capturing import Capture
from attnwidget.diagnosis import Findings
from attnwidget.maps import AttentionMaps
from attnwidget.teaching.lesson import Lesson
from attnwidget.widget.answers import Answer, Shown, answer
from attnwidget.widget.answers.runs import named
from attnwidget.widget.applying import REPLACED, unapplied
from attnwidget.widget.asking import right_answer
from attnwidget.widget.holding import opening
from attnwidget.widget.kept import Keep
from attnwidget.widget.leaving import Leaving
from attnwidget.widget.module import front_end
from attnwidget.widget.newest import Newest
from attnwidget.widget.reference import has_place
from attnwidget.widget.rpc import reply
from attnwidget.widget.still import Still, still
from attnwidget.widget.strip import strip_of
from attnwidget.widget.subject import Subject
from attnwidget.widget.telling import as_text
from attnwidget.widget.views import VIEWS, refusal
from attnwidget.widget.weighing import Weighing

__all__ = ["Explorer", "are_maps", "check_choices"]

LOCKABLE = (
    *("map", "view", "measure", "sort", "temperature", "scaling", "against", "compared", "tokens"),
    *("color_map", "color_scale", "color_range", "threshold", "pooling"),
    *("heads", "reading", "joined", "spans", "span_kind", "flow_heads", "flow_threshold", "applied", "weighing", "all"),
)


class Explorer(Weighing, Leaving):
    """Linked views of the attention of one text; most people make one with `attnwidget.explore`.

    Every trait can be set before and after the widget is shown, observed and linked.

    Parameters
    ----------
    maps : AttentionMaps, Capture, or mapping of str to AttentionMaps
        What is shown; several maps of one run get a menu.
    title : str
        Shown above the views.
    measures : mapping of str to array [layers, heads], or None
        Numbers of your own for every head of the first maps, to badge and sort the grid by.
    attribution : Attribution, Relevance, mapping of one str to values [keys], or None
        What stands along the keys, and by its agreement with each head in the grid, as in `attnwidget.explore`.
    keep : {"picture", "page"} or None
        What the notebook keeps of the view, to be seen without a kernel: a picture and a table of numbers, or the page
        of `to_html` (up to 2 MB), or nothing. The live view hides it.
    lesson : Lesson or None
        A question that is answered by a click before its answer is shown, and controls that are locked.
    subject : Subject, str or None
        The model that `applied` runs again, with what it read, as `attnwidget.explore` knows it; a sentence says why
        there is none.
    **choices
        Initial values of the traits below.

    Attributes
    ----------
    map : str
        Name of the maps that are shown: "attention", "encoder", "cross" ..., or what is derived from them: "mean of
        heads", "largest of heads", "rollout", "flow", "mean of chosen heads".
    layer, head : int
        The head that is shown, from 0.
    selected : list of [int, int]
        Heads that are chosen together, as [layer, head]: while there are two or more, their mean is one of the maps,
        "mean of chosen heads". Choosing maps with other heads empties it.
    query, key : int or None
        The pinned row, and the pinned cell in it; a key alone is a pinned column.
    also : list of int
        Further queries that are pinned with it: what is shown of them is their joined row.
    joined : {"mean", "sum"}
        How the rows of several pinned queries are made one.
    heads : list of int
        Heads of the layer whose lines are drawn; empty for the chosen head alone.
    reading : {"row", "column"}
        Whether the text is shaded by what the pinned word looks at, or by what looks at it.
    temperature, scaling : float
        The head is shown as softmax(scores * scaling / temperature).
    view : {"heatmap", "lines", "text", "image", "spans", "grid", "rows", "layers", "flow", "neurons", "plane"}
        What the main area shows. "rows" is what every head gives from the pinned query; "layers" one head through all
        layers; "flow" the strongest paths from the pinned token back through them, for self-attention; "neurons" where
        one score comes from and "plane" queries and keys as points, for maps whose queries and keys are held; "image"
        is for maps whose tokens carry the patches of a picture, and what opens where the keys are such. Maps that
        cannot be seen so are shown as a heatmap.
    measure : str
        What the heads in the grid are badged with: "" for nothing, a name that `attnwidget.summarize` knows, or one
        of your own.
    sort : {"model", "highest", "lowest"}
        The order of the grid; other than the model's it needs a measure.
    color_map : {"ink", "viridis", "cividis", "magma", "greys"}
        Colours of the weights.
    color_scale : {"linear", "sqrt", "log"}
        How weights map to colours.
    color_range : {"row", "map", "shared"}
        Whether the colours end at each row's largest weight, at that of the map, or at 1 in every map.
    threshold : float
        Weights below it look like none; with "row" it is a share of each row's largest. In [0, 1].
    pooling : {"max", "mean"}
        What a point of a long map shows of the cells under it: the largest weight, or the mean of those that may be
        seen.
    words : bool
        Whether word pieces are shown as words; see `AttentionMaps.words`. No temperature acts on these.
    hide : list
        What is left out, the rest of each row rescaled: "special" and "sinks", as in `AttentionMaps.without`, and
        positions in the text of the chosen maps' keys as it was given, which are let go with another text.
    only : list
        What alone is shown, rescaled: names of spans, and such positions.
    spans : list of (str, int, int)
        Runs of tokens that you name, as ("question", 0, 12), half-open, by their places in the text as it came. They do
        not overlap.
    span_kind : str
        Which runs the view "spans" looks at: "own" for those that you named, or a kind of `attnwidget.find_spans`; ""
        for the first there is.
    parts : list of {"head", "grid", "map", "heads", "sharpness", "row", "findings"}
        What is shown, for boxes and slides: ``["map"]`` is the picture alone; empty for all.
    height : int or None
        Of the picture with its labels, in pixels, at least 120; None for what the room gives.
    flow_threshold : float
        Share of an edge below which the flow does not draw it, in [0, 1]; the browser has none below 0.002.
    flow_heads : {"mean", "each"}
        Whether the flow has one edge between two tokens, or one for each head.
    against : dict or None
        The head that the shown one is compared with, as ``{"map": "attention", "layer": 0, "head": 3}``, on the same
        tokens; `attnwidget.compare` names a run alone: the same place in that.
    compared : {"difference", "beside", "first", "second"}
        What is shown of two heads: what the chosen gives less what the other gives, both side by side, the one that
        it is compared with, or the chosen one.
    applied : bool
        Whether what is changed is done to the model, which is run again: beside the maps "as it is" there are those
        "changed", as in `attnwidget.compare`. For a view that `attnwidget.explore` made of a text and a model. The
        sliders then are those of the chosen head, and write to ``tempered``.
    off : list of [int, int]
        Heads that put out nothing in the model, as [layer, head].
    cuts : list of [int, int, [int, int], [int, int]]
        Cells that get no weight in the model, as [layer, head, [first query, end], [first key, end]], by their places
        in the text as it came.
    tempered : list of [int, int, float, float]
        Heads with a temperature and a scaling of their own in the model, as [layer, head, temperature, scaling].
    outcome : dict
        What came of it, read only: ``state`` "idle", "running", "done" or "error"; ``why`` it failed, or what it
        ``needs`` before anything can be applied; ``candidates`` for the next token, each [token, probability before,
        after]; ``kl`` of the two distributions and ``loss`` [before, after] of the text, in nats, None where the model
        has none; ``ms`` that it took.
    weighing : {"weight", "value", "effect"}
        What a cell says: the weight; the weight times the size of what the value of its key adds, as a share of the row
        (`attnwidget.effects.value_weighted`); or what it adds to the logit of a token at the query, with a sign
        (`attnwidget.effects.direct`), beside which the grid is badged with the effect of each head at the pinned query,
        or the last. Values need a view of ``capture(..., values=True)`` or of a text and a model, effects the latter.
    target, versus : str
        The token whose logit that is, and one to hold it against; empty for the likeliest, and for none.
    weighed : dict
        What came of it, read only: ``state`` "idle", "running", "done" or "error", ``why`` it failed, what each of
        these ``needs``; of an effect ``target``, ``versus``, ``position``, ``logit``, the likeliest ``candidates``,
        and the words that the chosen head has ``promoted``, more and less.
    theme : {"auto", "light", "dark"}
        "auto" follows the notebook.
    guesses : list of dict
        What was answered to the lesson's question, with the answer and the time; see `attnwidget.collect`.

    Raises
    ------
    TypeError
        When a choice is not known; the message lists the near misses.
    traitlets.TraitError
        When a choice has a value that does not exist.
    """

    _esm = front_end("explorer")

    facts = t.Dict(read_only=True).tag(sync=True, to_json=as_text)
    opening = t.Bytes(read_only=True).tag(sync=True)
    map = t.Unicode().tag(sync=True)
    view = t.Unicode("heatmap").tag(sync=True)
    measure = t.Unicode().tag(sync=True)
    sort = t.Enum(["model", "highest", "lowest"], "model").tag(sync=True)

    def __init__(
        self,
        maps: AttentionMaps | Capture | Mapping[str, AttentionMaps],
        *,
        title: str | None = "",
        measures: Mapping[str, Any] | None = None,
        attribution: Any = None,
        keep: Keep | None = "picture",
        lesson: Lesson | None = None,
        subject: Subject | str | None = None,
        **choices: Any,
    ) -> None:
        self._shown = Shown()  # a widget whose making failed half-way is closed too
        self._changing, self._newest, self._weigher = threading.RLock(), Newest(self._run), Newest(self._weigh)
        self._page: tuple[Any, bytes] | None = None
        check_choices(choices)
        heads = named(maps)
        self._strip = strip_of(attribution, heads)
        choices = unapplied(choices, next(iter(heads)))
        self._run_of(subject, heads)
        self._tell_weighing()
        self._take(heads, title, measures, self._see(heads, self._lens(heads, choices), choices.get("map")))
        choices.setdefault("map", next(iter(self._maps)))
        self._select(choices)
        self._known(choices["map"])
        choices.setdefault("layer", self._first_layer(choices["map"]))
        if "view" not in choices and choices["map"] in self._maps and self._maps[choices["map"]].key_tokens.images:
            choices["view"] = "image"  # who brings a picture wants to see it
        self._ask(lesson, {"head": 0, **choices})
        self.set_trait("opening", self._opening(choices))
        super().__init__(keep=keep, lesson=lesson, **choices)
        self.on_msg(self._answer)
        if self.applied:
            self._run_again(None)
        self._weigh_again(None)

    @property
    def maps(self) -> AttentionMaps:
        """The maps that are shown."""
        if not self._maps:
            raise ValueError("this Explorer is closed and has given its maps back; make a new one with explore().")
        return self._maps[self.map]

    def show(
        self,
        maps: AttentionMaps | Capture | Mapping[str, AttentionMaps],
        *,
        title: str | None = None,
        measures: Mapping[str, Any] | None = None,
        attribution: Any = None,
    ) -> None:
        """Show other maps in the same widget, as when a text grows token by token.

        What was chosen stays where it still exists: map, layer, head, pinned query and key, view, temperature. The
        browser keeps the last picture until a new one is there, and asks for the newest maps only, however often
        this is called.

        Parameters
        ----------
        maps : AttentionMaps, Capture, or mapping of str to AttentionMaps
            What is shown from now on.
        title : str or None
            Shown above the views; None keeps the one there is.
        measures : mapping of str to array [layers, heads], or None
            Numbers of your own for every head of the first maps; those given before are forgotten.
        attribution : Attribution, Relevance, mapping of one str to values [keys], or None
            What stands along their keys from now on.

        Raises
        ------
        TypeError
            When maps is something else.
        ValueError
            When the Explorer is closed, or measures or attribution do not fit the maps.

        Examples
        --------
        >>> view = aw.Explorer(maps[0])
        >>> for step in maps[1:]:
        ...     view.show(step)
        """
        if not self._maps:
            raise ValueError("this Explorer is closed and shows nothing any more; make a new one with explore().")
        with self.hold_sync():  # facts and choices reach the browser together
            heads = named(maps)
            strip = strip_of(attribution, heads)
            self._leave(REPLACED, heads)
            self._strip = strip
            lens, seen = self._fitting(heads)
            self._take(heads, self.facts["title"] if title is None else title, measures, seen)
            self._choose(lens)
            self._settle()

    def _settle(self) -> None:
        """What was chosen stays where it still exists."""
        self.set_trait("opening", b"")  # about other maps
        if self.map not in self._maps:
            self.map = next(iter(self._maps))
        self._keep_selection_inside(None)
        if refusal(self.view, list(self._maps.values())) is not None:
            self.view = "heatmap"
        if self.measure not in {"", *self._shown.measures}:
            self.measure = ""
        if not has_place(self.against, self._shown):
            self.against = None
        self._ask(self.lesson, self.state)

    def _ask(self, lesson: Lesson | None, choices: Mapping[str, Any]) -> None:
        """Tell the browser what is asked of these maps, and what is right."""
        if isinstance(lesson, Lesson):
            refuse_unknown(lesson.locked, LOCKABLE, "Explorer", "control")
            answer = right_answer(lesson, self._shown, choices)
            self.set_trait("facts", self.facts | {"lesson": lesson.told(answer=answer)})

    @property
    def shown(self) -> Shown:
        """All that questions can be about."""
        return self._shown

    @property
    def figure_kind(self) -> str:
        """The kind of figure that its view is on paper; see `attnwidget.figure`."""
        seen = VIEWS[self.view]
        shown = seen.shows(self.maps) and (seen.derived or self.map not in self._shown.derived)
        return seen.figure if shown else "head"

    @property
    def edition(self) -> tuple[int, dict[str, Any]]:
        """What is kept is made again when this is another."""
        return self._shown.version, self.state

    def stands(self) -> Still:
        """What it shows now: a picture, its numbers, and words."""
        return still(self)

    @property
    def closed(self) -> bool:
        """Whether it has given its maps back."""
        return not self._maps

    @property
    def findings(self) -> Findings:
        """What is unusual about the maps that are shown, or about the heads that they were derived from."""
        self.maps  # noqa: B018 - a closed view says so itself
        return self._shown.behind(self.map).findings()

    def close(self) -> None:
        """Close the widget and give its memory back."""
        super().close()
        with self._changing:
            self._newest.withdraw()
            self._weigher.withdraw()
            self._shown, self._page = Shown(self._shown.version), None
            self._given, self._seen, self._looked = {}, {}, None
            self._subject, self._before, self._as_it_is = None, None, {}
            self._effects = self._valued = None

    def __repr__(self) -> str:
        if not self._maps:
            return "<Explorer, closed: make a new one with attnwidget.explore()>"
        return f"<Explorer of {', '.join(repr(self._maps[name]) for name in self._shown.measuring)}>"

    def _opening(self, choices: Mapping[str, Any]) -> bytes:
        """Answers to what is asked first; nothing where a choice does not exist, which is said elsewhere."""
        with suppress(ValueError, TypeError, KeyError, IndexError):
            maps = self._shown.named(choices["map"])
            layer = operator.index(choices["layer"]) % maps.n_layers
            head = operator.index(choices.get("head", 0)) % max(1, maps.heads[layer])
            return opening(self._shown, self._place({**choices, "layer": layer, "head": head}))
        return b""

    def _answer(self, _widget: Any, content: Any, _buffers: Any) -> None:
        for message, buffers in reply(content, self._asked):
            self.send(message, buffers)

    def _asked(self, request: Mapping[str, Any]) -> Answer:
        """Answer what is asked of the maps, or of the view itself."""
        if request.get("op") == "keep":
            self._kept.renew()
            return Answer({})
        if request.get("op") == "page":
            for name in ("map", "layer", "head", "query"):  # a choice may come later than the question
                if name in request:
                    setattr(self, name, request[name])
            # A long answer is asked for again before it is there.
            if self._page is None or self._page[0] != self.edition:
                self._page = self.edition, self.to_html(progress=False).encode()
            return Answer({}, [self._page[1]])
        return answer(self._shown, request)

    @t.validate("measure")
    def _valid_measure(self, proposal: Any) -> str:
        name = str(proposal["value"])
        known = self._shown.measures
        if name and self._maps and name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(known))}."
            raise t.TraitError(f"measure={name!r} does not exist; {hint}")
        return name

    @t.validate("view")
    def _valid_view(self, proposal: Any) -> str:
        view = str(proposal["value"])
        why = refusal(view, list(self._maps.values()))
        if why is not None and (self._maps or view not in VIEWS):
            raise t.TraitError(why)
        return view

    @t.validate("map")
    def _valid_map(self, proposal: Any) -> str:
        return self._known(proposal["value"])

    def _known(self, name: Any) -> str:
        """The name of maps that there are."""
        if self._maps and name not in self._maps:
            raise t.TraitError(f"map={name!r} does not exist; there are {', '.join(self._maps)}.")
        return str(name)

    def _first_layer(self, name: Any) -> int:
        """The layer that maps open at: of a rollout the last, up to which all are rolled."""
        kind, _ = self._shown.derived.get(name, ("", ""))
        return self._shown.maps[name].n_layers - 1 if kind == "rollout" else 0

    @t.observe("map")
    def _open_at_its_layer(self, _change: Any) -> None:
        if self._own_layout is not None and self._maps and self._first_layer(self.map):
            self.layer = self._first_layer(self.map)


def check_choices(choices: Mapping[str, Any]) -> None:
    """Refuse a trait that the Explorer does not have."""
    refuse_unknown(choices, Explorer.choices(), "Explorer", "choice")


def are_maps(what: Any) -> bool:
    """Whether this is a mapping of names to maps."""
    return isinstance(what, Mapping) and bool(what) and all(isinstance(m, AttentionMaps) for m in what.values())
