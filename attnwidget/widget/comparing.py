"""compare(): two runs, and what is other in the second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from attnwidget.lenses.difference import matched
from attnwidget.maps import AttentionMaps
from attnwidget.measures.comparison import compare as changes
from attnwidget.measures.table import by_name
from attnwidget.teaching.lesson import Lesson
from attnwidget.widget.answers.measuring import CHANGED
from attnwidget.widget.answers.runs import Runs
from attnwidget.widget.explorer import Explorer, check_choices
from attnwidget.widget.exploring import read
from attnwidget.widget.kept import Keep

__all__ = ["compare"]

QUICK = 1 << 23  # cells of all heads of both runs that are read before the view is there: a quarter of a second
LONGEST_LABEL = 28


def compare(
    before: Any,
    after: Any,
    *,
    labels: Sequence[str] | None = None,
    model: Any = None,
    tokenizer: Any = None,
    title: str | None = None,
    measures: Mapping[str, Any] | None = None,
    keep: Keep | None = "picture",
    lesson: Lesson | None = None,
    **choices: Any,
) -> Explorer:
    """Look at two runs together: before and after training, two sentences, two models, two precisions.

    The Explorer shows what each head gives in the second run less what it gives in the first, its heads in the order
    of how much they changed (`attnwidget.measures.compare`). Tokens are matched where they differ
    (`attnwidget.measures.align_tokens`): only those in common are shown, and what they get of each row is rescaled.

    Parameters
    ----------
    before, after : str, Capture, AttentionMaps, model output or arrays
        Two runs with the same heads; whatever `explore` takes.
    labels : pair of str, or None
        What the two are called. None: the beginnings of two texts, "before" and "after" of everything else.
    model, tokenizer
        What runs texts, as in `explore`; the same for both.
    title : str or None
        Shown above the views; None is the text of both, or their names.
    measures : mapping of str to array [layers, heads], or None
        Numbers of your own for every head.
    keep : {"picture", "page"} or None
        What the notebook keeps of the view.
    lesson : Lesson or None
        A question that is answered by a click before its answer is shown.
    **choices
        Initial values of the Explorer's traits: ``compared="beside"``, layer, head, query ...

    Returns
    -------
    Explorer
        Its ``maps`` are those of the second run, on the tokens that both have; ``against`` names the first.

    Raises
    ------
    TypeError, ValueError
        When one of the two cannot be shown, or both cannot be compared: no kind of maps, layer or token in common, or
        other numbers of heads.

    Examples
    --------
    >>> aw.compare(aw.capture(base, text, tokenizer), aw.capture(tuned, text, tokenizer))
    >>> aw.compare("Lily gave the ball to Ben", "Lily gave the cake to Ben", labels=("ball", "cake"))
    """
    check_choices(choices)
    if title is None and isinstance(before, str) and before == after:
        title = before
    names = _labels(labels, before, after)
    one, other = (by_name(read(run, model=model, tokenizer=tokenizer)) for run in (before, after))
    runs = Runs(names, _parts(one, other, names))
    view = {"measure": CHANGED, "sort": "highest", "against": {"map": names[0], "layer": None, "head": None}}
    if not {"map", "layer", "head"} & choices.keys():
        view |= _most_changed(runs)
    title = " and ".join(names) if title is None else title
    return Explorer(runs, title=title, measures=measures, keep=keep, lesson=lesson, **view | choices)


def _labels(labels: Any, before: Any, after: Any) -> tuple[str, str]:
    if labels is None:
        texts = isinstance(before, str) and isinstance(after, str)
        found = [_short(text) for text in (before, after)] if texts else []
        return (found[0], found[1]) if len(set(found)) > 1 else ("before", "after")
    named = [] if isinstance(labels, str) or not isinstance(labels, Sequence) else list(labels)
    if not all(isinstance(label, str) and label.strip() for label in named) or len(set(named)) != 2:
        raise ValueError(f"labels={labels!r}; expected two different names, as ('before', 'after').")
    return named[0], named[1]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_LABEL else f"{line[: LONGEST_LABEL - 1]}…"


def _parts(
    one: Mapping[str, AttentionMaps], other: Mapping[str, AttentionMaps], names: tuple[str, str]
) -> dict[str, tuple[AttentionMaps, AttentionMaps]]:
    """What both runs have, on the tokens that they have in common."""
    if len(one) == len(other) == 1:
        (part, first), second = next(iter(one.items())), next(iter(other.values()))
        return {part: _matched(first, second, names)}
    common = [part for part in one if part in other]
    if not common:
        raise ValueError(
            f"the two runs have no kind of maps in common: {names[0]} has {', '.join(one)}, {names[1]} has "
            f"{', '.join(other)}. Compare the maps that you mean, as run.cross."
        )
    return {part: _matched(one[part], other[part], names) for part in common}


def _matched(
    first: AttentionMaps, second: AttentionMaps, names: tuple[str, str]
) -> tuple[AttentionMaps, AttentionMaps]:
    """Both on their layers and tokens in common, with a note of what was left out."""
    layers = [number for number in first.layer_numbers if number in second.layer_numbers]
    if not layers:
        raise ValueError(
            f"the two runs have no layer in common: {names[0]} has {_numbers(first.layer_numbers)}, {names[1]} "
            f"{_numbers(second.layer_numbers)}. Keep the same layers of both, as capture(layers=[...])."
        )
    notes = []
    if first.layer_numbers != second.layer_numbers:
        notes.append(
            f"Only the layers that both runs have are compared: {_numbers(layers)}, of {first.n_layers} ({names[0]}) "
            f"and {second.n_layers} ({names[1]})."
        )
    sizes = [(run.n_queries, run.n_keys) for run in (first, second)]
    pair = matched(_of_layers(first, layers), _of_layers(second, layers))
    both = (pair[0].n_queries, pair[0].n_keys)
    if sizes != [both, both]:
        axis = 1 if any(size[1] != both[1] for size in sizes) else 0
        left = [f"{size[axis] - both[axis]} of {name}" for size, name in zip(sizes, names, strict=True)]
        notes.append(
            f"{both[axis]:,} tokens are in both runs and are compared; {' and '.join(left)} are left out, and the rest "
            "of each row is rescaled to sum to 1."
        )
    first, second = (_noted(run, [*notes, *whole.notes]) for run, whole in zip(pair, (first, second), strict=True))
    return first, second


def _of_layers(maps: AttentionMaps, numbers: list[int]) -> AttentionMaps:
    at = [maps.layer_numbers.index(number) for number in numbers]
    if len(at) == maps.n_layers:
        return maps
    return AttentionMaps(
        [maps.layers[layer] for layer in at],
        maps.tokens,
        None if maps.key_tokens is maps.tokens else maps.key_tokens,
        name=maps.name,
        layer_names=[maps.layer_names[layer] for layer in at],
        notes=maps.notes,
        layer_numbers=numbers,
        head_numbers=[maps.head_numbers[layer] for layer in at],
        following=maps.following,
    )


def _noted(maps: AttentionMaps, notes: list[str]) -> AttentionMaps:
    """The same maps with other notes."""
    return AttentionMaps(
        maps.layers,
        maps.tokens,
        None if maps.key_tokens is maps.tokens else maps.key_tokens,
        name=maps.name,
        layer_names=maps.layer_names,
        notes=notes,
        layer_numbers=maps.layer_numbers,
        head_numbers=maps.head_numbers,
        following=maps.following,
    )


def _numbers(numbers: Sequence[int]) -> str:
    if list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))) and len(numbers) > 1:
        return f"layers {numbers[0]} to {numbers[-1]}"
    return f"layer{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _most_changed(runs: Runs) -> dict[str, Any]:
    """The head to open at, where it is quickly found."""
    name = next(iter(runs))
    maps = runs[name]
    if 2 * sum(maps.heads) * maps.n_queries * maps.n_keys > QUICK:
        return {}
    with torch.no_grad():
        ranked = changes(runs.other(name), maps).ranked
    return {"layer": ranked[0][0], "head": ranked[0][1]} if ranked else {}
