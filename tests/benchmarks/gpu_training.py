"""A monitor and a survey on a GPU: that the one changes nothing, that the other says what the CPU says, and their cost.

Not part of ``make bench``: run ``python -m tests.benchmarks.gpu_training`` where torch sees a GPU.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
import transformers as tf

import attnwidget as aw
from attnwidget.intake import AttentionWarning
from tests.benchmarks.gpu import say, seconds

STEPS = 100


def gpt2(layers: int = 12, heads: int = 12, vocabulary: int = 32_000) -> Any:
    """A GPT-2 of random weights on the GPU."""
    torch.manual_seed(0)
    config = tf.GPT2Config(
        n_layer=layers, n_head=heads, n_embd=64 * heads, vocab_size=vocabulary, n_positions=1024, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    return tf.GPT2LMHeadModel(config).cuda()


def trained(model: Any, monitor: Any = None, steps: int = STEPS, *, autocast: bool = False) -> float:
    """Train on random tokens; gives the seconds it took."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    draw = torch.Generator().manual_seed(1)
    torch.manual_seed(2)
    model.train()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for step in range(steps):
        rows = torch.randint(3, 32_000, (8, 256), generator=draw).cuda()
        with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
            loss = model(input_ids=rows, labels=rows).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if monitor is not None:
            monitor.step(step)
    torch.cuda.synchronize()
    return time.perf_counter() - started


def monitors() -> None:
    """Weights with and without one, and what it takes."""
    probe = torch.randint(3, 32_000, (1, 64), generator=torch.Generator().manual_seed(3)).cuda()
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    for autocast in (False, True):
        plain, watched = gpt2(2, 4), gpt2(2, 4)
        trained(plain, autocast=autocast)
        monitor = aw.AttentionMonitor(watched, probe, every=5, alert=())
        trained(watched, monitor, autocast=autocast)
        pairs = zip(plain.parameters(), watched.parameters(), strict=True)
        apart = max((one - other).abs().max().item() for one, other in pairs)
        what = "bfloat16 by autocast" if autocast else "float32"
        say(f"largest difference of a weight after {STEPS} steps with a monitor, {what}", apart)
        with torch.no_grad():
            own = aw.capture(watched.eval(), probe, progress=False).maps
        monitor.read(STEPS)
        kept = monitor.history.maps(STEPS)["attention"]
        say("the maps it keeps against a capture", float((kept.weights(1, 1) - own.weights(1, 1).cpu()).abs().max()))
    torch.use_deterministic_algorithms(mode=False)
    model = gpt2()
    trained(model, steps=10, autocast=True)
    with tempfile.TemporaryDirectory() as folder:
        monitor = aw.AttentionMonitor(model, probe, every=50, alert=(), path=Path(folder) / "a.jsonl")
        monitor.step(0)
        alone = trained(model, autocast=True)
        taken = trained(model, Counting(monitor), autocast=True)
    say("training of GPT-2's size, a step", 1000 * alone / STEPS, "ms")
    say("with a monitor at every 50th step: time over that without", taken / alone)


class Counting:
    """Steps that go on from run to run: a monitor reads no step twice."""

    def __init__(self, monitor: Any) -> None:
        self.monitor, self.count = monitor, 0

    def step(self, _step: int) -> None:
        """Go on by one."""
        self.count += 1
        self.monitor.step(self.count)


def surveys() -> None:
    """Numbers beside the CPU's, and time beside bare passes of the same batches."""
    _, tokenizer = aw.demo.load()
    story = "Lily and Ben went to the park . Lily gave the ball to Ben ."
    words = story.split()
    texts = [" ".join(words[at % 7 : at % 7 + 4 + at % 9]) for at in range(512)]
    model = gpt2(4, 4, vocabulary=len(tokenizer)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AttentionWarning)
        here = aw.survey(model, tokenizer, texts, progress=False).to_frame()["mean"]
        there = aw.survey(model.cpu(), tokenizer, texts, progress=False).to_frame()["mean"]
    say("survey: largest difference of a mean from the CPU's", float((here - there).abs().max()))
    long = [" ".join(words * 14) for _ in range(256)]
    for dtype in (torch.float32, torch.bfloat16):
        model = gpt2(vocabulary=len(tokenizer)).eval().to(dtype)
        ids = torch.tensor([tokenizer(long[0])["input_ids"]]).repeat(32, 1).cuda()

        def bare(model: Any = model, ids: torch.Tensor = ids) -> None:
            with torch.no_grad():
                for _ in range(len(long) // len(ids)):
                    model(input_ids=ids, use_cache=False)

        def surveyed(model: Any = model) -> None:
            aw.survey(model, tokenizer, long, progress=False)

        what = f"12 x 12 heads, {ids.shape[1]} tokens, {str(dtype).removeprefix('torch.')}"
        say(f"survey, {what}: time over bare passes of the same batches", seconds(surveyed, 3) / seconds(bare, 3))


def main() -> None:
    """Print what was found."""
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, transformers {tf.__version__}")
    monitors()
    surveys()


if __name__ == "__main__":
    main()
