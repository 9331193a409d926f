"""Two small trained models that ship inside the package, and the texts that suit them.

The storyteller continues stories (causal, LLaMA type); the reader fills in masked words (encoder, BERT type). Both
know the words of `attnwidget.demo.words` and nothing else. `python -m attnwidget.demo.train` made them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attnwidget.demo.grammar import ALL_PAIRS, HELD_OUT, frame_prompts, random_words, readable, source, story

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NAMES = ("storyteller", "reader")

__all__ = ["NAMES", "folder", "load", "name_pairs", "repeated_words", "sentences", "unknown_words"]


def folder(name: str) -> Path:
    """Return the folder of a demo model; transformers loads it by this path.

    Raises
    ------
    ValueError
        If there is no demo model of that name.
    """
    if name not in NAMES:
        raise ValueError(f"There is no demo model named {name!r}. Choose one of: {', '.join(NAMES)}.")
    return Path(__file__).parent / name


def load(name: str = "storyteller") -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a demo model and its tokenizer; nothing is downloaded.

    Parameters
    ----------
    name
        "storyteller" (causal) or "reader" (encoder).

    Returns
    -------
    model
        In float32, on the CPU, in eval mode; 4 layers of 4 heads, 256 tokens at most.
    tokenizer
        One token a word, with the model's special tokens added.

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
    """
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    found = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    return list(dict.fromkeys(text[a:b] for i, (a, b) in found if i == tokenizer.unk_token_id))


def sentences(n: int, seed: int = 0) -> list[str]:
    """Write `n` short stories of the kind the demo models were trained on.

    The same seed gives the same stories.
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

    Raises
    ------
    ValueError
        If the vocabulary has fewer than `length` words, or a number is below 1.
    """
    if copies < 1:
        raise ValueError(f"copies must be 1 or more; got {copies}.")
    return " ".join(random_words(source(f"repeated {seed}"), length) * copies)
