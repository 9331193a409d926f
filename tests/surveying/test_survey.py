"""A survey says of many texts what the texts say one by one, in whatever order they are put together."""

from __future__ import annotations

import random

import accelerate
import numpy as np
import pandas as pd
import pytest
import torch

import attnwidget as aw
from attnwidget.measures.numbers import NUMBERS
from tests.surveying import brute, making

TEXTS = [
    *aw.demo.sentences(32),
    *(aw.demo.repeated_words(8, 3, seed=seed) for seed in range(6)),
    "Ben ran .",
    "Lily",
]


@pytest.fixture(scope="module")
def precise():
    model, tokenizer = aw.demo.load()
    return model.double(), tokenizer


@pytest.fixture(scope="module")
def one_by_one(precise):
    return brute.numbers(*precise, TEXTS, NUMBERS)


def quiet(*given, **options):
    return aw.survey(*given, progress=False, **options)


def test_every_number_is_that_of_the_texts_one_by_one(precise, one_by_one):
    found = quiet(*precise, TEXTS, measures=NUMBERS, batch_size=7)
    assert found.count == len(TEXTS)
    brute.assert_same(found, one_by_one)


def test_a_number_that_does_not_exist_for_a_text_is_absent_and_not_0(precise):
    found = quiet(*precise, ["Lily", *TEXTS[:5]], measures=["induction", "entropy", "next"])
    assert found.count == 6
    count = found.arrays("count")
    assert np.asarray(count["induction"]).max() < 6
    assert np.asarray(count["entropy"]).min() == 6
    assert np.isnan(np.asarray(found.arrays()["next"])).all()


def test_parts_are_put_together_in_any_order(precise, one_by_one):
    parts = [quiet(*precise, TEXTS[start : start + 9], measures=NUMBERS) for start in range(0, len(TEXTS), 9)]
    whole = quiet(*precise, TEXTS, measures=NUMBERS)
    for seed in range(4):
        order = parts.copy()
        random.Random(seed).shuffle(order)
        left, right = order[: len(order) // 2], order[len(order) // 2 :]
        found = sum(left[1:], left[0]) + sum(right[1:], right[0])
        brute.assert_same(found, one_by_one)
        for share in (0.1, 0.5, 0.9):
            for name in NUMBERS:
                np.testing.assert_array_equal(found.arrays(share)[name], whole.arrays(share)[name])


def test_quantiles_are_right_to_one_percent(precise, one_by_one):
    found = quiet(*precise, TEXTS, measures=NUMBERS)
    for share in (0.0, 0.05, 0.5, 0.95, 1.0):
        for at, name in enumerate(NUMBERS):
            mine = np.asarray(found.arrays(share)[name])
            for place in np.ndindex(mine.shape):
                values = np.sort(one_by_one[(..., *place, at)])
                values = values[~np.isnan(values)]
                if len(values):
                    wanted = values[int(share * (len(values) - 1))]
                    assert mine[place] == pytest.approx(wanted, rel=0.0101, abs=2e-9)


def test_examples_are_the_texts_with_the_largest_and_smallest_numbers(precise, one_by_one):
    found = quiet(*precise, TEXTS, measures=["induction", "sink"], top=4)
    at = NUMBERS.index("induction")
    for layer, head in ((0, 0), (1, 2), (3, 3)):
        values = one_by_one[:, layer, head, at]
        order = sorted(np.flatnonzero(~np.isnan(values)), key=lambda one: (-values[one], one))
        largest, smallest = found.examples(layer, head, "induction")
        assert [one.number for one in largest] == order[:4]
        assert [one.text for one in largest] == [TEXTS[number] for number in order[:4]]
        assert [one.value for one in largest] == pytest.approx(values[order[:4]])
        assert smallest[0].value == pytest.approx(np.nanmin(values))


def test_an_example_names_the_token_that_speaks_most_for_it(precise):
    model, tokenizer = precise
    found = quiet(model, tokenizer, TEXTS, measures=["confidence", "sink", "locality"])
    largest = found.examples(2, 1, "confidence").largest[0]
    maps = aw.capture(model, largest.text, tokenizer, progress=False).maps
    rows = maps.weights(2, 1).amax(-1)
    assert largest.place == int(rows.argmax())
    sink = found.examples(2, 1, "sink").largest[0]
    maps = aw.capture(model, sink.text, tokenizer, progress=False).maps
    assert sink.place == int(aw.measures.sinks(maps)["top"][2, 1])


def test_equal_numbers_stand_in_the_order_of_the_data(precise):
    found = quiet(*precise, [TEXTS[0]] * 5, measures=["entropy"], top=3, batch_size=5)
    assert [one.number for one in found.examples(0, 0, "entropy").largest] == [0, 1, 2]
    assert [one.number for one in found.examples(0, 0, "entropy").smallest] == [0, 1, 2]


@pytest.mark.parametrize("kind", ["GPT-2", "BERT", "ALBERT", "DeBERTa", "Gemma 2", "T5's encoder"])
def test_other_families_too(precise, kind):
    tokenizer = precise[1]
    model = making.of_kind(kind, len(tokenizer))
    texts = [*TEXTS[:12], "Ben ran . Ben ran . Ben ran ."]
    found = quiet(model, tokenizer, texts, measures=NUMBERS, batch_size=5)
    brute.assert_same(found, brute.numbers(model, tokenizer, texts, NUMBERS), 1e-6)


def test_a_model_that_looks_at_padding_is_read_without_any(precise):
    class Plain(torch.nn.Module):
        def __init__(self, n):
            super().__init__()
            self.table = torch.nn.Embedding(n, 16)
            self.attention = torch.nn.MultiheadAttention(16, 2, batch_first=True)

        def forward(self, input_ids):
            x = self.table(input_ids)
            return self.attention(x, x, x)[0]

    torch.manual_seed(0)
    model = Plain(len(precise[1])).double().eval()
    texts = TEXTS[:10]
    found = quiet(model, precise[1], texts, measures=["entropy", "distance"], batch_size=4)
    wanted = []
    for text in texts:
        ids = torch.tensor([precise[1](text)["input_ids"]])
        maps = aw.capture(model, (ids,), progress=False).maps
        wanted.append(float(aw.measures.entropy(maps, reduce="queries")[0, 1]))
    assert np.asarray(found.arrays()["entropy"])[0, 1] == pytest.approx(np.mean(wanted))


def test_a_model_spread_by_accelerate_says_the_same(precise):
    whole = quiet(*precise, TEXTS[:9])
    model, tokenizer = aw.demo.load()
    spread = accelerate.cpu_offload(model.double())
    found = quiet(spread, tokenizer, TEXTS[:9])
    np.testing.assert_allclose(found.arrays()["entropy"], whole.arrays()["entropy"], rtol=1e-9)


def test_the_model_is_as_it_was(precise):
    model, tokenizer = precise
    model.train()
    quiet(model, tokenizer, TEXTS[:3])
    assert all(module.training for module in model.modules())
    model.eval()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_changed_attention_is_surveyed_as_changed(precise):
    model, tokenizer = precise
    with aw.effects.intervene(model, temperature=100.0):
        found = quiet(model, tokenizer, TEXTS[:6], measures=["normalized_entropy"])
    assert np.asarray(found.arrays("min")["normalized_entropy"]).min() > 0.95


def test_groups_are_compared_as_runs_are(precise):
    model, tokenizer = precise
    rows = [{"text": text, "kind": "a" if number % 3 else "b"} for number, text in enumerate(TEXTS[:40])]
    found = quiet(model, tokenizer, rows, measures=["entropy", "sink"], by="kind")
    assert found.sizes == {"a": 26, "b": 14}
    captured = {
        kind: [aw.capture(model, row["text"], tokenizer, progress=False) for row in rows if row["kind"] == kind]
        for kind in "ab"
    }
    wanted = aw.effects.groups(captured["a"], captured["b"], "entropy")
    mine = found.groups("entropy", "a", "b")
    for name in ("difference", "low", "high", "effect_size", "p", "corrected"):
        torch.testing.assert_close(getattr(mine, name), getattr(wanted, name).double(), rtol=1e-6, atol=1e-9)
    assert mine.sizes == (26, 14)
    table = found.to_frame(by_group=True)
    assert set(table.index.get_level_values("group")) == {"a", "b"}


def test_correct_against_incorrect_by_a_function_of_the_row(precise):
    pairs = [(text, number % 2 == 0) for number, text in enumerate(TEXTS[:12])]
    found = quiet(*precise, pairs, by=lambda row: row[1])
    assert found.sizes == {True: 6, False: 6}
    assert quiet(*precise, pairs).sizes == found.sizes


def test_mass_between_labels_of_words_is_that_of_spans(precise):
    model, tokenizer = precise
    texts = ["Lily ran to the park .", "Ben gave the ball to Lily .", "the dog ran ."]
    parts = {"Lily": "N", "Ben": "N", "park": "N", "ball": "N", "dog": "N", "ran": "V", "gave": "V", "the": "D"}
    rows = [{"text": text, "pos": [parts.get(word) for word in text.split()]} for text in texts]
    found = quiet(model, tokenizer, rows, labels="pos").between
    assert found.labels == ("D", "N", "V")
    mass, count = np.zeros((4, 4, 3, 3)), np.zeros((3, 3))
    for row in rows:
        weights = aw.capture(model, row["text"], tokenizer, progress=False).maps
        own = [None, *row["pos"]][: weights.n_queries]
        for a, one in enumerate(found.labels):
            for b, other in enumerate(found.labels):
                queries = [i for i, label in enumerate(own) if label == one]
                keys = [i for i, label in enumerate(own) if label == other]
                if queries and keys:
                    count[a, b] += 1
                    for layer, head in np.ndindex(4, 4):
                        given = weights.weights(layer, head)[queries][:, keys].sum(-1).mean()
                        mass[layer, head, a, b] += float(given)
    np.testing.assert_array_equal(found.count, np.broadcast_to(count, (4, 4, 3, 3)))
    np.testing.assert_allclose(found.mass, mass / count, rtol=1e-9)
    assert (found.chance <= 1).all()
    assert found.to_frame().index.names == ["layer", "head", "from", "to"]


def test_labels_by_a_function_of_the_tokens(precise):
    found = quiet(*precise, TEXTS[:8], labels=making.by_length)
    assert found.between.labels == ("long", "short")
    assert found.between.count.max() == 8
    parts = quiet(*precise, TEXTS[:3], labels=making.by_length) + quiet(*precise, TEXTS[3:8], labels=making.by_length)
    np.testing.assert_allclose(parts.between.mass, found.between.mass, rtol=1e-12)


def test_tables_and_arrays_name_their_axes(precise):
    found = quiet(*precise, TEXTS[:8], measures=["entropy", "sink"])
    table = found.to_frame(quantiles=[0.5])
    assert list(table.columns) == ["count", "mean", "std", "min", "max", "50%"]
    assert len(table) == 4 * 4 * 2
    assert table.attrs["units"]["entropy"] == "nats"
    array = found.arrays()["entropy"]
    assert array.dims == ("layer", "head")
    assert array.coords == {"layer": [0, 1, 2, 3], "head": [0, 1, 2, 3]}
    assert table.loc[(2, 1, "entropy"), "mean"] == array[2, 1]


def test_data_of_many_kinds(precise):
    wanted = quiet(*precise, TEXTS[:6])

    class Indexed:
        def __len__(self):
            return 6

        def __getitem__(self, at):
            return {"sentence": TEXTS[at], "n": at}

    frame = pd.DataFrame({"sentence": TEXTS[:6], "n": range(6)}, index=list("abcdef"))
    for data in (
        iter(TEXTS[:6]),
        tuple(TEXTS[:6]),
        frame,
        frame["sentence"],
        Indexed(),
        [{"sentence": text} for text in TEXTS[:6]],
        [{"sentence": text.split()} for text in TEXTS[:6]],
    ):
        column = "sentence" if not isinstance(data, (tuple, pd.Series)) and not hasattr(data, "__next__") else None
        found = quiet(*precise, data, column=column)
        np.testing.assert_allclose(found.arrays()["entropy"], wanted.arrays()["entropy"], rtol=1e-12)


def test_a_model_by_folder_and_by_a_function(precise):
    wanted = quiet(*precise, TEXTS[:6])
    folder = aw.demo.folder("storyteller")
    for model, tokenizer in ((folder, None), (str(folder), folder), (making.storyteller, None)):
        found = quiet(model, tokenizer, TEXTS[:6], dtype="float64", device="cpu")
        np.testing.assert_allclose(found.arrays()["entropy"], wanted.arrays()["entropy"], rtol=1e-9)


@pytest.mark.filterwarnings("ignore:.*NaN in rows of:attnwidget.AttentionWarning")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_key_without_a_finite_score_spoils_no_row_that_does_not_see_it(value):
    model, tokenizer = aw.demo.load()
    model.double()

    def spoil(_module, _given, made):
        made[:, 5] = value
        return made

    model.model.layers[3].self_attn.k_proj.register_forward_hook(spoil)
    texts = TEXTS[:6]
    found = quiet(model, tokenizer, texts, measures=NUMBERS)
    brute.assert_same(found, brute.numbers(model, tokenizer, texts, NUMBERS))
    assert found.broken == {(3, head): 6 for head in range(4)}
    assert np.isfinite(found.arrays()["entropy"][3]).all()
