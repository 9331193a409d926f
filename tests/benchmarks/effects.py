"""Benchmarks of effects: against the passes that they are made of."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.capture import ids_of, in_turn, model_of
from tests.benchmarks.kernel import row

LENGTH, LAYERS = 128, 6


def effect_rows() -> Iterator[dict]:
    """Ablation against a loop of forward passes, importance against one pass back, a change against whole passes."""
    import torch

    import attnwidget as aw
    from attnwidget.capturing.projecting import find_projections
    from attnwidget.effects.changing import changed

    torch.set_num_threads(1)
    model, ids = model_of(LENGTH, LAYERS), ids_of(LENGTH)
    batch = {"input_ids": ids}
    layers = find_projections(model, lambda: model(**batch)).of(None)

    def loop() -> None:
        """What one would write: a pass for each head, with its slice set to zero."""
        with torch.no_grad():
            model(**batch, use_cache=False)
            for number, one in enumerate(layers):
                for head in range(one.heads):

                    def without(layer: int, heads: Any, number: int = number, head: int = head) -> Any:
                        if layer != number:
                            return None
                        heads = heads.clone()
                        heads[..., head, :] = 0
                        return heads

                    with changed(model, layers, without):
                        model(**batch, use_cache=False)

    def back() -> None:
        model.zero_grad()
        logits = model(**batch, use_cache=False).logits
        torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:]).backward()

    def plain() -> None:
        with torch.no_grad():
            model(**batch, use_cache=False)

    def intervened() -> None:
        with torch.no_grad(), aw.effects.intervene(model, temperature=2, heads=(LAYERS - 1, 0)):
            model(**batch, use_cache=False)

    seconds = in_turn(
        {
            "loop": loop,
            "ablate": lambda: aw.effects.ablate(model, [batch], progress=False),
            "back": back,
            "importance": lambda: aw.effects.head_importance(model, [batch], progress=False),
            "plain": plain,
            "intervened": intervened,
        },
        3,
    )
    least = {name: min(taken) for name, taken in seconds.items()}
    where = f"{LAYERS} layers, {LENGTH} tokens"
    yield row(f"ablate: time over a loop of passes, {where}", least["ablate"] / least["loop"], "x", 1.0)
    yield row(f"head_importance: time over a pass back, {where}", least["importance"] / least["back"], "x", 2.0)
    yield row(f"intervene: time over a plain pass, {where}", least["intervened"] / least["plain"], "x")


def value_rows() -> Iterator[dict]:
    """What values cost in memory, over the queries and keys that a capture holds."""
    import attnwidget as aw

    model = model_of(512, LAYERS)
    run = aw.capture(model, ids_of(512), values=True, progress=False)
    held = {"queries and keys": 0, "values": 0, "sizes": 0}
    for layer in run.maps.layers:
        for role, tensor in layer.tensors().items():
            kind = "values" if role == "v" else "sizes" if role.startswith("value_") else "queries and keys"
            held[kind] += tensor.numel() * tensor.element_size()
    for kind in ("values", "sizes"):
        yield row(f"capture(values=True): memory of {kind} over queries and keys, 512 tokens",
                  held[kind] / held["queries and keys"], "x")  # fmt: skip


def apply_rows() -> Iterator[dict]:
    """From a change to what came of it, in an Explorer of the storyteller and of a model of GPT-2's size."""
    import threading

    import torch

    import attnwidget as aw

    torch.set_num_threads(2)
    text = "Lily and Ben went to the park . Lily gave the ball to"
    views = {
        "the storyteller": (lambda: aw.explore(text, keep=None), 0.1, (3, 1)),
        "12 layers x 12 heads, 128 tokens": (
            lambda: aw.explore({"input_ids": ids_of(128)}, model=model_of(128, 12), keep=None), 0.5, (11, 3)
        ),
    }  # fmt: skip
    for name, (make, budget, (layer, head)) in views.items():
        view = make()
        taken = []
        for temperature in (1.5, 2.0, 3.0, 4.0, 2.5):
            done = threading.Event()

            def heard(change: Any, done: threading.Event = done) -> None:
                if change["new"]["state"] in {"done", "error"}:
                    done.set()

            view.observe(heard, "outcome")
            began = time.perf_counter()
            view.tempered = [[layer, head, temperature, 1.0]]
            view.applied = True
            done.wait(60)
            taken.append(time.perf_counter() - began)
            view.unobserve(heard, "outcome")
        view.close()
        yield row(f"apply to the model: from a change to its outcome, {name}", sorted(taken[1:])[1], "s", budget)
