"""What a model loses without a head, against the same done by hand."""

from __future__ import annotations

import copy
import math
import threading

import pytest
import torch
import transformers as tf

import attnwidget as aw
from tests.effects.models import IDS, NEXT_WORD, SIZES, made

TEXTS = [
    "Lily and Ben went to the park . Lily gave the ball to Ben .",
    "Ben was happy . Lily was sad .",
]


SIZED = SIZES | {"intermediate_size": 64}
HALVES = {f"{side}_{what}": size for side in ("encoder", "decoder")
          for what, size in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 64))}  # fmt: skip
PICTURES = {key: size for key, size in SIZED.items() if key != "vocab_size"} | {"image_size": 16, "patch_size": 8}


@pytest.fixture(scope="module")
def storyteller():
    return aw.demo.load("storyteller")


def loss_of(model, tokenizer, text):
    batch = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        return float(model(**batch, labels=batch["input_ids"]).loss)


def without(model, layer, head, width):
    other = copy.deepcopy(model)
    other.model.layers[layer].self_attn.o_proj.weight.data[:, head * width : (head + 1) * width] = 0
    return other


def test_a_head_set_to_zero_is_a_head_whose_weights_are_zero(storyteller):
    model, tokenizer = storyteller
    found = aw.effects.ablate(model, TEXTS, tokenizer, progress=False)
    assert found.effect.shape == (4, 4)
    assert found.n_examples == 2
    assert found.baseline == pytest.approx(sum(loss_of(model, tokenizer, text) for text in TEXTS) / 2, abs=1e-5)
    for layer, head in [(0, 3), (1, 2), (3, 0)]:
        other = without(model, layer, head, 32)
        change = sum(loss_of(other, tokenizer, text) - loss_of(model, tokenizer, text) for text in TEXTS) / 2
        assert float(found.effect[layer, head]) == pytest.approx(change, abs=1e-5)
    assert found.ranked[0] == (0, 3)
    table = found.to_frame()
    assert table.loc[(0, 3), "effect"] == pytest.approx(float(found.effect[0, 3]))
    assert "do not add" in table.attrs["caveat"]


def test_a_batch_with_padding_is_its_examples(storyteller):
    model, tokenizer = storyteller
    batch = tokenizer(TEXTS, return_tensors="pt", padding=True)
    together = aw.effects.ablate(model, [batch], progress=False)
    apart = aw.effects.ablate(model, TEXTS, tokenizer, progress=False)
    torch.testing.assert_close(together.effect, apart.effect, atol=2e-5, rtol=0)
    assert together.n_examples == 2


@pytest.mark.parametrize("what", ["zero", "mean"])
def test_the_divergence_is_that_of_the_distributions(storyteller, what):
    model, tokenizer = storyteller
    found = aw.effects.ablate(model, TEXTS[:1], tokenizer, what=what, metric="kl", progress=False)
    assert bool((found.effect >= 0).all())
    assert math.isnan(found.baseline)
    if what == "zero":
        batch = tokenizer(TEXTS[0], return_tensors="pt")
        with torch.no_grad():
            p = model(**batch).logits[0].log_softmax(-1)
            q = without(model, 1, 2, 32)(**batch).logits[0].log_softmax(-1)
        assert float(found.effect[1, 2]) == pytest.approx(float((p.exp() * (p - q)).sum(-1).mean()), abs=1e-5)


def test_a_head_replaced_by_its_own_mean_where_it_never_changes_loses_nothing():
    model = made(NEXT_WORD["LLaMA"])
    for layer in model.model.layers:
        layer.self_attn.v_proj.weight.data.zero_()  # what heads put out is the bias of their values alone
    found = aw.effects.ablate(model, [{"input_ids": IDS}], what="mean", progress=False)
    torch.testing.assert_close(found.effect, torch.zeros(2, 4), atol=1e-5, rtol=0)
    assert float(aw.effects.ablate(model, [{"input_ids": IDS}], progress=False).effect.abs().max()) > 1e-3


def test_the_model_is_left_as_it_was_also_where_somebody_interrupts(storyteller, monkeypatch):
    model, tokenizer = storyteller
    model.train()
    forward, calls = type(model).forward, []

    def interrupted(self, *args, **kwargs):
        calls.append(1)
        if len(calls) > 25:  # amid the second example
            raise KeyboardInterrupt
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(type(model), "forward", interrupted)
    found = aw.effects.ablate(model, TEXTS, tokenizer, progress=False)
    assert found.interrupted
    assert found.n_examples == 1
    assert bool(found.effect.isfinite().all())
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    model.eval()


def heads_of(model, inputs):
    """What the heads of each layer put out, as LLaMA hands it to its projection: [batch, tokens, heads * width]."""
    given = []
    hooks = [
        layer.self_attn.o_proj.register_forward_pre_hook(lambda _, args: given.append(args[0]))
        for layer in model.model.layers
    ]
    with torch.no_grad():
        model(**inputs)
    for hook in hooks:
        hook.remove()
    return given


def loss_with(model, ids, layer, head, instead):
    """The loss where a head puts out something else: [tokens, width]."""

    def other(_, args):
        heads = args[0].clone()
        heads[0, :, head * 8 : (head + 1) * 8] = instead
        return (heads,)

    hook = model.model.layers[layer].self_attn.o_proj.register_forward_pre_hook(other)
    with torch.no_grad():
        loss = float(model(input_ids=ids, labels=ids).loss)
    hook.remove()
    return loss


OTHERS = [IDS[:1], IDS[1:], IDS[:1, 2:].flip(1)]  # 9, 9 and 7 tokens


@pytest.mark.parametrize("chosen", [[0, 1], [0, 2], [2, 1, 0]])
def test_a_resampled_head_puts_out_what_it_puts_out_for_the_next_example(chosen):
    model = made(NEXT_WORD["LLaMA"])
    texts = [OTHERS[at] for at in chosen]
    found = aw.effects.ablate(model, [{"input_ids": ids} for ids in texts], what="resample", progress=False)
    layer, head = 1, 2
    change = []
    for ids, other in zip(texts, texts[1:] + texts[:1], strict=True):
        put_out = heads_of(model, {"input_ids": other})[layer][0, :, head * 8 : (head + 1) * 8]
        at = torch.arange(ids.shape[1]) % other.shape[1]
        with torch.no_grad():
            change.append(
                loss_with(model, ids, layer, head, put_out[at]) - float(model(input_ids=ids, labels=ids).loss)
            )
    assert float(found.effect[layer, head]) == pytest.approx(sum(change) / len(change), abs=1e-5)


def test_a_padded_batch_is_resampled_as_its_examples_are():
    model = made(NEXT_WORD["LLaMA"])
    padded = torch.stack([torch.cat([OTHERS[2][0], OTHERS[2].new_zeros(2)]), IDS[1]])
    mask = torch.ones_like(padded)
    mask[0, 7:] = 0
    together = {"input_ids": padded, "attention_mask": mask}
    for what in ("resample", "mean"):
        one = aw.effects.ablate(model, [together], what=what, progress=False)
        apart = [{"input_ids": OTHERS[2]}, {"input_ids": IDS[1:]}]
        other = aw.effects.ablate(model, apart, what=what, progress=False)
        torch.testing.assert_close(one.effect, other.effect, atol=1e-5, rtol=0)


@pytest.mark.parametrize("chosen", [[0, 1], [0, 2]])
def test_the_mean_is_of_each_position_where_lengths_agree_and_else_of_all(chosen):
    model = made(NEXT_WORD["LLaMA"])
    texts = [OTHERS[at] for at in chosen]
    found = aw.effects.ablate(model, [{"input_ids": ids} for ids in texts], what="mean", progress=False)
    layer, head = 0, 3
    each = [heads_of(model, {"input_ids": ids})[layer][0, :, head * 8 : (head + 1) * 8] for ids in texts]
    mean = torch.stack(each).mean(0) if chosen == [0, 1] else torch.cat(each).mean(0)
    change = []
    for ids in texts:
        with torch.no_grad():
            change.append(loss_with(model, ids, layer, head, mean) - float(model(input_ids=ids, labels=ids).loss))
    assert float(found.effect[layer, head]) == pytest.approx(sum(change) / 2, abs=1e-5)


def test_one_example_alone_is_not_resampled():
    with pytest.raises(ValueError, match="there is one example"):
        aw.effects.ablate(made(NEXT_WORD["LLaMA"]), [{"input_ids": IDS[:1]}], what="resample", progress=False)


def test_the_change_of_a_logit_is_that_of_the_token_that_was_asked_for(storyteller):
    model, tokenizer = storyteller
    story = "Lily and Ben went to the park . Lily gave the ball to"
    options = {"metric": "logit", "target": "Ben", "against": "Lily"}
    found = aw.effects.ablate(model, [story], tokenizer, progress=False, **options)
    ben, lily = (tokenizer(name)["input_ids"][-1] for name in ("Ben", "Lily"))
    inputs = tokenizer(story, return_tensors="pt")
    with torch.no_grad():
        before, after = (one(**inputs).logits[0, -1] for one in (model, without(model, 3, 1, 32)))
    assert found.baseline == pytest.approx(float(before[ben] - before[lily]), abs=1e-4)
    change = float((after[ben] - after[lily]) - (before[ben] - before[lily]))
    assert float(found.effect[3, 1]) == pytest.approx(change, abs=1e-4)
    # Of each example its own, at a position that padding does not move.
    other = "Ben was happy . Lily gave the ball to"
    batch = tokenizer([story, other], return_tensors="pt", padding=True)
    several = {"metric": "logit", "target": [ben, lily], "position": -1}
    both = aw.effects.ablate(model, [batch], tokenizer, progress=False, **several)
    each = [
        aw.effects.ablate(model, [text], tokenizer, metric="logit", target=name, progress=False).effect
        for text, name in ((story, "Ben"), (other, "Lily"))
    ]
    torch.testing.assert_close(both.effect, (each[0] + each[1]) / 2, atol=1e-4, rtol=0)


def test_the_logit_of_a_class_has_no_position():
    torch.manual_seed(0)
    model = tf.BertForSequenceClassification(tf.BertConfig(**SIZED, id2label={0: "no", 1: "yes"})).eval()
    named, numbered = (
        aw.effects.ablate(model, [{"input_ids": IDS}], metric="logit", target=target, progress=False)
        for target in ("yes", 1)
    )
    assert torch.equal(named.effect, numbered.effect)
    with torch.no_grad():
        assert named.baseline == pytest.approx(float(model(input_ids=IDS).logits[:, 1].mean()), abs=1e-5)
    with pytest.raises(ValueError, match="class 'maybe' is not known; this model has 'no', 'yes'"):
        aw.effects.ablate(model, [{"input_ids": IDS}], metric="logit", target="maybe", progress=False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": 3}, "target, against and position are of metric='logit'"),
        ({"metric": "logit", "target": [1, 2, 3]}, "target has 3 entries for 2 examples"),
        ({"metric": "logit", "position": 9}, "position=9 does not exist in example 0; it has 9 tokens"),
    ],
)
def test_a_target_that_is_none_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        aw.effects.ablate(made(NEXT_WORD["LLaMA"]), [{"input_ids": IDS}], progress=False, **options)


def test_an_example_without_a_loss_is_named_and_left_out():
    torch.manual_seed(0)
    model = tf.ViTForImageClassification(tf.ViTConfig(**PICTURES, num_labels=3)).eval()
    pictures = torch.rand(3, 3, 16, 16)
    pictures[1] = math.nan
    labels = torch.tensor([0, 1, 2])
    good = [({"pixel_values": pictures[[0, 2]]}, labels[[0, 2]])]
    for measure in (aw.effects.ablate, aw.effects.head_importance):
        with pytest.warns(aw.AttentionWarning, match="example 1, counted from 0"):
            found = measure(model, [({"pixel_values": pictures}, labels)], progress=False)
        assert (found.n_examples, found.left_out) == (2, (1,))
        torch.testing.assert_close(found.effect, measure(model, good, progress=False).effect, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_where_memory_runs_out_what_is_there_is_kept(storyteller, monkeypatch, error):
    model, tokenizer = storyteller
    whole = aw.effects.ablate(model, TEXTS[:1], tokenizer, progress=False)
    forward = type(model).forward

    def too_much(self, input_ids, *args, **kwargs):
        if input_ids.shape[1] != whole_length:
            raise error
        return forward(self, input_ids, *args, **kwargs)

    whole_length = len(tokenizer(TEXTS[0])["input_ids"])
    monkeypatch.setattr(type(model), "forward", too_much)
    found = aw.effects.ablate(model, TEXTS, tokenizer, progress=False)
    assert found.interrupted
    assert "out of memory after 1 examples; go on with the data from example 1 on" in found.reason
    torch.testing.assert_close(found.effect, whole.effect)
    with pytest.raises(type(error), match="memory"):  # nothing is there
        aw.effects.ablate(model, TEXTS[1:], tokenizer, progress=False)


@pytest.mark.parametrize(
    ("build", "example", "options"),
    [
        (
            lambda: tf.BertForSequenceClassification(tf.BertConfig(**SIZED, num_labels=3)),
            ({"input_ids": IDS}, torch.tensor([1, 2])),
            {},
        ),
        (
            lambda: tf.ViTForImageClassification(tf.ViTConfig(**PICTURES, num_labels=3)),
            ({"pixel_values": torch.rand(2, 3, 16, 16)}, torch.tensor([0, 2])),
            {"metric": "kl"},
        ),
        (
            lambda: tf.BartForConditionalGeneration(
                tf.BartConfig(
                    vocab_size=100, d_model=32, max_position_embeddings=64, forced_eos_token_id=None, **HALVES
                )
            ),
            {"input_ids": IDS, "labels": IDS},
            {"part": "cross"},
        ),
    ],
)
def test_heads_of_other_models_are_taken_away_too(build, example, options):
    torch.manual_seed(0)
    found = aw.effects.ablate(build().eval(), [example], progress=False, **options)
    assert found.effect.shape == (2, 4)
    assert found.n_examples == 2
    assert float(found.effect.abs().max()) > 0


@pytest.mark.parametrize(
    ("data", "options", "error", "words"),
    [
        ([], {}, ValueError, "data is empty"),
        (3, {}, TypeError, "data is int; expected texts"),
        (TEXTS, {"what": "half"}, ValueError, "what"),
        (TEXTS, {"metric": "f1"}, ValueError, "metric"),
        (TEXTS, {"part": "cross"}, ValueError, "part='cross'; this model attends in attention"),
        ([""], {}, ValueError, "empty"),
        ([{"input_ids": IDS[:1, :1]}], {}, ValueError, "no token whose loss could be taken"),
    ],
)
def test_bad_input_is_refused(storyteller, data, options, error, words):
    model, tokenizer = storyteller
    with pytest.raises(error, match=words):
        aw.effects.ablate(model, data, tokenizer, progress=False, **options)


def test_measuring_in_one_thread_changes_nothing_in_another():
    model, data = made(NEXT_WORD["LLaMA"]), [{"input_ids": IDS}]
    model.train()
    with torch.no_grad():
        model.eval()
        wanted = model(input_ids=IDS).logits
        model.train()
    found, stop = [], threading.Event()

    def run():
        while not stop.is_set():
            with torch.no_grad():
                found.append(model(input_ids=IDS).logits)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        ablate = aw.effects.ablate(model, data, progress=False)
        importance = aw.effects.head_importance(model, data, progress=False)
    finally:
        stop.set()
        thread.join()
    assert found
    for one in found:
        torch.testing.assert_close(one, wanted, atol=1e-5, rtol=1e-4)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    torch.testing.assert_close(ablate.effect, aw.effects.ablate(model, data, progress=False).effect)
    torch.testing.assert_close(importance.effect, aw.effects.head_importance(model, data, progress=False).effect)


LABELLED = {
    "classes": (3, torch.tensor([0, 2])), "numbers": (1, torch.tensor([2.5, -1.0])),
    "several classes": (3, torch.tensor([[0.0, 1, 1], [1, 0, 0]])),
}  # fmt: skip


@pytest.mark.parametrize("kind", LABELLED)
@pytest.mark.parametrize("n", [1, 2])
def test_labels_in_a_mapping_are_labels_beside_it(kind, n):
    n_labels, labels = LABELLED[kind]
    sizes = {"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    model = made(
        lambda: tf.BertForSequenceClassification(tf.BertConfig(**sizes, intermediate_size=64, num_labels=n_labels))
    )
    inside = aw.effects.ablate(model, [{"input_ids": IDS[:n], "labels": labels[:n]}], progress=False)
    beside = aw.effects.ablate(model, [({"input_ids": IDS[:n]}, labels[:n])], progress=False)
    with torch.no_grad():
        wanted = model(input_ids=IDS[:n], labels=labels[:n]).loss
    assert inside.baseline == pytest.approx(float(wanted), rel=1e-5)
    assert torch.equal(inside.effect, beside.effect)
    felt = aw.effects.head_importance(model, [{"input_ids": IDS[:n], "labels": labels[:n]}], progress=False)
    assert float(felt.effect.max()) > 0
