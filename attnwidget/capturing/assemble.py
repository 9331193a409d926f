"""From what a pass left to maps: which calls belong together, their names, and the axes they stand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from torch import Tensor, nn

from attnwidget.capturing.axes import Axis, Labels, token_label
from attnwidget.capturing.groups import Calls, Group, Matrices
from attnwidget.capturing.keep import Keep
from attnwidget.capturing.pictures import patches_in_text, patches_of_tower
from attnwidget.capturing.recorder import Call, Pass, is_pair, is_tower, side_of
from attnwidget.capturing.registry import transformers_in
from attnwidget.maps import AttentionMaps

__all__ = ["assemble", "is_encoder_decoder", "n_matrices"]

_KINDS = {
    "attentions": "attention",
    "encoder_attentions": "encoder",
    "decoder_attentions": "decoder",
    "cross_attentions": "cross",
}


def assemble(recorded: Pass, model: nn.Module, labels: Labels, keep: Keep) -> list[dict[str, AttentionMaps]]:
    """Maps of each example of a pass, by name.

    Parameters
    ----------
    recorded : Pass
        What the recorder kept.
    model : nn.Module
        The model that ran.
    labels : Labels
        What the caller says of the positions.
    keep : Keep
        What was asked to be kept.

    Returns
    -------
    list of dict
        One dict an example: "attention", or "encoder", "decoder" and "cross", or the names of the model's parts.

    Raises
    ------
    ValueError
        When what was computed is no map of the whole: windows, bands, layers of several sizes; and when no layer has
        a number that was asked for.
    """
    pair = is_encoder_decoder(model)
    groups: dict[str, Group] = {**_calls(recorded, pair=pair), **_matrices(recorded, keep, banded=_is_banded(model))}
    if not groups:
        last = max(recorded.counts.values(), default=1) - 1
        raise ValueError(
            f"layers={sorted(keep.layers or ())}: no layer has one of these numbers; this model's layers go from 0 to "
            f"{last}."
        )
    sides = _sides(_with_frames(recorded, model, groups), labels, pair=pair)
    size = max(group.batch for group in groups.values())
    expected = _batch_of(recorded, model)
    for name, group in groups.items():
        if expected is not None and group.batch not in {expected, 1}:
            raise ValueError(
                f"{name!r}: attention was computed on {group.batch} pieces for a batch of {expected}, so its "
                "maps cover windows of the input and not the whole. Such maps cannot be shown as one."
            )
    alone = labels if len(groups) == 1 else replace(labels, spans=())
    towers = {name: _Tower(recorded, model, group, alone) for name, group in groups.items()}
    examples = []
    for example in range(size):
        made = {}
        for name, group in groups.items():
            own = min(example, group.batch - 1)
            if towers[name].unread:
                axis = towers[name].axis(own)
                made[name] = group.maps(own, name, axis, axis)
                continue
            queries, keys = sides.get(name, sides["decoder"])
            if name == "cross" and "encoder" in towers and towers["encoder"].unread:
                keys = towers["encoder"].axis(min(example, groups["encoder"].batch - 1))
            made[name] = maps = group.maps(own, name, queries, keys)
            same = maps.key_tokens is maps.tokens
            maps.tokens = patches_in_text(model, recorded.inputs, maps.tokens, labels)
            if same:
                maps.key_tokens = maps.tokens
            if recorded.following is not None and name != "encoder":
                number = int(recorded.following[own])
                maps.following = None if number < 0 else token_label(labels.tokenizer, number)
        examples.append(made)
    return examples


class _Tower:
    """The axes of a part that reads a picture or sound, and no text."""

    def __init__(self, recorded: Pass, model: nn.Module, group: Group, labels: Labels) -> None:
        self._tokens = patches_of_tower(model, group.stack, recorded.inputs, group.n_keys)
        self._recorded, self._labels = recorded, labels
        self.unread = self._tokens is not None or is_tower(group.stack)

    def axis(self, example: int) -> Axis:
        if self._tokens is None:
            return Axis()
        tokens = self._tokens.with_picture(example, self._recorded.inputs, self._labels)
        return Axis(labels=Labels(tokens=tokens, spans=self._labels.spans))


def _is_banded(model: nn.Module) -> bool:
    """Whether a model returns bands around each query, as Longformer and LED do."""
    return any(hasattr(getattr(m, "config", None), "attention_window") for m in transformers_in(model))


def is_encoder_decoder(model: nn.Module) -> bool:
    """Whether a model, or one inside it, has an encoder and a decoder."""
    return any(map(is_pair, [model, *transformers_in(model)]))


def _sides(recorded: Pass, labels: Labels, *, pair: bool) -> dict[str, tuple[Axis, Axis]]:
    """Queries' and keys' axis of each kind of maps."""
    inputs, past = recorded.inputs, recorded.past
    labels = replace(labels, prefix=labels.prefix or recorded.learned)
    if pair:
        source = Axis.of(inputs, labels)
        if source.ids is None:
            source = Axis.of({**inputs, **recorded.encoder_inputs}, labels)
        own = replace(labels, tokens=None, spans=())
        target = Axis.of(inputs, own, "decoder_", cached=past)
        if target.ids is None:
            target = Axis.of(recorded.decoder_inputs, own, cached=past)
    else:
        target = source = Axis.of(inputs, labels, cached=past)
        encoder_mask = inputs.get("encoder_attention_mask")
        if isinstance(encoder_mask, Tensor):
            source = Axis(None, encoder_mask.bool())
        elif "encoder_hidden_states" in inputs:
            source = Axis()
    # Cached keys stand in front of the keys, and no query does.
    keys = replace(target, prompt=recorded.prompt and recorded.prompt + past)
    queries = keys
    if past:
        ids, real = _behind(target.ids, recorded), _behind(target.real, recorded)
        queries = Axis(ids, real, prompt=recorded.prompt, labels=_without_front(target))
    return {"encoder": (source, source), "cross": (queries, source), "decoder": (queries, keys)}


def _with_frames(recorded: Pass, model: nn.Module, groups: dict[str, Group]) -> Pass:
    """The pass with its mask of sound samples made one of the frames that attend."""
    real, frames = recorded.inputs.get("attention_mask"), getattr(model, "_get_feature_vector_attention_mask", None)
    if "input_values" not in recorded.inputs or not isinstance(real, Tensor) or frames is None:
        return recorded
    mask = frames(next(iter(groups.values())).n_keys, real)
    return replace(recorded, inputs=recorded.inputs | {"attention_mask": mask})


def _behind(known: Tensor | None, recorded: Pass) -> Tensor | None:
    """What is known of the new tokens, where it is known of the cached ones too."""
    return known[:, recorded.past :] if known is not None and known.shape[1] == recorded.length else known


def _without_front(axis: Axis) -> Labels:
    spans = tuple(
        replace(span, start=span.start - axis.cached, stop=span.stop - axis.cached)
        for span in axis.labels.spans
        if span.start >= axis.cached
    )
    return replace(axis.labels, prefix=0, spans=spans)


def _calls(recorded: Pass, *, pair: bool) -> dict[str, Calls]:
    """Calls by kind. A kind is a stack of layers: the path to the first number in a module's name, and its role."""
    kinds: dict[tuple[str, bool], list[Call]] = {}
    for call in recorded.calls:
        kinds.setdefault((call.stack, call.crossing), []).append(call)
    names = _name_kinds(list(kinds), pair=pair)
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
            raise ValueError(_several_sizes(names[kind], *sizes[:2]))
        groups[names[kind]] = Calls(kind[0], calls)
    return groups


def _several_sizes(name: str, one: Sequence[int], other: Sequence[int]) -> str:
    return (
        f"{name!r}: layers attend over {one[0]} x {one[1]} and {other[0]} x {other[1]} queries and keys; maps of one "
        "stack must have one size. Models that pool or work in windows cannot be shown as one."
    )


def _name_kinds(kinds: list[tuple[str, bool]], *, pair: bool) -> dict[tuple[str, bool], str]:
    own = [stack for stack, crossing in kinds if not crossing]
    names: dict[tuple[str, bool], str] = {}
    for stack, crossing in kinds:
        parts = stack.split(".")
        if crossing:
            name = "cross"
        elif pair and (side := side_of(stack)):
            name = side
        elif len(own) == 1:
            name = "attention"
        else:
            name = next((part for i, part in enumerate(parts) if _differs(own, i)), stack)
        names[stack, crossing] = name if name not in names.values() else f"{name} ({stack})"
    return names


def _differs(stacks: list[str], i: int) -> bool:
    parts = [stack.split(".") for stack in stacks]
    return len({p[i] if i < len(p) else None for p in parts}) > 1


def _matrices(recorded: Pass, keep: Keep, *, banded: bool) -> dict[str, Matrices]:
    groups = {}
    for attribute, name in _KINDS.items():
        given: list[Any] = [getattr(output, attribute, None) for output in recorded.matrices]
        matrices: Sequence[Tensor] = next(filter(_is_matrices, given), ())
        if not matrices:
            continue
        n_queries, n_keys = matrices[0].shape[2:]
        other = next((m.shape[2:] for m in matrices if m.shape[2:] != matrices[0].shape[2:]), None)
        if other is not None:
            raise ValueError(_several_sizes(name, (n_queries, n_keys), other))
        # A band of 513 columns around 513 queries looks like a map.
        if (name != "cross" and n_keys != n_queries + recorded.past) or (banded and name in {"attention", "encoder"}):
            raise ValueError(
                f"{name!r}: this model returns maps of {n_queries} queries x {n_keys} keys for its self-attention: "
                "bands around each query, as Longformer does, whose columns are no keys. Such maps cannot be shown."
            )
        kept = [number for number in range(len(matrices)) if keep.layer(number)]
        if kept:
            held = [matrices[number].detach() for number in kept]
            heads = [keep.heads_of(i, m.shape[1]) or tuple(range(m.shape[1])) for i, m in zip(kept, held, strict=True)]
            groups[name] = Matrices([matrix.cpu() if keep.offload else matrix for matrix in held], kept, heads)
    return groups


def n_matrices(recorded: Pass) -> int:
    """How many layers' matrices a model returned."""
    returned: list[Any] = [getattr(output, kind, None) for output in recorded.matrices for kind in _KINDS]
    return sum(map(len, filter(_is_matrices, returned)))


def _is_matrices(matrices: Any) -> bool:
    """Whether a model returned one [batch, heads, queries, keys] a layer."""
    return bool(matrices) and all(isinstance(matrix, Tensor) and matrix.ndim == 4 for matrix in matrices)


def _batch_of(recorded: Pass, model: nn.Module) -> int | None:
    inputs = recorded.inputs
    main = [str(root.main_input_name) for root in transformers_in(model)]
    named = ("decoder_input_ids", "input_ids", "inputs_embeds", "pixel_values", "input_features", "input_values")
    for name in (*named, *main):
        value = inputs.get(name)
        if isinstance(value, Tensor) and value.ndim > 1:
            return value.shape[0]
    return None
