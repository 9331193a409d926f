"""Capture: getting attention out of a model by running it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from attnwidget.capturing.assemble import assemble, is_matrices
from attnwidget.capturing.inputs import as_inputs, load_model
from attnwidget.capturing.recorder import Pass, Recorder
from attnwidget.capturing.registry import switched, switches
from attnwidget.intake import AttentionWarning
from attnwidget.maps import AttentionMaps

__all__ = ["Capture", "Recording", "capture", "recording"]


class Capture:
    """What one forward pass attended to.

    ``capture.maps`` are the maps of a model with one kind of attention; ``capture.encoder``, ``capture.decoder`` and
    ``capture.cross`` those of an encoder-decoder model. A batch has one capture an example: ``capture[0].maps``.
    """

    def __init__(self, examples: list[dict[str, AttentionMaps]]) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, example: int) -> Capture:
        if not -len(self) <= example < len(self):
            raise IndexError(f"example {example} does not exist: this capture holds examples 0 to {len(self) - 1}.")
        return Capture([self._examples[example]])

    def __iter__(self) -> Iterator[Capture]:
        return (self[i] for i in range(len(self)))

    @property
    def by_name(self) -> dict[str, AttentionMaps]:
        """All maps of a single example, by name."""
        if len(self) > 1:
            raise ValueError(f"this capture holds a batch of {len(self)} examples; choose one: capture[0].")
        return dict(self._examples[0])

    @property
    def maps(self) -> AttentionMaps:
        """The maps of a model with one kind of attention."""
        found = self.by_name
        if len(found) > 1:
            raise ValueError(
                f"this capture holds {len(found)} kinds of maps: {', '.join(found)}. Choose one: "
                f"capture.by_name[{next(iter(found))!r}]."
            )
        return next(iter(found.values()))

    @property
    def encoder(self) -> AttentionMaps:
        """Self-attention of the encoder."""
        return self._named("encoder")

    @property
    def decoder(self) -> AttentionMaps:
        """Self-attention of the decoder."""
        return self._named("decoder")

    @property
    def cross(self) -> AttentionMaps:
        """Attention of the decoder to the encoder: queries are target tokens, keys source tokens."""
        return self._named("cross")

    def _named(self, name: str) -> AttentionMaps:
        found = self.by_name
        if name not in found:
            raise AttributeError(f"this capture has no {name!r} maps; it has {', '.join(found)}.")
        return found[name]

    def __repr__(self) -> str:
        if len(self) > 1:
            return f"<Capture of {len(self)} examples>"
        return "<Capture: " + ", ".join(repr(maps) for maps in self._examples[0].values()) + ">"


class Recording:
    """Handle on the passes recorded in a `recording` block."""

    def __init__(self, recorder: Recorder, tokenizer: Any) -> None:
        self._recorder = recorder
        self._tokenizer = tokenizer

    def __len__(self) -> int:
        return len(self._recorder.passes)

    def capture(self, index: int | None = None) -> Capture:
        """The capture of one recorded pass.

        Parameters
        ----------
        index : int or None
            Which pass, from 0; may be left out when there is one.

        Raises
        ------
        ValueError
            When nothing was recorded, when there are several passes and no index, or when the model computes its
            attention in a way that cannot be seen.
        IndexError
            When there is no such pass.
        """
        passes = self._recorder.passes
        if not passes:
            raise ValueError(
                "no forward pass was recorded: run the model inside the block, in the same thread, before capture()."
            )
        if index is None:
            if len(passes) > 1:
                raise ValueError(
                    f"{len(passes)} forward passes were recorded; choose one: recorder.capture(0) is the first, "
                    "recorder.capture(-1) the last."
                )
            index = 0
        if not -len(passes) <= index < len(passes):
            raise IndexError(f"pass {index} does not exist: passes 0 to {len(passes) - 1} were recorded.")
        chosen = passes[index]
        if not _has_attention(chosen):
            raise ValueError(_nothing_seen(self._recorder.model))
        config = getattr(self._recorder.model, "config", None)
        both = bool(getattr(config, "is_encoder_decoder", False))
        examples = assemble(chosen, self._tokenizer, encoder_decoder=both)
        missing = {"encoder", "decoder", "cross"} - set(examples[0])
        if both and chosen.inputs and missing and chosen.inputs.get("encoder_outputs") is None:
            warnings.warn(
                f"{type(self._recorder.model).__name__} computes part of its attention in code of its own, which is "
                f"not captured: there are no {' and no '.join(sorted(missing))} maps.",
                AttentionWarning,
                stacklevel=2,
            )
        return Capture(examples)


def capture(model: Any, inputs: Any, tokenizer: Any = None) -> Capture:
    """Run a model once and keep its attention.

    Queries and keys are kept, not matrices, so memory grows with the length of the text and not with its square. The
    model is in eval mode for the pass, needs no gradient, and is afterwards as it was before.

    Parameters
    ----------
    model : transformers.PreTrainedModel, str or Path
        The model, its name on the hub, or the folder it was saved to.
    inputs : str, list of str, mapping, or Tensor [batch, tokens]
        A text, several texts, what the tokenizer returned, or token ids.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Makes tokens of a text, and labels of ids.

    Returns
    -------
    Capture
        One map an example for each kind of attention; padding is cut.

    Raises
    ------
    TypeError
        When model or inputs is of a kind that cannot be run.
    ValueError
        When the text is empty or too long, or when the model shows its attention in no way.
    """
    model, tokenizer = load_model(model, tokenizer)
    _check_model(model)
    arguments = as_inputs(model, inputs, tokenizer)
    for matrices in (False, True) if switches(model) else (True,):
        recorder = Recorder(model, matrices=matrices)
        with switched(model, recorder), torch.no_grad():
            model(**arguments)
        if any(map(_has_attention, recorder.passes)):
            break
    return Recording(recorder, tokenizer).capture(0)


@contextmanager
def recording(model: Any, tokenizer: Any = None) -> Iterator[Recording]:
    """Record the passes that you run yourself.

    Inside the block the model is in eval mode; afterwards it is as it was before, also after an exception. Only passes
    in the block's own thread are recorded.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        The model to watch.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Gives token ids their labels.

    Yields
    ------
    Recording
        Its `Recording.capture` gives the maps.

    Raises
    ------
    TypeError
        When model is no transformers model.

    Examples
    --------
    >>> with aw.recording(model, tokenizer) as recorder:
    ...     model(**inputs)
    >>> run = recorder.capture()
    """
    if isinstance(model, (str, Path)):
        raise TypeError(f"model is the name {str(model)!r}; recording watches a model that you run: load it first.")
    _check_model(model)
    recorder = Recorder(model, matrices=not switches(model))
    with switched(model, recorder):
        yield Recording(recorder, tokenizer)


def _check_model(model: Any) -> None:
    from transformers import PreTrainedModel

    if not isinstance(model, PreTrainedModel):
        kind = "a PyTorch module" if isinstance(model, nn.Module) else "no model"
        raise TypeError(
            f"model is {type(model).__name__}, {kind}; expected a transformers model. For other modules pass the "
            "weights they return to AttentionMaps.from_arrays (nn.MultiheadAttention: need_weights=True, "
            "average_attn_weights=False)."
        )


def _has_attention(recorded: Pass) -> bool:
    if recorded.calls:
        return True
    kinds = ("attentions", "encoder_attentions", "decoder_attentions", "cross_attentions")
    return any(is_matrices(getattr(recorded.outputs, kind, None)) for kind in kinds)


def _nothing_seen(model: nn.Module) -> str:
    return (
        f"{type(model).__name__} computes its attention in code of its own, outside transformers' attention registry, "
        "and returns no weights when asked with output_attentions=True. If you can change the model, return the "
        "weights and pass them to AttentionMaps.from_arrays(weights, tokens=...)."
    )
