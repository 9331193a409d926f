"""Compiled, quantised and LoRA-wrapped models, and those in half precision: the same numbers, or a reason."""

from __future__ import annotations

import warnings

import pytest
import torch
from accelerate import cpu_offload
from peft import LoraConfig, get_peft_model

import attnwidget as aw
from attnwidget.effects import ablate, attribute, direct, head_importance, intervene, relevance, value_weighted
from tests.effects.models import IDS, NEXT_WORD, made

DATA = [{"input_ids": IDS[:1]}]


def logits_at_twice_the_temperature(model):
    with torch.no_grad(), intervene(model, temperature=2):
        return model(input_ids=IDS[:1]).logits


NUMBERS = {
    "direct": lambda model: direct(model, IDS[:1], target=7).heads,
    "ablate": lambda model: ablate(model, DATA, progress=False).effect,
    "importance": lambda model: head_importance(model, DATA, progress=False).effect,
    "weight by weight": lambda model: head_importance(model, DATA, variant="abs_elementwise", progress=False).effect,
    "relevance": lambda model: relevance(model, IDS[:1], target=7).matrix,
    "values": lambda model: value_weighted(aw.capture(model, IDS[:1], values=True)).weights(1, 2),
    "attribution": lambda model: attribute(model, IDS[:1], target=7).values,
    "intervention": logits_at_twice_the_temperature,
}


@pytest.mark.parametrize("what", NUMBERS)
def test_a_compiled_model_says_what_it_says_uncompiled(what):
    compiled = torch.compile(made(NEXT_WORD["LLaMA"]), backend="eager")
    with torch.no_grad():
        compiled(input_ids=IDS[:1])  # there is compiled code that could be run by mistake
    torch.testing.assert_close(NUMBERS[what](compiled), NUMBERS[what](made(NEXT_WORD["LLaMA"])), atol=1e-5, rtol=1e-4)
    assert "force_eager" not in str(torch._dynamo.eval_frame._stance)


@pytest.mark.parametrize("what", NUMBERS)
def test_a_compiled_part_is_no_other(what):
    model = made(NEXT_WORD["LLaMA"])
    model.model.layers[1] = torch.compile(model.model.layers[1], backend="eager")
    with torch.no_grad():
        model(input_ids=IDS[:1])
    torch.testing.assert_close(NUMBERS[what](model), NUMBERS[what](made(NEXT_WORD["LLaMA"])), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("what", NUMBERS)
def test_an_adapter_around_every_projection_is_part_of_it(what):
    config = LoraConfig(target_modules=["q_proj", "v_proj", "o_proj"], init_lora_weights=False)
    torch.manual_seed(3)
    wrapped = get_peft_model(made(NEXT_WORD["LLaMA"]), config).eval()
    found = NUMBERS[what](wrapped)
    merged = wrapped.merge_and_unload()
    torch.testing.assert_close(found, NUMBERS[what](merged), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("what", NUMBERS)
def test_a_model_whose_numbers_are_elsewhere_until_it_runs_is_no_other(what):
    offloaded = cpu_offload(made(NEXT_WORD["LLaMA"]), execution_device=torch.device("cpu"))
    torch.testing.assert_close(NUMBERS[what](offloaded), NUMBERS[what](made(NEXT_WORD["LLaMA"])), atol=1e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def quantised():
    with warnings.catch_warnings(action="ignore"):  # torch warns of it, in some releases
        return torch.ao.quantization.quantize_dynamic(made(NEXT_WORD["LLaMA"]), {torch.nn.Linear}, dtype=torch.qint8)


@pytest.mark.filterwarnings("ignore:quantized", "ignore:heads of")
@pytest.mark.parametrize("what", ["importance", "weight by weight", "relevance", "attribution"])
def test_a_quantised_model_has_no_gradients_and_that_is_said(quantised, what):
    with pytest.raises(ValueError, match="no gradient goes back"):
        NUMBERS[what](quantised)


def test_a_quantised_model_is_changed_and_heads_that_are_left_out_are_told(quantised):
    plain = made(NEXT_WORD["LLaMA"])
    one, other = NUMBERS["intervention"](quantised), NUMBERS["intervention"](plain)
    assert torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1] > 0.9
    with pytest.warns(aw.AttentionWarning, match=r"heads of 'model.layers.1.self_attn' are left out: .* no sum"):
        found = ablate(quantised, DATA, progress=False)
    assert found.layer_numbers == (0,)
    with pytest.raises(ValueError, match="linear module"):
        NUMBERS["direct"](quantised)
    with pytest.raises(ValueError, match="no sum over heads"):
        NUMBERS["values"](quantised)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_near_or_refused(dtype):
    half = made(NEXT_WORD["LLaMA"]).to(dtype)
    for what in set(NUMBERS) - {"direct"}:
        one, other = NUMBERS[what](half).float(), NUMBERS[what](made(NEXT_WORD["LLaMA"]))
        assert float((one - other).abs().max() / other.abs().max()) < 16 * torch.finfo(dtype).eps, what
    with pytest.raises(ValueError, match=r"pass model.float\(\)"):
        NUMBERS["direct"](half)
