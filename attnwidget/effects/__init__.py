"""Effects: what a head does to the output, where attention shows where it looks."""

from attnwidget.effects.ablation import ablate
from attnwidget.effects.direct import Effects, direct
from attnwidget.effects.heads import HeadEffects
from attnwidget.effects.importance import head_importance
from attnwidget.effects.intervening import intervene
from attnwidget.effects.norms import value_norms, value_weighted
from attnwidget.effects.relevance import Relevance, relevance

__all__ = [
    "Effects",
    "HeadEffects",
    "Relevance",
    "ablate",
    "direct",
    "head_importance",
    "intervene",
    "relevance",
    "value_norms",
    "value_weighted",
]
