"""Mixing: how much of a token comes from other tokens, and how much stays, once the residual stream is counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from attnwidget.capturing import recording
from attnwidget.capturing.inputs import as_inputs, load_model
from attnwidget.capturing.places import modules_by_name
from attnwidget.capturing.projecting import Projection, find_projections
from attnwidget.effects.examples import evaluating
from attnwidget.effects.freezing import Frozen
from attnwidget.effects.split import attended_by
from attnwidget.effects.stream import Ran, hear
from attnwidget.layers import Layer, blocks, cells_for
from attnwidget.lenses import one_a_layer
from attnwidget.lenses.weighted import SizeOfSum, WithItself
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import whole
from attnwidget.values import values_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Mixing", "mixing"]

NAME = "mixing"
ROUNDED = 4  # times the precision of the parts
NEAR = 64  # modules, of those that run after a projection


@dataclass(frozen=True)
class Mixing:
    """How the attention of each layer mixes tokens, the residual stream counted.

    Attributes
    ----------
    maps : AttentionMaps
        One map a layer: the size of what each key adds to a query through all heads, on the diagonal together with
        what the query was before; rows divided by their sum. A lens like any other.
    ratios : Tensor [layers, queries]
        How much is mixed in: ||others|| / (||others|| + ||itself||), in [0, 1]; NaN where both are nothing.
    scales : Tensor [layers, queries]
        By which the norm behind the sum multiplied each vector; 1 where no norm stands there.
    normed : tuple of bool
        Whether a norm stands right behind the sum of each layer, as in BERT, and is counted. A norm in front of the
        attention, as in GPT-2, is no part of this.
    """

    maps: AttentionMaps
    ratios: Tensor
    scales: Tensor
    normed: tuple[bool, ...]

    def norms(self, layer: int) -> Tensor:
        """The sizes themselves, before rows are divided by their sum.

        Parameters
        ----------
        layer : int
            Place of the layer.

        Returns
        -------
        Tensor [queries, keys]
            0 or more, in the units of the residual stream; behind the norm where one is counted.

        Raises
        ------
        IndexError
            When there is no such layer.
        """
        source, _ = self.maps.locate(whole("layer", layer), 0)
        if not isinstance(source, SizeOfSum):
            raise TypeError(f"layer {layer} is a {type(source).__name__}, and no size of a sum.")
        sizes = source.sizes(slice(0, self.maps.n_queries))[0]
        return sizes * self.scales[layer, :, None].to(sizes)

    def to_frame(self) -> pd.DataFrame:
        """The ratios as a table.

        Returns
        -------
        pandas.DataFrame
            A row for each layer and token: layer, normed, position, token, ratio.
        """
        import pandas as pd

        tokens = list(self.maps.tokens.labels)
        rows = [
            (number, normed, position, token, ratio)
            for number, normed, of_layer in zip(self.maps.layer_numbers, self.normed, self.ratios.tolist(), strict=True)
            for position, (token, ratio) in enumerate(zip(tokens, of_layer, strict=True))
        ]
        return pd.DataFrame(rows, columns=["layer", "normed", "position", "token", "ratio"])


def mixing(model: Any, inputs: Any, tokenizer: Any = None, *, part: str | None = None) -> Mixing:
    """How much each layer mixes other tokens into a token, its residual connection and the norm behind it counted.

    Attention alone says nothing of what stays where it is: the residual stream carries each token past it. Here what
    keys add through values and projection is held against what the token was before.

    Parameters
    ----------
    model : nn.Module, str or Path
        A model whose heads can be told apart in what they add (`attnwidget.effects.direct` has the same need); its
        name, or the folder it was saved to.
    inputs : str, mapping, or Tensor
        One text or picture, as in `attnwidget.capture`.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Needed for texts.
    part : str or None
        Of an encoder with a decoder, "encoder" or "decoder".

    Returns
    -------
    Mixing
        Maps, ratios, and the norms of each layer.

    Raises
    ------
    TypeError
        When model or inputs is of a kind that cannot be run.
    ValueError
        When several texts came, there is no such part, heads attend to another sequence, or what heads are added to
        was not found in the pass: it must be what their attention was given, or what a module in front of it was.

    Notes
    -----
    With f_h(x_j) what head h adds of key j, and x_i what query i was, a cell is the size of
    T(sum_h A_ij f_h(x_j) + delta_ij x_i). T is the norm behind the sum with the scale that it had, and without what it
    adds; nothing where there is none. The bias of the output projection is in neither part.

    The formulas were made for norms behind the sum. Where norms stand in front of the attention, vectors of the
    residual stream grow with depth, and ratios fall for that reason alone.

    References
    ----------
    Kobayashi, Kuribayashi, Yokoi & Inui, EMNLP 2021.
    """
    model, tokenizer = load_model(model, tokenizer)
    positional, named = as_inputs(model, inputs, tokenizer)
    if positional or len(next(iter(named.values()))) != 1:
        raise ValueError("mixing is that of one text or picture; give one at a time.")
    projections = find_projections(model, lambda: model(**named))
    layers = projections.of(part)
    if any(one.place.crossing for one in layers):
        raise ValueError(
            "these heads attend to another sequence, so that no key is the token itself; give part='encoder' or "
            "'decoder'."
        )
    runs: list[Ran] = []
    with evaluating(model), torch.no_grad(), ExitStack() as stack:
        for module in model.modules():
            hear(stack, module, runs.append)
        with recording(model, tokenizer, logits="none", values=True) as recorder:
            model(**named)
        stack.close()  # what follows runs modules again
        modules = modules_by_name(model)
        added = [_added(one, modules.get(one.place.module), runs) for one in layers]
        maps = attended_by(recorder, layers, len(added[0].residual))
        if maps is None:
            left_out = " ".join(f"{name!r}: {why}." for name, why in projections.refused.items())
            raise ValueError(
                "mixing needs every token, in every layer, with its values. "
                + (left_out or "Some were not kept, as padding is not; give a text unpadded.")
            )
        mixed = [_mixed(layer, one) for layer, one in zip(maps.layers, added, strict=True)]
    note = "The size of what each key adds through all heads, and of what stays, as shares of their row."
    return Mixing(
        one_a_layer(maps, [one.layer for one in mixed], NAME, notes=[note]),
        torch.stack([one.ratios for one in mixed]),
        torch.stack([one.scales for one in mixed]),
        tuple(one.normed for one in mixed),
    )


@dataclass(frozen=True)
class _Added:
    """What the heads of a layer put out, what that is added to, both [tokens, width], and the norm behind the sum."""

    projection: Projection
    heads: Tensor
    residual: Tensor
    norm: Frozen | None


@dataclass(frozen=True)
class _Mixed:
    layer: SizeOfSum
    ratios: Tensor
    scales: Tensor
    normed: bool


def _added(one: Projection, attention: nn.Module | None, runs: Sequence[Ran]) -> _Added:
    """What the heads of a layer are added to: by the numbers of the pass, not by names."""
    heard = [ran for ran in runs if ran.module is attention]
    places = [place for place, ran in enumerate(runs) if ran.module is one.module]
    if one.turn >= min(len(heard), len(places)):
        raise ValueError(f"what the attention {one.place.module!r} was given was not found in the pass.")
    given, place = heard[one.turn].given, places[one.turn]
    if given.ndim != 3 or len(given) != 1:
        raise ValueError(f"{one.place.module!r} was given {list(given.shape)}; expected [1, tokens, width].")
    heads, made = runs[place].given.reshape(given.shape[1], -1), runs[place].made.reshape(given.shape)
    after = runs[place + 1 : place + 1 + NEAR]
    in_front = [ran.given for ran in runs[:place] if ran.given.shape == given.shape and _same(ran.made, given)]
    for residual in (given, *in_front):
        found = list(_given_sum([made, residual], after))
        if found:
            # A norm of what the attention was not given itself is the next sublayer's, and off the stream.
            norms = (_norm(ran, given, after) for ran in found) if residual is given else ()
            return _Added(one, heads, residual[0], next(filter(None, norms), None))
    beside = [ran for ran in after if _fits(ran.made, made)]
    for residual in in_front:
        # Attention and another module side by side, as in GPT-J.
        if any(True for other in beside for _ in _given_sum([made, residual, other.made.reshape(made.shape)], after)):
            return _Added(one, heads, residual[0], None)
    raise ValueError(
        f"what the heads of {one.name!r} are added to was not found: nothing in the pass is given their sum with what "
        "their attention was given, or what a norm in front of it was. They may be scaled or normed before."
    )


def _given_sum(parts: Sequence[Tensor], runs: Sequence[Ran]) -> Iterator[Ran]:
    """Those that were given just the sum of some parts [1, tokens, width]."""
    last = [part[:, -1] for part in parts]
    for ran in runs:
        if _fits(ran.given, parts[0]):
            given = ran.given.reshape(parts[0].shape)
            # The last token first: most are something else.
            if _is_sum(given[:, -1], last) and _is_sum(given, parts):
                yield ran


def _is_sum(given: Tensor, parts: Sequence[Tensor]) -> bool:
    """Whether every number is the sum of its parts but for rounding; in half precision much nearly is."""
    total = sum(parts[1:], parts[0])
    size = sum((part.abs() for part in parts[1:]), parts[0].abs())
    eps = max(torch.finfo(one.dtype).eps for one in (given, total))
    return bool(((given - total).abs() <= ROUNDED * eps * size).all())


def _norm(ran: Ran, given: Tensor, after: Sequence[Ran]) -> Frozen | None:
    """The module that ran as a norm, where it is one, and something else is added to what it made."""
    norm = Frozen.found(ran.module, ran.given.reshape(given.shape)[0]) if _fits(ran.made, given) else None
    if norm is None:
        return None
    made = ran.made.reshape(given.shape)
    others = (other.made.reshape(given.shape) for other in after if _fits(other.made, given))
    return norm if any(True for other in others for _ in _given_sum([made, other], after)) else None


def _fits(one: Tensor, other: Tensor) -> bool:
    return one.numel() == other.numel() and one.shape[-1] == other.shape[-1]


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.data_ptr() == other.data_ptr()


def _mixed(layer: Layer, added: _Added) -> _Mixed:
    """The map of one layer, and its ratios."""
    values = values_of(layer)
    if values is None:
        raise TypeError("values are not known here.")
    one, norm = added.projection, added.norm

    def turned(vectors: Tensor) -> Tensor:
        return vectors if norm is None else norm.linear(vectors, None)

    slices = one.slices(values.v)
    residual, heads = (each.float().to(slices.device) for each in (added.residual, added.heads))
    n = len(residual)
    products = slices.new_zeros(one.heads + 1, one.heads + 1, n)
    itself, others = torch.zeros(2, *residual.shape, device=slices.device)
    for keys in blocks(n, (one.heads + 1) * slices.shape[2], cells_for(slices.device)):
        v = values.v[:, keys].float().repeat_interleave(one.heads // len(values.v), 0)
        by_key = turned(torch.cat([v @ slices, residual[None, keys]])).transpose(0, 1)  # [keys, heads and itself, out]
        products[:, :, keys] = (by_key @ by_key.mT).permute(1, 2, 0)
        own = layer.weights(slice(0, one.heads), keys)[:, :, keys].diagonal(dim1=1, dim2=2).to(v)[..., None]
        of_others = one.split(heads[keys]).transpose(0, 1) - own * v
        others[keys] = turned((of_others @ slices).sum(0))
        itself[keys] = turned((own * v @ slices).sum(0) + residual[keys])
    mixed, stays = others.norm(dim=-1), itself.norm(dim=-1)
    scales = torch.ones(n) if norm is None else norm.scales.float()
    return _Mixed(SizeOfSum(WithItself(layer), products), (mixed / (mixed + stays)).cpu(), scales, norm is not None)
