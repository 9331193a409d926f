"""Effects: what a head does to the output, where attention shows where it looks."""

from attnwidget.effects.ablation import ablate
from attnwidget.effects.agreement import agreement
from attnwidget.effects.attribution import Attribution, attribute
from attnwidget.effects.direct import Effects, direct
from attnwidget.effects.groups import GroupDifference, groups
from attnwidget.effects.heads import HeadEffects
from attnwidget.effects.importance import head_importance
from attnwidget.effects.pruning import PruneCurve, prune_curve

__all__ = [
    "Attribution",
    "Effects",
    "GroupDifference",
    "HeadEffects",
    "PruneCurve",
    "ablate",
    "agreement",
    "attribute",
    "direct",
    "groups",
    "head_importance",
    "prune_curve",
]
