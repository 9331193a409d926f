"""Head importance: what the loss feels of a head, by its gradient: one pass back instead of one for each head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attnwidget.capturing.inputs import load_model
from attnwidget.capturing.projecting import find_projections
from attnwidget.effects.changing import changed
from attnwidget.effects.examples import Batch, batches, frozen, logits_of, losses, read_positions
from attnwidget.effects.feeling import feel, slopes_of
from attnwidget.effects.heads import HeadEffects, Sums
from attnwidget.effects.stopping import Stopping
from attnwidget.measures.arguments import choice
from attnwidget.progress import progress_bar

__all__ = ["head_importance"]

VARIANTS = {
    "michel": "mean of |dL/dxi| over examples",
    "abs_elementwise": "mean over examples of the sum of |A dL/dA| over all weights",
    "michel_code": "sum over tokens of |<output, dL/doutput>|, over the number of tokens that are no padding",
    "bertology": "|dL/dxi| of all examples together",
}
CAVEAT = "The slope of the loss at the whole model: what happens once a head is gone may differ (see ablate)."


def head_importance(
    model: Any,
    data: Any,
    tokenizer: Any = None,
    *,
    variant: str = "michel",
    normalize: bool = False,
    part: str | None = None,
    progress: bool = True,
) -> HeadEffects:
    """How much the loss would change with a head's output, to first order.

    Parameters
    ----------
    model : nn.Module, str or Path
        A transformers model, its name, or the folder it was saved to.
    data : str, mapping, or iterable of texts, mappings, or (inputs, labels)
        Examples, or batches of them, as a DataLoader gives them.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Needed for texts.
    variant : {"michel", "abs_elementwise", "michel_code", "bertology"}
        "michel" is E_x ``|dL(x)/dxi_h|`` at xi = 1, with xi_h a factor of what head h puts out: the absolute value for
        each example, then the mean (Michel et al. 2019, eq. 2). The others are what popular scripts compute, and not
        the same number: "abs_elementwise" takes the absolute value for each weight, "michel_code" for each token, and
        "bertology" after the mean over all examples, so that heads that help some and hurt others vanish.
    normalize : bool
        Divide by the root of the sum of squares of each layer, as the paper does.
    part : str or None
        Whose heads: "encoder", "decoder" or "cross", of a model that has several.
    progress : bool
        Show a progress bar.

    Returns
    -------
    HeadEffects
        ``effect`` [layers, heads], 0 or more, in nats. Interrupted, it has the examples before.

    Raises
    ------
    TypeError
        When model or data is of a kind that cannot be run.
    ValueError
        When there is no example or no label, ``variant`` is not listed, or the heads of a layer cannot be told apart.

    References
    ----------
    Michel, Levy & Neubig, NeurIPS 2019.
    """
    choice("variant", variant, tuple(VARIANTS))
    model, tokenizer = load_model(model, tokenizer)
    if torch.is_inference_mode_enabled():
        raise ValueError("inside torch.inference_mode() nothing has a gradient; call this outside of it.")
    given = list(batches(model, data, tokenizer))
    layers = find_projections(model, lambda: model(**given[0])).of(part)
    sums, n_tokens = Sums(layers), 0
    # Nobody's gradients are touched: only what heads put out has one here.
    held, bar = frozen(model), progress_bar("batches", len(given), shown=progress, delay=1)
    with held, torch.enable_grad(), Stopping(lambda: sums.n_seen) as stopping, bar as shown:
        for batch in given:
            by_weight = variant == "abs_elementwise"
            loss, felt = _felt_of_weights(model, layers, batch) if by_weight else _felt(model, layers, batch)
            found = sums.nothing(len(loss))
            for number, each in enumerate(felt):
                found[number, : each.shape[-1]] = _taken(each, variant).T
            counts = sums.add(found, loss)
            n_tokens += int(read_positions(batch, felt[0].shape[:2]).cpu()[counts].sum())
            shown.update()
    effect = sums.over(n_tokens if variant == "michel_code" else sums.n_examples).abs()
    if normalize:
        effect = effect / effect.nan_to_num(0).square().sum(-1, keepdim=True).sqrt()
    return sums.effects(effect, VARIANTS[variant], CAVEAT, reason=stopping.reason)


def _felt(model: Any, layers: Any, batch: Batch) -> tuple[Tensor, list[Tensor]]:
    """Loss of each example, and <output, dL/doutput> of each head at each position: [batch, tokens, heads] a layer."""
    held: dict[int, Tensor] = {}

    def hold(number: int, heads: Tensor) -> Tensor:
        held[number] = heads if heads.requires_grad else heads.detach().requires_grad_(True)
        return held[number]

    with changed(model, layers, hold):
        loss = losses(model, batch, logits_of(model(**batch)))
    # Examples do not touch each other: the gradient of the sum is each one's own.
    slopes = slopes_of(loss.sum(), [held[number] for number in range(len(layers))])
    felt = []
    for number, slope in enumerate(slopes):
        heads = held[number].detach()
        one = torch.zeros(heads.shape[:-1]) if slope is None else (heads * slope).sum(-1)
        felt.append(one.cpu().double().reshape(len(loss), -1, one.shape[-1]))
    return loss.detach(), felt


def _felt_of_weights(model: Any, layers: Any, batch: Batch) -> tuple[Tensor, list[Tensor]]:
    """Loss of each example, and the sum of |A dL/dA| of each head at each position: [batch, tokens, heads] a layer."""
    kept: list[Tensor] = []

    def total() -> Tensor:
        kept.append(losses(model, batch, logits_of(model(**batch))))
        return kept[0].sum()

    felt = {one.call.place: one for one in feel(model, total)[1]}
    found = []
    for layer in layers:
        one = felt[layer.place]
        heads = [(one.weights(head) * one.gradient(head)).abs().sum(-1) for head in range(layer.heads)]
        found.append(torch.stack(heads, -1).cpu().double())
    return kept[0].detach(), found


def _taken(felt: Tensor, variant: str) -> Tensor:
    """What is added up of each example: [batch, heads]."""
    if variant == "michel":
        return felt.sum(1).abs()
    return felt.sum(1) if variant == "bertology" else felt.abs().sum(1)
