"""Reading: a model given embeddings instead of ids, seen to say the same of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.inputs import as_inputs
from attnwidget.capturing.passes import is_pair
from attnwidget.capturing.registry import transformers_in
from attnwidget.effects.examples import Batch, logits_of, read_positions, unlabelled
from attnwidget.effects.freezing import close_for
from attnwidget.effects.targets import token_name, token_number
from attnwidget.tokens import Tokens

__all__ = ["Reading"]


class Reading:
    """A model that reads the embeddings of a text instead of its ids.

    Parameters
    ----------
    model : nn.Module
        In eval mode, as long as this is used.
    inputs : str, mapping, or Tensor
        One text.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Needed for texts.

    Attributes
    ----------
    ids : Tensor of int [1, tokens]
        The text.
    real : Tensor of bool [tokens]
        Which of them are no padding.
    embedded : Tensor [1, tokens, width]
        Their embeddings.
    logits : Tensor [1, classes] or [1, positions, words]
        What the model says.
    read : Tensor of bool [positions]
        Which of these are no padding: of a pair, those of its target.

    Raises
    ------
    TypeError, ValueError
        When inputs are no text, or several, or the model says something else of embeddings.
    """

    def __init__(self, model: nn.Module, inputs: Any, tokenizer: Any) -> None:
        batch = _one_text(model, inputs, tokenizer)
        self.model = model
        self.ids: Tensor = batch["input_ids"]
        self._rest = {name: value for name, value in batch.items() if name != "input_ids"}
        roots = transformers_in(model)
        pair = any(map(is_pair, roots))
        self._table: nn.Module = (roots[0] if roots else model).get_input_embeddings()  # type: ignore[operator]
        self.real = read_positions(batch, self.ids.shape)[0]
        with torch.no_grad():
            self.embedded: Tensor = self._table(self.ids)
            self.logits = logits_of(model(**batch))
            off = (self(self.embedded) - self.logits).abs().max()
        if not bool(off <= close_for(self.logits.dtype) * self.logits.abs().max()):
            raise ValueError(
                f"{type(model).__name__} says something else when it is given embeddings instead of ids: it is off by "
                f"{float(off):.2g}. It does more with ids than to look them up, or its logits are not finite."
            )
        self.read = read_positions(batch, self.logits.shape[:2], decoded=pair)[0]

    def __call__(self, embedded: Tensor) -> Tensor:
        """Logits of embeddings [n, tokens, width], all with the same further inputs."""
        rest = {
            name: value.expand(len(embedded), *value.shape[1:])
            if isinstance(value, Tensor) and len(value) == 1
            else value
            for name, value in self._rest.items()
        }
        return logits_of(self.model(inputs_embeds=embedded, **rest))

    def baseline(self, token: str | int | None, tokenizer: Any) -> tuple[Tensor, str]:
        """Where an integral begins, and what that is called."""
        if token is None:
            return torch.zeros_like(self.embedded), "vectors of zeros"
        size = int(self._table.get_parameter("weight").shape[0])
        number = token_number(token, tokenizer, size)
        with torch.no_grad():
            return self._table(torch.full_like(self.ids, number)), f"{token_name(number, tokenizer)!r} in each place"

    def tokens(self, tokenizer: Any) -> Tokens:
        """What stands at the positions that are no padding."""
        ids = self.ids[0, self.real].tolist()
        if tokenizer is not None:
            return Tokens.from_tokenizer(tokenizer, ids)
        return Tokens(tuple(map(str, ids)), tuple(ids))


def _one_text(model: nn.Module, inputs: Any, tokenizer: Any) -> Batch:
    positional, named = as_inputs(model, inputs, tokenizer)
    ids = named.get("input_ids")
    if positional or not isinstance(ids, Tensor):
        raise ValueError(
            f"attributions are of the tokens of a text, and {', '.join(named) or 'what came'} holds no input_ids; give "
            "a text, or what the tokenizer returned."
        )
    if len(ids) != 1:
        raise ValueError(f"{len(ids)} texts came, and an attribution is of one; give one at a time.")
    return unlabelled(model, named)
