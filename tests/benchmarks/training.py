"""Benchmarks of watching a training: a reading at every 50th step against the steps."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.kernel import row

EVERY, READINGS = 50, 20


def overhead_rows() -> Iterator[dict]:
    """What a monitor adds to a training, as a share of its steps, in one thread; the file is written to."""
    import torch

    torch.set_num_threads(1)
    yield from _rows_of("the storyteller, 2,048 tokens a step", *_storyteller(), budget=2.0)
    yield from _rows_of("2 layers of 2 heads, 64 tokens a step", *_tiny())


def _rows_of(
    name: str, model: Any, probe: Any, tokenizer: Any, step: Callable[[], None], *, budget: float | None = None
) -> Iterator[dict]:
    """Steps and readings in turn, and of both the median."""
    from attnwidget.training import AttentionMonitor

    with tempfile.TemporaryDirectory() as folder:
        monitor = AttentionMonitor(model, probe, tokenizer, every=EVERY, path=Path(folder) / "attention.jsonl")
        monitor.read(-1)  # the first finds out what is where
        steps, readings = [], []
        for number in range(READINGS):
            steps += [_seconds(step) for _ in range(3)]
            readings.append(_seconds(lambda number=number: monitor.step(number * EVERY)))
    one, read = sorted(steps)[len(steps) // 2], sum(readings) / len(readings)  # every tenth has a diagnosis
    note = f"step {1000 * one:.1f} ms, reading {1000 * read:.1f} ms"
    yield row(
        f"a reading at every {EVERY}th step over the steps: {name}", 100 * read / (EVERY * one), "%", note, budget
    )


def _seconds(work: Callable[[], Any]) -> float:
    """Of the processor: what others do meanwhile counts little."""
    start = time.process_time()
    work()
    return time.process_time() - start


def _storyteller() -> tuple[Any, Any, Any, Callable[[], None]]:
    """The training that made the model which ships, as it goes on in the middle."""
    from attnwidget.demo.grammar import source
    from attnwidget.demo.recipes import recipe_of
    from attnwidget.demo.train import optimizer_for

    recipe = recipe_of("storyteller")
    model, tokenizer = recipe.build()
    optimizer, rng = optimizer_for(model, recipe.rate), source("overhead")
    model.train()

    def step() -> None:
        recipe.loss(model, tokenizer, rng, 0.5).backward()
        optimizer.step()
        optimizer.zero_grad()

    return model, recipe.probe(tokenizer), tokenizer, step


def _tiny() -> tuple[Any, Any, Any, Callable[[], None]]:
    """A model of the tests, whose step is as short as a pass of torch can be."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=2, n_positions=64, bos_token_id=0, eos_token_id=0)
    )
    optimizer = torch.optim.AdamW(model.parameters())
    ids = torch.randint(0, 50, (4, 16))
    model.train()

    def step() -> None:
        loss = model(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return model, torch.tensor([[5, 9, 5, 9, 5, 7, 8, 5, 9]]), None, step
