"""Intervening: a model runs with other attention: cooled or heated, cut, boosted, replaced, or without some heads."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.attending import exponentiated, log_weights_of, put_out, rows_of, weights_of
from attnwidget.capturing.calls import Call
from attnwidget.capturing.changes import Attended
from attnwidget.capturing.keeping import generates
from attnwidget.capturing.places import is_tower
from attnwidget.capturing.projected import Projections
from attnwidget.capturing.registry import changed_by, transformers_in
from attnwidget.capturing.weighed import Weights
from attnwidget.effects.reference import Reference
from attnwidget.effects.where import Pairs, chosen_heads, pairs_of
from attnwidget.layers import HIDDEN, check_factor
from attnwidget.measures.arguments import choice, numeric

__all__ = ["intervene"]

LARGEST = 1e12  # factor of scores: beyond it only ties of the largest key keep any weight
LARGEST_ERROR = 1e-4  # of the size of what heads put out, in single precision
INSTEAD = ("zero", "mean", "resample")


@contextmanager
def intervene(
    model: nn.Module,
    *,
    temperature: float = 1.0,
    scaling: float = 1.0,
    ablate: str | None = None,
    cut: Any = None,
    boost: Any = None,
    replace: Any = None,
    heads: Any = None,
    part: str | None = None,
    spans: Mapping[str, tuple[int, int]] | None = None,
    reference: Any = None,
    tokenizer: Any = None,
) -> Iterator[None]:
    """Let a model attend otherwise while the block runs, in the thread of the block.

    Whatever runs the model inside is changed: a call, ``generate()``, `attnwidget.capture`, whose maps show what was
    changed. Blocks may be nested; the outer one acts first, and a head that it replaced stays replaced. The model is in
    eval mode meanwhile and is afterwards as it was, whatever happens. Gradients go through.

    Parameters
    ----------
    model : nn.Module
        A transformers model, or another whose attention `attnwidget.capture` can show.
    temperature, scaling : float
        Weights become softmax(scores * scaling / temperature), sinks included.
    ablate : {"zero", "mean", "resample"} or None
        What stands for what the heads put out: nothing, and the bias of their values goes with them; its mean over the
        ``reference``, position by position where all texts have the length of this one, else over positions; what it
        puts out for the first text of the reference, which begins again where it is shorter.
    cut : (queries, keys), list of these, or None
        Pairs that get no weight; the rest of a row shares it. A row that is left with nothing puts out zero. Queries
        and keys are a position, a slice, a range, a list of positions, the name of a span, or None for all; positions
        count from 0, from the first token that is no padding, over all steps of a generation.
    boost : (queries, keys, factor), list of these, or None
        Pairs whose weight is multiplied, before the row is normed again; a factor above 0.
    replace : Tensor or array [queries, keys], [heads, queries, keys] or [batch, heads, queries, keys], or None
        Weights that stand for those of the model, as they are.
    heads : (layer, head), list of these, mapping of int to int, list or None, or None
        Whose attention: ``(5, 3)``; ``[(5, 3), (5, 4)]``; ``{5: [3, 4], 6: None}``, where None is all heads of the
        layer. None is every head of every layer. Numbers are those of the model.
    part : str or None
        Of a model with several kinds of attention, which: "encoder", "decoder", "cross", or a name in the path of its
        layers, as "vision_model". None is all there is, but for the tower of a model that writes about pictures.
    spans : mapping of str to (start, stop), or None
        Named runs of positions, for ``cut`` and ``boost``.
    reference : texts, mappings of inputs, DataLoader, or None
        Other texts, for ``ablate``, as in `ablate`.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Needed where these are texts.

    Yields
    ------
    None
        The model attends otherwise until the block ends.

    Raises
    ------
    TypeError
        When model is no module, or an argument is of a kind that cannot be read.
    ValueError
        When nothing is to be changed, or an argument cannot be; from the pass itself, when a head that was named is not
        there, or what its heads put out cannot be seen by itself; at the end of the block, when a layer that was named
        did not attend.

    Examples
    --------
    >>> with aw.effects.intervene(model, ablate="zero", heads=(3, 1)):
    ...     without = aw.capture(model, text, tokenizer)
    >>> with aw.effects.intervene(model, cut=("answer", "question"), spans={"question": (0, 9), "answer": (9, 20)}):
    ...     model.generate(**inputs)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is {type(model).__name__}; intervene changes a model that you run: load it first.")
    temperature, scaling = numeric("temperature", temperature, 0, LARGEST), numeric("scaling", scaling, 0, LARGEST)
    check_factor(temperature, scaling)
    if scaling / temperature > LARGEST:
        raise ValueError(f"scaling / temperature is {scaling / temperature:g}; expected {LARGEST:g} at most.")
    if ablate is not None:
        choice("ablate", ablate, INSTEAD)
    if (ablate in {"mean", "resample"}) != (reference is not None):
        raise ValueError(f"ablate={ablate!r}: a mean or another text needs a reference, and nothing else does.")
    given = None if replace is None else _weights(replace)
    cuts, boosts = pairs_of("cut", cut, spans), pairs_of("boost", boost, spans)
    if temperature == scaling and ablate is None and given is None and not cuts and not boosts:
        raise ValueError("nothing is changed: give temperature, scaling, ablate, cut, boost or replace.")
    chosen = chosen_heads(heads)
    stand_in = None if reference is None or ablate is None else Reference.of(model, reference, tokenizer, ablate)
    change = _Intervention(
        frozenset(model.modules()), scaling / temperature, ablate is not None, stand_in, cuts, boosts, given, chosen,
        part, writes=any(map(generates, transformers_in(model))),
    )  # fmt: skip

    def passed() -> None:
        del recorder.passes[:-2]  # it keeps nothing, but for what tells how steps go on
        if recorder.failure is not None:
            raise recorder.failure

    with changed_by(model, change, passed=passed) as recorder:
        yield
        change.check()


@dataclass(eq=False)
class _Intervention:
    """What becomes of attention, in the order: temperature, boost, cut, replacement, ablation."""

    modules: frozenset[nn.Module]
    factor: float
    ablates: bool
    reference: Reference | None
    cuts: list[Pairs]
    boosts: list[Pairs]
    given: Tensor | None
    heads: Mapping[int, tuple[int, ...] | None] | None
    part: str | None
    writes: bool
    met: set[int] = field(default_factory=set)  # layers that attended
    parts: set[str] = field(default_factory=set)

    def __call__(self, attended: Attended) -> Attended | None:
        """What stands for an attention; None where it is another's."""
        if attended.module not in self.modules or not self._is_meant(attended):
            return None
        call, place = attended.call, attended.call.place
        self.met.add(place.layer)
        heads = self._heads_of(call)
        if not heads:
            return None
        output, value = attended.output, call.value
        if output is None or (value is None and self._weighs):
            raise ValueError(
                f"what the heads of {place.module!r} put out is not seen by itself, so that it cannot be changed."
            )
        if self._weighs and value is not None:
            attended = self._weighed(attended, heads, output, value)
        if not self.ablates:
            return attended
        everything = torch.zeros_like(output) if self.reference is None else self.reference.instead(attended)
        put = _put(output, heads, everything[:, list(heads)])
        return replace(attended, output=put, replaced=attended.replaced | frozenset(heads))

    @property
    def _weighs(self) -> bool:
        """Whether weights are changed."""
        return self.factor != 1 or bool(self.cuts or self.boosts) or self.given is not None

    def _weighed(self, attended: Attended, heads: tuple[int, ...], output: Tensor, value: Tensor) -> Attended:
        """An attention with other weights, and what its heads put out then."""
        call = attended.call
        # What stands for a head already does so whatever its weights become.
        own = [head for head in range(call.n_heads) if head not in attended.replaced]
        if own:
            _check_seen(call, output, own)
        made = self._call(call, attended, heads) if attended.kept else call
        acting = [head for head in heads if head in own]
        if self.ablates or not acting:
            return replace(attended, call=made)
        places = [heads.index(head) for head in acting]
        value = value[:, torch.tensor(acting, device=output.device) // (call.n_heads // value.shape[1])]
        value = value.to(torch.promote_types(value.dtype, torch.float32))
        rows = [
            self._weights_in(attended, heads, part)[:, places] @ value
            for part in rows_of(call, heads, slice(0, call.n_queries))
        ]
        return replace(attended, call=made, output=_put(output, acting, torch.cat(rows, 2)))

    def check(self) -> None:
        """Say what was named and did not attend."""
        if not self.parts:
            return  # nothing ran
        missing = sorted(set(self.heads or ()) - self.met)
        if self.part is not None and not self.met:
            raise ValueError(f"part={self.part!r}; this model attends in {', '.join(sorted(self.parts))}.")
        if missing:
            there = f"layers {min(self.met)} to {max(self.met)}" if self.met else "none"
            raise ValueError(f"layer {missing[0]} did not attend; {there} did: nothing was changed in it.")

    def _is_meant(self, attended: Attended) -> bool:
        stack = attended.call.place.stack
        self.parts.add(stack if attended.part == "attention" else attended.part)
        if self.part is not None:
            named = attended.part == "attention" and self.part in stack.split(".")
            return named or self.part == attended.part
        if attended.part != "attention":
            raise ValueError("this model attends in an encoder, a decoder, and across; choose one with part=.")
        return not (self.writes and is_tower(stack))

    def _heads_of(self, call: Call) -> tuple[int, ...]:
        everything = tuple(range(call.n_heads))
        if self.heads is None:
            return everything
        if call.place.layer not in self.heads:
            return ()
        named = self.heads[call.place.layer]
        if named is not None and max(named) >= call.n_heads:
            raise ValueError(
                f"head {max(named)} does not exist; layer {call.place.layer} has heads 0 to {call.n_heads - 1}."
            )
        return everything if named is None else named

    def _weights_in(self, attended: Attended, heads: tuple[int, ...], rows: slice) -> Tensor:
        """Weights of some heads in some rows, as they are now: [batch, heads, rows, keys]."""
        call = attended.call
        if self.given is not None:
            return self._given_in(attended, heads, rows)
        logs, outside = log_weights_of(call, heads, rows)
        if self.factor != 1:
            # A factor of 0 leaves hidden what is hidden.
            logs = torch.where(logs == -math.inf, logs, logs * self.factor)
            outside = torch.where(outside == -math.inf, outside, outside * self.factor)
        for one in self.boosts:
            logs = logs + one.inside(attended, rows).to(logs) * math.log(one.factor)
        for one in self.cuts:
            logs = logs.masked_fill(one.inside(attended, rows), -math.inf)
        return exponentiated(logs, outside)

    def _given_in(self, attended: Attended, heads: tuple[int, ...], rows: slice) -> Tensor:
        call, given = attended.call, self.given
        assert given is not None  # noqa: S101 - asked before
        first = int(attended.queries[0])
        wanted = (call.batch, len(heads), call.n_queries, call.n_keys)
        if not (
            given.shape[0] in {1, wanted[0]} and given.shape[1] in {1, wanted[1]}
            and given.shape[2] >= first + wanted[2] and given.shape[3] >= wanted[3]
            and (first > 0 or given.shape[2:] == wanted[2:])
        ):  # fmt: skip
            raise ValueError(
                f"replace holds weights {list(given.shape)}; layer {call.place.layer} needs [batch, heads, queries, "
                f"keys] = {[wanted[0], wanted[1], first + wanted[2], wanted[3]]}."
            )
        part = given[:, :, first + rows.start : first + rows.stop, : wanted[3]]
        wide = torch.promote_types(call.value.dtype, torch.float32) if call.value is not None else torch.float32
        return part.to(device=call.device, dtype=wide).expand(wanted[0], wanted[1], -1, -1)

    def _call(self, call: Call, attended: Attended, heads: tuple[int, ...]) -> Call:
        """The call as it is now, for maps: as queries and keys where a temperature is all, else as weights."""
        only = not self.cuts and not self.boosts and self.given is None
        if only and isinstance(call, Projections):
            tempered = _tempered(call, heads, self.factor)
            if tempered is not None:
                return replace(tempered, probe=tempered.probed())
        with torch.no_grad():
            whole = weights_of(call, range(call.n_heads), slice(0, call.n_queries))
            now = self._weights_in(attended, heads, slice(0, call.n_queries))
            whole = whole.index_copy(1, torch.tensor(heads, device=whole.device), now.to(whole))
            seeing = None if self.given is not None else _seeing(call)
        made = Weights(
            weights=whole, seeing=seeing, value=call.value, place=call.place, heads=call.heads,
            all_heads=call.all_heads, front=call.front, seen=call.seen,
        )  # fmt: skip
        return replace(made, probe=made.probed())


def _weights(given: Any) -> Tensor:
    """Weights as [batch or 1, heads or 1, queries, keys]."""
    if not isinstance(given, Tensor) and not hasattr(given, "__array__") and not isinstance(given, list | tuple):
        raise TypeError(f"replace is {type(given).__name__}; expected weights, as a tensor or an array.")
    weights = torch.as_tensor(given)
    if not bool(weights.isfinite().all()):
        raise ValueError("replace holds NaN or infinity; expected weights.")
    if not weights.is_floating_point() or not 2 <= weights.ndim <= 4:
        raise ValueError(
            f"replace is {weights.dtype} {list(weights.shape)}; expected weights [queries, keys], [heads, queries, "
            "keys] or [batch, heads, queries, keys]."
        )
    return weights[(None,) * (4 - weights.ndim)]


def _put(output: Tensor, heads: Iterable[int], instead: Tensor) -> Tensor:
    at = torch.tensor(list(heads), device=output.device)
    return output.index_copy(1, at, instead.to(output))


def _check_seen(call: Call, output: Tensor, heads: Sequence[int]) -> None:
    """That weights times values are what heads put out, in the last row; else nothing of this is known."""
    if not call.n_queries:
        return
    last = slice(call.n_queries - 1, call.n_queries)
    with torch.no_grad():
        made, was = put_out(call, heads, rows=last), output[:, list(heads)][:, :, last]
        sees = weights_of(call, heads, last).sum(-1, keepdim=True) > 0
        off = ((made - was) * sees).abs().max()
        bound = max(LARGEST_ERROR, 16 * torch.finfo(output.dtype).eps) * max(1e-6, float(was.abs().max()))
    if bool(off > bound):
        raise ValueError(
            f"what the heads of {call.place.module!r} put out is not their weights times their values: "
            f"{float(off):.2g} off. It is changed on the way, and no intervention can act on it."
        )


def _tempered(call: Projections, heads: tuple[int, ...], factor: float) -> Projections | None:
    """The call whose scores are multiplied in some heads; None where queries and keys cannot say it."""
    if call.softcap is not None and not factor:
        return None
    if len(heads) == call.n_heads:
        additive = call.mask is not None and call.mask.dtype != torch.bool
        return replace(
            call,
            scaling=call.scaling * factor,
            position_bias=None if call.position_bias is None else call.position_bias * factor,
            softcap=None if call.softcap is None else call.softcap * factor,
            sinks=None if call.sinks is None else call.sinks * factor,
            mask=_times(call.mask, factor) if additive and call.mask is not None else call.mask,
        )
    if call.position_bias is not None or call.softcap is not None or call.sinks is not None:
        return None
    if call.mask is not None and call.mask.dtype != torch.bool and not _hides_only(call.mask):
        return None
    query = call.query.clone()
    query[:, torch.tensor(heads, device=query.device)] *= factor
    return replace(call, query=query)


def _times(mask: Tensor, factor: float) -> Tensor:
    return mask if _hides_only(mask) else torch.where(mask <= HIDDEN, mask, mask * factor)


def _hides_only(mask: Tensor) -> bool:
    return bool(((mask == 0) | (mask <= HIDDEN)).all())


def _seeing(call: Call) -> Tensor | None:
    """Which keys a query may see: bool [batch or 1, heads or 1, queries, keys]."""
    if isinstance(call, Weights):
        return call.seeing
    if not isinstance(call, Projections) or (call.mask is None and not call.causal):
        return None
    return call.terms(slice(0, call.n_queries))[..., : call.n_keys] > HIDDEN
