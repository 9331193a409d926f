"""Freezing: a norm held at the scale that it had in a pass, so that it is linear, and what it makes can be added up."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["Frozen", "Way", "close", "close_for"]

CLOSE = 1e-4  # of the size of what is compared, in single precision


@dataclass(frozen=True)
class Frozen:
    """A norm at the scales that it had for some vectors, read off what it does.

    Parameters
    ----------
    factor : Tensor [width]
        What it multiplies each number by.
    centres : bool
        Whether it takes the mean away first.
    scales : Tensor [positions]
        By which it multiplied each vector besides.
    shift : Tensor [width]
        What it adds.
    """

    factor: Tensor
    centres: bool
    scales: Tensor
    shift: Tensor

    @classmethod
    def of(cls, norm: nn.Module, given: Tensor) -> Frozen:
        """A norm, as it was for vectors [positions, width].

        Raises
        ------
        ValueError
            When it is none that divides a vector, less its mean or not, by its size, and has a factor for each number.
        """
        first = given[0]
        even = torch.arange(len(first), device=given.device) % 2 == 0
        signs = torch.where(even, 1.0, -1.0).to(first)
        shift = norm(torch.zeros_like(first)).double().cpu()
        # One that takes the mean away makes nothing of a vector that is the same everywhere.
        centres = bool(torch.allclose(norm(torch.ones_like(first)).double().cpu(), shift, atol=1e-3))
        factor = (norm(signs).double().cpu() - shift) * signs.double().cpu()
        gives = norm(given).double().cpu()
        blank = cls(factor, centres, torch.ones(len(given), dtype=torch.float64), shift)
        turned = blank.linear(given.double().cpu(), None)
        # By least squares: whatever small number the norm adds under its root is in the scale.
        scales = (turned * (gives - shift)).sum(-1) / turned.square().sum(-1)
        if not close(turned * scales[:, None] + shift, gives, given.dtype):
            raise ValueError(f"the last norm, a {type(norm).__name__}, is none whose scale can be held as it was.")
        return cls(factor, centres, scales, shift)

    @classmethod
    def found(cls, module: nn.Module, given: Tensor) -> Frozen | None:
        """A module as a norm, as it was for vectors [positions, width]; None where it is none."""
        if any(True for _ in module.children()):
            return None
        try:
            return cls.of(module, given)
        except (ValueError, RuntimeError, TypeError):
            return None

    def linear(self, vectors: Tensor, at: int | None) -> Tensor:
        """What it makes of vectors [..., width] at the scale of a position, 1 for None; without what it adds."""
        centred = vectors - vectors.mean(-1, keepdim=True) if self.centres else vectors
        made: Tensor = centred * self.factor.to(centred)
        return made if at is None else made * self.scales[at]


@dataclass(frozen=True)
class Way:
    """What becomes of what a projection gives before it is added to the residual stream.

    Parameters
    ----------
    norm : Frozen or None
        A norm behind the projection.
    factor : float
        Of the residual.
    """

    norm: Frozen | None
    factor: float

    def of(self, vectors: Tensor, at: int) -> Tensor:
        """What is added at a position, of vectors [..., width]."""
        return (vectors if self.norm is None else self.norm.linear(vectors, at)) * self.factor

    def scales(self, n: int) -> Tensor:
        """By what a vector is multiplied at each of n positions, besides what is the same at all."""
        return torch.ones(n, dtype=torch.float64) if self.norm is None else self.norm.scales


def close_for(dtype: torch.dtype) -> float:
    """How far two numbers of a precision may be apart, of their size."""
    return max(CLOSE, 16 * torch.finfo(dtype).eps)


def close(one: Tensor, other: Tensor, dtype: torch.dtype) -> bool:
    """Whether vectors that were computed in a precision are the same."""
    return bool((one - other).abs().max() <= close_for(dtype) * other.abs().max())
