"""Capture: getting attention out of a model by running it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from attnwidget.capturing.assemble import assemble, is_encoder_decoder
from attnwidget.capturing.axes import Labels
from attnwidget.capturing.calls import Call
from attnwidget.capturing.captured import Capture, Example, NextToken
from attnwidget.capturing.generation import Generated, Run, join, run_of, runs_of
from attnwidget.capturing.inputs import as_inputs, lacks_target, last_logits_will_do, load_model
from attnwidget.capturing.keep import Keep
from attnwidget.capturing.looks import n_attentions
from attnwidget.capturing.outputs import Outputs
from attnwidget.capturing.own import Own, refuse_what_tells_nothing, spoken_for
from attnwidget.capturing.passes import Pass
from attnwidget.capturing.pixels import as_picture
from attnwidget.capturing.projecting import HeadsHeard
from attnwidget.capturing.recorder import Recorder
from attnwidget.capturing.registry import switched, transformers_in
from attnwidget.intake import AttentionWarning
from attnwidget.progress import progress_bar

__all__ = ["Capture", "NextToken", "Recording", "capture", "recording"]


class Recording:
    """Handle on the runs recorded in a `recording` block.

    A run is one forward pass, or the passes that go on over one cache: a whole generation.
    """

    def __init__(
        self, recorder: Recorder, labels: Labels, part: str | None = None, heads: HeadsHeard | None = None
    ) -> None:
        self._recorder = recorder
        self._labels = labels
        self._part = part
        self._heads = heads

    def __len__(self) -> int:
        return len(self._runs())

    def _runs(self) -> list[Run]:
        return runs_of([one for one in self._recorder.passes if one is not self._recorder.unfinished])

    def capture(self, index: int | None = None, *, generated: Any = None) -> Capture:
        """The capture of one recorded run.

        Parameters
        ----------
        index : int or None
            Which run, from 0; may be left out when there is one.
        generated : Tensor or model output, or None
            What model.generate() returned: it names the token generated last, cuts what stands behind the end of a
            sequence, and after a beam search it is needed to follow the beams
            (``return_dict_in_generate=True, output_scores=True``).

        Raises
        ------
        ValueError
            When nothing was recorded, when there are several runs and no index, when beams cannot be followed, or
            when the model computes its attention in a way that cannot be seen.
        IndexError
            When there is no such run.
        """
        runs = self._runs()
        if not runs:
            raise ValueError(
                "no forward pass was recorded: run the model inside the block, in the same thread, before capture()."
            )
        if index is None and len(runs) > 1 and generated is None:
            raise ValueError(
                f"{len(runs)} runs were recorded; choose one: recorder.capture(0) is the first, recorder.capture(-1) "
                "the last."
            )
        if index is not None and not -len(runs) <= index < len(runs):
            raise IndexError(f"run {index} does not exist: runs 0 to {len(runs) - 1} were recorded.")
        config = getattr(self._recorder.model, "generation_config", None)
        ends = getattr(config, "eos_token_id", None)
        made = None if generated is None else Generated.of(generated, ends)
        if index is None:
            # Without a cache each step reads the whole text, and the last one has all of it.
            return self._assembled(runs[0] if made is None else run_of(runs, made), made, len(runs))
        return self._assembled(runs[index], made)

    def _assembled(self, run: Run, generated: Generated | None, n_runs: int = 1) -> Capture:
        recorder = self._recorder
        if recorder.failure is not None:
            raise recorder.failure
        self._check_joined(run)
        chosen = join(run, generated)
        if not chosen.counts:
            raise ValueError(_nothing_seen(recorder.model, chosen.missed))
        if not chosen.calls:
            raise ValueError(_no_such_layer(recorder.keep, chosen))
        with recorder.aside():
            if self._heads is not None:
                chosen.projections = self._heads.projections()
            made = assemble(chosen, recorder.model, self._labels, self._part)
        if not any(made.examples):
            raise ValueError(_nothing_shown(recorder.model, made.refused))
        said = [f"{name!r} is not shown: {why}." for name, why in made.refused.items()]
        if chosen.missed:
            said.append(_partly_seen(recorder.model, chosen.missed))
        if n_runs > 1 and chosen.notes:
            chosen.notes.append(
                f"It made {n_runs} runs, as for the windows of a long sound, and this is one of them. With "
                "attnwidget.recording, recorder.capture(0) gives the first."
            )
        for note in [*chosen.notes, *said]:
            warnings.warn(note, AttentionWarning, stacklevel=4)
        for maps in (maps for one in made.examples for maps in one.values()):
            maps.notes = (*maps.notes, *chosen.notes, *said)
        outputs = Outputs(chosen, recorder.model, recorder.keep, self._labels.tokenizer)
        examples = [Example(one, *outputs.of_example(number)) for number, one in enumerate(made.examples)]
        return Capture(examples, missed=chosen.missed, refused=made.refused)

    def _check_joined(self, run: Run) -> None:
        """Refuse a step that goes on from others of which nothing says how."""
        first, passes = run.steps[0], self._recorder.passes
        before = passes[: passes.index(first)]
        if first.past and first.before is None and not first.learned:
            fitting = [one for one in before if one.whole and one.main == first.main and one.length == first.past]
            if fitting:
                raise ValueError(
                    f"the steps of this generation cannot be joined: a pass read {first.n_queries} tokens behind "
                    f"{first.past} others, which an earlier pass may have read, but its keys are not the ones that "
                    "pass left (a cache that changes what it keeps). Generate with use_cache=False, or capture the "
                    "whole text in one pass: capture(model, ids)."
                )


def capture(
    model: Any,
    inputs: Any,
    tokenizer: Any = None,
    *,
    generate: Mapping[str, Any] | None = None,
    layers: Any = None,
    heads: Any = None,
    offload: bool = False,
    logits: str = "auto",
    values: bool = False,
    own: Own | None = None,
    tokens: Any = None,
    prefix: int = 0,
    spans: Mapping[str, tuple[int, int]] | None = None,
    picture: Any = None,
    watch: Callable[[Capture], Any] | None = None,
    part: str | None = None,
    progress: bool = True,
) -> Capture:
    """Run a model once, or let it generate, and keep its attention.

    Queries and keys are kept, not matrices, so memory grows with the length of the text and not with its square. The
    model is in eval mode for the pass, needs no gradient, and is afterwards as it was before, also when it is
    interrupted.

    Parameters
    ----------
    model : nn.Module, str or Path
        A transformers model or a module that holds one, a PyTorch module with attention of its own, the model's name
        on the hub, or the folder it was saved to. A compiled model runs uncompiled.
    inputs : str, list of str, mapping, tuple, or Tensor
        A text, several texts, what the tokenizer or processor returned, or token ids [batch, tokens]; for other
        modules the arguments of their forward.
    tokenizer : transformers.PreTrainedTokenizerBase, processor, or None
        Makes tokens of a text, and labels of ids.
    generate : mapping or None
        Options of model.generate(), for example ``{"max_new_tokens": 20}``: its steps become one map of the prompt and
        what was generated. The token generated last was never a query and has no row.
    layers, heads : sequence of int, or None
        Numbers of the layers and heads to keep; None keeps all. Heads may be given by layer: ``{0: [3], 5: [1, 2]}``.
    offload : bool
        Move what is kept to the host as each layer finishes.
    logits : {"auto", "all", "last", "none"}
        Which positions' logits are kept; "auto" keeps the last one of a model that generates, and all of another.
    values : bool
        Keep what the weights are multiplied with too, and how large each head's values are once they are projected, as
        `attnwidget.effects.value_weighted` shows them. In memory that is v, as large as k, and (heads + 1) x heads
        numbers for each key of a layer.
    own : mapping or None
        Functions that say where q and k are, for attention modules of your own: by class, or by name such as
        "blocks.*.attn". A function gets the module and the arguments of its forward, and returns a dict of ``q`` and
        ``k`` [batch, heads, tokens, width] and, where they matter, ``scaling``, ``mask``, ``causal``, ``bias``,
        ``softcap``, ``sinks``.
    tokens : Tokens, sequence of str, or None
        Labels, for inputs without ids.
    prefix : int
        Number of learned positions in front: of a soft prompt in inputs_embeds, or of keys and values in
        past_key_values.
    spans : mapping of str to (start, stop), or None
        Named runs of positions, drawn as boundaries: ``{"anchor": (5, 9)}``. The prefix counts.
    picture : PIL.Image, ndarray, Tensor, or None
        The picture a vision model saw; None makes one from its pixel values.
    watch : callable or None
        Called after each pass of a generation with the capture so far, for example ``view.show``.
    part : str or None
        Name of the one part that is wanted: "encoder", "language_model"; None gives all.
    progress : bool
        Show a progress bar when it takes longer than a second, unless TQDM_DISABLE says otherwise.

    Returns
    -------
    Capture
        One map an example for each kind of attention; padding is cut.

    Raises
    ------
    TypeError
        When model or inputs is of a kind that cannot be run.
    ValueError
        When the text is empty or too long, when the model shows its attention in no way, or when a layer or head
        does not exist.
    """
    model, tokenizer = load_model(model, tokenizer)
    _check_model(model)
    wish = _Wish(
        Keep.of(layers, heads, offload=offload, logits=logits, values=values),
        Labels.of(tokenizer, tokens, prefix, spans, as_picture(picture)),
        own,
        watch,
        part,
        progress=progress,
    )
    options = None if generate is None else _generation(model, generate, watch)
    positional, named = as_inputs(model, inputs, tokenizer, generating=options is not None)
    # Of a long text, logits would take more memory than its queries and keys.
    last = options is None and wish.keep.logits in {"auto", "last"} and last_logits_will_do(named)
    if options is None and watch is not None:
        raise TypeError("watch follows a generation, token by token; pass generate= too.")
    with _listening(model, wish, generating=options, last_logits=last) as handle, torch.no_grad():
        try:
            returned = model(*positional, **named) if options is None else model.generate(**named, **options)
        except (ValueError, TypeError, AttributeError) as error:
            why = lacks_target(model, named) if options is None else ""
            if not why:
                raise
            raise ValueError(why) from error
    if options is None:
        return handle.capture()
    given = next((named[name] for name in ("inputs_embeds", "input_ids") if named.get(name) is not None), None)
    prompt = 0 if given is None or is_encoder_decoder(model) else given.shape[1]
    return handle.capture(generated=_generated(model, returned, options, prompt))


@contextmanager
def recording(
    model: Any,
    tokenizer: Any = None,
    *,
    layers: Any = None,
    heads: Any = None,
    offload: bool = False,
    logits: str = "auto",
    values: bool = False,
    own: Own | None = None,
    tokens: Any = None,
    prefix: int = 0,
    spans: Mapping[str, tuple[int, int]] | None = None,
    picture: Any = None,
    watch: Callable[[Capture], Any] | None = None,
    part: str | None = None,
) -> Iterator[Recording]:
    """Record the passes that you run yourself, generate() included.

    Inside the block the model is in eval mode; afterwards it is as it was before, also after an exception. Only passes
    in the block's own thread are recorded.

    Parameters
    ----------
    model : nn.Module
        The model to watch.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Gives token ids their labels.
    layers, heads, offload, logits, values, own, tokens, prefix, spans, picture, part
        As in `capture`.
    watch : callable or None
        Called after each pass with the capture of the newest run so far.

    Yields
    ------
    Recording
        Its `Recording.capture` gives the maps.

    Raises
    ------
    TypeError
        When model is no module.

    Examples
    --------
    >>> with aw.recording(model, tokenizer) as recorder:
    ...     output = model.generate(**inputs)
    >>> run = recorder.capture(generated=output)
    """
    if isinstance(model, (str, Path)):
        raise TypeError(f"model is the name {str(model)!r}; recording watches a model that you run: load it first.")
    _check_model(model)
    wish = _Wish(
        Keep.of(layers, heads, offload=offload, logits=logits, values=values),
        Labels.of(tokenizer, tokens, prefix, spans, as_picture(picture)),
        own,
        watch,
        part,
    )
    with _listening(model, wish) as handle:
        yield handle


@dataclass(frozen=True)
class _Wish:
    """What a caller wants of a capture."""

    keep: Keep
    labels: Labels
    own: Own | None
    watch: Callable[[Capture], Any] | None
    part: str | None = None
    progress: bool = False


@contextmanager
def _listening(
    model: nn.Module, wish: _Wish, *, generating: Mapping[str, Any] | None = None, last_logits: bool = False
) -> Iterator[Recording]:
    """A recorder at its work, with a progress bar and somebody who watches."""
    roots = transformers_in(model)
    refuse_what_tells_nothing(model)
    own = spoken_for(model, wish.own)
    with ExitStack() as stack:
        total = n_attentions(model) if generating is None else generating.get("max_new_tokens")
        what = "layers" if generating is None else "tokens"
        bar = stack.enter_context(progress_bar(what, total, shown=wish.progress, delay=1))

        def heard(_call: Call) -> None:
            if generating is None:
                bar.update()

        def passed() -> None:
            if generating is not None:
                bar.update()
            if wish.watch is not None:
                wish.watch(handle._assembled(handle._runs()[-1], None))  # noqa: SLF001 - it is our own handle

        heads = HeadsHeard(model) if wish.keep.values else None
        recorder = Recorder(
            model, roots, wish.keep, own=own, last_logits=last_logits, heard=heard, passed=passed,
            put_out=None if heads is None else heads.put_out,
        )  # fmt: skip
        handle = Recording(recorder, wish.labels, wish.part, heads)
        stack.enter_context(switched(model, recorder))
        if heads is not None:
            stack.enter_context(heads.following())
        yield handle


def _generation(model: Any, generate: Any, watch: Any) -> dict[str, Any]:
    """Options of generate(), with what is needed to follow it."""
    if not callable(getattr(model, "generate", None)):
        raise TypeError(
            f"{type(model).__name__} cannot generate; load a model that can, for example with AutoModelForCausalLM, or "
            "leave generate= out."
        )
    if not isinstance(generate, Mapping):
        raise TypeError(
            f"generate is {type(generate).__name__}; expected options of model.generate(), for example "
            "generate={'max_new_tokens': 20}."
        )
    config = generate.get("generation_config") or getattr(model, "generation_config", None)
    beams = generate.get("num_beams") or getattr(config, "num_beams", None) or 1
    if beams > 1 and watch is not None:
        raise ValueError(
            f"watch cannot follow a search of {beams} beams, of which only the last step says which was the best; use "
            "num_beams=1, or leave watch out."
        )
    return {"disable_compile": True, **generate, "return_dict_in_generate": True, "output_scores": beams > 1}


def _generated(model: nn.Module, returned: Any, options: Mapping[str, Any], prompt: int) -> Generated:
    """What generate() returned for a prompt of so many tokens, read with the options that it had."""
    config = options.get("generation_config") or getattr(model, "generation_config", None)
    ends = options.get("eos_token_id", getattr(config, "eos_token_id", None))
    # Only where something else than an id may end a sequence: models do generate the id of padding.
    stops = any(options.get(name) for name in ("stopping_criteria", "stop_strings"))
    pad = options.get("pad_token_id", getattr(config, "pad_token_id", None)) if stops else None
    return Generated.of(returned, ends, prompt, pad)


def _check_model(model: Any) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model is {type(model).__name__}, no model; expected a transformers model or another PyTorch module. "
            "Weights that you have already go to AttentionMaps.from_arrays."
        )


def _nothing_seen(model: nn.Module, missed: Mapping[str, str]) -> str:
    heard = f"{type(model).__name__} ran, and no attention was heard that can be shown: "
    why = "no softmax whose weights are multiplied with values, and no fused attention of torch or transformers. "
    if missed:
        why = _listed(missed) + " "
    return (
        heard + why + "Say where its queries and keys are with own=, or pass the weights it computes to "
        "AttentionMaps.from_arrays(weights, tokens=...)."
    )


def _nothing_shown(model: nn.Module, refused: Mapping[str, str]) -> str:
    return (
        f"none of the attention of {type(model).__name__} can be shown: "
        + " ".join(f"{name!r}: {why}." for name, why in refused.items())
        + " Matrices that you make of it yourself go to AttentionMaps.from_arrays."
    )


def _no_such_layer(keep: Keep, recorded: Pass) -> str:
    known = sorted(set().union(*recorded.layers.values()))
    shown = f"{known[0]} to {known[-1]}" if known == list(range(known[0], known[-1] + 1)) else str(known)
    return (
        f"layers={sorted(keep.layers or ())}: no layer that attends has one of these numbers; this model attends in "
        f"layers {shown}."
    )


def _partly_seen(model: nn.Module, missed: Mapping[str, str]) -> str:
    return f"Not all attention of {type(model).__name__} is shown. {_listed(missed)}"


def _listed(missed: Mapping[str, str], limit: int = 6) -> str:
    """Modules by their reason."""
    by_reason: dict[str, list[str]] = {}
    for name, why in missed.items():
        by_reason.setdefault(why, []).append(name or "the model")
    return " ".join(
        f"{', '.join(names[:limit])}{f' and {len(names) - limit} more' if len(names) > limit else ''}: {why}."
        for why, names in by_reason.items()
    )
