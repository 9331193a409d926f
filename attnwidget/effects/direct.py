"""Direct effect: what each head, and everything else that is added to the residual stream, adds to a logit.

Its parts are those of the residual stream, and their effects together must be the logit that the model said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attnwidget.capturing import recording
from attnwidget.capturing.inputs import as_inputs, load_model
from attnwidget.capturing.projecting import find_projections
from attnwidget.effects.examples import evaluating
from attnwidget.effects.freezing import close_for
from attnwidget.effects.split import SplitEffects, attended_by
from attnwidget.effects.stream import Stream
from attnwidget.effects.unembedding import Unembedding, unembedding_of
from attnwidget.maps import AttentionMaps
from attnwidget.measures.arguments import whole

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Effects", "direct"]

LIKELY = 8  # tokens
EPS = 1e-6  # of single precision, and better
CAVEAT = (
    "The direct effect alone: what later layers make of a head is not in it. The last norm keeps the scale that it had."
)


@dataclass(frozen=True)
class Effects:
    """What the parts of a model add to the logit of a token, or to the difference of two.

    Attributes
    ----------
    heads : Tensor [layers, heads]
        NaN where a layer has fewer heads.
    mlps, biases : Tensor [layers]
        What else a layer adds, and what the bias of its output projection does.
    embedding : float
        What the token at the position, and the position, bring with them.
    constant : float
        The shift of the last norm and the bias of the unembedding.
    logit : float
        What the model says, a factor on its logits included, before any cap: the sum of all of these, where nothing
        was centred.
    check : float
        How far that sum and the logit are apart.
    centred : bool
        Whether each effect is less the mean of the same over the vocabulary.
    target, against : str
        The token, and the one that it is held against; empty for none.
    position : int
        Whose next token it is.
    layer_numbers : tuple of int
        What the model calls its layers.
    likely : tuple of (str, float)
        What the model finds likeliest at the position, with its probability.
    caveat : str
    split : SplitEffects or None
        The effect of each head split by the keys that it came through; None where that is not known.
    """

    heads: Tensor
    mlps: Tensor
    biases: Tensor
    embedding: float
    constant: float
    logit: float
    check: float
    centred: bool
    target: str
    against: str
    position: int
    layer_numbers: tuple[int, ...]
    likely: tuple[tuple[str, float], ...]
    caveat: str
    split: SplitEffects | None
    _vectors: Tensor
    _words: Callable[[Tensor], Tensor]
    _name: Callable[[int], str]

    def __repr__(self) -> str:
        what = repr(self.target) + (f" against {self.against!r}" if self.against else "")
        layers, heads = self.heads.shape
        return f"<Effects on {what} at position {self.position}: {layers} layers x {heads} heads>"

    @property
    def ranked(self) -> list[tuple[int, int]]:
        """(layer, head) of every head, the largest effect in size first; layers by their place."""
        values = self.heads.tolist()
        places = [(layer, head) for layer, row in enumerate(values) for head, one in enumerate(row) if one == one]  # noqa: PLR0124
        return sorted(places, key=lambda place: -abs(values[place[0]][place[1]]))

    def sources(self, layer: int, head: int) -> Tensor:
        """The effect of a head split by the tokens that it came through.

        Parameters
        ----------
        layer, head : int
            Place of the layer, and number of the head.

        Returns
        -------
        Tensor [keys]
            The weight that the head gives to a token, times what the token's value adds to the logit: with a sign, in
            logits, and together the effect of the head. Learned sinks have no value and add nothing.

        Raises
        ------
        ValueError
            When there is no such head, or the values of the model are not seen.
        """
        self._check_place(layer, head)
        if self.split is None:
            raise ValueError(
                "the values of this model are not seen, so that no effect can be split by where it is from."
            )
        return self.split.map(
            layer % len(self.heads), head % self.heads.shape[1], slice(self.position, self.position + 1)
        )[0]

    def _check_place(self, layer: int, head: int) -> None:
        layers, heads = self.heads.shape
        if not (-layers <= whole("layer", layer) < layers and -heads <= whole("head", head) < heads):
            raise ValueError(f"layer {layer}, head {head} does not exist; there are {layers} layers of {heads} heads.")

    def promoted(self, layer: int, head: int, k: int = 10) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
        """The words that a head makes likelier, and those that it makes less likely, at this position.

        Parameters
        ----------
        layer, head : int
            Place of the layer, and number of the head.
        k : int
            How many of each.

        Returns
        -------
        tuple of list of (str, float)
            Words with what the head adds to their logits, less the mean over the vocabulary.

        Raises
        ------
        ValueError
            When there is no such head.
        """
        self._check_place(layer, head)
        words = self._words(self._vectors[layer, head])
        words = words - words.mean()
        if whole("k", k) < 1:
            raise ValueError(f"k={k}; expected at least one word.")
        k = min(int(k), len(words))
        most, least = words.topk(k), words.topk(k, largest=False)
        return tuple(  # type: ignore[return-value]
            [(self._name(int(at)), float(value)) for value, at in zip(one.values, one.indices, strict=True)]
            for one in (most, least)
        )

    def to_frame(self) -> pd.DataFrame:
        """Every part and its effect, in logits, the largest in size first; ``attrs`` say of what.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd

        rows: list[tuple[str, int | None, int | None, float]] = [("embedding", None, None, self.embedding)]
        for layer, number in enumerate(self.layer_numbers):
            each = [(head, float(one)) for head, one in enumerate(self.heads[layer]) if bool(one == one)]  # noqa: PLR0124
            rows += [("head", number, head, one) for head, one in each]
            rows += [("mlp", number, None, float(self.mlps[layer])), ("bias", number, None, float(self.biases[layer]))]
        rows.append(("constant", None, None, self.constant))
        table = pd.DataFrame(rows, columns=["part", "layer", "head", "effect"])
        table = table.astype({"layer": "Int64", "head": "Int64"})
        table = table.sort_values("effect", key=lambda values: -values.abs(), ignore_index=True)
        table.attrs |= {"target": self.target, "against": self.against, "position": self.position}
        table.attrs |= {"logit": self.logit, "centred": self.centred, "caveat": self.caveat}
        return table


def direct(
    model: Any,
    inputs: Any,
    tokenizer: Any = None,
    *,
    target: str | int | None = None,
    against: str | int | None = None,
    position: int = -1,
    centred: bool = True,
) -> Effects:
    """What each part of a model adds to the logit of a token: direct logit attribution.

    Parameters
    ----------
    model : nn.Module, str or Path
        A transformers model that predicts the next token, or classes by one linear module; its name, or the folder it
        was saved to.
    inputs : str, mapping, or Tensor
        One text or picture, as in `attnwidget.capture`.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Needed for texts.
    target, against : str, int, or None
        A token, by its text or its id, or a class, by its name or its number, and one to hold it against: then effects
        are on the difference of the two logits. None is the model's own first choice, and nothing to hold it against.
    position : int
        Whose next token it is about; of classes it is the position that they are read from.
    centred : bool
        Take from each effect the mean of the same over the vocabulary: what is added to all logits alike changes
        nothing. A difference of two has no such part.

    Returns
    -------
    Effects
        In logits, with a sign.

    Raises
    ------
    TypeError
        When model or inputs is of a kind that cannot be run.
    ValueError
        When the model makes its logits in another way or computes in half precision, a token, class or position does
        not exist, or a sum does not hold: what a layer adds is not its heads and one other module, or the parts are
        not the logit.

    Notes
    -----
    The last norm is linear once its scale is held as it was. Where a cap is put on the logits (Gemma 2), the effects
    are on the logits before it.

    References
    ----------
    Elhage et al., Transformer Circuits Thread 2021.
    """
    model, tokenizer = load_model(model, tokenizer)
    positional, named = as_inputs(model, inputs, tokenizer)
    if positional or len(next(iter(named.values()))) != 1:
        raise ValueError("the direct effect is that of one text or picture; give one at a time.")
    head = unembedding_of(model, tokenizer, named)
    if torch.finfo(head.weight.dtype).eps > EPS:
        raise ValueError(
            f"the model computes in {str(head.weight.dtype).removeprefix('torch.')}, whose sums are too coarse for its "
            "parts to be told apart by them; pass model.float()."
        )
    layers = find_projections(model, lambda: model(**named)).of(None)
    with evaluating(model), torch.no_grad():
        stream = Stream(model, layers, head.module)
        with recording(model, tokenizer, logits="none", values=True) as recorder:
            stream.read(named)
        n = stream.n_positions
        if not -n <= whole("position", position) < n:
            raise ValueError(f"position={position} does not exist; there are {n} tokens.")
        at = position % n if head.said is None else stream.place_of(head.said)
        return _effects(stream, at, head, (target, against), attended_by(recorder, layers, n), centred=centred)


def _effects(
    stream: Stream, at: int, head: Unembedding, asked: tuple[Any, Any], maps: AttentionMaps | None, *, centred: bool
) -> Effects:
    parts = stream.parts(at)
    bias = head.bias
    # Some models multiply their logits by a constant, and all effects with them.
    factor = stream.factor(at)
    said = stream.logits
    logits = said[at if len(said) > 1 else 0].double().cpu() * factor
    weight = head.weight if factor == 1 else head.weight * factor
    bias = None if bias is None else bias * factor
    shares = stream.said(at).double().cpu().softmax(-1)
    first = int(logits.argmax()) if asked[0] is None else head.number(asked[0])
    other = None if asked[1] is None else head.number(asked[1])

    def of(values: Tensor) -> Tensor:
        """A row of the unembedding, or one less the other."""
        values = values.detach().double()
        return (values[first] if other is None else values[first] - values[other]).cpu()

    row = of(weight)
    constant = float(row @ parts.norm.shift) + (0.0 if bias is None else float(of(bias)))
    logit = float(of(logits))
    check = abs(float(parts.frozen(parts.end) @ row) + constant - logit)
    if check > close_for(weight.dtype) * float(logits.abs().max()):
        raise ValueError(f"the effects do not add up to the logit of {logit:.4g}: {check:.2g} is left.")
    centred = centred and other is None
    if centred:
        row = row - weight.double().mean(0).cpu()
    return Effects(
        heads=(parts.frozen(parts.heads) @ row).float(),
        mlps=(parts.frozen(parts.mlps) @ row).float(),
        biases=(parts.frozen(parts.biases) @ row).float(),
        embedding=float(parts.frozen(parts.start) @ row),
        constant=constant,
        logit=logit,
        check=check,
        centred=centred,
        target=head.name(first),
        against="" if other is None else head.name(other),
        position=at,
        layer_numbers=tuple(one.place.layer for one in stream.layers),
        likely=tuple(
            (head.name(int(one)), float(shares[one])) for one in shares.topk(min(LIKELY, len(shares))).indices
        ),
        caveat=CAVEAT,
        split=None if maps is None else SplitEffects.of(maps, stream.layers, parts, row),
        _vectors=parts.frozen(parts.heads),
        _words=lambda vector: vector.to(weight) @ weight.T,
        _name=head.name,
    )
