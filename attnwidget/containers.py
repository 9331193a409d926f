"""Containers: what holds attention arrays, opened: outputs of models, dicts and files of arrays, data frames, steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor

from attnwidget.intake import as_tensor, listed
from attnwidget.steps import join

__all__ = ["Held", "named", "unwrap"]

_ATTENTIONS = ("attentions", "encoder_attentions", "decoder_attentions", "cross_attentions")
_WAYS = (
    "Use attnwidget.capture(model, inputs), which works with every attention implementation, or load the model with "
    "attn_implementation='eager' and pass output_attentions=True."
)
_IF_ASKED = (
    "If it is what a transformers model gave as its attentions, it gave none: with sdpa or flash attention nothing is "
    f"returned. {_WAYS}"
)
_HOOK = re.compile(
    r"(?P<stack>.*?)(?P<number>\d+)\.(?P<place>\w*attn\w*)\.hook_(?P<what>pattern|attn_scores|(?:rot_)?[qk])"
)


@dataclass(frozen=True)
class Held:
    """Arrays, and what their container says of them.

    Parameters
    ----------
    arrays : list of arrays, or array
        One array a layer, or one for all.
    names : tuple of str or None
        Names of the layers.
    called : tuple of str or None
        What the arrays are called in errors.
    numbers : tuple of int or None
        Numbers of the layers.
    rows, columns : tuple of str or None
        Labels of the queries and of the keys.
    notes : tuple of str
        What a reader of the maps should know.
    generated : bool
        Whether it is a generation, whose last token has no row.
    """

    arrays: Any
    names: tuple[str, ...] | None = None
    called: tuple[str, ...] | None = None
    numbers: tuple[int, ...] | None = None
    rows: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    generated: bool = False


def unwrap(what: Any, name: str = "weights") -> Held:
    """The arrays in whatever holds them.

    Parameters
    ----------
    what : model output, mapping, data frame, sequence, array
        Anything else is taken for an array.
    name : str
        What it is called in errors.

    Raises
    ------
    ValueError
        When there is none in it, or several kinds, or an order that cannot be told.
    """
    if what is None:
        raise ValueError(f"{name} is None. {_IF_ASKED}")
    if _is_frame(what):
        return Held(what.to_numpy(), rows=_labels(what.index), columns=_labels(what.columns))
    if _has_names(what):
        return _from_names(what, name)
    if isinstance(what, (tuple, list)):
        return _from_sequence(what, name)
    return Held(what)


def named(what: Any, name: str) -> Held:
    """Arrays in the order of their names, where they have names; anything else as it is."""
    if _has_names(what) and not _is_frame(what):
        return _by_name(what, list(what.keys()), name)
    return Held(np.asarray(what, dtype=np.float64) if _holds_numbers(what) else what)


def _has_names(what: Any) -> bool:
    """Whether it is a mapping, or acts as one, as a cache of TransformerLens does; series are arrays."""
    acts = callable(getattr(what, "keys", None)) and hasattr(what, "__getitem__")
    return isinstance(what, Mapping) or (acts and not hasattr(what, "__array__"))


def _is_frame(what: Any) -> bool:
    return all(hasattr(what, part) for part in ("to_numpy", "index", "columns"))


def _labels(axis: Iterable[Any]) -> tuple[str, ...]:
    return tuple(" ".join(map(str, label)) if isinstance(label, tuple) else str(label) for label in axis)


def _from_names(held: Any, name: str) -> Held:
    keys = list(held.keys())
    kind = type(held).__name__
    found = [key for key in _ATTENTIONS if key in keys and held[key] is not None]
    if len(found) > 1:
        raise ValueError(
            f"{name} is a {kind} with {', '.join(found)}: a map shows one of them, each has tokens of its own. Pass "
            f"one, for example outputs.{found[0]}."
        )
    if found:
        if "beam_indices" in keys and held["beam_indices"] is not None:
            raise ValueError(
                f"{name} is a {kind} whose beams were searched: one row of its batch is not one text. "
                "attnwidget.capture(model, inputs, tokenizer, generate={'num_beams': ...}) follows the beams."
            )
        return unwrap(held[found[0]], f"{name}.{found[0]}")
    if hasattr(held, "to_tuple"):  # an output of transformers
        raise ValueError(
            f"{name} is a {kind} without attentions: it has {', '.join(map(str, keys)) or 'nothing'}. Models fill "
            f"them in when they are asked to, and sdpa and flash attention never do. {_WAYS}"
        )
    hooks = {key: match for key in keys if isinstance(key, str) and (match := _HOOK.fullmatch(key))}
    if hooks:
        return _from_hooks(held, hooks, name)
    return _by_name(held, keys, name)


def _by_name(held: Any, keys: list[Any], name: str) -> Held:
    """Arrays with names, in the order of the numbers in these."""
    if not keys:
        raise ValueError(f"{name} is an empty {type(held).__name__}; expected one array a layer.")
    if not all(isinstance(key, (str, int)) for key in keys):
        raise ValueError(
            f"{name} has the key {next(key for key in keys if not isinstance(key, (str, int)))!r}, from which the "
            "order of layers cannot be told. Pass a list of arrays, one a layer."
        )
    if len(keys) == 1:
        return _only(held[keys[0]], keys[0], name)
    numbers = {key: tuple(int(number) for number in re.findall(r"\d+", str(key))) for key in keys}
    if any(numbers.values()):
        keys = sorted(keys, key=lambda key: numbers[key])
        same = next((pair for pair in pairwise(keys) if numbers[pair[0]] == numbers[pair[1]]), None)
        if same is not None:
            raise ValueError(
                f"{name} holds {same[0]!r} and {same[1]!r}: two arrays of one number, so that the order of layers "
                "cannot be told. A map shows one stack of layers: pass those of one, "
                f"{{name: {name}[name] for name in {name} if ...}}, or a list of them in order."
            )
    arrays = [held[key] for key in keys]
    called = tuple(f"{name}[{key!r}]" for key in keys)
    if all(isinstance(key, int) for key in keys):
        return _of_layers(Held(arrays, called=called, numbers=tuple(keys) if keys[0] >= 0 else None), name)
    return _of_layers(Held(arrays, tuple(map(_place, keys)), called), name)


def _only(array: Any, key: Any, name: str) -> Held:
    """The one array of a container: a layer, or all of them."""
    inner = unwrap(array, f"{name}[{key!r}]")
    if isinstance(inner.arrays, list):
        return inner
    return replace(inner, names=inner.names if isinstance(key, int) else (_place(key),))


def _place(key: Any) -> str:
    return re.sub(r"\.hook_\w+$", "", str(key))


def _from_hooks(held: Any, hooks: Mapping[str, re.Match[str]], name: str) -> Held:
    """The activations that TransformerLens cached."""
    stacks = list(dict.fromkeys((match["stack"], match["place"]) for match in hooks.values()))
    if len(stacks) > 1:
        stack, place = stacks[0]
        kinds = " and ".join(f"'{stack}*.{place}'" for stack, place in stacks)
        raise ValueError(
            f"{name} holds the attention of {kinds}: a map shows one of them, each has tokens of its own. Pass one, "
            f"for example {{name: cache[name] for name in cache if name.startswith({stack!r}) and "
            f"'.{place}.' in name}}."
        )
    kinds_held = {match["what"] for match in hooks.values()}
    wanted = next((what for what in ("pattern", "attn_scores") if what in kinds_held), None)
    if wanted is None:
        rotated = "rot_" if "rot_q" in kinds_held else ""  # what goes into the product
        before = "" if rotated else " (in a model with rotary positions hook_rot_q and hook_rot_k, which are not there)"
        raise ValueError(
            f"{name} holds no patterns; it has {', '.join(f'hook_{what}' for what in sorted(kinds_held))}. Cache "
            f"'hook_pattern', or make maps of queries and keys{before}, which you know the scaling and the mask of: "
            "AttentionMaps.from_queries_keys("
            + ", ".join(f"{{name: cache[name] for name in cache if name.endswith('.hook_{rotated}{x}')}}" for x in "qk")
            + ", layout='BNHD', causal=True)."
        )
    chosen = sorted((key for key in hooks if hooks[key]["what"] == wanted), key=lambda key: int(hooks[key]["number"]))
    arrays, notes = [held[key] for key in chosen], []
    if wanted == "attn_scores":
        arrays = [_softmax(as_tensor(array, f"{name}[{key!r}]")) for array, key in zip(arrays, chosen, strict=True)]
        notes = ["The weights are the softmax of hook_attn_scores."]
    return Held(
        arrays,
        tuple(map(_place, chosen)),
        tuple(f"{name}[{key!r}]" for key in chosen),
        tuple(int(hooks[key]["number"]) for key in chosen),
        notes=tuple(notes),
    )


def _softmax(scores: Tensor) -> Tensor:
    """Weights of scores; a row that sees no key gives nothing to any."""
    hidden = (scores == -np.inf).all(-1, keepdim=True)
    return scores.detach().float().softmax(-1).masked_fill(hidden, 0)


def _from_sequence(items: Sequence[Any], name: str) -> Held:
    kind = type(items).__name__
    if len(items) == 0:
        raise ValueError(f"{name} is an empty {kind}. {_IF_ASKED}")
    if _holds_numbers(items):
        return Held(np.asarray(items, dtype=np.float64))
    if all(isinstance(item, (tuple, list)) for item in items):
        return _from_steps(items, name)
    return _of_layers(Held(list(items), called=tuple(f"{name}[{i}]" for i in range(len(items)))), name)


def _of_layers(held: Held, name: str) -> Held:
    """One array or data frame a layer; layers without attention are left out."""
    arrays = held.arrays
    missing = [i for i, layer in enumerate(arrays) if layer is None]
    if len(missing) == len(arrays):
        raise ValueError(f"{name} holds None for layer 0 ({len(missing)} of {len(arrays)} in all). {_IF_ASKED}")
    if missing:
        held = _chosen(held, [i for i in range(len(arrays)) if i not in missing])
        note = f"Layers {listed(missing)} came without attention (None) and are left out."
        held = replace(held, notes=(*held.notes, note))
    if all(_is_frame(layer) for layer in held.arrays):
        labels = {(_labels(frame.index), _labels(frame.columns)) for frame in held.arrays}
        if len(labels) > 1:
            raise ValueError(
                f"{name} holds data frames with different labels; the layers of a map have the same tokens. Make one "
                "AttentionMaps for each, or pass frame.to_numpy() with tokens= and key_tokens=."
            )
        rows, columns = labels.pop()
        # A frame has no axis for heads.
        arrays = [frame.to_numpy()[None] for frame in held.arrays]
        return replace(held, arrays=arrays, rows=rows, columns=columns)
    return held


def _chosen(held: Held, places: Sequence[int]) -> Held:
    pick: Callable[[Any], Any] = lambda values: None if values is None else tuple(values[i] for i in places)  # noqa: E731
    numbers = held.numbers or tuple(range(len(held.arrays)))
    return replace(
        held,
        arrays=[held.arrays[i] for i in places],
        names=pick(held.names),
        called=pick(held.called),
        numbers=pick(numbers),
    )


def _from_steps(items: Sequence[Any], name: str) -> Held:
    """Layers of every step of generate(), as one array a layer."""
    counts = sorted({len(item) for item in items})
    what = f"{name} is a {type(items).__name__} of {len(items)} {type(items[0]).__name__}s"
    if counts[0] == 0:
        raise ValueError(f"{what}, and there is nothing in them. {_IF_ASKED}")
    if len(counts) > 1:
        raise ValueError(f"{what} of {counts} arrays; expected the same layers in each. Pass one of them: {name}[0].")
    kept = [layer for layer in range(counts[0]) if any(item[layer] is not None for item in items)]
    if not kept:
        raise ValueError(f"{what}, and they hold None. {_IF_ASKED}")
    layers = [
        [as_tensor(item[layer], f"{name}[{step}][{layer}]").detach() for step, item in enumerate(items)]
        for layer in kept
    ]
    shapes = [tuple(array.shape) for array in layers[0][:3]]
    if any(array.ndim != 4 for layer in layers for array in layer):
        raise ValueError(
            f"{what}, whose arrays have shapes {shapes}; expected what generate() returns: for each step one array "
            "[batch, heads, queries, keys] a layer. If the outer ones are layers and the inner ones heads, stack them: "
            "[numpy.stack(heads) for heads in weights]."
        )
    joined = [join(layer) for layer in layers]
    if any(layer is None for layer in joined):
        raise ValueError(
            f"{what} with arrays of shapes {shapes} ..., which are not the steps of one generate(): they do not go on "
            f"from each other. If they are several texts, pass one: {name}[0]. Of a generation, attnwidget.capture("
            "model, inputs, tokenizer, generate={'max_new_tokens': ...}) gives the whole map, whatever the cache."
        )
    notes = [f"Joined from {len(items)} steps of generate()."] if len(items) > 1 else []
    if len(items) > 1 and layers[0][0].shape[0] > 1:
        notes.append(
            "A row of the batch is taken for one text: with beam search it is not, and "
            "attnwidget.capture(generate=...) follows the beams."
        )
    numbers = None if len(kept) == counts[0] else tuple(kept)
    return Held(
        joined, called=tuple(f"{name}[:][{i}]" for i in kept), numbers=numbers, notes=tuple(notes), generated=True
    )


def _holds_numbers(nested: Any) -> bool:
    """Whether nested lists end in numbers, and not in arrays."""
    while isinstance(nested, (tuple, list)) and nested:
        nested = nested[0]
    return isinstance(nested, (int, float)) and not isinstance(nested, bool)
