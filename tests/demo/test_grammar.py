"""The grammar: the same seed the same texts, no word outside the vocabulary, held-out pairs held out."""

import random
from collections import Counter

import pytest

from attnwidget.demo import name_pairs, repeated_words, sentences
from attnwidget.demo.grammar import ALL_PAIRS, HELD_OUT, STORIES, is_held_out, source, story
from attnwidget.demo.recipes.storyteller import build_tokenizer
from attnwidget.demo.stream import batch, reading
from attnwidget.demo.words import GIVING, NAMES, PLAIN_WORDS, WORDS


def test_same_seed_same_texts():
    assert sentences(50, seed=3) == sentences(50, seed=3)
    assert sentences(50, seed=3) != sentences(50, seed=4)
    assert name_pairs() == name_pairs()
    assert repeated_words(12, seed=1) == repeated_words(12, seed=1) != repeated_words(12, seed=2)


def test_same_seed_same_batches():
    read = reading(build_tokenizer())
    first, second = (batch(random.Random(5), read, 0.5, 0.4) for _ in range(2))
    assert (first[0] == second[0]).all()
    assert (first[1] == second[1]).all()


@pytest.mark.parametrize("maker", STORIES, ids=lambda maker: maker.__name__)
def test_every_word_of_a_story_is_in_the_vocabulary(maker):
    known, rng = set(WORDS), source(0)
    for _ in range(1000):
        text = maker(rng)
        assert set(text.split()) <= known, text
        assert text.split()[-1] == "."


def test_held_out_pairs_never_share_a_story():
    rng, seen = source("training 0"), set()
    for _ in range(30_000):
        names = sorted({word for word in story(rng).split() if word in NAMES})
        assert len(names) <= 2
        if len(names) == 2:
            assert not is_held_out(*names), names
            seen.add(frozenset(names))
    # The sample is generous: nearly every pair that may occur did.
    assert len(seen) > 0.95 * (len(ALL_PAIRS) - len(HELD_OUT))


def test_held_out_pairs_never_share_a_frame_in_the_training_stream():
    """Look for the giving frame in the rows as the model gets them, where stories follow each other."""
    tokenizer = build_tokenizer()
    read, rng, frames = reading(tokenizer), source("training 0"), 0
    for step in range(200):
        ids, _ = batch(rng, read, step / 200, 0.0)
        for row in ids:
            words = tokenizer.convert_ids_to_tokens(row.tolist())
            # Rows are cut at their end, so a frame may be cut too.
            for a, link, b in zip(words, words[1:], words[2:], strict=False):
                if link == "and" and a in NAMES and b in NAMES:
                    frames += 1
                    assert not is_held_out(a, b), words
            for at, word in enumerate(words):
                if word in GIVING and "to" in words[at : at + 6]:
                    giver, receiver = words[at - 1], words[at:].index("to") + at + 1
                    assert receiver == len(words) or not is_held_out(giver, words[receiver]), words
    assert frames > 5000


def test_name_pairs_come_in_both_orders_with_either_giver():
    held_out, others = name_pairs(), name_pairs(held_out=False)
    assert len(held_out) == 4 * len(HELD_OUT) == 160
    assert len(others) == 4 * (len(ALL_PAIRS) - len(HELD_OUT))
    forms = set()
    for prompt, answer in held_out:
        words = prompt.split()
        giver = next(word for word in words[3:] if word in NAMES)
        assert words[-1] == "to"
        assert is_held_out(words[0], words[2])
        assert {giver, answer} == {words[0], words[2]}
        forms.add((words[0], words[2], giver))
    assert len(forms) == len(held_out)
    assert not any(is_held_out(*[word for word in prompt.split() if word in NAMES][:2]) for prompt, _ in others)


def test_pronouns_do_not_depend_on_the_job():
    rng, counts = source(1), Counter()
    for _ in range(60_000):
        words = story(rng).split()
        if "because" in words:
            counts[words[1], words[words.index("because") + 1]] += 1
    for job in {job for job, _ in counts}:
        total = sum(counts[job, who] for who in ("she", "he", "they"))
        for who in ("she", "he", "they"):
            assert abs(counts[job, who] / total - 1 / 3) < 0.1, (job, who)


def test_repeated_words_are_distinct_and_said_again():
    words = repeated_words(30, copies=3, seed=9).split()
    assert words[:30] == words[30:60] == words[60:]
    assert len(set(words)) == 30
    assert set(words) <= set(PLAIN_WORDS)


@pytest.mark.parametrize("length", [0, -1, 10_000])
def test_repeated_words_refuses_a_length_it_cannot_do(length):
    with pytest.raises(ValueError, match="between 1 and"):
        repeated_words(length)


def test_repeated_words_refuses_no_copies():
    with pytest.raises(ValueError, match="copies"):
        repeated_words(3, copies=0)
