"""Train a demo model: `python -m attnwidget.demo.train storyteller|reader [--steps N] [--seed S] [--out DIR]`.

One thread, some minutes; the weights are kept as fp16. At the end it says what the kept weights reach, on the screen
and in the folder's README.md and training.json.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from attnwidget.demo import NAMES, folder
from attnwidget.demo.build import build_model, build_tokenizer, reading
from attnwidget.demo.card import keep
from attnwidget.demo.grammar import source
from attnwidget.demo.stream import IGNORED, Reading, batch, hide

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from transformers import PreTrainedModel

STEPS = {"storyteller": 2500, "reader": 3000}
RATE = {"storyteller": 3e-3, "reader": 1e-3}
REPEATS = {"storyteller": 0.4, "reader": 0.2}
WARM_UP = 0.04  # share of the steps in which the learning rate rises
COOL_DOWN = 0.4  # share of the steps in which it falls


def pace(progress: float) -> float:
    """Return the factor of the learning rate: up, level, down to 0."""
    return min(1.0, progress / WARM_UP, (1 - progress) / COOL_DOWN)


def next_word_loss(model: PreTrainedModel, rng: random.Random, read: Reading, progress: float) -> torch.Tensor:
    """Draw a batch and return a decoder's loss: the weighted mean cross-entropy of the next word, in nats."""
    ids, weights = (torch.from_numpy(part) for part in batch(rng, read, progress, REPEATS["storyteller"]))
    logits = model(ids).logits[:, :-1]
    losses = functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return (losses * weights[:, 1:]).sum() / weights[:, 1:].sum()


def masked_word_loss(model: PreTrainedModel, rng: random.Random, read: Reading, progress: float) -> torch.Tensor:
    """Draw a batch and return an encoder's loss: the mean cross-entropy of the hidden words, in nats."""
    ids, _ = batch(rng, read, progress, REPEATS["reader"])
    seen, labels = (torch.from_numpy(part) for part in hide(np.random.default_rng(rng.getrandbits(32)), ids, read))
    return functional.cross_entropy(model(seen).logits.transpose(1, 2), labels, ignore_index=IGNORED)


def optimizer_for(model: PreTrainedModel, rate: float) -> torch.optim.Optimizer:
    """Return AdamW with weight decay on the matrices alone, not on embeddings and gains."""
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim == 2 and "embed" not in name else others).append(parameter)
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


def train(name: str, steps: int, seed: int, out: Path) -> None:
    """Train a demo model from nothing and keep it.

    Parameters
    ----------
    name
        "storyteller" or "reader".
    steps
        Number of batches, of about 2,000 tokens each.
    seed
        Of the first weights and of the texts: the same seed gives the same model on the same machine.
    out
        The folder to write; made if it is not there.
    """
    torch.manual_seed(seed)
    rng = source(f"training {seed}")
    tokenizer = build_tokenizer(name)
    read, model = reading(tokenizer), build_model(name, tokenizer)
    loss_of = next_word_loss if name == "storyteller" else masked_word_loss
    optimizer = optimizer_for(model, RATE[name])
    model.train()
    begun = time.perf_counter()
    with tqdm(range(steps), desc=name, unit="step", mininterval=1.0) as bar:
        for step in bar:
            for group in optimizer.param_groups:
                group["lr"] = RATE[name] * pace((step + 0.5) / steps)
            loss = loss_of(model, rng, read, step / steps)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    seconds = time.perf_counter() - begun
    print(keep(name, model, tokenizer, out, {"steps": steps, "seed": seed, "seconds": round(seconds)}))


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m attnwidget.demo.train", description="Train a demo model.")
    parser.add_argument("name", choices=NAMES, help="which model")
    parser.add_argument("--steps", type=int, help="batches to train on (default: as the shipped model)")
    parser.add_argument("--seed", type=int, default=0, help="of the weights and the texts (default 0)")
    parser.add_argument("--out", type=Path, help="folder to write (default: the shipped model's own)")
    chosen = parser.parse_args(arguments)
    # One thread: the matrices are small, and two threads would mostly wait for each other.
    torch.set_num_threads(1)
    train(chosen.name, chosen.steps or STEPS[chosen.name], chosen.seed, chosen.out or folder(chosen.name))


if __name__ == "__main__":
    main()
