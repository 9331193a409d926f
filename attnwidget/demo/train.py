"""Train a demo model: `python -m attnwidget.demo.train NAME [--steps N] [--seed S] [--out DIR] [--attention FILE]`.

One thread, some minutes; the weights are kept as fp16. At the end it says what the kept weights reach, on the screen
and in the folder's README.md and training.json. With --attention the attention of the model on a fixed text is read
while it trains, every 25th step.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from attnwidget.demo import NAMES, folder
from attnwidget.demo.card import keep
from attnwidget.demo.grammar import source
from attnwidget.demo.recipes import recipe_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

    from attnwidget.training import AttentionMonitor

READ_EVERY = 25  # steps
WARM_UP = 0.04  # share of the steps in which the learning rate rises
COOL_DOWN = 0.4  # share of the steps in which it falls


def pace(progress: float) -> float:
    """Return the factor of the learning rate: up, level, down to 0."""
    return min(1.0, progress / WARM_UP, (1 - progress) / COOL_DOWN)


def optimizer_for(model: PreTrainedModel, rate: float) -> torch.optim.Optimizer:
    """Return AdamW with weight decay on the matrices alone, not on embeddings and gains."""
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim == 2 and "embed" not in name else others).append(parameter)
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


def train(name: str, steps: int, seed: int, out: Path, attention: Path | None = None) -> None:
    """Train a demo model from nothing and keep it.

    Parameters
    ----------
    name
        Of the demo model.
    steps
        Number of batches.
    seed
        Of the first weights and of the batches: the same seed gives the same model on the same machine.
    out
        The folder to write; made if it is not there.
    attention
        A file for what an `attnwidget.AttentionMonitor` reads meanwhile; the weights are the same with it.
    """
    torch.manual_seed(seed)
    rng = source(f"training {seed}")
    recipe = recipe_of(name)
    model, reader = recipe.build()
    optimizer = optimizer_for(model, recipe.rate)
    model.train()
    monitor = None if attention is None else monitor_of(model, recipe.probe(reader), reader, attention)
    begun = time.perf_counter()
    with tqdm(range(steps), desc=name, unit="step", mininterval=1.0) as bar:
        for step in bar:
            if monitor is not None:
                monitor.step(step)
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * pace((step + 0.5) / steps)
            loss = recipe.loss(model, reader, rng, step / steps)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    if monitor is not None:
        monitor.read(steps)  # what is kept
    seconds = time.perf_counter() - begun
    print(keep(name, model, reader, out, {"steps": steps, "seed": seed, "seconds": round(seconds)}))


def monitor_of(model: PreTrainedModel, probe: Any, reader: Any, path: Path) -> AttentionMonitor:
    """Return what reads the attention of a model while it trains, and warns of every rule."""
    from attnwidget.training import AttentionMonitor

    rules = ("nan", "collapse", "uniform", "sinks", "dying")
    return AttentionMonitor(model, probe, reader, every=READ_EVERY, path=path, alert=rules)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m attnwidget.demo.train", description="Train a demo model.")
    parser.add_argument("name", choices=NAMES, help="which model")
    parser.add_argument("--steps", type=int, help="batches to train on (default: as the shipped model)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the batches (default 0)")
    parser.add_argument("--out", type=Path, help="folder to write (default: the shipped model's own)")
    parser.add_argument("--attention", type=Path, help="file of JSON lines to write what heads attend to meanwhile")
    chosen = parser.parse_args(arguments)
    # One thread: the matrices are small, and two threads would mostly wait for each other.
    torch.set_num_threads(1)
    steps, out = chosen.steps or recipe_of(chosen.name).steps, chosen.out or folder(chosen.name)
    train(chosen.name, steps, chosen.seed, out, chosen.attention)


if __name__ == "__main__":
    main()
