"""Attribution: which tokens of the input a logit comes from, by its gradient; Captum does the arithmetic."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attnwidget.capturing.inputs import load_model
from attnwidget.effects.examples import frozen
from attnwidget.effects.reading import Reading
from attnwidget.effects.targets import class_name, class_number, token_name, token_number
from attnwidget.intake import AttentionWarning
from attnwidget.measures.arguments import choice, whole
from attnwidget.tokens import Tokens

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Attribution", "attribute"]

METHODS = {
    "gradient_x_input": "A slope times what it is a slope of: to first order, and blind where a function is flat. ",
    "gradient": "How steeply the logit changes with a token, whatever the token is: the L2 norm of its gradient. ",
    "integrated_gradients": "Against a baseline, {baseline}, and on the straight way from there; others give others. ",
}
MOST_LEFT = 0.05  # of the logit
CAVEAT = {
    False: "Sizes without a sign: for and against the target are not told apart.",
    True: "With a sign: above 0 speaks for the target. Attention has none, so correlations with it depend on that.",
}


@dataclass(frozen=True)
class Attribution:
    """What each token of an input has to do with a logit, or with the difference of two.

    Attributes
    ----------
    values : Tensor [tokens]
        Of each token that is no padding, in logits (for "gradient" in logits for each unit of the embedding); 0 or more
        unless signed.
    tokens : Tokens
        What stands there.
    method : str
        "gradient_x_input", "gradient" or "integrated_gradients".
    signed : bool
        Whether the values have a sign.
    target, against : str
        The token or class, and the one that it is held against; empty for none.
    position : int or None
        Whose logits these are, among the tokens that are no padding; None for a class.
    logit : float
        What the model says, or the difference.
    delta : float
        For integrated gradients, how far the sum of the signed values is above what the logit has over that of the
        baseline: 0 for enough steps. NaN for the others.
    caveat : str
        What the values do not say.
    """

    values: Tensor
    tokens: Tokens
    method: str
    signed: bool
    target: str
    against: str
    position: int | None
    logit: float
    delta: float
    caveat: str

    def __repr__(self) -> str:
        what = repr(self.target) + (f" against {self.against!r}" if self.against else "")
        where = "" if self.position is None else f" at position {self.position}"
        signed = "signed" if self.signed else "unsigned"
        return f"<Attribution of {what}{where}: {self.method}, {signed}, {len(self.tokens)} tokens>"

    def to_frame(self) -> pd.DataFrame:
        """One row for each token; ``attrs`` say what it is.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd

        table = pd.DataFrame({"token": self.tokens.labels, "attribution": self.values.tolist()})
        table.attrs |= {"method": self.method, "signed": self.signed, "target": self.target, "against": self.against}
        table.attrs |= {"position": self.position, "logit": self.logit, "delta": self.delta, "caveat": self.caveat}
        return table


def attribute(
    model: Any,
    inputs: Any,
    tokenizer: Any = None,
    *,
    target: str | int | None = None,
    against: str | int | None = None,
    position: int = -1,
    method: str = "gradient_x_input",
    signed: bool = False,
    n_steps: int = 50,
    baseline: str | int | None = None,
    batch_size: int = 10,
) -> Attribution:
    """Which tokens a logit comes from, by its gradient at their embeddings.

    It needs Captum: ``pip install 'attnwidget[attribution]'``. The model is in eval mode meanwhile and is afterwards as
    it was, gradients included.

    Parameters
    ----------
    model : nn.Module, str or Path
        A transformers model that predicts tokens or classes, its name, or the folder it was saved to.
    inputs : str, mapping, or Tensor
        One text, as in `attnwidget.capture`.
    tokenizer : transformers.PreTrainedTokenizerBase or None
        Needed for texts.
    target, against : str, int, or None
        A token by its text or id, or a class by its label or number, and one to hold it against: then it is about the
        difference of their logits. None is the model's own first choice, and nothing to hold it against.
    position : int
        Whose logits, among the tokens that are no padding; a class has none.
    method : {"gradient_x_input", "gradient", "integrated_gradients"}
        The gradient times the embedding, summed over its width; the L2 norm of the gradient; or the gradient integrated
        from a baseline to the embedding, times their difference, summed over the width.
    signed : bool
        Keep the sign; else the absolute value is taken, after the sum over the width. A norm has none.
    n_steps : int
        Of the integral.
    baseline : str, int, or None
        Where the integral begins: a token in each place, or vectors of zeros.
    batch_size : int
        How many steps are computed at once.

    Returns
    -------
    Attribution
        One value for each token.

    Raises
    ------
    ImportError
        When Captum is not installed.
    TypeError
        When model or inputs is of a kind that cannot be run.
    ValueError
        When inputs are several texts or none, a target or position does not exist, an argument has a value that is not
        listed, or the model says something else when it is given the embeddings instead of the ids.

    Warns
    -----
    AttentionWarning
        When integrated gradients do not add up.

    References
    ----------
    Integrated gradients: Sundararajan, Taly & Yan, ICML 2017. Gradient x input against attention: Jain & Wallace, NAACL
    2019. Captum: Kokhlikyan et al., 2020.
    """
    choice("method", method, tuple(METHODS))
    if method == "gradient" and signed:
        raise ValueError("method='gradient' is a norm and has no sign; use signed=False, or 'gradient_x_input'.")
    for name, number in (("n_steps", n_steps), ("batch_size", batch_size)):
        if whole(name, number) < 1:
            raise ValueError(f"{name}={number}; expected 1 or more.")
    captum = _captum()
    model, tokenizer = load_model(model, tokenizer)
    with frozen(model):
        reading = Reading(model, inputs, tokenizer)
        asked = _Asked(reading, tokenizer, target, against, position)
        begin, called = reading.baseline(baseline, tokenizer)
        said, embedded = asked.of(reading), reading.embedded.clone().requires_grad_(True)
        delta = math.nan
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(said(embedded).sum(), embedded, allow_unused=True)
            if slope is None:
                raise ValueError(
                    "no gradient goes back from what this model says to its embeddings, as through quantised modules; "
                    "use the model as it was before."
                )
            if method == "gradient":
                each = captum.Saliency(said).attribute(embedded, abs=False)
            elif method == "gradient_x_input":
                each = captum.InputXGradient(said).attribute(embedded)
            else:
                options = {"n_steps": n_steps, "internal_batch_size": batch_size, "return_convergence_delta": True}
                each, off = captum.IntegratedGradients(said).attribute(embedded, baselines=begin, **options)
                delta = float(off)
                _warn_of_rest(delta, asked.logit, n_steps)
    each = each.detach()
    values = each.norm(dim=-1) if method == "gradient" else each.sum(-1)
    values = (values if signed else values.abs())[0, reading.real].float().cpu()
    return Attribution(
        values=values,
        tokens=reading.tokens(tokenizer),
        method=method,
        signed=signed,
        target=asked.target,
        against=asked.against,
        position=asked.position,
        logit=asked.logit,
        delta=delta,
        caveat=METHODS[method].format(baseline=called) + CAVEAT[signed],
    )


def _warn_of_rest(delta: float, logit: float, n_steps: int) -> None:
    """Say where the values do not add up to what the logit has over that of the baseline."""
    if abs(delta) > MOST_LEFT * max(abs(logit), 1.0):
        warnings.warn(
            f"the values of integrated gradients sum to {abs(delta):.2g} {'more' if delta > 0 else 'less'} than they "
            f"should, of a logit of {logit:.3g}: {n_steps} steps are too few for so crooked a function. Use more, or a "
            "baseline= that is nearer, as a token of the vocabulary.",
            AttentionWarning,
            stacklevel=3,
        )


def _captum() -> ModuleType:
    try:
        import captum.attr
    except ImportError as error:
        raise ImportError(
            "attributions are computed by Captum, which is not installed: pip install 'attnwidget[attribution]'."
        ) from error
    return captum.attr  # type: ignore[no-any-return]


class _Asked:
    """The logit that is asked about, at which position, and against which other one."""

    def __init__(self, reading: Reading, tokenizer: Any, target: Any, against: Any, position: int) -> None:
        logits, model = reading.logits, reading.model
        self.position: int | None = None
        self._at: int | None = None
        if logits.ndim > 2:
            places = reading.read.nonzero().flatten().tolist()
            if not -len(places) <= whole("position", position) < len(places):
                raise ValueError(f"position={position} does not exist; there are {len(places)} tokens.")
            self.position = position % len(places)
            self._at = places[self.position]
        here, is_class = self._here(logits)[0], logits.ndim == 2

        def number(chosen: Any) -> int:
            return class_number(chosen, model, len(here)) if is_class else token_number(chosen, tokenizer, len(here))

        def name(chosen: int) -> str:
            return class_name(chosen, model) if is_class else token_name(chosen, tokenizer)

        self._first = int(here.argmax()) if target is None else number(target)
        self._other = None if against is None else number(against)
        self.target, self.against = name(self._first), "" if self._other is None else name(self._other)
        self.logit = float(self._said(logits)[0])

    def of(self, reading: Reading) -> Callable[[Tensor], Tensor]:
        """From embeddings [n, tokens, width] to what is asked about, [n]."""
        return lambda embedded: self._said(reading(embedded))

    def _here(self, logits: Tensor) -> Tensor:
        return logits if self._at is None else logits[:, self._at]

    def _said(self, logits: Tensor) -> Tensor:
        here = self._here(logits)
        return here[:, self._first] - (0 if self._other is None else here[:, self._other])
