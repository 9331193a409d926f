"""Loading a folder quietly: as float32, from local files, without a progress bar."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import AutoConfig, AutoProcessor
from transformers.utils import logging

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from transformers import PreTrainedModel


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Keep transformers from drawing a progress bar for a file that is read in milliseconds."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def load_folder(path: Path) -> tuple[PreTrainedModel, Any]:
    """Load a demo model from its folder, in float32 and eval mode, with its tokenizer or image processor."""
    config = AutoConfig.from_pretrained(path, local_files_only=True)
    kind = getattr(transformers, config.architectures[0])
    with no_progress_bar():
        model = kind.from_pretrained(path, config=config, dtype=torch.float32, local_files_only=True)
    reader = AutoProcessor.from_pretrained(path, local_files_only=True)  # type: ignore[no-untyped-call]
    return model.eval(), reader
