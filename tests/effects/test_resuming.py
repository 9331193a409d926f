"""Passes resumed at a block: the same numbers for less work, and whole passes wherever that is not so."""

from __future__ import annotations

import threading

import pytest
import torch
import transformers as tf
from torch import nn

import attnwidget as aw
from attnwidget.effects.resuming import Resumable
from tests.effects.models import IDS, NEXT_WORD, OTHERS, made

HALVES = {f"{side}_{what}": size for side in ("encoder", "decoder")
          for what, size in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 64))}  # fmt: skip


def counted(blocks):
    """How often each block's first linear part is run from now on."""
    runs = [0] * len(blocks)

    def count(number):
        def seen(*_):
            runs[number] += 1

        return seen

    for number, block in enumerate(blocks):
        norm = next(part for part in block.modules() if not list(part.children()))
        norm.register_forward_hook(count(number))
    return runs


@pytest.mark.parametrize("family", NEXT_WORD)
def test_a_resumed_pass_says_what_a_whole_one_says_also_after_a_change(family):
    model = made(NEXT_WORD[family])
    block = next(one for one in model.modules() if isinstance(one, nn.ModuleList))[1]

    def run():
        return model(input_ids=IDS, use_cache=False).logits

    resumable = Resumable(model)
    with torch.no_grad():
        whole = resumable.run(run)
        changed = block.register_forward_hook(
            lambda _module, _args, gave: (gave[0] * 2, *gave[1:]) if isinstance(gave, tuple) else gave * 2
        )
        expected = run()
        with resumable.resumed(block):  # seen to differ while it is changed, and so not used
            torch.testing.assert_close(run(), expected)
        changed.remove()
        resumable = Resumable(model)
        assert torch.equal(resumable.run(run), whole)
        runs = counted([next(one for one in model.modules() if isinstance(one, nn.ModuleList))[0], block])
        with resumable.resumed(block):
            before = list(runs)
            again = run()
        assert [after - one for after, one in zip(runs, before, strict=True)] == [0, 1]
        torch.testing.assert_close(again, whole)


def test_the_encoder_is_not_run_again_for_a_head_of_the_decoder():
    torch.manual_seed(0)
    sizes = {"vocab_size": 100, "d_model": 32, "max_position_embeddings": 64, "forced_eos_token_id": None}
    model = tf.BartForConditionalGeneration(tf.BartConfig(**sizes, **HALVES)).eval()
    encoder, decoder = model.model.encoder.layers, model.model.decoder.layers
    runs = counted([*encoder, *decoder])
    resumable = Resumable(model)
    with torch.no_grad():
        resumable.run(lambda: model(input_ids=IDS, decoder_input_ids=IDS, use_cache=False).logits)
        assert runs == [1, 1, 1, 1]
        with resumable.resumed(decoder[1].encoder_attn.out_proj):
            assert runs == [1, 1, 1, 2]  # the check


def test_layers_that_share_one_module_are_all_run():
    model = made(OTHERS["ALBERT"])
    layer = model.encoder.albert_layer_groups[0]
    resumable = Resumable(model)
    with torch.no_grad():
        whole = resumable.run(lambda: model(input_ids=IDS).last_hidden_state)
        with resumable.resumed(layer):
            assert torch.equal(model(input_ids=IDS).last_hidden_state, whole)


class Telling(nn.Module):
    """A block that tells a later one something beside what it gives."""

    def __init__(self, told):
        super().__init__()
        self.linear, self.told = nn.Linear(4, 4), told

    def forward(self, x):
        self.told.append(x.sum())
        return self.linear(x) + len(self.told)


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.told = []
        self.blocks = nn.ModuleList([Telling(self.told), Telling(self.told)])

    def forward(self, x):
        self.told.clear()
        for block in self.blocks:
            x = block(x)
        return x


def test_blocks_that_do_more_than_give_are_all_run():
    model, x = Stack(), torch.rand(2, 4)
    resumable = Resumable(model)
    whole = resumable.run(lambda: model(x))
    with resumable.resumed(model.blocks[1]):
        assert torch.equal(model(x), whole)
        assert len(model.told) == 2


def test_a_forward_that_somebody_put_over_a_block_is_put_back_whatever_happens():
    model = made(NEXT_WORD["LLaMA"])
    first = model.model.layers[0]
    plain = first.forward

    def own(*args, **kwargs):
        return plain(*args, **kwargs)

    first.forward = own
    resumable = Resumable(model)
    with torch.no_grad():
        resumable.run(lambda: model(input_ids=IDS, use_cache=False).logits)
        with resumable.resumed(model.model.layers[1]):
            assert first.forward is not own
        assert first.forward is own
        with pytest.raises(ZeroDivisionError), resumable.resumed(model.model.layers[1]):
            _ = 1 / 0
    assert first.forward is own
    assert "forward" not in vars(model.model.layers[1])


def test_ablation_is_the_same_to_the_bit_and_leaves_no_forward_behind(monkeypatch):
    model = made(NEXT_WORD["GPT-2"])
    found = aw.effects.ablate(model, [{"input_ids": IDS}], progress=False)
    assert not any("forward" in vars(module) for module in model.modules())
    monkeypatch.setattr(Resumable, "_check", lambda *_: False)
    assert torch.equal(found.effect, aw.effects.ablate(model, [{"input_ids": IDS}], progress=False).effect)


def test_another_thread_runs_the_model_as_it_is():
    model = made(NEXT_WORD["LLaMA"])
    with torch.no_grad():
        others = torch.randint(5, 90, (1, 9), generator=torch.Generator().manual_seed(9))
        wanted = model(input_ids=others, use_cache=False).logits
        resumable = Resumable(model)
        resumable.run(lambda: model(input_ids=IDS[:1], use_cache=False).logits)
        found = []

        def run():
            with torch.no_grad():
                found.append(model(input_ids=others, use_cache=False).logits)

        with resumable.resumed(model.model.layers[1]):
            here = model(input_ids=others, use_cache=False).logits
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
    assert torch.equal(found[0], wanted)
    assert not torch.allclose(here, wanted)
    assert all("forward" not in vars(module) for module in model.modules())


def test_threads_that_leave_in_another_order_leave_the_model_as_it_was():
    model = made(NEXT_WORD["LLaMA"])
    gates = [threading.Event() for _ in range(4)]

    def first():
        with torch.no_grad():
            resumable = Resumable(model)
            resumable.run(lambda: model(input_ids=IDS[:1], use_cache=False).logits)
            with resumable.resumed(model.model.layers[1]):
                gates[0].set()
                assert gates[1].wait(30)
        gates[2].set()

    def second():
        with torch.no_grad():
            resumable = Resumable(model)
            resumable.run(lambda: model(input_ids=IDS, use_cache=False).logits)
            assert gates[0].wait(30)
            with resumable.resumed(model.model.layers[1]):
                gates[1].set()
                assert gates[2].wait(30)

    threads = [threading.Thread(target=one) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all("forward" not in vars(module) for module in model.modules())
