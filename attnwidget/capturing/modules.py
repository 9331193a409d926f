"""Capturing from modules that take no attention function from a registry: torch's own, timm's, and yours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from attnwidget.capturing.fused import AFTER, QKV, SeenCall, looks_like_attention
from attnwidget.capturing.multihead import Multihead
from attnwidget.capturing.qk import QK, Masks, as_call
from attnwidget.capturing.recorder import Recorder, active_recorder
from attnwidget.capturing.registry import transformers_in
from attnwidget.intake import AttentionWarning

__all__ = ["Own", "attention_modules", "knows", "listening_to_modules"]

Own = Mapping[type[nn.Module] | str, Callable[..., QK]]


def attention_modules(model: nn.Module, own: Own | None = None) -> dict[str, nn.Module]:
    """The modules that `listening_to_modules` listens to, by name.

    Parameters
    ----------
    model : nn.Module
        The model.
    own : mapping or None
        As for `listening_to_modules`.

    Raises
    ------
    TypeError, ValueError
        When ``own`` cannot be read or fits no module, or when an attention module is compiled by torch.jit.
    """
    return {name: module for name, (module, _) in _known(model, own or {}).items()}


def knows(model: nn.Module, own: Own | None = None) -> bool:
    """Whether there is a module in the model to listen to."""
    return bool(_known(model, own or {}))


@contextmanager
def listening_to_modules(
    model: nn.Module, recorder: Recorder, own: Own | None = None, *, everywhere: bool = False
) -> Iterator[None]:
    """Record what the attention modules of a model attend with, until the block ends.

    Listened to are nn.MultiheadAttention, wherever it is; modules that call scaled_dot_product_attention and know a
    number of heads; modules with a fused qkv as timm's; and those that ``own`` speaks for. Transformers models show
    their attention in other ways, and are left alone unless asked for. What a module computes does not change, but
    torch's fused kernel for nn.TransformerEncoderLayer, which nothing can look into, gives way to the same sums in
    single steps.

    Parameters
    ----------
    model : nn.Module
        The model, in eval mode: dropout would make the rows sum to anything.
    recorder : Recorder
        Keeps the calls while it is the one that listens in this thread.
    own : mapping or None
        Functions that say where q and k are, by class of module, or by name such as "blocks.*.attn". One is called
        before its module with the module and the arguments of its forward, and returns a `QK`, a dict of q, k,
        and whatever else changes the weights. It must change nothing.
    everywhere : bool
        Listen inside transformers models too.

    Raises
    ------
    TypeError, ValueError
        When ``own`` cannot be read or fits no module, or when an attention module is compiled by torch.jit. In the
        block: when a module attends in a way that cannot be shown; the message says why.

    Warns
    -----
    AttentionWarning
        When a module that looks like attention ran without being seen.
    """
    listener = _Listener(recorder)
    with ExitStack() as hooks:
        hooks.callback(listener.leave)
        for name, (module, say) in _known(model, own or {}, everywhere=everywhere).items():
            for handle in listener.listen(name, module, say):
                hooks.callback(handle.remove)
        for module in model.modules():
            if isinstance(module, nn.TransformerEncoder):
                hooks.callback(module.register_forward_pre_hook(listener.packing, with_kwargs=True).remove)
        yield


@dataclass
class _Listener:
    """The hooks of one block, and the call that is under way in it."""

    recorder: Recorder
    masks: Masks = field(default_factory=Masks)
    open: SeenCall | None = None
    warned: set[type] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.multihead = Multihead(self.masks)

    def listen(self, name: str, module: nn.Module, say: Callable[..., QK] | None) -> list[Any]:
        """Hooks on one module."""
        who = f"{name!r}, {_article(type(module).__name__)}," if name else _article(type(module).__name__)
        if say is not None:
            return [module.register_forward_pre_hook(self._asking(say, who), with_kwargs=True)]
        if _is_multihead(module):
            # Afterwards: when the arguments are wrong, the module's own message is the better one. But before the
            # recorder's hook, which ends the pass, where the model is this module.
            return [module.register_forward_hook(self._asking(self.multihead, who), with_kwargs=True, prepend=True)]
        handles = [
            module.register_forward_pre_hook(self._begin, with_kwargs=True),
            module.register_forward_hook(self._ending(who), with_kwargs=True, always_call=True, prepend=True),
        ]
        parts = dict(module.named_children())
        handles += [parts[name].register_forward_hook(self._keep_qkv) for name in QKV if name in parts]
        handles += [parts[name].register_forward_pre_hook(self._keep_mixed) for name in AFTER if name in parts]
        return handles

    def packing(self, module: nn.Module, args: Any, *rest: Any) -> None:  # noqa: ARG002
        """Keep how long a batch is that nn.TransformerEncoder may pack into a nested tensor."""
        # Where another thread has just removed a hook, torch forgets that it takes keywords.
        src = args[0] if args else rest[0].get("src") if self._listens() else None
        if self._listens() and isinstance(src, Tensor) and not src.is_nested and src.ndim == 3:
            self.multihead.padded = src.shape[1]

    def leave(self) -> None:
        """Close the call that is under way, which an interrupt may have left open."""
        if self.open is not None:
            self.open.end()
            self.open = None

    def _listens(self) -> bool:
        return active_recorder() is self.recorder

    def _asking(self, say: Callable[..., QK], who: str) -> Any:
        def ask(module: nn.Module, args: Any, *rest: Any) -> None:
            if self._listens():
                kwargs = rest[0]
                self.masks.enter(self.recorder.passes[-1] if self.recorder.passes else None)
                try:
                    with torch.no_grad():
                        said = say(module, *args, **kwargs)
                except Exception as error:
                    error.add_note(f"This came from asking what {who} attends with.")
                    raise
                self._record(module, said, who)

        return ask

    def _begin(self, module: nn.Module, args: Any, *rest: Any) -> None:
        if self._listens():
            (kwargs,) = rest
            self.leave()  # no attention is inside another
            self.masks.enter(self.recorder.passes[-1] if self.recorder.passes else None)
            self.open = SeenCall(module, args, kwargs)
            self.open.begin()

    def _ending(self, who: str) -> Any:
        def end(module: nn.Module, args: Any, *rest: Any) -> None:  # noqa: ARG001
            # Another thread may run the same module.
            if not self._listens() or self.open is None or self.open.module is not module:
                return
            seen, output = self.open, rest[-1]
            self.leave()
            if output is None:
                return  # the call failed, and says so itself
            if seen.qkv is not None:
                self._check_whole(len(seen.qkv), who)
            with torch.no_grad():
                said = seen.said()
            if not isinstance(said, str):
                self._record(module, said, who)
            elif seen.attended or seen.qkv is not None:
                raise ValueError(f"{who} cannot be shown: {said}. {_ask_for_own(module)}")
            elif type(module) not in self.warned:
                self.warned.add(type(module))
                message = f"{who} ran and was not seen: {said}. {_ask_for_own(module)}"
                warnings.warn(message, AttentionWarning, stacklevel=2)

        return end

    def _keep_qkv(self, module: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG002
        if self._listens() and self.open is not None and isinstance(output, Tensor):
            self.open.qkv = output

    def _keep_mixed(self, module: nn.Module, args: Any) -> None:  # noqa: ARG002
        # A norm may also come before the projection, and both after it: the first after it gets what was mixed.
        if self._listens() and self.open is not None and self.open.qkv is not None and self.open.mixed is None:
            self.open.mixed = args[0]

    def _record(self, module: nn.Module, said: Any, who: str) -> None:
        call = as_call(said, who, self.masks)
        self._check_whole(len(call.query), who)
        self.recorder.record(module, call)

    def _check_whole(self, pieces: int, who: str) -> None:
        inputs = self.recorder.passes[-1].inputs if self.recorder.passes else {}
        first = next((value for value in inputs.values() if isinstance(value, Tensor) and value.ndim > 1), None)
        # The batch comes first or, in torch's older way, second.
        if first is not None and pieces > len(first) and pieces % len(first) == 0 and pieces != first.shape[1]:
            raise ValueError(
                f"{who} attends within {pieces} pieces of a batch of {len(first)}, so that its maps cover windows of "
                "the input and not the whole. Such maps cannot be shown as one."
            )


def _ask_for_own(module: nn.Module) -> str:
    own = f"own={{{type(module).__name__}: function}}"
    if getattr(module, "fused_attn", None) is False:
        return f"Set fused_attn = True on it, and what it attends with is seen as it is; or pass {own}."
    return (
        f"Say where its queries and keys are: {own}, where function(module, *args, **kwargs) takes the arguments of "
        "its forward and returns {'q': q, 'k': k}, each [batch, heads, tokens, width]."
    )


def _known(
    model: nn.Module, own: Own, *, everywhere: bool = False
) -> dict[str, tuple[nn.Module, Callable[..., QK] | None]]:
    """Modules to listen to by name, with what speaks for each of them."""
    _check_own(own)
    found: dict[str, tuple[nn.Module, Callable[..., QK] | None]] = {}
    used = set()
    left_out = set() if everywhere else _of_transformers(model)
    # Parts before wholes: a block that knows its number of heads is no attention if the attention is inside it.
    for name, module in reversed(list(model.named_modules())):
        key = next((key for key in own if _speaks_for(key, name, module)), None)
        if key is not None:
            used.add(key)
            found = {other: known for other, known in found.items() if not _is_within(other, name)}
            found[name] = module, own[key]
        elif id(module) in left_out or any(_is_within(other, name) for other in found):
            continue
        elif isinstance(module, torch.jit.ScriptModule):
            if "attention" in module.original_name.lower():
                raise TypeError(
                    f"{name or 'the model'} is a {module.original_name} compiled by torch.jit, and nothing can look "
                    "into its calls. Capture the model that it was compiled from."
                )
        elif _is_multihead(module) or (
            looks_like_attention(module) and not any(id(part) in left_out for part in module.modules())
        ):
            found[name] = module, None
    for key in own:
        if key not in used:
            names = [name for name, _ in model.named_modules() if "att" in name.lower()][:4]
            raise ValueError(
                f"own has {key!r}, and {type(model).__name__} has no such module. Keys are classes, or names in which "
                f"* stands for anything{', such as ' if names else ''}{', '.join(map(repr, names))}."
            )
    return dict(reversed(found.items()))


def _check_own(own: Any) -> None:
    if not isinstance(own, Mapping):
        raise TypeError(
            f"own is {type(own).__name__}; expected a dict from classes of modules, or their names, to functions."
        )
    for key, say in own.items():
        if not (isinstance(key, str) or (isinstance(key, type) and issubclass(key, nn.Module))):
            raise TypeError(f"own has the key {key!r}; expected a class of modules, or a name such as 'blocks.*.attn'.")
        if not callable(say):
            raise TypeError(
                f"own[{key!r}] is {type(say).__name__}; expected a function of the module and the arguments of its "
                "forward that returns {'q': q, 'k': k}."
            )


def _speaks_for(key: type[nn.Module] | str, name: str, module: nn.Module) -> bool:
    # nn.DataParallel and torch.compile put words of their own before every name.
    return (
        fnmatchcase(name.replace("_orig_mod.", "").removeprefix("module."), key)
        if isinstance(key, str)
        else isinstance(module, key)
    )


def _is_within(name: str, whole: str) -> bool:
    return not whole or name.startswith(f"{whole}.")


def _is_multihead(module: nn.Module) -> bool:
    """nn.MultiheadAttention, parametrized or derived, as long as its forward is torch's."""
    return isinstance(module, nn.MultiheadAttention) and type(module).forward is nn.MultiheadAttention.forward


def _of_transformers(model: nn.Module) -> set[int]:
    """Parts of transformers models, which have ways of their own to show their attention."""
    return {id(part) for whole in transformers_in(model) for part in whole.modules()}


def _article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
