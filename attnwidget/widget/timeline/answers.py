"""Answers: what the browser may ask of a Timeline: what has come, the curves of a measure, and maps as frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from attnwidget.maps import AttentionMaps
from attnwidget.widget.answers.answer import Answer
from attnwidget.widget.answers.tile import tile
from attnwidget.widget.timeline.track import Track

__all__ = ["QUESTIONS", "SIDE", "answer", "any_maps", "kept_maps"]

SIDE = 256  # cells on a side of a frame: what is longer is pooled
MOST = 64  # frames of one answer


def readings(track: Track, *, after: int, generation: int = 0) -> Answer:
    """What has come from a reading on: steps, events, what was logged; and of which of all the maps are kept.

    Where the file was begun anew since, all of it.
    """
    track.refresh()
    if generation != track.generation:
        after = 0
    return Answer(
        {
            "generation": track.generation,
            "after": after,
            "steps": list(track.steps[after:]),
            "labels": None if track.labels is None else list(track.labels[after:]),
            "events": [[one.place, one.kind, one.text] for one in track.events(after)],
            "logged": {name: [_plain(one) for one in values] for name, values in track.logged(after).items()},
            "kept": "".join("1" if one else "0" for one in track.kept()),
        }
    )


def curves(track: Track, *, map: str, measure: str, after: int) -> Answer:  # noqa: A002
    """One number of every head, from a reading on: float32 [readings, layers, heads]."""
    if map not in track.heads() or measure not in track.measures():
        raise ValueError(f"this run has no {measure!r} of {map!r}.")
    found = track.numbers(map, measure, after)
    return Answer({"after": after, "shape": list(found.shape)}, [found.astype("<f4").tobytes()])


def frames(
    track: Track,
    *,
    map: str,  # noqa: A002
    layer: int,
    head: int,
    at: Sequence[int],
    size: Sequence[int] | None = None,
) -> Answer:
    """The map of one head at some readings, each a tile of three buffers, pooled where it is long.

    One that is not kept any more, cannot be read, or is of another size than the browser draws, is missing.
    """
    if len(at) > MOST:
        raise ValueError(f"{len(at)} frames are too many for one answer; ask for {MOST} at most.")
    headers, buffers = [], []
    for place in at:
        if not 0 <= place < len(track.steps):
            raise IndexError(f"reading {place} does not exist; there are {len(track.steps)}.")
        maps = kept_maps(track, place, map)
        if maps is None or _lacks(maps, layer, head, size):
            headers.append({"at": place, "missing": True})
            continue
        made = tile(
            maps, layer, head, rows=(0, maps.n_queries), columns=(0, maps.n_keys), height=SIDE, width=SIDE
        )  # fmt: skip
        headers.append(made.header | {"at": place})
        buffers += made.buffers
    return Answer({"frames": headers}, buffers)


def kept_maps(track: Track, place: int, name: str) -> AttentionMaps | None:
    """Maps of a reading; None where they are not there, or cannot be read."""
    with suppress(OSError, ValueError):  # thinned meanwhile, or damaged: the curves need none of it
        return track.maps(place).get(name)
    return None


def any_maps(track: Track, name: str) -> AttentionMaps | None:
    """The first maps of a run that are there; None where none are."""
    kept = (place for place, there in enumerate(track.kept()) if there)
    return next((maps for place in kept if (maps := kept_maps(track, place, name)) is not None), None)


def _lacks(maps: AttentionMaps, layer: int, head: int, size: Sequence[int] | None) -> bool:
    """Whether a model that grew did not have this head yet, or the maps are of another size."""
    other = size is not None and [maps.n_queries, maps.n_keys] != list(size)
    return other or layer >= maps.n_layers or head >= maps.heads[layer]


QUESTIONS: dict[str, Callable[..., Answer]] = {"readings": readings, "curves": curves, "frames": frames}


def answer(tracks: Sequence[Track], request: Mapping[str, Any]) -> Answer:
    """Answer a question about one of the runs.

    Raises
    ------
    ValueError, IndexError, TypeError
        When there is no such question or run, or when its arguments cannot be read.
    """
    asked = dict(request)
    op, run = asked.pop("op", None), asked.pop("run", None)
    if op not in QUESTIONS:
        raise ValueError(f"the widget does not know the request {op!r}; it knows {', '.join(QUESTIONS)}.")
    if not isinstance(run, int) or not 0 <= run < len(tracks):
        raise IndexError(f"there is no run {run!r}; there are {len(tracks)}.")
    return QUESTIONS[op](tracks[run], **asked)


def _plain(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return float(value) if math.isfinite(value) else None
