"""Surveyed: an Explorer of a survey, whose grid says what was found and in which a head opens its texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import traitlets as t

from attnwidget.capturing import capture
from attnwidget.capturing.inputs import load_model
from attnwidget.maps import AttentionMaps
from attnwidget.surveying.result import Example, Survey
from attnwidget.widget.explorer import Explorer
from attnwidget.widget.newest import Newest
from attnwidget.widget.telling import as_text

__all__ = ["SurveyExplorer", "explore_survey"]

KEYS = ("sink", "sink_key")  # numbers that a key speaks for, and no query


class SurveyExplorer(Explorer):
    """An Explorer of the texts of a survey; `attnwidget.Survey.explore` makes it.

    Parameters
    ----------
    survey : Survey
        What was found.
    texts : Texts
        Reads a text when it is chosen.
    statistic : str or float
        What of each measure badges the grid, as in `attnwidget.Survey.arrays`.
    first : Example
        The text that it opens with.
    **choices
        Traits of `Explorer`.

    Attributes
    ----------
    example : int or None
        The row of the data whose text is shown, of those that are listed.
    surveyed : dict
        What is listed, read only: the texts of the chosen head with the ``largest`` and the ``smallest`` numbers of the
        ``measure`` that badges the grid, each [number, text, place, value]; ``state`` "idle", "running" or "error", and
        ``why`` a text cannot be shown.
    """

    example = t.Int(None, allow_none=True).tag(sync=True, record=True)
    surveyed = t.Dict(read_only=True).tag(sync=True, to_json=as_text)

    def __init__(self, survey: Survey, texts: Texts, statistic: str | float, first: Example, **choices: Any) -> None:
        self._survey, self._texts, self._reads = survey, texts, Newest(self._open)
        self._badges = badges_of(survey, statistic)
        found = survey.arrays(statistic)
        self._numbers = {badge: found[name].values for badge, name in self._badges.items()}
        self._listed = self._badges.get(choices["measure"], survey.measures[0])
        self._opened: int | None = first.number
        super().__init__(texts.maps(first), title=first.text, measures=self._numbers, **choices)
        self.example = first.number
        self._list()
        self._pin(first)

    @property
    def examples(self) -> tuple[list[Example], list[Example]]:
        """The texts that are listed: those with the largest numbers, and those with the smallest."""
        layer, head = self.layer, self.head
        if not (layer < len(self._survey.heads) and head < self._survey.heads[layer]):
            return [], []
        largest, smallest = self._survey.examples(layer, head, self._listed)
        return largest, smallest

    def close(self) -> None:
        """Close the widget and give its memory back."""
        super().close()
        self._reads.withdraw()

    @t.observe("layer", "head", "measure")
    def _list_of_chosen(self, _change: Any) -> None:
        if self._own_layout is None or not self._shown.maps:  # it is being made, or closed
            return
        self._listed = self._badges.get(self.measure, self._listed)
        self._list()

    @t.observe("example")
    def _read_chosen(self, _change: Any) -> None:
        if not self._shown.maps or self.example in {None, self._opened}:
            return
        chosen = next((one for side in self.examples for one in side if one.number == self.example), None)
        self._opened = self.example
        if chosen is None:
            self._list("error", f"row {self.example} is not among the texts that are listed.")
        else:
            self._list("running")
            self._reads.ask(chosen)

    def _open(self, chosen: Example, stale: Callable[[], bool]) -> None:
        """Read a text, and show its maps, unless another was chosen meanwhile."""
        try:
            maps = self._texts.maps(chosen)
        except Exception as error:  # noqa: BLE001 - whatever it was, the view must say so
            with self._changing:
                if not stale():
                    self._list("error", f"{error}")
            return
        with self._changing, self.hold_sync():
            if not stale() and self._shown.maps:
                measure, sort = self.measure, self.sort
                self.show(maps, title=chosen.text, measures=self._numbers)
                self.measure, self.sort = measure, sort
                self._pin(chosen)
                self._list()

    def _pin(self, chosen: Example) -> None:
        """Pin the token that speaks most for the number."""
        maps = self._shown.maps[self.map]
        if self._listed in KEYS:
            self.query, self.key = None, chosen.place if chosen.place < maps.n_keys else None
        else:
            self.query, self.key = chosen.place if chosen.place < maps.n_queries else None, None

    def _list(self, state: str = "idle", why: str = "") -> None:
        largest, smallest = ([[one.number, one.text, one.place, one.value] for one in side] for side in self.examples)
        self.set_trait(
            "surveyed",
            {
                "state": state,
                "why": why,
                "count": self._survey.count,
                "measure": self._listed,
                "largest": largest,
                "smallest": smallest,
            },
        )


def badges_of(survey: Survey, statistic: str | float) -> dict[str, str]:
    """What the grid is badged with, and the measure that it is of."""
    of = statistic if isinstance(statistic, str) else f"{100 * statistic:g}%"
    return {f"{of} of {name}": name for name in survey.measures}


class Texts:
    """Reads the texts of a survey with its model.

    Parameters
    ----------
    survey : Survey
        What was found.
    model : nn.Module, str, Path or None
        The model; None takes the folder that was surveyed.
    tokenizer : transformers.PreTrainedTokenizerBase, str, Path or None
        Its tokenizer; None looks beside a model that is given by name or folder.

    Raises
    ------
    ValueError
        When no model or no tokenizer came, and the survey does not say where they are.
    """

    def __init__(self, survey: Survey, model: Any, tokenizer: Any) -> None:
        if model is None:
            named = survey.about.get("model")
            if not isinstance(named, str) or not Path(named).is_dir():
                raise ValueError(
                    "a text is read when it is chosen, and the survey does not say where its model is; pass model= "
                    "and tokenizer=."
                )
            model, tokenizer = named, tokenizer if tokenizer is not None else survey.about.get("tokenizer") or None
        self._model, self._tokenizer = load_model(model, tokenizer)
        if self._tokenizer is None:
            raise ValueError("a text is read when it is chosen, and no tokenizer came; pass tokenizer=.")
        most = survey.about.get("max_tokens")
        self._cut = {} if most is None else {"truncation": True, "max_length": int(most)}

    def maps(self, chosen: Example) -> AttentionMaps:
        """The maps of a text."""
        inputs = self._tokenizer(chosen.text, return_tensors="pt", **self._cut)
        return capture(self._model, dict(inputs), self._tokenizer, logits="none", progress=False).maps


def explore_survey(
    survey: Survey, model: Any, tokenizer: Any, statistic: str | float, choices: dict[str, Any]
) -> SurveyExplorer:
    """An Explorer of a survey, at the head with the largest badge and the text with its largest number.

    Raises
    ------
    ValueError
        When no model came and the survey does not say where it is, or the head has no example.
    """
    badges = badges_of(survey, statistic)
    choices = {"measure": next(iter(badges)), "sort": "highest"} | choices
    measure = badges.get(choices["measure"], survey.measures[0])
    values = survey.arrays(statistic)[measure].values
    if "layer" not in choices and "head" not in choices and np.isfinite(values).any():
        layer, head = np.unravel_index(np.nanargmax(values), values.shape)
        choices |= {"layer": int(layer), "head": int(head)}
    choices = {"layer": 0, "head": 0} | choices
    largest = survey.examples(choices["layer"], choices["head"], measure).largest
    if not largest:
        raise ValueError(
            f"layer {choices['layer']}, head {choices['head']} has no number of {measure!r} in any text; choose "
            "another head or measure."
        )
    return SurveyExplorer(survey, Texts(survey, model, tokenizer), statistic, largest[0], **choices)
