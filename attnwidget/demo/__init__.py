"""Four small trained models that ship inside the package, and the texts and pictures that suit them.

The storyteller continues stories (causal, LLaMA type); the reader fills in masked words (encoder, BERT type). Both
know the words of their vocabulary (words.py) and nothing else. The translator turns dates into ISO form
(encoder-decoder, Marian type); digits reads handwritten digits (ViT). ``python -m attnwidget.demo.train`` made them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnwidget.demo.date_forms import WrittenDate, any_date
from attnwidget.demo.grammar import ALL_PAIRS, HELD_OUT, frame_prompts, random_words, readable, source, story

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NAMES = ("storyteller", "reader", "translator", "digits")

__all__ = [
    "NAMES",
    "WrittenDate",
    "dates",
    "digit_images",
    "folder",
    "load",
    "name_pairs",
    "repeated_words",
    "sentences",
    "unknown_words",
]


def folder(name: str) -> Path:
    """Return the folder of a demo model; transformers loads it by this path.

    Parameters
    ----------
    name
        As for `load`.

    Returns
    -------
    Path
        Inside the installed package.

    Raises
    ------
    ValueError
        If there is no demo model of that name.
    """
    if name not in NAMES:
        raise ValueError(f"There is no demo model named {name!r}. Choose one of: {', '.join(NAMES)}.")
    return Path(__file__).parent / name


def load(name: str = "storyteller") -> tuple[PreTrainedModel, Any]:
    """Load a demo model and what makes its inputs; nothing is downloaded.

    Parameters
    ----------
    name
        "storyteller" (causal), "reader" (encoder), "translator" (encoder-decoder) or "digits" (vision).

    Returns
    -------
    model
        In float32, on the CPU, in eval mode. The storyteller and the reader have 4 layers of 4 heads and read 256
        tokens at most.
    tokenizer or image processor
        One token a word for the storyteller and the reader, one a digit, word or mark for the translator, with the
        model's special tokens added. The image processor of "digits" takes pictures of any size, white on black.

    Raises
    ------
    ValueError
        If there is no demo model of that name.
    """
    # The heavy imports are here, so that importing this package stays quick.
    from attnwidget.demo.loading import load_folder

    return load_folder(folder(name))


def unknown_words(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    """List the words of a text that a tokenizer does not know, each once, in the order of the text.

    Parameters
    ----------
    tokenizer
        A fast tokenizer; one without an unknown token knows every word.
    text
        Any text.

    Returns
    -------
    list of str
        As they stand in the text.
    """
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    found = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    return list(dict.fromkeys(text[a:b] for i, (a, b) in found if i == tokenizer.unk_token_id))


def sentences(n: int, seed: int = 0) -> list[str]:
    """Write `n` short stories of the kind the demo models were trained on.

    Parameters
    ----------
    n
        How many.
    seed
        The same seed gives the same stories.

    Returns
    -------
    list of str
        Words and marks with spaces between them, as the demo models read them.
    """
    rng = source(f"sentences {seed}")
    return [readable(story(rng)) for _ in range(n)]


def name_pairs(*, held_out: bool = True, seed: int = 0) -> list[tuple[str, str]]:
    """Write prompts whose answer is one of two names: "Lily and Ben went to the park . Lily gave the ball to".

    Parameters
    ----------
    held_out
        Pairs of names that no story of the training ever brought together (40 of them), or all the others (285).
    seed
        Chooses the places, the verbs and the things.

    Returns
    -------
    list of (prompt, answer)
        Four for each pair: both orders of the names, either as the giver. The answer is the next word.
    """
    pairs = [pair for pair in ALL_PAIRS if (pair in HELD_OUT) == held_out]
    return frame_prompts(pairs, source(f"pairs {seed}"))


def repeated_words(length: int, copies: int = 2, seed: int = 0) -> str:
    """Draw distinct random words of the vocabulary and say them `copies` times: the test for induction heads.

    Parameters
    ----------
    length
        Words in one copy. `length * copies + 1` tokens must fit into the model's 256.
    copies
        How often the words are said.
    seed
        The same seed gives the same words.

    Returns
    -------
    str
        The words with spaces between them.

    Raises
    ------
    ValueError
        If the vocabulary has fewer than `length` words, or a number is below 1.
    """
    if copies < 1:
        raise ValueError(f"copies must be 1 or more; got {copies}.")
    return " ".join(random_words(source(f"repeated {seed}"), length) * copies)


def dates(n: int, seed: int | str = 0, *, held_out: bool = True) -> list[WrittenDate]:
    """Write `n` dates in many forms, with their ISO forms and the links between the two.

    Parameters
    ----------
    n
        How many.
    seed
        The same seed gives the same dates.
    held_out
        Days of the calendar that the translator was never taught in any form (every twelfth of the years 1000 to 2999),
        or all the others.

    Returns
    -------
    list of WrittenDate
        Each with `written` ("Sat 21.11.26"), `iso` ("2026-11-21"), and the links `sure` and `possible` between the
        translator's tokens of the one and the places of the other, for `attnwidget.measures.alignment_error_rate`.

    Raises
    ------
    ValueError
        If n is below 0.
    """
    if n < 0:
        raise ValueError(f"n must be 0 or more; got {n}.")
    rng = source(f"dates {seed}")
    return [any_date(rng, held_out=held_out) for _ in range(n)]


def digit_images(seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Choose ten handwritten digits, one of each, that the model "digits" was not trained on.

    Parameters
    ----------
    seed
        Chooses which; the same seed gives the same ones.

    Returns
    -------
    images : array of uint8 [10, 8, 8, 3]
        White on black, as the image processor takes them: ``processor(images[3], return_tensors="pt")``.
    labels : array of int [10]
        What they are: 0 to 9, in this order.
    """
    from attnwidget.demo.handwriting import one_of_each

    return one_of_each(source(f"digits {seed}"))
