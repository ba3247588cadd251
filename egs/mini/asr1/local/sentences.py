"""The sentences of the mini corpus: templates and word lists written for it.

Everyday requests that name a person, so that there is something for the recognition of
names to do: ``NEW_NAMES`` occur in test sentences only.
"""

import random
import re

NAMES = """
ANNA BORIS CLARA DAVID ELENA FELIX GRETA HUGO IRENE JONAS KAREN LUCAS MARTA NINA OSCAR
PAULA ROSA SIMON TANYA VICTOR
""".split()
NEW_NAMES = "DORIS INGRID MARCO OLIVIA RUBEN STELLA".split()

SLOTS = {
    "when": """TODAY|TOMORROW|TONIGHT|ON MONDAY|ON TUESDAY|ON FRIDAY|ON SUNDAY|
        BEFORE LUNCH|AFTER DINNER|IN THE MORNING|IN THE EVENING|
        AT TWO O'CLOCK|AT FOUR O'CLOCK|AT SEVEN O'CLOCK|AT NINE O'CLOCK""",
    "where": """AT THE STATION|AT THE MARKET|IN THE GARDEN|IN THE KITCHEN|
        IN THE LIBRARY|NEAR THE RIVER|NEAR THE WINDOW|BEHIND THE SCHOOL|
        UNDER THE BRIDGE|BY THE DOOR""",
    "thing": """LETTER|UMBRELLA|TICKET|BICYCLE|LAMP|CAMERA|BOOK|BOTTLE|GUITAR|
        BASKET|KEY|BLANKET""",
    "like": "RED|BLUE|GREEN|YELLOW|OLD|NEW|HEAVY|BROKEN|SMALL|EMPTY",
    "number": "TWO|THREE|FOUR|FIVE|SIX|SEVEN|EIGHT|NINE|TEN",
}
TEMPLATES = """
PLEASE CALL {name} {when}
SEND THE {thing} TO {name} {when}
{name} AND {name} ARE WAITING {where}
TELL {name} THAT THE {thing} IS {where}
WE WILL MEET {name} {where} {when}
{name} LEFT THE {like} {thing} {where}
DID {name} BRING THE {like} {thing}
REMIND ME TO ASK {name} ABOUT THE {thing}
THERE ARE {number} {thing}S {where}
THE {like} {thing} BELONGS TO {name}
{name} WANTS {number} {thing}S {when}
{name} IS COMING {when}
""".strip().splitlines()


def make_sentence(rng: random.Random, names: list[str]) -> str:
    """Return one sentence; two names in it are always different."""
    two = rng.sample(names, 2)

    def fill(match: re.Match) -> str:
        if match[1] == "name":
            return two.pop()
        return rng.choice(SLOTS[match[1]].split("|")).strip()

    return re.sub(r"\{(\w+)\}", fill, rng.choice(TEMPLATES))


def make_splits(seed: int, counts: dict[str, int]) -> dict[str, list[str]]:
    """Return sentences for every split, none of which occurs twice or in two splits.

    Args:
        seed: Same seed, same sentences.
        counts: Sentences wanted in each split. In ``test``, every eighth sentence is
            about somebody whose name was never heard in training.

    Raises:
        ValueError: More sentences are wanted than the templates easily give.
    """
    limit = 5000  # a third of what the smallest template set gives without repeats
    if sum(counts.values()) > limit:
        raise ValueError(
            f"{sum(counts.values())} sentences are too many for these templates: "
            f"ask for at most {limit} in all splits together"
        )
    rng = random.Random(seed)
    seen: set[str] = set()
    splits: dict[str, list[str]] = {}
    for split, count in counts.items():
        sentences: list[str] = []
        while len(sentences) < count:
            new = split == "test" and len(sentences) % 8 == 7
            sentence = make_sentence(rng, NEW_NAMES if new else NAMES)
            if new and not set(sentence.split()) & set(NEW_NAMES):
                continue  # a template without a name
            if sentence not in seen:
                seen.add(sentence)
                sentences.append(sentence)
        splits[split] = sentences
    return splits
