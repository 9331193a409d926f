"""Relevance: which tokens a logit rests on, by attention and its gradient together, through all layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attnwidget.capturing import capture
from attnwidget.capturing.inputs import as_inputs, load_model
from attnwidget.capturing.keeping import generates
from attnwidget.capturing.passes import is_pair
from attnwidget.capturing.registry import transformers_in
from attnwidget.effects.examples import logits_of
from attnwidget.effects.feeling import Felt, feel
from attnwidget.effects.targets import class_name, class_number, token_name, token_number
from attnwidget.measures.arguments import choice, whole

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Relevance", "relevance"]

VARIANTS = ("chefer", "gradient_rollout")
CAVEAT = (
    "What a logit rests on to first order, along attention alone: nothing of the MLPs but what they pass on is in it."
)


@dataclass(frozen=True)
class Relevance:
    """How much the logit of a target rests on each token.

    Attributes
    ----------
    values : Tensor [tokens]
        Of the tokens of the sequence in which the target stands, 0 or more.
    matrix : Tensor [tokens, tokens]
        The same for every position of that sequence, one a row: what was added to the identity.
    source : Tensor [source tokens] or None
        Of what the encoder read, of a model that has one.
    tokens, source_tokens : tuple of str
        Labels.
    target, against : str
        What the logit is of, and what it is held against; empty for none.
    position : int
        The row that is explained.
    logit : float
        What the model says.
    variant : str
        How it was computed.
    caveat : str
        What the numbers do not say.
    """

    values: Tensor
    matrix: Tensor
    source: Tensor | None
    tokens: tuple[str, ...]
    source_tokens: tuple[str, ...]
    target: str
    against: str
    position: int
    logit: float
    variant: str
    caveat: str = CAVEAT

    def __repr__(self) -> str:
        what = repr(self.target) + (f" against {self.against!r}" if self.against else "")
        return f"<Relevance for {what} at position {self.position}: {len(self.values)} tokens>"

    def to_frame(self) -> pd.DataFrame:
        """Tokens with their relevance, the largest first; ``attrs`` say of what.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd

        rows = [
            ("own", i, token, float(value))
            for i, (token, value) in enumerate(zip(self.tokens, self.values, strict=True))
        ]
        if self.source is not None:
            pairs = zip(self.source_tokens, self.source, strict=True)
            rows += [("source", i, token, float(value)) for i, (token, value) in enumerate(pairs)]
        table = pd.DataFrame(rows, columns=["sequence", "position", "token", "relevance"])
        table = table.sort_values("relevance", ascending=False, ignore_index=True)
        table.attrs |= {"target": self.target, "against": self.against, "position": self.position, "logit": self.logit}
        table.attrs["caveat"] = self.caveat
        return table


def relevance(
    model: Any,
    inputs: Any,
    tokenizer: Any = None,
    *,
    target: str | int | None = None,
    against: str | int | None = None,
    position: int | None = None,
    variant: str = "chefer",
    own: bool = True,
) -> Relevance:
    """How much the logit of a target rests on each token, by weights and their gradients through all layers.

    In each layer the weights are multiplied with their gradient, what is below 0 is dropped head by head, and the mean
    over heads carries on what the layers before have found.

    Parameters
    ----------
    model : nn.Module, str or Path
        A transformers model that makes logits: of the next token, or of classes.
    inputs : str, mapping, or Tensor
        One text or picture, as in `attnwidget.capture`.
    tokenizer : transformers.PreTrainedTokenizerBase, processor, or None
        Needed for texts.
    target, against : str, int, or None
        A token by its text or id, or a class by its name or number, and one to hold it against. None is the model's
        own first choice, and nothing to hold it against.
    position : int or None
        Whose next token it is about, and whose row explains it. None is the last token; of a model that says classes
        the first one, where such models read them.
    variant : {"chefer", "gradient_rollout"}
        "gradient_rollout" is what a popular script for pictures does: the mean over heads first, then what is below 0
        is dropped, and layers are multiplied as in rollout.
    own : bool
        Whether the explained position counts; else its number is 0.

    Returns
    -------
    Relevance

    Raises
    ------
    TypeError
        When model or inputs is of a kind that cannot be run.
    ValueError
        When there is no such token, class or position, or not all attention of the model is seen.

    Notes
    -----
    Gradients are those of the logit, not of a loss. A row whose sum is 0 stays 0 where rows are normed: in causal
    models that is the row of a token that feels nothing.

    References
    ----------
    Chefer, Gur & Wolf, ICCV 2021, equations 5 to 11. It is not the method of the same authors at CVPR 2021.

    Examples
    --------
    >>> aw.effects.relevance(model, "Lily gave the ball to", tokenizer, target="Ben").to_frame()
    """
    choice("variant", variant, VARIANTS)
    model, tokenizer = load_model(model, tokenizer)
    positional, named = as_inputs(model, inputs, tokenizer)
    if positional or len(next(iter(named.values()))) != 1:
        raise ValueError("relevance is that of one text or picture; give one at a time.")
    roots = transformers_in(model) or [model]
    words = any(map(generates, roots))
    if words:
        named["use_cache"] = False
    asked: dict[str, Any] = {}

    def number() -> Tensor:
        logits = logits_of(model(**named))[0]
        if logits.ndim == 2:
            asked["at"] = _place("position", -1 if position is None else position, len(logits))
            logits = logits[asked["at"]]
        first = int(logits.argmax()) if target is None else _number(target, model, tokenizer, len(logits), words=words)
        other = None if against is None else _number(against, model, tokenizer, len(logits), words=words)
        asked["names"] = tuple(
            "" if one is None else _name(one, model, tokenizer, words=words) for one in (first, other)
        )
        return logits[first] if other is None else logits[first] - logits[other]

    logit, felt = feel(model, number)
    pair = any(map(is_pair, roots))
    parts = {part: [one for one in felt if one.part == part] for part in ("attention", "encoder", "decoder", "cross")}
    mine = parts["decoder" if pair else "attention"]
    _check_sizes(mine, parts)
    n = mine[0].call.n_queries
    at = asked.get("at", _place("position", 0 if position is None else position, n))
    if variant == "gradient_rollout" and pair:
        raise ValueError("gradient_rollout is of one sequence; this model has two. Use variant='chefer'.")
    matrix, source = _rollout(mine) if variant == "gradient_rollout" else _chefer(felt, pair=pair)
    values = matrix[at].clone()
    if not own:
        values[at] = 0
    labels = capture(model, inputs, tokenizer, logits="none", progress=False)
    decoding, reading = ("decoder", "encoder") if pair else (next(iter(labels.by_name)), None)
    return Relevance(
        values=values,
        matrix=matrix,
        source=None if source is None else source[at],
        tokens=_labels(labels.by_name, decoding, n),
        source_tokens=() if source is None or reading is None else _labels(labels.by_name, reading, source.shape[1]),
        target=asked["names"][0],
        against=asked["names"][1],
        position=at,
        logit=float(logit),
        variant=variant,
    )


def _chefer(felt: list[Felt], *, pair: bool) -> tuple[Tensor, Tensor | None]:
    """What each position rests on: of its own sequence, less the identity, and of the source where there is one."""
    sides = {"encoder": "encoder", "decoder": "decoder", "attention": "decoder"}
    sizes = {sides[one.part]: one.call.n_queries for one in felt if one.part in sides}
    own = {side: torch.eye(n, dtype=torch.float64) for side, n in sizes.items()}
    across = torch.zeros(sizes["decoder"], sizes.get("encoder", 0), dtype=torch.float64)
    for one in felt:
        positive = _positive(one)
        if one.part == "cross":
            across = across + _normed(own["decoder"]).T @ positive @ _normed(own["encoder"])
            continue
        side = sides[one.part]
        if side == "decoder":
            across = across + positive @ across
        own[side] = own[side] + positive @ own[side]
    n = sizes["decoder"]
    return (own["decoder"] - torch.eye(n, dtype=torch.float64)).float(), across.float() if pair else None


def _positive(one: Felt) -> Tensor:
    """The mean over heads of what is above 0 of weights times their gradient: float64 [queries, keys]."""
    n_heads = one.call.n_heads
    total = torch.zeros(one.call.n_queries, one.call.n_keys, dtype=torch.float64)
    for head in range(n_heads):
        total += (one.gradient(head)[0] * one.weights(head)[0]).clamp(min=0).double().cpu()
    return total / n_heads


def _normed(own: Tensor) -> Tensor:
    """Equations 8 and 9: what was added to the identity, its rows of sum 1, and the identity; rows of 0 stay 0."""
    identity = torch.eye(len(own), dtype=own.dtype)
    added = own - identity
    total = added.sum(-1, keepdim=True)
    return torch.where(total == 0, torch.zeros_like(added), added / total.masked_fill(total == 0, 1)) + identity


def _rollout(felt: list[Felt]) -> tuple[Tensor, None]:
    n = felt[0].call.n_queries
    identity = torch.eye(n, dtype=torch.float64)
    found = identity
    for one in felt:
        heads = range(one.call.n_heads)
        mean = sum((one.gradient(h)[0] * one.weights(h)[0]).double().cpu() for h in heads) / len(heads)
        step = torch.as_tensor(mean).clamp(min=0) + identity
        found = step / step.sum(-1, keepdim=True) @ found
    return found.float(), None


def _check_sizes(mine: list[Felt], parts: dict[str, list[Felt]]) -> None:
    if not mine:
        raise ValueError("the attention of this model is in no sequence that its logits stand in.")
    for part in parts.values():
        if part and part[0].part != "cross" and any(one.call.n_queries != one.call.n_keys for one in part):
            raise ValueError(
                "queries of this model look at keys that are none of its tokens, as a learned prefix; relevance is "
                "about tokens alone."
            )
        sizes = {(one.call.n_queries, one.call.n_keys, one.call.batch) for one in part}
        if len(sizes) > 1 or any(batch != 1 for *_, batch in sizes):
            raise ValueError(
                "the layers of this model attend among different numbers of tokens, as in windows or after pooling; "
                "relevance needs the same tokens in every layer."
            )


def _labels(maps: Any, name: str, n: int) -> tuple[str, ...]:
    found = tuple(maps[name].tokens.labels) if name in maps else ()
    return found if len(found) == n else tuple(str(i) for i in range(n))


def _place(name: str, position: Any, n: int) -> int:
    if not -n <= whole(name, position) < n:
        raise ValueError(f"{name}={position} does not exist; there are {n} tokens.")
    return int(position) % n


def _number(target: Any, model: Any, tokenizer: Any, size: int, *, words: bool) -> int:
    return token_number(target, tokenizer, size) if words else class_number(target, model, size)


def _name(number: int, model: Any, tokenizer: Any, *, words: bool) -> str:
    return token_name(number, tokenizer) if words else class_name(number, model)
