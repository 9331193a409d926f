"""Tokens as figures write them."""

import pytest

from attnwidget.figures.lettering import readable


@pytest.mark.parametrize(
    ("label", "seen"),
    [
        ("", "∅"),
        ("  ", "␣␣"),
        ("\u200b", "<ZWSP>"),
        ("\u202eevil\u202c", "<RLO>evil<PDF>"),
        ("\u200d", "<ZWJ>"),
        ("\u00a0", "<NBSP>"),
        ("\u3000", "<U+3000>"),
        ("a\u00adb", "a<SHY>b"),
        ("\u05e9\u200c\u05dd", "\u05e9\u200c\u05dd"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("\n", "⏎"),
    ],
)
def test_what_nobody_sees_has_a_name(label, seen):
    assert readable(label) == seen
