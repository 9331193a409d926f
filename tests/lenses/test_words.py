"""Word pieces merged to words."""

from __future__ import annotations

import math

import pytest
import torch

import attnwidget as aw
from attnwidget.layers import DenseLayer
from attnwidget.tokens import ImageGrid, Span, Tokens, _byte_of_symbol
from tests.lenses.kinds import KINDS, N, assert_same, dense, maps_of, words_by_hand
from tests.make import matrices, projected
from tests.widget.answers.reading import decoded, whole

every_kind = pytest.mark.parametrize("kind", KINDS)
# Words of the labels in kinds.py; no word goes over the end of a span, at 8 and at 20.
WORDS = [
    [0],
    [1],
    [2, 3],
    [4],
    [5, 6, 7],
    *([i] for i in range(8, 14)),
    [14, 15],
    [16],
    [17, 18, 19],
    *([i] for i in range(20, 24)),
]


def byte_level(*chunks):
    """Chunks of a text as a byte-level tokenizer prints them."""
    symbols = {byte: symbol for symbol, byte in _byte_of_symbol().items()}
    return ["".join(symbols[byte] for byte in chunk.encode()) for chunk in chunks]


def of_words(maps, words=WORDS):
    """The words of queries and of keys."""
    offset = maps.n_keys - maps.n_queries
    rows = [[piece - offset for piece in word if piece >= offset] for word in words]
    return [word for word in rows if word], words


@every_kind
def test_a_query_is_the_mean_over_its_pieces_and_a_key_the_sum(kind):
    maps = maps_of(KINDS[kind])
    words = maps.words()
    assert words.key_tokens.labels[2:5] == ("newest", "b", "returning")
    assert_same(words, words_by_hand(*dense(maps), *of_words(maps)))


def test_in_single_precision_is_as_near_as_that_is():
    maps = aw.AttentionMaps(projected(N).layers, maps_of(KINDS["causal"]).tokens)
    assert_same(maps.words(), words_by_hand(*dense(maps), *of_words(maps)), tolerance=1e-6)


@every_kind
def test_tiles_show_the_same(kind):
    words = maps_of(KINDS[kind]).words()
    weights, outside = (found[0] for found in dense(words))
    logs, missing, _ = decoded(whole(words, 1, 0))
    torch.testing.assert_close(torch.from_numpy(logs).exp(), weights, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(torch.tensor(missing).double(), outside, rtol=0, atol=1e-6)


def test_a_tile_is_not_tempered_and_says_so():
    words = maps_of(KINDS["causal"]).words()
    plain, hot = (whole(words, 0, 0, height=4, width=4, temperature=heat) for heat in (1.0, 3.0))
    assert hot.buffers == plain.buffers
    assert (hot.header["temperature"], hot.header["scaling"]) == (1, 1)


@pytest.mark.parametrize("look", ["weights", "log_weights"])
def test_no_temperature_can_act_and_there_are_no_scores(look, tmp_path):
    words = maps_of(KINDS["causal"]).words()
    kept = aw.AttentionMaps.load(words.save(tmp_path / "words.safetensors"))
    for maps in (words, words.mean_of_heads(), words.without(tokens=[0]), kept):
        with pytest.raises(ValueError, match=r"temperature=2.* act on scores, and .* sum over its pieces"):
            getattr(maps, look)(0, 0, temperature=2.0)
        with pytest.raises(ValueError, match="scores are not known here"):
            maps.scores(0, 0)
    with pytest.raises(ValueError, match="scaling=0 act on scores"):
        aw.figure(words, layer=0, head=0, scaling=0)


class TestLabels:
    @pytest.mark.parametrize(
        ("pieces", "words"),
        [
            (["[CLS]", "play", "##ing", "a", "piano", ".", "[SEP]"], ["[CLS]", "playing", "a", "piano", ".", "[SEP]"]),
            (["Ġplay", "ing", "Ġa", "Ġpi", "ano", ".", "<|endoftext|>"], ["playing", "a", "piano.", "<|endoftext|>"]),
            (["▁play", "ing", "▁the", "▁", "pi", "ano", "</s>"], ["playing", "the", "piano", "</s>"]),
            (["Hello", "Ċ", "There", "Ġyou"], ["Hello", "\n", "There", "you"]),
            (["Ġx", "ð", "Ł", "ĺ", "Ģ", "Ġy"], ["x\N{GRINNING FACE}", "y"]),
            (["ĠÃ", "©", "Ã", "©t", "Ġz"], ["éét", "z"]),
            (["我", "爱", "自", "然", "play", "##ing"], ["我", "爱", "自", "然", "playing"]),
            (["▁我", "爱", "自然", "ab", "c"], ["我", "爱", "自然", "abc"]),
            (["ĠI", "Ġlove", "Ġæ", "ĸ", "ĩ", "åŃĹ", "s"], ["I", "love", "文", "字", "s"]),
            (["▁สวัสดี", "ครับ"], ["สวัสดี", "ครับ"]),
            (["▁안녕", "하세요", "▁친구"], ["안녕하세요", "친구"]),
            (byte_level("של", "ום", " רב"), ["שלום", "רב"]),
        ],
    )  # fmt: skip
    def test_are_the_pieces_joined(self, pieces, words):
        maps = aw.AttentionMaps([DenseLayer(matrices(1, len(pieces), len(pieces)))], pieces)
        assert [*maps.words().tokens.labels] == words

    def test_from_a_tokenizer_too(self):
        tokens = Tokens(("Hi", "there", "you"), (5, 6, 7), (), (0, 0, 1))
        words = aw.AttentionMaps([DenseLayer(matrices(1, 3, 3))], tokens).words().tokens
        assert (words.labels, words.ids, words.origins) == (("Hithere", "you"), None, (0, 2))


class TestKept:
    def test_is_all_that_is_still_there(self):
        maps = maps_of(KINDS["offset"], name="decoder", layer_numbers=[3, 7], notes=["Cut."], following="ly")
        words = maps.words()
        assert (words.name, words.layer_numbers, words.following, words.heads) == ("decoder", (3, 7), "ly", (4, 4))
        assert words.causal
        assert words.notes[0] == "Cut."
        assert words.notes[1].startswith("Word pieces are merged to words (4 of several pieces)")
        spans = [Span("first", 1, 5), Span("second", 9, 14)]
        assert [*words.key_tokens.spans] == spans
        assert words.key_tokens.origins == tuple(word[0] for word in WORDS)
        assert words.tokens.labels == words.key_tokens.labels[-len(words.tokens) :]

    def test_patches_stay_single_and_their_grid_moves(self):
        tokens = Tokens(
            ("pic", "ture", *"123456", "end"),
            words=(0, 0, *[1] * 6, 2),
            images=(ImageGrid(2, 2, 3, torch.zeros(4, 6, 3)),),
        )
        words = aw.AttentionMaps([DenseLayer(matrices(1, 9, 9))], tokens).words()
        assert words.tokens.labels == ("picture", *"123456", "end")
        assert (words.tokens.image.start, words.tokens.image.picture.shape) == (1, (4, 6, 3))

    def test_a_text_without_pieces_is_given_back(self):
        maps = projected(9)
        assert maps.words() is maps
        one = projected(1)
        assert one.words() is one

    def test_words_are_words_already(self):
        words = maps_of(KINDS["causal"]).words()
        assert words.words() is words

    def test_a_text_that_is_one_word(self):
        maps = aw.AttentionMaps(projected(5).layers, ["b", "##a", "##n", "##a", "##na"])
        words = maps.words()
        assert (words.tokens.labels, words.weights(0, 0).tolist()) == (("banana",), [[pytest.approx(1)]])

    def test_axes_of_their_own(self):
        maps = aw.AttentionMaps(
            [DenseLayer(matrices(2, 3, 4).double())], ["pi", "##ano", "b"], ["le", "pia", "##no", "##s"]
        )
        words = maps.words()
        assert (words.tokens.labels, words.key_tokens.labels) == (("piano", "b"), ("le", "pianos"))
        assert_same(words, words_by_hand(*dense(maps), [[0, 1], [2]], [[0], [1, 2, 3]]))


def test_a_piece_that_sees_nothing_has_no_part_in_its_word_and_one_with_nan_makes_it_nan():
    given = matrices(1, 4, 4)
    given[0, 1] = 0
    given[0, 2, 0] = math.nan
    with pytest.warns(aw.AttentionWarning, match="NaN"):
        maps = aw.AttentionMaps.from_arrays(given, layout="HQK", tokens=["a", "##b", "c", "##d"])
    found = maps.words().weights(0, 0)
    torch.testing.assert_close(found[0], torch.stack([given[0, 0, :2].sum(), given[0, 0, 2:].sum()]))
    assert found[1].isnan().any()


def test_nothing_is_computed_before_it_is_looked_at_and_gradients_reach_every_piece():
    class Unread(DenseLayer):
        def weights(self, heads, rows):
            raise AssertionError("read too early")

    tokens = ["a", "##b", "c", "##d"]
    assert aw.AttentionMaps([Unread(matrices(2, 4, 4))], tokens).words().n_keys == 2
    given = matrices(2, 4, 4).requires_grad_()
    aw.AttentionMaps([DenseLayer(given)], tokens).words().weights(0, 1).square().sum().backward()
    assert (given.grad[1] != 0).all()
