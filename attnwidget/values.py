"""Values: what the weights of a layer are multiplied with, and how large what they add is."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Values", "values_of"]


@dataclass(frozen=True)
class Values:
    """The values of a layer, and what its output projection makes of them.

    With f_h(j) the value of key j in head h times the head's slice of the output projection (Kobayashi et al. 2020);
    the bias of the projection is not in it.

    Parameters
    ----------
    v : Tensor [key-value heads, keys, width]
        Values with their bias, not repeated for the heads that share them.
    sizes : Tensor [heads, keys] or None
        Length of f_h(j).
    products : Tensor [heads, heads, keys] or None
        Scalar product of f_g(j) and f_h(j), by which the length of a sum over heads is known.
    why : str
        Why there are none: the heads of the layer cannot be told apart in what it adds.
    """

    v: Tensor
    sizes: Tensor | None = None
    products: Tensor | None = None
    why: str = ""

    def of(self, keys: slice | Tensor) -> Values:
        """Those of some keys."""
        sizes, products = (None if one is None else one[..., keys] for one in (self.sizes, self.products))
        return Values(self.v[:, keys], sizes, products, self.why)

    def tensors(self) -> dict[str, Tensor]:
        """What is held, by name."""
        held = {"v": self.v, "value_sizes": self.sizes, "value_products": self.products}
        return {name: tensor for name, tensor in held.items() if tensor is not None}


def values_of(layer: object) -> Values | None:
    """The values that a layer holds; None for one that holds none, or is made of others."""
    held = getattr(layer, "values", None)
    return held if isinstance(held, Values) else None
