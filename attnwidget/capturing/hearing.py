"""Hearing: each attention that is heard in a pass finds its place in it, and is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from attnwidget.capturing.calls import Call, Place
from attnwidget.capturing.changes import Attended, changes
from attnwidget.capturing.columns import placed
from attnwidget.capturing.grids import lay
from attnwidget.capturing.keeping import Keeping
from attnwidget.capturing.lineage import Lineage, Node
from attnwidget.capturing.listening import Heard
from attnwidget.capturing.passes import Pass, StackKey, is_pair, n_tokens, padding_of
from attnwidget.capturing.places import Places, is_tower, side_of
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.reading import Read, read_from
from attnwidget.capturing.relations import Turns, attends_across

__all__ = ["Hearing"]

_CROSS = re.compile(r"cross|encoder_attn|encdec|enc_dec", re.IGNORECASE)


class Hearing:
    """What is heard of the passes of a model.

    Parameters
    ----------
    model : nn.Module
        The model.
    roots : sequence of nn.Module
        The transformers models in it, outermost first.
    keeping : Keeping
        Copies what is to be kept.
    passes : list of Pass
        All of them, the newest last.
    heard : callable or None
        Called with every call.
    put_out : callable or None
        Called with every call, and what its heads put out: [batch, heads, queries, width].
    """

    def __init__(
        self,
        model: nn.Module,
        roots: Sequence[nn.Module],
        keeping: Keeping,
        passes: list[Pass],
        *,
        heard: Callable[[Call], None] | None = None,
        put_out: Callable[[Call, Tensor], None] | None = None,
    ) -> None:
        self.places = Places(model)
        self._roots, self._wholes = roots, {model, *roots}
        self._keeping, self._passes, self._heard, self._put_out = keeping, passes, heard, put_out
        self.failure: Exception | None = None  # what a change raised
        self.begin()

    def begin(self) -> None:
        """Another pass begins."""
        self.spoke: set[str] = set()  # modules in which attention was heard
        self.given: dict[Node, str] = {}  # what the pass was given
        self._turns = Turns()

    def hear(self, heard: Heard, current: Pass, *, with_grad: bool) -> Tensor | None:
        """Keep one attention, or say why it is not kept; gives what its heads put out instead, if anything."""
        inner = heard.running[-1]
        self.spoke.add(inner.name)
        call = heard.call
        if isinstance(call, str):
            current.missed.setdefault(inner.name, call)
            return None
        stack, tail, layer = self.places.of(inner.module, inner.name)
        crossing = attends_across(heard, self._wholes)
        guessed = crossing is None
        if crossing is None:
            crossing = bool(_CROSS.search(inner.name.removeprefix(stack)))
        turn, goes_on = self._turns.of(inner.name, crossing, heard.queries)
        key: StackKey = (stack, tail, crossing, turn)
        if goes_on:
            layer = current.counts[key]  # layers of layers that came before
        place = Place(inner.name, stack, tail, layer, crossing, turn)
        if guessed:
            current.guessed.add(key)
        if key not in current.read:
            current.read[key] = (
                self._read(current, heard.queries, call.n_queries, call.batch, inner.module),
                self._read(current, heard.keys, call.n_keys, call.batch, inner.module),
            )
            current.reached[key] = self._reached(heard.queries)
            current.reached_by_keys[key] = self._reached(heard.keys)
        lay(current.grids, key, [(heard.queries, call.n_queries), (heard.keys, call.n_keys)])
        call = replace(call, place=place, all_heads=call.n_heads)
        call = placed(call, heard, cached=current.cache() is not None)
        main = self._goes_on(key, current, call)
        if main and current.main is None:
            self._meet(current, call, key)
        call, changed = self._changed(call, heard, current, with_grad=with_grad)
        current.counts[key] += 1
        current.layers.setdefault(key, set()).add(layer)
        if self._keeping.keep.layer(layer):
            current.calls.append(self._keeping.kept(call, current, main=main and key == current.main))
        self._pass_on(call, heard.output if changed is None else changed)
        return changed

    def _changed(self, call: Call, heard: Heard, current: Pass, *, with_grad: bool) -> tuple[Call, Tensor | None]:
        """What others make of a call, and what its heads put out then; None where nobody changes that."""
        attended: Attended | None = None
        for change in changes():
            attended = attended or self._as_attended(call, heard, current)
            try:
                with torch.set_grad_enabled(with_grad):
                    attended = change(attended) or attended
            except Exception as error:  # noqa: BLE001 - raised when the pass is over
                self.failure = self.failure or error
        if attended is None or attended.output is heard.output:
            return call if attended is None else attended.call, None
        return attended.call, attended.output

    def _as_attended(self, call: Call, heard: Heard, current: Pass) -> Attended:
        place, pair = call.place, any(map(is_pair, self._roots))
        part = "cross" if place.crossing else (side_of(place.stack) if pair else "") or "attention"
        # A cache that drops its oldest keys counts them all the same.
        queries = current.past if place.crossing else max(current.past, call.front) if call.front else 0
        keys = 0 if place.crossing else queries - call.front
        padding = [
            padding_of(current, names, call.batch)
            for names in (
                ("attention_mask",) if not pair or part == "encoder" else ("decoder_attention_mask",),
                *((("encoder_attention_mask", "attention_mask"),) if place.crossing else ()),
            )
        ]
        kept = self._keeping.keep.layer(place.layer) or len(changes()) > 1
        at = queries - padding[0], keys - padding[-1]
        return Attended(heard.running[-1].module, call, heard.output, *at, kept, part)

    def _pass_on(self, call: Call, output: Tensor | None) -> None:
        if self._heard is not None:
            self._heard(call)
        if self._put_out is not None and output is not None:
            self._put_out(call, output)

    def _read(self, current: Pass, node: Node | None, n: int, batch: int, module: nn.Module) -> Read | None:
        named = [
            value for name, value in current.inputs.items() if name.endswith("input_ids") and isinstance(value, Tensor)
        ]
        turned = getattr(module, "batch_first", None) is False
        return read_from(node, n, self.given.keys(), named, batch=batch, turned=turned)

    def _reached(self, node: Node | None) -> frozenset[str]:
        """Names of the inputs that a sequence goes back to."""
        return frozenset(name for one in Lineage.behind(node) if (name := self.given.get(one)) is not None)

    def _goes_on(self, key: StackKey, current: Pass, call: Call) -> bool:
        """Whether a stack reads the tokens that a cache grows by: no encoder, no tower, and attends to itself."""
        path, _, crossing, turn = key
        if crossing or turn:
            return False
        if call.front:
            return True
        encoder = side_of(path) == "encoder" and any(map(is_pair, self._roots))
        return not (encoder or is_tower(path)) and n_tokens(current.inputs) in {0, call.n_queries}

    def _meet(self, current: Pass, first: Call, key: StackKey) -> None:
        """Read from the first layer which keys are old, whose they are, and whether the batch is in its old order."""
        current.main, current.n_queries = key, first.n_queries
        if not isinstance(first, Projections):
            if first.front and not current.past:
                current.past = first.front
            return
        own = first.key[:, :, first.front : first.front + first.n_queries]
        current.newest = own.detach().clone()
        if not first.front:
            return
        if first.front > current.past > 0:
            current.past, current.before = first.front, None  # the cache tells less than was seen
        old = first.key[:, :, first.front - 1]
        if current.before is None:
            current.before = next((one for one in reversed(self._passes) if one.whole and _ends_with(one, old)), None)
            if current.before is not None:
                current.past = current.before.length
        before = current.before
        if before is None:
            current.past = max(current.past, first.front)
            if current.cache() is None and not any(one.length == current.past for one in self._passes[:-1]):
                current.learned = current.past  # nobody gave them
        elif before.newest is not None and before.length == current.past:
            last = before.newest[:, :, -1]
            current.reordered = last.shape != old.shape or not torch.equal(last, old)


def _ends_with(one: Pass, old: Tensor) -> bool:
    """Whether the newest of a pass's keys is this one, in any order of the batch."""
    if one.newest is None or one.newest[:, :, -1].shape[1:] != old.shape[1:] or one.newest.dtype != old.dtype:
        return False
    last = one.newest[:, :, -1].to(old.device)
    if last.shape == old.shape and torch.equal(last, old):
        return True
    return all(any(torch.equal(row, known) for known in last) for row in old)
