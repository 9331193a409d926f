"""Listen to a model, and make its maps from what was heard; modules of torch to listen to."""

from __future__ import annotations

from contextlib import contextmanager

import torch
from torch import nn

from attnwidget.capturing.own import spoken_for
from attnwidget.capturing.recorder import Recorder

HIDDEN = torch.ones(5, 5, dtype=torch.bool).triu(1)
PADDING = torch.tensor([[False] * 5, [False, False, False, True, True]])


@contextmanager
def heard(model, own=None):
    recorder = Recorder(model, own=spoken_for(model, own))
    with recorder.listening():
        yield recorder
    if recorder.failure is not None:
        raise recorder.failure


def listen(model, *args, own=None, **kwargs):
    """The calls of one pass."""
    return run(model, *args, own=own, **kwargs).calls


def run(model, *args, own=None, **kwargs):
    """One pass as it was recorded."""
    with torch.no_grad(), heard(model, own) as recorder:
        model(*args, **kwargs)
    assert len(recorder.passes) == 1
    return recorder.passes[0]


def weights(call):
    """Maps of a call: [batch, heads, queries, keys]."""
    maps = []
    for example in range(call.batch):
        layer = call.layer_of(example, None, None, {})
        maps.append(layer.weights(slice(0, layer.shape[0]), slice(0, layer.shape[1])))
    return torch.stack(maps)


def state(model):
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_always_called", "_forward_hooks_with_kwargs")
    return [(m.training, *(len(getattr(m, hook)) for hook in hooks)) for m in model.modules()]


def assert_close(got, wanted, atol=1e-6):
    torch.testing.assert_close(got.float(), wanted.float(), atol=atol, rtol=0)


def own_maps(model, *args, **kwargs):
    """Weights that each nn.MultiheadAttention computes itself when it is asked to."""
    found, hooks = [], []

    def ask(module, args, kwargs):
        return args, {**kwargs, "need_weights": True, "average_attn_weights": False}

    for module in model.modules():
        if isinstance(module, nn.MultiheadAttention):
            hooks.append(module.register_forward_pre_hook(ask, with_kwargs=True))
            hooks.append(module.register_forward_hook(lambda module, args, out: found.append(out[1].clone())))
    was = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            model(*args, **kwargs)
    finally:
        torch.backends.mha.set_fastpath_enabled(was)
        for hook in hooks:
            hook.remove()
    return found


def filled(model):
    """A model whose biases are no zeros, which would prove nothing."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model.eval()


def multihead(**options):
    return filled(nn.MultiheadAttention(16, 4, **{"batch_first": True} | options))


def vectors(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def minus_infinity(hidden):
    return torch.zeros(hidden.shape).masked_fill(hidden, -torch.inf)
