"""From what a pass left to maps: each part by itself, its axes, its padding, and the proof that it is what ran."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.axes import Axis, Labels, token_label
from attnwidget.capturing.calls import Call
from attnwidget.capturing.grids import Laid
from attnwidget.capturing.parts import Part, parts_of
from attnwidget.capturing.passes import Pass, batch_if_second, batch_of, is_pair
from attnwidget.capturing.pictures import Gallery, pictures_by_example, pieces_of_pictures
from attnwidget.capturing.places import is_tower
from attnwidget.capturing.probes import agrees
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.reading import Read
from attnwidget.capturing.registry import transformers_in
from attnwidget.capturing.valuing import valued
from attnwidget.intake import AttentionWarning, dense_layers
from attnwidget.layers import DenseLayer, ProjectedLayer
from attnwidget.maps import AttentionMaps
from attnwidget.projections import about_terms
from attnwidget.tokens import Tokens

__all__ = ["Assembled", "assemble", "is_encoder_decoder"]


@dataclass
class Assembled:
    """Maps of each example by name, and the parts of which none can be made, with the reason."""

    examples: list[dict[str, AttentionMaps]]
    refused: dict[str, str]


def assemble(recorded: Pass, model: nn.Module, labels: Labels, only: str | None = None) -> Assembled:
    """Maps of each example of a pass, part by part.

    Parameters
    ----------
    recorded : Pass
        What the recorder kept.
    model : nn.Module
        The model that ran.
    labels : Labels
        What the caller says of the positions.
    only : str or None
        The name of the one part that is wanted.
    """
    pair = is_encoder_decoder(model)
    parts = parts_of(recorded, pair=pair)
    if only is not None:
        known = [part.name for part in parts]
        if only not in known:
            raise ValueError(f"part={only!r}: this model has no such part; it has {', '.join(map(repr, known))}.")
        parts = [part for part in parts if part.name == only]
    expected = batch_of(recorded.inputs, transformers_in(model) or [model])
    refused: dict[str, str] = {}
    ready: list[_Ready] = []
    for part in parts:
        pieces, why = _pieces(part, expected, recorded)
        if why:
            refused[part.name] = f"{part.key[0] or 'the model'}: {why}"
        else:
            ready.append(_Ready(part, recorded, model, _labels_of(part, parts, recorded, labels), pieces))
    size = max((one.part.batch for one in ready if not one.pieces), default=max(expected, 1))
    made = [_made(ready, example, size, refused) for example in range(size)]
    # A part that is refused in one example is in none.
    examples = [{name: maps for name, maps in one.items() if name not in refused} for one in made]
    return Assembled(examples, refused)


def _pieces(part: Part, expected: int, recorded: Pass) -> tuple[int, str]:
    """In how many pictures a part attends one by one, 0 where it does not; and why it is no map, or nothing."""
    if not expected or part.batch in {expected, 1}:
        return 0, ""
    if part.batch == batch_if_second(recorded.inputs) and part.calls[0].n_queries == expected:
        return 0, ""
    if part.batch == pieces_of_pictures(recorded.inputs):
        return part.batch, ""
    return 0, (
        f"it attends within {part.batch} pieces of a batch of {expected}, so that its maps cover windows of the input "
        "and not the whole"
    )


def _made(ready: Sequence[_Ready], example: int, size: int, refused: dict[str, str]) -> dict[str, AttentionMaps]:
    """Maps of one example by name."""
    made: dict[str, AttentionMaps] = {}
    for one in ready:
        for name, own in one.pieces_of(example, size):
            maps = one.maps(name, own)
            if isinstance(maps, str):
                refused[name] = f"{one.part.key[0] or 'the model'}: {maps}"
            else:
                made[name] = maps
    return made


def is_encoder_decoder(model: nn.Module) -> bool:
    """Whether a model, or one inside it, has an encoder and a decoder."""
    return any(map(is_pair, [model, *transformers_in(model)]))


class _Ready:
    """A part of one size, of which maps can be made."""

    def __init__(self, part: Part, recorded: Pass, model: nn.Module, labels: Labels, pieces: int) -> None:
        self.part, self.recorded, self.model, self.labels, self.pieces = part, recorded, model, labels, pieces
        self.queries_read, self.keys_read = recorded.read.get(part.key, (None, None))
        self.main = recorded.main is not None and (recorded.main[0], 0) == (part.key[0], part.key[3])
        self._shared: dict[int, dict[Any, Any]] = {}
        sees = any(name.startswith("pixel_values") for name in recorded.reached.get(part.key, ()))
        n = pieces_of_pictures(recorded.inputs)
        self._pictures: list[range] | None = None
        if self.queries_read is None and sees and part.batch == n:
            self._pictures = pictures_by_example(model, recorded.inputs, n)

    def pieces_of(self, example: int, size: int) -> list[tuple[str, int]]:
        """Names and rows of the batch that belong to an example."""
        if self._pictures is not None and example < len(self._pictures):
            own = self._pictures[example]
            alone = all(len(other) == 1 for other in self._pictures)
            return [(self.part.name if alone else f"{self.part.name} {i - own.start}", i) for i in own]
        if not self.pieces:
            return [(self.part.name, min(example, self.part.batch - 1))]
        each = self.pieces // size
        if each == 1:
            return [(self.part.name, example)]
        return [(f"{self.part.name} {i}", example * each + i) for i in range(each)]

    def maps(self, name: str, example: int) -> AttentionMaps | str:
        """Maps of one example, or why there are none."""
        part, recorded = self.part, self.recorded
        first = part.calls[0]
        queries, keys = self._axes()
        rows, columns = self._real(example)
        shared: dict[Any, Any] = {}  # layers of one pass share their mask and bias
        layers = [call.layer_of(example, rows, columns, shared) for call in part.calls]
        for call, layer in zip(part.calls, layers, strict=True):
            if call.probe is not None and not agrees(layer, call.probe, rows, example):
                return (
                    f"what was kept of layer {call.place.layer} does not give back the sums that its rows had when it "
                    "ran: keys were changed between steps, or stand where they cannot be followed"
                )
        layers = [valued(layer, call, recorded.projections) for call, layer in zip(part.calls, layers, strict=True)]
        held = [layer for layer in layers if isinstance(layer, ProjectedLayer)]
        notes = [*part.notes, *about_terms(held), *_check_finite(part.calls, name)]
        dense = [layer for layer in layers if isinstance(layer, DenseLayer)]
        if dense and all(layer.shape[1] and layer.shape[2] for layer in dense):
            notes += dense_layers([layer.matrix for layer in dense], layout="HQK")[1]
        row_tokens, column_tokens, why = self._pictured(
            queries.tokens(example, first.n_queries), keys.tokens(example, first.n_keys), example
        )
        notes += why
        row_tokens = row_tokens if rows is None else row_tokens[rows.tolist()]
        column_tokens = column_tokens if columns is None else column_tokens[columns.tolist()]
        maps = AttentionMaps(
            layers,
            row_tokens,
            None if row_tokens == column_tokens else column_tokens,
            name=name,
            layer_names=[call.place.module for call in part.calls],
            notes=notes,
            layer_numbers=[call.place.layer for call in part.calls],
            head_numbers=[tuple(range(call.all_heads)) if call.heads is None else call.heads for call in part.calls],
        )
        if recorded.following is not None and self.main:
            number = int(recorded.following[min(example, len(recorded.following) - 1)])
            maps.following = None if number < 0 else token_label(self.labels.tokenizer, number)
        return maps

    def _pictured(self, queries: Tokens, keys: Tokens, example: int) -> tuple[Tokens, Tokens, list[str]]:
        """Tokens of both sides with their pictures, and a sentence where these have no places."""
        recorded, part = self.recorded, self.part
        gallery = Gallery(self.model, recorded.inputs, self.labels)
        reached = recorded.reached.get(part.key, frozenset()), recorded.reached_by_keys.get(part.key, frozenset())
        sides = [("queries", queries, 0), ("keys", keys, 1)][: 2 if part.crossing or queries != keys else 1]

        def laid(side: int, tokens: Tokens) -> Laid | None:
            return recorded.grids.get((part.key, side, len(tokens)))

        put = [
            (side, *gallery.put(tokens, laid(i, tokens), reached[i], part.key[0], example, part.batch))
            for side, tokens, i in sides
        ]
        notes = [
            f"The picture that its {side if len(put) > 1 else 'tokens'} were made of has no places among them: {why}."
            for side, _, why in put
            if why
        ]
        return put[0][1], put[-1][1], notes

    def _axes(self) -> tuple[Axis, Axis]:
        """Labels of queries and keys."""
        recorded, part, labels = self.recorded, self.part, self.labels
        first = part.calls[0]
        read = self.queries_read
        if part.crossing:
            return self._axes_across()
        own = self._sequence(read, first.n_queries, main=self.main)
        if first.n_keys == first.n_queries:
            return own, own
        if not first.front and not recorded.past:
            # Some of the queries of a sequence, and all of its keys.
            ids = self.keys_read.ids if self.keys_read is not None else None
            return self._sequence(read, first.n_queries, main=False), Axis(ids, labels=replace(labels, prefix=0))
        front = first.n_keys - first.n_queries
        known = self.keys_read.ids if self.keys_read is not None and self.main else None
        if known is None or known.shape[1] != first.n_keys:
            ids = own.ids
            known = None if ids is None else torch.cat([torch.full((len(ids), front), -1), ids], 1)
        keys = replace(own, ids=known, cached=max(front, recorded.past) if self.main else front)
        if self.main:
            keys = replace(
                keys, prompt=recorded.prompt and recorded.prompt + front,
                labels=replace(labels, prefix=labels.prefix or recorded.learned),
            )  # fmt: skip
            own = replace(own, labels=_without_front(labels, front))
        return own, keys

    def _axes_across(self) -> tuple[Axis, Axis]:
        labels, read = self.labels, self.queries_read
        first = self.part.calls[0]
        queries = self._sequence(read, first.n_queries, main=self.main)
        plain = replace(labels, tokens=None, spans=(), prefix=0)
        source = labels if not self.main or is_encoder_decoder(self.model) else plain
        keys = Axis(None if self.keys_read is None else self.keys_read.ids, labels=replace(source, prefix=0))
        if source.tokens is not None and len(source.tokens) != first.n_keys:
            keys = replace(keys, labels=replace(plain))
        return queries, keys

    def _sequence(self, read: Read | None, n: int, *, main: bool) -> Axis:
        labels = self.labels
        learned = self.recorded.learned if read is None or not read.learned else read.learned
        ids = None if read is None or read.ids.shape[1] != n else read.ids
        if read is not None and read.learned:
            labels = replace(labels, prefix=labels.prefix or read.learned)
        elif "inputs_embeds" not in self.recorded.inputs and not (main and learned and self.recorded.past == 0):
            labels = replace(labels, prefix=0)
        return Axis(ids, prompt=self.recorded.prompt if main else 0, labels=labels)

    def _real(self, example: int) -> tuple[Tensor | None, Tensor | None]:
        """Queries and keys that are no padding: None where all are."""
        part = self.part
        first, shared = part.calls[0], self._shared.setdefault(example, {})
        n_queries, n_keys = first.n_queries, first.n_keys
        named_rows, named_columns = self._named(example)

        def seen_by(rows: Tensor | None) -> Tensor:
            seen = torch.zeros(n_keys, dtype=torch.bool)
            for call in part.calls:
                seen |= call.seen_by(example, rows, shared).cpu()
            return seen

        rows = None if named_rows is None else named_rows.nonzero().flatten()
        seen = seen_by(rows)
        if named_columns is not None and bool((seen & ~named_columns).any()):
            named_columns, seen = None, seen_by(None)  # it attends to what is called padding: that is for all to see
            named_rows = named_rows if part.crossing else None
        real = seen if named_columns is None else seen & named_columns
        if named_columns is None and not (bool(seen.any()) and self._see_themselves(example, seen)):
            real = torch.ones_like(seen)
        if part.crossing:
            own = named_rows
        elif n_keys == n_queries:
            own = real
        else:
            own = real[first.front : first.front + n_queries]
            own = own if len(own) == n_queries else torch.ones(n_queries, dtype=torch.bool)
        rows = None if own is None or bool(own.all()) else own.nonzero().flatten()
        return rows, None if bool(real.all()) else real.nonzero().flatten()

    def _see_themselves(self, example: int, seen: Tensor) -> bool:
        """Whether positions that are seen by any see themselves, so that one that is not is padding, and no rule."""
        first = self.part.calls[0]
        if self.part.crossing:
            return True
        if first.n_queries > first.n_keys:
            return False  # its queries are no keys, whatever they were made of
        own = torch.zeros(first.n_queries, dtype=torch.bool)
        for call in self.part.calls:
            diagonal = call.sees_itself(example)
            if diagonal is None:
                return True
            own[: len(diagonal)] |= diagonal.cpu()
        return bool(own[seen[first.front : first.front + first.n_queries]].all())

    def _named(self, example: int) -> tuple[Tensor | None, Tensor | None]:
        """What masks of the inputs call real, among queries and keys, where they have their length."""
        inputs, part = self.recorded.inputs, self.part
        first = part.calls[0]

        def of(names: Sequence[str], length: int) -> Tensor | None:
            for name in names:
                for held in (inputs, self.recorded.encoder_inputs):
                    mask = held.get(name)
                    if isinstance(mask, Tensor) and mask.ndim == 2 and mask.shape[1] == length:
                        return mask[min(example, len(mask) - 1)].bool().cpu()
            return None

        target = ("decoder_attention_mask",) if self._has_source() else ("attention_mask",)
        if part.crossing:
            source = ("encoder_attention_mask", "attention_mask") if self._has_source() else ("encoder_attention_mask",)
            return of(target, first.n_queries), of(source, first.n_keys)
        names = target if self.main or not self._has_source() else ("attention_mask",)
        if part.name == "encoder":
            names = ("attention_mask",)
        columns = of(names, first.n_keys)
        if columns is None:
            own = of(names, first.n_queries)
            if own is not None and first.n_keys != first.n_queries:
                columns = torch.ones(first.n_keys, dtype=torch.bool)
                columns[first.front : first.front + first.n_queries] = own
        if columns is None:
            return None, None
        return columns[first.front : first.front + first.n_queries], columns

    def _has_source(self) -> bool:
        return is_encoder_decoder(self.model)


def _labels_of(part: Part, parts: Sequence[Part], recorded: Pass, labels: Labels) -> Labels:
    """What the caller said, as far as it is about this part."""
    if len(parts) == 1:
        return labels
    plain = replace(labels, spans=())
    if recorded.main is not None and part.key[0] == recorded.main[0] and any(p.name == "encoder" for p in parts):
        return replace(plain, tokens=None) if not part.crossing else plain
    if is_tower(part.key[0]):
        return replace(plain, tokens=None)
    return plain


def _without_front(labels: Labels, front: int) -> Labels:
    spans = tuple(
        replace(span, start=span.start - front, stop=span.stop - front) for span in labels.spans if span.start >= front
    )
    return replace(labels, prefix=0, spans=spans)


def _check_finite(calls: Sequence[Call], name: str) -> list[str]:
    """Say where NaN came into the model: its rows have no values."""
    for call in calls:
        if not isinstance(call, Projections):
            continue
        for what, vectors in (("queries", call.query), ("keys", call.key)):
            if bool(vectors.sum(dtype=torch.promote_types(vectors.dtype, torch.float32)).isfinite()):
                continue  # one number tells of them all
            broken = (~vectors.isfinite()).flatten(2).any(-1).any(0).nonzero().flatten().tolist()
            if broken:
                note = (
                    f"{name}: the {what} of layer {call.place.layer} hold NaN or infinity in heads "
                    f"{', '.join(map(str, broken))}: rows made from them have no values, here and in the layers above."
                )
                warnings.warn(note, AttentionWarning, stacklevel=6)
                return [note]
    return []
