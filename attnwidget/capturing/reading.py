"""Reading: which ids a sequence of hidden states was read from, and where in it they stand."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from attnwidget.capturing.lineage import Lineage, Node

__all__ = ["Read", "read_from"]

_FEWEST_WORDS = 16  # a table of fewer rows is one of kinds of tokens, not of tokens


@dataclass(frozen=True)
class Read:
    """What is known of a sequence.

    Parameters
    ----------
    ids : Tensor of int [batch, positions]
        -1 where a position was read from something else, as patches are.
    learned : int
        Positions in front that no input of the model reached.
    """

    ids: Tensor
    learned: int = 0

    def of_rows(self, rows: Tensor) -> Read:
        """What some rows of the batch were read from."""
        ids = self.ids.expand(max(len(self.ids), int(rows.max()) + 1), -1) if len(self.ids) == 1 else self.ids
        return replace(self, ids=ids[rows.to(ids.device)])

    def first(self, n: int) -> Read:
        """The first n positions."""
        return replace(self, ids=self.ids[:, :n])


def read_from(
    node: Node | None,
    length: int,
    given: AbstractSet[Node],
    named: Sequence[Tensor],
    *,
    batch: int = 0,
    turned: bool = False,
) -> Read | None:
    """The ids behind a sequence of so many positions; None where it was not read from ids.

    Parameters
    ----------
    node : Node or None
        The sequence, or what was projected from it.
    length : int
        Number of its positions.
    given : set of Node
        What the model itself was given.
    named : sequence of Tensor
        Inputs that are called ids.
    batch : int
        Examples that attend.
    turned : bool
        Whether the module that attends takes its batch second.
    """
    found = [one for one in Lineage.behind(node) if one.kind == "embedding" and _is_table_of_ids(one)]
    own = next((one for one in found if any(_is_same(one.what[0], ids) for ids in named)), None)
    if own is None:
        words = [one for one in found if one.what[1] > _FEWEST_WORDS and not _are_positions(one.what[0])]
        own = max(words, key=lambda one: one.what[1], default=None)
    if own is None:
        return None
    ids: Tensor = own.what[0].detach()
    ids = (ids if ids.ndim == 2 else ids[None]).cpu().clone()
    if tuple(ids.shape) == (length, batch) and (turned or length != batch):
        ids = ids.T.contiguous()
    if ids.shape[1] == length:
        return Read(ids)
    for one in Lineage.behind(node):
        if one.kind != "cat" or one.what[0] != 1 or sum(n for _, n in one.what[1]) != length:
            continue
        start, learned = 0, 0
        for piece, n in one.what[1]:
            if n == ids.shape[1] and own in Lineage.behind(piece):
                whole = torch.full((len(ids), length), -1)
                whole[:, start : start + n] = ids
                return Read(whole, learned)
            if start == learned and not _reached_by(piece, given):
                learned += n
            start += n
    return None


def _is_table_of_ids(node: Node) -> bool:
    ids = node.what[0]
    return isinstance(ids, Tensor) and ids.ndim in {1, 2} and not ids.is_floating_point()


def _is_same(ids: Tensor, named: Tensor) -> bool:
    return ids is named or (ids.numel() == named.numel() and torch.equal(ids.flatten(), named.flatten()))


def _are_positions(ids: Tensor) -> bool:
    """Whether ids count up, as those of positions do."""
    return ids.shape[-1] > 1 and bool((ids.diff(dim=-1) == 1).all())


def _reached_by(node: Node | None, given: AbstractSet[Node]) -> bool:
    return any(one in given for one in Lineage.behind(node, beyond_ids=True))
