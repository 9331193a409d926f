"""Queries and keys of attention modules that torch does not know: seen on their way, or made anew from a fused qkv.

A module that calls scaled_dot_product_attention gives it exactly what it attends with, whatever norms, rotations and
biases came before. One that multiplies by itself is known where it is fused the timm way, and is believed only when
what is made from its q and k is what it computed.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from attnwidget.capturing.qk import QK, additive, causal_mask
from attnwidget.layers import HIDDEN

__all__ = ["AFTER", "QKV", "SeenCall", "looks_like_attention"]

# What vision transformers, language models and their many copies call the same things.
QKV = ("qkv", "to_qkv", "qkv_proj", "Wqkv", "c_attn", "query_key_value")
AFTER = ("norm", "proj", "to_out", "out_proj", "c_proj", "dense")
_MASKS = ("attn_mask", "mask")
_HEADS = ("num_heads", "n_heads", "n_head", "num_attention_heads", "heads", "nhead")


def looks_like_attention(module: nn.Module) -> bool:
    """Whether a module knows a number of heads and has projections of its own."""
    heads = any(type(getattr(module, name, None)) is int for name in _HEADS)
    tables = [p for child in module.children() for p in child.parameters(recurse=False)]
    return heads and any(p.ndim >= 2 for p in [*tables, *module.parameters(recurse=False)])


@dataclass(eq=False)
class SeenCall(TorchFunctionMode):
    """One call of an attention module while it runs: what it gave to torch, and what came out of its parts."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    attended: list[QK] = field(default_factory=list)
    qkv: Tensor | None = None
    mixed: Tensor | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Keep what scaled_dot_product_attention is given, and let everything happen as it would."""
        kwargs = kwargs or {}
        if func is scaled_dot_product_attention:
            self.attended.append(_of_sdpa(*args, **kwargs))
        return func(*args, **kwargs)

    def begin(self) -> None:
        """Start to look."""
        self.__enter__()  # type: ignore[no-untyped-call]

    def end(self) -> None:
        """Look no more."""
        self.__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def said(self) -> QK | str:
        """What the call attended with, once it has ended, or why that is not known."""
        if not self.attended:
            return _make_anew(self)
        if len(self.attended) > 1:
            return (
                f"it calls scaled_dot_product_attention {len(self.attended)} times in one call, so that none of these "
                "maps is what it attends with"
            )
        q = self.attended[0]["q"]
        if q.is_nested:
            return "it attends over nested tensors, whose rows are of different lengths"
        if q.ndim != 4:
            return (
                f"it gives scaled_dot_product_attention queries {list(q.shape)}, in which heads, examples and windows "
                "cannot be told apart"
            )
        x = next((arg for arg in self.args if isinstance(arg, Tensor)), None)
        if x is not None and x.ndim == 3 and x.shape[1] == q.shape[-1] != q.shape[-2]:
            return "it attends between channels, and not between tokens"
        return self.attended[0]

    def arguments(self) -> dict[str, Any]:
        """Arguments of the call by name, as far as they were given."""
        bound = inspect.signature(self.module.forward).bind(*self.args, **self.kwargs).arguments
        return {name: value for name, value in bound.items() if value is not None}


def _of_sdpa(  # noqa: PLR0917 - the arguments of scaled_dot_product_attention, which come by place
    query: Tensor,
    key: Tensor,
    value: Tensor,  # noqa: ARG001
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,  # noqa: ARG001
) -> QK:
    said: QK = {"q": query, "k": key, "scaling": scale, "dropout": dropout_p}
    if is_causal and query.shape[-2] == key.shape[-2]:
        said["causal"] = True
    elif is_causal:
        said["mask"] = causal_mask(query.shape[-2], key.shape[-2], query.device)
    elif attn_mask is not None:
        # Numbers that hide nothing are a position bias, which the maps tell from a mask.
        hides = attn_mask.dtype == torch.bool or bool((attn_mask <= HIDDEN).any())
        said["mask" if hides else "bias"] = attn_mask
    return said


def _make_anew(seen: SeenCall) -> QK | str:
    """Queries and keys of a fused qkv, or why they are not known."""
    module, qkv, mixed = seen.module, seen.qkv, seen.mixed
    if qkv is None or not isinstance(mixed, Tensor):
        return "it does not call scaled_dot_product_attention, and is not fused as timm's Attention is"
    heads = next(heads for name in _HEADS if type(heads := getattr(module, name, None)) is int)
    if qkv.ndim != 3 or qkv.shape[-1] % (3 * heads):
        return f"its qkv is {list(qkv.shape)}; expected [batch, tokens, 3 * heads * width] with {heads} heads"
    drop = next((d.p for d in module.children() if isinstance(d, nn.Dropout) and d.training and d.p), None)
    if drop is not None:
        return f"it drops {drop:.0%} of its weights, so that nothing it computes is proof of them; call model.eval()"
    q, k, v = qkv.reshape(*qkv.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
    q_norm, k_norm = getattr(module, "q_norm", None), getattr(module, "k_norm", None)
    q, k = q if q_norm is None else q_norm(q), k if k_norm is None else k_norm(k)
    scale = getattr(module, "scale", None)
    scaling = float(scale) if isinstance(scale, int | float) else q.shape[-1] ** -0.5
    given = seen.arguments()
    if v.dtype.itemsize < 4 and _may_do_more(module, given):
        return f"what it adds to its qkv cannot be told from the rounding of {v.dtype}"
    mask = next((given[name] for name in _MASKS if name in given), None)
    plain: QK = {"q": q, "k": k, "mask": mask, "scaling": scaling}
    causal: QK = {"q": q, "k": k, "causal": True, "scaling": scaling}
    said = next((said for said in (plain, causal) if _gives(said, v, mixed, scaling)), None)
    if said is None:
        return "softmax(q k^T * scale) of its qkv is not what it attends with: it rotates, biases or cuts into windows"
    return said


def _may_do_more(module: nn.Module, given: dict[str, Any]) -> bool:
    """Whether a module was given, or has learned, anything that might turn or bias its queries and keys."""
    extra = any(isinstance(value, Tensor) for name, value in list(given.items())[1:] if name not in _MASKS)
    known = {*QKV, *AFTER, "q_norm", "k_norm", "gate"}
    return extra or any(name.partition(".")[0] not in known for name, _ in module.named_parameters())


def _gives(said: QK, v: Tensor, mixed: Tensor, scaling: float) -> bool:
    """Whether three rows made from q, k and v are those that the module computed."""
    q, k, mask = said["q"], said["k"], said.get("mask")
    if mixed.shape != (q.shape[0], q.shape[2], q.shape[1] * v.shape[3]):
        return False
    rows = torch.tensor([0, q.shape[2] // 2, q.shape[2] - 1], device=q.device)
    scores = q[:, :, rows] @ k.transpose(-1, -2) * scaling
    if said.get("causal"):
        scores = scores.masked_fill(torch.arange(k.shape[2], device=q.device) > rows[:, None], -math.inf)
    elif mask is not None:
        whole = additive(mask, q)[(None,) * (4 - mask.ndim)]
        scores = scores + whole.expand(*whole.shape[:2], q.shape[2], k.shape[2])[:, :, rows]
    made = (scores.softmax(-1, dtype=torch.promote_types(v.dtype, torch.float32)).to(v) @ v).transpose(1, 2).flatten(2)
    unseen = made.isnan() | mixed[:, rows].isnan()  # a row that sees nothing, or a model that is broken anyway
    off = (made - mixed[:, rows]).abs().masked_fill(unseen, 0).max()
    eps = torch.finfo(v.dtype).eps
    rounding = 64 * eps if eps < 1e-5 else 4 * eps
    if v.is_cuda and torch.backends.cuda.matmul.allow_tf32:
        rounding = max(rounding, 1e-3)
    return bool(off <= rounding * max(float(v.abs().nan_to_num(0, 0, 0).max()), math.ulp(1.0)))
