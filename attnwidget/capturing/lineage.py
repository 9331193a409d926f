"""Lineage: which tensors of a pass were made from which, as torch's functions were called.

It answers what names only suggest: whether queries and keys come from one sequence or from two, whether a second call
of a module goes on from its first, and which ids a stack of layers has read. What comes out of attention goes on from
the queries alone: a row of it stands where its query stood, whatever it looked at.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor

__all__ = ["Lineage", "Node", "tensors_in"]

_FAR = 4096  # nodes looked at before a question counts as not answered


class Node:
    """One tensor, as something was made of others.

    ``order`` says when it was made; ``kind`` is "" or "source", "projection", "product", "embedding", "attention" or
    "cat"; ``what`` is what the kind needs: where both factors of a product came from, ids and size of an embedding's
    table, the module of an attention, the pieces of a "cat". ``constant`` is what was made of parameters and numbers
    alone, ``learned`` what is a parameter still, if in another shape. ``softmax`` is the softmax whose weights these
    were made of, cell by cell; ``dropped`` whether dropout was on the way; ``laid`` what became of the rows and columns
    of a picture, as in `grids`.
    """

    __slots__ = ("constant", "dropped", "kind", "laid", "learned", "order", "parents", "softmax", "what")
    constant: bool
    learned: bool

    def __init__(self, order: int, parents: tuple[Node, ...], kind: str = "", what: Any = None) -> None:
        self.order, self.parents, self.kind, self.what = order, parents, kind, what
        self.softmax: Any = None
        self.dropped = False
        self.laid: tuple[str, Any] | None = None
        constant: bool = kind not in {"source", "embedding"} and all(parent.constant for parent in parents)
        learned: bool = constant and kind != "projection" and all(parent.learned for parent in parents)
        self.constant, self.learned = constant, learned


class Lineage:
    """The tensors of one pass."""

    def __init__(self) -> None:
        self.clock = 0
        self._nodes: dict[int, tuple[weakref.ref[Tensor], Node]] = {}

    def of(self, tensor: Tensor) -> Node | None:
        """What is known of a tensor; None where it was there before the pass, as parameters are."""
        known = self._nodes.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else None

    def made(self, tensor: Tensor, parents: Iterable[Node], kind: str = "", what: Any = None) -> Node:
        """Note a tensor that was made of others."""
        self.clock += 1
        node = Node(self.clock, tuple(parents), kind, what)
        self._nodes[id(tensor)] = weakref.ref(tensor), node
        return node

    def source(self, tensor: Tensor) -> Node:
        """What is known of a tensor, noted as a beginning where nothing is."""
        return self.of(tensor) or self.made(tensor, (), "source", tensor.is_floating_point())

    def known(self, values: Iterable[Any]) -> tuple[Node, ...]:
        """What is known of the tensors among some values."""
        nodes, found = self._nodes, []
        for value in values:  # as often as a function of torch is called: no generators here
            if isinstance(value, Tensor):
                known = nodes.get(id(value))
                if known is not None and known[0]() is value:
                    found.append(known[1])
            elif isinstance(value, (tuple, list, Mapping)):
                found += [node for one in tensors_in([value]) if (node := self.of(one)) is not None]
        return tuple(found)

    @staticmethod
    def sources(node: Node | None, since: int) -> set[Node]:
        """The tensors from before a time that a tensor was projected from: hidden states, and no rotations or masks."""
        found: set[Node] = set()
        seen: set[tuple[int, bool]] = set()
        todo = [] if node is None else [(node, False)]
        while todo and len(seen) < _FAR:
            one, projected = todo.pop()
            if (id(one), projected) in seen:
                continue
            seen.add((id(one), projected))
            if one.order <= since:
                if projected:
                    found.add(one)
                continue
            projected = projected or one.kind in {"projection", "embedding"}
            todo += [(parent, projected) for parent in one.parents]
        return found

    @staticmethod
    def roots(node: Node | None) -> set[Node]:
        """Where a sequence began: embeddings of ids, and vectors that were there before."""
        return {one for one in Lineage.behind(node) if one.kind == "embedding" or (one.kind == "source" and one.what)}

    @staticmethod
    def behind(node: Node | None, *, beyond_ids: bool = False) -> Iterator[Node]:
        """A tensor and all that it was made of, nearest first; not beyond the ids of an embedding unless asked."""
        todo: deque[Node] = deque([] if node is None else [node])
        seen: set[int] = set()
        while todo and len(seen) < 64 * _FAR:
            one = todo.popleft()
            if id(one) in seen:
                continue
            seen.add(id(one))
            yield one
            if beyond_ids or one.kind != "embedding":
                todo += one.parents


def tensors_in(values: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among some values, and in their tuples, lists and dicts."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (tuple, list)):
            if value and not isinstance(value[0], (int, float, str)):
                yield from tensors_in(value)
        elif isinstance(value, Mapping):
            yield from tensors_in(value.values())
