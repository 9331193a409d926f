"""Given, missed and refused are together what was computed, and what is given is equal to it."""

from __future__ import annotations

import pytest
import torch

from tests.capturing.accounting import account
from tests.capturing.families import FAMILIES, agrees_with_itself


@pytest.mark.parametrize("family", FAMILIES)
def test_every_attention_of_a_family_is_accounted_for(family):
    make, inputs = FAMILIES[family]
    model = make().eval()
    one = {name: value[:1] for name, value in inputs.items() if not name.endswith("attention_mask")}
    if family == "gpt2-inverse-layer" and not agrees_with_itself(make().eval(), one):
        pytest.xfail("transformers' own eager and sdpa attention differ for this model in this release")
    result, run = account(model, one)
    assert result.honest, result
    assert result.whole, (result, run.missed, run.refused)
    assert torch.get_default_dtype() == torch.float32
