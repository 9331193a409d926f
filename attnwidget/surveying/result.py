"""Survey: what was found over many texts, as tables, arrays, examples, and beside other surveys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from attnwidget.measures.arguments import numeric, whole
from attnwidget.surveying.between import Between
from attnwidget.surveying.extremes import LARGEST, SMALLEST
from attnwidget.surveying.folder import Folder
from attnwidget.surveying.moments import Moments
from attnwidget.surveying.storing import State
from attnwidget.surveying.tally import Group, Skipped, Tally
from attnwidget.surveying.working import Shape

if TYPE_CHECKING:
    import pandas as pd

    from attnwidget.effects.groups import GroupDifference
    from attnwidget.widget.surveyed import SurveyExplorer

__all__ = ["Example", "HeadArray", "Survey", "TopExamples"]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
STATISTICS = ("mean", "std", "min", "max", "count")


class Example(NamedTuple):
    """A text in which a head's number was among the largest or the smallest.

    Attributes
    ----------
    text : str
        The text.
    number : int
        Which row of the data it was, from 0.
    place : int
        Which of its tokens speaks most for that number: the query, or for sinks the key.
    value : float
        The number.
    """

    text: str
    number: int
    place: int
    value: float


class TopExamples(NamedTuple):
    """The texts with the largest numbers, and with the smallest, the most extreme first."""

    largest: list[Example]
    smallest: list[Example]


@dataclass(frozen=True)
class HeadArray:
    """A number for each head, with its axes named, as ``xarray.DataArray(a, a.coords, a.dims)`` takes it.

    Attributes
    ----------
    values : array [layers, heads]
        NaN where there is no number, or a layer has no such head.
    dims : tuple of str
        ("layer", "head").
    coords : dict of str to list of int
        What the model calls its layers, and heads from 0.
    """

    values: NDArray[np.float64]
    dims: tuple[str, ...]
    coords: Mapping[str, Sequence[int]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=True if copy is None else copy)

    @property
    def shape(self) -> tuple[int, ...]:
        """Layers and heads."""
        return self.values.shape

    def __getitem__(self, at: Any) -> Any:
        return self.values[at]


class Survey:
    """The numbers of every head over many texts.

    It is made by `attnwidget.survey`, or `load`. Surveys of one model with the same measures are put together with
    ``+``, in any order: of other texts, for a text that is in both counts twice.
    """

    def __init__(
        self, state: State, measures: Sequence[str], about: Mapping[str, Any] | None = None, *, reason: str = ""
    ) -> None:
        if state.tally is None or state.shape is None:
            raise ValueError("no text was measured.")
        self._state = state
        self._tally: Tally = state.tally
        self._shape: Shape = state.shape
        self.measures = tuple(measures)
        self.about = dict(about or {})
        self.reason = reason

    def __repr__(self) -> str:
        ended = f", ended early: {self.reason}" if self.reason else ""
        layers, heads = len(self.layer_numbers), max(self.heads)
        left = f", {self.n_skipped} left out" if self.n_skipped else ""
        return (
            f"<Survey of {self.count} texts{left}: {layers} layers x {heads} heads, {', '.join(self.measures)}{ended}>"
        )

    @property
    def count(self) -> int:
        """Texts that were measured."""
        return self._tally.count

    @property
    def skipped(self) -> list[Skipped]:
        """Rows of the data that were left out, each with the reason: the first 1,000."""
        return list(self._state.left.skipped)

    @property
    def n_skipped(self) -> int:
        """How many rows were left out."""
        return self._state.left.n_skipped

    @property
    def n_cut(self) -> int:
        """How many texts were cut to ``max_tokens``."""
        return self._state.left.n_cut

    @property
    def layer_numbers(self) -> tuple[int, ...]:
        """What the model calls its layers."""
        return self._shape.layer_numbers

    @property
    def heads(self) -> tuple[int, ...]:
        """How many heads each layer has."""
        return self._shape.heads

    @property
    def broken(self) -> dict[tuple[int, int], int]:
        """Heads in which a row held NaN, by (layer, head) as the model numbers them, and in how many texts."""
        held = self._tally.broken
        return {(self.layer_numbers[at], int(head)): int(held[at, head]) for at, head in np.argwhere(held)}

    @property
    def sizes(self) -> dict[Group, int]:
        """Groups of texts, and how many texts each has that a head has any number for."""
        return {name: int(moments.count.max()) for name, moments in self._tally.groups.items()}

    @property
    def between(self) -> Between:
        """Mass from label to label.

        Raises
        ------
        ValueError
            When the tokens had no labels.
        """
        if self._tally.between is None:
            raise ValueError("the tokens had no labels; survey(..., labels=) gives each of them one.")
        return self._tally.between

    def arrays(self, statistic: str | float = "mean", *, group: Group | None = None) -> dict[str, HeadArray]:
        """A number for each head, by the name of the measure.

        Parameters
        ----------
        statistic : str or float
            "mean", "std" (divided by n - 1), "min", "max" or "count", the number of texts that have a number; or a
            quantile from 0 to 1, right to 1 %.
        group : str, int, float, bool or None
            Of the texts of a group alone; quantiles are known of all texts together.

        Returns
        -------
        dict of str to HeadArray [layers, heads]

        Raises
        ------
        ValueError
            When there is no such statistic or group.
        """
        moments = self._moments(group)
        if isinstance(statistic, str):
            if statistic not in STATISTICS:
                raise ValueError(
                    f"statistic={statistic!r} is not known; expected {', '.join(map(repr, STATISTICS))}, or a quantile "
                    "from 0 to 1."
                )
            found = _statistic(moments, statistic)
        elif group is not None:
            raise ValueError("quantiles are known of all texts together, and not of a group.")
        else:
            found = self._quantile(numeric("statistic", statistic, 0, 1))
        coords = {"layer": list(self.layer_numbers), "head": list(range(max(self.heads)))}
        return {
            name: HeadArray(np.where(self._there, found[..., at], np.nan), ("layer", "head"), coords)
            for at, name in enumerate(self.measures)
        }

    def to_frame(self, quantiles: Sequence[float] = QUANTILES, *, by_group: bool = False) -> pd.DataFrame:
        """One row for each layer, head and measure.

        Parameters
        ----------
        quantiles : sequence of float
            Which, from 0 to 1.
        by_group : bool
            One row for each group beside, without quantiles.

        Returns
        -------
        pandas.DataFrame
            "count" is the number of texts that have a number, "mean", "std", "min", "max" theirs, and one column for
            each quantile, as "50%". ``attrs["units"]`` and ``attrs["about"]`` say what the measures are.

        Raises
        ------
        ValueError
            When a quantile is outside 0 to 1, or there are no groups.
        """
        import pandas as pd

        from attnwidget.measures.table import HEAD_MEASURES

        if by_group and not self._tally.groups:
            raise ValueError("there are no groups; survey(..., by=) gives each text one.")
        held = [(layer, head) for layer, heads in enumerate(self.heads) for head in range(heads)]
        at = tuple(np.array(held).T)
        index = [(self.layer_numbers[layer], head, name) for layer, head in held for name in self.measures]
        names = ["layer", "head", "measure"]
        frames = []
        for group in self._tally.groups if by_group else [None]:
            moments = self._moments(group)
            columns = {name: _statistic(moments, name)[at].reshape(-1) for name in STATISTICS}
            columns["count"] = moments.count[at].reshape(-1)
            for share in [] if by_group else quantiles:
                found = self._quantile(numeric("quantiles", share, 0, 1))
                columns[f"{100 * share:g}%"] = found[at].reshape(-1)
            keys = [(group, *key) for key in index] if by_group else index
            own = pd.MultiIndex.from_tuples(keys, names=["group", *names] if by_group else names)
            frames.append(pd.DataFrame(columns, index=own))
        table = pd.concat(frames)
        first = ["count", *[name for name in table.columns if name != "count"]]
        table = table[first]
        table.attrs["units"] = {name: HEAD_MEASURES[name].unit for name in self.measures}
        table.attrs["about"] = {name: HEAD_MEASURES[name].about for name in self.measures}
        return table

    def examples(self, layer: int, head: int, measure: str) -> TopExamples:
        """The texts in which a head's number was largest, and those in which it was smallest.

        Parameters
        ----------
        layer, head : int
            Which head, layers by their place; negative numbers count from the end.
        measure : str
            Which of ``measures``.

        Returns
        -------
        TopExamples
            ``largest`` and ``smallest``, each a list of (text, number, place, value), as many as ``top`` said. Equal
            numbers stand in the order of the data.

        Raises
        ------
        IndexError
            When there is no such head.
        ValueError
            When there is no such measure.
        """
        at = (*self._place(layer, head), self._measure(measure))
        held = self._tally.extremes
        found = []
        for side in (LARGEST, SMALLEST):
            rows = zip(*(getattr(held, name)[side][at] for name in ("text", "number", "place", "value")), strict=True)
            found.append(
                [
                    Example(self._tally.texts[int(text)], int(number), int(place), float(value))
                    for text, number, place, value in rows
                    if number >= 0
                ]
            )
        return TopExamples(*found)

    def groups(
        self, measure: str, a: Group, b: Group, *, confidence: float = 0.95, correction: str = "holm"
    ) -> GroupDifference:
        """Whether heads differ between the texts of two groups, as `attnwidget.effects.groups` tells of runs.

        Parameters
        ----------
        measure : str
            Which of ``measures``.
        a, b : str, int, float or bool
            The groups, as ``by`` gave them.
        confidence : float
            Of the intervals, in (0, 1); 1 less it is the level of significance.
        correction : {"holm", "fdr"}
            For many heads.

        Returns
        -------
        GroupDifference
            For each head the difference of means, first less second, its interval, size and p-value.

        Raises
        ------
        ValueError
            When there is no such measure or group, or an argument is out of range.

        References
        ----------
        Welch, Biometrika 1947; Hedges, Journal of Educational Statistics 1981.
        """
        from attnwidget.effects.groups import check_level, difference_of
        from attnwidget.effects.welch import Group as Numbers
        from attnwidget.effects.welch import welch_of

        check_level(confidence, correction)
        at = self._measure(measure)
        one, two = (
            Numbers(held.count[..., at], held.mean[..., at], held.spread[..., at])
            for held in (self._moments(a, needed=True), self._moments(b, needed=True))
        )
        tested = welch_of(one, two, confidence)
        sizes = self.sizes
        return difference_of(
            tested,
            layer_numbers=self.layer_numbers,
            measure=measure,
            confidence=confidence,
            correction=correction,
            sizes=(sizes[a], sizes[b]),
        )

    def merge(self, other: Survey) -> Survey:
        """Both surveys as one, of the same model and measures and of other texts.

        Raises
        ------
        TypeError
            When it is no survey.
        ValueError
            When it has other measures, layers or heads, or is of another model.
        """
        if not isinstance(other, Survey):
            raise TypeError(f"{type(other).__name__} is no Survey.")
        for what, mine, theirs in (
            ("measures", self.measures, other.measures),
            ("layers", self.layer_numbers, other.layer_numbers),
            ("heads", self.heads, other.heads),
            ("model", self.about.get("weights"), other.about.get("weights")),
        ):
            if mine != theirs:
                raise ValueError(f"these surveys do not go together: their {what} are {mine} and {theirs}.")
        state = State(self._tally + other._tally, self._shape, self._state.left + other._state.left, whole=True)
        reason = " ".join(one for one in (self.reason, other.reason) if one)
        return Survey(state, self.measures, self.about, reason=reason)

    def __add__(self, other: Survey) -> Survey:
        return self.merge(other)

    def save(self, folder: str | Path) -> Path:
        """Write the survey into a folder, which `load` reads.

        Raises
        ------
        ValueError
            When the folder holds a survey.
        OSError
            When it cannot be written to.
        """
        put = Folder(folder)
        put.put(self._state, self.measures, self.about)
        return put.path

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a survey from its folder, also one that is not at its end; nothing in it is executed.

        Raises
        ------
        FileNotFoundError
            When there is no survey.
        ValueError
            When it cannot be read, or no text in it was measured.
        """
        state, measures, about = Folder(folder).read()
        reason = (
            "" if state.whole else "this survey is not at its end; call survey again with the same folder to go on."
        )
        return cls(state, measures, about, reason=reason)

    def explore(
        self, model: Any = None, tokenizer: Any = None, *, statistic: str | float = "mean", **choices: Any
    ) -> SurveyExplorer:
        """An Explorer whose grid says what was found, and in which a head opens its texts.

        The texts with the largest and the smallest numbers of the chosen head stand in a list, for the measure that
        badges the grid; the one that is chosen is read, and its maps are shown.

        Parameters
        ----------
        model : nn.Module, str, Path or None
            The model that reads a text when it is chosen; None takes the folder that was surveyed.
        tokenizer : transformers.PreTrainedTokenizerBase, str, Path or None
            Its tokenizer; None looks beside a model that is given by name or folder.
        statistic : str or float
            What of each measure badges the grid, as in `arrays`.
        **choices
            Traits of `attnwidget.Explorer`, as ``measure="mean of induction"``.

        Returns
        -------
        SurveyExplorer

        Raises
        ------
        ValueError
            When no model came and the survey does not say where it is.
        """
        from attnwidget.widget.surveyed import explore_survey

        return explore_survey(self, model, tokenizer, statistic, choices)

    @property
    def _there(self) -> NDArray[np.bool_]:
        """Which heads exist: [layers, heads]."""
        found: NDArray[np.bool_] = np.arange(max(self.heads)) < np.array(self.heads)[:, None]
        return found

    def _quantile(self, share: float) -> NDArray[np.float64]:
        moments = self._tally.moments
        return np.clip(self._tally.sketches.quantile(share), moments.least, moments.most)

    def _moments(self, group: Group | None, *, needed: bool = False) -> Moments:
        if group is None and not needed:
            return self._tally.moments
        if group not in self._tally.groups:
            there = ", ".join(map(repr, self._tally.groups)) or "none; survey(..., by=) gives each text one"
            raise ValueError(f"there is no group {group!r}; there are {there}.")
        return self._tally.groups[group]  # type: ignore[index]

    def _measure(self, name: str) -> int:
        if name not in self.measures:
            raise ValueError(f"measure={name!r} was not surveyed; expected {', '.join(map(repr, self.measures))}.")
        return self.measures.index(name)

    def _place(self, layer: int, head: int) -> tuple[int, int]:
        n = len(self.heads)
        if not -n <= whole("layer", layer) < n:
            raise IndexError(f"layer {layer} does not exist: there are layers 0 to {n - 1}.")
        heads = self.heads[layer]
        if not -heads <= whole("head", head) < heads:
            raise IndexError(f"head {head} does not exist: layer {layer} has heads 0 to {heads - 1}.")
        return layer % n, head % heads


def _statistic(moments: Moments, name: str) -> NDArray[np.float64]:
    if name in {"mean", "std"}:
        found: NDArray[np.float64] = getattr(moments, name)
        return found
    if name == "count":
        return moments.count.astype(float)
    ends = moments.least if name == "min" else moments.most
    return np.where(moments.count > 0, ends, np.nan)
