"""Working: a model at its work on some rows, in whatever process."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attnwidget.capturing.inputs import as_inputs, longest
from attnwidget.capturing.overhearing import Overhearing, Run
from attnwidget.effects.stopping import is_out_of_memory
from attnwidget.surveying.between import MOST_LABELS, Between, too_many
from attnwidget.surveying.counting import BatchNumbers, Counted, Masses, SeesPadding
from attnwidget.surveying.encoding import Encoded, batches, encode, padded
from attnwidget.surveying.extremes import Extremes
from attnwidget.surveying.moments import Moments
from attnwidget.surveying.rows import Chunk
from attnwidget.surveying.sketches import Sketches
from attnwidget.surveying.tally import Left, Skipped, Tally, in_order

_OURS = ("input_ids", "attention_mask")

__all__ = ["Reader", "Result", "Shape", "Wish"]


@dataclass(frozen=True)
class Wish:
    """What is wanted of every text.

    Parameters
    ----------
    measures : tuple of str
        Names of `attnwidget.summarize`.
    top : int
        How many of the largest, and of the smallest, are kept.
    batch_size : int
        Texts in a pass.
    max_tokens : int or None
        Texts are cut to so many tokens.
    labels : callable or None
        Gives a label for each of a list of tokens.
    """

    measures: tuple[str, ...]
    top: int
    batch_size: int
    max_tokens: int | None
    labels: Callable[[list[str]], Sequence[Any]] | None


@dataclass(frozen=True)
class Shape:
    """What the model calls its layers, and how many heads each has."""

    layer_numbers: tuple[int, ...]
    heads: tuple[int, ...]


@dataclass(frozen=True)
class Result:
    """What came of a chunk; no tally where none of its texts could be measured."""

    number: int
    digest: str
    shape: Shape | None
    tally: Tally | None
    left: Left


class Reader:
    """A model and its tokenizer, which read texts.

    Parameters
    ----------
    model : nn.Module
        The model.
    tokenizer : transformers.PreTrainedTokenizerBase
        Makes tokens of texts.
    """

    def __init__(self, model: nn.Module, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self._takes = inspect.signature(model.forward).parameters
        known = longest(model)
        self.limit = None if known is None else known[0]
        self._told = Overhearing(model)
        self._same_length = False
        self._place: tuple[torch.device, dict[str, Any]] | None = None  # where ids go, and what goes with them
        self._padding = getattr(tokenizer, "pad_token_id", None) or 0  # any id will do: nobody looks at it

    def read(self, chunk: Chunk, wish: Wish) -> Result:
        """The numbers of every head over the rows of a chunk."""
        texts, skipped, n_cut = encode(
            chunk.rows, self.tokenizer, limit=self.limit, max_tokens=wish.max_tokens, labels=wish.labels
        )
        work = _Work(self, wish, texts)
        if texts and not self._told.places:
            shortest = min(texts, key=lambda one: (len(one.ids) < 2, len(one.ids)))
            if len(shortest.ids) < 2:
                shortest = replace(shortest, ids=shortest.ids * 2)  # of one token alone there is nothing to learn
            self._told.learn(lambda: self.forward(*padded([shortest], self._padding)))
        with self._told.passes() as run:
            for batch in batches(texts, wish.batch_size, same_length=self._same_length):
                work.do(batch, run)
        left = Left.of([*chunk.skipped, *skipped, *work.skipped], n_cut)
        tally = work.tally()
        return Result(chunk.number, chunk.digest, None if tally is None else self.shape, tally, left)

    @property
    def shape(self) -> Shape:
        """Layers and heads."""
        return Shape(tuple(place.layer for place in self._told.places), self._told.heads)

    def forward(self, ids: Tensor, real: Tensor) -> None:
        """Run the model."""
        if self._place is None:
            _, named = as_inputs(self.model, {"input_ids": ids, "attention_mask": real.long()}, None)
            held = named["input_ids"].device, {name: value for name, value in named.items() if name not in _OURS}
            self._place = held
        device, others = self._place
        named = {"input_ids": ids.to(device), "attention_mask": real.long().to(device), **others}
        self.model(**{name: value for name, value in named.items() if name in self._takes or "kwargs" in self._takes})

    def numbers(
        self, batch: Sequence[Encoded], wish: Wish, labels: Sequence[str], run: Run
    ) -> tuple[Tensor, Tensor, list[Masses], Tensor]:
        """Values [batch, layers, heads, measures], places [2, batch, layers, heads, measures], masses, and broken rows.

        Masses are those of each layer; the last says in which heads a row holds NaN, bool [batch, layers, heads].

        Raises
        ------
        SeesPadding
            When the texts are of several lengths, and the model looks at padding.
        """
        ids, real = padded(batch, self._padding)
        numbered = None
        if labels:
            at = {label: number for number, label in enumerate(labels)}
            numbered = torch.full(ids.shape, -1)
            for number, one in enumerate(batch):
                own = one.labels or ()
                numbered[number, : len(own)] = torch.tensor([-1 if label is None else at[label] for label in own])
        counted = BatchNumbers(
            wish.measures, ids, real, labels=numbered, n_labels=len(labels), causal=self._told.causal
        )
        scored = self._told.scored
        told: list[Counted] = []
        run(lambda: self.forward(ids, real), lambda at, call: told.append(counted.of(call, scored=scored[at])))
        most = max(self._told.heads)

        def stacked(parts: list[Tensor], gap: float) -> Tensor:
            wide = [torch.nn.functional.pad(part.cpu(), (0, 0, 0, most - part.shape[-2]), value=gap) for part in parts]
            return torch.stack(wide, -3)

        values = stacked([one.values.double() for one in told], math.nan)
        places = stacked([one.places for one in told], 0)
        broken = stacked([one.broken[..., None] for one in told], 0)[..., 0]
        return values, places, [one.masses for one in told if one.masses is not None], broken

    def apart(self) -> None:
        """From now on texts of other lengths are kept apart."""
        self._same_length = True


class _Work:
    """What has been done of the texts of a chunk."""

    def __init__(self, reader: Reader, wish: Wish, texts: Sequence[Encoded]) -> None:
        self.reader, self.wish = reader, wish
        self.skipped: list[Skipped] = []
        labels = tuple(sorted({label for one in texts for label in one.labels or () if label is not None}))
        if len(labels) > MOST_LABELS:
            raise ValueError(too_many(labels))
        self.labels = labels
        self._texts: list[Encoded] = []
        self._values: list[NDArray[np.float64]] = []
        self._places: list[NDArray[np.int64]] = []
        self._broken: list[NDArray[np.bool_]] = []
        self._between: Between | None = None

    def do(self, batch: Sequence[Encoded], run: Run) -> None:
        """Measure a batch; in halves where that fails, so that a text that cannot be measured is told from others."""
        failed: Exception | None = None
        try:
            values, places, masses, broken = self.reader.numbers(batch, self.wish, self.labels, run)
        except SeesPadding:
            self.reader.apart()
            for part in batches(batch, len(batch), same_length=True):
                self.do(part, run)
            return
        except Exception as error:  # noqa: BLE001 - told with the text
            failed = error.with_traceback(None)  # which holds what filled the memory
        if failed is None:
            self._texts += batch
            self._values.append(values.numpy())
            self._places.append(places.numpy())
            self._broken.append(broken.numpy())
            self._add(masses)
            return
        if is_out_of_memory(failed) and torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(batch) > 1:
            half = len(batch) // 2
            self.do(batch[:half], run)
            self.do(batch[half:], run)
            return
        one = batch[0]
        why = f"{type(failed).__name__}: {failed}"
        if is_out_of_memory(failed):
            why = f"memory ran out with this text of {len(one.ids)} tokens alone; max_tokens= cuts longer ones."
        self.skipped.append(Skipped(one.row.number, why))

    def _add(self, masses: Sequence[Masses]) -> None:
        if not masses:
            return
        most = max(self.reader.shape.heads)

        def over_texts(parts: Sequence[Tensor]) -> NDArray[Any]:
            room = [(part.cpu().sum(0).numpy(), most - part.shape[1]) for part in parts]
            return np.stack([np.pad(part, ((0, lacking), (0, 0), (0, 0))) for part, lacking in room])

        found = Between(
            self.labels,
            over_texts([one.mass.masked_fill(~one.there, 0) for one in masses]),
            over_texts([one.chance.expand_as(one.mass).masked_fill(~one.there, 0) for one in masses]),
            over_texts([one.there.expand_as(one.mass).long() for one in masses]),
        )
        self._between = found if self._between is None else self._between + found

    def tally(self) -> Tally | None:
        """What is kept of it all; None where no text was measured."""
        if not self._texts:
            return None
        values, places = np.concatenate(self._values), np.concatenate(self._places, 1)
        numbers = np.array([one.row.number for one in self._texts])
        known = np.array([one.known_by for one in self._texts])
        extremes = Extremes.of(values, places, numbers, known, self.wish.top)
        kept = extremes.texts()
        groups = {one.row.group for one in self._texts if one.row.group is not None}
        of_group = {group: Moments.of(values[[one.row.group == group for one in self._texts]]) for group in groups}
        return Tally(
            len(values),
            Moments.of(values),
            Sketches.of(values),
            extremes,
            {number: one.row.text for number, one in zip(known.tolist(), self._texts, strict=True) if number in kept},
            np.concatenate(self._broken).sum(0),
            in_order(of_group),
            self._between,
        )
