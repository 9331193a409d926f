"""From what a pass left to maps: names, padding, tokens."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from attnwidget.capturing.recorder import Call, Pass
from attnwidget.intake import AttentionWarning, dense_layers
from attnwidget.layers import Layer, Mask, ProjectedLayer
from attnwidget.maps import AttentionMaps
from attnwidget.tokens import Tokens

__all__ = ["assemble", "is_matrices"]

_SEEN = re.compile(r"vision|visual|image|audio", re.IGNORECASE)
_CROSS = re.compile(r"cross|encoder_attn|encdec|enc_dec", re.IGNORECASE)


@dataclass(frozen=True)
class _Axis:
    """One side of the maps, for the whole batch: which positions are real, and what their tokens are."""

    ids: Tensor | None
    real: Tensor | None
    cached: bool = False  # whether keys of earlier passes come before these

    @classmethod
    def of(cls, inputs: dict[str, Any], prefix: str = "") -> _Axis:
        ids, real = inputs.get(f"{prefix}input_ids"), inputs.get(f"{prefix}attention_mask")
        cached = inputs.get("past_key_values") is not None
        return cls(ids, real.bool() if isinstance(real, Tensor) and real.ndim == 2 else None, cached)

    def of_example(
        self, example: int, length: int, device: torch.device, tokenizer: Any
    ) -> tuple[Tensor | None, Tokens]:
        """Real positions of one example, None where all are, and their tokens."""
        real = self.positions(example, length, device)
        return real, self.tokens(example, length, real, tokenizer)

    def positions(self, example: int, length: int, device: torch.device) -> Tensor | None:
        """Real positions of one example among ``length``, or None where all are real."""
        if self.real is None or self.real.shape[1] != length:
            return None
        real = self.real[min(example, self.real.shape[0] - 1)]
        return None if bool(real.all()) else real.nonzero().flatten().to(device)

    def tokens(self, example: int, length: int, kept: Tensor | None, tokenizer: Any) -> Tokens:
        """Tokens of one example, padding left out."""
        # Patches of a picture beside a text are no tokens of that text.
        if self.ids is None or self.ids.shape[1] > length or (self.ids.shape[1] < length and not self.cached):
            tokens = Tokens.positions(length)
        else:
            ids = self.ids[min(example, self.ids.shape[0] - 1)].tolist()
            known = Tokens.positions(0) if tokenizer is None else Tokens.from_tokenizer(tokenizer, ids)
            if tokenizer is None:
                known = Tokens(tuple(map(str, ids)), tuple(ids))
            # Cached keys come before the tokens of this pass; what they were, this pass does not know.
            before = length - len(ids)
            tokens = known if before == 0 else _join(Tokens.positions(before), known)
        return tokens if kept is None else tokens[kept.tolist()]


def assemble(recorded: Pass, tokenizer: Any, *, encoder_decoder: bool) -> list[dict[str, AttentionMaps]]:
    """Maps of each example of a pass, by name.

    Parameters
    ----------
    recorded : Pass
        What the recorder kept.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Gives the ids their labels.
    encoder_decoder : bool
        Whether the model has an encoder and a decoder.

    Returns
    -------
    list of dict
        One dict an example: "attention", or "encoder", "decoder" and "cross", or the names of the model's parts.
    """
    if encoder_decoder:
        source = _Axis.of(recorded.inputs or recorded.encoder_inputs)
        if source.ids is None:
            source = _Axis.of(recorded.encoder_inputs)
        target = _Axis.of(recorded.inputs, "decoder_")
        if target.ids is None:
            target = _Axis.of(recorded.decoder_inputs)
    else:
        source = target = _Axis.of(recorded.inputs)
        encoder_mask = recorded.inputs.get("encoder_attention_mask")
        if isinstance(encoder_mask, Tensor):
            source = _Axis(None, encoder_mask.bool())
        elif "encoder_hidden_states" in recorded.inputs:
            source = _Axis(None, None)
    sides = {"encoder": (source, source), "cross": (target, source), "decoder": (target, target)}
    unread = _Axis(None, None)
    groups = _matrices(recorded) if recorded.outputs is not None else _calls(recorded, encoder_decoder=encoder_decoder)
    size = max(group.batch for group in groups.values())
    expected = _batch_of(recorded)
    for name, group in groups.items():
        if expected is not None and group.batch not in {expected, 1}:
            raise ValueError(
                f"{name!r}: attention was computed on {group.batch} pieces for a batch of {expected}, so its "
                "maps cover windows of the input and not the whole. Such maps cannot be shown as one."
            )
    return [
        {
            name: group.maps(
                min(example, group.batch - 1),
                name,
                *((unread, unread) if _SEEN.search(name) else sides.get(name, (target, target))),
                tokenizer,
            )
            for name, group in groups.items()
        }
        for example in range(size)
    ]


@dataclass
class _Calls:
    """Calls of one kind, one a layer."""

    calls: Sequence[Call]

    @property
    def batch(self) -> int:
        return self.calls[0].query.shape[0]

    def maps(self, example: int, name: str, queries: _Axis, keys: _Axis, tokenizer: Any) -> AttentionMaps:
        first = self.calls[0]
        device = first.query.device
        rows, row_tokens = queries.of_example(example, first.query.shape[2], device, tokenizer)
        columns, column_tokens = keys.of_example(example, first.key.shape[2], device, tokenizer)
        shared: dict[tuple[str, int], Any] = {}  # layers of one pass share their mask and bias
        layers = [self._layer(call, example, rows, columns, shared) for call in self.calls]
        return AttentionMaps(
            layers,
            row_tokens,
            None if row_tokens == column_tokens else column_tokens,
            name=name,
            layer_names=[call.module for call in self.calls],
            notes=[*self._notes(), *_check_finite(self.calls, name)],
        )

    def _notes(self) -> list[str]:
        notes = []
        if any(call.position_bias is not None and call.position_bias.any() for call in self.calls):
            notes.append("This model adds a position bias to its scores; temperature and scaling act on the sum.")
        if any(call.softcap is not None for call in self.calls):
            notes.append("This model caps its scores; temperature and scaling act on the capped scores.")
        if any(call.sinks is not None for call in self.calls):
            notes.append("Part of each row goes to a learned sink that is no token: rows sum to less than 1.")
        return notes

    @staticmethod
    def _layer(
        call: Call,
        example: int,
        rows: Tensor | None,
        columns: Tensor | None,
        shared: dict[tuple[str, int], Any],
    ) -> Layer:
        def cut(term: Tensor, kind: str) -> Tensor:
            if (kind, id(term)) not in shared:
                own = term[min(example, term.shape[0] - 1)][..., : call.key.shape[2]]
                shared[kind, id(term)] = _cut(own, rows, columns)
            kept: Tensor = shared[kind, id(term)]
            return kept

        mask = Mask()
        if call.mask is not None:
            if ("rule", id(call.mask)) not in shared:
                shared["rule", id(call.mask)] = Mask.from_additive(cut(call.mask, "mask"))
            mask = shared["rule", id(call.mask)]
        bias = None if call.position_bias is None else cut(call.position_bias, "bias")
        return ProjectedLayer(
            q=_own(call.query, example, rows),
            k=_own(call.key, example, columns),
            scaling=call.scaling,
            mask=mask,
            bias=bias if bias is not None and bool(bias.any()) else None,
            softcap=call.softcap,
            sinks=None if call.sinks is None else call.sinks.flatten(),
            dropout=call.dropout,
        )


@dataclass
class _Matrices:
    """Matrices that the model itself returned, one [batch, heads, queries, keys] a layer."""

    matrices: Sequence[Tensor]

    @property
    def batch(self) -> int:
        return self.matrices[0].shape[0]

    def maps(self, example: int, name: str, queries: _Axis, keys: _Axis, tokenizer: Any) -> AttentionMaps:
        n_queries, n_keys = self.matrices[0].shape[2:]
        device = self.matrices[0].device
        rows, row_tokens = queries.of_example(example, n_queries, device, tokenizer)
        columns, column_tokens = keys.of_example(example, n_keys, device, tokenizer)
        layers, notes = dense_layers([_cut(matrix[example], rows, columns) for matrix in self.matrices])
        return AttentionMaps(
            layers, row_tokens, None if row_tokens == column_tokens else column_tokens, name=name, notes=notes
        )


def _own(vectors: Tensor, example: int, real: Tensor | None) -> Tensor:
    """Real positions of one example, which do not keep the rest of the batch alive."""
    if real is not None:
        return vectors[example][:, real]
    return vectors[example] if vectors.shape[0] == 1 else vectors[example].clone()


def _check_finite(calls: Sequence[Call], name: str) -> list[str]:
    """Say where NaN came into the model: its rows have no values."""
    for number, call in enumerate(calls):
        for what, vectors in (("queries", call.query), ("keys", call.key)):
            broken = (~vectors.isfinite()).flatten(2).any(-1).any(0).nonzero().flatten().tolist()
            if broken:
                note = (
                    f"{name}: the {what} of layer {number} hold NaN or infinity in heads "
                    f"{', '.join(map(str, broken))}: rows made from them have no values, here and in the layers above."
                )
                warnings.warn(note, AttentionWarning, stacklevel=5)
                return [note]
    return []


def _cut(term: Tensor, rows: Tensor | None, columns: Tensor | None) -> Tensor:
    """Real rows and columns of [heads, queries, keys]; an axis of length 1 stays as it is."""
    if rows is not None and term.shape[1] != 1:
        term = term[:, rows]
    return term if columns is None else term[..., columns]


def _calls(recorded: Pass, *, encoder_decoder: bool) -> dict[str, _Calls]:
    """Calls by kind. A kind is a stack of layers: the path to the first number in a module's name, and its role."""
    kinds: dict[tuple[str, bool], list[Call]] = {}
    for call in recorded.calls:
        stack = re.split(r"\.\d+", call.module, maxsplit=1)[0]
        kinds.setdefault((stack, bool(_CROSS.search(call.module.removeprefix(stack)))), []).append(call)
    names = _name_kinds(list(kinds), encoder_decoder=encoder_decoder)
    groups = {}
    for kind, calls in kinds.items():
        modules = {call.module for call in calls}
        if len(modules) < len(calls) and len(modules) > 1:
            raise ValueError(
                f"{names[kind]!r}: {len(modules)} attention modules were called {len(calls)} times in one pass, so "
                "that calls are not layers. Give one picture, or one piece of the input, at a time; models that call "
                "their attention twice a layer cannot be shown."
            )
        sizes = [size for size, _ in groupby((c.query.shape[2], c.key.shape[2]) for c in calls)]
        if len(sizes) > 1:
            raise ValueError(
                f"{names[kind]!r}: layers attend over {sizes[0]} and {sizes[1]} queries and keys; maps of one stack "
                "must have one size. Models that pool or work in windows cannot be shown as one."
            )
        groups[names[kind]] = _Calls(calls)
    return groups


def _name_kinds(kinds: list[tuple[str, bool]], *, encoder_decoder: bool) -> dict[tuple[str, bool], str]:
    own = [stack for stack, crossing in kinds if not crossing]
    names: dict[tuple[str, bool], str] = {}
    for stack, crossing in kinds:
        parts = stack.split(".")
        if crossing:
            name = "cross"
        elif encoder_decoder and (side := next((p for p in parts if p in {"encoder", "decoder"}), None)):
            name = side  # the first: a decoder of BERT type has an "encoder" inside
        elif len(own) == 1:
            name = "attention"
        else:
            name = next((part for i, part in enumerate(parts) if _differs(own, i)), stack)
        names[stack, crossing] = name if name not in names.values() else f"{name} ({stack})"
    return names


def _differs(stacks: list[str], i: int) -> bool:
    parts = [stack.split(".") for stack in stacks]
    return len({p[i] if i < len(p) else None for p in parts}) > 1


def _matrices(recorded: Pass) -> dict[str, _Matrices]:
    names = {
        "attentions": "attention",
        "encoder_attentions": "encoder",
        "decoder_attentions": "decoder",
        "cross_attentions": "cross",
    }
    groups = {}
    for attribute, name in names.items():
        matrices: Any = getattr(recorded.outputs, attribute, None)
        if not is_matrices(matrices):
            continue
        n_queries, n_keys = matrices[0].shape[2:]
        if name != "cross" and n_keys != n_queries and recorded.inputs.get("past_key_values") is None:
            raise ValueError(
                f"{name!r}: this model returns maps of {n_queries} queries x {n_keys} keys for its self-attention: "
                "bands around each query, as Longformer does, whose columns are no keys. Such maps cannot be shown."
            )
        groups[name] = _Matrices([matrix.detach() for matrix in matrices])
    return groups


def is_matrices(matrices: Any) -> bool:
    """Whether a model returned one [batch, heads, queries, keys] a layer."""
    return bool(matrices) and all(isinstance(matrix, Tensor) and matrix.ndim == 4 for matrix in matrices)


def _batch_of(recorded: Pass) -> int | None:
    for name in ("input_ids", "inputs_embeds", "pixel_values", "input_features", "input_values", "decoder_input_ids"):
        value = recorded.inputs.get(name)
        if isinstance(value, Tensor):
            return value.shape[0]
    return None


def _join(first: Tokens, second: Tokens) -> Tokens:
    offset = len(first)
    return Tokens(
        first.labels + second.labels,
        None,
        first.special + second.special,
        first.words + tuple(offset + word for word in second.words),
    )
