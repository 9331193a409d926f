"""Scenes: what a Playground can show, each a question, numbers to begin with, and what to look for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["PLAIN", "SCENES", "Preset", "Scene"]

# What a scene that says nothing of it has.
PLAIN: dict[str, Any] = {
    "query": [],
    "key": [],
    "value": [],
    "query_labels": [],
    "key_labels": [],
    "temperature": 1.0,
    "scaling": None,
    "mask": "none",
    "row": 0,
    "rotary": False,
    "positions": [],
    "heads": [],
    "mixing": [],
    "width": 64,
    "length": 8,
    "seed": 0,
}


@dataclass(frozen=True)
class Preset:
    """Numbers to begin with.

    Parameters
    ----------
    name : str
        What the menu calls it, and Python.
    state : mapping of str to value
        Values of a Playground's traits; the others are as they are by default.
    look : str
        What to look for; empty for the scene's own sentence.
    """

    name: str
    state: Mapping[str, Any]
    look: str = ""

    @property
    def whole(self) -> dict[str, Any]:
        """Values of all traits that a scene decides."""
        return PLAIN | dict(self.state)


@dataclass(frozen=True)
class Scene:
    """One way to look at the formula.

    Parameters
    ----------
    name : str
        Its address in Python.
    title : str
        The question that it asks.
    look : str
        What to look for, in a sentence.
    presets : tuple of Preset
        The first is what it opens with.
    tied : bool
        Whether queries, keys and values are the same vectors.
    paired : bool
        Whether there is one query and one key a token.
    """

    name: str
    title: str
    look: str
    presets: tuple[Preset, ...]
    tied: bool = False
    paired: bool = False

    def preset(self, name: str | None) -> Preset:
        """The preset of that name, or the first.

        Raises
        ------
        ValueError
            When there is none of that name.
        """
        if not name:
            return self.presets[0]
        for preset in self.presets:
            if preset.name == name:
                return preset
        names = ", ".join(repr(preset.name) for preset in self.presets)
        raise ValueError(f"preset={name!r} is not known; the scene {self.name!r} has {names}.")

    def told(self) -> dict[str, Any]:
        """What the browser is told of it."""
        presets = [{"name": preset.name, "look": preset.look, "state": preset.whole} for preset in self.presets]
        told = {"name": self.name, "title": self.title, "look": self.look, "presets": presets}
        return told | {"tied": self.tied, "paired": self.paired}


def _fan(degrees: list[float], length: float = 1.0) -> list[list[float]]:
    """Vectors of one length in these directions."""
    return [
        [round(length * math.cos(math.radians(angle)), 3), round(length * math.sin(math.radians(angle)), 3)]
        for angle in degrees
    ]


_WEATHER = {
    "key": _fan([0, 22.5, 45, 67.5, 90]),
    "value": [[-5.0], [5.0], [15.0], [25.0], [35.0]],
    "key_labels": ["frost", "cool", "mild", "warm", "heat"],
    "scaling": 1.0,
    "temperature": 0.1,
}
_LOOKUP = Scene(
    "lookup",
    "What does a dictionary give when no key fits exactly?",
    "Take the temperature from 10 down to 0.01: first every query gets the mean of all values, at the end the value of "
    "the key that is most similar.",
    (
        Preset("A key that fits", _WEATHER | {"query": _fan([67.5, 0]), "query_labels": ["warm?", "frost?"]}),
        Preset(
            "Between two keys",
            _WEATHER | {"query": _fan([56.25, 33.75]), "query_labels": ["mild or warm?", "cool or mild?"]},
            "A query between two keys gets a value between theirs, and however low the temperature, no key wins.",
        ),
        Preset(
            "Away from all keys",
            _WEATHER | {"query": _fan([225]), "query_labels": ["something else?"]},
            "A dictionary would say that there is no such key. Attention always answers: the weights sum to 1.",
        ),
    ),
)

_THREE = {
    "key": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "value": [[1.0], [2.0], [3.0]],
    "key_labels": ["first", "second", "third"],
    "query_labels": ["query"],
    "scaling": 1.0,
}
_TEMPERATURE = Scene(
    "temperature",
    "How sharply does a query choose?",
    "The scores stay as they are; only their differences count, and a low temperature makes these larger.",
    (
        Preset("Three keys", _THREE | {"query": [[0.3, 0.7, 0.0]]}),
        Preset(
            "A tie",
            _THREE | {"query": [[0.5, 0.5, 0.0]]},
            "Two keys with the same score share alike at every temperature.",
        ),
        Preset(
            "Nearly a tie",
            _THREE | {"query": [[0.5, 0.48, 0.0]]},
            "A difference of 0.02 is next to nothing at 1; at 0.01 the first key gets seven times the second's.",
        ),
    ),
)

_SCALING = Scene(
    "scaling",
    "Why are scores divided by √d?",
    "Make the vectors wider. Without the division the scores spread by √d, the softmax ends on one key, and nothing "
    "can be learned through it any more.",
    (
        Preset("Width 64", {"width": 64}),
        Preset("Width 4", {"width": 4}, "With narrow vectors there is little difference between the two lines."),
        Preset("Width 1,024", {"width": 1024}, "Unscaled, nearly every row is all on one key: its entropy is near 0."),
    ),
)

_MAT = {
    "query": [[0.6, 0.2], [1.0, -0.4], [0.2, 1.2], [-0.3, 0.9], [0.6, 0.2], [0.9, 0.8]],
    "key": [[0.2, 0.1], [1.3, 0.2], [0.3, 1.1], [-0.4, 0.7], [0.2, 0.1], [1.1, 0.6]],
    "value": [[0.0, 1.0], [2.0, 0.0], [0.0, 2.0], [-1.0, 1.0], [0.0, 1.0], [1.0, 2.0]],
    "query_labels": ["the", "cat", "sat", "on", "the", "mat"],
    "key_labels": ["the", "cat", "sat", "on", "the", "mat"],
}


def _hidden(*, queries: int = 6, keys: int = 6, padding: int = 0, window: int | None = None) -> list[list[bool]]:
    """Causal with a window, or what hides the last keys as padding."""
    return [
        [key < keys - padding and (window is None or query - window < key <= query) for key in range(keys)]
        for query in range(queries)
    ]


_PADDED = ["the", "cat", "sat", "on", "[pad]", "[pad]"]
_MASKING = Scene(
    "masking",
    "What changes when some keys may not be seen?",
    "A hidden key gets a weight of exactly 0, and what it had goes to the others: every row still sums to 1.",
    (
        Preset("Causal", _MAT | {"mask": "causal"}, "Each token sees itself and what came before it."),
        Preset("No mask", _MAT),
        Preset(
            "Padding",
            _MAT | {"mask": _hidden(padding=2), "query_labels": _PADDED, "key_labels": _PADDED},
            "Keys that only fill the line up are hidden. Rows of padding look like any other: nobody reads them.",
        ),
        Preset("Sliding window", _MAT | {"mask": _hidden(window=2)}, "Each token sees itself and the one before."),
        Preset(
            "By hand",
            _MAT | {"mask": [[(query + key) % 3 != 2 for key in range(6)] for query in range(6)]},
            "Click the cells of the mask: any pattern is possible.",
        ),
        Preset(
            "A row that sees nothing",
            _MAT | {"mask": [[query != 2 and key <= query for key in range(6)] for query in range(6)], "row": 2},
            "There is nothing to share out, 0 divided by 0, and programs differ in what they make of it.",
        ),
    ),
    paired=True,
)

_BITES = {
    "query": [[1.2, 0.4, 0.6, -0.2], [0.3, 1.1, -0.5, 0.8], [0.9, -0.6, 1.0, 0.4]],
    "key": [[1.0, 0.2, 0.5, 0.3], [0.1, 1.3, 0.2, 0.6], [0.8, -0.3, 1.1, -0.4]],
    "value": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
    "query_labels": ["dog", "bites", "man"],
    "key_labels": ["dog", "bites", "man"],
}
_POSITION = Scene(
    "position",
    "How does attention know the order of words?",
    "Without positions the scores do not change when the words change places. With them, a score depends on how far "
    "two words are apart, and in which direction.",
    (
        Preset("Turned round", _BITES | {"positions": [2, 1, 0], "rotary": True}),
        Preset(
            "Turned round, no positions",
            _BITES | {"positions": [2, 1, 0], "rotary": False},
            "“Dog bites man” and “man bites dog” have the same scores: attention alone does not see the order.",
        ),
        Preset(
            "All moved by five",
            _BITES | {"positions": [5, 6, 7], "rotary": True},
            "Every word has moved, no distance has changed, and no score either.",
        ),
    ),
    paired=True,
)

_PETS = ["I", "love", "cats", "and", "dogs"]


def _words(vectors: list[list[float]]) -> dict[str, Any]:
    return {"query": vectors, "key": vectors, "value": vectors, "query_labels": _PETS, "key_labels": _PETS}


_WORDS = Scene(
    "words",
    "Why do similar words look at each other?",
    "Drag a word. The score of two words is large when their arrows are long and point the same way, and each word "
    "becomes a mix of those that it looks at.",
    (
        Preset("Similar animals", _words([[-0.8, 0.4], [-0.2, 1.3], [1.6, 0.5], [-0.3, -0.4], [1.5, 0.2]])),
        Preset(
            "Opposite animals",
            _words([[-0.8, 0.4], [-0.2, 1.3], [1.6, 0.5], [-0.3, -0.4], [-1.6, -0.5]]),
            "“Cats” and “dogs” point away from each other, their score is negative, and neither looks at the other.",
        ),
        Preset(
            "Near the middle",
            _words([[-0.08, 0.04], [-0.02, 0.13], [0.16, 0.05], [-0.03, -0.04], [0.15, 0.02]]),
            "The same directions, a tenth as long: all scores are near 0, and every word looks at all words alike.",
        ),
    ),
    tied=True,
    paired=True,
)

_SAW = {
    "query": [[0.2, 0.1], [1.8, 0.2], [0.1, 1.9], [0.2, 0.1], [1.7, 0.4]],
    "key": [[0.1, 0.0], [2.0, 0.1], [0.3, 1.6], [0.1, 0.0], [1.9, 0.2]],
    "value": [[0.0, 0.5], [2.0, 0.0], [0.0, 2.0], [0.0, 0.5], [1.5, 1.0]],
    "query_labels": ["the", "cat", "saw", "the", "dog"],
    "key_labels": ["the", "cat", "saw", "the", "dog"],
    "mask": "causal",
    "row": 4,
}
_HEADS = Scene(
    "heads",
    "Why several heads and not one?",
    "Each head makes one mix of the values. Side by side they hold several answers at once, and the output projection "
    "decides how much of each goes on.",
    (
        Preset("Four questions", _SAW | {"heads": ["previous", "first", "same", "content"]}),
        Preset("One head", _SAW | {"heads": ["content"]}, "One row of weights has to serve for every question."),
        Preset(
            "Two heads, one of them used",
            _SAW
            | {
                "heads": ["previous", "content"],
                "mixing": [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]],
            },
            "The rows of the projection that belong to head 1 are 0: whatever it looks at, nothing comes of it.",
        ),
    ),
    paired=True,
)

_VALUES = Scene(
    "values",
    "Does a large weight mean a large effect?",
    "What is summed is weight times value. A key with most of the weight adds next to nothing where its value is tiny.",
    (
        Preset(
            "A large weight on a small value",
            {
                "query": [[2.0, 0.0]],
                "key": [[1.6, 0.0], [0.2, 0.5], [0.0, -0.3], [0.1, 0.2]],
                "value": [[0.05, 0.02], [2.0, -1.0], [-1.0, 3.0], [1.5, 1.0]],
                "query_labels": ["query"],
                "key_labels": ["[start]", "red", "ball", "."],
            },
        ),
        Preset(
            "Two that cancel",
            {
                "query": [[1.5, 0.0]],
                "key": [[1.2, 0.0], [1.2, 0.3], [0.0, 0.4]],
                "value": [[3.0, 2.0], [-3.0, -2.0], [0.5, 0.5]],
                "query_labels": ["query"],
                "key_labels": ["yes", "no", "well"],
            },
            "The two largest weights bring values that point away from each other: the sum is what the third one says.",
        ),
        Preset(
            "All values alike",
            {
                "query": [[1.5, 0.0]],
                "key": [[1.2, 0.0], [-0.8, 0.3], [0.0, 0.4]],
                "value": [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]],
                "query_labels": ["query"],
                "key_labels": ["one", "two", "three"],
            },
            "Whatever the weights are, they sum to 1: the output does not move.",
        ),
    ),
)

SCENES: dict[str, Scene] = {
    scene.name: scene for scene in (_LOOKUP, _TEMPERATURE, _SCALING, _MASKING, _POSITION, _WORDS, _HEADS, _VALUES)
}
