"""One type of each kind that the sweep over every type has, and what the sweep has found."""

from __future__ import annotations

import pytest
import torch
import transformers
from torch import nn

import attnwidget as aw
from tests.capturing.accounting import account, computed_by
from tests.capturing.every_type import first_that_runs
from tests.capturing.families import SMALL

# What of each is shown; the rest is named, as points that are sampled and windows are no maps.
KINDS = {
    "detr": "whole",  # a detector behind convolutions
    "rt_detr": "in parts",  # a detector that samples points
    "eomt": "whole",  # a segmenter whose queries join half-way
    "segformer": "whole",  # a segmenter that pools from stage to stage
    "seamless_m4t_v2": "whole",  # speech and text, encoders and decoders
    "nemotron_asr_streaming_encoder": "whole",  # speech with relative positions in the mask
    "time_series_transformer": "whole",  # a forecaster
    "idefics3": "whole",  # text with tiles of a picture
    "qwen2_5_vl": "whole",  # text with a picture of any size
    "jamba": "whole",  # a hybrid with state-space layers
    "timesformer": "in parts",  # video, where half of the attention is over time
    "efficientloftr": "whole",  # two pictures that attend to each other
    "blt": "whole",  # bytes and patches of them
}


@pytest.fixture(autouse=True)
def _quiet():
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    yield
    transformers.logging.set_verbosity(before)


def tiny(kind):
    """A tiny model, its inputs and what it computes; skipped aloud on a release whose configs cannot be made small."""
    attempts = []
    try:
        return first_that_runs(kind, attempts)
    except (LookupError, KeyError):
        if transformers.__version__ >= "5.23":
            raise
        pytest.skip(f"transformers {transformers.__version__} makes no small {kind}: {(attempts or ['not known'])[-1]}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_every_attention_of_a_kind_is_accounted_for(kind):
    model, inputs, computed = tiny(kind)
    result, run = account(model, inputs, computed)
    if not result.honest:  # the rounding of an eager pass is another one than that of sdpa
        result, run = account(model, inputs, computed_by(model, inputs, eager=False))
    assert result.honest, result
    assert result.whole == (KINDS[kind] == "whole"), (result, run.missed, run.refused)
    assert result.given


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_a_model_is_captured_as_it_attends(implementation):
    # Without types of tokens its eager mask is causal in some releases; under sdpa it attends both ways.
    torch.manual_seed(0)
    model, inputs, _ = tiny("paligemma")
    inputs.pop("token_type_ids", None)
    model.set_attn_implementation(implementation)
    result, _ = account(model, inputs, computed_by(model, inputs, eager=False))
    assert result.whole, result
    assert model.config._attn_implementation == implementation


def test_a_learned_query_over_patches_is_a_map_of_one_row():
    model, inputs, _ = tiny("aimv2_vision_model")
    head = aw.capture(model, inputs, progress=False).by_name["head"]
    assert head.weights(0, 0).shape == (1, 64)
    assert len(head.tokens) == 1


def test_classes_of_pixels_are_no_attention():
    class Classifies(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.classes = nn.Conv2d(8, 5, 1)

        def forward(self, x):
            x = self.attention(x, x, x)[0]
            return self.classes(x.mT.unflatten(-1, (2, 3))).softmax(1).amax(1)

    assert not aw.capture(Classifies().eval(), torch.randn(1, 6, 8)).missed


class _Twice(nn.Module):
    """Computes a softmax whose weights nobody reads, as some models do, and then attends."""

    def __init__(self, *, reads: bool):
        super().__init__()
        self.reads, self.num_heads = reads, 2
        self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        q, k, v = (one(x).unflatten(-1, (2, 4)) for one in (self.q, self.k, self.v))
        stray = (q @ k.mT).softmax(-1).to(q.dtype)
        out = (q.transpose(1, 2) @ k.transpose(1, 2).mT).softmax(-1) @ v.transpose(1, 2)
        return out + stray.sum() if self.reads else out


class _Holds(nn.Module):
    def __init__(self, inside: nn.Module):
        super().__init__()
        self.first = inside
        self.second = _Twice(reads=False)

    def forward(self, x):
        return self.first(x), self.second(x)


def test_a_softmax_that_nobody_reads_is_not_missed():
    torch.manual_seed(0)
    run = aw.capture(_Holds(_Twice(reads=False)).eval(), torch.randn(1, 5, 8))
    assert not run.missed


@pytest.mark.filterwarnings("ignore:Not all attention")
def test_a_softmax_that_is_read_is_missed():
    torch.manual_seed(0)
    run = aw.capture(_Holds(_Twice(reads=True)).eval(), torch.randn(1, 5, 8))
    assert list(run.missed) == ["first"]


def test_a_module_that_gives_back_what_it_was_given_has_not_attended():
    class IdleAttention(nn.Module):
        def __init__(self):
            super().__init__()
            self.query = nn.Linear(8, 8)

        def forward(self, x, others=None):
            return x if others is None else x + self.query(others)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.idle = IdleAttention()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            x = self.idle(x)
            return self.attention(x, x, x)[0]

    assert not aw.capture(Model().eval(), torch.randn(1, 5, 8)).missed


def test_layers_of_one_size_are_a_map():
    torch.manual_seed(0)
    config = transformers.FunnelConfig(
        vocab_size=99, block_sizes=[1, 2], num_decoder_layers=1, d_model=32, n_head=4, d_head=8, d_inner=64,
    )  # fmt: skip
    run = aw.capture(transformers.FunnelModel(config).eval(), {"input_ids": torch.arange(3, 13)[None]}, progress=False)
    sizes = {name: tuple(maps.weights(0, 0).shape) for name, maps in run.by_name.items()}
    assert {(10, 10), (5, 5)} <= set(sizes.values()), sizes
    assert not run.refused
    plain = aw.capture(
        transformers.BertModel(transformers.BertConfig(**SMALL)).eval(), {"input_ids": torch.arange(3, 13)[None]}
    )
    assert list(plain.by_name) == ["attention"]
