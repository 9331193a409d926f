"""explore(): attention of whatever comes, on the screen."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from attnwidget import demo
from attnwidget.capturing import Capture, capture
from attnwidget.capturing.inputs import load_model
from attnwidget.intake import AttentionWarning
from attnwidget.maps import AttentionMaps
from attnwidget.teaching.lesson import Lesson
from attnwidget.tokens import Tokens
from attnwidget.widget.applying import GENERATED
from attnwidget.widget.explorer import Explorer, are_maps, check_choices
from attnwidget.widget.kept import Keep
from attnwidget.widget.subject import Subject

__all__ = ["explore", "read"]


def explore(
    what: Any,
    *,
    model: Any = None,
    tokenizer: Any = None,
    generate: Mapping[str, Any] | None = None,
    tokens: Tokens | Sequence[str] | None = None,
    key_tokens: Tokens | Sequence[str] | None = None,
    layout: str | None = None,
    example: int | None = None,
    title: str | None = None,
    measures: Mapping[str, Any] | None = None,
    attribution: Any = None,
    keep: Keep | None = "picture",
    lesson: Lesson | None = None,
    **choices: Any,
) -> Explorer:
    """Look at attention.

    Parameters
    ----------
    what : str, mapping of inputs, Capture, AttentionMaps, model output or arrays
        A text, or what a tokenizer or processor returned, to run a model on; or attention that you have already.
    model : nn.Module, str or Path or None
        The model to run, its name or folder. None runs the storyteller, a small model inside this package.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Makes tokens of the text; looked for beside a model that is given by name.
    generate : mapping or None
        Let the model go on with the text: options of its generate(), for example ``{"max_new_tokens": 20}``.
    tokens, key_tokens : Tokens, sequence of str, or None
        Labels, for attention given as arrays.
    layout : str or None
        Meaning of the axes of one array: "LHQK", "HQK" ...
    example : int or None
        Which example of a batch.
    title : str or None
        Shown above the views; None shows a text as it came.
    measures : mapping of str to array [layers, heads], or None
        Numbers of your own for every head, to badge and sort the grid by.
    attribution : Attribution, Relevance, mapping of one str to values [keys], or None
        What `attnwidget.effects.attribute` or `relevance` found, or numbers of your own by their name: a strip along
        the keys of the maps that have as many. The grid can be badged and sorted by its rank correlation with each head
        (`attnwidget.effects.agreement`) at the position that it explains; a class and numbers of your own have none.
    keep : {"picture", "page"} or None
        What the notebook keeps of the view, to be seen without a kernel.
    lesson : Lesson or None
        A question that is answered by a click before its answer is shown, and controls that are locked.
    **choices
        Initial values of the Explorer's traits: layer, head, query, temperature, view ...

    Returns
    -------
    Explorer
        Shows itself as the last line of a cell.

    Raises
    ------
    TypeError, ValueError
        When what came cannot be shown; the message says what came, what was expected, and what to do.

    Examples
    --------
    >>> aw.explore("The nurse examined the farmer for ticks because she was late.")
    >>> aw.explore("Attention is all you need", model="my-model", layer=2, head=5)
    >>> aw.explore("Lily went to the", generate={"max_new_tokens": 10})
    >>> aw.explore(outputs.attentions, tokens=tokenizer.convert_ids_to_tokens(ids))
    """
    check_choices(choices)
    if isinstance(what, str) and title is None:
        title = what
    labels = {"tokens": tokens, "key_tokens": key_tokens, "layout": layout}
    maps, subject = _read(what, model=model, tokenizer=tokenizer, generate=generate, example=example, labels=labels)
    given = {"measures": measures, "attribution": attribution, "keep": keep, "lesson": lesson}
    return Explorer(maps, title=title or "", subject=subject, **given, **choices)


def read(
    what: Any,
    *,
    model: Any = None,
    tokenizer: Any = None,
    generate: Mapping[str, Any] | None = None,
    example: int | None = None,
    **labels: Any,
) -> AttentionMaps | Mapping[str, AttentionMaps]:
    """Maps of whatever came, as `explore` reads it."""
    return _read(what, model=model, tokenizer=tokenizer, generate=generate, example=example, labels=labels)[0]


def _read(
    what: Any,
    *,
    model: Any,
    tokenizer: Any,
    generate: Mapping[str, Any] | None,
    example: int | None,
    labels: Mapping[str, Any],
) -> tuple[AttentionMaps | Mapping[str, AttentionMaps], Subject | str | None]:
    """Maps of whatever came, and the model that was run for them; or why it is not run again."""
    subject: Subject | str | None = None
    labelled = [name for name, value in labels.items() if value is not None]
    if isinstance(what, str) or model is not None:
        if labelled:
            raise TypeError(
                f"{', '.join(labelled)} describe arrays; with a text or a model the tokens come from its tokenizer."
            )
        what, subject = _run(what, model, tokenizer, generate, example)
    else:
        _check_no_model_is_missing(what, tokenizer, generate)
    if isinstance(what, Capture):
        what = (what if example is None else what[example]).by_name
        example = None
    if isinstance(what, AttentionMaps) or are_maps(what):
        if labelled or example is not None:
            raise TypeError("tokens, key_tokens, layout and example describe arrays; maps have their tokens already.")
        maps: AttentionMaps | Mapping[str, AttentionMaps] = what
        return maps, subject
    _check_no_maps_among(what)
    return AttentionMaps.from_arrays(what, example=example, **labels), None


def _check_no_maps_among(what: Any) -> None:
    """Maps in a list, or beside something else, are no arrays."""
    named = what.items() if isinstance(what, Mapping) else enumerate(what) if isinstance(what, (list, tuple)) else ()
    kinds = {name: type(one).__name__ for name, one in named}
    if "AttentionMaps" not in kinds.values():
        return
    other = next(((name, kind) for name, kind in kinds.items() if kind != "AttentionMaps"), None)
    if other is not None:
        raise TypeError(f"what[{other[0]!r}] is {other[1]}; expected AttentionMaps, as the others are.")
    raise TypeError("several maps are shown by name, explore({'one': a, 'other': b}), or held together: compare(a, b).")


def _run(
    what: Any, model: Any, tokenizer: Any, generate: Mapping[str, Any] | None, example: int | None
) -> tuple[Capture, Subject | str]:
    if model is None:
        _check_no_model_is_missing(what, tokenizer, None)
        model, tokenizer = _storyteller(what)
    model, tokenizer = load_model(model, tokenizer)
    run = capture(model, what, tokenizer, generate=generate)
    shown = run if example is None else run[example]
    return run, Subject(model, what, shown.by_name, tokenizer, example) if generate is None else GENERATED


def _check_no_model_is_missing(what: Any, tokenizer: Any, generate: Any) -> None:
    if tokenizer is not None:
        raise TypeError("a tokenizer came without its model; pass model= too, or tokens= for attention you have.")
    if generate is not None:
        raise TypeError("generate= lets a model go on with a text, and no model came; pass model= too.")
    texts = isinstance(what, (list, tuple)) and len(what) > 0 and isinstance(what[0], str)
    if texts or (isinstance(what, Mapping) and "input_ids" in what):
        raise TypeError("these are inputs of a model, and no model came with them; pass model=.")


def _storyteller(text: str) -> tuple[Any, Any]:
    """The model inside the package, with a word about what it cannot read."""
    model, tokenizer = demo.load("storyteller")
    unknown = demo.unknown_words(tokenizer, text)
    if unknown:
        warnings.warn(
            f"the storyteller knows {len(tokenizer)} words, and these are not among them: {', '.join(unknown)}. Pass "
            "model= and tokenizer= to use a model that knows them.",
            AttentionWarning,
            stacklevel=5,
        )
    return model, tokenizer
