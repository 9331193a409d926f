"""Capture: what one run of a model attended to, and what it said next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from torch import Tensor

from attnwidget.maps import AttentionMaps
from attnwidget.storage import Shelf, read, reading

__all__ = ["Capture", "Example", "NextToken"]

MOST_CANDIDATES = 100  # next tokens whose labels are kept


class NextToken(NamedTuple):
    """A token that the model expects next.

    Parameters
    ----------
    token : str
        Its label.
    probability : float
        In [0, 1].
    id : int
        Its id.
    """

    token: str
    probability: float
    id: int


@dataclass
class Example:
    """What was captured of one example of a batch.

    Parameters
    ----------
    maps : dict of str to AttentionMaps
        Maps by name.
    logits : Tensor [positions, vocabulary] or [classes], or None
        What the model put out.
    candidates : tuple of NextToken
        The likeliest next tokens.
    without : str
        Why there are no logits, or no next token.
    """

    maps: dict[str, AttentionMaps]
    logits: Tensor | None = None
    candidates: tuple[NextToken, ...] = ()
    without: str = ""


class Capture:
    """What one run of a model attended to.

    ``capture.maps`` are the maps of a model with one kind of attention; ``capture.encoder``, ``capture.decoder`` and
    ``capture.cross`` those of an encoder-decoder model; ``capture.by_name`` all of them. A batch has one capture an
    example, and a generation one an output: ``capture[0].maps``.
    """

    def __init__(
        self,
        examples: list[Example],
        *,
        missed: Mapping[str, str] | None = None,
        refused: Mapping[str, str] | None = None,
    ) -> None:
        self._examples = examples
        self._missed, self._refused = dict(missed or {}), dict(refused or {})

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, example: int) -> Capture:
        if not -len(self) <= example < len(self):
            raise IndexError(f"example {example} does not exist: this capture holds examples 0 to {len(self) - 1}.")
        return Capture([self._examples[example]], missed=self._missed, refused=self._refused)

    def __iter__(self) -> Iterator[Capture]:
        return (self[i] for i in range(len(self)))

    @property
    def missed(self) -> dict[str, str]:
        """Modules that attended, or may have, and of which nothing is shown, each with the reason."""
        return dict(self._missed)

    @property
    def refused(self) -> dict[str, str]:
        """Parts of the model that are no map of the whole (windows, layers of several sizes), each with the reason."""
        return dict(self._refused)

    @property
    def by_name(self) -> dict[str, AttentionMaps]:
        """All maps of a single example, by name."""
        return dict(self._only.maps)

    @property
    def maps(self) -> AttentionMaps:
        """The maps of a model with one kind of attention."""
        found = self.by_name
        if len(found) > 1:
            raise ValueError(
                f"this capture holds {len(found)} kinds of maps: {', '.join(found)}. Choose one: "
                f"capture.by_name[{next(iter(found))!r}]."
            )
        return next(iter(found.values()))

    @property
    def encoder(self) -> AttentionMaps:
        """Self-attention of the encoder."""
        return self._named("encoder")

    @property
    def decoder(self) -> AttentionMaps:
        """Self-attention of the decoder."""
        return self._named("decoder")

    @property
    def cross(self) -> AttentionMaps:
        """Attention of the decoder to the encoder: queries are target tokens, keys source tokens."""
        return self._named("cross")

    @property
    def logits(self) -> Tensor:
        """What the model put out, on its device.

        Returns
        -------
        Tensor [positions, vocabulary] or [classes]
            Of a model that generates, the last position only unless `capture` was asked for logits="all"; of a
            generation one row for each generated token, the one it was chosen from.

        Raises
        ------
        ValueError
            When there are none; the message says why.
        """
        only = self._only
        if only.logits is None:
            raise ValueError(only.without)
        return only.logits

    @property
    def next_token_probabilities(self) -> Tensor:
        """Distribution of the token after the last position: Tensor [vocabulary], float32, of sum 1.

        Of a generation it is the distribution that the last token was chosen from.

        Raises
        ------
        ValueError
            When the model predicts no next token, or its logits were not kept.
        """
        if not self._only.candidates:
            raise ValueError(self._only.without)
        return self.logits[-1].float().softmax(-1)

    def next_tokens(self, top: int = 10) -> list[NextToken]:
        """The likeliest next tokens, with their probabilities.

        Parameters
        ----------
        top : int
            How many, 100 at most.

        Raises
        ------
        ValueError
            When the model predicts no next token, or its logits were not kept; or when top is out of range.
        """
        if not self._only.candidates:
            raise ValueError(self._only.without)
        if not 1 <= top <= MOST_CANDIDATES:
            raise ValueError(f"top={top}; expected 1 to {MOST_CANDIDATES}.")
        return list(self._only.candidates[:top])

    def save(self, path: str | Path) -> Path:
        """Write maps, tokens, spans and logits to a safetensors file.

        Parameters
        ----------
        path : str or Path
            The file; an existing one is replaced.

        Returns
        -------
        Path
            The file.
        """
        shelf = Shelf()
        examples = []
        for number, example in enumerate(self._examples):
            maps = {
                name: maps.described(shelf, f"{number}.{kind}.")
                for kind, (name, maps) in enumerate(example.maps.items())
            }
            logits = None if example.logits is None else shelf.put(f"{number}.logits", example.logits)
            examples.append({"maps": maps, "logits": logits, "next": example.candidates, "without": example.without})
        held = {"examples": examples, "missed": self._missed, "refused": self._refused}
        return shelf.write(path, "capture", held)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; no model is needed, and nothing in the file is executed.

        Raises
        ------
        FileNotFoundError
            When there is no such file.
        ValueError
            When the file was not written by `save`, or by a later version, or is damaged.
        """
        description, tensors = read(path, {"capture": "Capture.load", "maps": "AttentionMaps.load"})
        with reading(path):
            return cls(
                [
                    Example(
                        {name: AttentionMaps.from_description(maps, tensors) for name, maps in fields["maps"].items()},
                        None if fields["logits"] is None else tensors[fields["logits"]],
                        tuple(NextToken(*candidate) for candidate in fields["next"]),
                        fields["without"],
                    )
                    for fields in description["examples"]
                ],
                missed=_sentences(description.get("missed", {})),
                refused=_sentences(description.get("refused", {})),
            )

    @property
    def _only(self) -> Example:
        if len(self) > 1:
            raise ValueError(f"this capture holds a batch of {len(self)} examples; choose one: capture[0].")
        return self._examples[0]

    def _named(self, name: str) -> AttentionMaps:
        found = self.by_name
        if name not in found:
            why = self._refused.get(name)
            raise AttributeError(
                f"this capture has no {name!r} maps; it has {', '.join(found)}." + (f" {name!r}: {why}." if why else "")
            )
        return found[name]

    def __repr__(self) -> str:
        if len(self) > 1:
            return f"<Capture of {len(self)} examples>"
        return "<Capture: " + ", ".join(repr(maps) for maps in self._examples[0].maps.values()) + ">"


def _sentences(held: Any) -> dict[str, str]:
    if not isinstance(held, dict) or not all(isinstance(text, str) for pair in held.items() for text in pair):
        raise TypeError("what was missed or refused is no dict of strings.")
    return held
