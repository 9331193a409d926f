"""Links between words of source and target, found in cross-attention, and how well they agree with a person's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from attnwidget.maps import AttentionMaps
from attnwidget.measures.alignment import without_sources
from attnwidget.measures.arguments import choice
from attnwidget.measures.given import as_weights, excluded_keys
from attnwidget.measures.walk import Walk

__all__ = ["align", "alignment_error_rate"]

Links: TypeAlias = AbstractSet[tuple[int, int]]
Words: TypeAlias = Sequence[int | None] | None


def align(
    c: Tensor | np.ndarray[Any, Any],
    *,
    source_words: Words = None,
    target_words: Words = None,
    setting: str = "output",
    exclude_source: Sequence[int] | None = None,
) -> set[tuple[int, int]]:
    """Word alignment of one map: for each target word the source word that gets most attention.

    A decoder reads target token t and predicts token t + 1, so row t can be taken for either of them, with different
    error rates. "output" takes it for the token it predicts: the row of the last token, which predicts what is not in
    the input, is left out, and token 0, usually the start token, gets no link. Where row t was computed for target
    token t itself, as in recurrent models, say "input".

    Parameters
    ----------
    c : Tensor or ndarray [target, source]
        Cross-attention of one head, or the mean of several: ``maps.weights(layer, head)``. Target tokens are those of
        the decoder's input. Rows that are zero are padding.
    source_words, target_words : sequence of int or None, one for each token, or None
        Number of the word that each token is a piece of; None or -1 for tokens that are part of no word, as start and
        end tokens. Attention is summed over the pieces of a source word and averaged over those of a target word. None
        for all takes each token as a word, with its position as its number.
    setting : {"output", "input"}
        Whether row t stands for token t + 1 or for token t of the decoder's input.
    exclude_source : sequence of int or None
        Positions of source tokens that are left out; the rest of each row is rescaled.

    Returns
    -------
    set of (int, int)
        Links (source word, target word), one for each target word that has a row with values.

    Raises
    ------
    TypeError
        When ``c`` is no floating-point array.
    ValueError
        When ``c`` has more than two axes, or words do not fit it.

    References
    ----------
    Kobayashi et al., Attention is Not Only a Weight, EMNLP 2020, for subwords and for the two settings.
    """
    if isinstance(c, AttentionMaps) or getattr(c, "ndim", 2) != 2:
        came = repr(c) if isinstance(c, AttentionMaps) else f"of shape {tuple(c.shape)}"
        raise ValueError(f"c is {came}; align takes one map [target, source]: maps.weights(layer, head), or a mean.")
    choice("setting", setting, ("output", "input"))
    walk = Walk(as_weights(c, "c"))
    excluded = excluded_keys(exclude_source, walk.n_keys, walk.maps, "exclude_source")
    weights = torch.cat([without_sources(rows, excluded).weights for rows in walk], -2).detach().double()
    targets = _word_numbers(target_words, weights.shape[0], "target_words")
    sources = _word_numbers(source_words, weights.shape[1], "source_words")
    if setting == "output":
        weights, targets = weights[:-1], targets[1:]
    rows = [t for t, word in enumerate(targets) if word is not None and not bool(weights[t].isnan().any())]
    columns = [s for s, word in enumerate(sources) if word is not None]
    if not rows or not columns:
        return set()
    target_names, of_target = _grouping([targets[t] for t in rows], weights)
    source_names, of_source = _grouping([sources[s] for s in columns], weights)
    of_target = of_target / of_target.sum(-1, keepdim=True)
    by_word = of_target @ weights[rows][:, columns] @ of_source.T
    best, chosen = by_word.max(-1)
    return {
        (source_names[source], target)
        for target, source, weight in zip(target_names, chosen.tolist(), best.tolist(), strict=True)
        if weight > 0  # nothing of it goes to any word
    }


def alignment_error_rate(
    links: Links | Sequence[Links], sure: Links | Sequence[Links], possible: Links | Sequence[Links] | None = None
) -> float:
    """Alignment error rate (AER) against links that annotators marked as sure and as possible.

    ``1 - (|A and S| + |A and P|) / (|A| + |S|)``. Over several sentences the counts are summed: this is not the mean of
    the sentences' rates.

    Parameters
    ----------
    links, sure, possible : set of (int, int), or sequence of such sets, one a sentence
        Links (source, target), from 0: found, sure, and possible. Every sure link must be possible. None for
        ``possible`` takes the sure ones.

    Returns
    -------
    float
        In [0, 1], lower is better; NaN where there is neither a found nor a sure link.

    Raises
    ------
    TypeError
        When links are no sets.
    ValueError
        When numbers of sentences differ, or a sure link is not possible.

    References
    ----------
    Och & Ney, A Systematic Comparison of Various Statistical Alignment Models, Computational Linguistics 2003.
    """
    possible = sure if possible is None else possible
    sentences = {"links": _sentences(links, "links"), "sure": _sentences(sure, "sure")}
    sentences["possible"] = _sentences(possible, "possible")
    numbers = {name: len(sets) for name, sets in sentences.items()}
    if len(set(numbers.values())) > 1:
        raise ValueError(f"numbers of sentences differ: {numbers}; expected one set of links for each, in all three.")
    hits = total = 0
    for number, (found, certain, allowed) in enumerate(zip(*sentences.values(), strict=True)):
        if not certain <= allowed:
            raise ValueError(
                f"sure holds links that are not in possible: {sorted(certain - allowed)} in sentence {number}. Pass "
                "possible | sure if your file lists them apart."
            )
        hits += len(found & certain) + len(found & allowed)
        total += len(found) + len(certain)
    return 1 - hits / total if total else math.nan


def _sentences(links: Links | Sequence[Links], name: str) -> list[Links]:
    sets = [links] if isinstance(links, AbstractSet) else list(links)
    for one in sets:
        if not isinstance(one, AbstractSet):
            raise TypeError(
                f"{name} holds {type(one).__name__}; expected a set of (source, target) pairs, or a sequence of such "
                "sets, one a sentence."
            )
    return sets


def _word_numbers(words: Words, n: int, name: str) -> list[int | None]:
    if words is None:
        return list(range(n))
    numbers = [None if word is None or int(word) < 0 else int(word) for word in words]
    if len(numbers) != n:
        raise ValueError(f"{name} has {len(numbers)} entries and c has {n} tokens on that axis; give one for each.")
    return numbers


def _grouping(words: Sequence[int | None], like: Tensor) -> tuple[list[int], Tensor]:
    """Numbers of the words, and which tokens belong to each: [words, tokens]."""
    names = sorted({word for word in words if word is not None})
    table = [[word == name for word in words] for name in names]
    return names, torch.tensor(table, dtype=like.dtype, device=like.device)
