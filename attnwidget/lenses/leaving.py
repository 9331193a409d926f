"""Leaving out and keeping: which tokens, by what they are, where they stand or what they are called."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch

from attnwidget.lenses.hidden import keep
from attnwidget.lenses.lensed import Lensed, standing
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import positions
from attnwidget.measures.faults import Faults
from attnwidget.measures.rows import SINK_SUMS, sink_scores
from attnwidget.measures.walk import Walk
from attnwidget.tokens import Tokens

__all__ = ["keep_only", "leave_out", "named", "sink_tokens"]

SINK_SCORE = 0.3  # mean weight from the queries that see a token (Gu et al. 2025)
SINK_SHARE = 0.25  # of all heads must give a token that much, for it to be hidden in all
SINK_CELLS = 1 << 26  # of all heads together that are read for it: about half a second
FEWEST_ROWS = 64
_KNOWN: WeakKeyDictionary[AttentionMaps, tuple[set[int], bool]] = WeakKeyDictionary()


def leave_out(
    maps: AttentionMaps,
    *,
    special: bool = False,
    sinks: bool = False,
    queries: Collection[int] = (),
    keys: Collection[int] = (),
) -> Lensed:
    """Maps without some tokens, the rest of each row rescaled; where queries stand among the keys, without both.

    Parameters
    ----------
    maps : AttentionMaps
        All tokens.
    special : bool
        Whether special tokens are left out, of queries and of keys.
    sinks : bool
        Whether sinks are, tokens and learned ones.
    queries, keys : collection of int
        Positions that are left out besides.

    Raises
    ------
    ValueError
        When nothing is left.
    """
    of_special = [{i for i, is_so in enumerate(axis.special) if is_so and special} for axis in _axes(maps)]
    of_sinks, learned = sink_tokens(maps) if sinks else (set(), False)
    groups = {
        "special": _paired(maps, *of_special),
        "sinks": _paired(maps, set(), of_sinks),
        "tokens": _paired(maps, queries, keys),
    }
    asked = {"special": special, "sinks": sinks, "tokens": bool(queries or keys)}
    counts = {kind: _count(maps, *axes) for kind, axes in groups.items()}
    told: list[dict[str, Any]] = [{"kind": kind, "count": counts[kind]} for kind, wanted in asked.items() if wanted]
    if learned:
        next(one for one in told if one["kind"] == "sinks")["learned"] = True
    hidden = [set().union(*(axes[side] for axes in groups.values())) for side in (0, 1)]
    if not any(hidden) and not learned:
        return Lensed(maps, told)
    kept = [[i for i in range(size) if i not in gone] for size, gone in zip(_sizes(maps), hidden, strict=True)]
    return Lensed(keep(maps, kept, _left_out(counts, maps, learned=learned), sinks=not learned), told)


def keep_only(maps: AttentionMaps, queries: Collection[int] | None, keys: Collection[int] | None) -> Lensed:
    """Maps with some tokens alone, their part of each row rescaled; None for all of an axis.

    Where queries stand among the keys, a query stays where its key does.

    Raises
    ------
    ValueError
        When nothing stays.
    """
    offset, (n_queries, n_keys) = standing(maps), _sizes(maps)
    if offset is not None:
        keys = {*(keys or ()), *(query + offset for query in queries or ())}
        queries = {key - offset for key in keys}
    kept = [
        [i for i in range(size) if chosen is None or i in chosen]
        for size, chosen in ((n_queries, queries), (n_keys, keys))
    ]
    told = [{"kind": "only", "count": len(kept[1])}]
    if (len(kept[0]), len(kept[1])) == (n_queries, n_keys):
        return Lensed(maps, told)
    shown = (
        f"{len(kept[1]):,} of {n_keys:,} tokens are"
        if offset is not None
        else f"{len(kept[0]):,} of {n_queries:,} queries and {len(kept[1]):,} of {n_keys:,} keys are"
    )
    note = f"Only {shown} shown, and what they get of each row is rescaled to sum to 1{_with(maps)}."
    return Lensed(keep(maps, kept, [note]), told)


def named(maps: AttentionMaps, chosen: Any, spans: Any = (), argument: str = "tokens") -> tuple[set[int], set[int]]:
    """Queries and keys that are meant by positions, labels, and names of spans.

    A position is one of the keys. A label means every token with it, a name the run, of queries and of keys.

    Raises
    ------
    TypeError
        When something is neither an integer nor a string.
    ValueError
        When there is no such position, label or span.
    """
    several = isinstance(chosen, Iterable) and not isinstance(chosen, (str, bytes))
    listed = list(chosen) if several else [chosen]
    wanted = [one for one in listed if not isinstance(one, str)]
    found: tuple[set[int], set[int]] = (set(), set(positions(wanted, maps.n_keys, argument)))
    for label in (one for one in listed if isinstance(one, str)):
        meant = [{i for i, other in enumerate(axis.labels) if other == label} for axis in _axes(maps)]
        if not any(meant):
            raise ValueError(_unknown(argument, label, "token", [*maps.tokens.labels, *maps.key_tokens.labels]))
        for side in (0, 1):
            found[side].update(meant[side])
    for name in [spans] if isinstance(spans, str) else spans:
        runs = [[span for span in axis.spans if span.name == name] for axis in _axes(maps)]
        if not any(runs):
            raise ValueError(
                _unknown("spans", name, "span", [span.name for axis in _axes(maps) for span in axis.spans])
            )
        for side in (0, 1):
            found[side].update(i for span in runs[side] for i in range(span.start, span.stop))
    return found


def sink_tokens(maps: AttentionMaps) -> tuple[set[int], bool]:
    """Keys that are sinks in a quarter of all heads or more, and whether there are learned sinks.

    A head has a sink at a key to which the queries that see it give more than 0.3 on average. Of long maps an even
    spread of rows is read. In texts of fewer than ten tokens, where a head that looks everywhere alike gives the first
    one as much, the first one counts as a sink.

    References
    ----------
    Xiao et al., ICLR 2024; Gu et al., ICLR 2025.
    """
    learned = any("sinks" in layer.tensors() for layer in maps.layers)
    if 0 in (maps.n_queries, maps.n_keys, sum(maps.heads)):
        return set(), learned
    if maps in _KNOWN:
        return _KNOWN[maps]
    most = max(FEWEST_ROWS, SINK_CELLS // max(1, sum(maps.heads) * maps.n_keys))
    rows = None if maps.n_queries <= most else torch.linspace(0, maps.n_queries - 1, most).round().long()
    with torch.no_grad():
        walk = Walk(maps, rows=rows, faults=Faults(), trimmed=True)
        found = walk.gather({}, SINK_SUMS)
    score = sink_scores(found["mass"], found["seen"], found["passed"] if walk.causal else None).flatten(0, 1)
    known = (~score.isnan()).sum(0)
    rate = (score > SINK_SCORE).sum(0) / known.clamp(min=1)
    sinks = (rate >= SINK_SHARE).nonzero()[:, 0].tolist()
    _KNOWN[maps] = {*sinks}, learned
    return _KNOWN[maps]


def _axes(maps: AttentionMaps) -> tuple[Tokens, Tokens]:
    return maps.tokens, maps.key_tokens


def _sizes(maps: AttentionMaps) -> tuple[int, int]:
    return maps.n_queries, maps.n_keys


def _paired(maps: AttentionMaps, queries: Collection[int], keys: Collection[int]) -> tuple[set[int], set[int]]:
    """Queries and keys, where they are the same tokens each with the other."""
    offset = standing(maps)
    if offset is None:
        return set(queries), set(keys)
    keys = {*keys, *(query + offset for query in queries)}
    return {key - offset for key in keys} & set(range(maps.n_queries)), keys & set(range(maps.n_keys))


def _count(maps: AttentionMaps, queries: Collection[int], keys: Collection[int]) -> int:
    """How many tokens these are."""
    offset = standing(maps)
    return len(keys) + len(queries) if offset is None else len({*keys, *(query + offset for query in queries)})


def _left_out(counts: dict[str, int], maps: AttentionMaps, *, learned: bool) -> list[str]:
    """What was left out, in a sentence."""
    names = {"special": "special tokens", "sinks": "sinks", "tokens": "chosen tokens"}
    parts = [f"{names[kind]} ({count:,})" for kind, count in counts.items() if count]
    if learned:
        parts.append("learned sinks")
    listed = " and ".join(", ".join(parts).rsplit(", ", 1))
    rest = f"and the rest of each row is rescaled to sum to 1{'' if learned else _with(maps)}."
    return [f"{listed[0].upper()}{listed[1:]} are hidden, {rest}"]


def _with(maps: AttentionMaps) -> str:
    return " with its learned sink" if any("sinks" in layer.tensors() for layer in maps.layers) else ""


def _unknown(argument: str, name: Any, what: str, known: Sequence[str]) -> str:
    names = list(dict.fromkeys(known))
    near = difflib.get_close_matches(str(name), names, n=3)
    if near:
        hint = f"did you mean {' or '.join(map(repr, near))}?"
    elif names:
        hint = f"there are {', '.join(map(repr, names[:8]))}{' ...' if len(names) > 8 else ''}."
    else:
        hint = f"there is no {what}."
    return f"{argument} names {name!r}, and no {what} of these maps is called so; {hint}"
