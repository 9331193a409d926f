"""AttentionMaps: both ways of holding attention answer the same questions, and intake says what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqModelOutput

import attnwidget as aw
from attnwidget import AttentionMaps, AttentionWarning, Tokens
from attnwidget.layers import Mask, ProjectedLayer
from tests.make import by_hand, matrices, projected

ONE = matrices(1, 1, 2, 2)


def dense_twin(maps: AttentionMaps) -> AttentionMaps:
    """The same maps, handed in as matrices."""
    weights = [
        torch.stack([maps.weights(layer, head) for head in range(heads)]) for layer, heads in enumerate(maps.heads)
    ]
    return AttentionMaps.from_arrays(weights, tokens=maps.tokens)


class TestBothHoldings:
    def test_weights_are_the_textbook_formula(self):
        maps = projected()
        for layer in range(3):
            for head in range(4):
                torch.testing.assert_close(maps.weights(layer, head), by_hand(maps, layer, head))

    def test_matrices_answer_as_q_and_k_do(self):
        held = projected()
        given_ = dense_twin(held)
        torch.testing.assert_close(given_.weights(2, 3), held.weights(2, 3))
        torch.testing.assert_close(given_.log_weights(2, 3), held.log_weights(2, 3), atol=1e-5, rtol=1e-5)
        for temperature, scaling in [(0.3, 1.0), (4.0, 1.0), (1.0, 0.0), (2.0, 3.0)]:
            torch.testing.assert_close(
                given_.weights(1, 1, temperature=temperature, scaling=scaling),
                held.weights(1, 1, temperature=temperature, scaling=scaling),
            )
        assert given_.causal
        assert held.causal

    @given(factor=st.floats(0.05, 8), seed=st.integers(0, 50))
    @settings(deadline=None, max_examples=30)
    def test_temperature_is_softmax_of_scaled_scores(self, factor, seed):
        maps = projected(6, layers=1, seed=seed)
        expected = by_hand(maps, 0, 1, factor)
        torch.testing.assert_close(maps.weights(0, 1, temperature=1 / factor), expected, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(maps.weights(0, 1, scaling=factor), expected, atol=1e-6, rtol=1e-4)

    def test_scaling_zero_is_uniform_over_what_is_visible(self):
        weights = projected(5).weights(0, 0, scaling=0)
        expected = torch.ones(5, 5).tril() / torch.arange(1, 6)[:, None]
        torch.testing.assert_close(weights, expected)

    def test_learned_sinks_hold_mass_outside_the_map(self):
        maps = projected(sinks=torch.tensor([3.0, -1.0, 0.0, 9.0]))
        for factor in (1.0, 0.25, 3.0):
            weights = maps.weights(0, 3, scaling=factor)
            torch.testing.assert_close(weights, by_hand(maps, 0, 3, factor))
            assert (weights.sum(-1) < 0.999).any()

    def test_scores_are_known_only_from_q_and_k(self):
        held = projected()
        scores = held.scores(0, 2)
        torch.testing.assert_close(scores.softmax(-1), held.weights(0, 2))
        with pytest.raises(ValueError, match=r"scores are not known.*log_weights"):
            dense_twin(held).scores(0, 2)

    def test_a_row_that_sees_nothing_is_zero_and_not_uniform(self):
        mask = Mask.from_additive(torch.tensor([[[0.0, -torch.inf], [-torch.inf, -torch.inf]]]))
        layer = ProjectedLayer(torch.randn(1, 2, 4), torch.randn(1, 2, 4), 0.5, mask)
        weights = AttentionMaps([layer], Tokens.positions(2)).weights(0, 0)
        assert weights.tolist() == [[1.0, 0.0], [0.0, 0.0]]

    def test_inputs_are_not_changed(self):
        given_ = matrices(2, 4, 5, 5)
        before = given_.clone()
        maps = AttentionMaps.from_arrays(given_, layout="LHQK")
        maps.log_weights(0, 0, temperature=0.1)
        maps.weights(1, 3).mul_(2)
        assert torch.equal(given_, before)

    def test_half_precision_is_answered_in_float32(self):
        maps = AttentionMaps.from_arrays(matrices(1, 2, 5, 5).bfloat16(), layout="LHQK")
        assert maps.weights(0, 0).dtype == torch.float32

    def test_float64_stays(self):
        assert AttentionMaps.from_arrays(matrices(3, 3).double()).weights(0, 0).dtype == torch.float64

    @pytest.mark.parametrize(("layer", "head"), [(3, 0), (-4, 0), (0, 4)])
    def test_a_head_that_does_not_exist(self, layer, head):
        with pytest.raises(IndexError, match=r"does not exist.*0 to"):
            projected().weights(layer, head)

    def test_negative_numbers_count_from_the_end(self):
        maps = projected()
        assert torch.equal(maps.weights(-1, -1), maps.weights(2, 3))

    def test_layer_zero_and_head_zero_exist(self):
        torch.testing.assert_close(projected().weights(0, 0), by_hand(projected(), 0, 0))


class TestMaskRules:
    """A mask that is a rule is kept as a rule: O(n) instead of O(n^2)."""

    @pytest.mark.parametrize(
        ("n_queries", "n_keys", "window"),
        [(6, 6, None), (6, 6, 3), (1, 6, None), (2, 6, None), (2, 6, 3), (1, 1, None)],
    )
    def test_causal_rules_are_found(self, n_queries, n_keys, window):
        rule = Mask(causal=True, offset=n_keys - n_queries, window=window)
        visible = rule.visible(slice(0, n_queries), n_keys, torch.device("cpu"))
        additive = torch.zeros(visible.shape).masked_fill(~visible, torch.finfo(torch.float32).min)
        found = Mask.from_additive(additive)
        assert found.additive is None
        assert torch.equal(found.visible(slice(0, n_queries), n_keys, torch.device("cpu")), visible)

    def test_any_other_mask_is_kept_exactly(self):
        additive = torch.randn(4, 5, 5)
        additive[0, 1, 2] = torch.finfo(torch.float32).min
        layer = ProjectedLayer(torch.zeros(4, 5, 2), torch.zeros(4, 5, 2), 1.0, Mask.from_additive(additive))
        expected = additive.softmax(-1)
        for head in range(4):
            got = AttentionMaps([layer], Tokens.positions(5)).weights(0, head)
            torch.testing.assert_close(got, expected[head])


class TestIntake:
    @pytest.mark.parametrize(
        ("weights", "layout", "heads"),
        [
            (tuple(matrices(1, 4, 6, 6) for _ in range(3)), None, (4, 4, 4)),
            ([matrices(4, 6, 6).numpy() for _ in range(3)], None, (4, 4, 4)),
            (matrices(3, 1, 4, 6, 6), "LBHQK", (4, 4, 4)),
            (matrices(3, 4, 6, 6).numpy(), "LHQK", (4, 4, 4)),
            (matrices(4, 6, 6), "HQK", (4,)),
            (matrices(4, 6, 6), "LQK", (1, 1, 1, 1)),
            (matrices(1, 4, 6, 6), "BHQK", (4,)),
            (matrices(6, 6), None, (1,)),
            ([matrices(2, 6, 6), matrices(5, 6, 6)], None, (2, 5)),
            (BaseModelOutput(attentions=(matrices(1, 2, 6, 6),)), None, (2,)),
            ([[[0.5, 0.5], [0.25, 0.75]]], "HQK", (1,)),
            ([[1, 0], [0, 1]], None, (1,)),
            (matrices(6, 6).numpy().astype(">f4"), None, (1,)),
            (matrices(6, 6).numpy()[::-1, ::-1], None, (1,)),
        ],
    )
    def test_shapes_people_have(self, weights, layout, heads):
        assert AttentionMaps.from_arrays(weights, layout=layout).heads == heads

    def test_axes_land_where_the_layout_says(self):
        array = matrices(5, 6, 2, 3, 4).permute(2, 0, 4, 1, 3)  # L, B, K, H... as somebody's dump has them
        maps = AttentionMaps.from_arrays(array, layout="LBKHQ", example=3)
        assert maps.heads == (6, 6)
        torch.testing.assert_close(maps.weights(1, 4), matrices(5, 6, 2, 3, 4)[3, 4, 1])

    def test_cross_attention_is_rectangular(self):
        maps = AttentionMaps.from_arrays(matrices(2, 3, 5), layout="HQK", tokens=list("abc"), key_tokens=list("vwxyz"))
        assert (maps.n_queries, maps.n_keys) == (3, 5)
        assert maps.key_tokens.labels == tuple("vwxyz")

    def test_nothing_is_copied(self):
        given_ = matrices(1, 2, 4, 4)
        assert AttentionMaps.from_arrays((given_,)).layers[0].matrix.data_ptr() == given_.data_ptr()

    @pytest.mark.parametrize(
        ("weights", "options", "error", "words"),
        [
            (None, {}, ValueError, r"weights is None.*attnwidget\.capture"),
            ((), {}, ValueError, r"empty tuple.*attn_implementation='eager'"),
            ((None, None), {}, ValueError, r"None for layer 0 \(2 of 2"),
            (((), ()), {}, ValueError, r"2 tuples, and there is nothing in them.*it gave none"),
            (BaseModelOutput(), {}, ValueError, "without attentions"),
            (
                Seq2SeqModelOutput(encoder_attentions=(ONE,), cross_attentions=(ONE,)),
                {}, ValueError, r"outputs\.encoder_attentions",
            ),
            (matrices(2, 3, 4, 4), {}, ValueError, r"more than one way.*'LHQK'.*'BHQK'"),
            (matrices(3, 4, 4), {}, ValueError, r"'HQK'.*'LQK'"),
            (matrices(2, 2, 3, 4, 4), {"layout": "LBHQK"}, ValueError, r"batch of 2.*example=0"),
            (matrices(2, 2, 3, 4, 4), {"layout": "LBHQK", "example": 2}, ValueError, "outside the batch of 2"),
            (matrices(3, 4, 4), {"layout": "LHQK"}, ValueError, r"3 dimensions.*names 4"),
            (matrices(3, 4, 4), {"layout": "HQX"}, ValueError, "is no layout"),
            ([matrices(4, 4)], {}, ValueError, "one array a layer"),
            ([matrices(2, 4, 4), matrices(1, 2, 4, 4)], {}, ValueError, "one number of dimensions"),
            ([matrices(2, 4, 4), matrices(2, 5, 5)], {}, ValueError, r"4 queries x 4 keys and layer 1 has 5 x 5"),
            (torch.zeros(0, 4, 4), {"layout": "HQK"}, ValueError, "is empty"),
            (torch.randn(4, 4), {}, ValueError, "look like scores"),
            (torch.ones(4, 4, dtype=torch.int64), {}, TypeError, "torch.int64"),
            (np.ones((4, 4), dtype=bool), {}, TypeError, "bool"),
            (object(), {}, TypeError, "no array"),
            (np.ma.masked_array(np.eye(3), mask=np.eye(3) > 0), {}, TypeError, r"masked array.*filled\(0\)"),
            (torch.zeros(0, 2, 4, 4), {"layout": "LHQK"}, ValueError, "holds no layer"),
            (matrices(4, 4), {"example": 5}, ValueError, "no batch"),
            (torch.eye(4).to_sparse(), {}, TypeError, "to_dense"),
            (matrices(4, 4), {"tokens": ["a", "b"]}, ValueError, r"2 labels.*4 queries.*special tokens"),
            (matrices(4, 4), {"tokens": "abcd"}, TypeError, "one string"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_read_gets_its_own_sentence(self, weights, options, error, words):
        with pytest.raises(error, match=words):
            AttentionMaps.from_arrays(weights, **options)

    def test_dropout_is_named(self):
        torch.manual_seed(0)
        dropped = torch.nn.functional.dropout(matrices(1, 2, 40, 40), 0.5)
        with pytest.warns(AttentionWarning, match=r"do not sum to 1.*layer \d, head \d.*eval"):
            AttentionMaps.from_arrays((dropped,))

    def test_a_transposed_map_is_named(self):
        with pytest.warns(AttentionWarning, match="transposed"):
            AttentionMaps.from_arrays(matrices(6, 6).T)

    def test_nan_is_named_by_place_and_stays_nan(self):
        weights = matrices(2, 3, 4, 4)
        weights[1, 2, 3] = torch.nan
        with pytest.warns(AttentionWarning, match="NaN in layer 1, heads 2"):
            maps = AttentionMaps.from_arrays(weights, layout="LHQK")
        assert maps.weights(1, 2)[3].isnan().all()
        assert not maps.weights(1, 2)[:3].isnan().any()
        assert maps.notes

    def test_a_weight_of_zero_is_small_and_not_hidden(self):
        maps = AttentionMaps.from_arrays(torch.stack([torch.eye(4), torch.full((4, 4), 0.25)]), layout="HQK")
        assert aw.measures.entropy(maps, normalize=True, reduce="queries").tolist() == [[0, 1]]
        assert not maps.causal

    def test_a_read_only_array_is_taken(self):
        array = matrices(4, 4).numpy()
        array.flags.writeable = False
        torch.testing.assert_close(AttentionMaps.from_arrays(array).weights(0, 0), matrices(4, 4))

    def test_rounding_in_half_precision_is_no_fault(self):
        maps = AttentionMaps.from_arrays(matrices(1, 2, 300, 300).bfloat16(), layout="LHQK")  # warnings are errors here
        assert maps.notes == ()


class TestFiles:
    @pytest.mark.parametrize("make", [projected, lambda: dense_twin(projected())])
    def test_a_file_brings_everything_back(self, make, tmp_path):
        maps = make()
        back = AttentionMaps.load(maps.save(tmp_path / "run.safetensors"))
        assert back.tokens == maps.tokens
        assert back.layer_names == maps.layer_names
        assert back.notes == maps.notes
        assert all(torch.equal(back.weights(x, y), maps.weights(x, y)) for x in range(3) for y in range(4))

    def test_terms_that_layers_share_are_written_once(self, tmp_path):
        bias = torch.randn(2, 40, 40)
        shared = Mask.from_additive(torch.randn(1, 40, 40))
        layers = [ProjectedLayer(torch.randn(2, 40, 4), torch.randn(2, 40, 4), 1.0, shared, bias) for _ in range(6)]
        maps = AttentionMaps(layers, Tokens.positions(40))
        path = maps.save(tmp_path / "run.safetensors")
        assert path.stat().st_size < 1.5 * (bias.nbytes + shared.additive.nbytes + sum(x.q.nbytes * 2 for x in layers))
        torch.testing.assert_close(AttentionMaps.load(path).weights(5, 1), maps.weights(5, 1))

    def test_loading_needs_neither_model_nor_pickle(self, tmp_path):
        path = projected().save(tmp_path / "run.safetensors")
        code = (
            "import sys, pickle; pickle.load = pickle.loads = None\n"
            f"import attnwidget; maps = attnwidget.AttentionMaps.load({str(path)!r})\n"
            "assert 'transformers' not in sys.modules; print(maps.weights(0, 0).shape)"
        )
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert "14, 14" in out.stdout

    def test_a_file_of_something_else(self, tmp_path):
        (tmp_path / "other").write_bytes(b"no attention")
        with pytest.raises(ValueError, match="holds no attention maps"):
            AttentionMaps.load(tmp_path / "other")
        with pytest.raises(FileNotFoundError, match=r"AttentionMaps\.save"):
            AttentionMaps.load(tmp_path / "nothing")

    def test_a_file_of_a_later_version(self, tmp_path):
        from safetensors.torch import save_file

        save_file({"x": torch.zeros(1)}, tmp_path / "x", metadata={"attnwidget": json.dumps({"format": 99})})
        with pytest.raises(ValueError, match="Update attnwidget"):
            AttentionMaps.load(tmp_path / "x")


def test_importing_is_quick_and_loads_neither_torch_nor_transformers():
    code = (
        "import sys, time; start = time.perf_counter(); import attnwidget; took = time.perf_counter() - start\n"
        "loaded = sorted({'torch', 'transformers', 'numpy', 'anywidget'} & set(sys.modules))\n"
        "import json; print(json.dumps([took, loaded]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    took, loaded = json.loads(out.stdout)
    assert loaded == []
    assert took < 0.3


def test_a_name_that_does_not_exist():
    import attnwidget

    with pytest.raises(AttributeError, match=r"no attribute 'Attention'.*AttentionMaps"):
        attnwidget.Attention  # noqa: B018
    assert {"capture", "explore", "AttentionMaps"} <= set(dir(attnwidget))
