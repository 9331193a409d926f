"""Lenses through lenses, and everything that takes maps takes what is seen through them."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

import attnwidget as aw
from attnwidget.layers import DenseLayer, Mask, ProjectedLayer
from attnwidget.tokens import Tokens
from tests.lenses.kinds import KINDS, PIECES, assert_same, dense, maps_of, without_by_hand, words_by_hand

every_kind = pytest.mark.parametrize("kind", KINDS)

LENSES = {
    "words": lambda maps: maps.words(),
    "special": lambda maps: maps.without(special=True),
    "chosen": lambda maps: maps.without(tokens=[1, -2]),
    "only": lambda maps: maps.only(range(2, maps.n_keys - 1)),
    "mean": lambda maps: maps.mean_of_heads(),
    "largest": lambda maps: maps.max_of_heads(),
}


def by_hand(kind, maps, weights, outside):
    """The same with matrices: what the lens gives of them, with the maps as they were before it."""
    offset = maps.n_keys - maps.n_queries
    size = maps.n_keys

    def without(hidden):
        keys = [i for i in range(size) if i not in hidden]
        if not hidden:
            return weights, outside
        return without_by_hand(weights, outside, [key - offset for key in keys if key >= offset], keys)

    if kind == "words":
        keys = runs(maps.key_tokens)
        queries = [[piece - offset for piece in word if piece >= offset] for word in keys]
        return words_by_hand(weights, outside, [word for word in queries if word], keys)
    if kind == "special":
        return without({i for i in range(size) if maps.key_tokens.special[i]})
    if kind == "chosen":
        return without({1, size - 2})
    if kind == "only":
        return without({0, 1, size - 1})
    if kind == "mean":
        sees = (weights.sum(-1) != 0).double()
        number = sees.sum(0).clamp(min=1)
        return (weights.sum(0) / number[:, None])[None], ((outside * sees).sum(0) / number)[None]
    largest = weights.amax(0, keepdim=True)
    lacking = (1 - largest.sum(-1)).clamp(min=0)
    return largest, lacking.masked_fill((lacking <= 1e-2) | (largest.sum(-1) == 0), 0)


def runs(tokens):
    """Pieces of words, one after the other."""
    apart = {end for span in tokens.spans for end in (span.start, span.stop)}
    words = []
    for i, word in enumerate(tokens.words):
        if words and word == tokens.words[i - 1] and i not in apart:
            words[-1].append(i)
        else:
            words.append([i])
    return words


@pytest.mark.parametrize("second", LENSES)
@pytest.mark.parametrize("first", LENSES)
@every_kind
def test_two_deep_in_every_order(kind, first, second):
    maps = maps_of(KINDS[kind])
    once = LENSES[first](maps)
    expected = by_hand(second, once, *by_hand(first, maps, *dense(maps)))
    assert_same(LENSES[second](once), expected)


@given(st.lists(st.sampled_from([*LENSES]), min_size=3, max_size=5), st.sampled_from([*KINDS]))
@settings(max_examples=60, deadline=None)
def test_any_number_deep(names, kind):
    maps = maps_of(KINDS[kind])
    expected = dense(maps)
    for name in names:
        expected = by_hand(name, maps, *expected)
        maps = LENSES[name](maps)
    assert_same(maps, expected, tolerance=1e-10)


def test_hiding_and_choosing_before_words_is_not_the_same_as_after():
    maps = maps_of(KINDS["causal"])
    before, after = maps.without(tokens=[6]).words(), maps.words().without(tokens=[4])
    assert before.tokens.labels[4] == "reing"
    assert after.tokens.labels[4] == "ly"


LENSED = {
    "words": lambda maps: maps.words(),
    "hidden": lambda maps: maps.without(special=True, sinks=True),
    "words of what is left": lambda maps: maps.without(tokens=[2, 9]).words(),
    "left of words": lambda maps: maps.words().without(tokens=[2, 9]),
    "only": lambda maps: maps.only(spans=["first", "second"]),
    "mean of words": lambda maps: maps.words().mean_of_heads(),
}


@pytest.fixture(
    scope="module", params=[f"{kind}: {lens}" for kind in ("causal", "sinks and window", "weights") for lens in LENSED]
)
def lensed(request):
    kind, lens = request.param.split(": ")
    return LENSED[lens](maps_of(KINDS[kind]))


def as_matrices(maps):
    """The same as matrices with a mask, which no lens has anything to do with."""
    layers = []
    for layer in maps.layers:
        heads, queries, _ = layer.shape
        weights = layer.weights(slice(0, heads), slice(0, queries))
        layers.append(DenseLayer(weights, layer.mask))
    return aw.AttentionMaps(layers, Tokens(maps.tokens.labels, None, maps.tokens.special))


MEASURES = {
    "entropy": aw.measures.entropy,
    "locality": aw.measures.locality,
    "sinks": lambda maps: aw.measures.sinks(maps)["score"],
    "patterns": lambda maps: aw.measures.pattern_scores(maps)["previous"],
    "diversity": aw.measures.head_diversity,
    "rollout": aw.measures.rollout,
}


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_takes_them(name, lensed):
    measure = MEASURES[name]
    torch.testing.assert_close(measure(lensed), measure(as_matrices(lensed)), equal_nan=True, rtol=0, atol=1e-6)


def test_the_table_takes_them(lensed):
    known = aw.summarize(as_matrices(lensed), progress=False)
    found = aw.summarize(lensed, progress=False)
    of_scores = {"score_max", "score_std", "lse"}
    assert {*known.columns} == {*found.columns}
    for name in {*known.columns} - of_scores:
        torch.testing.assert_close(
            torch.tensor(found[name].to_numpy(dtype=float)),
            torch.tensor(known[name].to_numpy(dtype=float)),
            equal_nan=True, rtol=0, atol=1e-5,
        )  # fmt: skip


def test_scores_are_measured_where_queries_and_keys_are_still_held():
    maps = maps_of(KINDS["causal"]).without(tokens=[2, 9])
    largest = max(float(maps.scores(1, head).max()) for head in range(4))
    assert aw.measures.score_health(maps)["score_max"][1].max().item() == pytest.approx(largest)
    with pytest.raises(ValueError, match="Scores are known where queries and keys are held"):
        aw.measures.score_health(maps.words())


def test_a_diagnosis_takes_them(lensed):
    findings = aw.diagnose(lensed)
    assert all(finding.sentence for finding in findings)


@pytest.mark.parametrize(
    ("kind", "places"),
    [
        ("head", {"layer": 1, "head": 0}),
        ("heads", {"layer": 1}),
        ("row", {"layer": 1, "head": 0, "query": 3}),
        ("entropy", {}),
    ],
)
def test_a_figure_takes_them(kind, places, lensed):
    figure = aw.figure(lensed, kind=kind, **places)
    assert figure.axes
    figure.clear()


def test_a_file_brings_them_back(lensed, tmp_path):
    back = aw.AttentionMaps.load(lensed.save(tmp_path / "lensed.safetensors"))
    assert (back.tokens, back.notes, back.causal) == (lensed.tokens, lensed.notes, lensed.causal)
    torch.testing.assert_close(dense(back)[0], dense(lensed)[0], rtol=0, atol=1e-7)


def test_a_view_takes_them(lensed):
    view = aw.Explorer(lensed, layer=1, query=2)
    assert view.maps is lensed
    assert view.to_html(progress=False)
    view.close()


N_LONG, HEADS = 4096, 12


@pytest.fixture(scope="module")
def long():
    """q and k of 4,096 tokens and 12 heads; all matrices of a layer would be 800 MB."""
    draw = torch.Generator().manual_seed(0)
    q, k = (torch.randn(HEADS, N_LONG, 8, generator=draw) for _ in range(2))
    layers = [ProjectedLayer(q, k, 0.35, Mask(causal=True, window=window)) for window in (None, 512)]
    tokens = Tokens.from_labels((PIECES * (N_LONG // len(PIECES) + 1))[:N_LONG])
    return aw.AttentionMaps(layers, tokens)


@pytest.mark.parametrize(
    "lens",
    [
        lambda maps: maps.words(),
        lambda maps: maps.without(special=True, tokens=[7, 100]),
        lambda maps: maps.without(special=True, tokens=[7, 100]).words(),
        lambda maps: maps.words().without(tokens=range(5, 500, 7)),
    ],
    ids=["words", "hidden", "words of what is left", "left of words"],
)
def test_nothing_of_the_size_of_a_matrix_is_held(lens, long):
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            found = func(*args, **(kwargs or {}))
            if isinstance(found, torch.Tensor):
                largest = max(largest, found.untyped_storage().nbytes())
            return found

    with Watch(), torch.no_grad():
        maps = lens(long)
        rows = torch.arange(0, maps.n_queries, 300)
        for layer in maps.layers:
            layer.weights(slice(0, HEADS), rows)
            layer.visible(slice(0, HEADS), rows)
            assert layer.mask.additive is None
        aw.measures.entropy(maps)
    assert largest < 32e6  # one head's matrix is 67 MB
