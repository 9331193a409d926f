"""Debugging a prediction: what a model says, how sure it is, what speaks for it, and which maps are worth a look."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from attnwidget.capturing import Capture, capture
from attnwidget.capturing.inputs import as_inputs, load_model
from attnwidget.capturing.keeping import generates
from attnwidget.capturing.passes import is_pair
from attnwidget.capturing.registry import transformers_in
from attnwidget.diagnosis import Findings, diagnose
from attnwidget.effects.direct import Effects, direct
from attnwidget.effects.relevance import Relevance, relevance
from attnwidget.effects.targets import class_name, class_number, token_name, token_number
from attnwidget.measures.standouts import standouts

if TYPE_CHECKING:
    from attnwidget.widget.page import Page

__all__ = ["DebuggedPrediction", "Guess", "WorthALook", "debug_prediction"]

TOP = 5  # guesses, parts and tokens that are told
FOR, AGAINST = 3, 2  # heads that are named for what they add, and for what they take
LEAST = 0.05  # of the largest effect
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&$])")


class Guess(NamedTuple):
    """What a model may say: a token or a class, with its probability and its place among all, from 1."""

    name: str
    probability: float
    rank: int


class WorthALook(NamedTuple):
    """A head to look at, by the numbers of the model, with the reason."""

    map: str
    layer: int
    head: int
    why: str


@dataclass(frozen=True)
class DebuggedPrediction:
    """What a model says of one text or picture, and what speaks for it.

    Attributes
    ----------
    guesses : list of Guess
        The likeliest, first first.
    truth : Guess or None
        What would be right, where that is known.
    loss : float
        -log of its probability, in nats; NaN where it is not known.
    against : str
        What the prediction is held against below: the truth where it is wrong, else what is next likeliest.
    effects : Effects or None
        What parts of the model add to the logit of the prediction less that of the other.
    relevance : Relevance or None
        Which tokens that rests on.
    worth : list of WorthALook
        Heads to look at.
    findings : Findings
        Of `attnwidget.diagnose`.
    run : Capture
        The maps.
    missing : dict of str to str
        What of this there is not, and why.
    title : str
        The text, or what came.
    """

    guesses: list[Guess]
    truth: Guess | None
    loss: float
    against: str
    effects: Effects | None
    relevance: Relevance | None
    worth: list[WorthALook]
    findings: Findings
    run: Capture
    missing: dict[str, str]
    title: str

    @property
    def prediction(self) -> str:
        """What the model says."""
        return self.guesses[0].name

    @property
    def confidence(self) -> float:
        """Its probability, in [0, 1]."""
        return self.guesses[0].probability

    @property
    def correct(self) -> bool | None:
        """Whether that is right; None where it is not known."""
        return None if self.truth is None else self.truth.rank == 1

    def __repr__(self) -> str:
        told = "" if self.truth is None else f", {'right' if self.correct else f'wrong: {self.truth.name!r}'}"
        return f"<DebuggedPrediction {self.prediction!r} at {self.confidence:.0%}{told}>"

    def __str__(self) -> str:
        return "\n".join(self._lines(lambda text: text))

    def _repr_markdown_(self) -> str:
        return "\n".join(self._lines(_escaped))

    def page(self, **options: Any) -> Page:
        """The report with its maps as one page, without a kernel or a network.

        Parameters
        ----------
        **options
            Those of `attnwidget.page`, as ``limit_mb``.
        """
        from attnwidget.widget.exploring import explore
        from attnwidget.widget.page import page

        parts: list[Any] = ["\n".join(self._lines(_escaped))]
        for one in self.worth[:2]:
            maps = self.run.by_name[one.map]
            layer = maps.layer_numbers.index(one.layer)
            head = maps.head_numbers[layer].index(one.head)
            parts += [f"### Layer {one.layer}, head {one.head}", _escaped(one.why)]
            query = self._query(one.map)
            parts.append(explore(maps, title=self.title, layer=layer, head=head, query=query, keep=None))
        return page(*(parts if len(parts) > 1 else [*parts, self.run]), title=f"Why {self.prediction!r}", **options)

    def save(self, path: str | Path, **options: Any) -> Path:
        """Write `page` to a file that ends in ".html"; OSError or ValueError where that cannot be."""
        return self.page(**options).save(path)

    def _query(self, name: str) -> int | None:
        position = None if self.relevance is None else self.relevance.position
        return position if position is not None and position < self.run.by_name[name].n_queries else None

    def _lines(self, shown: Any) -> list[str]:
        """The report, with what came from outside as it may be shown."""
        import pandas as pd

        lines = [f"# {shown(repr(self.prediction))} at {self.confidence:.1%}", ""]
        if self.truth is not None:
            right = "That is right." if self.correct else (
                f"Right would be {shown(repr(self.truth.name))}: place {self.truth.rank}, {self.truth.probability:.2%}."
            )  # fmt: skip
            lines += [f"{right} Loss {self.loss:.3g} nats.", ""]
        lines += [f"- {shown(repr(one.name))}: {one.probability:.2%}" for one in self.guesses]
        other = shown(repr(self.against))
        if self.effects is not None:
            lines += ["", f"## What speaks for it against {other} ({self.effects.logit:+.3g} logits)", ""]
            for _, row in self.effects.to_frame().head(TOP).iterrows():
                where = "" if pd.isna(row["layer"]) else f" {row['layer']}"
                where += f" head {row['head']}" if row["part"] == "head" else ""
                part = "layer" if row["part"] == "head" else f"{row['part']}{' of layer' if where else ''}"
                lines.append(f"- {part}{where}: {row['effect']:+.3g}")
            lines += ["", self.effects.caveat]
        if self.relevance is not None:
            lines += ["", f"## Which tokens it rests on, against {other}", ""]
            table = self.relevance.to_frame().head(TOP)
            lines += [
                f"- {shown(repr(row['token']))} ({row['sequence']} {row['position']}): {row['relevance']:.3g}"
                for _, row in table.iterrows()
            ]
        if self.worth:
            lines += ["", "## Worth a look", ""]
            lines += [f"- layer {one.layer}, head {one.head}: {shown(one.why)}" for one in self.worth]
        if self.findings:
            lines += ["", "## Findings", "", *(f"- {shown(f'{one.heading}, {one.where}')}" for one in self.findings)]
        if self.missing:
            lines += ["", "## Not known", "", *(f"- {what}: {shown(why)}" for what, why in self.missing.items())]
        return lines


def debug_prediction(
    model: Any, inputs: Any, tokenizer: Any = None, *, truth: str | int | None = None
) -> DebuggedPrediction:
    """What a model predicts for one text or picture, how sure it is, and what speaks for it.

    Parameters
    ----------
    model : nn.Module, str or Path
        A transformers model that makes logits, of the next token or of classes; its name, or its folder.
    inputs : str, mapping, or Tensor
        One text or picture, as in `attnwidget.capture`; a text is asked for what comes after its last token.
    tokenizer : transformers.PreTrainedTokenizerBase, processor, or None
        Needed for texts.
    truth : str, int, or None
        What would be right: a token by its text or id, or a class by its name or number.

    Returns
    -------
    DebuggedPrediction
        Prints as a report; ``save("why.html")`` writes it with its maps as a page. What cannot be found of this model
        is in ``missing`` with its reason.

    Raises
    ------
    TypeError
        When model or inputs is of a kind that cannot be run, or the model makes no logits.
    ValueError
        When several texts came, or there is no such token or class.

    Examples
    --------
    >>> print(aw.effects.debug_prediction(model, "Lily gave the ball to", tokenizer, truth="Ben"))
    """
    model, tokenizer = load_model(model, tokenizer)
    positional, named = as_inputs(model, inputs, tokenizer)
    if positional or len(next(iter(named.values()))) != 1:
        raise ValueError("one prediction is debugged at a time; give one text or picture.")
    run = capture(model, inputs, tokenizer, progress=False)
    logits = run.logits[-1] if run.logits.ndim > 1 else run.logits
    roots = transformers_in(model) or [model]
    words = any(map(generates, roots))

    def name(number: int) -> str:
        return token_name(number, tokenizer) if words else class_name(number, model)

    right: int | None = None
    if truth is not None:
        size = len(logits)
        right = token_number(truth, tokenizer, size) if words else class_number(truth, model, size)
    guesses, told = _guesses(logits, right, name)
    order = logits.float().argsort(descending=True).tolist()
    first = order[0]
    other = right if right not in {None, first} else (order[1] if len(order) > 1 else None)
    missing: dict[str, str] = {}
    asked = {"target": first, "against": other}
    effects = None
    if any(map(is_pair, roots)):
        missing["direct effects"] = "a decoder with an encoder adds what it reads across too; relevance says from where"
    else:
        effects = _or_why(missing, "direct effects", lambda: direct(model, inputs, tokenizer, **asked))
    rests = _or_why(missing, "relevance", lambda: relevance(model, inputs, tokenizer, **asked))
    return DebuggedPrediction(
        guesses=guesses,
        truth=told,
        loss=math.nan if told is None else -math.log(max(told.probability, 1e-38)),
        against="" if other is None else name(other),
        effects=effects,
        relevance=rests,
        worth=_worth(run, effects),
        findings=diagnose(run),
        run=run,
        missing=missing,
        title=inputs if isinstance(inputs, str) else type(model).__name__,
    )


def _guesses(logits: Tensor, right: int | None, name: Any) -> tuple[list[Guess], Guess | None]:
    shares = logits.double().softmax(-1)
    top = shares.topk(min(TOP, len(shares)))
    guesses = [
        Guess(name(int(at)), float(value), rank)
        for rank, (value, at) in enumerate(zip(top.values, top.indices, strict=True), 1)
    ]
    if right is None:
        return guesses, None
    return guesses, Guess(name(right), float(shares[right]), 1 + int((logits > logits[right]).sum()))


def _or_why(missing: dict[str, str], what: str, find: Any) -> Any:
    try:
        return find()
    except (ValueError, TypeError) as error:
        missing[what] = str(error)
        return None


def _worth(run: Capture, effects: Effects | None) -> list[WorthALook]:
    """Heads by what they add and take, then those that stand out by what they look at."""
    found: list[WorthALook] = []
    if effects is not None and effects.split is not None:
        name = next(
            (one for one, maps in run.by_name.items() if maps.layer_names == effects.split.maps.layer_names), ""
        )
        found = _by_effect(name, effects) if name else []
    known = {(one.map, one.layer, one.head) for one in found}
    for one in standouts(run):
        if (one.map, one.layer, one.head) not in known:
            found.append(WorthALook(one.map, one.layer, one.head, one.reason))
    return found


def _by_effect(name: str, effects: Effects) -> list[WorthALook]:
    values = effects.heads
    largest = float(values.nan_to_num(0).abs().max())
    labels: Sequence[str] = effects.split.maps.key_tokens.labels if effects.split is not None else ()
    found = []
    for most, sign in ((FOR, 1), (AGAINST, -1)):
        largest_first, places = torch.nan_to_num(values * sign, nan=-math.inf).flatten().topk(min(most, values.numel()))
        for value, at in zip(largest_first.tolist(), places.tolist(), strict=True):
            if value <= LEAST * largest:
                continue
            layer, head = divmod(at, values.shape[1])
            sources = effects.sources(layer, head) * sign
            through = labels[int(sources.argmax())]
            verb = "speaks for it" if sign > 0 else "speaks against it"
            why = f"{verb}: {value * sign:+.3g} logits, most through {through!r}"
            found.append(WorthALook(name, effects.layer_numbers[layer], head, why))
    return found


def _escaped(text: str) -> str:
    """Text that is no markup in Markdown."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
