"""Ablation: what a model loses without one of its heads."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from attnwidget.capturing.inputs import load_model
from attnwidget.capturing.passes import batch_of
from attnwidget.capturing.projecting import find_projections
from attnwidget.capturing.registry import transformers_in
from attnwidget.effects.examples import Batch, batches, evaluating, logits_of, unlabelled
from attnwidget.effects.heads import HeadEffects, Sums
from attnwidget.effects.metrics import Divergence, Loss, Metric, TargetLogit
from attnwidget.effects.replacing import Replacing
from attnwidget.effects.resuming import Resumable
from attnwidget.effects.stopping import Stopping
from attnwidget.measures.arguments import choice
from attnwidget.progress import progress_bar

__all__ = ["CAVEATS", "ablate"]

CAVEATS = {
    "zero": "Heads set to zero leave what the layers behind them were trained on. ",
    "mean": "Heads are replaced by their mean over these examples. ",
    "resample": "Heads are replaced by what they put out for the next example. ",
}
CAVEAT = "One head at a time: effects do not add, and heads that stand in for each other show little."


def ablate(
    model: Any,
    data: Any,
    tokenizer: Any = None,
    *,
    what: str = "zero",
    metric: str = "loss",
    target: Any = None,
    against: Any = None,
    position: int | None = None,
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
    what : {"zero", "mean", "resample"}
        What a head is replaced by: nothing; the mean of what it puts out over all examples, position by position where
        all of them have as many tokens, else over all positions of all of them; or what it puts out for the next
        example of the data, for the last one the first. There token p, counted without padding, gets token p of the
        other example; where that one is shorter, by n tokens long, it gets token p mod n.
    metric : {"loss", "kl", "logit"}
        "loss" is the change of an example's loss, the mean over its tokens: above 0 where the head helps. "kl" is the
        divergence of the output distribution from that of the whole model, 0 or more, the mean over positions that
        are no padding. "logit" is the change of the logit of ``target``: below 0 where the head speaks for it.
    target, against : str, int, sequence of them, or None
        For "logit": a token by its text or id, a class by its label or number, and one to hold it against, so that the
        change is that of the difference; one for all examples, or one for each. None is the whole model's first choice,
        and nothing to hold it against.
    position : int or None
        For "logit": whose next token it is about, among the tokens that are no padding; None is the last. A class has
        none.
    part : str or None
        Whose heads: "encoder", "decoder" or "cross", of a model that has several.
    progress : bool
        Show a progress bar.

    Returns
    -------
    HeadEffects
        Its ``effect`` [layers, heads] is a mean over examples, in nats, or in logits for "logit". Stopped by an
        interrupt or for want of memory, it has the batches before, and its ``reason`` says how to go on.

    Raises
    ------
    TypeError
        When model or data is of a kind that cannot be run.
    ValueError
        When there is no example or no label, an argument has a value that is not listed, one example alone is to be
        resampled, a target or position does not exist, or the heads of a layer cannot be told apart; says why.

    Warns
    -----
    AttentionWarning
        When an example is left out since a number of it is NaN or infinite; names it.

    Notes
    -----
    (layers x heads + 1) passes for each batch, "mean" and "resample" one more. A pass without a head begins at its
    layer: what each layer gave in the whole pass is kept, [batch, tokens, width], where a resumed pass is seen to say
    the same.

    References
    ----------
    Michel, Levy & Neubig, NeurIPS 2019; of the mean: Wang et al., ICLR 2023; of resampling: Chan et al., Alignment
    Forum 2022.
    """
    choice("what", what, tuple(CAVEATS))
    choice("metric", metric, ("loss", "kl", "logit"))
    if metric != "logit" and (target, against, position) != (None, None, None):
        raise ValueError(f"target, against and position are of metric='logit'; this is metric={metric!r}.")
    model, tokenizer = load_model(model, tokenizer)
    given = list(batches(model, data, tokenizer))
    layers = find_projections(model, lambda: model(**given[0])).of(part)
    measured: Metric
    if metric == "logit":
        n_examples = sum(batch_of(batch, transformers_in(model)) for batch in given)
        position = -1 if position is None else position
        measured = TargetLogit(model, tokenizer, target, against, position=position, n_examples=n_examples)
    else:
        measured = Loss(model) if metric == "loss" else Divergence(model)
    sums = Sums(layers)
    with evaluating(model), torch.no_grad():
        replacing = Replacing(model, layers, [unlabelled(model, batch) for batch in given], what)
        reason = _measure(model, sums, given, replacing, measured, progress=progress)
    found = sums.effects(sums.over(sums.n_examples), measured.text, CAVEATS[what] + CAVEAT, reason=reason)
    return replace(found, baseline=math.nan) if metric == "kl" else found


def _measure(
    model: nn.Module, sums: Sums, given: list[Batch], replacing: Replacing, metric: Metric, *, progress: bool
) -> str:
    """Add up the effect of every head; why it ended early, if it did."""
    resumable = Resumable(model)
    total = len(given) * sum(one.heads for one in sums.layers)
    bar = progress_bar("heads taken away", total, shown=progress, delay=1)
    with Stopping(lambda: sums.n_seen) as stopping, bar as shown:
        for number, batch in enumerate(given):
            plain = unlabelled(model, batch)

            def run(plain: Batch = plain) -> torch.Tensor:
                return logits_of(model(**plain))

            whole = resumable.run(run)
            measure = metric.begin(batch, whole, sums.n_seen)
            base = measure(whole).cpu().double()
            found = sums.nothing(len(base))
            for layer, one in enumerate(sums.layers):
                with resumable.resumed(one.module):
                    for head in range(one.heads):
                        with replacing.without(number, [(layer, head)]):
                            found[layer, head] = measure(run()).cpu().double() - base
                        shown.update()
            sums.add(found, base)
    return stopping.reason
