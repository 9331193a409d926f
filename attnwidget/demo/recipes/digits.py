"""Digits: a vision transformer that reads handwritten digits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from attnwidget.demo import digit_images
from attnwidget.demo.handwriting import pictures
from attnwidget.demo.recipes import Recipe

if TYPE_CHECKING:
    import random

    from torch import Tensor
    from transformers import PreTrainedModel

WIDTH, LAYERS, HEADS, INNER = 64, 3, 4, 128
SIDE, PATCH = 8, 2
PICTURES_A_BATCH = 64
TURN, STRETCH, SLANT, SHIFT = 0.25, 0.15, 0.2, 0.25  # rad, share, share, half sides: 1 pixel


def build() -> tuple[PreTrainedModel, Any]:
    """Build the model with fresh random weights, and its image processor."""
    config = ViTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=INNER,
        image_size=SIDE,
        patch_size=PATCH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.1,
        id2label={digit: str(digit) for digit in range(10)},
        label2id={str(digit): digit for digit in range(10)},
    )
    processor = ViTImageProcessor(size={"height": SIDE, "width": SIDE}, do_convert_rgb=True)
    return ViTForImageClassification(config), processor


def shaken(pixels: Tensor) -> Tensor:
    """Turn, stretch, slant and shift each picture a little, as other hands would; background is -1.

    Parameters
    ----------
    pixels : tensor [pictures, channels, height, width]
    """
    turn, stretch, slant, right, down = 2 * torch.rand(5, len(pixels)) - 1
    angle, size = TURN * turn, 1 + STRETCH * stretch
    first = torch.stack([size * angle.cos(), SLANT * slant - angle.sin(), SHIFT * right], -1)
    second = torch.stack([angle.sin(), size * angle.cos(), SHIFT * down], -1)
    places = functional.affine_grid(torch.stack([first, second], 1), list(pixels.shape), align_corners=False)
    # What comes in from outside is 0.
    return functional.grid_sample(pixels + 1, places, align_corners=False) - 1


def loss(
    model: PreTrainedModel,
    processor: Any,
    rng: random.Random,
    progress: float,  # noqa: ARG001 - no picture comes first
) -> Tensor:
    """Draw pictures that are not held out, shake them, and return the mean cross-entropy of their digits, in nats."""
    images, labels = pictures(held_out=False)
    chosen = rng.sample(range(len(images)), PICTURES_A_BATCH)
    pixels = processor(list(images[chosen]), return_tensors="pt")["pixel_values"]
    return functional.cross_entropy(model(shaken(pixels)).logits, torch.from_numpy(labels[chosen]))


@torch.no_grad()
def accuracy(model: PreTrainedModel, processor: Any, *, held_out: bool = True) -> float:
    """Return the share of pictures whose digit is the model's first choice."""
    images, labels = pictures(held_out=held_out)
    logits = model(**processor(list(images), return_tensors="pt")).logits
    return float((logits.argmax(-1) == torch.from_numpy(labels)).double().mean())


def nearest_accuracy() -> float:
    """Return the share of held-out pictures whose nearest one of the training, point by point, is the same digit."""
    (images, labels), (known, names) = pictures(held_out=True), pictures(held_out=False)
    some, others = (torch.from_numpy(part[..., 0]).flatten(1).double() for part in (images, known))
    return float((names[torch.cdist(some, others).argmin(-1).numpy()] == labels).mean())


def measure(model: PreTrainedModel, processor: Any) -> dict[str, Any]:
    """Measure pictures, held out and not, and what they take without a model."""
    return {
        "held_out_pictures": round(accuracy(model, processor), 4),
        "training_pictures": round(accuracy(model, processor, held_out=False), 4),
        "nearest_picture": round(nearest_accuracy(), 4),
    }


RECIPE = Recipe(
    what="""\
A vision transformer (ViT type, for image classification) that reads handwritten digits: pictures of 8 x 8 points, which
are 4 x 4 patches after [CLS].""",
    size=f"{LAYERS} layers of {HEADS} heads",
    data="""\
The pictures in `attnwidget/demo/digits/images.npz` are the
1,797 of scikit-learn's `load_digits`, the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin and
C. Kaynak, UCI Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49). Their licence is CC BY 4.0,
https://creativecommons.org/licenses/by/4.0/; they were packed into one file and are otherwise as they were. It was
trained on the first 1,437, each turned, stretched, slanted and shifted a little by chance, and not on the last 360.""",
    steps=3000,
    rate=2e-3,
    build=build,
    loss=loss,
    measure=measure,
    measures={
        "held_out_pictures": "held-out pictures read right",
        "training_pictures": "pictures of the training read right, as they are",
        "nearest_picture": "held-out pictures whose nearest one of the training is the same digit (no model)",
    },
    notes="""\
Held out are the last 360 pictures in the order of the set, not 360 by chance: neighbours in it are much alike, as of
one hand, and would make the task easier. `attnwidget.demo.digit_images` gives one of each digit of them.

It always names a digit, whatever it is shown. It expects white ink on black that fills the picture, as in the set;
its image processor makes pictures of other sizes 8 x 8.""",
    probe=lambda processor: processor(digit_images()[0][3], return_tensors="pt"),
)
