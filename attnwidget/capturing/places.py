"""Places: which stack of layers a module is in, and the number of its layer, by its place in the model."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import nn

__all__ = ["Places", "is_tower", "modules_by_name", "side_of"]

_NUMBER = re.compile(r"(?:^|(?<=\.))\d+(?=\.|$)")
_SEEN = re.compile(r"vision|visual|image|audio", re.IGNORECASE)


def is_tower(path: str) -> bool:
    """Whether a stack of layers reads pictures or sound, by its path."""
    return bool(_SEEN.search(path))


def side_of(path: str) -> str:
    """The half of a pair that a stack of layers is in, or nothing; a decoder of BERT type has an "encoder" inside."""
    return next((part for part in path.split(".") if part in {"encoder", "decoder"}), "")


def modules_by_name(model: nn.Module) -> dict[str, nn.Module]:
    """The modules of a model by the names that they have where nothing of it is compiled."""
    return {name.replace("_orig_mod.", ""): module for name, module in model.named_modules()}


class Places:
    """The modules of a model, as stack, number of the layer, and what they are called in it.

    The number of a layer is the one in the names of its modules: ``model.layers.3.self_attn`` is layer 3, whatever the
    layers before it do. Where several numbers count (stages, and blocks in them), layers are counted through.
    """

    def __init__(self, model: nn.Module) -> None:
        modules = modules_by_name(model)
        self.names: Mapping[int, str] = {id(module): name for name, module in modules.items()}
        self._numbers: dict[tuple[str, type], list[tuple[int, ...]]] = {}
        for name, module in modules.items():
            if numbers := _NUMBER.findall(name):
                kind = _NUMBER.sub("*", name), type(module)
                self._numbers.setdefault(kind, []).append(tuple(map(int, numbers)))

    def of(self, module: nn.Module, name: str) -> tuple[str, str, int]:
        """Path of the stack, name within a layer, and number of the layer; 0 where nothing is counted."""
        found = list(_NUMBER.finditer(name))
        if not found:
            return name, "", 0
        known = sorted(self._numbers.get((_NUMBER.sub("*", name), type(module)), []))
        counts = [i for i in range(len(found)) if len({numbers[i] for numbers in known}) > 1] or [0]
        at = found[counts[0]]
        stack, tail = name[: at.start()].rstrip("."), _NUMBER.sub("*", name[at.end() :]).lstrip(".")
        own = tuple(int(number.group()) for number in found)
        return stack, tail, own[counts[0]] if len(counts) == 1 else known.index(own)

    @staticmethod
    def layer_prefix(name: str) -> str:
        """Name of the layer that a module is in; of the module itself where nothing is counted."""
        found = list(_NUMBER.finditer(name))
        return name[: found[-1].end()] if found else name
