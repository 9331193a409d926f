"""Queries, keys and words that the tests of diagnosis share."""

from __future__ import annotations

import torch

HEADS, N, WIDTH = 4, 16, 64
TRIL = torch.ones(N, N, dtype=torch.bool).tril()


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def q_and_k(examples=2, n=N, width=WIDTH):
    return draw(examples, HEADS, n, width), draw(examples, HEADS, n, width, seed=1)


def names(findings):
    return [finding.name for finding in findings]


def accused(findings):
    return [finding.name for finding in findings if finding.severity != "note"]
