"""Replacing: what stands in for what a head puts out: nothing, its mean, or what it puts out for another example."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from attnwidget.capturing.passes import batch_of, is_pair
from attnwidget.capturing.projecting import Projection
from attnwidget.capturing.registry import transformers_in
from attnwidget.effects.changing import changed
from attnwidget.effects.examples import Batch, read_positions

__all__ = ["Mean", "Replacing"]

NO_EXAMPLES = (
    "what the heads of this model put out does not stand example by example, position by position, so that no other "
    "example can stand in; use what='zero' or what='mean'."
)


class Replacing:
    """What stands in for heads, batch by batch.

    Parameters
    ----------
    model : nn.Module
        In eval mode, without gradients, as long as this is used.
    layers : sequence of Projection
        Whose heads.
    given : sequence of mapping
        All batches, as the model takes them.
    what : {"zero", "mean", "resample"}
        As in `ablate`.

    Raises
    ------
    ValueError
        When another example is to stand in and there is none, or heads do not stand example by example.
    """

    def __init__(self, model: nn.Module, layers: Sequence[Projection], given: Sequence[Batch], what: str) -> None:
        self._model, self._layers, self._given, self._what = model, layers, given, what
        roots = transformers_in(model)
        self._sizes = [batch_of(batch, roots) for batch in given]
        self._decoded = any(map(is_pair, roots)) and "encoder" not in layers[0].place.stack.split(".")
        self._kept: dict[int, list[Tensor]] = {}
        if what == "resample" and sum(self._sizes) < 2:
            raise ValueError("there is one example, and what='resample' takes what a head puts out for another one.")
        self._means = self._find_means() if what == "mean" else []

    @contextmanager
    def without(self, number: int, heads: Sequence[tuple[int, int]]) -> Iterator[None]:
        """Run the model on a batch with other things in the place of heads.

        Parameters
        ----------
        number : int
            Of the batch.
        heads : sequence of (int, int)
            Layers, by their place in the list, and heads.
        """
        instead = self._instead(number)
        chosen: dict[int, list[int]] = {}
        for layer, head in heads:
            chosen.setdefault(layer, []).append(head)

        def change(layer: int, given: Tensor) -> Tensor | None:
            if layer not in chosen:
                return None
            other = instead(layer, given).to(given).expand_as(given)
            given = given.clone()
            given[..., chosen[layer], :] = other[..., chosen[layer], :]
            return given

        with changed(self._model, self._layers, change):
            yield

    def _instead(self, number: int) -> Callable[[int, Tensor], Tensor]:
        """What stands in for all heads of a layer: anything that expands to what they put out."""
        if self._what == "zero":
            return lambda _layer, given: torch.zeros((), dtype=given.dtype, device=given.device)
        if self._what == "mean":
            return lambda layer, given: self._mean(number, layer, given)
        others = self._others(number)
        return lambda layer, given: self._from(others, number, layer, given)

    def _put_out(self, number: int) -> list[Tensor]:
        """What the heads of each layer put out for a batch: [..., heads, width]."""
        found: dict[int, Tensor] = {}

        def keep(layer: int, given: Tensor) -> None:
            found[layer] = given.detach().clone()

        with changed(self._model, self._layers, keep):
            self._model(**self._given[number])
        return [found[layer] for layer in range(len(self._layers))]

    def _real(self, number: int, heads: Tensor) -> Tensor | None:
        """Which positions are no padding: bool [batch, tokens]; None where heads do not stand position by position."""
        if heads.ndim != 4 or heads.shape[0] != self._sizes[number]:
            return None
        return read_positions(self._given[number], heads.shape[:2], decoded=self._decoded).to(heads.device)

    def _find_means(self) -> list[Tensor]:
        """The mean of each layer: [tokens, heads, width], or [1, heads, width] where examples are not of one length."""
        means = [Mean() for _ in self._layers]
        for number in range(len(self._given)):
            for mean, heads in zip(means, self._put_out(number), strict=True):
                real = self._real(number, heads)
                flat = heads.reshape(-1, *heads.shape[-2:])
                if real is None:
                    mean.add(flat, torch.zeros(len(flat), dtype=torch.long))
                else:
                    mean.add(flat[real.flatten()], _rank(real)[real])
        return [mean.value for mean in means]

    def _mean(self, number: int, layer: int, given: Tensor) -> Tensor:
        mean, real = self._means[layer].to(given), self._real(number, given)
        return mean[0] if len(mean) == 1 or real is None else mean[_rank(real)]

    def _others(self, number: int) -> list[list[Tensor]]:
        """For each layer and example of a batch what the heads put out for the next example: [tokens, heads, width]."""
        after = (number + 1) % len(self._given)
        for one in {number, after}:
            if one not in self._kept:
                self._kept[one] = self._put_out(one)
        self._kept = {one: self._kept[one] for one in (number, after)}
        others = []
        for layer in range(len(self._layers)):
            mine, next_one = (self._read(one, layer) for one in (number, after))
            others.append([*mine[1:], next_one[0]])
        return others

    def _read(self, number: int, layer: int) -> list[Tensor]:
        heads = self._kept[number][layer]
        real = self._real(number, heads)
        if real is None:
            raise ValueError(NO_EXAMPLES)
        return [one[there] for one, there in zip(heads, real, strict=True)]

    def _from(self, others: list[list[Tensor]], number: int, layer: int, given: Tensor) -> Tensor:
        real = self._real(number, given)
        if real is None:
            raise ValueError(NO_EXAMPLES)
        rank = _rank(real)
        return torch.stack([one[at % len(one)] for one, at in zip(others[layer], rank, strict=True)])


class Mean:
    """What heads put out in the mean, added up position by position."""

    def __init__(self) -> None:
        self._sums, self._counts = torch.zeros(0, 0, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.long)

    def add(self, rows: Tensor, rank: Tensor) -> None:
        """Rows [n, heads, width], and at which place among the tokens of its example each stands: [n]."""
        rows, rank = rows.cpu().double(), rank.cpu()
        length = max(len(self._counts), int(rank.max()) + 1)
        sums, counts = torch.zeros(length, *rows.shape[1:], dtype=torch.float64), torch.zeros(length, dtype=torch.long)
        sums.index_add_(0, rank, rows)
        counts.index_add_(0, rank, torch.ones_like(rank))
        if len(self._counts):
            sums[: len(self._counts)] += self._sums
            counts[: len(self._counts)] += self._counts
        self._sums, self._counts = sums, counts

    @property
    def value(self) -> Tensor:
        """[tokens, heads, width] where every example has each position, else over all of them: [1, heads, width]."""
        if bool((self._counts == self._counts[0]).all()):
            return self._sums / self._counts[:, None, None]
        return self._sums.sum(0, keepdim=True) / self._counts.sum()


def _rank(real: Tensor) -> Tensor:
    """The place of each position among those that are no padding; of padding that of a token near it."""
    return (real.cumsum(1) - 1).clamp(min=0)
