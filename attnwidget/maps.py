"""AttentionMaps: the attention of one text, layers x heads x queries x keys, with its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from attnwidget.containers import named, unwrap
from attnwidget.intake import dense_layers
from attnwidget.layers import Layer, ProjectedLayer, check_factor, temper
from attnwidget.lensing import Lensing
from attnwidget.projections import Rule, labels_of, projected_layers
from attnwidget.storage import Shelf, layers_from, read, reading, tokens_from
from attnwidget.tokens import Tokens, as_tokens

__all__ = ["AttentionMaps"]


class AttentionMaps(Lensing):
    """Attention of one text: every layer and head, with the tokens on both axes.

    It is made by `attnwidget.capture`, by `from_arrays`, `from_queries_keys`, or `load`. Layers and heads count from
    0, rows are queries, columns are keys.

    Parameters
    ----------
    layers : sequence of Layer
        The layers, the one nearest the input first. All have the same number of queries and of keys; the number
        of heads may differ.
    tokens : Tokens or sequence of str
        The queries' tokens.
    key_tokens : Tokens, sequence of str, or None
        The keys' tokens; None when they are the queries'.
    name : str
        What kind of attention it is: "attention", "encoder", "decoder", "cross".
    layer_names : sequence of str or None
        Where in the model each layer is, for example "h.0.attn".
    notes : sequence of str
        What a reader of the maps should know, one sentence each.
    layer_numbers : sequence of int or None
        The number of each layer in the model, where only some were kept; None where all were.
    head_numbers : sequence of sequence of int or None
        The numbers of each layer's heads in the model, where only some were kept; None where all were.
    following : str or None
        Label of the token after the last query: generated last, and never a query itself.

    Raises
    ------
    ValueError
        When there is no layer, when layers differ in size, or when the tokens do not fit them.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        tokens: Tokens | Sequence[str],
        key_tokens: Tokens | Sequence[str] | None = None,
        *,
        name: str = "attention",
        layer_names: Sequence[str] | None = None,
        notes: Sequence[str] = (),
        layer_numbers: Sequence[int] | None = None,
        head_numbers: Sequence[Sequence[int]] | None = None,
        following: str | None = None,
    ) -> None:
        if not layers:
            raise ValueError("there is no layer; expected at least one.")
        sizes = [layer.shape[1:] for layer in layers]
        other = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
        if other is not None:
            raise ValueError(
                f"layer 0 has {sizes[0][0]} queries x {sizes[0][1]} keys and layer {other} has {sizes[other][0]} x "
                f"{sizes[other][1]}; one AttentionMaps holds layers of one size. Make one for each size."
            )
        self.layers = tuple(layers)
        self.name = name
        self.notes = tuple(notes)
        self.tokens = tokens if isinstance(tokens, Tokens) else Tokens.from_labels(tokens)
        if key_tokens is not None and not isinstance(key_tokens, Tokens):
            key_tokens = Tokens.from_labels(key_tokens)
        self.key_tokens = self.tokens if key_tokens is None else key_tokens
        self.layer_numbers = tuple(range(len(layers))) if layer_numbers is None else tuple(layer_numbers)
        self.head_numbers = (
            tuple(tuple(range(n)) for n in self.heads) if head_numbers is None else tuple(map(tuple, head_numbers))
        )
        if len(self.layer_numbers) != self.n_layers or tuple(map(len, self.head_numbers)) != self.heads:
            raise ValueError(
                f"layer_numbers and head_numbers name {len(self.layer_numbers)} layers with "
                f"{list(map(len, self.head_numbers))} heads; these maps have {self.n_layers} with {list(self.heads)}."
            )
        self.following = following
        self.layer_names = tuple(layer_names) if layer_names else tuple(f"layer {i}" for i in self.layer_numbers)
        _check_labels("tokens", self.tokens, self.n_queries, "queries")
        _check_labels("tokens" if key_tokens is None else "key_tokens", self.key_tokens, self.n_keys, "keys")

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.layers)

    @property
    def heads(self) -> tuple[int, ...]:
        """Number of heads of each layer."""
        return tuple(layer.shape[0] for layer in self.layers)

    @property
    def n_queries(self) -> int:
        """Number of rows of a map."""
        return self.layers[0].shape[1]

    @property
    def n_keys(self) -> int:
        """Number of columns of a map."""
        return self.layers[0].shape[2]

    @property
    def causal(self) -> bool:
        """Whether no query sees a later key in any layer."""
        return all(layer.mask.hides_later_keys for layer in self.layers)

    @property
    def tempers(self) -> bool:
        """Whether a temperature and a scaling can act: not on words, whose weights are sums over pieces."""
        return all(layer.tempers for layer in self.layers)

    def __repr__(self) -> str:
        heads = sorted(set(self.heads))
        shown = str(heads[0]) if len(heads) == 1 else f"{heads[0]} to {heads[-1]}"
        return (
            f"<AttentionMaps {self.name!r}: {self.n_layers} layers x {shown} heads, "
            f"{self.n_queries} queries x {self.n_keys} keys>"
        )

    def weights(self, layer: int, head: int, *, temperature: float = 1.0, scaling: float = 1.0) -> Tensor:
        """Weights of one head.

        Parameters
        ----------
        layer, head : int
            Which head; negative numbers count from the end.
        temperature, scaling : float
            The weights the head would have if its scores were multiplied by scaling / temperature. Where the model
            adds a bias to its scores or caps them, the factor acts on the result.

        Returns
        -------
        Tensor [queries, keys]
            Weights in [0, 1], float32 or float64. A row that sees no key is all zero.

        Raises
        ------
        IndexError
            When there is no such layer or head.
        ValueError
            When the temperature is not above 0, or the scaling below 0.
        """
        if temperature == scaling == 1:
            chosen, heads = self.locate(layer, head)
            weights = chosen.weights(heads, slice(0, self.n_queries))[0]
            # What was given, or computed once, stays what it was, whatever is done to the answer.
            return weights if isinstance(chosen, ProjectedLayer) else weights.clone()
        return self.log_weights(layer, head, temperature=temperature, scaling=scaling).exp()

    def log_weights(self, layer: int, head: int, *, temperature: float = 1.0, scaling: float = 1.0) -> Tensor:
        """Natural logarithm of `weights`: Tensor [queries, keys], -inf where masked."""
        chosen, heads = self.locate(layer, head)
        check_factor(temperature, scaling, chosen)
        log_weights, outside = chosen.log_weights(heads, slice(0, self.n_queries))
        if temperature == scaling == 1:
            return log_weights[0]
        return temper(log_weights, outside, scaling / temperature)[0][0]

    def scores(self, layer: int, head: int) -> Tensor:
        """Scores of one head before softmax: Tensor [queries, keys], -inf where masked.

        Raises
        ------
        ValueError
            When the map was given as weights, from which scores cannot be known.
        """
        chosen, heads = self.locate(layer, head)
        return chosen.scores(heads, slice(0, self.n_queries))[0]

    def locate(self, layer: int, head: int) -> tuple[Layer, slice]:
        """Layer and slice of heads that hold one head; IndexError where there is none."""
        if not -self.n_layers <= layer < self.n_layers:
            raise IndexError(f"layer {layer} does not exist: these maps have layers 0 to {self.n_layers - 1}.")
        chosen = self.layers[layer]
        n_heads = chosen.shape[0]
        if not -n_heads <= head < n_heads:
            raise IndexError(f"head {head} does not exist: layer {layer} has heads 0 to {n_heads - 1}.")
        head %= n_heads
        return chosen, slice(head, head + 1)

    @classmethod
    def from_arrays(
        cls,
        weights: Any,
        *,
        tokens: Tokens | Sequence[str] | None = None,
        key_tokens: Tokens | Sequence[str] | None = None,
        layout: str | None = None,
        example: int | None = None,
        mask: Any = None,
        causal: bool = False,
        name: str = "attention",
    ) -> Self:
        """Maps from matrices you have.

        Parameters
        ----------
        weights : model output, tuple or list of arrays, mapping of names to arrays, or array
            ``outputs.attentions`` of a transformers model, of generate() too; one array [B, H, Q, K] or [H, Q, K] a
            layer; or one array for all with its ``layout``, but for a single [Q, K]. numpy, torch, and what these
            read; weights after softmax. Held, not copied. A dict, an opened .npz or a cache of TransformerLens has
            its layers in the order of the numbers in their names, and data frames bring their labels.
        tokens, key_tokens : Tokens, sequence of str, or None
            Labels of the queries, and of the keys where they are others; None numbers the positions. Of a generation
            all tokens may come: the last one has no row, and becomes ``following``.
        layout : str or None
            One letter an axis: L layers, B examples, H heads, Q queries, K keys. "LHQK", "HQK" ... Without H there is
            one head, without Q one query. An axis that is none of these is chosen, averaged or joined before.
        example : int or None
            Which example of a batch; needed when there is more than one.
        mask : Tensor or ndarray of bool [queries, keys] or [heads, queries, keys], or None
            True where a query may attend. Without it the maps are taken as they are: causal where no head gives
            anything to a later key, and padding like any other token.
        causal : bool
            Whether the last query sees all keys, and each one before it one key less; with cached keys in front the
            matrices cannot tell.
        name : str
            What kind of attention it is.

        Returns
        -------
        AttentionMaps

        Raises
        ------
        TypeError, ValueError
            When what came cannot be read as attention; the message says what came, what was expected, and what
            to do.

        Warns
        -----
        AttentionWarning
            When rows hold NaN or do not sum to 1, or when rounding left weights below 0.
        """
        held = unwrap(weights)
        layers, notes = dense_layers(
            held.arrays,
            layout=layout,
            example=example,
            mask=mask,
            causal=causal,
            names=held.called,
            numbers=held.numbers,
        )
        n_queries, n_keys = layers[0].shape[1:]
        if key_tokens is None and (tokens is None or n_keys != n_queries):
            key_tokens = held.columns
        tokens = held.rows if tokens is None else tokens
        queries, following = as_tokens(tokens, n_queries), None
        if held.generated and len(queries) == n_queries + 1:
            queries, following = queries[:n_queries], queries.labels[-1]
        if key_tokens is None and n_keys != n_queries and tokens is None:
            key_tokens = Tokens.positions(n_keys)
        keys = None if key_tokens is None else as_tokens(key_tokens, n_keys)
        return cls(
            layers,
            queries,
            None if keys == queries else keys,
            name=name,
            layer_names=_names_of(held.names, layers),
            layer_numbers=held.numbers,
            notes=[*held.notes, *notes],
            following=following,
        )

    @classmethod
    def from_queries_keys(
        cls,
        q: Any,
        k: Any,
        *,
        scaling: Any = None,
        causal: bool = False,
        mask: Any = None,
        bias: Any = None,
        softcap: Any = None,
        sinks: Any = None,
        window: Any = None,
        first_query: int | None = None,
        tokens: Tokens | Sequence[str] | None = None,
        key_tokens: Tokens | Sequence[str] | None = None,
        layout: str | None = None,
        example: int | None = None,
        name: str = "attention",
    ) -> Self:
        """Maps from queries and keys you have: of vLLM, llama.cpp, JAX, MLX, or a kernel of your own.

        The weights are softmax(cap(scaling * q k^T + bias) + mask), the sinks taking part in it. They are computed
        when somebody looks: what is held is q and k, not copied and of the type that came, so that a map needs
        O(tokens) memory.

        Parameters
        ----------
        q, k : tuple or list of arrays, mapping of names to arrays, or array
            What goes into the product: after rotation and normalisation, before scaling. One array a layer, [heads,
            tokens, width] or [batch, heads, tokens, width]; with other axes, or one array for all, with its
            ``layout``. Key heads that are shared come once; query head h reads key head h // (heads / key heads).
            Floating-point numbers of torch, numpy (bfloat16 too), and whatever these read.
        scaling : float, one a layer, or None
            Factor on q k^T, above 0; None is width ** -0.5.
        causal : bool
            Whether a query sees no key after its own position.
        mask : Tensor or ndarray, one a layer, or None
            [queries, keys] or [heads, queries, keys]; an axis of length 1 stands for all. bool is True where a query
            may attend; numbers are added to the scores, -inf hiding a key. With ``causal`` both hold.
        bias : Tensor or ndarray, one a layer, or None
            Added to the scaled scores, as ALiBi or a relative position; shaped like ``mask``.
        softcap : float, one a layer, or None
            Scores are capped by softcap * tanh(scores / softcap).
        sinks : Tensor or ndarray [heads], one a layer, or None
            Learned logits that take part in the softmax and hold mass outside the map.
        window : int, one a layer, or None
            How many keys a causal query sees at most, itself included; None for all.
        first_query : int or None
            Position of the first query among the keys: how many keys the cache held. None is keys - queries with
            ``causal``, so that the last query sees all. (``is_causal=True`` of torch's scaled_dot_product_attention
            is ``first_query=0``.)
        tokens, key_tokens : Tokens, sequence of str, or None
            Labels of the queries, and of the keys where they are others. Queries that stand among the keys have the
            keys' labels.
        layout : str or None
            One letter an axis, for q and k alike: L layers, B examples, H heads, N tokens, D width. "NHD", "LBHND" ...
            For a tuple or list it describes one element. Without H there is one head.
        example : int or None
            Which example of a batch; needed when there is more than one. A mask or bias of four axes follows it.
        name : str
            What kind of attention it is.

        Returns
        -------
        AttentionMaps
            Its weights lie in [0, 1]; rows sum to 1, or less where sinks take part. A row that sees no key is zero.

        Raises
        ------
        TypeError, ValueError
            When something does not fit; the message says what came, what was expected, and what to do.

        Warns
        -----
        AttentionWarning
            When q or k hold NaN or infinity.

        Examples
        --------
        vLLM hands its layers [tokens, heads, width], the keys of grouped heads once:

        >>> maps = aw.AttentionMaps.from_queries_keys(qs, ks, layout="NHD", causal=True, tokens=tokens)

        llama.cpp, one token on from 13 in the cache: what enters the product, read as numpy arrays [heads, tokens,
        width], without the places of the cache that are not in use yet:

        >>> maps = aw.AttentionMaps.from_queries_keys([q], [k[:, :14]], causal=True, key_tokens=fourteen)

        JAX, all layers in one array [layers, batch, tokens, heads, width], every other layer with a window:

        >>> maps = aw.AttentionMaps.from_queries_keys(q, k, layout="LBNHD", causal=True, window=[None, 128] * 6)
        """
        rule = Rule(scaling, causal, mask, bias, softcap, sinks, window, first_query)
        queries, keys = named(q, "q"), named(k, "k")
        layers, notes = projected_layers(
            queries.arrays,
            keys.arrays,
            rule,
            layout=layout,
            example=example,
            n_tokens=None if tokens is None else len(tokens),
            called=(queries.called, keys.called),
        )
        labels, key_labels = labels_of(layers, rule, tokens, key_tokens)
        return cls(
            layers,
            labels,
            None if key_labels == labels else key_labels,
            name=name,
            layer_names=_names_of(queries.names, layers),
            layer_numbers=queries.numbers,
            notes=notes,
        )

    def save(self, path: str | Path) -> Path:
        """Write the maps to a safetensors file: what the layers hold, the tokens and the rules.

        Layers that are made of others, as the mean of heads, are computed and written as matrices.

        Parameters
        ----------
        path : str or Path
            Where to; by custom it ends in ".safetensors".

        Returns
        -------
        Path
            The file.
        """
        shelf = Shelf()
        return shelf.write(path, "maps", self.described(shelf))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read maps that `save` wrote. Nothing in the file is executed.

        Raises
        ------
        FileNotFoundError
            When there is no such file.
        ValueError
            When the file was not written by `save`, or by a later version, or is damaged.
        """
        description, tensors = read(path, {"maps": "AttentionMaps.load", "capture": "Capture.load"})
        with reading(path):
            return cls.from_description(description, tensors)

    def described(self, shelf: Shelf, place: str = "") -> dict[str, Any]:
        """Put what the maps hold on a shelf, and describe it."""
        keys = None if self.key_tokens is self.tokens else shelf.tokens(self.key_tokens, f"{place}keys.")
        return {
            "name": self.name,
            "layer_names": self.layer_names,
            "layer_numbers": self.layer_numbers,
            "head_numbers": self.head_numbers,
            "following": self.following,
            "notes": self.notes,
            "layers": shelf.layers(self.layers, place),
            "tokens": shelf.tokens(self.tokens, f"{place}queries."),
            "key_tokens": keys,
        }

    @classmethod
    def from_description(cls, described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """Maps from what `described` gave, and the tensors of the shelf."""
        keys, following = described["key_tokens"], described.get("following")
        words = [described["name"], *described["layer_names"], *described["notes"], following or ""]
        if not all(isinstance(word, str) for word in words):
            raise TypeError("its name, the names of its layers, and its notes are no strings.")
        return cls(
            layers_from(described["layers"], tensors),
            tokens_from(described["tokens"], tensors),
            None if keys is None else tokens_from(keys, tensors),
            name=described["name"],
            layer_names=described["layer_names"],
            notes=described["notes"],
            layer_numbers=described.get("layer_numbers"),
            head_numbers=described.get("head_numbers"),
            following=following,
        )


def _check_labels(argument: str, tokens: Tokens, expected: int, axis: str) -> None:
    if len(tokens) != expected:
        raise ValueError(
            f"{argument} has {len(tokens)} labels and the maps have {expected} {axis}. Give one label for each, "
            "special tokens included: tokenizer.convert_ids_to_tokens(inputs['input_ids'][0])."
        )


def _names_of(names: Sequence[str] | None, layers: Sequence[Layer]) -> Sequence[str] | None:
    """Names of the layers, where each has its own."""
    return names if names is not None and len(names) == len(layers) else None
