"""Interventions equal eager attention that is edited by hand, and leave nothing behind."""

from __future__ import annotations

import copy
import math
import threading

import pytest
import torch
import transformers as tf
from torch import nn

import attnwidget as aw
from attnwidget import demo
from attnwidget.effects import intervene
from tests.effects.eager import edited, reference, same, snapshot
from tests.effects.models import GROUPED, IDS, NEXT_WORD, made

HEADS = (1, 2)


def layer_of(module):
    return getattr(module, "layer_idx", None)


def in_head(change):
    """An edit of the scores of one head of one layer."""

    def edit(module, scores):
        if layer_of(module) == HEADS[0]:
            scores = torch.cat([scores[:, :2], change(scores[:, 2:3]), scores[:, 3:]], 1)
        return scores.softmax(-1)

    return edit


def boosted(scores):
    scores = scores.clone()
    scores[:, :, 5:8, 1:4] += math.log(3)
    return scores


def cut(scores):
    scores = scores.clone()
    scores[:, :, 5:8, 1:4] = -math.inf
    return scores


EDITS = {
    "temperature": ({"temperature": 2.5}, lambda scores: scores / 2.5),
    "scaling": ({"scaling": 3}, lambda scores: scores * 3),
    "cut": ({"cut": (slice(5, 8), [1, 2, 3])}, cut),
    "boost": ({"boost": (range(5, 8), slice(1, 4), 3)}, boosted),
}
FAMILIES = [name for name in NEXT_WORD if name != "GPT-J"]  # which attends by itself


def logits(model):
    return model(input_ids=IDS).logits


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("edit", EDITS)
def test_it_equals_eager_attention_edited_by_hand(family, edit):
    model = made(NEXT_WORD[family]).double()
    asked, change = EDITS[edit]
    wanted = reference(model, in_head(change), logits)
    with torch.no_grad(), intervene(model, heads=HEADS, **asked):
        found = logits(model)
    assert not torch.allclose(wanted, logits(model), atol=1e-4)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_acts_on_all_heads_of_all_layers(family):
    model = made(NEXT_WORD[family]).double()
    wanted = reference(model, lambda _, scores: (scores / 3).softmax(-1), logits)
    with torch.no_grad(), intervene(model, temperature=3):
        found = logits(model)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-6)


def test_given_weights_stand_for_those_of_a_head():
    model = made(NEXT_WORD["LLaMA"]).double()
    given = torch.full((9, 9), 1 / 9, dtype=torch.float64)

    def edit(module, scores):
        weights = scores.softmax(-1)
        if layer_of(module) == HEADS[0]:
            weights = weights.clone()
            weights[:, 2] = given
        return weights

    with torch.no_grad(), intervene(model, replace=given, heads=HEADS):
        found = logits(model)
    torch.testing.assert_close(found, reference(model, edit, logits), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("family", NEXT_WORD)
def test_a_head_taken_away_is_its_slice_set_to_zero(family):
    model = made(NEXT_WORD[family]).double()
    with torch.no_grad(), intervene(model, ablate="zero", heads=(1, 3)):
        found = logits(model)
    without = copy.deepcopy(model)
    width = 8
    for name, module in without.named_modules():
        tail = name.rsplit(".", 1)[-1]
        if ".1." in f"{name}." and tail in {"o_proj", "out_proj", "dense"} and "mlp" not in name:
            module.weight.data[:, 3 * width : 4 * width] = 0
        if ".1." in f"{name}." and tail == "c_proj" and "attn" in name:
            module.weight.data[3 * width : 4 * width] = 0
    assert not torch.allclose(found, logits(model), atol=1e-4)
    torch.testing.assert_close(found, logits(without), atol=1e-6, rtol=1e-6)  # Gemma 2 rounds its softmax


def test_a_row_without_a_key_puts_out_nothing():
    model = made(NEXT_WORD["LLaMA"]).double()

    def edit(module, scores):
        weights = scores.softmax(-1)
        if layer_of(module) == 0:
            weights = weights.clone()
            weights[:, :, 4] = 0
        return weights

    with torch.no_grad(), intervene(model, cut=(4, None), heads={0: None}):
        found = logits(model)
    assert found.isfinite().all()
    torch.testing.assert_close(found, reference(model, edit, logits), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("family", ["GPT-2", "LLaMA", "Gemma 2", "Qwen3"])
def test_it_acts_on_every_step_of_a_generation(family, use_cache):
    model = made(NEXT_WORD[family]).double()
    options = {"max_new_tokens": 6, "do_sample": False, "use_cache": use_cache, "pad_token_id": 0}
    options |= {"return_dict_in_generate": True, "output_logits": True, "eos_token_id": None}

    def edit(module, scores):
        if layer_of(module) == HEADS[0]:
            scores = scores.clone()
            start = scores.shape[-1] - scores.shape[-2]
            rows = torch.arange(start, scores.shape[-1]) >= 8
            scores[:, 2, rows, 2:5] = -math.inf
        return scores.softmax(-1)

    def run(own):
        return own.generate(IDS, attention_mask=torch.ones_like(IDS), **options)

    wanted = reference(model, edit, run)
    with intervene(model, cut=(slice(8, None), slice(2, 5)), heads=HEADS):
        found = run(model)
    assert torch.equal(found.sequences, wanted.sequences)
    torch.testing.assert_close(torch.stack(found.logits), torch.stack(wanted.logits), atol=1e-6, rtol=1e-6)


def test_positions_count_from_the_first_token_that_is_no_padding():
    model = made(NEXT_WORD["LLaMA"]).double()
    padded = torch.cat([torch.zeros(1, 3, dtype=torch.long), IDS[:1]], 1)
    mask = (torch.arange(12) >= 3)[None].long()
    positions = (torch.arange(12) - 3).clamp(min=0)[None]
    with torch.no_grad(), intervene(model, cut=(8, [2, 3])):
        alone = model(input_ids=IDS[:1]).logits
        found = model(input_ids=padded, attention_mask=mask, position_ids=positions).logits
    torch.testing.assert_close(found[:, 3:], alone, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_it_acts_under_every_way_to_attend(attention):
    model = made(NEXT_WORD["LLaMA"]).double()
    model.set_attn_implementation(attention)
    wanted = reference(model, in_head(cut), logits)
    with torch.no_grad(), intervene(model, heads=HEADS, **EDITS["cut"][0]):
        found = logits(model)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-6)
    assert model.config._attn_implementation == attention


class OfMyOwn(nn.Module):
    """Two layers that attend by themselves, by products or by torch's function."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.ModuleList(nn.ModuleDict({"qkv": nn.Linear(16, 48), "out": nn.Linear(16, 16)}) for _ in "ab")
        self.fused = fused
        self.edit = lambda layer, weights: weights

    def forward(self, x):
        for number, layer in enumerate(self.layers):
            q, k, v = layer["qkv"](x).unflatten(-1, (3, 4, 4)).permute(2, 0, 3, 1, 4)
            if self.fused:
                put_out = nn.functional.scaled_dot_product_attention(q, k, v)
            else:
                put_out = self.edit(number, (q @ k.mT / 2).softmax(-1)) @ v
            x = x + layer["out"](put_out.transpose(1, 2).flatten(-2))
        return x


@pytest.mark.parametrize("fused", [True, False])
def test_it_acts_on_modules_of_ones_own(fused):
    model, x = OfMyOwn(fused).double(), torch.randn(2, 5, 16, dtype=torch.float64)
    by_hand = OfMyOwn(False).double()

    def edit(number, weights):
        if number == 1:
            weights = weights.clone()
            weights[:, 2, :, 3] = 0
            weights[:, 2] /= weights[:, 2].sum(-1, keepdim=True)
        return weights

    by_hand.edit = edit
    with torch.no_grad(), intervene(model, cut=(None, 3), heads=(1, 2)):
        found = model(x)
    torch.testing.assert_close(found, by_hand(x), atol=1e-9, rtol=1e-9)


def test_blocks_may_be_nested_and_the_outer_acts_first():
    model = made(NEXT_WORD["LLaMA"]).double()

    def edit(_, scores):
        scores = scores / 2
        scores = scores.clone()
        scores[..., 4:, 3] = -math.inf
        return scores.softmax(-1)

    wanted = reference(model, edit, logits)
    with torch.no_grad(), intervene(model, temperature=2), intervene(model, cut=(slice(4, None), 3)):
        found = logits(model)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-6)
    with torch.no_grad(), intervene(model, temperature=2, cut=(slice(4, None), 3)):
        torch.testing.assert_close(found, logits(model), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("family", ["GPT-2", "LLaMA", "Gemma 2", "OPT"])
@pytest.mark.parametrize("edit", EDITS)
def test_a_capture_inside_shows_what_was_changed(family, edit):
    model = made(NEXT_WORD[family])
    asked, change = EDITS[edit]
    kept = {}

    def edited(module, scores):
        kept[layer_of(module)] = in_head(change)(module, scores)
        return kept[layer_of(module)]

    reference(model, edited, lambda own: own(input_ids=IDS[:1]))
    with intervene(model, heads=HEADS, **asked):
        run = aw.capture(model, IDS[:1])
    for layer in range(2):
        for head in range(4):
            torch.testing.assert_close(run.maps.weights(layer, head), kept[layer][0, head], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("heads", [None, (1, 2)])
def test_gradients_go_through(heads):
    model = made(NEXT_WORD["LLaMA"]).double()
    grads = []
    for run in (lambda: logits(model), lambda: reference_with_grad(model, heads)):
        model.zero_grad()
        if grads:
            loss = run()
        else:
            with intervene(model, temperature=2, heads=heads):
                loss = run()
        loss[:, -1].logsumexp(-1).sum().backward()
        grads.append([one.grad.clone() for one in model.parameters()])
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, atol=1e-8, rtol=1e-6)


def reference_with_grad(model, heads):
    edit = in_head(lambda scores: scores / 2) if heads else lambda _, scores: (scores / 2).softmax(-1)
    with edited(model, edit):
        return logits(model)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_as_it_was(fails):
    model = made(NEXT_WORD["Qwen3"])
    model.train()
    model.model.layers[1].eval()
    before = snapshot(model)
    wanted = model(input_ids=IDS).logits
    try:
        with intervene(model, ablate="zero"):
            logits(model)
            if fails:
                raise KeyboardInterrupt  # noqa: TRY301
    except KeyboardInterrupt:
        assert fails
    assert same(before, snapshot(model))
    assert torch.equal(model(input_ids=IDS).logits, wanted)


def test_another_thread_is_left_alone():
    model = made(NEXT_WORD["LLaMA"])
    with torch.no_grad():
        wanted, found = logits(model), []
        with intervene(model, ablate="zero"):
            thread = threading.Thread(target=lambda: found.append(logits(model).detach()))
            thread.start()
            thread.join()
            assert not torch.allclose(logits(model), wanted, atol=1e-3)
    torch.testing.assert_close(found[0], wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("part", ["encoder", "decoder", "cross"])
def test_a_part_of_a_pair_is_chosen(part):
    sizes = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "vocab_size": 100}
    sizes |= {
        f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in (("ffn_dim", 32), ("attention_heads", 4))
    }
    model = made(lambda: tf.BartForConditionalGeneration(tf.BartConfig(**sizes, max_position_embeddings=64))).double()
    given = {"input_ids": IDS, "decoder_input_ids": IDS[:, :4]}

    def edit(module, scores):
        cross = scores.shape[-2] == 4 and scores.shape[-1] == 9
        mine = {"encoder": scores.shape[-2] == 9, "decoder": scores.shape[-1] == 4, "cross": cross}[part]
        return (scores / 4 if mine else scores).softmax(-1)

    wanted = reference(model, edit, lambda own: own(**given).logits)
    with torch.no_grad(), intervene(model, temperature=4, part=part):
        found = model(**given).logits
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-6)
    with pytest.raises(ValueError, match="choose one with part="), intervene(model, temperature=4):
        model(**given)


def test_flash_like_layouts_in_half_precision():
    model = made(NEXT_WORD["LLaMA"]).bfloat16()
    with torch.no_grad(), intervene(model, temperature=2, heads=(1, 2)):
        found = logits(model)
    assert found.dtype == torch.bfloat16
    assert found.isfinite().all()


def test_a_taken_away_name_mover_changes_what_the_storyteller_says():
    model, tokenizer = demo.load()
    text = "Lily and Ben went to the park . Lily gave the ball to"
    whole = aw.capture(model, text, tokenizer)
    with intervene(model, ablate="zero", heads=(3, 1)):
        without = aw.capture(model, text, tokenizer)
    ben = tokenizer("Ben", add_special_tokens=False)["input_ids"][0]
    before, after = (run.next_token_probabilities[ben].logit() for run in (whole, without))
    assert after < before - 2


def test_grouped_heads_are_changed_one_by_one():
    model = made(lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**GROUPED))).double()
    for head in range(4):

        def edit(module, scores, head=head):
            if layer_of(module) == 0:
                scores = scores.clone()
                scores[:, head] *= 3
            return scores.softmax(-1)

        with torch.no_grad(), intervene(model, scaling=3, heads=(0, head)):
            found = logits(model)
        torch.testing.assert_close(found, reference(model, edit, logits), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("what", ["mean", "resample"])
def test_other_texts_may_stand_in_for_a_head(what):
    model = made(NEXT_WORD["GPT-2"]).double()
    others = torch.randint(5, 90, (3, 9), generator=torch.Generator().manual_seed(5))
    layer = model.transformer.h[1].attn.c_proj
    held = []
    handle = layer.register_forward_pre_hook(lambda _, args: held.append(args[0].clone()))
    with torch.no_grad():
        model(input_ids=others)
        handle.remove()
        stand_in = held[0].mean(0) if what == "mean" else held[0][0]

        def put(_, args):
            given = args[0].clone()
            given[..., 16:24] = stand_in[:, 16:24]
            return (given,)

        handle = layer.register_forward_pre_hook(put)
        wanted = logits(model)
        handle.remove()
        with intervene(model, ablate=what, reference={"input_ids": others}, heads=(1, 2)):
            found = logits(model)
    torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-9)


def test_of_other_lengths_the_mean_is_over_positions():
    model = made(NEXT_WORD["GPT-2"]).double()
    others = torch.randint(5, 90, (3, 7), generator=torch.Generator().manual_seed(5))
    layer = model.transformer.h[0].attn.c_proj
    held = []
    handle = layer.register_forward_pre_hook(lambda _, args: held.append(args[0].clone()))
    with torch.no_grad():
        model(input_ids=others)
        handle.remove()

        def put(_, args):
            given = args[0].clone()
            given[..., :8] = held[0].flatten(0, 1).mean(0)[:8]
            return (given,)

        handle = layer.register_forward_pre_hook(put)
        wanted = logits(model)
        handle.remove()
        with intervene(model, ablate="mean", reference={"input_ids": others}, heads=(0, 0)):
            found = logits(model)
    torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-9)


def encoder():
    """Two layers of torch's own encoder, which projects its heads inside its attention function."""
    torch.manual_seed(2)
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, dropout=0.0)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).double().eval()


def test_it_acts_inside_torchs_own_multihead_attention():
    model, x = encoder(), torch.randn(2, 5, 16, dtype=torch.float64)
    by_hand = encoder()
    attention = by_hand.layers[1].self_attn

    def forward(query, key, value, **_):
        q, k, v = nn.functional.linear(query, attention.in_proj_weight, attention.in_proj_bias).chunk(3, -1)
        q, k, v = (one.unflatten(-1, (4, 4)).transpose(1, 2) for one in (q, k, v))
        weights = (q @ k.mT / 2).softmax(-1)
        weights[:, 2, :, 3] = 0
        weights[:, 2] /= weights[:, 2].sum(-1, keepdim=True)
        return attention.out_proj((weights @ v).transpose(1, 2).flatten(-2)), None

    attention.forward = forward
    with torch.enable_grad():  # torch's fused layer would not call it
        wanted = by_hand(x).detach()
    with torch.no_grad(), intervene(model, cut=(None, 3), heads=(1, 2)):
        found = model(x)
    torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-9)
    with torch.no_grad(), intervene(model, ablate="zero", heads=(0, 1)):
        assert not torch.allclose(model(x), found, atol=1e-3)


@pytest.mark.parametrize("inner", [{"temperature": 2}, {"cut": (None, 3)}, {"boost": (4, 2, 3)}, {"scaling": 2}])
@pytest.mark.parametrize("heads", [(1, 2), (1, 0), None])
def test_a_head_that_was_taken_away_stays_away_whatever_is_done_inside(inner, heads):
    model = made(NEXT_WORD["LLaMA"]).double()
    with torch.no_grad():
        with intervene(model, ablate="zero", heads=(1, 2)), intervene(model, heads=heads, **inner):
            outer = logits(model)
        with intervene(model, heads=heads, **inner), intervene(model, ablate="zero", heads=(1, 2)):
            last = logits(model)
    torch.testing.assert_close(outer, last, atol=1e-9, rtol=1e-9)


def test_what_is_done_to_a_head_that_is_taken_away_is_seen_in_its_map():
    model = made(NEXT_WORD["LLaMA"])
    with intervene(model, ablate="zero", cut=(slice(4, None), 3), heads=(1, 2)):
        run = aw.capture(model, IDS[:1])
    assert float(run.maps.weights(1, 2)[4:, 3].max()) == 0
    assert float(run.maps.weights(1, 1)[4:, 3].min()) > 0


def test_given_weights_are_those_of_their_heads_though_one_is_taken_away_outside():
    model = made(NEXT_WORD["LLaMA"]).double()
    given = torch.rand(2, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        with intervene(model, ablate="zero", heads=(1, 0)), intervene(model, replace=given, heads=[(1, 0), (1, 2)]):
            found = logits(model)
        with intervene(model, ablate="zero", heads=(1, 0)), intervene(model, replace=given[1], heads=(1, 2)):
            wanted = logits(model)
    torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-9)
