"""Effects: what a head does to the output, where attention shows where it looks."""

from attnwidget.effects.ablation import ablate
from attnwidget.effects.agreement import agreement
from attnwidget.effects.attribution import Attribution, attribute
from attnwidget.effects.debugging import DebuggedPrediction, debug_prediction
from attnwidget.effects.direct import Effects, direct
from attnwidget.effects.groups import GroupDifference, groups
from attnwidget.effects.heads import HeadEffects
from attnwidget.effects.importance import head_importance
from attnwidget.effects.intervening import intervene
from attnwidget.effects.mixing import Mixing, mixing
from attnwidget.effects.norms import value_norms, value_weighted
from attnwidget.effects.pruning import PruneCurve, prune_curve
from attnwidget.effects.relevance import Relevance, relevance

__all__ = [
    "Attribution",
    "DebuggedPrediction",
    "Effects",
    "GroupDifference",
    "HeadEffects",
    "Mixing",
    "PruneCurve",
    "Relevance",
    "ablate",
    "agreement",
    "attribute",
    "debug_prediction",
    "direct",
    "groups",
    "head_importance",
    "intervene",
    "mixing",
    "prune_curve",
    "relevance",
    "value_norms",
    "value_weighted",
]
