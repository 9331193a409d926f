"""The steps of attention, by hand and beside other programs."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
import torch

from attnwidget.teaching.steps import HEADS, head_steps, mixed, ranges, rotated, seeded, slopes, steps, visibility

UNITS, VALUES = np.eye(3), np.array([[1.0], [2.0], [3.0]])


def drawn(*shape, seed=0):
    return np.random.RandomState(seed).standard_normal(shape)


@pytest.mark.parametrize("temperature", [10, 1, 0.1, 0.01])
def test_three_keys_by_hand(temperature):
    made = steps(np.array([[0.3, 0.7, 0.0]]), UNITS, VALUES, scaling=1.0, temperature=temperature)
    exponentials = [math.exp(score / temperature) for score in (0.3, 0.7, 0.0)]
    weights = [one / sum(exponentials) for one in exponentials]
    retrieved = sum(weight * value for weight, value in zip(weights, (1, 2, 3), strict=True))
    np.testing.assert_allclose(made.weights[0], weights, atol=1e-9)
    assert made.output[0, 0] == pytest.approx(retrieved, abs=1e-9)
    entropy = -sum(weight * math.log(weight) for weight in weights)
    assert made.entropy[0] == pytest.approx(entropy, abs=1e-9)


@pytest.mark.parametrize(
    ("temperature", "weights", "retrieved"),
    [
        (10, [0.332087, 0.345640, 0.322273], 1.990185),
        (1, [0.309344, 0.461488, 0.229168], 1.919824),
        (0.1, [0.017970, 0.981135, 0.000895], 1.982925),
        (0.01, [0.0, 1.0, 0.0], 2.0),
    ],
)
def test_three_keys_as_a_table_would_print_them(temperature, weights, retrieved):
    made = steps(np.array([[0.3, 0.7, 0.0]]), UNITS, VALUES, scaling=1.0, temperature=temperature)
    np.testing.assert_allclose(made.weights[0], weights, atol=1e-6)
    assert made.output[0, 0] == pytest.approx(retrieved, abs=1e-6)


def test_unscaled_scores_of_wide_vectors_leave_no_entropy_and_no_slope():
    query, key = seeded(0, 8, 1024)
    none = np.zeros((8, 0))
    scaled, unscaled = steps(query, key, none), steps(query, key, none, scaling=1.0)
    assert scaled.entropy.mean() > 1.3
    assert unscaled.entropy.mean() < 0.1
    assert slopes(scaled.weights).mean() > 0.5
    assert slopes(unscaled.weights).mean() < 0.1
    assert unscaled.scores.std() == pytest.approx(math.sqrt(1024), rel=0.2)
    assert scaled.scaled.std() == pytest.approx(1, rel=0.2)


@pytest.mark.parametrize("labels", [[], ["a", "", ""], ["a"]])
def test_a_token_without_a_name_is_the_same_word_as_no_other(labels):
    made = head_steps("same", UNITS, UNITS, VALUES, labels=labels)
    np.testing.assert_array_equal(made.scores, 4 * UNITS)


@pytest.mark.parametrize("temperature", [1e-6, 1, 1e6])
def test_every_row_sums_to_one(temperature):
    made = steps(drawn(6, 4), drawn(6, 4, seed=1), drawn(6, 2), temperature=temperature)
    np.testing.assert_allclose(made.weights.sum(axis=1), 1, atol=1e-12)
    assert (made.entropy <= ranges(made.visible) + 1e-12).all()


def test_a_row_that_sees_nothing_is_nan_and_no_other():
    visible = visibility("causal", 5, 5)
    visible[2] = False
    made = steps(drawn(5, 4), drawn(5, 4, seed=1), drawn(5, 3), visible=visible)
    blind = np.arange(5) == 2
    for array in (made.weights, made.output, made.entropy[:, None], ranges(visible)[:, None], slopes(made.weights)):
        np.testing.assert_array_equal(np.isnan(array).reshape(5, -1).all(axis=1), blind)
        np.testing.assert_array_equal(np.isnan(array).reshape(5, -1).any(axis=1), blind)
    assert np.isfinite(made.scores).all()


@pytest.mark.parametrize("mask", ["none", "causal"])
@pytest.mark.parametrize("scaling", [None, 1.0, 0.3])
def test_torch_agrees(mask, scaling):
    query, key, value = drawn(7, 6), drawn(7, 6, seed=1), drawn(7, 5, seed=2)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        *(torch.tensor(one)[None] for one in (query, key, value)), is_causal=mask == "causal", scale=scaling
    )
    ours = steps(query, key, value, scaling=scaling, visible=visibility(mask, 7, 7))
    np.testing.assert_allclose(ours.output, theirs[0].numpy(), atol=1e-12)


def test_causal_with_more_keys_than_queries_ends_at_the_last_key():
    assert visibility("causal", 2, 4).tolist() == [[True, True, True, False], [True, True, True, True]]


@pytest.mark.parametrize("width", [2, 5, 8])
def test_positions_turn_each_pair_as_a_complex_number(width):
    vectors, positions = drawn(3, width), [0, 3, -250]
    for vector, position, turned in zip(vectors, positions, rotated(vectors, positions), strict=True):
        for pair in range(width // 2):
            angle = position / 10_000 ** (2 * pair / width)
            wanted = complex(*vector[2 * pair : 2 * pair + 2]) * cmath.exp(1j * angle)
            assert complex(*turned[2 * pair : 2 * pair + 2]) == pytest.approx(wanted, abs=1e-12)
        if width % 2:
            assert turned[-1] == vector[-1]


def test_transformers_turns_them_alike():
    from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb, create_sinusoidal_positions

    vectors, width = drawn(12, 8), 8
    sine, cosine = create_sinusoidal_positions(12, width).split(width // 2, dim=-1)
    theirs = apply_rotary_pos_emb(torch.tensor(vectors)[None, :, None], sine[None].double(), cosine[None].double())
    np.testing.assert_allclose(rotated(vectors, range(12)), theirs[0, :, 0].numpy(), atol=1e-5)


def test_a_score_depends_on_the_distance_alone():
    query, key = drawn(1, 6), drawn(1, 6, seed=1)

    def score(q, k):
        return (rotated(query, [q]) @ rotated(key, [k]).T).item()

    assert [score(q, q - 3) for q in (3, 5, 90, 1000)] == pytest.approx([score(0, -3)] * 4, abs=1e-9)
    assert score(5, 2) != pytest.approx(score(2, 5), abs=1e-3)


@pytest.mark.parametrize(("kind", "looks"), [("previous", [0, 0, 1, 2]), ("first", [0] * 4), ("same", [0, 1, 0, 3])])
def test_a_ruled_head_looks_where_its_name_says(kind, looks):
    tables = drawn(4, 3), drawn(4, 3, seed=1), drawn(4, 2, seed=2)
    made = head_steps(kind, *tables, labels=["the", "cat", "the", "mat"])
    assert made.weights.argmax(axis=1).tolist() == looks
    assert not made.weights[~np.tri(4, dtype=bool)].any()


def test_heads_are_mixed_by_a_product_and_else_by_their_mean():
    tables = drawn(4, 3), drawn(4, 3, seed=1), drawn(4, 2, seed=2)
    made = [head_steps(kind, *tables, labels=list("abca")) for kind in HEADS]
    side_by_side, output = mixed(made, np.zeros((0, 0)))
    np.testing.assert_allclose(side_by_side[:, 2:4], made[1].output)
    np.testing.assert_allclose(output, np.mean([one.output for one in made], axis=0), atol=1e-12)
    mixing = drawn(8, 3, seed=3)
    np.testing.assert_allclose(mixed(made, mixing)[1], side_by_side @ mixing, atol=1e-12)


def test_slopes_are_the_share_of_the_softmaxs_own_derivative():
    scores = torch.tensor(drawn(5), requires_grad=True)
    weights = torch.softmax(scores, 0)
    trace = sum(torch.autograd.grad(weights[at], scores, retain_graph=True)[0][at].item() for at in range(5))
    assert slopes(weights.detach().numpy()[None])[0] == pytest.approx(trace / (1 - 1 / 5), abs=1e-12)
    np.testing.assert_allclose(slopes(np.array([[0.25] * 4, [1, 0, 0, 0]])), [1, 0], atol=1e-12)
    assert np.isnan(slopes(np.ones((3, 1)))).all()


def test_drawn_numbers_are_standard_normal_and_depend_on_the_seed():
    query, key = seeded(3, 64, 512)
    numbers = np.concatenate([query.ravel(), key.ravel()])
    assert abs(numbers.mean()) < 0.02
    assert numbers.std() == pytest.approx(1, abs=0.02)
    assert abs(np.corrcoef(query.ravel(), key.ravel())[0, 1]) < 0.02
    assert not np.array_equal(seeded(4, 64, 512)[0], query)
    np.testing.assert_array_equal(seeded(3, 64, 512)[1], key)
