"""Effects on a GPU: that they say what they say on the CPU, under flash kernels and in half precision, and their cost.

Not part of ``make bench``: run ``python -m tests.benchmarks.gpu`` where torch sees a GPU.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from typing import Any

import torch
import transformers as tf
from torch.nn.attention import SDPBackend, sdpa_kernel

from attnwidget import capture
from attnwidget.effects import ablate, direct, head_importance, intervene, relevance, value_norms

EDITED = "edited by hand"


def model_of(layers: int, dtype: torch.dtype, heads: int = 16, width: int = 64) -> Any:
    """A LLaMA with random weights and grouped heads."""
    torch.manual_seed(0)
    config = tf.LlamaConfig(
        hidden_size=heads * width, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=heads // 4,
        intermediate_size=4 * heads * width, vocab_size=32_000, max_position_embeddings=8192,
    )  # fmt: skip
    return tf.LlamaForCausalLM(config).eval().to("cuda", dtype)


def ids_of(length: int, batch: int = 1) -> torch.Tensor:
    """Random token ids on the GPU."""
    return torch.randint(3, 32_000, (batch, length), generator=torch.Generator().manual_seed(0)).cuda()


def by_hand(model: Any, ids: torch.Tensor, layer: int, head: int, temperature: float) -> torch.Tensor:
    """Logits with the scores of one head divided by a temperature, by eager attention."""

    def attend(module: Any, q: Any, k: Any, v: Any, mask: Any, *, scaling: float, **_: Any) -> tuple[Any, Any]:
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        scores = q.float() @ k.float().mT * scaling + mask[..., : k.shape[2]].float()
        if module.layer_idx == layer:
            scores[:, head] /= temperature
        weights = scores.softmax(-1)
        return (weights @ v.float()).to(q.dtype).transpose(1, 2).contiguous(), weights

    tf.AttentionInterface.register(EDITED, attend)
    tf.masking_utils.AttentionMaskInterface.register(EDITED, tf.masking_utils.eager_mask)
    own = copy.deepcopy(model)
    own.set_attn_implementation(EDITED)
    with torch.no_grad():
        return own(input_ids=ids, use_cache=False).logits.float()


def seconds(work: Callable[[], Any], rounds: int = 5) -> float:
    """The least time of some rounds."""
    taken = []
    for _ in range(rounds):
        torch.cuda.synchronize()
        began = time.perf_counter()
        work()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return min(taken)


def peak(work: Callable[[], Any]) -> float:
    """The most memory that is taken beyond what was there, in MB."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    kept = work()
    del kept
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def off(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference, of the size of what is compared."""
    return float((one - other).abs().max() / other.abs().max())


def say(what: str, value: float, unit: str = "") -> None:
    """One line of the report."""
    print(f"{what:<92}{value:>12.3g} {unit}", flush=True)


def main() -> None:
    """Print what was measured."""
    print(torch.cuda.get_device_name(), torch.__version__, tf.__version__)
    ids = ids_of(512)
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        model = model_of(8, dtype)
        wanted = by_hand(model, ids, 3, 5, 2.5)
        with torch.no_grad(), intervene(model, temperature=2.5, heads=(3, 5)):
            found = model(input_ids=ids, use_cache=False).logits.float()
        say(f"intervene against eager edited by hand, {name}, share of the largest logit", off(found, wanted))
        with torch.no_grad():
            plain = model(input_ids=ids, use_cache=False).logits.float()
        say(f"    what that changes, {name}", off(plain, wanted))
        if dtype == torch.bfloat16:
            with torch.no_grad(), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
                kernel = model(input_ids=ids, use_cache=False).logits.float()
                with intervene(model, temperature=2.5, heads=(3, 5)):
                    found = model(input_ids=ids, use_cache=False).logits.float()
            say("intervene under the flash kernel alone, bfloat16", off(found, wanted))
            say("    the flash kernel against the default, bfloat16", off(kernel, plain))

    model = model_of(8, torch.float32)
    small = ids_of(64)
    cpu = copy.deepcopy(model).cpu()
    one, other = direct(model, small, target=7), direct(cpu, small.cpu(), target=7)
    say("direct: the GPU against the CPU, float32", off(one.heads, other.heads))
    say("direct: what is left of the logit, share of it", one.check / abs(one.logit))
    total = max(abs(float(one.sources(layer, 2).sum() - one.heads[layer, 2])) for layer in range(8))
    say("direct: sources of a head against the head", total / float(one.heads.abs().max()))
    one, other = (capture(own, own_ids, values=True, offload=own is model, progress=False) for own, own_ids in
                  ((model, small), (cpu, small.cpu())))  # fmt: skip
    say(
        "value_norms of what was moved to the host: against the CPU",
        off(value_norms(one, 5, 2), value_norms(other, 5, 2)),
    )
    one, other = relevance(model, small, target=7), relevance(cpu, small.cpu(), target=7)
    say("relevance: the GPU against the CPU, float32", off(one.values.cpu(), other.values))
    data = [{"input_ids": small}]
    for variant in ("michel", "abs_elementwise"):
        one = head_importance(model, data, variant=variant, progress=False)
        other = head_importance(cpu, [{"input_ids": small.cpu()}], variant=variant, progress=False)
        say(f"head_importance, {variant}: the GPU against the CPU", off(one.effect, other.effect))
    one, other = (
        ablate(own, [{"input_ids": own_ids}], progress=False) for own, own_ids in ((model, small), (cpu, small.cpu()))
    )
    say("ablate: the GPU against the CPU", off(one.effect, other.effect))
    del model, cpu
    costs()


def costs() -> None:
    """Print what it costs."""
    model, ids = model_of(16, torch.bfloat16, heads=32), ids_of(2048)
    size = sum(p.numel() for p in model.parameters()) / 1e9
    where = f"{size:.1f}e9 parameters, bfloat16, 2,048 tokens"

    def plain_pass() -> None:
        with torch.no_grad():
            model(input_ids=ids, use_cache=False, logits_to_keep=1)

    def intervened(**asked: Any) -> None:
        with torch.no_grad(), intervene(model, **asked):
            model(input_ids=ids, use_cache=False, logits_to_keep=1)

    base = seconds(plain_pass)
    say(f"a plain pass, {where}", 1000 * base, "ms")
    say(
        "intervene on one head: time over a plain pass", seconds(lambda: intervened(temperature=2, heads=(8, 3))) / base
    )
    say("intervene on every head: time over a plain pass", seconds(lambda: intervened(temperature=2)) / base)
    say("ablation of one head: time over a plain pass", seconds(lambda: intervened(ablate="zero", heads=(8, 3))) / base)
    for values in (False, True):
        taken = seconds(lambda values=values: capture(model, ids, values=values, progress=False), 3)
        say(f"capture(values={values}): time over a plain pass", taken / base)
        say(
            f"capture(values={values}): memory",
            peak(lambda values=values: capture(model, ids, values=values, progress=False)),
            "MB",
        )
    ids = ids_of(256)
    model = model_of(12, torch.bfloat16)
    n_heads = 12 * 16
    with torch.no_grad():
        alone = seconds(lambda: model(input_ids=ids, use_cache=False))
    taken = seconds(lambda: ablate(model, [{"input_ids": ids}], progress=False), 2)
    say("ablate, 192 heads, 256 tokens: time over that of 193 plain passes", taken / (alone * (n_heads + 1)))
    assert math.isfinite(taken)


if __name__ == "__main__":
    main()
