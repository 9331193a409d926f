"""Spans found by themselves, on labels as tokenizers give them."""

# ruff: noqa: RUF001 - signs of many scripts are what is tested

from __future__ import annotations

import itertools

import pytest

import attnwidget as aw
from attnwidget import ImageGrid, Span, Tokens
from attnwidget.spans import SPAN_KINDS
from tests.test_tokens import byte_level_tokenizer


def texts(tokens, kind):
    """Each span of a kind: its name, and its labels with a bar between them."""
    tokens = tokens if isinstance(tokens, Tokens) else Tokens.from_labels(tokens)
    found = aw.find_spans(tokens, kind).get(kind, ())
    assert all(one.stop <= other.start for one, other in itertools.pairwise(found)), "runs overlap"
    return [(span.name, "|".join(tokens.labels[span.start : span.stop])) for span in found]


def byte_level(text):
    """Labels of a byte-level tokenizer that cuts a text as GPT-2 does."""
    tokenizer = byte_level_tokenizer([text])
    return Tokens.from_tokenizer(tokenizer, tokenizer(text)["input_ids"])


CHATS = {
    "ChatML": (
        "<|im_start|> system Ċ Be Ġbrief . <|im_end|> Ċ <|im_start|> user Ċ Hi <|im_end|> Ċ <|im_start|> assistant Ċ",
        ["system", "user", "assistant"],
    ),
    "Llama 3": (
        (
            "<|begin_of_text|> <|start_header_id|> system <|end_header_id|> ĊĊ Be Ġbrief . <|eot_id|> "
            "<|start_header_id|> user <|end_header_id|> ĊĊ Hi <|eot_id|> "
            "<|start_header_id|> assistant <|end_header_id|> ĊĊ"
        ),
        ["system", "user", "assistant"],
    ),
    "Gemma": (
        "<bos> <start_of_turn> user <0x0A> ▁Hi <end_of_turn> <0x0A> <start_of_turn> model <0x0A> ▁Hello",
        ["user", "model"],
    ),
    "Llama 2": (
        (
            "<s> ▁[ INST ] ▁<< SY S >> <0x0A> Be ▁brief . <0x0A> < </ SYS >> <0x0A> <0x0A> Hi ▁[/ INST ] ▁Hello . </s> "
            "<s> ▁[ INST ] ▁More ▁[/ INST ]"
        ),
        ["system", "user 1", "assistant", "user 2"],
    ),
    "Mistral": ("<s> [INST] ▁Hi [/INST] ▁Hello </s>", ["user", "assistant"]),
    "gpt-oss": (
        (
            "<|start|> system <|message|> You <|end|> <|start|> user <|message|> Hi <|end|> <|start|> assistant "
            "<|channel|> analysis <|message|> Hm <|end|> <|start|> assistant <|channel|> final <|message|> Yes "
            "<|return|>"
        ),
        ["system", "user", "assistant analysis", "assistant final"],
    ),
    "Phi": ("<|user|> ▁Hi <|end|> <|assistant|> ▁Hello <|end|>", ["user", "assistant"]),
    "DeepSeek": (
        "<｜begin▁of▁sentence｜> <｜User｜> Hi <｜Assistant｜> Hello <｜end▁of▁sentence｜>",
        ["user", "assistant"],
    ),
}


@pytest.mark.parametrize(("pieces", "names"), CHATS.values(), ids=CHATS)
def test_turns_of_a_chat_are_found_by_their_markers(pieces, names):
    tokens = Tokens.from_labels(pieces.split())
    found = aw.find_spans(tokens, "roles")["roles"]
    assert [span.name for span in found] == names
    # Each begins with its own marker or right after another, and "Hi" is the user's.
    said = next(span for span in found if "Hi" in tokens.labels[span.start : span.stop])
    assert said.name.startswith("user")
    assert found[-1].stop == len(tokens)


def test_a_chat_that_a_tokenizer_does_not_know_is_found_too():
    found = texts(byte_level("<|im_start|>user\nHi there<|im_end|>\n<|im_start|>assistant\nHello"), "roles")
    assert [name for name, _ in found] == ["user", "assistant"]
    assert "there" in found[0][1]
    assert found[1][1].endswith("Hello")


def test_a_text_without_markers_has_no_turns():
    assert aw.find_spans(["The", "user", "asked", "the", "assistant", "."], "roles") == {}


def test_sentences_and_paragraphs_of_byte_level_tokens():
    tokens = byte_level("Dr. Smith paid 3.14 dollars. Why? He left!\n\nThe end (of it.) Good")
    assert [text for _, text in texts(tokens, "sentences")] == [
        "Dr|.|Smith|paid|3|.|14|dollars|.",
        "Why|?",
        "He|left|!|\n|\n",
        "The|end|(|of|it|.)",
        "Good",
    ]
    assert [name for name, _ in texts(tokens, "paragraphs")] == ["paragraph 1", "paragraph 2"]


def test_sentences_of_word_pieces_are_lower_case_and_spaced():
    pieces = [
        "[CLS]",
        "mr",
        ".",
        "smith",
        "paid",
        "3",
        ".",
        "14",
        "dollars",
        ".",
        "he",
        "left",
        "!",
        "so",
        "did",
        "i",
        ".",
        "un",
        "##believ",
        "##able",
        "[SEP]",
        "second",
        ".",
        "[SEP]",
    ]
    assert [text for _, text in texts(pieces, "sentences")] == [
        "mr|.|smith|paid|3|.|14|dollars|.",
        "he|left|!",
        "so|did|i|.",
        "un|believ|able",
        "second|.",
    ]


@pytest.mark.parametrize(
    ("pieces", "first"),
    [
        ("▁吾輩 は 猫 で ある 。 名前 は まだ 無い 。」 どこ ？", "吾輩|は|猫|で|ある|。"),
        ("كيف حالك ؟ انا بخير .", "كيف|حالك|؟"),
        ("میں ٹھیک ہوں ۔ آپ کیسے ہیں ؟", "میں|ٹھیک|ہوں|۔"),
        ("▁मैं ▁ठीक ▁हूँ । ▁आप ▁कैसे ▁हैं ?", "मैं|ठीक|हूँ|।"),
        ("שלום לכם . מה שלומך ?", "שלום|לכם|."),
    ],
)
def test_sentences_of_other_scripts(pieces, first):
    found = texts(pieces.split(), "sentences")
    assert found[0] == ("sentence 1", first)
    assert len(found) == 2 + ("猫" in pieces)


def test_a_full_stop_in_three_bytes_ends_a_sentence():
    tokenizer = byte_level_tokenizer([])
    tokens = Tokens.from_tokenizer(tokenizer, tokenizer("好。好")["input_ids"])
    assert [text for _, text in texts(tokens, "sentences")] == [
        "好(1/3)|好(2/3)|好(3/3)|。(1/3)|。(2/3)|。(3/3)",
        "好(1/3)|好(2/3)|好(3/3)",
    ]


@pytest.mark.parametrize(
    "text", ["A list\n1. First thing", "J. R. Smith came", "see e.g. this or cf. that, et al. too"]
)
def test_a_full_stop_that_ends_nothing(text):
    assert len(texts(byte_level(text), "sentences")) == 1


def test_documents_between_tags_and_below_headings():
    tagged = byte_level(
        'Read:\n<documents><document index="1">Cats.</document>\n<document>Dogs.</document>\n</documents>'
    )
    assert [name for name, _ in texts(tagged, "documents")] == ["document 1", "document 2"]
    assert "Cats" in texts(tagged, "documents")[0][1]
    assert "Dogs" not in texts(tagged, "documents")[0][1]
    headed = byte_level("Use these.\n\nDocument [2](Title: A) Cats.\nDocument [7] Mice.\n\nQuestion: who?")
    found = [(name, "".join(text.split("|"))) for name, text in texts(headed, "documents")]
    assert found == [
        ("document 2", "Document[2](Title:A)Cats.\n"),
        ("document 7", "Document[7]Mice.\n\n"),
    ]
    assert aw.find_spans(byte_level("The document [1] says so."), "documents") == {}
    assert aw.find_spans(byte_level("<document> never closed"), "documents") == {}


def test_parts_are_turns_with_documents_and_pictures_on_their_own():
    pieces = [
        "<|im_start|>",
        "user",
        "Ċ",
        "Look",
        *["<image>"] * 6,
        "Ċ",
        "<doc>",
        "Cats",
        "</doc>",
        "Ċ",
        "Who",
        "<|im_end|>",
    ]
    found = texts(pieces, "parts")
    assert [name for name, _ in found] == ["user 1", "picture", "user 2", "document", "user 3"]
    assert found[1][1] == "|".join(["<image>"] * 6)
    assert "Cats" in found[3][1]
    assert aw.find_spans(pieces[:4], "parts") == {}, "nothing stands in the turn"


def test_pictures_by_their_grid_and_by_the_token_that_stands_for_them():
    tokens = Tokens(("[CLS]", *"abcdef"), special=(True, *[False] * 6)).with_image(ImageGrid(1, 2, 3))
    assert aw.find_spans(tokens)["pictures"] == (Span("picture", 1, 7),)
    two = ["A", *["<image>"] * 4, "and", *["<image>"] * 5, "differ"]
    assert [span.name for span in aw.find_spans(two)["pictures"]] == ["picture 1", "picture 2"]
    assert [span.name for span in aw.find_spans(two)["parts"]] == [
        "text 1",
        "picture 1",
        "text 2",
        "picture 2",
        "text 3",
    ]
    # Patches that capture called by their places, of two pictures without a word between them.
    patches = tuple(f"{number}: {row},{column}" for number in range(2) for row in range(2) for column in range(2))
    captured = Tokens(("hi", *patches, "there"), ids=(5, *[99] * 8, 6))
    assert aw.find_spans(captured)["pictures"] == (Span("picture 1", 1, 5), Span("picture 2", 5, 9))
    assert "pictures" not in aw.find_spans(["1,2", "3,4", "5,6", "7,8", "9,0"]), "numbers of a text"


def test_spans_of_a_generation_are_kept_and_do_not_overlap():
    tokens = Tokens.from_labels(["a", "b", "c", "d", "e", "f"])
    named = tokens.with_spans(Span("prompt", 0, 4), Span("generated", 4, 6), Span("word", 2, 5))
    assert aw.find_spans(named)["named"] == (Span("prompt", 0, 4), Span("generated", 4, 6))
    assert "named" not in aw.find_spans(tokens)


def test_of_a_capture_of_real_text():
    model, tokenizer = aw.demo.load("storyteller")
    maps = aw.capture(model, "Lily went to the park . Ben gave Lily the ball .", tokenizer).maps
    assert texts(maps.tokens, "sentences") == [
        ("sentence 1", "Lily|went|to|the|park|."),
        ("sentence 2", "Ben|gave|Lily|the|ball|."),
    ]


def test_hostile_and_empty_tokens_are_only_text():
    for labels in (
        [],
        [""],
        ["x" * 10_000],
        ["<document>"] * 20_000,
        ["\u200b", "\n\n", "\ud800"],
        ["."] * 50,
        ["." * 100_000 + "a"],
    ):
        for spans in aw.find_spans(labels).values():
            assert all(0 <= span.start < span.stop <= len(labels) for span in spans)


def test_kinds_come_in_one_order_and_others_are_refused():
    found = aw.find_spans(["<doc>", "Cats", ".", "</doc>", "Dogs", "."], ["sentences", "documents"])
    assert list(found) == ["documents", "sentences"]
    with pytest.raises(ValueError, match=r"kind='words' is not known; expected some of 'roles'.*'sentences'"):
        aw.find_spans(["a"], "words")
    assert set(aw.find_spans(["Hi", "."])) <= set(SPAN_KINDS)
