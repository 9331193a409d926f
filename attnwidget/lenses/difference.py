"""Two runs: on the tokens that they have in common, and one less the other."""

from __future__ import annotations

import torch
from torch import Tensor

from attnwidget.lenses.hidden import keep
from attnwidget.lenses.lensed import standing
from attnwidget.maps import AttentionMaps
from attnwidget.measures.comparison import align_tokens
from attnwidget.tokens import Tokens

__all__ = ["Difference", "matched"]


class Difference:
    """One run less another, on the tokens that they have in common; `AttentionMaps.__sub__` makes it.

    Nothing is computed before it is looked at.

    Parameters
    ----------
    after, before : AttentionMaps
        Two runs with the same layers and heads.

    Attributes
    ----------
    after, before : AttentionMaps
        Both on the tokens in common, what the others got shared among these.

    Raises
    ------
    ValueError
        When the runs have other layers or heads, or no token in common.

    Examples
    --------
    >>> changed = tuned.maps - base.maps
    >>> changed.weights(layer=5, head=3)
    """

    def __init__(self, after: AttentionMaps, before: AttentionMaps) -> None:
        self.after, self.before = matched(after, before)

    @property
    def tokens(self) -> Tokens:
        """The queries in common."""
        return self.after.tokens

    @property
    def key_tokens(self) -> Tokens:
        """The keys in common."""
        return self.after.key_tokens

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return self.after.n_layers

    @property
    def heads(self) -> tuple[int, ...]:
        """Number of heads of each layer."""
        return self.after.heads

    def weights(self, layer: int, head: int) -> Tensor:
        """Weights of one head in the first run less those in the second.

        Returns
        -------
        Tensor [queries, keys]
            In [-1, 1]; each row sums to 0 where both runs sum to 1.

        Raises
        ------
        IndexError
            When there is no such layer or head.
        """
        after, before = (run.weights(layer, head) for run in (self.after, self.before))
        return after - before.to(after)

    def __repr__(self) -> str:
        heads = sorted(set(self.heads))
        shown = str(heads[0]) if len(heads) == 1 else f"{heads[0]} to {heads[-1]}"
        return (
            f"<Difference of two runs of {self.after.name!r}: {self.n_layers} layers x {shown} heads, "
            f"{len(self.tokens)} queries x {len(self.key_tokens)} keys in common>"
        )


def matched(a: AttentionMaps, b: AttentionMaps) -> tuple[AttentionMaps, AttentionMaps]:
    """Two runs on the tokens that they have in common.

    Parameters
    ----------
    a, b : AttentionMaps
        Two runs with the same layers and heads.

    Returns
    -------
    tuple of AttentionMaps
        Of the same size, the same labels on both. Runs on the same tokens are given back as they came; else the rest of
        each row is rescaled, as in `AttentionMaps.only`. Tokens are matched as in `attnwidget.measures.align_tokens`.

    Raises
    ------
    ValueError
        When the runs have other layers or heads, or no token in common.
    """
    if a.heads != b.heads:
        raise ValueError(
            f"two runs with other layers or heads cannot be compared: {_layers(a)} came, and {_layers(b)}. Compare "
            "runs of one model, or of models of the same size."
        )
    if a.tokens.labels == b.tokens.labels and a.key_tokens.labels == b.key_tokens.labels:
        return a, b
    keys = align_tokens(a.key_tokens, b.key_tokens)
    first, second = standing(a), standing(b)
    if first is not None and second is not None:
        queries = keys - torch.tensor([first, second])
        inside = (queries >= 0) & (queries < torch.tensor([a.n_queries, b.n_queries]))
        queries = queries[inside.all(-1)]
    else:
        queries = align_tokens(a.tokens, b.tokens)
    if 0 in (len(queries), len(keys)):
        axis = "key" if len(keys) == 0 else "query"
        begins = [_beginning(run.key_tokens if axis == "key" else run.tokens) for run in (a, b)]
        what = "token" if a.key_tokens is a.tokens and b.key_tokens is b.tokens else f"{axis} token"
        raise ValueError(
            f"the two runs have no {what} in common: one begins {begins[0]}, the other {begins[1]}. Compare runs on "
            "texts that share some words."
        )
    return _on(a, queries[:, 0], keys[:, 0]), _on(b, queries[:, 1], keys[:, 1])


def _on(maps: AttentionMaps, queries: Tensor, keys: Tensor) -> AttentionMaps:
    """Maps on some of their tokens; on all of them they are what they were."""
    if (len(queries), len(keys)) == (maps.n_queries, maps.n_keys):
        return maps
    note = (
        f"Only {len(keys):,} of {maps.n_keys:,} tokens are shown, those in common with the other run, and what they "
        "get of each row is rescaled to sum to 1."
    )
    return keep(maps, [queries.tolist(), keys.tolist()], [note])


def _layers(maps: AttentionMaps) -> str:
    counts = sorted(set(maps.heads))
    return f"{maps.n_layers} x {counts[0] if len(counts) == 1 else counts}"


def _beginning(tokens: Tokens) -> str:
    return repr(" ".join(label[:20] for label in tokens.labels[:4]))
