"""The sentences of the names corpus: a small grammar written for it.

Everyday requests, messages and reports around a name. ``{slots}`` are filled at random,
and may hold slots themselves; those of ``NAME_SLOTS`` take names of the set that the
sentence is for, and no other word of the grammar is a name.
"""

import random
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

NAME_SLOTS = ("first", "full", "surname", "place", "product", "medicine")

SLOTS = {
    "person": """{first}|{first}|{full}|{full}|{title} {surname}|
        {title} {surname}|MY {relative} {first}""",
    "title": "MISTER|MISSES|DOCTOR|PROFESSOR|CAPTAIN|OFFICER|JUDGE|SENATOR",
    "relative": """BROTHER|SISTER|UNCLE|AUNT|COUSIN|NEPHEW|NIECE|DAUGHTER|SON|FRIEND|
        NEIGHBOUR|TEACHER|DENTIST|LAWYER|LANDLORD|PARTNER""",
    "day": "MONDAY|TUESDAY|WEDNESDAY|THURSDAY|FRIDAY|SATURDAY|SUNDAY",
    "month": """JANUARY|FEBRUARY|MARCH|APRIL|JUNE|JULY|AUGUST|SEPTEMBER|OCTOBER|
        NOVEMBER|DECEMBER""",
    "number": """TWO|THREE|FOUR|FIVE|SIX|SEVEN|EIGHT|NINE|TEN|ELEVEN|TWELVE|FIFTEEN|
        TWENTY|THIRTY|FORTY|FIFTY|SIXTY|A HUNDRED""",
    "hour": "ONE|TWO|THREE|FOUR|FIVE|SIX|SEVEN|EIGHT|NINE|TEN|ELEVEN|TWELVE",
    "when": """TODAY|TOMORROW|TONIGHT|ON {day}|NEXT {day}|LAST {day}|THIS MORNING|
        THIS AFTERNOON|THIS EVENING|IN THE MORNING|IN THE EVENING|AFTER LUNCH|
        BEFORE DINNER|AT {hour} O'CLOCK|AT HALF PAST {hour}|AROUND MIDNIGHT|AT NOON|
        IN {number} MINUTES|IN {number} DAYS|AT THE END OF {month}|EARLY IN {month}|
        AS SOON AS POSSIBLE|BEFORE THE MEETING|AFTER THE CONCERT|ON THE WEEKEND""",
    "where": """AT THE STATION|AT THE MARKET|AT THE AIRPORT|IN THE GARDEN|
        IN THE KITCHEN|IN THE LIBRARY|IN THE BASEMENT|IN THE CORNER OFFICE|
        NEAR THE RIVER|NEAR THE WINDOW|NEAR THE ENTRANCE|BEHIND THE SCHOOL|
        BEHIND THE CURTAIN|UNDER THE BRIDGE|UNDER THE TABLE|BY THE DOOR|
        BY THE FOUNTAIN|ACROSS THE STREET|BESIDE THE CHURCH|OUTSIDE THE BANK|
        INSIDE THE THEATRE|ON THE SECOND FLOOR|ON THE ROOF|ON THE TOP SHELF|
        OPPOSITE THE HOSPITAL|AROUND THE CORNER|IN THE PARKING LOT""",
    "thing": """LETTER|UMBRELLA|TICKET|BICYCLE|LAMP|CAMERA|BOOK|BOTTLE|GUITAR|BASKET|
        KEY|BLANKET|WALLET|PASSPORT|JACKET|LADDER|HAMMER|PARCEL|NOTEBOOK|CARPET|
        MIRROR|PILLOW|TELEPHONE|COMPUTER|PRINTER|ENVELOPE|NECKLACE|SUITCASE|TROPHY|
        PAINTING|CANDLE|SPOON|HELMET|PICTURE|RADIO|CALENDAR|TELESCOPE|PIANO""",
    "like": """RED|BLUE|GREEN|YELLOW|PURPLE|BLACK|WHITE|OLD|NEW|HEAVY|BROKEN|SMALL|
        EMPTY|EXPENSIVE|CHEAP|DIRTY|CLEAN|WOODEN|PLASTIC|SILVER|GOLDEN|ENORMOUS|TINY|
        BEAUTIFUL|STRANGE|USEFUL|HEAVY LITTLE|BIG ROUND""",
    "food": """BREAD|BUTTER|CHEESE|CHICKEN SOUP|FRESH FRUIT|ORANGE JUICE|COFFEE|
        GREEN TEA|CHOCOLATE|SALAD|RICE AND BEANS|ROASTED POTATOES|APPLE CAKE|
        SMOKED FISH|VEGETABLES|SCRAMBLED EGGS""",
    "document": """REPORT|CONTRACT|INVOICE|PROPOSAL|SCHEDULE|BUDGET|RECEIPT|SUMMARY|
        PRESENTATION|AGREEMENT|QUESTIONNAIRE|APPLICATION|NEWSLETTER|MANUAL""",
    "event": """MEETING|CONCERT|WEDDING|INTERVIEW|CONFERENCE|BIRTHDAY PARTY|
        FOOTBALL GAME|WORKSHOP|EXHIBITION|APPOINTMENT|REHEARSAL|LECTURE|CEREMONY|
        ANNIVERSARY|PICNIC""",
    "job": """ENGINEER|NURSE|ACCOUNTANT|JOURNALIST|MUSICIAN|CARPENTER|PILOT|DESIGNER|
        MANAGER|SECRETARY|PLUMBER|ELECTRICIAN|LIBRARIAN|ARCHITECT|GARDENER|PHARMACIST|
        TRANSLATOR|PHOTOGRAPHER""",
    "feeling": """HAPPY|TIRED|NERVOUS|ANGRY|SURPRISED|DISAPPOINTED|CURIOUS|WORRIED|
        PROUD|CONFUSED|SATISFIED|EXCITED""",
    "weather": """RAINY|SUNNY|WINDY|CLOUDY|FREEZING|FOGGY|PLEASANT|STORMY|HUMID|WARM""",
    "travel": """TRAIN|BUS|PLANE|BOAT|TAXI|CAR|FERRY|MOTORCYCLE""",
    "how": """QUICKLY|SLOWLY|CAREFULLY|SECRETLY|SUDDENLY|POLITELY|LOUDLY|IMMEDIATELY|
        HONESTLY|FINALLY|PROBABLY|CERTAINLY""",
    "said": """SAID|THINKS|BELIEVES|HOPES|HEARD|KNOWS|NOTICED|INSISTS|EXPLAINED|
        SUPPOSES|PROMISED""",
    "please": """PLEASE|COULD YOU PLEASE|WOULD YOU KINDLY|CAN YOU|DON'T FORGET TO|
        YOU SHOULD""",
    "did": "BOUGHT|SOLD|LOST|FOUND|REPAIRED|PAINTED|BORROWED|RETURNED|CLEANED|DROPPED",
    "fact": """THE {thing} IS {where}|THE {event} STARTS {when}|THE {document} IS READY|
        THE {travel} IS LATE|IT WILL BE {weather} {when}|NOBODY FOUND THE {thing}|
        THE {like} {thing} IS MISSING|EVERYBODY WAS {feeling}|
        THERE ARE {number} {thing}S {where}|WE NEED MORE {food}|
        THE {job} HAS ALREADY LEFT|THE {document} COSTS {number} DOLLARS""",
    "dose": """ONE TABLET|TWO TABLETS|HALF A SPOON|{number} DROPS|{number} MILLIGRAMS|
        A SMALL DOSE""",
    "illness": """HEADACHE|FEVER|COUGH|BACK PAIN|STOMACH ACHE|SORE THROAT|TOOTHACHE|
        SKIN RASH|BROKEN ANKLE|COLD""",
    "machine": """WASHING MACHINE|VACUUM CLEANER|COFFEE MAKER|SMART WATCH|HEADPHONES|
        TABLET COMPUTER|SPEAKER|TOOTHBRUSH|BATTERY|SOFTWARE|MOBILE PHONE|GAME""",
}
TEMPLATES = """
{please} CALL {person} {when}
{please} SEND THE {document} TO {person} {when}
{please} TELL {person} THAT {fact}
{please} ASK {person} WHETHER {fact}
{please} REMIND {person} ABOUT THE {event}
{please} INVITE {person} AND {person} TO THE {event}
{please} SHOW {person} THE {like} {thing}
{please} PLAY THE SONG THAT {person} RECORDED
{please} BOOK A {travel} FROM {place} TO {place} {when}
{please} ORDER {number} BOXES OF {product} {when}
{please} GIVE {person} {dose} OF {medicine}
{please} READ ME THE LAST MESSAGE FROM {person}
{please} FIND THE SHORTEST WAY TO {place}
{please} ADD {product} TO MY SHOPPING LIST
{please} SET AN ALARM FOR THE {event} WITH {person}
{person} AND {person} ARE WAITING {where}
{person} {said} THAT {fact}
{person} {said} THAT {person} {did} THE {thing}
{person} {how} {did} THE {like} {thing}
{person} LEFT THE {thing} {where}
{person} WANTS TO LEARN HOW TO BECOME A {job}
{person} IS THE NEW {job} OF OUR COMPANY
{person} WORKED AS A {job} IN {place}
{person} WAS {feeling} WHEN THE {event} WAS CANCELLED
{person} MOVED TO {place} {number} YEARS AGO
{person} WAS BORN IN {place} IN {month}
{person} HAS BEEN TAKING {medicine} FOR THE {illness}
{person} FORGOT TO BRING THE {food}
{person} WILL TRAVEL TO {place} BY {travel} {when}
{person} SPENT THE HOLIDAY IN {place}
{person} PREFERS {food} WITHOUT {food}
{person} ALWAYS ARRIVES TOO LATE FOR THE {event}
{person} CANNOT COME TO THE {event} {when}
{person} WROTE A {document} ABOUT {product}
DID {person} BRING THE {like} {thing}
DID YOU HEAR WHAT {person} TOLD {person}
DOES {person} STILL LIVE {where}
DOES {person} LIKE {food}
IS {person} COMING TO THE {event} {when}
HAS ANYBODY SEEN {person} {when}
WHERE DID {person} PUT THE {thing}
WHEN DOES THE {travel} TO {place} LEAVE
WHAT IS THE WEATHER LIKE IN {place} {when}
HOW FAR IS IT FROM {place} TO {place}
HOW MUCH IS THE {machine} FROM {product}
HOW OLD IS {person} NOW
WHY WAS {person} SO {feeling} {when}
WHO INTRODUCED {person} TO THE {job}
WHICH {job} RECOMMENDED {medicine} TO YOU
WE WILL MEET {person} {where} {when}
WE WERE VERY {feeling} ABOUT THE {machine} FROM {product}
WE DROVE THROUGH {place} ON A {weather} DAY
WE ARE LOOKING FOR A {job} IN {place}
WE {did} THE {thing} TOGETHER WITH {person}
THEY MISSED THE {travel} TO {place}
THEY NAMED THE {like} BOAT {product}
THEY INTERVIEWED {person} ABOUT THE {event}
SHE TOOK {dose} OF {medicine} AGAINST THE {illness}
SHE STUDIED IN {place} WITH {person}
SHE {said} THAT {place} IS {weather} IN {month}
HE {how} SHOWED THE {document} TO {person}
HE COLLECTS OLD {thing}S FROM {place}
HE PAID {number} DOLLARS FOR THE {machine} CALLED {product}
I AM {feeling} THAT {person} {did} MY {thing}
I HAVE NEVER BEEN TO {place} BEFORE
I WOULD RATHER TRY {medicine} THAN {medicine}
I THINK {person} LIVES {where} IN {place}
I INSTALLED {product} ON MY COMPUTER {when}
MY {relative} FLEW TO {place} {when}
MY {relative} IS ALLERGIC TO {medicine}
MY {illness} GOT BETTER AFTER {dose} OF {medicine}
THE {like} {thing} BELONGS TO {person}
THE {event} WITH {person} BEGINS {when}
THE {event} IN {place} WAS {weather} BUT FUN
THE {document} WAS SIGNED BY {person} {when}
THE {job} FROM {place} SPOKE {how}
THE {machine} FROM {product} STOPPED WORKING {when}
THE {illness} IS USUALLY TREATED WITH {medicine}
THE PHARMACY {where} SELLS {medicine} AND {product}
THE ROAD BETWEEN {place} AND {place} IS CLOSED {when}
THIS {thing} WAS MADE BY {product} IN {place}
THERE IS A PARCEL FROM {person} {where}
{please} ASK THE {job} ABOUT {person}
{person} HAS A QUESTION ABOUT THE {document}
THE {job} EXPLAINED {product} VERY {how}
HAVE YOU EVER HEARD OF {product} BEFORE
WHAT DOES {product} MEAN IN THIS {document}
I READ A BOOK ABOUT {person} {where}
""".strip().splitlines()
PLAIN = """
{please} CLOSE THE DOOR AND OPEN THE WINDOW
{please} BUY SOME {food} AND {food} {when}
{please} PUT THE {like} {thing} {where}
{please} WAIT FOR THE {job} {where}
I {said} THAT {fact}
THE {job} {said} THAT {fact}
MY {relative} {did} THE {like} {thing} {when}
WE ARE {feeling} BECAUSE {fact}
IT WAS A {weather} DAY AND {fact}
THE {travel} ARRIVED {number} MINUTES LATE {when}
HOW MANY {thing}S ARE {where}
DID YOU KNOW THAT {fact}
""".strip().splitlines()
# What is said with a medical term that may be a drug, an illness or a test.
MEDICAL = """
THE DOCTOR WROTE {medicine} IN THE {document} {when}
HAVE YOU EVER HEARD OF {medicine} BEFORE
{please} ASK THE PHARMACIST ABOUT {medicine}
MY {relative} HAS A QUESTION ABOUT {medicine}
THE NURSE EXPLAINED {medicine} VERY {how}
WHAT DOES {medicine} MEAN IN THIS {document}
THE LECTURE ABOUT {medicine} STARTS {when}
I READ A BOOK ABOUT {medicine} {where}
""".strip().splitlines()
MOST_NAMES = 2  # in a sentence


@dataclass(frozen=True)
class Sentence:
    """A sentence and the names in it.

    Attributes:
        text: Words in upper case.
        names: What filled its slots of names, in the order of the text.
    """

    text: str
    names: tuple[str, ...]


def choices(slot: str) -> list[str]:
    """Return what a slot may be filled with."""
    return [" ".join(choice.split()) for choice in SLOTS[slot].split("|")]


def vocabulary() -> set[str]:
    """Return the words of the grammar that are no names."""
    texts = [
        *TEMPLATES,
        *PLAIN,
        *MEDICAL,
        *(c for slot in SLOTS for c in choices(slot)),
    ]
    words = {word for text in texts for word in re.sub(r"\{\w+\}S?", "", text).split()}
    return words | {"AN"} | {f"{thing}S" for thing in choices("thing")}


def make_sentence(
    rng: random.Random, names: Mapping[str, Sequence[str]], templates: Sequence[str]
) -> Sentence:
    """Fill a template.

    Args:
        rng: Decides template, words and names.
        names: Names by slot; a slot of the template that has none is an error.
        templates: One of them is taken.
    """
    used: list[str] = []

    def fill(text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: fill_slot(match[1]), text)

    def fill_slot(slot: str) -> str:
        if slot in NAME_SLOTS:
            used.append(rng.choice(names[slot]))
            return used[-1]
        return fill(rng.choice(choices(slot)))

    text = re.sub(r"\bA (?=[AEIO])", "AN ", fill(rng.choice(templates)))
    return Sentence(text, tuple(used))


def make_sentences(
    rng: random.Random,
    number: int,
    names: Mapping[str, Sequence[str]],
    seen: set[str],
    plain: float = 0.0,
    templates: Sequence[str] = (),
) -> list[Sentence]:
    """Return different sentences with one or two different names each.

    Args:
        rng: Decides everything.
        number: How many.
        names: Names by slot.
        seen: Sentences not to make; the new ones are added.
        plain: Part of the sentences that shall have no name.
        templates: Of sentences with names; empty: those of everyday life.

    Raises:
        ValueError: The grammar and these names do not give so many.
    """
    sentences: list[Sentence] = []
    failed = 0
    while len(sentences) < number:
        without = rng.random() < plain
        wanted: Collection[int] = (0,) if without else range(1, MOST_NAMES + 1)
        one = make_sentence(rng, names, PLAIN if without else templates or TEMPLATES)
        words = [word for name in one.names for word in name.split()]
        if (
            len(one.names) in wanted
            and len(set(words)) == len(words)
            and one.text not in seen
        ):
            seen.add(one.text)
            sentences.append(one)
            failed = 0
        else:
            failed += 1
        if failed > 1000:
            raise ValueError(
                f"{number} sentences are too many for this grammar: it gave no new "
                f"one after {len(sentences)}; ask for fewer"
            )
    return sentences
