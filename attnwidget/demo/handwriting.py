"""Pictures of handwritten digits, of which some are held out from training.

The file digits/images.npz holds the 1,797 pictures of scikit-learn's `load_digits`: 8 x 8 sums of ink from 0 to 16.
They are the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI Machine Learning
Repository, 1998, https://doi.org/10.24432/C50P49), under the Creative Commons Attribution 4.0 licence.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import random

    from numpy.typing import NDArray

FILE = Path(__file__).parent / "digits" / "images.npz"
MOST_INK = 16
TAUGHT = 1437  # the first ones, not some by chance: neighbours in the set are much alike, as of one hand


@cache
def _everything() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    with np.load(FILE) as held:
        ink, labels = held["images"], held["labels"]
    grey = (ink * (255 / MOST_INK)).round().astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1), labels.astype(np.int64)


def pictures(*, held_out: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the pictures that are held out (360), or those of the training (1,437).

    Returns
    -------
    images : array of uint8 [pictures, 8, 8, 3]
        White on black.
    labels : array of int [pictures]
        Which digit each shows.
    """
    images, labels = _everything()
    part = slice(TAUGHT, None) if held_out else slice(TAUGHT)
    return images[part].copy(), labels[part].copy()


def one_of_each(rng: random.Random) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Choose one held-out picture of each digit, 0 to 9."""
    images, labels = pictures(held_out=True)
    chosen = [rng.choice(np.flatnonzero(labels == digit).tolist()) for digit in range(10)]
    return images[chosen], labels[chosen]
