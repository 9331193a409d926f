"""Own: attention modules for which somebody says where queries and keys are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from attnwidget.capturing.qk import QK

__all__ = ["Own", "refuse_what_tells_nothing", "spoken_for"]

Own = Mapping[type[nn.Module] | str, Callable[..., QK]]


def spoken_for(model: nn.Module, own: Own | None) -> dict[nn.Module, Callable[..., QK]]:
    """The modules of a model that ``own`` speaks for, each with its function; of a module inside another the outer.

    Raises
    ------
    TypeError, ValueError
        When ``own`` cannot be read or fits no module.
    """
    if own is None:
        return {}
    _check(own)
    found: dict[str, tuple[nn.Module, Callable[..., QK]]] = {}
    used = set()
    for name, module in model.named_modules():
        key = next((key for key in own if _speaks_for(key, name, module)), None)
        if key is not None:
            used.add(key)
            if not any(not whole or name.startswith(f"{whole}.") for whole in found):
                found[name] = module, own[key]
    for key in own:
        if key not in used:
            names = [name for name, _ in model.named_modules() if "att" in name.lower()][:4]
            raise ValueError(
                f"own has {key!r}, and {type(model).__name__} has no such module. Keys are classes, or names in which "
                f"* stands for anything{', such as ' if names else ''}{', '.join(map(repr, names))}."
            )
    return dict(found.values())


def refuse_what_tells_nothing(model: nn.Module) -> None:
    """Raise for modules that run as compiled or exported programs: torch tells of none of their functions.

    Raises
    ------
    TypeError
        With the way out.
    """
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule) and "attention" in module.original_name.lower():
            raise TypeError(
                f"{name or 'the model'} is a {module.original_name} compiled by torch.jit, and nothing can look "
                "into its calls. Capture the model that it was compiled from."
            )
        if isinstance(module, torch.fx.GraphModule) and "eval" in vars(module):  # it replaces what it cannot do
            raise TypeError(_exported(name))


def _exported(name: str) -> str:
    return (
        f"{name or 'the model'} is a program that torch.export made: its modules and their names are gone, so that "
        "nothing says which layer attends. Capture the module that it was exported from."
    )


def _check(own: Any) -> None:
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
