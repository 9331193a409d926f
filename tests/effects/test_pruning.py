"""A model with ever fewer heads, against the same done by hand."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import transformers as tf

import attnwidget as aw
from attnwidget.effects.examples import losses
from tests.effects.models import IDS, NEXT_WORD, SIZES, made

BATCH = {"input_ids": IDS}


@pytest.fixture(scope="module")
def llama():
    return made(NEXT_WORD["LLaMA"])


def without(model, heads):
    other = copy.deepcopy(model)
    for layer, head in heads:
        other.model.layers[layer].self_attn.o_proj.weight.data[:, head * 8 : (head + 1) * 8] = 0
    return other


def test_heads_go_in_the_order_of_their_importance_and_stay_away(llama):
    importance = torch.tensor([[3.0, 1, 4, 8], [5, 9, 2, 6]])
    found = aw.effects.prune_curve(llama, [BATCH], importance=importance, fractions=[0.25, 0.5, 1], progress=False)
    assert found.order == ((0, 1), (1, 2), (0, 0), (0, 2), (1, 0), (1, 3), (0, 3), (1, 1))
    assert found.removed.tolist() == [0, 2, 4, 8]
    for count, value in zip(found.removed.tolist(), found.values.tolist(), strict=True):
        other = without(llama, found.order[:count])
        with torch.no_grad():
            by_hand = [float(other(input_ids=one[None], labels=one[None]).loss) for one in IDS]
        assert value == pytest.approx(sum(by_hand) / 2, abs=1e-5)
    assert found.baseline == pytest.approx(float(found.values[0]))
    assert found.n_examples == 2
    table = found.to_frame()
    assert table["share"].tolist() == [0, 0.25, 0.5, 1]
    assert "order was fixed" in table.attrs["caveat"]
    assert "8 heads, 2 examples" in repr(found)


def test_the_other_order_is_the_reverse_and_chance_is_repeatable(llama):
    importance = aw.effects.head_importance(llama, [BATCH], progress=False)
    orders = {
        (order, seed): aw.effects.prune_curve(
            llama, [BATCH], importance=importance, order=order, seed=seed, fractions=[], progress=False
        ).order
        for order, seed in [("least", 0), ("most", 0), ("random", 0), ("random", 1)]
    }
    assert orders["most", 0] == orders["least", 0][::-1]
    assert orders["most", 0] == tuple(importance.ranked)
    assert orders["random", 0] != orders["random", 1]
    assert sorted(orders["random", 0]) == sorted(orders["least", 0])


def test_accuracy_is_the_share_of_right_next_tokens(llama):
    found = aw.effects.prune_curve(
        llama, [BATCH], importance=torch.arange(8.0).view(2, 4), metric="accuracy", fractions=[1], progress=False
    )
    for model, value in zip((llama, without(llama, found.order)), found.values.tolist(), strict=True):
        with torch.no_grad():
            right = model(input_ids=IDS).logits[:, :-1].argmax(-1) == IDS[:, 1:]
        assert value == pytest.approx(float(right.float().mean()), abs=1e-6)


def test_accuracy_of_a_classifier_is_of_its_classes():
    torch.manual_seed(0)
    model = tf.BertForSequenceClassification(tf.BertConfig(**SIZES, intermediate_size=64, num_labels=3)).eval()
    with torch.no_grad():
        said = model(input_ids=IDS).logits.argmax(-1)
    data = [(BATCH, torch.stack([said[0], (said[1] + 1) % 3]))]
    found = aw.effects.prune_curve(
        model, data, importance=torch.rand(2, 4), metric="accuracy", fractions=[0], progress=False
    )
    assert found.values.tolist() == [0.5]


def test_the_model_is_left_as_it_was_and_what_is_there_is_kept_where_somebody_interrupts(llama, monkeypatch):
    forward, calls = type(llama).forward, []

    def interrupted(self, *args, **kwargs):
        calls.append(1)
        if len(calls) > 5:  # one to find the heads, three steps of the first example
            raise KeyboardInterrupt
        return forward(self, *args, **kwargs)

    llama.train()
    monkeypatch.setattr(type(llama), "forward", interrupted)
    data = [{"input_ids": one[None]} for one in IDS]
    found = aw.effects.prune_curve(llama, data, importance=torch.rand(2, 4), fractions=[0.5, 1], progress=False)
    assert found.interrupted
    assert found.n_examples == 1
    assert found.reason.startswith("interrupted after 1 examples")
    assert bool(found.values.isfinite().all())
    assert llama.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in llama.modules())
    llama.eval()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"importance": torch.rand(2, 3)}, ValueError, r"importance has shape \[2, 3\].*2 layers of 4 heads"),
        ({"importance": torch.full((2, 4), math.nan)}, ValueError, "importance is NaN for layer 0, head 0"),
        ({"importance": [[1.0]]}, TypeError, "importance is list"),
        ({"order": "best"}, ValueError, "order='best'"),
        ({"metric": "f1"}, ValueError, "metric='f1'"),
        ({"fractions": [2]}, ValueError, "fractions=2"),
    ],
)
def test_bad_input_is_refused(llama, options, error, words):
    with pytest.raises(error, match=words):
        aw.effects.prune_curve(llama, [BATCH], progress=False, **({"importance": torch.rand(2, 4)} | options))


def test_numbers_have_no_right_choice():
    model = tf.BertForSequenceClassification(tf.BertConfig(**SIZES, intermediate_size=64, num_labels=1)).eval()
    with pytest.raises(ValueError, match="these labels are numbers"):
        aw.effects.prune_curve(
            model, [(BATCH, torch.tensor([0.5, 1.0]))], importance=torch.rand(2, 4), metric="accuracy", progress=False
        )


def test_an_order_may_be_given():
    model, data = made(NEXT_WORD["LLaMA"]), [{"input_ids": IDS}]
    curve = aw.effects.prune_curve(model, data, order=[(1, 2), (0, 3)], progress=False)
    assert curve.removed.tolist() == [0, 1, 2]
    assert curve.order == ((1, 2), (0, 3))
    with torch.no_grad(), aw.effects.intervene(model, ablate="zero", heads=[(1, 2), (0, 3)]):
        wanted = losses(model, data[0], model(input_ids=IDS).logits).mean()
    torch.testing.assert_close(curve.values[2], wanted, atol=1e-5, rtol=1e-5)
    for order, kind in (([(9, 0)], ValueError), ([(0, 0), (0, 0)], ValueError), ([], ValueError), ([3], TypeError)):
        with pytest.raises(kind):
            aw.effects.prune_curve(model, data, order=order, progress=False)
    with pytest.raises(TypeError, match="importance is NoneType"):
        aw.effects.prune_curve(model, data, progress=False)
