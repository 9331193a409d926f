"""The words of the demo models: at most 507, so that with the special tokens a vocabulary stays within 512.

Case is kept ("The" and "the" are two words) and the full stop is a word of its own.
"""

# ruff: noqa: SIM905 - word lists read better as running text

from __future__ import annotations

GIRLS = "Lily Anna Mia Zoe Emma Ruth Nina Clara Ivy Rosa Maya Hana Sara".split()
BOYS = "Ben Tom Max Sam Leo Jack Noah Omar Adam Finn Hugo Raj Paul".split()
NAMES = GIRLS + BOYS

PLACES = (
    "park beach school garden market zoo library farm forest river lake museum castle bakery station "
    "harbor village hill bridge theater kitchen tower cave island"
).split()
OBJECTS = (
    "ball kite book drum lamp coat hat cup spoon key ring map bell doll robot train boat rope candle clock "
    "mirror pencil letter umbrella blanket flute puzzle shell feather violin hammer ladder"
).split()
HOLDERS = "box bag basket drawer pocket chest bucket jar".split()
ANIMALS = (
    "cat dog fox bear owl frog duck horse rabbit mouse lion tiger monkey elephant turtle bee wolf goat sheep "
    "parrot whale snail"
).split()
COLORS = "red blue green yellow black white purple brown pink gray".split()
FOODS = (
    "apples plums pears grapes cherries lemons cookies eggs carrots nuts beans onions bread cheese soup honey milk rice"
).split()
COUNTED = FOODS[:12]  # the foods that have a plural, so that they can be counted
JOBS = (
    "nurse farmer doctor teacher baker painter pilot sailor singer dancer lawyer judge writer driver soldier "
    "tailor chef guard student clerk plumber miner gardener carpenter engineer mechanic barber hunter"
).split()

GIVING = "gave passed handed showed sent brought threw offered sold lent".split()
GOING = "went walked ran came drove rode".split()
MEETING = (
    "thanked called helped examined paid asked met visited greeted followed warned hired taught watched trusted "
    "invited admired saw stopped hugged"
).split()
REASONS = (
    "late tired kind sick busy hungry early careful brave happy sad angry thirsty proud scared clever lazy rich "
    "poor young strong polite rude honest bored calm friendly alone worried nervous"
).split()
LOOKS = "big small tall tiny long short new old round soft heavy bright dark pretty broken clean dirty".split()
WEATHER = "sunny rainy windy cold warm cloudy foggy".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
NUMBERS = "one two three four five six seven eight nine ten".split()
TIMES = "morning afternoon evening night".split()
DOING = "played danced sang laughed slept worked waited swam jumped talked".split()

# Everything else: the glue of the sentences, and words a student is likely to type.
GLUE = (
    ". , ? ! the The a A an An and And to of in In at At on On under Under behind near with With for from by "
    "he He she She they They it It his her their him them Her His Their we We you You I my your our "
    "is was are were be had has have did do not no yes No Yes so So but But because when When then Then "
    "that who Who what What where Where this This there There Once upon time One day Every every "
    "after After before Before again always never together very too all both other another more "
    "color likes like eats ate bought sees see lost found looked took put made wanted lived said told home "
    "hello help money advice ticks lunch sun moon star tree flower house door road "
    "table water fire snow rain friend friends king queen girl boy man woman baby mother father brother sister "
    "name story song game up down out over into away back left right up first next last day week good bad "
    "little same different great opened closed broke fell read wrote cried smiled grew gives loves knows"
).split()

# The order is fixed by the order of the lists, so an id means the same word in every training run.
WORDS = list(
    dict.fromkeys(
        GLUE
        + NAMES
        + PLACES
        + OBJECTS
        + HOLDERS
        + ANIMALS
        + COLORS
        + FOODS
        + JOBS
        + GIVING
        + GOING
        + MEETING
        + REASONS
        + LOOKS
        + WEATHER
        + DAYS
        + NUMBERS
        + TIMES
        + DOING
    )
)
PUNCTUATION = (".", ",", "?", "!")
PLAIN_WORDS = [word for word in WORDS if word not in PUNCTUATION]
