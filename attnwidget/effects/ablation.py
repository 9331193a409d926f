"""Ablation: what a model loses without one of its heads."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.inputs import load_model
from attnwidget.capturing.projecting import Projection, find_projections
from attnwidget.effects.changing import changed
from attnwidget.effects.examples import Batch, batches, evaluating, logits_of, losses, read_positions
from attnwidget.effects.heads import HeadEffects, Sums
from attnwidget.measures.arguments import choice
from attnwidget.progress import progress_bar

__all__ = ["ablate"]

METRICS = {"loss": "change of the loss (nats)", "kl": "KL divergence of the output from the whole model's (nats)"}
CAVEATS = {
    "zero": "A head set to zero leaves what the layers behind it were trained on. ",
    "mean": "A head is replaced by its mean over all positions of these examples. ",
}
CAVEAT = "One head at a time: effects do not add, and heads that stand in for each other show little."


def ablate(
    model: Any,
    data: Any,
    tokenizer: Any = None,
    *,
    what: str = "zero",
    metric: str = "loss",
    part: str | None = None,
    progress: bool = True,
) -> HeadEffects:
    """What a model loses without each of its heads.

    Every head is taken away at the input of the output projection, its bias of the values with it; that of the
    projection stays. The model is in eval mode meanwhile and is afterwards as it was.

    Parameters
    ----------
    model : nn.Module, str or Path
        A transformers model, its name, or the folder it was saved to.
    data : str, mapping, or iterable of texts, mappings, or (inputs, labels)
        Examples, or batches of them, as a DataLoader gives them; they are run once for each head.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Needed for texts.
    what : {"zero", "mean"}
        What a head is replaced by: nothing, or the mean of what it puts out over all positions of all examples.
    metric : {"loss", "kl"}
        "loss" is the change of an example's loss, the mean over its tokens: above 0 where the head helps. "kl" is the
        divergence of the output distribution from that of the whole model, 0 or more, the mean over positions that
        are no padding.
    part : str or None
        Whose heads: "encoder", "decoder" or "cross", of a model that has several.
    progress : bool
        Show a progress bar.

    Returns
    -------
    HeadEffects
        Its ``effect`` [layers, heads] is a mean over examples, in nats. Interrupted, it has the examples before.

    Raises
    ------
    TypeError
        When model or data is of a kind that cannot be run.
    ValueError
        When there is no example or no label, an argument has a value that is not listed, or the heads of a layer
        cannot be told apart; says why.

    Notes
    -----
    (layers x heads + 1) passes for each batch; "mean" one more.

    References
    ----------
    Michel, Levy & Neubig, NeurIPS 2019; of the mean: Wang et al., ICLR 2023.
    """
    choice("what", what, tuple(CAVEATS))
    choice("metric", metric, tuple(METRICS))
    model, tokenizer = load_model(model, tokenizer)
    given = list(batches(model, data, tokenizer))
    layers = find_projections(model, lambda: model(**given[0])).of(part)
    with evaluating(model), torch.no_grad():
        instead = _means(model, layers, given) if what == "mean" else [torch.zeros(()) for _ in layers]
        sums = Sums(layers)
        interrupted = _measure(model, sums, given, instead, metric, progress=progress)
    found = sums.effects(sums.over(sums.n_examples), METRICS[metric], CAVEATS[what] + CAVEAT, interrupted=interrupted)
    return found if metric == "loss" else replace(found, baseline=math.nan)


def _measure(
    model: nn.Module, sums: Sums, given: list[Batch], instead: list[Tensor], metric: str, *, progress: bool
) -> bool:
    """Add up the effect of every head; whether somebody interrupted it."""
    layers = sums.layers
    total = len(given) * sum(one.heads for one in layers)
    with progress_bar("heads taken away", total, shown=progress, delay=1) as bar:
        try:
            for batch in given:
                whole = logits_of(model(**_unlabelled(batch)))
                base = losses(model, batch, whole) if metric == "loss" else torch.zeros(len(whole), device=whole.device)
                found = sums.nothing()
                for number, one in enumerate(layers):
                    for head in range(one.heads):
                        with changed(model, layers, _without(number, head, instead[number])):
                            logits = logits_of(model(**_unlabelled(batch)))
                        value = losses(model, batch, logits) - base if metric == "loss" else _kl(batch, whole, logits)
                        found[number, head] = value.sum().double()
                        bar.update()
                sums.add(found, base)
        except KeyboardInterrupt:
            return True
    return False


def _unlabelled(batch: Batch) -> Batch:
    """Without labels the model makes its logits alone; a pair needs them to have something to decode."""
    return (
        batch
        if "decoder_input_ids" not in batch and "labels" in batch and batch["labels"].ndim > 1
        else {name: value for name, value in batch.items() if name != "labels"}
    )


def _without(layer: int, head: int, instead: Tensor) -> Any:
    def change(number: int, heads: Tensor) -> Tensor | None:
        if number != layer:
            return None
        heads = heads.clone()
        heads[..., head, :] = instead.to(heads) if instead.ndim == 0 else instead[head].to(heads)
        return heads

    return change


def _means(model: nn.Module, layers: list[Projection], given: list[Batch]) -> list[Tensor]:
    """What each head of each layer puts out in the mean of all positions that are no padding: [heads, width]."""
    sums = [torch.zeros(one.heads, one.width, dtype=torch.float64) for one in layers]
    counts = [0 for _ in layers]
    for batch in given:

        def add(number: int, heads: Tensor, batch: Batch = batch) -> None:
            real = heads.reshape(-1, *heads.shape[-2:])
            mask = batch.get("attention_mask")
            if isinstance(mask, Tensor) and mask.shape == heads.shape[:-2]:
                real = real[mask.flatten().bool()]
            sums[number] += real.sum(0).double().cpu()
            counts[number] += len(real)

        with changed(model, layers, add):
            model(**_unlabelled(batch))
    return [one / max(1, count) for one, count in zip(sums, counts, strict=True)]


def _kl(batch: Batch, whole: Tensor, logits: Tensor) -> Tensor:
    """KL(whole || changed) of each example, the mean over its positions: [batch]."""
    p, q = whole.float().log_softmax(-1), logits.float().log_softmax(-1)
    each = (p.exp() * (p - q)).sum(-1)
    if each.ndim == 1:
        return each
    real = read_positions(batch, whole)
    return each.masked_fill(~real, 0).sum(1) / real.sum(1)
