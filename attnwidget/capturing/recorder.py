"""Recorder: listens while a model runs, and keeps what each pass said."""

from __future__ import annotations

import inspect
import re
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.keep import Keep

__all__ = ["Call", "Pass", "Recorder", "active_recorder", "is_pair", "is_tower", "n_attentions", "side_of"]

_local = threading.local()  # a pass belongs to the recorder of the thread it runs in
_SEEN = re.compile(r"vision|visual|image|audio", re.IGNORECASE)
_CROSS = re.compile(r"cross|encoder_attn|encdec|enc_dec", re.IGNORECASE)


def active_recorder() -> Recorder | None:
    """The innermost recorder that listens in this thread."""
    stack = getattr(_local, "stack", None)
    return stack[-1] if stack else None


def is_tower(path: str) -> bool:
    """Whether a stack of layers reads pictures or sound, by its path."""
    return bool(_SEEN.search(path))


def is_pair(module: nn.Module) -> bool:
    """Whether a model has an encoder and a decoder."""
    return bool(getattr(getattr(module, "config", None), "is_encoder_decoder", False))


def side_of(path: str) -> str:
    """The half of a pair that a stack of layers is in, or nothing; a decoder of BERT type has an "encoder" inside."""
    return next((part for part in path.split(".") if part in {"encoder", "decoder"}), "")


@dataclass
class Call:
    """One call of the attention function, for a whole batch.

    query is [batch, heads, queries, width], key [batch, key-value heads, keys, width]. mask is bool (True may be seen)
    or additive, [batch, 1 or heads, queries, keys]; without one, ``causal`` says whether later keys are hidden.
    """

    query: Tensor
    key: Tensor
    mask: Tensor | None
    scaling: float
    position_bias: Tensor | None = None
    softcap: float | None = None
    sinks: Tensor | None = None
    dropout: float = 0.0
    module: str = ""
    causal: bool = False
    stack: str = ""  # path of the stack of layers it belongs to
    crossing: bool = False  # whether keys come from elsewhere than queries
    layer: int = 0  # number of the layer in its stack
    heads: tuple[int, ...] | None = None  # numbers of the heads kept, None for all
    n_heads: int = 0  # heads there were
    n_seen: int = 0  # keys there were, which may be more than are kept

    def terms(self, rows: slice) -> Tensor:
        """What the mask adds to the scores of some rows: [batch or 1, 1 or heads, rows, keys]."""
        n_queries, n_keys = self.query.shape[2], self.key.shape[2]
        if self.mask is None:
            terms = self.query.new_zeros(1, 1, rows.stop - rows.start, n_keys)
            if self.causal:
                hidden = torch.ones_like(terms, dtype=torch.bool).triu(rows.start + n_keys - n_queries + 1)
                terms.masked_fill_(hidden, torch.finfo(terms.dtype).min)
            return terms
        mask = self.mask[:, :, rows] if self.mask.shape[2] != 1 else self.mask
        if mask.dtype == torch.bool:
            return torch.zeros_like(mask, dtype=self.query.dtype).masked_fill(~mask, torch.finfo(self.query.dtype).min)
        return mask


@dataclass
class Pass:
    """One forward pass: what went in, what attention was computed, and what the model returned of it."""

    inputs: dict[str, Any] = field(default_factory=dict)
    encoder_inputs: dict[str, Any] = field(default_factory=dict)
    decoder_inputs: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    matrices: list[Any] = field(default_factory=list)  # outputs of models that were asked for their matrices
    logits: Tensor | None = None
    whole: bool = False  # the model's own pass, and not one of a part called by itself
    past: int = 0  # cached tokens before this pass
    learned: int = 0  # of them, those that a wrapper has learned
    before: Pass | None = None  # the pass that left the cache that this one begins with
    reordered: bool = False  # the rows of the batch are not in the order they had before, as in beam search
    unheard: list[str] = field(default_factory=list)  # attention modules that ran and said nothing
    cache: Callable[[], Any] = lambda: None
    newest: Tensor | None = None  # keys of the last token in the first layer, by which the next pass knows its rows
    n_queries: int = 0
    prompt: int = 0  # length of what was given, in a generation
    several: bool = False  # some step of a generation chose more than one token
    following: Tensor | None = None  # ids of the tokens generated last, [batch]
    counts: Counter[tuple[str, bool]] = field(default_factory=Counter)
    shared: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)  # masks that layers share, and what is kept

    @property
    def continues(self) -> bool:
        """Whether the pass goes on where an earlier one ended."""
        return self.before is not None

    @property
    def length(self) -> int:
        """Tokens in the cache after this pass."""
        return self.past + self.n_queries


class Recorder:
    """Keeps the passes that a model makes while it listens.

    Parameters
    ----------
    model : nn.Module
        The model to listen to.
    roots : sequence of nn.Module
        The transformers models in it, outermost first.
    keep : Keep
        How much is kept.
    asked : sequence of nn.Module
        Roots that are asked for their matrices, since they have attention code of their own.
    heard : callable or None
        Called with every call that was recorded.
    passed : callable or None
        Called after every pass of the whole model.
    """

    def __init__(
        self,
        model: nn.Module,
        roots: Sequence[nn.Module] = (),
        keep: Keep | None = None,
        *,
        asked: Sequence[nn.Module] = (),
        heard: Callable[[Call], None] | None = None,
        passed: Callable[[], None] | None = None,
    ) -> None:
        self.model = model
        self.roots = tuple(roots) or (model,)
        self.keep = keep or Keep()
        self.asked = frozenset(asked)
        self._heard, self._passed = heard, passed
        self.passes: list[Pass] = []
        self._open: Pass | None = None
        self._running: list[nn.Module] = []  # the pass's own modules, outermost first
        self._part: Pass | None = None  # of a part that is called by itself, until a module comes again
        self._wholes = {model, *self.roots}
        # generate() runs encoders and towers by themselves, before anything else.
        self._parts = {m for root in self.roots for m in root.modules() if hasattr(m, "config")} - self._wholes
        self._names = {id(m): name.replace("_orig_mod.", "") for name, m in model.named_modules()}

    def _stack_of(self, name: str) -> tuple[str, bool]:
        """The stack of a module: the path to the first number in its name, and whether it attends across."""
        path = re.split(r"(?:^|\.)\d+(?:\.|$)", name, maxsplit=1)[0]
        # torch's decoder layer has a multihead_attn beside its self_attn; elsewhere that is anybody's name.
        beside = name.removesuffix("multihead_attn") + "self_attn"
        across = name.endswith("multihead_attn") and beside in self._names.values()
        return path, across or bool(_CROSS.search(name.removeprefix(path)))

    @property
    def unfinished(self) -> Pass | None:
        """The pass that is going on."""
        return self._open

    def record(self, module: nn.Module, call: Call) -> None:
        """Keep one call of the attention function, if it comes from this model."""
        name = self._names.get(id(module))
        if name is None:
            return
        if torch._C._current_graph_task_id() != -1:  # noqa: SLF001
            return  # gradient checkpointing computes a layer again on its way back
        stack = self._stack_of(name)
        current = self._open or self._part
        if current is None or (self._open is None and any(kept.module == name for kept in current.calls)):
            # A part of the model was called by itself, as generate() does with the encoder.
            self._part = current = Pass()
            self.passes.append(current)
        main = self._goes_on(stack, current, call)
        if main and current.newest is None:
            self._meet(current, call)
        layer, n_heads = current.counts[stack], call.query.shape[1]
        call = replace(call, module=name, stack=stack[0], crossing=stack[1], layer=layer, n_heads=n_heads)
        current.counts[stack] += 1
        if self.keep.layer(call.layer):
            current.calls.append(self._kept(call, current, main=main))
        if self._heard is not None:
            self._heard(call)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen in this thread until the block ends."""
        stack = _local.__dict__.setdefault("stack", [])
        hooks: list[Any] = []
        for module in self._wholes | self._parts:
            hooks.append(module.register_forward_pre_hook(self._begin, with_kwargs=True))
            hooks.append(module.register_forward_hook(self._end, with_kwargs=True, always_call=True))
        for root in self.roots:
            for part, keep in (("encoder", "encoder_inputs"), ("decoder", "decoder_inputs")):
                held = _part(root, part)
                if held is not None:
                    hooks.append(held.register_forward_pre_hook(self._keep_inputs(keep), with_kwargs=True))
            hooks += [m.register_forward_hook(self._ran) for m in root.modules() if _looks_like_attention(m)]
        stack.append(self)
        try:
            yield
        finally:
            stack.remove(self)
            for hook in hooks:
                hook.remove()

    def _begin(self, module: nn.Module, args: Any, *rest: Any) -> tuple[Any, Any] | None:
        # Where another thread has just removed the hook, torch forgets that it takes keywords.
        if active_recorder() is not self:
            return None
        (kwargs,) = rest
        bound = _bound(module, args, kwargs)
        if module in self._running and self._open is not None:
            self._running.clear()  # an interrupt ended the last pass, and no hook heard of it
            self.passes.remove(self._open)
        if not self._running or self._open is None:
            self._part, self._running = None, []
            self._open = Pass(whole=module in self._wholes)
            self.passes.append(self._open)
        elif module in self._parts:
            self._running.append(module)
            return None
        # What a wrapper made of its inputs is what the model inside reads.
        self._open.inputs |= {name: value for name, value in bound.items() if value is not None}
        cache = bound.get("past_key_values")
        if cache is not None and self._open.cache() is None:
            self._continue(self._open, cache)
            # A wrapper that brings keys where its caller gave none has learned them.
            self._open.learned = self._open.past if self._running else 0
        self._running.append(module)
        if module not in self.asked:
            return None
        return args, {**kwargs, "output_attentions": True, "return_dict": True}

    def _end(self, module: nn.Module, args: Any, *rest: Any) -> None:  # noqa: ARG002
        if active_recorder() is not self or self._open is None:
            return
        output = rest[-1]
        if output is not None and module in self.asked:
            self._open.matrices.append(output)
        if self._running.pop() is not module or self._running:
            return
        ended, self._open = self._open, None
        ended.shared.clear()
        if not ended.n_queries:
            ended.n_queries = _n_tokens(ended.inputs)
        if not ended.whole and not ended.counts:
            self.passes.remove(ended)
            return
        if output is None:
            self.passes.remove(ended)  # the pass failed half-way: what it left is no map
            return
        ended.logits = self._kept_logits(module, ended, output)
        made = getattr(output, "past_key_values", None)
        if made is not None and ended.cache() is None:
            ended.cache = _reference(made)
        if self._passed is not None and ended.whole:
            self._passed()

    def _ran(self, module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG002
        current = self._open or self._part
        if active_recorder() is not self or current is None:
            return
        name = self._names.get(id(module), "")
        # Whether any layer of its stack spoke, kept or not.
        if not current.counts[self._stack_of(name)] and not any(_related(call.module, name) for call in current.calls):
            current.unheard.append(name)

    def _keep_inputs(self, where: str) -> Any:
        def keep(module: nn.Module, args: Any, *rest: Any) -> None:
            if active_recorder() is self and self._open is not None:
                setattr(self._open, where, _bound(module, args, *rest))

        return keep

    def _continue(self, current: Pass, cache: Any) -> None:
        """See whether a pass goes on where the one before it ended."""
        current.past, current.cache = _length_of(cache), _reference(cache)
        before = next((p for p in reversed(self.passes[:-1]) if p.whole and p.cache() is cache), None)
        # Tokens that were tried and refused are taken back before the next pass.
        current.before = before if before is not None and 0 < current.past <= before.length else None

    def _goes_on(self, stack: tuple[str, bool], current: Pass, call: Call) -> bool:
        """Whether a stack reads the tokens that a cache grows by: no encoder, no tower, and attends to itself."""
        path, crossing = stack
        encoder = side_of(path) == "encoder" and any(map(is_pair, self.roots))
        n_tokens = _n_tokens(current.inputs)
        return not (crossing or encoder or is_tower(path)) and n_tokens in {0, call.query.shape[2]}

    def _meet(self, current: Pass, first: Call) -> None:
        """Read from the first layer how many tokens are new, and whether the batch has its rows in their old order."""
        current.n_queries = first.query.shape[2]
        new, before = _new_keys(first.key, current), current.before
        current.newest = first.key[:, :, new.stop - 1].detach().clone()
        whole = before is not None and before.length == current.past
        if whole and before is not None and before.newest is not None and new.start > 0:
            last = first.key[:, :, new.start - 1]
            current.reordered = last.shape != before.newest.shape or not torch.equal(last, before.newest)

    def _kept(self, call: Call, current: Pass, *, main: bool) -> Call:
        """The call as it is kept: q and k copied, since caches change them in place, the rest shared by layers."""
        query, key = call.query.detach(), call.key.detach()
        n_seen = key.shape[2]
        if current.continues and call.crossing:
            key = key[:, :, :0]  # the source has not changed
        elif current.continues and main:
            key = key[:, :, _new_keys(key, current)]
        elif current.cache() is not None and main:
            key = key[:, :, : current.length]  # a cache of fixed size has room behind
        heads = self.keep.heads_of(call.layer, call.n_heads)
        mask, bias, sinks = call.mask, call.position_bias, call.sinks
        if heads is not None:
            groups = call.n_heads // key.shape[1]
            query = query[:, list(heads)]
            key = key[:, _groups_of(heads, groups)]
            mask = mask[:, list(heads)] if mask is not None and mask.shape[1] > 1 else mask
            bias = bias[:, list(heads)] if bias is not None and bias.shape[1] > 1 else bias
            sinks = None if sinks is None else sinks.flatten()[list(heads)]
        return replace(
            call,
            query=self._copy(query),
            key=self._copy(key),
            mask=self._share(mask, current),
            position_bias=self._share(bias, current),
            sinks=None if sinks is None else self._copy(sinks.detach()),
            heads=heads,
            n_seen=n_seen,
        )

    def _copy(self, tensor: Tensor) -> Tensor:
        device = torch.device("cpu") if self.keep.offload else tensor.device
        return torch.empty(tensor.shape, dtype=tensor.dtype, device=device).copy_(tensor)

    def _share(self, term: Tensor | None, current: Pass) -> Tensor | None:
        """A mask or bias, by reference, so that layers that share it share what is kept."""
        if term is None:
            return None
        if id(term) not in current.shared:
            kept = term.detach()
            current.shared[id(term)] = term, kept.cpu() if self.keep.offload else kept
        return current.shared[id(term)][1]

    def _kept_logits(self, module: nn.Module, ended: Pass, output: Any) -> Tensor | None:
        logits = getattr(output, "logits", None)
        if not isinstance(logits, Tensor) or self.keep.logits == "none":
            return None
        logits = logits.detach()
        predicts_next = any(can() for root in self.roots if (can := getattr(root, "can_generate", None)))
        last_only = self.keep.logits == "last" or (self.keep.logits == "auto" and predicts_next)
        if logits.ndim == 3 and last_only:
            ids = ended.inputs.get("decoder_attention_mask" if is_pair(module) else "attention_mask")
            last = torch.full((logits.shape[0],), logits.shape[1] - 1, device=logits.device)
            if isinstance(ids, Tensor) and ids.ndim == 2 and ids.shape == logits.shape[:2]:
                # The last real position of each text, whichever side the padding is on.
                last = (ids.to(logits.device).cumsum(-1) * ids.to(logits.device)).argmax(-1)
            logits = logits[torch.arange(len(last), device=logits.device), last][:, None]
        return self._copy(logits)


def _new_keys(key: Tensor, current: Pass) -> slice:
    """Which keys belong to the queries of the pass."""
    # A cache of fixed size has room behind the new keys, a sliding one has dropped old ones.
    stop = min(current.length, key.shape[2])
    return slice(max(0, stop - current.n_queries), stop)


def _groups_of(heads: Sequence[int], size: int) -> list[int]:
    """Key-value heads of some heads: each once where they serve equally many, else one a head."""
    groups = [head // size for head in heads]
    counts = Counter(groups)
    return list(counts) if len(set(counts.values())) == 1 else groups


def _bound(module: nn.Module, args: Any, kwargs: Any) -> dict[str, Any]:
    """Arguments of a forward call by name."""
    try:
        bound = inspect.signature(module.forward).bind_partial(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return dict(kwargs)  # the call itself will say what is wrong with it
    bound.pop("args", None)
    return {**bound.pop("kwargs", {}), **bound}


def _n_tokens(inputs: dict[str, Any]) -> int:
    """How many tokens a pass reads, by its inputs."""
    for name in ("decoder_inputs_embeds", "decoder_input_ids", "inputs_embeds", "input_ids"):
        if isinstance(inputs.get(name), Tensor) and inputs[name].ndim > 1:
            return int(inputs[name].shape[1])
    return 0


def _length_of(cache: Any) -> int:
    length = getattr(cache, "get_seq_length", None)
    return int(length()) if callable(length) else 0


def _reference(cache: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(cache)
    except TypeError:
        return lambda: None


def _related(one: str, other: str) -> bool:
    """Whether one module is, or holds, or is in the other."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def n_attentions(model: nn.Module) -> int | None:
    """How many modules of a model compute attention, as far as their names tell; None where none does."""
    return sum(map(_looks_like_attention, model.modules())) or None


def _looks_like_attention(module: nn.Module) -> bool:
    """Whether a module of a transformers model computes attention, by its name and by holding no other that does."""
    named = [type(m).__name__.endswith("Attention") for m in module.modules()]
    return named[0] and sum(named) == 1 and not isinstance(module, nn.MultiheadAttention)


def _part(model: nn.Module, part: str) -> nn.Module | None:
    """Encoder or decoder of an encoder-decoder model."""
    if not is_pair(model):
        return None
    module = getattr(model, f"get_{part}")()
    return module if isinstance(module, nn.Module) and module is not model else None
