"""Rotary positions: what capture proves of them, family by family, and what it does not claim."""

from __future__ import annotations

import math

import pytest
import torch
import transformers
from torch import nn

import attnwidget as aw

SMALL = {
    "vocab_size": 50, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2,
}  # fmt: skip
GPT = {"vocab_size": 50, "n_embd": 64, "n_layer": 2, "n_head": 4}
IDS = torch.arange(3, 14)[None]

# Family, its config, which dimensions turn together, the first that turns, pairs, and the base of the frequencies.
FAMILIES = {
    "Llama": (SMALL, "halves", 0, 8),
    "Phi": (SMALL, "halves", 0, 4),
    "Cohere": (SMALL, "neighbours", 0, 8),
    "GPTJ": (GPT | {"rotary_dim": 8}, "neighbours", 0, 4),
    "GptOss": (SMALL | {"head_dim": 16, "num_local_experts": 2, "num_experts_per_tok": 1}, "halves", 0, 8),
    "Qwen3": (SMALL | {"head_dim": 16}, "halves", 0, 8),
}


def model_of(family: str, **config) -> nn.Module:
    torch.manual_seed(0)
    made = getattr(transformers, f"{family}Config")(**config)
    kind = getattr(transformers, f"{family}ForCausalLM", None) or getattr(transformers, f"{family}LMHeadModel")
    return kind(made).eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_angles_and_pairs_are_those_of_the_model(family):
    config, pairing, start, pairs = FAMILIES[family]
    layer = aw.capture(model_of(family, **config), {"input_ids": IDS}).maps.layers[1]
    rotary = layer.rotary
    assert (rotary.pairing, rotary.start, rotary.pairs) == (pairing, start, pairs)
    # Each pair turns by the same angle from token to token, and the pairs by another each.
    steps = rotary.queries.diff(dim=0)
    steps = (steps - steps[:1]).remainder(2 * math.pi)
    assert torch.minimum(steps, 2 * math.pi - steps).max() < 1e-5
    assert torch.equal(rotary.queries, rotary.keys)
    assert rotary.queries[1].diff().lt(0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_content_depends_on_the_two_vectors_alone(family):
    """Each head at a position of its own gives the content that the same vectors give anywhere else."""
    config, *_ = FAMILIES[family]
    model = model_of(family, **config)
    # One token throughout: in the first layer all queries are the same vector but for their turning, and all keys.
    layer = aw.capture(model, {"input_ids": torch.full((1, 12), 7)}).maps.layers[0]
    content = torch.stack(
        [
            layer.rotary.content(layer.q[0, query], layer.k[0, key], query, key)
            for query, key in [(0, 0), (7, 2), (11, 0)]
        ]
    )
    assert torch.allclose(content, content[:1].expand_as(content), atol=1e-6)
    # Side by side there is no distance: what the pairs add is the product as it is.
    pairs = layer.rotary.dimensions()
    assert torch.allclose(content[0], (layer.q[0, 0] * layer.k[0, 0])[pairs].sum(-1), atol=1e-7)


def test_a_model_without_rotary_positions_has_none():
    assert all(layer.rotary is None for layer in aw.capture(model_of("GPT2", **GPT), {"input_ids": IDS}).maps.layers)


def test_vectors_that_are_changed_after_the_turning_prove_nothing():
    class Changed(nn.Module):
        def __init__(self, *, changed: bool):
            super().__init__()
            self.to_q, self.to_k, self.changed = nn.Linear(8, 8), nn.Linear(8, 8), changed

        def forward(self, x):
            q, k = (to(x).unflatten(-1, (2, 4)).transpose(1, 2) for to in (self.to_q, self.to_k))
            angles = torch.arange(x.shape[1])[:, None] * torch.tensor([1.0, 0.1, 1.0, 0.1])
            cos, sin = angles.cos(), angles.sin()
            q, k = (v * cos + torch.cat([-v[..., 2:], v[..., :2]], -1) * sin for v in (q, k))
            q = q * 2 if self.changed else q
            return nn.functional.scaled_dot_product_attention(q, k, k)

    x = torch.randn(1, 6, 8)
    told, untold = (aw.capture(Changed(changed=changed), x).maps.layers[0].rotary for changed in (False, True))
    assert untold is None
    assert torch.allclose(told.queries[3], torch.tensor([3.0, 0.3]), atol=1e-6)


def test_generated_tokens_and_padding_keep_their_own_positions(tmp_path):
    model = model_of("Llama", **SMALL)
    ids, seen = torch.randint(3, 50, (2, 5)), torch.tensor([[0, 0, 1, 1, 1], [1] * 5])
    with aw.recording(model) as recorder:
        model.generate(ids, attention_mask=seen, max_new_tokens=4, do_sample=False, pad_token_id=0)
    for number, maps in enumerate(recorder.capture()):
        found = maps.maps if hasattr(maps, "maps") else maps
        rotary = found.layers[0].rotary
        assert rotary.queries.shape == (found.n_queries, 8), number
        off = rotary.queries[:, 0] - torch.arange(found.n_queries)  # the first pair turns by 1 a token
        assert torch.allclose(off.cos(), torch.ones(found.n_queries), atol=1e-6)
        # Layers share the angles, and a file gives them back.
        assert rotary.queries is rotary.keys is found.layers[1].rotary.queries
        loaded = aw.AttentionMaps.load(found.save(tmp_path / "maps.safetensors")).layers[1].rotary
        assert (loaded.pairing, loaded.start) == ("halves", 0)
        assert torch.equal(loaded.keys, rotary.keys)
