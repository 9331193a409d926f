"""Eager attention that is edited by hand, and what a model is, to be held against what is found."""

from __future__ import annotations

import copy
from contextlib import contextmanager

import torch
import transformers as tf


def eager_edited(edit):
    """Attention as transformers writes it, with scores and weights edited by a function."""

    def attend(module, query, key, value, attention_mask, *, scaling=None, softcap=None, **_):
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        scores = query @ key.mT * (query.shape[-1] ** -0.5 if scaling is None else scaling)
        if softcap is not None:
            scores = torch.tanh(scores / softcap) * softcap
        if attention_mask is not None:
            scores = scores + attention_mask[..., : key.shape[2]]
        weights = edit(module, scores)
        return (weights @ value).transpose(1, 2).contiguous(), weights

    return attend


@contextmanager
def edited(model, edit):
    """Let a model attend by an edit of its scores."""
    tf.AttentionInterface.register("edited", eager_edited(edit))
    tf.masking_utils.AttentionMaskInterface.register("edited", tf.masking_utils.eager_mask)
    before = model.config._attn_implementation
    model.set_attn_implementation("edited")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def reference(model, edit, run):
    """What a model gives with eager attention that is edited by hand."""
    own = copy.deepcopy(model)
    with edited(own, edit), torch.no_grad():
        return run(own)


def snapshot(model):
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return state, model.config.to_dict(), [m.training for m in model.modules()], hooks


def same(one, other):
    return all(torch.equal(one[0][name], other[0][name]) for name in one[0]) and one[1:] == other[1:]
