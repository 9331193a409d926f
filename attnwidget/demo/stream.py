"""Training rows: stories and repeated random words, as ids with a weight for every word to predict.

The order of the lessons is what makes the training short. Short lines said several times come first: they teach a
head to look at the previous word, then one to find what followed last time. Long lines follow, and the stories
are there all along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnwidget.demo.grammar import random_words, story
from attnwidget.demo.words import WORDS

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

# (ids a row, rows a batch, chance): about the same number of ids a batch, so about the same time a step.
FIRST_SHAPES = ((32, 64, 0.9), (64, 32, 0.1))
SHAPES = ((48, 40, 0.7), (96, 20, 0.25), (256, 8, 0.05))
FIRST_LESSONS = 0.12  # share of the steps with short rows and lines of at most 8 words
GROWN = 0.25  # share of the steps after which a line may have 40 words
UNKNOWN = 0.01  # share of the words of the stories that the model may not see
IGNORED = -100  # the label of a word nobody asks for
NO_MASK = -1  # a decoder has no mask token


@dataclass(frozen=True)
class Reading:
    """How words become rows: the ids of the words, and the ids of the special tokens.

    `close` ends a row of an encoder and a story of a decoder.
    """

    ids: dict[str, int]
    start: int
    close: int
    unknown: int
    mask: int = NO_MASK


def reading(tokenizer: PreTrainedTokenizerBase) -> Reading:
    """Collect the ids that the training rows need."""
    vocabulary = tokenizer.get_vocab()
    encoder = tokenizer.mask_token is not None
    return Reading(
        ids={word: vocabulary[word] for word in WORDS},
        start=tokenizer.cls_token_id if encoder else tokenizer.bos_token_id,
        close=tokenizer.sep_token_id if encoder else tokenizer.eos_token_id,
        unknown=tokenizer.unk_token_id,
        mask=tokenizer.mask_token_id if encoder else NO_MASK,
    )


def story_row(rng: random.Random, read: Reading, width: int) -> tuple[list[int], list[float]]:
    """Fill a row with stories; every word counts, save those hidden from the model."""
    # A decoder learns to end a story, and to go on without an end, as a text typed by somebody does.
    end = [read.close] if read.mask == NO_MASK and rng.random() < 0.5 else []
    ids: list[int] = []
    while len(ids) < width:
        ids += [read.unknown if rng.random() < UNKNOWN else read.ids[word] for word in story(rng).split()] + end
    return ids[:width], [float(i != read.unknown) for i in ids[:width]]


def repeated_row(rng: random.Random, read: Reading, width: int, longest: int) -> tuple[list[int], list[float]]:
    """Fill a row with random words said two to four times; only what can be predicted counts."""
    ids: list[int] = []
    weights: list[float] = []
    while len(ids) < width:
        length = rng.randint(2, min(longest, width // 2))
        words = random_words(rng, length) + rng.choice([[], [], ["."]])
        copies = rng.randint(2, 4)
        ids += [read.ids[word] for word in words] * copies
        # Nothing announces the second copy, so its first word cannot be known either.
        weights += [0.0] * (len(words) + 1) + [1.0] * (len(words) * (copies - 1) - 1)
    return ids[:width], weights[:width]


def batch(
    rng: random.Random, read: Reading, progress: float, repeats: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Draw one batch.

    Parameters
    ----------
    rng
        Source of random numbers.
    read
        How words become ids.
    progress
        Share of the training that is over, in [0, 1): it sets the length of the rows and lines.
    repeats
        Share of the rows that hold repeated random words, in [0, 1].

    Returns
    -------
    ids : array [rows, ids]
    weights : array [rows, ids]
        How much the prediction OF each id counts; 0 for words nobody could know.
    """
    shapes = FIRST_SHAPES if progress < FIRST_LESSONS else SHAPES
    grown = min(1.0, max(0.0, (progress - FIRST_LESSONS) / (GROWN - FIRST_LESSONS)))
    longest = 8 + round(32 * grown)
    width, rows, _ = rng.choices(shapes, weights=[shape[2] for shape in shapes])[0]
    closing = [] if read.mask == NO_MASK else [read.close]
    width -= 1 + len(closing)
    drawn = [
        repeated_row(rng, read, width, longest) if rng.random() < repeats else story_row(rng, read, width)
        for _ in range(rows)
    ]
    ids = np.array([[read.start, *row, *closing] for row, _ in drawn], dtype=np.int64)
    return ids, np.array([[0.0, *weights, *[0.0] * len(closing)] for _, weights in drawn], dtype=np.float32)


def hide(
    rng: np.random.Generator, ids: NDArray[np.int64], read: Reading, share: float = 0.15
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hide words for an encoder to guess: 8 of 10 become the mask, 1 another word, 1 stays.

    Parameters
    ----------
    rng
        Source of random numbers.
    ids : array [rows, ids]
    read
        How words become ids; its `mask` must be known.
    share
        Share of the words that are asked for.

    Returns
    -------
    ids : array [rows, ids]
        What the model sees.
    labels : array [rows, ids]
        The id to guess, or -100 where nothing is asked.
    """
    words = np.array(sorted(read.ids.values()))
    asked = (rng.random(ids.shape) < share) & np.isin(ids, words)
    way = rng.random(ids.shape)
    seen = np.where(asked & (way < 0.8), read.mask, ids)
    seen = np.where(asked & (way >= 0.9), rng.choice(words, ids.shape), seen)
    return seen, np.where(asked, ids, IGNORED)
