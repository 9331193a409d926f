"""A grammar of short English stories: what the demo models were trained on.

Every maker takes a `random.Random` and returns one story with a space around every word and every punctuation
mark, so `story.split()` is its list of words. The same seed always gives the same stories.

Pronouns are drawn without regard to the job: "nurse" is "she" as often as "he" or "they".
"""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

from attnwidget.demo.words import (
    ANIMALS,
    COLORS,
    COUNTED,
    DAYS,
    DOING,
    FOODS,
    GIRLS,
    GIVING,
    GOING,
    HOLDERS,
    JOBS,
    LOOKS,
    MEETING,
    NAMES,
    NUMBERS,
    OBJECTS,
    PLACES,
    PLAIN_WORDS,
    PUNCTUATION,
    REASONS,
    TIMES,
    WEATHER,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Pair = tuple[str, str]

ALL_PAIRS: list[Pair] = list(itertools.combinations(NAMES, 2))

# Pairs of names (in the order of NAMES) that no story ever brings together: what a model says about them it
# cannot have learned by heart. 40 of the 325 pairs.
HELD_OUT: frozenset[Pair] = frozenset(random.Random(20).sample(ALL_PAIRS, 40))  # noqa: S311


def source(seed: int | str) -> random.Random:
    """Return the generator of random numbers that belongs to a seed."""
    return random.Random(seed)  # noqa: S311 - stories, not secrets


def readable(text: str) -> str:
    """Close up the punctuation: "at home ." becomes "at home."."""
    for mark in PUNCTUATION:
        text = text.replace(f" {mark}", mark)
    return text


def is_held_out(first: str, second: str) -> bool:
    """Say whether two names, in either order, are a held-out pair."""
    return (first, second) in HELD_OUT or (second, first) in HELD_OUT


def two_names(rng: random.Random) -> Pair:
    """Draw two different names that may stand in one story."""
    while True:
        first, second = rng.sample(NAMES, 2)
        if not is_held_out(first, second):
            return first, second


def with_article(word: str) -> str:
    """Put "a" or "an" before a word."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def listing(items: list[str]) -> str:
    """Join three or more items as English does: "x , y and z"."""
    return f"{' , '.join(items[:-1])} and {items[-1]}"


def pronoun(name: str) -> tuple[str, str]:
    """Return the capitalised subject pronoun and the possessive that go with a name."""
    return ("She", "her") if name in GIRLS else ("He", "his")


def meeting(rng: random.Random, first: str, second: str) -> str:
    """Bring two people to one place: the sentence that opens the giving frame."""
    place = rng.choice(PLACES)
    opening = f"{first} and {second}"
    return rng.choice(
        [
            f"{opening} {rng.choice(GOING)} to the {place} .",
            f"{opening} {rng.choice(GOING)} to the {rng.choice(LOOKS)} {place} .",
            f"{opening} {rng.choice(DOING)} at the {place} .",
            f"{opening} were at the {place} .",
            f"Then {opening} {rng.choice(GOING)} to the {place} .",
            f"On {rng.choice(DAYS)} {opening} {rng.choice(GOING)} to the {place} .",
        ]
    )


def handing(rng: random.Random, giver: str) -> str:
    """Let one of them hand something over, up to the word before the receiver's name."""
    thing = rng.choice([f"the {rng.choice(OBJECTS)}", f"the {rng.choice(COLORS)} {rng.choice(OBJECTS)}"])
    return f"{giver} {rng.choice(GIVING)} {thing} to"


def giving(rng: random.Random) -> str:
    """Tell the giving frame: "Lily and Ben went to the park . Lily gave the ball to Ben ."."""
    people = two_names(rng)
    giver, receiver = rng.sample(people, 2)
    middle = rng.choice(["", "", "", "They were happy . ", f"It was {with_article(rng.choice(WEATHER))} day . "])
    then = rng.choice(["", "", "", "Then "])
    end = rng.choice(["", "", f" {receiver} was {rng.choice(REASONS)} .", f" {receiver} thanked {giver} ."])
    return f"{meeting(rng, *people)} {middle}{then}{handing(rng, giver)} {receiver} .{end}"


def because(rng: random.Random) -> str:
    """Tell why one person met another; whom the pronoun means is left open, as it is in English."""
    first, second = rng.sample(JOBS, 2)
    verb = rng.choice(MEETING)
    purpose = {
        "examined": "for ticks ",
        "paid": f"for the {rng.choice(FOODS)} ",
        "thanked": f"for the {rng.choice(OBJECTS)} ",
        "asked": f"for {rng.choice(['help', 'money', 'advice'])} ",
    }.get(verb, f"at the {rng.choice(PLACES)} ")
    who = rng.choice(["she was", "he was", "they were"])
    how = f"{rng.choice(['very ', 'too ', 'so '])}{rng.choice(REASONS)}"
    reason = rng.choice([how, rng.choice(REASONS), rng.choice(REASONS)])
    return f"The {first} {verb} the {second} {rng.choice(['', purpose])}because {who} {reason} ."


def lost(rng: random.Random) -> str:
    """Let somebody lose and find a thing: pronouns that do have one meaning."""
    name, thing = rng.choice(NAMES), rng.choice(OBJECTS)
    who, whose = pronoun(name)
    first, second = rng.sample(PLACES, 2)
    return (
        f"{name} lost {whose} {thing} . {who} looked near the {first} . "
        f"{who} found {whose} {thing} at the {second} . {who} was {rng.choice(['happy', 'proud', 'tired'])} ."
    )


def shopping(rng: random.Random) -> str:
    """Tell of a list of things, and tell it again."""
    name = rng.choice(NAMES)
    items = rng.sample(rng.choice([FOODS, OBJECTS]), rng.randint(3, 5))
    things = listing([f"the {item}" for item in items])
    return f"{name} bought {things} . At home {name} {rng.choice(['put', 'found', 'saw'])} {things} on the table ."


def colored(rng: random.Random) -> str:
    """Give things their colours and ask for one of them."""
    things, colors = rng.sample(OBJECTS, 3), rng.sample(COLORS, 3)
    facts = " ".join(f"The {thing} is {color} ." for thing, color in zip(things, colors, strict=True))
    asked = rng.randrange(3)
    return f"{facts} What color is the {things[asked]} ? The {things[asked]} is {colors[asked]} ."


def hidden(rng: random.Random) -> str:
    """Put things into holders and ask where one of them is."""
    things, holders = rng.sample(OBJECTS, 2), rng.sample(HOLDERS, 2)
    facts = " ".join(f"The {thing} is in the {holder} ." for thing, holder in zip(things, holders, strict=True))
    asked = rng.randrange(2)
    return f"{facts} Where is the {things[asked]} ? The {things[asked]} is in the {holders[asked]} ."


def tastes(rng: random.Random) -> str:
    """Say who likes what, and who therefore eats what."""
    people = two_names(rng)
    foods = rng.sample(FOODS, 2)
    likes = " ".join(f"{name} likes {food} ." for name, food in zip(people, foods, strict=True))
    order = rng.sample(range(2), 2)
    return f"{likes} " + " ".join(f"{people[i]} eats {foods[i]} ." for i in order)


def chain(rng: random.Random) -> str:
    """Tell a chain in which every sentence starts where the last one ended."""
    animals, verb = rng.sample(ANIMALS, rng.randint(3, 5)), rng.choice(MEETING)
    return " ".join(f"The {a} {verb} the {b} ." for a, b in itertools.pairwise(animals))


def week(rng: random.Random) -> str:
    """Count through a week of meals."""
    who, foods, start = rng.choice(NAMES + ANIMALS), rng.choice(COUNTED), rng.randrange(4)
    who = who if who in NAMES else f"the {who}"
    days = range(start, start + 3)
    return " ".join(f"On {DAYS[i]} {who} ate {NUMBERS[i + 1]} {foods} ." for i in days)


def tale(rng: random.Random) -> str:
    """Tell of an animal that meets another."""
    first, second = rng.sample(ANIMALS, 2)
    looks, place, time = rng.choice(LOOKS), rng.choice(PLACES), rng.choice(TIMES)
    return (
        f"Once upon a time there was {with_article(looks)} {first} . The {first} lived near the {place} . "
        f"One {time} the {first} met {with_article(rng.choice(REASONS))} {second} . "
        f"The {first} and the {second} {rng.choice(DOING)} together at the {place} ."
    )


def family(rng: random.Random) -> str:
    """Let two of a family or a court share something under the sky."""
    people = rng.sample([("king", "He"), ("queen", "She"), ("girl", "She"), ("boy", "He"), ("mother", "She")], 2)
    (first, who), (second, _) = people
    told, sky = rng.choice(["story", "song", "game", "name"]), rng.choice(["sun", "moon", "star", "snow", "rain"])
    return (
        f"The {first} loves the {second} . {who} knows a {rng.choice(['good', 'little', 'great'])} {told} . "
        f"When the {sky} is over the {rng.choice(['house', 'tree', 'road', 'water'])} "
        f"the {first} gives the {told} to the {second} ."
    )


def refrain(rng: random.Random) -> str:
    """Say a whole sentence two or three times."""
    name = rng.choice(NAMES)
    line = rng.choice(
        [
            f"{name} {rng.choice(DOING)} and {rng.choice(DOING)} .",
            f"The {rng.choice(COLORS)} {rng.choice(ANIMALS)} {rng.choice(DOING)} at the {rng.choice(PLACES)} .",
            f"{name} put the {rng.choice(OBJECTS)} under the {rng.choice(OBJECTS)} .",
        ]
    )
    return " ".join([line] * rng.randint(2, 3))


def random_words(rng: random.Random, length: int) -> list[str]:
    """Draw distinct words, every word of the vocabulary (punctuation aside) with the same chance."""
    if not 1 <= length <= len(PLAIN_WORDS):
        raise ValueError(f"length must be between 1 and {len(PLAIN_WORDS)}, the words there are; got {length}.")
    return rng.sample(PLAIN_WORDS, length)


STORIES: dict[Callable[[random.Random], str], float] = {
    giving: 8,
    because: 2,
    lost: 1,
    shopping: 1,
    colored: 1,
    hidden: 1,
    tastes: 1,
    chain: 1,
    week: 1,
    tale: 1,
    family: 1,
    refrain: 1,
}


def story(rng: random.Random) -> str:
    """Draw one story; nearly half of them are the giving frame."""
    return rng.choices(list(STORIES), weights=list(STORIES.values()))[0](rng)


def frame_prompts(pairs: list[Pair], rng: random.Random) -> list[tuple[str, str]]:
    """Write the giving frame for pairs of names, in both orders and with either as the giver.

    Returns
    -------
    list of (prompt, answer)
        Four for each pair; the prompt ends just before the answer, the receiver's name.
    """
    prompts = []
    for people in pairs:
        for order, giver in itertools.product(itertools.permutations(people), people):
            place = f"{rng.choice(GOING)} to the {rng.choice(PLACES)} ."
            receiver = people[1] if giver == people[0] else people[0]
            prompts.append((f"{order[0]} and {order[1]} {place} {handing(rng, giver)}", receiver))
    return prompts
