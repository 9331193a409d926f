"""Outputs: the logits of a pass, example by example, and the tokens they make likely."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from attnwidget.capturing.axes import token_label
from attnwidget.capturing.captured import MOST_CANDIDATES, NextToken
from attnwidget.capturing.keep import Keep
from attnwidget.capturing.passes import Pass

__all__ = ["Outputs"]


class Outputs:
    """The logits of a pass.

    Parameters
    ----------
    recorded : Pass
        The pass, or the joined passes of a generation.
    model : nn.Module
        The model that ran.
    keep : Keep
        What was asked to be kept.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Gives the candidates their labels.
    """

    def __init__(self, recorded: Pass, model: nn.Module, keep: Keep, tokenizer: Any) -> None:
        self._recorded, self._tokenizer, self._keep = recorded, tokenizer, keep
        self._name = type(model).__name__
        self._predicts_next = any(can() for part in model.modules() if (can := getattr(part, "can_generate", None)))

    def of_example(self, example: int) -> tuple[Tensor | None, tuple[NextToken, ...], str]:
        """Logits of an example, the likeliest next tokens, and why there are none."""
        logits = self._recorded.logits
        if logits is None:
            return None, (), self._why_none()
        own = logits[min(example, len(logits) - 1)]
        own = own[self._positions(example, own.shape[0])] if own.ndim == 2 else own
        own = own if own.data_ptr() == logits.data_ptr() and len(logits) == 1 else own.clone()
        if own.ndim != 2 or not self._predicts_next or not own.shape[0]:
            return own, (), f"{self._name} predicts no next token: its logits are of something else."
        probabilities = own[-1].float().softmax(-1)
        best = probabilities.topk(min(MOST_CANDIDATES, probabilities.shape[-1]))
        candidates = tuple(
            NextToken(token_label(self._tokenizer, number), probability, number)
            for probability, number in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        )
        return own, candidates, ""

    def _why_none(self) -> str:
        if self._keep.logits == "none":
            return "logits were not kept: capture was called with logits='none'."
        if self._recorded.several:
            return "logits were not kept: this generation chose several tokens in one step, as with an assistant."
        return (
            f"{self._name} puts out no logits: it has no head for a vocabulary. Load the model with one, for example "
            "with AutoModelForCausalLM."
        )

    def _positions(self, example: int, n: int) -> Any:
        """Positions that are no padding; of a generation, up to the last token that was chosen."""
        recorded = self._recorded
        for name in ("decoder_attention_mask", "attention_mask"):
            real = recorded.inputs.get(name)
            if isinstance(real, Tensor) and real.ndim == 2:
                own = real[min(example, len(real) - 1)].bool()
                if recorded.prompt:
                    # One row of logits for the prompt's end, and one for each generated token that was read again.
                    steps = int(own[recorded.past + recorded.prompt :].sum())
                    padded = len(own) - recorded.past - recorded.prompt - steps
                    return slice(0, n - padded)
                if len(own) == n:
                    return (
                        own.nonzero().flatten().to(recorded.logits.device)
                        if recorded.logits is not None
                        else slice(None)
                    )
        return slice(None)
