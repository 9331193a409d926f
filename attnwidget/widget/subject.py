"""Subject: a model and what it read, to be run again with parts of its attention changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing import Capture, capture
from attnwidget.capturing.axes import token_label
from attnwidget.capturing.registry import of_this_thread
from attnwidget.effects.direct import Effects, direct
from attnwidget.effects.examples import batches, losses
from attnwidget.effects.intervening import intervene
from attnwidget.effects.resuming import Resumable
from attnwidget.maps import AttentionMaps

__all__ = ["Change", "Passed", "Subject", "Withdrawn"]

Change = Mapping[str, Any]

CANDIDATES = 6
MOST_LOGITS = 1 << 28  # numbers of a text's logits, for which its loss is worth a gigabyte


class Withdrawn(BaseException):
    """Nobody waits for a pass any more: no failure, and nothing that keeps failures may keep it."""


@dataclass(frozen=True)
class Passed:
    """What a pass gave.

    Parameters
    ----------
    maps : dict of str to AttentionMaps
        Maps by name.
    log_next : Tensor [vocabulary] or None
        Log-probabilities of the token after the text, in double precision; None where the model predicts none.
    loss : float or None
        Mean loss of the text's tokens, in nats; None where there is none.
    """

    maps: dict[str, AttentionMaps]
    log_next: Tensor | None
    loss: float | None


class Subject:
    """A model and what it read.

    Parameters
    ----------
    model : nn.Module
        The model.
    inputs : str, mapping, tuple or Tensor
        What `attnwidget.capture` runs it on.
    maps : mapping of str to AttentionMaps
        What that gave.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Makes tokens of a text, and names the next ones.
    example : int or None
        Which example of a batch is looked at.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        maps: Mapping[str, AttentionMaps],
        tokenizer: Any = None,
        example: int | None = None,
    ) -> None:
        self.model, self.maps, self.tokenizer = model, maps, tokenizer
        self.inputs = inputs if example is None else _one_of(inputs, example)
        self._example = 0
        self._weights = _edition(model)
        self._resumable: Resumable | None = None
        self._last: Capture | None = None

    def before(self, stale: Callable[[], bool] = lambda: False) -> Passed:
        """Run the model as it is, and keep what each of its blocks gave.

        Parameters
        ----------
        stale : callable
            Whether nobody waits for the pass any more; asked before each module.

        Raises
        ------
        Withdrawn
            When nobody does.
        ValueError
            When the model has other weights than it had.
        """
        self._check_weights()
        resumable = Resumable(self.model)
        with _given_up(self.model, stale):
            says = resumable.run(self._said)
        self._resumable = resumable if says.numel() else None  # by what it says it is seen whether a part will do
        return self._passed()

    def after(self, changes: Sequence[Change], stale: Callable[[], bool] = lambda: False) -> Passed:
        """Run it with its attention changed; blocks before the first change give what they gave.

        Parameters
        ----------
        changes : sequence of mapping
            Arguments of `attnwidget.effects.intervene`, the first of which acts first, heads as pairs among them.
        stale : callable
            As in `before`.

        Raises
        ------
        Withdrawn, ValueError
            As in `before`.
        """
        self._check_weights()
        with ExitStack() as stack:
            stack.enter_context(_given_up(self.model, stale))
            stack.enter_context(self._resumed(min(head[0] for change in changes for head in change["heads"])))
            for change in changes:
                stack.enter_context(intervene(self.model, **change))
            self._said()
        return self._passed()

    def forget(self) -> None:
        """Let go what the blocks gave."""
        self._resumable = None

    def _said(self) -> Tensor:
        """Run the model once, and give its logits where it has any."""
        logits = "all" if self._has_room() else "auto"
        self._last = capture(self.model, self.inputs, self.tokenizer, logits=logits, progress=False)[self._example]
        with suppress(ValueError):
            return self._last.logits
        return torch.empty(0)

    def _passed(self) -> Passed:
        """What the last pass gave, with the layers that were not computed as they were."""
        run, self._last = self._last, None
        assert run is not None  # noqa: S101 - it was just run
        log_next = None
        with suppress(ValueError):  # it predicts no next token
            run.next_tokens(1)
            log_next = run.logits[-1].double().log_softmax(-1)
        maps = {name: _completed(one, run.by_name[name]) for name, one in self.maps.items()}
        return Passed(maps, log_next, self._loss(run.logits) if log_next is not None and self._has_room() else None)

    @contextmanager
    def _resumed(self, layer: int) -> Iterator[None]:
        """Do without the blocks before a layer, where it is known what these gave."""
        maps = next(iter(self.maps.values()))
        name = dict(zip(maps.layer_numbers, maps.layer_names, strict=True))[layer]
        module = dict(self.model.named_modules()).get(name)
        with ExitStack() as stack:
            if module is not None and self._resumable is not None:
                stack.enter_context(self._resumable.resumed(module))
            yield

    def _check_weights(self) -> None:
        if _edition(self.model) != self._weights:
            raise ValueError("the model has other weights than when it read this text: make the view again.")

    def valued(self, stale: Callable[[], bool] = lambda: False) -> dict[str, AttentionMaps]:
        """Run the model on the same inputs, and keep what the weights are multiplied with; Withdrawn as in `run`."""
        with _given_up(self.model, stale):
            run = capture(self.model, self.inputs, self.tokenizer, values=True, logits="none", progress=False)
        return run[self._example].by_name

    def effects(self, target: str, versus: str, position: int, stale: Callable[[], bool] = lambda: False) -> Effects:
        """What each head adds to the logit of a token behind a position, or to the difference of two.

        Parameters
        ----------
        target, versus : str
            Tokens; empty for the likeliest, and for none.
        position : int
            Whose next token it is.
        stale : callable
            As in `run`.

        Raises
        ------
        Withdrawn
            When nobody waits for it any more.
        TypeError, ValueError
            As `attnwidget.effects.direct`.
        """
        with _given_up(self.model, stale):
            return direct(
                self.model, self.inputs, self.tokenizer, target=target or None, against=versus or None,
                position=position,
            )  # fmt: skip

    def told(self, before: Passed, after: Passed) -> dict[str, Any]:
        """What became of the next token and of the loss, for the browser.

        Returns
        -------
        dict
            ``candidates``: [token, probability before, after] of the likeliest and the most changed tokens; ``kl`` of
            both distributions, in nats; ``loss`` [before, after]. None where there is none.
        """
        told: dict[str, Any] = {"candidates": [], "kl": None, "loss": None}
        if before.loss is not None and after.loss is not None:
            told["loss"] = [before.loss, after.loss]
        if before.log_next is None or after.log_next is None:
            return told
        p, q = before.log_next.exp(), after.log_next.exp()
        told["kl"] = max(0.0, float(torch.where(p > 0, p * (before.log_next - after.log_next), 0).sum()))
        told["candidates"] = [
            [token_label(self.tokenizer, one), float(p[one]), float(q[one])] for one in _candidates(p, q)
        ]
        return told

    def _has_room(self) -> bool:
        """Whether the logits of all positions may be held."""
        words = getattr(getattr(self.model, "config", None), "vocab_size", None)
        ids = self._batch().get("input_ids")
        return not isinstance(words, int) or not isinstance(ids, Tensor) or ids.numel() * words <= MOST_LOGITS

    def _batch(self) -> dict[str, Any]:
        with suppress(TypeError, ValueError):
            return next(batches(self.model, self.inputs, self.tokenizer))
        return {}

    def _loss(self, logits: Tensor) -> float | None:
        """Loss of the example, whose padding is cut."""
        batch = self._batch()
        ids, real = batch.get("input_ids"), batch.get("attention_mask")
        if not isinstance(ids, Tensor):
            return None
        padded = isinstance(real, Tensor) and real.shape == ids.shape
        kept = batch["attention_mask"][self._example].bool() if padded else slice(None)
        own = {name: batch[name][self._example][kept] for name in ("input_ids", "labels") if name in batch}
        if any(len(value) != len(logits) for value in own.values()):
            return None
        with suppress(ValueError), torch.no_grad():  # it has none
            return float(losses(self.model, {name: value[None] for name, value in own.items()}, logits[None])[0])
        return None


def _one_of(inputs: Any, example: int) -> Any:
    """One example of a batch, without its padding, where inputs are texts or tensors of all of them."""
    if isinstance(inputs, list | tuple) and inputs and all(isinstance(one, str) for one in inputs):
        return inputs[example]
    if isinstance(inputs, Tensor):
        return inputs[[example]] if inputs.ndim > 1 else inputs
    if not isinstance(inputs, Mapping):
        return inputs
    held = {name: value for name, value in inputs.items() if isinstance(value, Tensor) and value.ndim > 1}
    own = {name: value[[example]] if name in held else value for name, value in inputs.items()}
    real = own.get("attention_mask")
    if isinstance(real, Tensor) and real.ndim == 2 and not bool(real.all()):
        kept = real[0].bool()
        for name, value in own.items():
            if isinstance(value, Tensor) and value.ndim > 1 and value.shape[:2] == real.shape:
                own[name] = value[:, kept]
    return own


def _candidates(before: Tensor, after: Tensor) -> list[int]:
    """Ids of the likeliest tokens of both, and of those that changed most, the likeliest first."""
    some = min(CANDIDATES, len(before))
    half = -(-some // 2)
    likely = [*before.topk(half).indices.tolist(), *after.topk(half).indices.tolist()]
    changed = (before - after).abs().topk(some).indices.tolist()
    found = list(dict.fromkeys([*likely, *changed]))[:some]
    return sorted(found, key=lambda one: -max(float(before[one]), float(after[one])))


def _edition(model: nn.Module) -> list[tuple[int, int]]:
    """Another after each step of an optimizer."""
    return [(id(one), 0 if one.is_inference() else one._version) for one in model.parameters()]  # noqa: SLF001 - its only name


def _completed(before: AttentionMaps, after: AttentionMaps) -> AttentionMaps:
    """Maps with the layers of a pass that did without the first of them."""
    layers = dict(zip(after.layer_numbers, after.layers, strict=True))
    return AttentionMaps(
        [layers.get(number, layer) for number, layer in zip(before.layer_numbers, before.layers, strict=True)],
        before.tokens,
        None if before.key_tokens is before.tokens else before.key_tokens,
        name=before.name,
        layer_names=before.layer_names,
        notes=before.notes,
        layer_numbers=before.layer_numbers,
        head_numbers=before.head_numbers,
        following=before.following,
    )


@contextmanager
def _given_up(model: nn.Module, stale: Callable[[], bool]) -> Iterator[None]:
    """Let the model's passes in this thread end early where nobody waits for them any more."""

    def ask(*_: Any) -> None:
        if stale():
            raise Withdrawn

    handles = [module.register_forward_pre_hook(of_this_thread(ask)) for module in model.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
