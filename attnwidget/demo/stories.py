"""What the two models of stories share: their size, their special places in a row, what is said and asked of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnwidget.demo.measure import pair_accuracy, question_accuracy

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LONGEST = 256
WIDTH, LAYERS, HEADS, INNER = 128, 4, 4, 256

DATA = """\
All texts come from the grammar in `attnwidget/demo/grammar.py`; nothing was
taken from anywhere else."""

PAIRS = """\
"Lily and Ben went to the park . Lily gave the ball to" has the answer "Ben". Held-out pairs are 40 pairs of names
that no story of the training brings together; each is asked in both orders, with either as the giver."""

LIMITS = """\
It knows nothing beyond its grammar: any other word becomes the unknown token. Pronouns were drawn without regard to
the job, so it was taught nothing about who a nurse may be."""

MEASURES = {
    "held_out_pairs": "held-out name pairs completed right",
    "training_pairs": "other name pairs completed right",
    "questions": "questions after a colour or a place answered right (guessing: 42%)",
}


def measure(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Measure what both can be asked, in the order of MEASURES."""
    return {
        "held_out_pairs": round(pair_accuracy(model, tokenizer), 4),
        "training_pairs": round(pair_accuracy(model, tokenizer, held_out=False), 4),
        "questions": round(question_accuracy(model, tokenizer), 4),
    }
