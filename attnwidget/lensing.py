"""Lensing: maps made of maps, as methods of the maps. What is done stands in lenses/."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnwidget.lenses.difference import Difference
    from attnwidget.maps import AttentionMaps

__all__ = ["Lensing"]


class Lensing:
    """What `AttentionMaps` can be seen through. Every lens gives AttentionMaps: they compose, in any order.

    Nothing is computed before somebody looks, but for which tokens are sinks. Numbers and names of layers, numbers of
    heads, spans, the grid of a picture, the token that follows, and notes are kept, as far as they are still there; a
    note says what was done. `Tokens.origins` says where tokens stood in the text.
    """

    def mean_of_heads(self: Any) -> AttentionMaps:
        """Each layer's heads as one: the mean of their weights, computed when somebody looks.

        Returns
        -------
        AttentionMaps
            One head a layer, without scores; tokens, layer names and numbers, and notes are kept. A head that sees no
            key in a row has no part in it, and a head with NaN makes it NaN. Mass in learned sinks is averaged too.
        """
        from attnwidget.lenses import mean_of_heads

        return mean_of_heads(self)

    def max_of_heads(self: Any) -> AttentionMaps:
        """Each layer's heads as one: for every query and key the largest of their weights, as in `mean_of_heads`.

        Returns
        -------
        AttentionMaps
            One head a layer. Rows may sum to more than 1, where heads look at different keys: they are shown and
            measured as they are, and rescaled where only a row's shape counts (entropy, divergence, rollout), or at a
            temperature other than 1.
        """
        from attnwidget.lenses import largest_of_heads

        return largest_of_heads(self)

    def words(self: Any) -> AttentionMaps:
        """Word pieces merged to words: a query is the mean over its pieces, a key the sum over them.

        Returns
        -------
        AttentionMaps
            One token a word; rows sum to what they did. Without scores, and no temperature can act on it: a sum of
            weights is the softmax of no score. A piece that sees no key has no part in the mean. Special tokens and the
            patches of a picture stay single, and no word goes over the end of a span. Where a script has no spaces
            (Chinese, Japanese, Thai ...) its tokens stay as they are. Maps without word pieces are given back.

        References
        ----------
        Clark et al., BlackboxNLP 2019; Kobayashi et al., EMNLP 2020.

        Examples
        --------
        >>> run.maps.words().weights(5, 3)
        """
        from attnwidget.lenses import words

        return words(self)

    def without(
        self: Any, *, special: bool = False, sinks: bool = False, tokens: str | int | Iterable[str | int] = ()
    ) -> AttentionMaps:
        """Some tokens left out, and the rest of each row rescaled to sum to 1.

        Queries are left out with the keys where both are the same tokens. Where the maps know q and k they go on to:
        the softmax is taken of the keys that are left.

        Parameters
        ----------
        special : bool
            Whether [CLS], <s> and their like are left out, among queries and among keys.
        sinks : bool
            Whether sinks are: keys to which a quarter of all heads or more give above 0.3 on average over the queries
            that see them (see `attnwidget.measures.sinks`; of long maps an even spread of rows is read). In texts of
            fewer than ten tokens that is true of the first one in any case. Learned sinks (gpt-oss) are left out of the
            softmax with them; otherwise these stay in it and hold their share, for they are no tokens.
        tokens : str, int, or iterable of these
            Positions among the keys, negative ones counted from the end; and labels, which mean every query and every
            key called so.

        Returns
        -------
        AttentionMaps
            Without these tokens; the same maps where there are none. A row that has nothing left is zero.

        Raises
        ------
        TypeError
            When ``tokens`` holds something else.
        ValueError
            When there is no such token, or nothing is left.

        Examples
        --------
        >>> run.maps.without(special=True, tokens=[".", -1])
        """
        from attnwidget.lenses import without

        return without(self, special=special, sinks=sinks, tokens=tokens)

    def only(
        self: Any, tokens: str | int | Iterable[str | int] = (), *, spans: str | Iterable[str] = ()
    ) -> AttentionMaps:
        """Some tokens alone, and what they get of each row rescaled to sum to 1.

        Parameters
        ----------
        tokens : str, int, or iterable of these
            Positions and labels, as in `without`.
        spans : str or iterable of str
            Names of spans, all of whose tokens are kept.

        Returns
        -------
        AttentionMaps
            With these tokens alone. Where queries are other tokens than keys, an axis of which none is named stays.

        Raises
        ------
        TypeError
            When ``tokens`` holds something else.
        ValueError
            When there is no such token or span, or nothing was named.

        Examples
        --------
        >>> run.maps.only(spans=["prompt", "generated"])
        """
        from attnwidget.lenses import only

        return only(self, tokens=tokens, spans=spans)

    def __sub__(self: Any, other: AttentionMaps) -> Difference:
        from attnwidget.lenses.difference import Difference
        from attnwidget.maps import AttentionMaps

        return Difference(self, other) if isinstance(other, AttentionMaps) else NotImplemented
