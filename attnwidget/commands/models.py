"""Models: what MODEL names, loaded without a word."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnwidget import demo
from attnwidget.commands.running import Usage, watched

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["DTYPES", "Loading", "Maker", "inputs_of", "quieten", "target_named"]

DTYPES = ("float32", "float16", "bfloat16", "float64")


@dataclass(frozen=True)
class Loading:
    """How a model is loaded.

    Parameters
    ----------
    device, dtype, tokenizer, own : str or None
        As the options of the same names.
    trust_remote_code : bool
        Whether code that comes with a model may run.

    Raises
    ------
    Usage
        When there is no such dtype.
    """

    device: str | None = None
    dtype: str | None = None
    tokenizer: str | None = None
    own: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if self.dtype is not None and self.dtype not in DTYPES:
            raise Usage(f"--dtype {self.dtype} is not known; expected {', '.join(DTYPES[:-1])} or {DTYPES[-1]}.")

    def load(self, name: str) -> tuple[nn.Module, Any]:
        """Load a model, in eval mode, and its tokenizer, or None where it has none.

        Raises
        ------
        Usage
            When there is no such device, or a function of one's own cannot be found.
        TypeError
            When that function returns something else.
        ValueError
            When the model cannot be loaded.
        """
        quieten()
        model, tokenizer = self._by_name(name) if self.own is None else self._by_function(self.own, name)
        return model.eval(), tokenizer

    def to_send(self, name: str) -> dict[str, Any]:
        """What `attnwidget.survey` and its workers load it of: the name or folder where that will do."""
        quieten()
        if self.own is not None or self.trust_remote_code or self.device == "auto":
            return {"model": Maker(self, name), "tokenizer": None}
        place, dtype = self._place(name)
        return {"model": place, "tokenizer": self.tokenizer, "device": _device(self.device), "dtype": dtype}

    def _place(self, name: str) -> tuple[str, str | None]:
        """Where a model is loaded from, and in what precision; those of this package are saved in half of theirs."""
        if name not in demo.NAMES:
            return name, self.dtype
        return str(demo.folder(name)), self.dtype or "float32"

    def _by_name(self, name: str) -> tuple[nn.Module, Any]:
        from attnwidget.capturing.inputs import load_model

        place, dtype = self._place(name)
        options: dict[str, Any] = {"trust_remote_code": self.trust_remote_code}
        if dtype is not None:
            options["dtype"] = dtype
        device = None if self.device == "auto" else _device(self.device)
        if device is None:
            options["device_map"] = "auto"
        model, tokenizer = load_model(place, self.tokenizer, **options)
        return (model if device is None else model.to(device)), tokenizer

    def _by_function(self, own: str, name: str) -> tuple[nn.Module, Any]:
        import torch
        from torch import nn

        from attnwidget.capturing.inputs import load_model

        if self.device == "auto":
            raise Usage(
                "--device auto spreads a model that is loaded by its name; a function of yours can do so itself."
            )
        made = _function(own)(name)
        if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], nn.Module)):
            raise TypeError(
                f"{own} returned {type(made).__name__}; expected a pair: the model, and its tokenizer or None."
            )
        model, tokenizer = made
        if tokenizer is None:
            try:
                _, tokenizer = load_model(model, self.tokenizer or name)
            except ValueError as error:
                raise ValueError(
                    f"{own} returned no tokenizer, and none is beside {name}; return one, or name one: --tokenizer."
                ) from error
        if self.device is not None:
            model.to(_device(self.device))
        if self.dtype is not None:
            model.to(getattr(torch, self.dtype))
        return model, tokenizer


class Maker:
    """A function that loads a model, and can be sent to a process that shall; by its name a survey knows it again."""

    def __init__(self, how: Loading, name: str) -> None:
        self._how, self._name = how, name
        self.__qualname__ = f"{how.own or 'from_pretrained'}({name!r}, {how.tokenizer!r}, {how.dtype!r})"

    def __call__(self) -> tuple[nn.Module, Any]:
        """The model and its tokenizer."""
        return self._how.load(self._name)


def inputs_of(
    model: nn.Module, text: str, tokenizer: Any, *, target: str | None = None, most: int | None = None
) -> Any:
    """What goes into a model: the text itself, or its tokens where there is more to say.

    Parameters
    ----------
    model : nn.Module
        The model.
    text : str
        What it reads.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Makes tokens of it.
    target : str or None
        What its decoder reads.
    most : int or None
        Cut behind so many tokens.

    Raises
    ------
    ValueError
        When the text is empty, or nothing makes tokens of it.
    """
    if not text.strip():
        raise ValueError("the text is empty: there is no token to look at. Give at least one word.")
    if tokenizer is None:
        main = getattr(model, "main_input_name", "input_ids")
        if main != "input_ids":
            raise ValueError(f"this model reads {main} and no text; in Python, attnwidget.capture takes them.")
        raise ValueError("this model has no tokenizer beside it; name one: --tokenizer.")
    if target is None and most is None:
        return text
    cut = {} if most is None else {"truncation": True, "max_length": most}
    aim = {} if target is None else {"text_target": target}
    return dict(tokenizer(text, return_tensors="pt", **aim, **cut))


@contextmanager
def target_named(model: nn.Module, target: str | None, how: str) -> Iterator[None]:
    """Where a model fails that reads a source and a target, and no target came, say how one is given."""
    from attnwidget.capturing.inputs import lacks_target

    try:
        yield
    except ValueError as error:
        if target is None and lacks_target(model, {}):
            raise ValueError(
                f"{type(model).__name__} reads a source and a target, and no target came; {how}"
            ) from error
        raise


def quieten() -> None:
    """Keep transformers from talking; a download shows how far it is, where somebody sees it."""
    from huggingface_hub.utils.tqdm import enable_progress_bars
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if watched():
        enable_progress_bars()


def _device(name: str | None) -> torch.device:
    """Where a model goes."""
    import torch

    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise Usage(f"--device {name} is not known; expected cpu, cuda, cuda:1, mps or auto.") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise Usage(f"--device {name}: torch finds {torch.cuda.device_count()} CUDA devices on this machine.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise Usage("--device mps: torch has no MPS on this machine.")
    return device


def _function(own: str) -> Callable[[str], Any]:
    """The function that MODULE:FUNCTION names."""
    module, _, name = own.partition(":")
    if not module or not name:
        raise Usage(f"--own {own}: expected MODULE:FUNCTION, as my_models:load for the function load of my_models.py.")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # behind what is installed: a torch.py of this folder shall not take its place
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise Usage(f"--own {own}: there is no module {module}, neither in {here} nor installed.") from error
    function = getattr(found, name, None)
    if not callable(function):
        raise Usage(f"--own {own}: {module} has no function {name}.")
    return function  # type: ignore[no-any-return]
