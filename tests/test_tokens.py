"""Labels a person can read, whatever the tokenizer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from attnwidget import AttentionMaps, ImageGrid, Tokens
from attnwidget.storage import tokens_from
from tests.make import projected


def byte_level_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer without merges: every byte is a token, so every emoji is in pieces."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: i for i, symbol in enumerate(alphabet)} | {"<|end|>": len(alphabet)}
    for text in texts:
        encoded = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text)
        for word, _ in encoded:
            vocabulary.setdefault(word, len(vocabulary))
    merges: list[tuple[str, str]] = []
    for word in [w for w in vocabulary if len(w) > 1 and w != "<|end|>"]:
        parts = word[0]
        for letter in word[1:]:
            merges.append((parts, letter))
            parts += letter
            vocabulary.setdefault(parts, len(vocabulary))
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>")


def test_byte_level_words_lose_their_marks_and_keep_their_words():
    tokens = Tokens.from_labels(["The", "Ġquick", "ĠbrÃ", "¼n", "Ċ", "Ġfox"])
    assert tokens.labels == ("The", "quick", "brü(1/2)", "ü(2/2)n", "\n", "fox")
    assert tokens.words == (0, 1, 2, 2, 3, 4)


def test_half_an_emoji_names_the_emoji_and_its_part():
    tokenizer = byte_level_tokenizer(["hi"])
    ids = tokenizer("hi 😀")["input_ids"]
    tokens = Tokens.from_tokenizer(tokenizer, ids)
    assert tokens.labels[0] == "hi"
    # The space is a token of its own; the four bytes of the emoji follow.
    assert tokens.labels[-4:] == ("😀(1/4)", "😀(2/4)", "😀(3/4)", "😀(4/4)")


def test_an_emoji_cut_off_at_the_end_shows_its_bytes():
    tokenizer = byte_level_tokenizer([])
    ids = tokenizer("a😀")["input_ids"][:-2]
    assert Tokens.from_tokenizer(tokenizer, ids).labels == ("a", "\\xf0", "\\x9f")


def test_accents_are_decoded_even_when_no_space_gives_the_tokenizer_away():
    tokenizer = byte_level_tokenizer(["é"])
    assert Tokens.from_tokenizer(tokenizer, tokenizer("é")["input_ids"]).labels == ("é",)


def test_added_tokens_are_written_as_they_are():
    tokenizer = byte_level_tokenizer(["hi"])
    tokenizer.add_tokens(["café", "½"])
    ids = tokenizer("hi")["input_ids"] + tokenizer.convert_tokens_to_ids(["café", "½"])
    assert Tokens.from_tokenizer(tokenizer, ids).labels == ("hi", "café", "½")


def test_ids_outside_the_vocabulary_keep_their_number():
    assert Tokens.from_tokenizer(byte_level_tokenizer(["hi"]), [-100, 10**12]).labels == ("<-100>", "<1000000000000>")


def test_half_of_a_surrogate_pair_can_be_sent_to_a_browser():
    assert Tokens.from_labels(["a", "\ud83d"]).labels == ("a", "?")


def test_word_pieces_join_the_word_before_them():
    tokens = Tokens.from_labels(["[CLS]", "un", "##believ", "##able", "!", "[SEP]"])
    assert tokens.labels == ("[CLS]", "un", "believ", "able", "!", "[SEP]")
    assert tokens.words == (0, 1, 1, 1, 2, 3)
    assert tokens.special == (True, False, False, False, False, True)


def test_sentence_pieces_and_byte_fallback():
    tokens = Tokens.from_labels(["<s>", "▁Hello", "▁wor", "ld", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "</s>"])
    assert tokens.labels == (
        "<s>", "Hello", "wor", "ld", "😀(1/4)", "😀(2/4)", "😀(3/4)", "😀(4/4)", "</s>",
    )  # fmt: skip
    assert tokens.words == (0, 1, 2, 2, 2, 2, 2, 2, 3)
    assert tokens.special[0]
    assert tokens.special[-1]


@pytest.mark.parametrize("text", ["plain words stay", "</script><b>bold</b>", "## heading", "Ω ≠ ö"])
def test_plain_words_stay_as_they_are(text):
    assert Tokens.from_labels(text.split()).labels == tuple(text.split())


def test_special_tokens_come_from_the_tokenizer():
    tokenizer = byte_level_tokenizer(["hi"])
    ids = [*tokenizer("hi")["input_ids"], tokenizer.eos_token_id]
    tokens = Tokens.from_tokenizer(tokenizer, ids)
    assert tokens.special == (False, True)
    assert tokens.ids == tuple(ids)


def test_a_string_is_no_list_of_labels():
    with pytest.raises(TypeError, match=r"one string.*convert_ids_to_tokens"):
        Tokens.from_labels("The cat")


def test_ids_are_no_labels():
    with pytest.raises(TypeError, match=r"tokens\[1\] is int.*convert_ids_to_tokens"):
        Tokens.from_labels(["a", 5])


def test_slices_keep_everything_aligned():
    tokens = Tokens.from_labels(["[CLS]", "un", "##do", "[SEP]"])
    assert tokens[1:].labels == ("un", "do", "[SEP]")
    assert tokens[[0, 3]].special == (True, True)
    assert tokens[-1].labels == ("[SEP]",)


class TestPictures:
    def both(self):
        first, second = ImageGrid(1, 2, 2, name="picture 1"), ImageGrid.at((6, 8, 7, -1), 2, 2, name="picture 2")
        return Tokens.positions(9).with_image(first, second)

    def test_one_is_the_picture_and_of_several_none_is(self):
        assert Tokens.positions(5).image is None
        one = Tokens.positions(5).with_image(ImageGrid(1, 2, 2))
        assert (one.image.start, one.image.stop, list(one.image.positions)) == (1, 5, [1, 2, 3, 4])
        assert self.both().image is None
        assert [image.name for image in self.both().images] == ["picture 1", "picture 2"]

    def test_patches_stand_anywhere(self):
        scattered = self.both().images[1]
        assert (scattered.start, scattered.stop, list(scattered.positions)) == (6, 9, [6, 8, 7, -1])
        assert ImageGrid.at((3, 4, 5, 6), 2, 2) == ImageGrid(3, 2, 2)

    def test_chosen_tokens_keep_the_patches_that_are_left(self):
        kept = self.both()[[0, 2, 3, 7, 8]]
        assert [list(image.positions) for image in kept.images] == [[-1, 1, 2, -1], [-1, 4, 3, -1]]
        assert [image.name for image in self.both()[5:].images] == ["picture 2"]
        assert self.both()[1:5].image == ImageGrid(0, 2, 2, name="picture 1")

    @pytest.mark.parametrize(
        ("images", "words"),
        [
            ([lambda: ImageGrid(3, 2, 2)], "2 x 2 patches from position 3 on does not fit 6 tokens"),
            ([lambda: ImageGrid(0, 2, 2), lambda: ImageGrid(3, 1, 2)], "position 3 is a patch of two pictures"),
            ([lambda: ImageGrid.at((0, 1), 2, 2)], "2 x 2 patches came with 2 places"),
            ([lambda: ImageGrid.at((0, 0), 1, 2)], "each given once"),
            ([lambda: ImageGrid.at((-1, -1), 1, 2)], "at least one"),
        ],
    )
    def test_grids_that_cannot_be(self, images, words):
        with pytest.raises(ValueError, match=words):
            Tokens.positions(6).with_image(*(image() for image in images))

    def test_are_saved_with_their_places(self, tmp_path):
        pixels = [torch.full((4, 4, 3), value, dtype=torch.uint8) for value in (3, 200)]
        images = [replace(image, picture=one) for image, one in zip(self.both().images, pixels, strict=True)]
        maps = AttentionMaps(projected(9).layers, Tokens.positions(9).with_image(*images))
        again = AttentionMaps.load(maps.save(tmp_path / "maps.safetensors")).tokens
        assert again.images == tuple(images)
        assert all(torch.equal(one.picture, own) for one, own in zip(again.images, pixels, strict=True))

    def test_of_a_file_that_knew_one_is_that_one(self):
        fields = {"labels": list("abcde"), "ids": None, "special": [False] * 5, "words": list(range(5)),
                  "image": {"start": 1, "rows": 2, "columns": 2, "picture": "p"}}  # fmt: skip
        picture = torch.zeros(2, 2, 3, dtype=torch.uint8)
        image = tokens_from(fields, {"p": picture}).image
        assert image == ImageGrid(1, 2, 2)
        assert torch.equal(image.picture, picture)
