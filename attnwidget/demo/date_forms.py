"""Dates as people write them, in ISO form, and which token of the one each digit of the other comes from.

Every form has one reading: before dots and a year the day comes first, before slashes and a year the number above 12
is the day, and a year of two digits is one of 1950 to 2049.
"""

# ruff: noqa: SIM905 - word lists read better as running text

from __future__ import annotations

import re
from datetime import date
from string import Formatter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

MONTHS = "January February March April May June July August September October November December".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
SUFFIXES = "st nd rd th".split()
SMALL_WORDS = "the The of on On".split()
MARKS = list("-.,/'")

SHORT_NAMES = [name[:3] for name in (*MONTHS, *WEEKDAYS)]

# The order is fixed by the order of the lists, so an id means the same token in every training run. "May" comes once.
TOKENS = list(dict.fromkeys([*"0123456789", *MARKS, *SMALL_WORDS, *SUFFIXES, *MONTHS, *WEEKDAYS, *SHORT_NAMES]))
PIECE = r"[0-9]|[^\W\d_]+|[^\w\s]"  # a digit, a word or a mark; blanks are none

# Of the Gregorian calendar, also where people counted otherwise then. No digit of a year follows from another one.
CALENDAR = range(date(1000, 1, 1).toordinal(), date(3000, 1, 1).toordinal())
RECENT = range(date(1950, 1, 1).toordinal(), date(2050, 1, 1).toordinal())  # a year of two digits is one of these

# Every twelfth day is never written in the training, in any form.
HELD_OUT = 12


class WrittenDate(NamedTuple):
    """A date in two forms, and which token of the one each digit of the other comes from.

    Parameters
    ----------
    written : str
        As people write it: "Sat 21.11.26".
    iso : str
        "2026-11-21".
    sure : frozenset of (int, int)
        Links (token of the written form, place in the ISO form), both from 0: a digit and its copy, the name of a
        month and both digits of its number. The hyphens come from nowhere.
    possible : frozenset of (int, int)
        The sure ones, and those of digits that are filled in: the 0 of "05" with the 5 of "5 May", the 20 of "2026"
        with the digits of "26".
    """

    written: str
    iso: str
    sure: frozenset[tuple[int, int]]
    possible: frozenset[tuple[int, int]]

    @property
    def target_words(self) -> list[int | None]:
        """For `attnwidget.measures.align`: the place of each token that a decoder reads, None for start and hyphens."""
        return [None, *(place if sign != "-" else None for place, sign in enumerate(self.iso))]


def ordinal(number: int) -> str:
    """Write 1 as "1st", 12 as "12th", 23 as "23rd"."""
    last = 0 if number in (11, 12, 13) else number % 10
    return f"{number}{SUFFIXES[last - 1] if 1 <= last <= 3 else 'th'}"


# Each part of a form: where it stands in the ISO form, and how it is written.
YEAR, MONTH, DAY, NOWHERE = range(4), range(5, 7), range(8, 10), range(0)
PARTS: dict[str, tuple[range, Callable[[date], str]]] = {
    "d": (DAY, lambda day: str(day.day)),
    "dd": (DAY, lambda day: f"{day.day:02}"),
    "dth": (DAY, lambda day: ordinal(day.day)),
    "m": (MONTH, lambda day: str(day.month)),
    "mm": (MONTH, lambda day: f"{day.month:02}"),
    "Mon": (MONTH, lambda day: MONTHS[day.month - 1][:3]),
    "Month": (MONTH, lambda day: MONTHS[day.month - 1]),
    "yy": (YEAR, lambda day: f"{day.year % 100:02}"),
    "Y": (YEAR, lambda day: str(day.year)),
    "Wd": (NOWHERE, lambda day: WEEKDAYS[day.weekday()][:3]),
    "Weekday": (NOWHERE, lambda day: WEEKDAYS[day.weekday()]),
}

FORMS = [
    *(
        "{d} {Month} {Y}",
        "{d} {Mon} {Y}",
        "{dd} {Mon} {Y}",
        "{d} {Mon}. {Y}",
        "On {dd} {Month} {Y}",
        "{d}. {Month} {Y}",
    ),
    *("{dth} {Month} {Y}", "{dth} of {Month} {Y}", "the {dth} of {Month} {Y}", "The {dth} of {Month}, {Y}"),
    *("{Month} {d}, {Y}", "{Month} {d} {Y}", "{Month} {dth}, {Y}", "{Mon} {d}, {Y}", "{Mon}. {dth}, {Y}"),
    *("{Weekday}, {Month} {d}, {Y}", "{Weekday}, {d} {Month} {Y}", "{Weekday} the {dth} of {Month}, {Y}"),
    *("on {Weekday}, {Month} {dth}, {Y}", "{Wd} {d} {Mon} {Y}", "{Wd} {dd}-{Mon}-{Y}", "{Wd} {dd}.{mm}.{Y}"),
    *("{d}.{m}.{Y}", "{dd}.{mm}.{Y}", "{dd}-{Mon}-{Y}", "{Y}-{Mon}-{dd}", "{Y} {Month} {d}", "{Month} {Y}, the {dth}"),
    *("{Y}-{mm}-{dd}", "{Y}/{mm}/{dd}", "{Y}.{mm}.{dd}", "{Y}/{m}/{d}"),
]
SHORT = [
    *("{d} {Month} '{yy}", "{d} {Mon} {yy}", "{Wd}, {d} {Mon} {yy}", "{d}-{Mon}-{yy}", "{Month} {dth}, '{yy}"),
    *("{d}.{m}.{yy}", "{dd}.{mm}.{yy}", "{Wd} {d}.{m}.{yy}"),
]
# Of these one reading is left where the day is above 12.
SLASHED = ["{m}/{d}/{Y}", "{mm}/{dd}/{Y}", "{d}/{m}/{Y}", "{dd}/{mm}/{Y}", "{Wd} {m}/{d}/{Y}", "{Wd} {d}/{m}/{Y}"]


def write(day: date, form: str) -> WrittenDate:
    """Write a day in a form, and follow its parts into the ISO form."""
    written = ""
    sure: set[tuple[int, int]] = set()
    possible: set[tuple[int, int]] = set()
    for plain, name, _, _ in Formatter().parse(form):
        written += plain
        if name is None:
            continue
        places, spell = PARTS[name]
        text, first = spell(day), len(re.findall(PIECE, written))
        written += text
        if text.isalpha():
            sure |= {(first, place) for place in places}
            continue
        digits = [first + i for i, token in enumerate(re.findall(PIECE, text)) if token.isdigit()]
        # What is filled in stands on the left.
        filled = len(places) - len(digits)
        sure |= set(zip(digits, places[filled:], strict=True))
        possible |= {(digit, place) for digit in digits for place in places[:filled]}
    return WrittenDate(written, day.isoformat(), frozenset(sure), frozenset(sure | possible))


def any_date(rng: random.Random, *, held_out: bool) -> WrittenDate:
    """Draw a day, held out or not, and a form that has one reading for it; every other day is of 1950 to 2049."""
    days = rng.choice([CALENDAR, RECENT])
    number = rng.choice(days)
    while (number % HELD_OUT == 0) != held_out:
        number = rng.choice(days)
    day = date.fromordinal(number)
    forms = FORMS + (SHORT if number in RECENT else []) + (SLASHED if day.day > 12 else [])
    return write(day, rng.choice(forms))
