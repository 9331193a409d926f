"""Tokens left out, or kept alone, and the rest of each row rescaled."""

from __future__ import annotations

import math

import pytest
import torch

import attnwidget as aw
from attnwidget.layers import DenseLayer, Mask
from attnwidget.tokens import ImageGrid, Span, Tokens
from attnwidget.widget.answers.projections import projections
from tests.lenses.kinds import KINDS, N, assert_same, dense, drawn, held, maps_of, tokens_of, without_by_hand
from tests.make import matrices, projected
from tests.widget.answers.reading import decoded, made, opened, whole

every_kind = pytest.mark.parametrize("kind", KINDS)


def left(maps, hidden):
    """Queries and keys that stay."""
    keys = [i for i in range(maps.n_keys) if i not in hidden]
    offset = maps.n_keys - maps.n_queries
    return [key - offset for key in keys if key >= offset], keys


class TestWithout:
    @every_kind
    @pytest.mark.parametrize("tokens", [[3, 4, -1], [0], [2, 10, 11, 18], range(1, 21)], ids=str)
    def test_is_what_is_left_of_the_matrix_rescaled(self, kind, tokens):
        maps = maps_of(KINDS[kind])
        hidden = maps.without(tokens=tokens)
        assert_same(hidden, without_by_hand(*dense(maps), *left(maps, {t % N for t in tokens})))

    @every_kind
    def test_of_special_tokens_leaves_them_out_on_both_sides(self, kind):
        maps = maps_of(KINDS[kind])
        hidden = maps.without(special=True)
        assert_same(hidden, without_by_hand(*dense(maps), *left(maps, {0, 11, 12, 23})))
        assert "<s>" not in {*hidden.tokens, *hidden.key_tokens}
        assert "Special tokens (4) are hidden, and the rest of each row is rescaled to sum to 1" in hidden.notes[-1]

    def test_in_single_precision_is_as_near_as_that_is(self):
        maps = projected(60)
        hidden = maps.without(tokens=[0, 7, 8, 30])
        assert_same(hidden, without_by_hand(*dense(maps), *left_of(60, {0, 7, 8, 30})), tolerance=1e-6)

    def test_keeps_queries_and_keys_so_that_scores_and_temperature_remain(self):
        maps = maps_of(held(mask=Mask(causal=True, window=6), softcap=3.0))
        hidden = maps.without(tokens=[4, 9])
        kept, _ = left(maps, {4, 9})
        torch.testing.assert_close(hidden.scores(1, 3), maps.scores(1, 3)[kept][:, kept])
        hot = maps.weights(1, 3, temperature=2.0)[kept][:, kept]
        torch.testing.assert_close(hidden.weights(1, 3, temperature=2.0), hot / hot.sum(-1, keepdim=True))

    def test_of_weights_can_be_tempered_as_those_can(self):
        maps = maps_of(KINDS["weights"])
        hot = maps.weights(0, 1, temperature=0.5)[3:][:, 3:]
        hidden = maps.without(tokens=[0, 1, 2])
        torch.testing.assert_close(hidden.weights(0, 1, temperature=0.5), hot / hot.sum(-1, keepdim=True))
        with pytest.raises(ValueError, match="scores are not known here"):
            hidden.scores(0, 1)

    @every_kind
    def test_sent_whole_is_the_same_to_who_unpacks_it(self, kind):
        hidden = maps_of(KINDS[kind]).without(tokens=[0, 5, 6])
        answer = projections(hidden, 1)
        in_codes = answer.header["form"] == "codes"
        weights, missing, _ = (opened if in_codes else made)(answer.header, answer.buffers)
        expected, outside = dense(hidden)
        close = {"rtol": 1e-3 if in_codes else 0, "atol": 1e-6}
        torch.testing.assert_close(torch.from_numpy(weights), expected, **close)
        torch.testing.assert_close(torch.tensor(missing).double(), outside, rtol=0, atol=1e-6)

    def test_of_queries_and_keys_lets_the_browser_make_every_head(self):
        for kind in ("causal", "window", "offset and window", "sinks and window", "mask for each head", "one key head"):
            answer = projections(maps_of(KINDS[kind]).without(tokens=[0, 5, 6]), 0)
            assert answer.header["form"] == "projections", kind

    @every_kind
    def test_gives_tiles_that_show_the_same(self, kind):
        hidden = maps_of(KINDS[kind]).without(tokens=[0, 5, 6])
        logs, missing, _ = decoded(whole(hidden, 1, 0))
        weights, outside = (found[0] for found in dense(hidden))
        torch.testing.assert_close(torch.from_numpy(logs).exp(), weights, rtol=1e-3, atol=1e-4)
        there = torch.from_numpy(missing.copy()).double()
        torch.testing.assert_close(there, outside, rtol=0, atol=1e-6)

    def test_a_row_that_has_nothing_left_is_empty(self):
        maps = projected(8)
        hidden = maps.only([0, 7]).without(tokens=[0])
        assert hidden.weights(0, 0).tolist() == [[1]]
        given = torch.eye(4)[None]
        diagonal = aw.AttentionMaps([DenseLayer(given)], list("abcd"), list("wxyz"))
        hidden = diagonal.without(tokens=["x"])
        assert hidden.weights(0, 0).tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]]
        assert aw.measures.entropy(hidden)[0, 0].isnan().tolist() == [False, True, False, False]

    def test_a_row_with_nan_stays_nan(self):
        given = matrices(1, 4, 4)
        given[0, 2] = math.nan
        with pytest.warns(aw.AttentionWarning, match="NaN"):
            maps = aw.AttentionMaps.from_arrays(given, layout="HQK")
        assert maps.without(tokens=[0]).weights(0, 0).isnan().all(-1).tolist() == [False, True, False]

    def test_lets_gradients_through_past_weights_of_zero(self):
        given = matrices(2, 4, 4, causal=True).requires_grad_()
        maps = aw.AttentionMaps([DenseLayer(given)], list("abcd"))
        maps.without(tokens=[0]).weights(0, 0).square().sum().backward()
        assert given.grad.isfinite().all()
        assert (given.grad != 0).any()


def left_of(n, hidden):
    kept = [i for i in range(n) if i not in hidden]
    return kept, kept


class TestLearnedSinks:
    def test_stay_in_the_softmax_and_hold_their_share(self):
        maps = maps_of(KINDS["learned sinks"])
        hidden = maps.without(special=True)
        assert (hidden.weights(0, 0).sum(-1) < 0.9999).all()
        assert hidden.notes[-1].endswith("rescaled to sum to 1 with its learned sink.")

    @pytest.mark.parametrize("kind", ["learned sinks", "mean of heads"])
    def test_are_left_out_with_sinks(self, kind):
        maps = maps_of(KINDS[kind])
        hidden = maps.without(sinks=True)
        assert hidden.n_keys == N
        weights, outside = dense(maps)
        expected = weights / weights.sum(-1, keepdim=True), torch.zeros_like(outside)
        assert_same(hidden, expected)
        assert hidden.notes == ("Learned sinks are hidden, and the rest of each row is rescaled to sum to 1.",)
        assert hidden.without(sinks=True) is hidden
        assert hidden.without(tokens=[3]).notes[-1].endswith("rescaled to sum to 1.")


class TestSinks:
    def sinking(self, n=40, heads=8, sink=3, having=3, layers=2):
        """Heads of which some give most to one token."""
        scores = drawn(layers, heads, n, n, seed=8) * 0.1
        scores[:, :having, :, sink] += 8
        return aw.AttentionMaps([DenseLayer(one.softmax(-1)) for one in scores], [f"t{i}" for i in range(n)])

    def test_that_a_quarter_of_the_heads_have_are_left_out(self):
        hidden = self.sinking().without(sinks=True)
        assert "t3" not in hidden.tokens.labels
        assert hidden.n_keys == hidden.n_queries == 39
        assert hidden.notes[-1].startswith("Sinks (1) are hidden")

    def test_that_fewer_heads_have_stay(self):
        maps = self.sinking(having=1)
        assert maps.without(sinks=True) is maps

    def test_are_left_out_with_special_and_chosen_tokens_in_one_sentence(self):
        maps = self.sinking()
        maps = aw.AttentionMaps(maps.layers, ["<s>", *maps.tokens.labels[1:]])
        hidden = maps.without(special=True, sinks=True, tokens=["t7", 8])
        assert hidden.tokens.labels[:5] == ("t1", "t2", "t4", "t5", "t6")
        (note,) = hidden.notes
        assert note.startswith("Special tokens (1), sinks (1) and chosen tokens (2) are hidden, and the rest")

    def test_of_a_long_map_are_read_from_a_spread_of_its_rows(self):
        rows = []

        class Read(DenseLayer):
            def weights(self, heads, rows_):
                found = super().weights(heads, rows_)
                rows.append(found.shape[1])
                return found

        weights = torch.full((1, 9000, 9000), 1e-6)
        weights[:, :, 5] = 0.9
        maps = aw.AttentionMaps([Read(weights, Mask())], Tokens.positions(9000))
        assert "5" not in maps.without(sinks=True).tokens.labels
        assert sum(rows) < 8000

    def test_are_keys_where_queries_are_other_tokens(self):
        weights = torch.full((1, 6, 4), 0.1)
        weights[..., 0] = 0.7
        maps = aw.AttentionMaps([DenseLayer(weights)], list("uvwxyz"), ["<s>", *"abc"])
        hidden = maps.without(sinks=True)
        assert (hidden.n_queries, hidden.key_tokens.labels) == (6, ("a", "b", "c"))


class TestWhich:
    def test_labels_mean_every_token_called_so(self):
        hidden = projected(14).without(tokens=["the", "Lily"])
        assert hidden.tokens.labels == ("<s>", "and", "Ben", "went", "to", "park", ".", "gave", "ball", "to")
        assert projected(14).without(tokens="the").n_keys == 12
        assert projected(14).without(tokens=torch.tensor([1, 2])).n_keys == 12

    def test_positions_are_keys_where_queries_are_other_tokens_and_labels_either(self):
        maps = aw.AttentionMaps([DenseLayer(matrices(2, 3, 4))], ["</s>", "le", "chat"], ["the", "cat", "le", "</s>"])
        hidden = maps.without(tokens=[1])
        assert (hidden.tokens.labels, hidden.key_tokens.labels) == (maps.tokens.labels, ("the", "le", "</s>"))
        hidden = maps.without(tokens=["le"], special=True)
        assert (hidden.tokens.labels, hidden.key_tokens.labels) == (("chat",), ("the", "cat"))
        assert hidden.notes[-1].startswith("Special tokens (2) and chosen tokens (2) are hidden")

    @pytest.mark.parametrize(
        ("tokens", "error", "words"),
        [
            (["Lilly"], ValueError, "did you mean 'Lily'"),
            (["xyzzy"], ValueError, "there are '<s>', 'Lily'"),
            ([14], ValueError, "tokens 0 to 13"),
            ([1.5], TypeError, "expected an integer"),
            (None, TypeError, "expected an integer"),
        ],
    )
    def test_what_is_not_there_is_refused(self, tokens, error, words):
        with pytest.raises(error, match=words):
            projected(14).without(tokens=tokens)

    def test_leaving_out_everything_is_refused(self):
        with pytest.raises(ValueError, match=r"no token of the maps 'attention' is left .* of the 14"):
            projected(14).without(tokens=range(14))
        with pytest.raises(ValueError, match="no token"):
            projected(1).without(special=True)

    def test_leaving_out_nothing_gives_the_maps_back(self):
        maps = projected(14)
        assert maps.without() is maps
        assert maps.only(range(14)) is maps
        empty = aw.AttentionMaps([DenseLayer(torch.zeros(2, 0, 0))], [])
        assert empty.without(special=True, sinks=True).words() is empty
        plain = aw.AttentionMaps(maps.layers, Tokens.positions(14))
        assert plain.without(special=True) is plain


class TestOnly:
    @every_kind
    def test_is_what_they_get_rescaled(self, kind):
        maps = maps_of(KINDS[kind])
        shown = maps.only([12, 13, 14, 20], spans="second")
        hidden = {*range(N)} - {*range(12, 20), 20}
        assert_same(shown, without_by_hand(*dense(maps), *left(maps, hidden)))
        assert "Only 9 of 24 tokens are shown" in shown.notes[-1]

    def test_by_label_and_span(self):
        maps = maps_of(KINDS["causal"])
        assert maps.only(["a", "b"]).tokens.labels == ("a", "b", "a", "b")
        assert maps.only(spans=["first", "second"]).n_keys == 15

    def test_leaves_an_axis_alone_of_which_nothing_is_named(self):
        keys = Tokens.from_labels(list("abcd")).with_spans(Span("document", 1, 3))
        maps = aw.AttentionMaps([DenseLayer(matrices(2, 3, 4))], list("xyz"), keys)
        shown = maps.only(spans="document")
        assert (shown.n_queries, shown.key_tokens.labels) == (3, ("b", "c"))
        assert shown.notes[-1].startswith("Only 3 of 3 queries and 2 of 4 keys are shown")

    @pytest.mark.parametrize(
        ("asked", "words"),
        [
            ({}, "without a token or span"),
            ({"spans": "frist"}, "did you mean 'first'"),
            ({"spans": ["prompt"]}, "there are 'first', 'second'"),
            ({"tokens": [99]}, "tokens 0 to 23"),
        ],
    )
    def test_what_is_not_there_is_refused(self, asked, words):
        with pytest.raises(ValueError, match=words):
            maps_of(KINDS["causal"]).only(**asked)

    def test_a_span_where_there_is_none_is_refused(self):
        with pytest.raises(ValueError, match="there is no span"):
            projected(5).only(spans="prompt")


class TestKept:
    def test_is_all_that_is_still_there(self):
        maps = aw.AttentionMaps(
            [KINDS["causal"], KINDS["bias"]],
            tokens_of(),
            name="decoder",
            layer_names=["h.3", "h.7"],
            layer_numbers=[3, 7],
            head_numbers=[[0, 2, 4, 6], [1, 3, 5, 7]],
            notes=["Something was cut."],
            following="e",
        )
        hidden = maps.without(tokens=[0, 2, 3])
        for name in ("name", "layer_names", "layer_numbers", "head_numbers", "following", "heads", "causal"):
            assert getattr(hidden, name) == getattr(maps, name)
        assert hidden.key_tokens is hidden.tokens
        assert [*hidden.tokens.spans] == [Span("first", 0, 5), Span("second", 9, 17)]
        assert hidden.tokens.origins == (1, *range(4, N))
        assert hidden.notes[0] == "Something was cut."
        assert maps.tokens.origins is None

    def test_a_grid_moves_with_its_patches_and_it_is_said_when_some_are_hidden(self):
        tokens = Tokens.positions(12).with_image(ImageGrid(4, 2, 3))
        maps = aw.AttentionMaps([DenseLayer(matrices(2, 12, 12))], tokens)
        hidden = maps.without(tokens=[0, 1, 11])
        assert hidden.tokens.image == ImageGrid(2, 2, 3)
        assert len(hidden.notes) == 1
        hidden = maps.without(tokens=[5])
        assert list(hidden.tokens.image.positions) == [4, -1, 5, 6, 7, 8]
        assert hidden.notes[-1] == "1 of the 6 patches of pictures are left out."
        assert maps.without(tokens=range(4, 10)).tokens.images == ()

    def test_positions_in_the_text_are_known_after_two(self):
        maps = projected(14).without(tokens=[0, 5]).only([1, 4, 5, -1])
        assert maps.tokens.origins == (2, 6, 7, 13)
        assert maps.tokens.labels == ("and", "the", "park", "to")
        assert maps.tokens[1:3].origins == (6, 7)


class TestHeldAsWhatItIs:
    def test_no_token_in_between_means_no_copy(self):
        maps = projected(14)
        hidden = maps.without(tokens=[0, 1, -1])
        for layer, source in zip(hidden.layers, maps.layers, strict=True):
            assert layer.q.untyped_storage().data_ptr() == source.q.untyped_storage().data_ptr()
            assert layer.k.untyped_storage().data_ptr() == source.k.untyped_storage().data_ptr()

    def test_a_window_stays_a_rule(self):
        hidden = maps_of(held(mask=Mask(causal=True, window=6))).without(tokens=[7, 8])
        mask = hidden.layers[0].mask
        assert mask.additive is None
        assert hidden.causal
        assert mask.window.shape == (22,)
        assert maps_of(held(mask=Mask(causal=True, window=6))).without(tokens=[0]).layers[0].mask.window == 6

    def test_layers_go_on_sharing_what_they_share(self):
        bias = drawn(4, N, N, seed=6)
        maps = aw.AttentionMaps([held(bias=bias, mask=mask) for mask in [Mask(additive=bias.clone())] * 3], tokens_of())
        layers = maps.without(tokens=[5]).layers
        assert len({layer.bias.data_ptr() for layer in layers}) == 1
        assert len({layer.mask.additive.data_ptr() for layer in layers}) == 1

    def test_an_axis_that_stands_for_all_goes_on_doing_so(self):
        bias = drawn(1, 1, N, seed=6).expand(4, N, N)
        maps = maps_of(held(bias=bias))
        hidden = maps.without(tokens=[5])
        assert hidden.layers[0].bias.untyped_storage().nbytes() == (N - 1) * 8
        assert_same(hidden, without_by_hand(*dense(maps), *left(maps, {5})))

    @every_kind
    def test_comes_back_from_a_file(self, kind, tmp_path):
        hidden = maps_of(KINDS[kind]).without(tokens=[0, 7, 8])
        back = aw.AttentionMaps.load(hidden.save(tmp_path / "hidden.safetensors"))
        assert (back.tokens, back.key_tokens, back.notes) == (hidden.tokens, hidden.key_tokens, hidden.notes)
        torch.testing.assert_close(dense(back)[0], dense(hidden)[0], rtol=0, atol=1e-12)
        seen = [maps.layers[0].visible(slice(0, 1), slice(0, maps.n_queries)) for maps in (hidden, back)]
        assert seen[0].equal(seen[1])
