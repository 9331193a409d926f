"""The translator: an encoder-decoder that turns dates, as people write them, into ISO form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Regex, decoders, pre_tokenizers
from transformers import GenerationConfig, MarianConfig, MarianMTModel

from attnwidget import measures
from attnwidget.capturing import capture
from attnwidget.demo import dates
from attnwidget.demo.date_forms import PIECE, TOKENS, any_date
from attnwidget.demo.recipes import Recipe
from attnwidget.demo.tokenizing import word_tokenizer

if TYPE_CHECKING:
    import random

    from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

WIDTH, ENCODER_LAYERS, DECODER_LAYERS, HEADS, INNER = 64, 2, 2, 2, 128
LONGEST = 48
DATES_A_BATCH = 64
ASKED, ALIGNED = 2000, 300  # dates to measure with
SPECIAL = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}


def build() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Build the model with fresh random weights, and its tokenizer: digits, words and marks, </s> at the end."""
    tokenizer = word_tokenizer(
        TOKENS,
        SPECIAL,
        template="$A </s>",
        pair_template="$A $B </s>",
        longest=LONGEST,
        # What stands between tokens, the blanks, is dropped; ISO forms have none, and so are joined without.
        split=pre_tokenizers.Split(Regex(PIECE), "removed", invert=True),
        join=decoders.Fuse(),
        padding_side="right",
        model_input_names=["input_ids", "attention_mask"],
    )
    config = MarianConfig(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        encoder_layers=ENCODER_LAYERS,
        decoder_layers=DECODER_LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=INNER,
        decoder_ffn_dim=INNER,
        max_position_embeddings=LONGEST,
        dropout=0.0,
        init_std=0.05,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        # Marian's decoders start with the pad token.
        decoder_start_token_id=tokenizer.pad_token_id,
        forced_eos_token_id=None,
    )
    model = MarianMTModel(config)
    # An ISO form and </s>; with that, model.generate(**inputs) needs to be told nothing.
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=len("2026-11-21") + 1,
        decoder_start_token_id=config.decoder_start_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
    )
    return model, tokenizer


def loss(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rng: random.Random,
    progress: float,  # noqa: ARG001 - no date comes first
) -> torch.Tensor:
    """Draw dates that are not held out and return the mean cross-entropy of the next token, in nats."""
    drawn = [any_date(rng, held_out=False) for _ in range(DATES_A_BATCH)]
    inputs = tokenizer([one.written for one in drawn], padding=True, return_tensors="pt")
    # Every ISO form has the same length.
    labels = tokenizer([one.iso for one in drawn], return_tensors="pt")["input_ids"]
    mean: torch.Tensor = model(**inputs, labels=labels).loss
    return mean


def probe(tokenizer: PreTrainedTokenizerBase) -> dict[str, torch.Tensor]:
    """One date that is held out, with its target."""
    (one,) = dates(1)
    labels = tokenizer(one.iso, return_tensors="pt")["input_ids"]
    return {**tokenizer(one.written, return_tensors="pt"), "labels": labels}


def accuracy(model: Any, tokenizer: PreTrainedTokenizerBase, *, held_out: bool = True) -> float:
    """Return the share of 2,000 dates that the model writes right, all of the date, token by token."""
    asked = dates(ASKED, "accuracy", held_out=held_out)
    right = 0
    for start in range(0, ASKED, 200):
        some = asked[start : start + 200]
        inputs = tokenizer([one.written for one in some], padding=True, return_tensors="pt")
        ids = model.generate(**inputs)
        said = tokenizer.batch_decode(ids, skip_special_tokens=True)
        right += sum(one.iso == text for one, text in zip(some, said, strict=True))
    return right / ASKED


def alignment_errors(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    """Return the alignment error rate of every cross-attention head, on 300 held-out dates.

    The decoder reads the true ISO form, and row t of a map is taken for token t + 1, which it predicts. The hyphens
    come from nowhere and are left out.

    Returns
    -------
    tensor [decoder layers, heads]
        In [0, 1], lower is better.
    """
    asked = dates(ALIGNED, "alignment")
    cross = [_cross_attention(model, tokenizer, one.written, one.iso) for one in asked]
    sure, possible = [one.sure for one in asked], [one.possible for one in asked]

    def error(layer: int, head: int) -> float:
        links = [
            measures.align(maps.weights(layer, head), target_words=one.target_words)
            for maps, one in zip(cross, asked, strict=True)
        ]
        return measures.alignment_error_rate(links, sure, possible)

    return torch.tensor([[error(layer, head) for head in range(HEADS)] for layer in range(DECODER_LAYERS)])


def _cross_attention(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, written: str, iso: str) -> Any:
    inputs = tokenizer(written, return_tensors="pt")
    target = tokenizer(iso, return_tensors="pt")["input_ids"]
    return capture(model, {**inputs, "labels": target}, tokenizer).cross


def measure(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Measure dates, held out and not, and how the best cross-attention head aligns."""
    errors = alignment_errors(model, tokenizer)
    layer, head = divmod(int(errors.argmin()), HEADS)
    return {
        "held_out_dates": round(accuracy(model, tokenizer), 4),
        "training_dates": round(accuracy(model, tokenizer, held_out=False), 4),
        "alignment_error": {"layer": layer, "head": head, "score": round(float(errors.min()), 4)},
    }


RECIPE = Recipe(
    what="""\
An encoder-decoder (Marian type: sine positions, layer norm after each part) that turns dates, as people write them,
into ISO form: "Sat 21.11.26" into 2026-11-21. A token is a digit, a word or a mark; blanks are none.""",
    size=(
        f"{ENCODER_LAYERS} encoder and {DECODER_LAYERS} decoder layers of {HEADS} heads, "
        f"{len(SPECIAL) + len(TOKENS)} tokens (case kept)"
    ),
    data="""\
All dates come from the forms in
`attnwidget/demo/date_forms.py`; nothing was taken from anywhere else. The days are those of the years 1000 to 2999,
every other one of 1950 to 2049; every twelfth day of the calendar is held out, in all forms. Its attention was not
taught: the loss is that of the next token alone.""",
    steps=1500,
    rate=2e-3,
    build=build,
    loss=loss,
    measure=measure,
    measures={
        "held_out_dates": "held-out dates written right",
        "training_dates": "other dates written right",
        "alignment_error": "cross-attention head with the lowest alignment error rate",
    },
    notes=f"""\
Dates: {ASKED:,} of `attnwidget.demo.dates`, written token by token; right is what is right in every digit.
Alignment: {ALIGNED} held-out dates, counted together; 0 is best. Sure links are those of a digit and its copy, and of a
month's name and both digits of its number; possible are those of a digit that is filled in, as the 0 of "05" with a 5.
The decoder reads the true date, row t stands for token t + 1, and the hyphens are left out. Layers and heads count
from 0. How well a head aligns is chance: after 2,500 steps of the same every date is right, and no head is below 0.167.

It always writes a date, whatever it is given, and does not check that the day exists or has the weekday that is named.
It knows English names, in full or by three letters, with a capital; any other word becomes the unknown token, and
the month is then a guess. Between dots the day comes first. 11/21/2026 and 21/11/2026 were taught, 5/6/2026 has two
readings and was not. Years of two digits are those of 1950 to 2049; between slashes years have four.""",
    probe=probe,
)
