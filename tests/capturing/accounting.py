"""An independent listener: every softmax and every fused attention of a pass, to hold a capture against.

It knows nothing of attnwidget. It keeps the weights of each softmax over its last axis, and those of each call of
scaled_dot_product_attention and multi_head_attention_forward as it would make them itself, with the module that ran.
"""

from __future__ import annotations

import inspect
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

import attnwidget as aw


@dataclass(eq=False)
class Computed:
    """One attention as it was computed: weights [..., queries, keys], and the module that was running."""

    weights: torch.Tensor
    module: str
    kind: str
    multiplied: bool = False
    used: bool = False
    multiplier: str = ""  # the module that multiplied, where that is another one

    def is_in(self, name):
        """Whether it was computed in, or around, a module."""
        return related(name, self.module) or (bool(self.multiplier) and related(name, self.multiplier))

    def is_attention(self):
        """Weights that were multiplied with something, or that a module of attention made over several heads."""
        named = any(word in self.module.lower() for word in ("attn", "attention", "mha"))
        return self.multiplied or (named and self.used and self.weights.ndim >= 4)


@dataclass(eq=False)
class Independent(TorchFunctionMode):
    found: list[Computed] = field(default_factory=list)
    running: list[str] = field(default_factory=list)

    def __post_init__(self):
        super().__init__()
        self.alive = {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        module = self.running[-1] if self.running else ""
        if func is functional.multi_head_attention_forward:
            bound = dict(zip(_MULTIHEAD, args, strict=False)) | kwargs
            asked = bound | {"need_weights": True, "average_attn_weights": False}
            weights = func(**asked)[1]
            self.found.append(Computed(weights.detach().clone(), module, "multihead", multiplied=True))
            return func(*args, **kwargs)
        output = func(*args, **kwargs)
        if func is functional.scaled_dot_product_attention:
            self.found.append(Computed(_sdpa_weights(*args, **kwargs), module, "sdpa", multiplied=True))
        elif name in {"softmax", "special_softmax"} and isinstance(output, torch.Tensor) and output.ndim > 1:
            axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
            if axis is not None and axis % output.ndim == output.ndim - 1:
                self.found.append(Computed(output.detach().clone(), module, "softmax"))
                self.alive[id(output)] = output, self.found[-1]
        elif isinstance(output, (torch.Tensor, tuple)):
            self._follow(name, args, kwargs, output)
        return output

    def _follow(self, name, args, kwargs, output):
        given = [x for x in [*args, *kwargs.values()] if isinstance(x, torch.Tensor)]
        given += [x for xs in args if isinstance(xs, (tuple, list)) for x in xs if isinstance(x, torch.Tensor)]
        for tensor in given:
            known = self.alive.get(id(tensor))
            if known is None or known[0] is not tensor:
                continue
            same = isinstance(output, torch.Tensor) and output.numel() == tensor.numel()
            known[1].used = known[1].used or not same
            if name in {"matmul", "__matmul__", "__rmatmul__", "bmm", "baddbmm", "einsum"}:
                others = [x for x in given if x is not tensor]
                if not all(isinstance(x, torch.nn.Parameter) for x in others):
                    known[1].multiplied = True
                    known[1].multiplier = self.running[-1] if self.running else ""
            elif same:
                self.alive[id(output)] = output, known[1]


_MULTIHEAD = [
    "query", "key", "value", "embed_dim_to_check", "num_heads", "in_proj_weight", "in_proj_bias", "bias_k", "bias_v",
    "add_zero_attn", "dropout_p", "out_proj_weight", "out_proj_bias", "training", "key_padding_mask", "need_weights",
    "attn_mask", "use_separate_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight", "static_k", "static_v",
    "average_attn_weights", "is_causal",
]  # fmt: skip


def _sdpa_weights(  # noqa: PLR0917
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
):
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    return scores.softmax(-1)


@contextmanager
def listening_independently(model):
    ear, hooks = Independent(), []
    for name, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(lambda *_, name=name: ear.running.append(name)))
        hooks.append(module.register_forward_hook(lambda *_: ear.running.pop() and None, always_call=True))
    try:
        with ear:
            yield ear
    finally:
        for hook in hooks:
            hook.remove()


@dataclass
class Account:
    """What became of each attention that was computed."""

    given: int = 0
    missed: int = 0
    refused: int = 0
    lost: list[str] = field(default_factory=list)  # neither given nor named
    wrong: list[str] = field(default_factory=list)  # given, with other weights
    beyond: list[str] = field(default_factory=list)  # given, and computed by nobody

    @property
    def honest(self):
        return not self.lost and not self.wrong and not self.beyond

    @property
    def whole(self):
        return self.honest and self.given > 0 and not self.missed and not self.refused


def related(one, other):
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.") or not one or not other


def stack_of(why):
    """The stack of layers that a refusal is about."""
    stack = why.partition(":")[0]
    return "" if stack == "the model" else stack


@contextmanager
def eagerly(model):
    """The model computes every softmax by itself; afterwards it attends as before."""
    configs = {id(m.config): m.config for m in model.modules() if hasattr(getattr(m, "config", None), "to_dict")}
    before = [(config, config._attn_implementation_internal) for config in configs.values()]
    for config, _ in before:
        config._attn_implementation_internal = "eager"
    try:
        yield
    finally:
        for config, name in before:
            config._attn_implementation_internal = name


def computed_by(model, inputs, *, eager=True):
    """The attention that a pass computes, heard independently; where a model draws numbers, always the same.

    A few models cannot compute eagerly, as they take masks for what only sdpa makes of them: those are heard as they
    are. One or two cannot fill a cache in a pass of their own, and are heard without.
    """
    given = dict(inputs)
    if "use_cache" in inspect.signature(model.forward).parameters and not any("cache" in name for name in inputs):
        try:
            with torch.no_grad():
                model(**given)
        except Exception:  # noqa: BLE001 - of any kind, from anybody's code
            given["use_cache"] = False
    if not eager or not hasattr(model, "set_attn_implementation"):
        return _heard(model, given)
    with eagerly(model):
        computed = _heard(model, given)
    broken = any(not one.weights.isfinite().any() for one in computed)
    return _heard(model, given) if broken else computed


def _heard(model, inputs):
    torch.manual_seed(0)
    with torch.no_grad(), listening_independently(model) as ear:
        model(**inputs)
    return [one for one in ear.found if one.is_attention()]


def account(model, inputs, computed=None, *, atol=1e-6, **options):
    """Hold a capture of one example without padding against what an eager pass, or another one, computed."""
    computed = computed_by(model, inputs) if computed is None else computed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        run = aw.capture(model, inputs, logits="none", progress=False, **options)
    layers = [
        (name, maps.layer_names[i], torch.stack([maps.weights(i, head) for head in range(maps.heads[i])]))
        for name, maps in run.by_name.items()
        for i in range(maps.n_layers)
    ]
    result, left = Account(), list(layers)
    # Calls with the same queries and keys are one map, if it says so.
    shared = {name for name, maps in run.by_name.items() if any("to other values" in note for note in maps.notes)}
    for one in computed:
        fitting = [layer for layer in left if one.is_in(layer[1])]
        equal = [layer for layer in fitting if is_same(one.weights, layer[2], atol)]
        # Each picture of several has a map of its own; of equal maps of one example, each is for one computation.
        pieces = one.weights.numel() // (equal[0][2].numel() or 1) if equal else 0
        again = (layer for layer in layers if layer[0] in shared and one.is_in(layer[1]))
        if equal:
            left = [layer for layer in left if not any(layer is other for other in equal[: max(pieces, 1)])]
            result.given += 1
        elif any(is_same(one.weights, layer[2], atol) for layer in again):
            result.given += 1
        elif any(one.is_in(name) for name in run.missed):
            result.missed += 1
        elif any(one.is_in(stack_of(why)) for why in run.refused.values()):
            result.refused += 1
        elif any(layer[2].shape[-2:] == one.weights.shape[-2:] for layer in fitting):
            result.wrong.append(f"{one.module} {list(one.weights.shape)}")
        else:
            result.lost.append(f"{one.module} {one.kind} {list(one.weights.shape)}")
    if not result.wrong:
        # A softmax over queries that was divided by its sums over keys is a map, and no softmax of one.
        changed = {name for name, maps in run.by_name.items() if any("what came out" in note for note in maps.notes)}
        result.beyond = [f"{layer[1]} {list(layer[2].shape)}" for layer in left if layer[0] not in changed]
    return result, run


def is_same(computed, given, atol):
    """Whether weights [..., queries, keys] of one example, or of one of its pieces, are those of a map.

    Keys that nobody sees may have been cut, and a softmax may have had a sink as its last place. Where a sink acts on
    what came out of attention, by one factor a row, the softmax knows nothing of it: there, rows are equal up to it.
    """
    n_queries, n_keys = given.shape[-2:]
    sums = given.sum(-1, keepdim=True)
    if bool((sums < 1 - 1e-3).any()) and computed.shape[-1] == n_keys and bool((computed.sum(-1) > 1 - 1e-3).all()):
        given = torch.where(sums > 1e-6, given / sums, given)
    if computed.shape[-2] == n_queries and computed.shape[-1] == n_keys + 1:
        computed = computed[..., :n_keys]
    if computed.shape[-2] == computed.shape[-1] > n_keys == n_queries:  # padding of the model's own is cut as well
        seen = (computed > 0).flatten(0, -2).any(0)
        if not seen[n_keys:].any():  # padding at the end, of which other layers see less
            seen = torch.arange(len(seen)) < n_keys
        computed = computed[..., seen, :][..., seen]
    rows = given.sum(-1) > 0  # a row that sees nothing is uniform in eager attention, and empty in a map
    if computed.shape[-2] == n_queries and computed.shape[-1] > n_keys and computed.numel() % rows.numel() == 0:
        seen = (computed.reshape(-1, *rows.shape, computed.shape[-1])[:, rows] > 0).flatten(0, -2).any(0)
        computed = computed[..., seen]
    if computed.shape[-2:] != given.shape[-2:]:
        return False
    for piece in computed.reshape(-1, len(given), n_queries, n_keys) if computed.numel() % given.numel() == 0 else ():
        if torch.allclose(piece[rows].float(), given[rows].float(), atol=atol, rtol=1e-5):
            return True
    return False
