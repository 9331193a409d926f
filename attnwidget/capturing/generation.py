"""Generation: the passes of one run, each a few tokens on from the last, joined into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from attnwidget.capturing.calls import Call
from attnwidget.capturing.joining import joined
from attnwidget.capturing.passes import Pass, StackKey
from attnwidget.capturing.reading import Read

__all__ = ["Generated", "Run", "join", "run_of", "runs_of"]

_MADE_BEFORE = {"encoder_outputs", "mm_encoder_outputs"}  # what generate() has computed before the first step


@dataclass
class Run:
    """Passes that belong together: steps that go on from each other, and before them the encoder that ran by itself."""

    steps: list[Pass]
    source: Pass | None = None


@dataclass(frozen=True)
class Generated:
    """What generate() returned.

    Parameters
    ----------
    sequences : Tensor of int [outputs, tokens]
        The ids, with or without those that the model was given.
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
        """Read what generate() returned: a tensor of ids, or whatever holds one under the name of sequences.

        What has been read already stays as it is.

        Raises
        ------
        TypeError
            When it is something else.
        """
        if isinstance(returned, cls):
            return returned
        held = returned.get("sequences", returned) if isinstance(returned, Mapping) else returned
        sequences = getattr(held, "sequences", held)
        if not isinstance(sequences, Tensor) or sequences.ndim != 2 or sequences.is_floating_point():
            raise TypeError(
                f"generated is {type(returned).__name__}; expected what model.generate() returned: ids "
                "[outputs, tokens], or an output or dict with sequences."
            )
        known = () if ends is None else (ends,) if isinstance(ends, int) else tuple(int(end) for end in ends)
        beams = returned.get("beam_indices") if isinstance(returned, Mapping) else None
        beams = getattr(returned, "beam_indices", None) if beams is None else beams
        return cls(sequences, beams, known, prompt, pad if isinstance(pad, int) else None)


def runs_of(passes: Sequence[Pass]) -> list[Run]:
    """Passes as runs: those that go on from each other are one."""
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
    steps = _not_taken_back(run.steps)
    first = steps[0]
    prompt = _prompt(first, generated, 0)
    rows = _rows(steps, generated, first.past + prompt)
    ids = _ids(steps, rows)
    start = _start_of(generated, ids)
    if start == first.past > 0 and not first.learned:
        steps[0] = first = replace(first, learned=first.past)  # keys in front of all that was ever an id
    learned = _learned_in_front(steps, generated, start)
    prompt = _prompt(first, generated, learned)
    if generated is not None and start is not None:
        steps, rows = _returned(steps, rows, start + generated.sequences.shape[1] - 1, first.past, generated)
        ids = ids[:, : steps[-1].length]
        # What stood in a cache before was read by nobody here, and is known when it was returned.
        known = generated.sequences.cpu()[:, : ids.shape[1] - start]
        unread = ids[:, start : start + known.shape[1]] < 0
        ids[:, start : start + known.shape[1]][unread] = known[unread]
    n_queries = sum(step.n_queries for step in steps)
    prompt = min(prompt, n_queries)
    real = _real(steps, rows, generated, prompt, start)
    shared: dict[Any, Any] = {}
    made = {calls[0].place: _joined(calls, rows, shared, steps) for calls in _by_module(steps)}
    joined_pass = Pass(
        inputs=_of_rows(first.inputs, rows[0], _batch(first)),
        encoder_inputs=dict(first.encoder_inputs),
        calls=[call for call in made.values() if not isinstance(call, str)],
        logits=_joined_logits(steps, rows, first.past + prompt),
        several=any(step.n_queries > 1 and step.past >= first.past + prompt for step in run.steps),
        whole=True,
        past=first.past,
        learned=first.learned,
        main=first.main,
        prompt=prompt if generated is not None or len(steps) > 1 else 0,
        missed={name: why for step in steps for name, why in step.missed.items()}
        | {place.module: why for place, why in made.items() if isinstance(why, str)},
        n_queries=n_queries,
        counts=first.counts,
        layers=first.layers,
        read={key: _of_rows_read(read, rows[0]) for key, read in first.read.items()},
        reached=dict(first.reached),
        reached_by_keys=dict(first.reached_by_keys),
        grids=dict(first.grids),
        guessed=first.guessed,
    )
    if first.main is not None:
        own = Read(ids[:, first.past :] if bool((ids[:, first.past :] >= 0).any()) else ids[:, :0], learned)
        keys = Read(ids, learned)
        told = own.ids.shape[1] == n_queries
        joined_pass.read[first.main] = (own, keys) if told else (None, None)
        for key, (_, source) in first.read.items():
            if key[2] and told and key[0] == first.main[0]:
                joined_pass.read[key] = own, None if source is None else source.of_rows(rows[0])
    if run.source is not None:
        _add_source(joined_pass, run.source, _source_rows(run.source, len(rows[0])))
    prefix = "decoder_" if "decoder_input_ids" in first.inputs else ""
    joined_pass.inputs[f"{prefix}attention_mask"] = real
    if generated is not None:
        joined_pass.following = _following(generated, ids, real, start)
        if start is None:
            joined_pass.notes.append(
                f"What generate() returned, {list(generated.sequences.shape)}, is not what the model read: rows and "
                f"labels are of the {ids.shape[1]} positions that it read."
            )
    return joined_pass


def _add_source(whole: Pass, source: Pass, rows: Tensor) -> None:
    """Add what an encoder did that generate() ran by itself."""
    whole.calls = [call.of_rows(rows) for call in source.calls] + whole.calls
    whole.counts = source.counts + whole.counts
    whole.layers = source.layers | whole.layers
    whole.missed = source.missed | whole.missed
    reached: frozenset[str] = frozenset().union(*source.reached.values())
    for key, names in whole.reached.items():
        if names & _MADE_BEFORE:
            whole.reached[key] = names | reached
    whole.reached |= source.reached
    encoded = {call.n_queries: source.grids.get((_key(call), 0, call.n_queries)) for call in source.calls}
    attended = {_key(call): call.n_keys for call in whole.calls}
    whole.grids |= source.grids
    read = {key: _of_rows_read(known, rows) for key, known in source.read.items()}
    for key, (queries, keys) in whole.read.items():
        across = key[2] and keys is None  # what the encoder read is what is attended to
        read[key] = queries, next((known for known, _ in read.values()), None) if across else keys
        if across:
            whole.reached_by_keys[key] = reached
            n = attended.get(key, 0)
            whole.grids[key, 1, n] = encoded.get(n)
    whole.read = read
    whole.inputs = _of_rows(source.inputs, rows, _batch(source)) | whole.inputs
    whole.encoder_inputs = _of_rows(source.encoder_inputs, rows, _batch(source))


def _key(call: Call) -> StackKey:
    return call.place.stack, call.place.tail, call.place.crossing, call.place.turn


def _learned_in_front(steps: Sequence[Pass], generated: Generated | None, start: int | None) -> int:
    """Positions in front of the ids of a prompt that came as embeddings with something learned before them."""
    first = steps[0]
    read = None if first.main is None else first.read.get(first.main, (None, None))[0]
    if read is not None:
        return read.learned
    if generated is None or not start or first.past:
        return 0
    listed = generated.sequences.shape[1] - (steps[-1].length + 1 - first.n_queries)
    return start if listed > 0 else 0


def _prompt(first: Pass, generated: Generated | None, learned: int) -> int:
    """How many queries of a run were given, and not generated."""
    if generated is None or not generated.prompt:
        return first.n_queries
    return max(1, generated.prompt + (first.learned or learned) - first.past)


def _of_rows_read(read: tuple[Read | None, Read | None], rows: Tensor) -> tuple[Read | None, Read | None]:
    queries, keys = read
    return None if queries is None else queries.of_rows(rows), None if keys is None else keys.of_rows(rows)


def _not_taken_back(steps: Sequence[Pass]) -> list[Pass]:
    """Steps without the tokens that a later step took back."""
    end = steps[-1].length
    accepted: list[Pass] = []
    for step in reversed(steps):
        kept = min(step.n_queries, end - step.past)
        if kept > 0:
            accepted.append(step if kept == step.n_queries else _cut(step, kept))
        end = min(end, step.past)
    return accepted[::-1]


def _returned(
    steps: Sequence[Pass], rows: list[Tensor], end: int, past: int, generated: Generated
) -> tuple[list[Pass], list[Tensor]]:
    """Steps without what was read behind the last token that was returned."""
    if generated.beam_indices is not None or end >= steps[-1].length or end <= past:
        return list(steps), rows
    kept = [
        (step if step.length <= end else _cut(step, end - step.past), row)
        for step, row in zip(steps, rows, strict=True)
        if step.past < end
    ]
    return [step for step, _ in kept], [row for _, row in kept]


def _cut(step: Pass, n: int) -> Pass:
    """The first n queries of a step, with their keys."""
    main = step.main
    calls = [call.first(n) if _grows(call, step) and call.n_queries == step.n_queries else call for call in step.calls]
    read = {
        key: (None if queries is None else queries.first(n), keys) if main is not None and key[0] == main[0] else
        (queries, keys)
        for key, (queries, keys) in step.read.items()
    }  # fmt: skip
    return replace(step, calls=calls, n_queries=n, logits=None, read=read)


def _grows(call: Call, step: Pass) -> bool:
    """Whether a call's queries are the tokens that the run grows by."""
    return step.main is not None and (call.place.stack == step.main[0])


def _start_of(generated: Generated | None, ids: Tensor) -> int | None:
    """Position at which what was returned begins among what was read; None where it was not read."""
    if generated is None:
        return None
    returned = generated.sequences.cpu()
    if len(returned) != len(ids):
        return None
    n = returned.shape[1] - 1
    compared = torch.ones(len(returned), n, dtype=torch.bool)
    if generated.beam_indices is not None:
        # Behind the end of an early one, the beams that went on were read.
        chosen = (generated.beam_indices >= 0).sum(-1).cpu()
        width = generated.beam_indices.shape[1]
        compared = torch.arange(n) < (n + 1 - width + chosen - 1)[:, None]
    best: tuple[int, int] | None = None
    for start in range(max(1, ids.shape[1] - n + 1) if n <= ids.shape[1] else 0):
        read = ids[:, start : start + n]
        known = (read >= 0) & compared
        if bool(((read == returned[:, :n]) | ~known).all()) and bool(known.any()):
            best = max(best or (0, 0), (int(known.sum()), start))
    return None if best is None else best[1]


def _following(generated: Generated, ids: Tensor, real: Tensor, start: int | None) -> Tensor | None:
    """Ids of the tokens behind the last real ones."""
    if start is None:
        return None
    returned = generated.sequences.cpu()
    last = real.shape[1] - 1 - real.flip(-1).argmax(-1)
    place = last + 1 - start
    inside = place < returned.shape[1]
    known = returned[torch.arange(len(returned)), place.clamp(max=returned.shape[1] - 1)]
    read = ids[torch.arange(len(ids)), (last + 1).clamp(max=ids.shape[1] - 1)]
    return torch.where(inside, known, torch.where(last + 1 < ids.shape[1], read, -1))


def _joined_logits(steps: Sequence[Pass], rows: list[Tensor], prompt: int) -> Tensor | None:
    """Logits that each generated token was chosen from; None where a step chose several."""
    chosen = []
    for step, row in zip(steps, rows, strict=True):
        if step.logits is None or step.logits.ndim != 3 or (step.n_queries > 1 and step.past >= prompt):
            return None
        if step.length >= prompt:
            chosen.append(step.logits[row.to(step.logits.device)])
    return torch.cat(chosen, 1)


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
        own = [call for call in first.calls if _grows(call, first)] or first.calls
        return own[-1].batch
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


def _ids(steps: Sequence[Pass], rows: list[Tensor]) -> Tensor:
    """Ids of every position that was read; -1 where they are not known."""
    first = steps[0]
    ids = torch.full((len(rows[0]), steps[-1].length), -1)
    for step, row in zip(steps, rows, strict=True):
        read = None if step.main is None else step.read.get(step.main, (None, None))[0]
        if read is None:
            continue
        own = read.of_rows(row).ids
        at = step.past if step is not first else first.past
        ids[:, at : at + own.shape[1]] = own[:, : ids.shape[1] - at]
    return ids


def _real(
    steps: Sequence[Pass], rows: list[Tensor], generated: Generated | None, prompt: int, start: int | None
) -> Tensor:
    """Which tokens are no padding: that of the prompt, and what stands behind the end of a sequence."""
    first, total = steps[0], steps[-1].length
    begin = first.past + prompt
    real = torch.ones(len(rows[0]), total, dtype=torch.long)
    prefix = "decoder_" if "decoder_input_ids" in first.inputs else ""
    given = first.inputs.get(f"{prefix}attention_mask")
    if isinstance(given, Tensor) and given.ndim == 2 and given.shape[1] <= total:
        real[:, : given.shape[1]] = given[rows[0].to(given.device)].cpu()
    if generated is None or start is None:
        return real
    if generated.beam_indices is not None:
        chosen = (generated.beam_indices >= 0).sum(-1).cpu()
        real[:, begin:] *= (torch.arange(total - begin) < chosen[:, None] - 1).long()
    elif total > begin:
        ids = generated.sequences[:, max(0, begin - start) :].cpu()  # of the generated tokens
        ended = torch.isin(ids, torch.tensor(generated.ends, dtype=torch.long)).cumsum(-1) > 0
        if generated.pad is not None and generated.pad not in generated.ends and len(ids) > 1:
            # A stopping criterion ends a sequence without a token of its own: the last before the padding is the end.
            padded = (ids == generated.pad).long().flip(-1).cumprod(-1).flip(-1).bool()
            ended[:, :-1] |= padded[:, 1:]
        known = (~ended[:, : total - begin]).long()
        real[:, begin : begin + known.shape[1]] *= known
    return real


def _by_module(steps: Sequence[Pass]) -> list[list[Call]]:
    """Calls of one layer over the steps."""
    found: dict[Any, list[Call]] = {}
    for step in steps:
        for call in step.calls:
            found.setdefault(call.place, []).append(call)
    return list(found.values())


def _joined(calls: list[Call], rows: list[Tensor], shared: dict[Any, Any], steps: Sequence[Pass]) -> Call | str:
    """The calls of a layer as one, or why they do not join."""
    if len(calls) < len(rows) and _grows(calls[0], steps[0]):
        return f"it attended in {len(calls)} of {len(rows)} steps of a generation, so that rows would be missing"
    if len(calls) < len(rows):
        # It did not run in every step: a tower, or an encoder inside the first pass.
        return calls[0].of_rows(rows[0]) if len(calls) == 1 else calls[-1].of_rows(rows[-1])
    if len({type(call) for call in calls}) > 1:
        return "it was heard in different ways in the steps of a generation, which do not join"
    chosen = [call.of_rows(row) for call, row in zip(calls, rows, strict=True)]
    past = 0 if calls[0].place.crossing else calls[0].front
    whole: Call = joined(chosen, past, shared)
    return whole
