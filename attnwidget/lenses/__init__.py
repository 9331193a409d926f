"""Lenses: maps made of maps. Each is a Layer over other Layers, and nothing is computed before it is looked at."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from attnwidget.layers import Layer
from attnwidget.lenses.chosen import ChosenHeads
from attnwidget.lenses.heads import LargestOfHeads, MeanOfHeads
from attnwidget.lenses.leaving import keep_only, leave_out, named
from attnwidget.lenses.lensed import lensed
from attnwidget.lenses.through import FLOW_TOKENS, ROLLOUT_TOKENS, flowing, rolling
from attnwidget.lenses.weighted import SizeOfSum, TimesFactors, products_of, sizes_of
from attnwidget.lenses.words import merged
from attnwidget.maps import AttentionMaps
from attnwidget.values import values_of

__all__ = [
    "CHOSEN",
    "ROLLOUT_TOKENS",
    "derived_by_name",
    "derived_maps",
    "derived_name",
    "largest_of_heads",
    "mean_of_chosen",
    "mean_of_heads",
    "one_a_layer",
    "only",
    "size_of_sum",
    "value_weighted",
    "without",
    "words",
]

CHOSEN = "mean of chosen heads"
NAMED = 8  # heads in a note


def mean_of_heads(maps: AttentionMaps) -> AttentionMaps:
    """Maps of one head a layer, the mean of its heads."""
    return one_a_layer(maps, [MeanOfHeads(layer) for layer in maps.layers], "mean of heads")


def largest_of_heads(maps: AttentionMaps) -> AttentionMaps:
    """Maps of one head a layer, the elementwise largest of its heads."""
    return one_a_layer(maps, [LargestOfHeads(layer) for layer in maps.layers], "largest of heads")


def words(maps: AttentionMaps) -> AttentionMaps:
    """Maps of words: see `AttentionMaps.words`."""
    return merged(maps).maps


def without(maps: AttentionMaps, *, special: bool, sinks: bool, tokens: Any) -> AttentionMaps:
    """Maps without some tokens: see `AttentionMaps.without`."""
    queries, keys = named(maps, tokens)
    return leave_out(maps, special=special, sinks=sinks, queries=queries, keys=keys).maps


def only(maps: AttentionMaps, *, tokens: Any, spans: Any) -> AttentionMaps:
    """Maps of some tokens alone: see `AttentionMaps.only`."""
    queries, keys = named(maps, tokens, spans)
    if not queries and not keys:
        raise ValueError(
            "only() came without a token or span to show; name some, as only([0, 1]) or only(spans='prompt')."
        )
    return keep_only(maps, queries or None, keys or None).maps


def value_weighted(maps: AttentionMaps) -> AttentionMaps:
    """Maps of weights times the size of what each key adds, each row divided by its sum; ValueError says why not."""
    layers = [TimesFactors(layer, sizes) for layer, sizes in zip(maps.layers, sizes_of(maps.layers), strict=True)]
    note = "Weights times the size of what the value of each key adds, as shares of their row."
    return lensed(maps, layers, maps.tokens, maps.key_tokens, [note])


def size_of_sum(maps: AttentionMaps) -> AttentionMaps:
    """Maps of one head a layer: the size of what all heads add together through each key, as shares of a row."""
    layers = [SizeOfSum(layer, each) for layer, each in zip(maps.layers, products_of(maps.layers), strict=True)]
    return one_a_layer(maps, layers, "size of what heads add")


def mean_of_chosen(maps: AttentionMaps, heads: Sequence[tuple[int, int]]) -> AttentionMaps:
    """Maps of one layer and one head, the mean of heads (layer, head) of any layers; a note says which."""
    names = [f"layer {maps.layer_numbers[layer]} head {maps.head_numbers[layer][head]}" for layer, head in heads]
    shown = names if len(names) <= NAMED else [*names[:NAMED], f"{len(names) - NAMED} more"]
    chosen = ChosenHeads([(maps.layers[layer], head) for layer, head in heads])
    return one_a_layer(
        maps, [MeanOfHeads(chosen)], CHOSEN, notes=[f"The mean of {len(heads)} heads: {', '.join(shown)}."]
    )


def derived_maps(maps: AttentionMaps) -> dict[str, AttentionMaps]:
    """Maps that all heads of some maps make together.

    Parameters
    ----------
    maps : AttentionMaps
        The maps of single heads.

    Returns
    -------
    dict of str to AttentionMaps
        "mean of heads" and "largest of heads" of each layer; "size of what heads add" where values were kept; for
        self-attention "rollout" up to each layer, and for short texts "flow" from the last. Nothing is computed before
        it is looked at.
    """
    if not all(getattr(layer, "rescales", True) for layer in maps.layers):
        return {}  # no shares: one part of what has a sign
    found = [mean_of_heads(maps), largest_of_heads(maps)] if max(maps.heads) > 1 else []
    held = [values_of(layer) for layer in maps.layers]
    if all(values is not None and values.products is not None for values in held):
        found.append(size_of_sum(maps))
    n = maps.n_queries
    if 2 <= n == maps.n_keys:
        if n <= ROLLOUT_TOKENS:
            found.append(one_a_layer(maps, rolling(maps), "rollout"))
        if n <= FLOW_TOKENS and maps.n_layers > 1:
            found.append(one_a_layer(maps, [flowing(maps)], "flow"))
    return {derived.name: derived for derived in found}


def derived_by_name(heads: dict[str, AttentionMaps]) -> dict[str, tuple[AttentionMaps, str, str]]:
    """Derived maps with the names they are chosen by, what they are, and what they were derived from."""
    found = {}
    for name, maps in heads.items():
        for kind, derived in derived_maps(maps).items():
            chosen = derived_name(kind, name, heads)
            if chosen not in heads:
                found[chosen] = (derived, kind, name)
    return found


def derived_name(kind: str, source: str, heads: Collection[str]) -> str:
    """What derived maps are chosen by, among the maps of so many names."""
    return kind if len(heads) == 1 else f"{source}: {kind}"


def one_a_layer(maps: AttentionMaps, layers: Sequence[Layer], name: str, *, notes: Sequence[str] = ()) -> AttentionMaps:
    """Other layers of the same text; one layer alone is the last."""
    keys = None if maps.key_tokens is maps.tokens else maps.key_tokens
    last = slice(-len(layers), None)
    return AttentionMaps(
        layers,
        maps.tokens,
        keys,
        name=name,
        layer_names=maps.layer_names[last],
        layer_numbers=maps.layer_numbers[last],
        notes=(*maps.notes, *notes),
        following=maps.following,
    )
