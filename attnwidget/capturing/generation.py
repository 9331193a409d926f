"""Generation: the passes of one run, each a few tokens on from the last, joined into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from attnwidget.capturing.recorder import Call, Pass

__all__ = ["Generated", "Run", "join", "run_of", "runs_of"]

_MADE_BEFORE = {"encoder_outputs", "mm_encoder_outputs"}  # what generate() has computed before the first step


@dataclass
class Run:
    """Passes that belong together: steps over one cache, and before them the encoder where it ran by itself."""

    steps: list[Pass]
    source: Pass | None = None


@dataclass(frozen=True)
class Generated:
    """What generate() returned.

    Parameters
    ----------
    sequences : Tensor of int [outputs, tokens]
        The ids, with the prompt in front where the model has no encoder.
    beam_indices : Tensor of int [outputs, steps] or None
        The row of the batch that each token came from; negative after the end.
    ends : tuple of int
        Ids that end a sequence: what stands behind one is padding.
    prompt : int
        Length of the prompt, 0 where it is that of the first step.
    pad : int or None
        Id that fills sequences that a stopping criterion ended before others; None where there was none.
    """

    sequences: Tensor
    beam_indices: Tensor | None = None
    ends: tuple[int, ...] = ()
    prompt: int = 0
    pad: int | None = None

    @classmethod
    def of(cls, returned: Any, ends: Any = (), prompt: int = 0, pad: Any = None) -> Generated:
        """Read what generate() returned: a tensor of ids or, with return_dict_in_generate, an output.

        What has been read already stays as it is.

        Raises
        ------
        TypeError
            When it is something else.
        """
        if isinstance(returned, cls):
            return returned
        sequences = getattr(returned, "sequences", returned)
        if not isinstance(sequences, Tensor) or sequences.ndim != 2 or sequences.is_floating_point():
            raise TypeError(f"generated is {type(returned).__name__}; expected what model.generate() returned.")
        known = () if ends is None else (ends,) if isinstance(ends, int) else tuple(int(end) for end in ends)
        beams = getattr(returned, "beam_indices", None)
        return cls(sequences, beams, known, prompt, pad if isinstance(pad, int) else None)


def runs_of(passes: Sequence[Pass]) -> list[Run]:
    """Passes as runs: those that go on over one cache are one."""
    runs: list[Run] = []
    for recorded in passes:
        # With guidance, two generations take turns.
        own = next((run for run in reversed(runs) if run.steps[-1] is recorded.before), None)
        if own is not None:
            own.steps.append(recorded)
        elif recorded.whole and runs and not runs[-1].steps[0].whole and _MADE_BEFORE & recorded.inputs.keys():
            runs[-1] = Run([recorded], source=runs[-1].steps[0])
        else:
            runs.append(Run([recorded]))
    return runs


def run_of(runs: Sequence[Run], generated: Generated) -> Run:
    """The run that read what generate() returned; the last one where ids do not tell."""
    for run in reversed(runs):
        first = run.steps[0]
        ids = first.inputs.get("decoder_input_ids", first.inputs.get("input_ids"))
        if not isinstance(ids, Tensor) or ids.ndim != 2 or generated.beam_indices is not None:
            continue
        read = generated.sequences[:, first.past : first.past + ids.shape[1]]
        if read.shape == ids.shape and torch.equal(read.cpu(), ids.cpu()):
            return run
    return runs[-1]


def join(run: Run, generated: Generated | None = None) -> Pass:
    """One pass as if the whole text had been read at once.

    Rows of outputs stand where rows of the batch stood; with beam search each output follows its own beams. Tokens
    that were tried and taken back, as in assisted generation, leave no trace.

    Raises
    ------
    ValueError
        When beams were searched and what generate() returned is not there to follow them.
    """
    if len(run.steps) == 1 and run.source is None and generated is None:
        return run.steps[0]
    prefix = "decoder_" if "decoder_input_ids" in run.steps[0].inputs else ""
    unlisted, learned = _unlisted(run.steps, generated, prefix)
    steps = _accepted(run.steps, generated, prefix, learned)
    first, past, n_queries = steps[0], steps[0].past, sum(step.n_queries for step in steps)
    prompt = first.n_queries if generated is None or not generated.prompt else generated.prompt + learned - past
    rows = _rows(steps, generated, past + prompt)
    real = _real(steps, rows, generated, prompt, prefix)
    ids = _ids(steps, rows, generated, prefix, unlisted)
    terms: dict[Any, Tensor] = {}
    joined = Pass(
        inputs=_of_rows(first.inputs, rows[0], _batch(first)),
        encoder_inputs=dict(first.encoder_inputs),
        calls=[_joined(calls, rows, terms) for calls in _by_module(steps)],
        matrices=first.matrices if len(steps) == 1 else [_Joined(**_joined_matrices(steps, rows))],
        logits=_joined_logits(steps, rows, past + prompt),
        several=any(step.n_queries > 1 and step.past >= past + prompt for step in run.steps),
        whole=True,
        past=past,
        learned=learned,
        prompt=prompt if generated is not None or len(steps) > 1 else 0,
        unheard=first.unheard,
        n_queries=n_queries,
        counts=first.counts,
    )
    if run.source is not None:
        source = _source_rows(run.source, len(rows[0]))
        joined.calls = [_chosen(call, source) for call in run.source.calls] + joined.calls
        joined.counts = run.source.counts + first.counts
        joined.unheard = [*run.source.unheard, *joined.unheard]
        joined.inputs = _of_rows(run.source.inputs, source, _batch(run.source)) | joined.inputs
        joined.encoder_inputs = _of_rows(run.source.encoder_inputs, source, _batch(run.source))
    joined.inputs[f"{prefix}attention_mask"] = real
    if ids is not None:
        joined.inputs[f"{prefix}input_ids"] = ids[:, : past + n_queries]
        if generated is not None:
            last = real.shape[1] - 1 - real.flip(-1).argmax(-1)
            joined.following = ids[torch.arange(len(ids)), last + 1]
    return joined


def _accepted(steps: Sequence[Pass], generated: Generated | None, prefix: str, learned: int) -> list[Pass]:
    """Steps without the tokens that a later step took back, and without those behind the last one returned."""
    end = steps[-1].length
    if generated is not None and steps[0].inputs.get(f"{prefix}input_ids") is not None:
        listed = generated.sequences.shape[1] - 1 + learned
        end = min(end, listed) if generated.beam_indices is None else end
    accepted: list[Pass] = []
    for step in reversed(steps):
        kept = min(step.n_queries, end - step.past)
        if kept > 0:
            accepted.append(step if kept == step.n_queries else _cut(step, kept))
        end = min(end, step.past)
    return accepted[::-1]


def _unlisted(steps: Sequence[Pass], generated: Generated | None, prefix: str) -> tuple[int, int]:
    """How many positions in front are not among the ids that generate() returned, and how many of them are learned."""
    first = steps[0]
    ids = first.inputs.get(f"{prefix}input_ids")
    if generated is None:
        return first.learned, first.learned
    if isinstance(ids, Tensor):
        # Keys that a wrapper brought stand in front of all ids, those of an earlier turn are of ids returned again.
        returned, own = generated.sequences[0].cpu(), ids[0].cpu()
        again = torch.equal(returned[first.past : first.past + len(own)], own)
        learned = first.past if not again and torch.equal(returned[: len(own)], own) else first.learned
        return learned, learned
    # A prompt of embeddings: given as such, or made of ids and of what a wrapper put in front of them.
    read = max(first.length, generated.prompt)
    new = steps[-1].length + 1 - read if generated.beam_indices is None else generated.beam_indices.shape[1]
    listed = max(0, generated.sequences.shape[1] - new)
    return read - listed, max(0, read - listed) if listed and len(steps) > 1 else first.learned


def _cut(step: Pass, n: int) -> Pass:
    """The first n queries of a step, with their keys."""
    less = step.n_queries - n
    if step.matrices:
        raise ValueError(
            "this model shows its attention as matrices, and tokens that were tried and taken back cannot be taken "
            "out of them again. Generate without an assistant."
        )
    calls = [
        replace(
            call,
            query=call.query[:, :, :n],
            key=call.key if call.crossing else call.key[:, :, : call.key.shape[2] - less],
            mask=None if call.mask is None else call.mask[:, :, :n],
            position_bias=None if call.position_bias is None else call.position_bias[:, :, :n],
            n_seen=call.n_seen if call.crossing else call.n_seen - less,
        )
        for call in step.calls
    ]
    return replace(step, calls=calls, n_queries=n, logits=None)


def _joined_logits(steps: Sequence[Pass], rows: list[Tensor], prompt: int) -> Tensor | None:
    """Logits that each generated token was chosen from; None where a step chose several."""
    chosen = []
    for step, row in zip(steps, rows, strict=True):
        if step.logits is None or step.logits.ndim != 3 or (step.n_queries > 1 and step.past >= prompt):
            return None
        if step.length >= prompt:
            chosen.append(step.logits[row.to(step.logits.device)])
    return torch.cat(chosen, 1)


@dataclass
class _Joined:
    """Matrices in the place where a model's output holds them."""

    attentions: Any = None
    encoder_attentions: Any = None
    decoder_attentions: Any = None
    cross_attentions: Any = None


def _rows(steps: Sequence[Pass], generated: Generated | None, prompt: int) -> list[Tensor]:
    """Row of the batch in which each output was at each step."""
    batch = _batch(steps[0])
    beams = None if generated is None else generated.beam_indices
    if beams is not None:
        before = sum(step.length < prompt for step in steps)  # a long prompt may be read in pieces
        if beams.shape[1] > len(steps) - before:
            raise ValueError(
                "beams were searched without a cache: each step read the whole text anew, and the last one has only "
                "the beams that went on to the end. Generate with use_cache=True, as generate() does by itself."
            )
        return [beams[:, min(max(0, i - before), beams.shape[1] - 1)].clamp(min=0).cpu() for i in range(len(steps))]
    if any(step.reordered for step in steps):
        raise ValueError(
            "beams were searched: the rows of the batch changed their order, and only what generate() returned says "
            "which belong together. Call model.generate(..., return_dict_in_generate=True, output_scores=True) and "
            "recorder.capture(generated=output), or attnwidget.capture(model, inputs, generate={'num_beams': 3})."
        )
    if generated is not None and len(generated.sequences) != batch:
        raise ValueError(
            f"generate() returned {len(generated.sequences)} sequences and the model ran on {batch}; give what this "
            "run returned, with return_dict_in_generate=True and output_scores=True if it searched beams."
        )
    return [torch.arange(batch)] * len(steps)


def _batch(first: Pass) -> int:
    if first.calls:
        return first.calls[-1].query.shape[0]
    return int(next(value.shape[0] for value in first.inputs.values() if isinstance(value, Tensor) and value.ndim > 1))


def _source_rows(source: Pass, n_outputs: int) -> Tensor:
    batch = _batch(source) if source.calls else n_outputs
    return torch.arange(n_outputs) // max(1, n_outputs // batch)


def _of_rows(inputs: dict[str, Any], rows: Tensor, batch: int) -> dict[str, Any]:
    """Inputs of some rows of the batch."""
    return {
        name: value[rows.to(value.device)] if isinstance(value, Tensor) and value.shape[:1] == (batch,) else value
        for name, value in inputs.items()
    }


def _ids(
    steps: Sequence[Pass], rows: list[Tensor], generated: Generated | None, prefix: str, unlisted: int
) -> Tensor | None:
    """Ids of every position and of the one behind the last; -1 where they are not known."""
    total = steps[-1].length
    ids = torch.full((len(rows[0]), total + 1), -1)
    found: list[Any] = [step.inputs.get(f"{prefix}input_ids") for step in steps]
    if generated is not None:
        known = generated.sequences.cpu()
        known = known[:, : total + 1 - unlisted]
        ids[:, unlisted : unlisted + known.shape[1]] = known
        return ids
    if not all(isinstance(one, Tensor) for one in found):
        return None
    read = [one[row.to(one.device), : step.n_queries].cpu() for one, row, step in zip(found, rows, steps, strict=True)]
    pieces = torch.cat(read, 1)
    ids[:, total - pieces.shape[1] : total] = pieces
    return ids


def _real(steps: Sequence[Pass], rows: list[Tensor], generated: Generated | None, prompt: int, prefix: str) -> Tensor:
    """Which tokens are no padding: that of the prompt, and what stands behind the end of a sequence."""
    first, total = steps[0], steps[-1].length
    start = first.past + prompt
    real = torch.ones(len(rows[0]), total, dtype=torch.long)
    given = first.inputs.get(f"{prefix}attention_mask")
    if isinstance(given, Tensor) and given.ndim == 2 and given.shape[1] <= total:
        real[:, : given.shape[1]] = given[rows[0].to(given.device)].cpu()
    if generated is None:
        return real
    if generated.beam_indices is not None:
        chosen = (generated.beam_indices >= 0).sum(-1).cpu()
        real[:, start:] *= (torch.arange(total - start) < chosen[:, None] - 1).long()
    elif total > start:
        ids = generated.sequences[:, -(total - start + 1) :].cpu()  # of the generated tokens
        ended = torch.isin(ids, torch.tensor(generated.ends, dtype=torch.long)).cumsum(-1) > 0
        if generated.pad is not None and generated.pad not in generated.ends and len(ids) > 1:
            # A stopping criterion ends a sequence without a token of its own: the last before the padding is the end.
            padded = (ids == generated.pad).long().flip(-1).cumprod(-1).flip(-1).bool()
            ended[:, :-1] |= padded[:, 1:]
        real[:, start:] *= (~ended[:, : total - start]).long()
    return real


def _by_module(steps: Sequence[Pass]) -> list[list[Call]]:
    """Calls of one layer over the steps."""
    found: dict[tuple[str, int], list[Call]] = {}
    for step in steps:
        for call in step.calls:
            found.setdefault((call.module, call.layer), []).append(call)
    return list(found.values())


def _chosen(call: Call, rows: Tensor) -> Call:
    """The call of some rows of the batch, in that order."""

    def pick(tensor: Tensor) -> Tensor:
        if tensor.shape[0] == 1 or torch.equal(rows, torch.arange(tensor.shape[0])):
            return tensor
        return tensor[rows.to(tensor.device)]

    return replace(
        call,
        query=pick(call.query),
        key=pick(call.key),
        mask=None if call.mask is None else pick(call.mask),
        position_bias=None if call.position_bias is None else pick(call.position_bias),
    )


def _joined(calls: list[Call], rows: list[Tensor], terms: dict[Any, Tensor]) -> Call:
    chosen = [_chosen(call, rows[i]) for i, call in enumerate(calls)]
    first = chosen[0]
    if len(calls) == 1:
        return first
    crossing = first.crossing
    query = torch.cat([call.query for call in chosen], 2)
    key = first.key if crossing else torch.cat([call.key for call in chosen], 2)
    past = 0 if crossing else first.key.shape[2] - first.query.shape[2]
    ends = torch.tensor([call.query.shape[2] for call in chosen]).cumsum(0).tolist()
    # Of the keys a step saw, the last is the one of its own last query; a cache of fixed size has room behind it.
    places = [
        (slice(end - call.query.shape[2], end), *((0, key.shape[2]) if crossing else _columns(call, past + end)))
        for call, end in zip(chosen, ends, strict=True)
    ]
    plain = all(call.mask is None for call in calls) and all(left == 0 for _, left, _ in places)
    plain = plain and (crossing or calls[0].causal or calls[0].query.shape[2] == 1)

    def spread(kind: str, pieces: list[Tensor | None]) -> Tensor | None:
        """Terms of the steps in one tensor, where each stands in the whole map."""
        name = (
            kind,
            crossing,
            *(id(piece) for piece in (c.mask if kind == "mask" else c.position_bias for c in calls)),
        )
        name += tuple(call.n_seen for call in calls)
        if name not in terms:
            terms[name] = _spread(pieces, chosen, places, (query.shape[2], key.shape[2]), bias=kind == "bias")
        return terms[name]

    biased = any(call.position_bias is not None for call in calls)
    return replace(
        first,
        query=query,
        key=key,
        mask=None if plain else spread("mask", [call.mask for call in chosen]),
        position_bias=spread("bias", [call.position_bias for call in chosen]) if biased else None,
        causal=plain and not crossing,
        n_seen=key.shape[2],
    )  # fmt: skip


def _columns(call: Call, total: int) -> tuple[int, int]:
    """First and last column that a step's terms cover, when there are ``total`` keys in all."""
    return (0, total) if call.n_seen >= total else (total - call.n_seen, total)


def _spread(
    pieces: list[Tensor | None],
    calls: list[Call],
    places: list[tuple[slice, int, int]],
    shape: tuple[int, int],
    *,
    bias: bool,
) -> Tensor:
    given = [piece for piece in pieces if piece is not None]
    boolean = not bias and all(piece.dtype == torch.bool for piece in given)
    leading = (max((p.shape[0] for p in given), default=1), max((p.shape[1] for p in given), default=1))
    device = calls[0].query.device
    dtype = torch.bool if boolean else torch.float32
    whole = torch.full((*leading, *shape), 0.0 if bias or boolean else -torch.inf, device=device).to(dtype)
    for piece, call, (rows, left, right) in zip(pieces, calls, places, strict=True):
        if piece is not None:
            whole[:, :, rows, left:right] = piece[..., : right - left].to(whole)
        elif not bias:
            seen = torch.ones(rows.stop - rows.start, right - left, dtype=torch.bool, device=device)
            if call.causal:
                seen = seen.tril(right - left - (rows.stop - rows.start))
            blank = seen if boolean else torch.zeros_like(seen, dtype=dtype).masked_fill(~seen, -torch.inf)
            whole[:, :, rows, left:right] = blank
    return whole


def _joined_matrices(steps: Sequence[Pass], rows: list[Tensor]) -> dict[str, Any]:
    """Matrices that the model returned at each step, one below the other."""
    kinds: dict[str, Any] = {}
    for kind in ("attentions", "decoder_attentions", "cross_attentions"):
        found = [[getattr(output, kind, None) for output in step.matrices[:1]] for step in steps]
        if not all(one and one[0] for one in found):
            continue
        layers = zip(*(one[0] for one in found), strict=True)
        crossing = kind == "cross_attentions"
        kinds[kind] = tuple(_stack_matrices(list(layer), rows, steps[0].past, crossing=crossing) for layer in layers)
    return kinds


def _stack_matrices(pieces: list[Tensor], rows: list[Tensor], past: int, *, crossing: bool) -> Tensor:
    pieces = [piece.detach()[chosen.to(piece.device)] for piece, chosen in zip(pieces, rows, strict=True)]
    n_queries = sum(piece.shape[2] for piece in pieces)
    n_keys = pieces[0].shape[3] if crossing else past + n_queries
    whole = pieces[0].new_zeros(*pieces[0].shape[:2], n_queries, n_keys)
    at = 0
    for piece in pieces:
        queries = slice(at, at := at + piece.shape[2])
        total = n_keys if crossing else past + at
        # A cache of fixed size has room behind its last key, a sliding one has dropped its first.
        columns = slice(max(0, total - piece.shape[3]), total)
        whole[:, :, queries, columns] = piece[..., : columns.stop - columns.start]
    return whole
