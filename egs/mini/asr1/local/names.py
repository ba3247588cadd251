"""The names of the names corpus, and which set may say them.

First names and surnames are of the census of the United States of 1990 (public domain),
cities are real; smaller towns, products and medicines are invented by a grammar of
syllables. Words that the sentences use otherwise are no names.
"""

import hashlib
import random
from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path

LISTS = Path(__file__).resolve().parent / "name_lists"
#: Part of the names that a set may say. The rest is never spoken: lists draw from it.
FRACTIONS = {"train": 0.33, "adapt": 0.2, "valid": 0.04, "tune": 0.05, "test": 0.08}
NEVER = "never"  # the rest
INVENTED = 800  # towns, products and medicines, each

ONSETS = """B BL BR C CL CR D DR F FL FR G GL GR H J K L M N P PL PR QU R S SC SH SK SL
SP ST T TH TR V W Z""".split()
VOWELS = "A E I O U A E I O AI EA EE IA OO OU".split()
CODAS = "L M N R S T X LD LT MP ND NT RD RK RN ST".split() + [""] * 12
ENDINGS = {
    "town": """BERG BOROUGH BRIDGE BURG BURY DALE FIELD FORD HAM HAVEN LEIGH MINSTER
        MOUTH STEAD TON VILLE WICK WOOD WORTH""".split(),
    "product": "A ARO EX IA ICO INO IO IX ON ORA OX UM US YNE ZY".split(),
    "medicine": """ADINE AFIL AMIDE AMOL ATIDE AZEPAM AZOLE CILLIN CORT CYCLINE DRONATE
        FLOXACIN GLITAZONE IDONE IPRAMINE IZUMAB LUKAST MYCIN OLOL OPRAZOLE OXETINE
        PRIL PROFEN SARTAN SETRON STATIN TIDINE TRIPTAN VUDINE XABAN""".split(),
}


@dataclass(frozen=True)
class Names:
    """What the names of one set are.

    Attributes:
        slots: Names by slot of the sentences. A surname has a first name in front of
            it (``full``) or a title (``surname``), always the same of the two.
    """

    slots: dict[str, tuple[str, ...]]

    @property
    def phrases(self) -> tuple[str, ...]:
        """All of them, sorted."""
        return tuple(sorted(name for names in self.slots.values() for name in names))


def read_list(name: str) -> list[str]:
    """Return the lines of a list of names, without its comment."""
    lines = (LISTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def syllable(rng: random.Random, coda: bool) -> str:
    """Return a syllable that an English speaker can say."""
    return rng.choice(ONSETS) + rng.choice(VOWELS) + (rng.choice(CODAS) if coda else "")


def invent(kind: str, number: int, taken: Set[str]) -> list[str]:
    """Return invented names of a kind, always the same ones.

    Args:
        kind: town, product or medicine.
        number: How many.
        taken: Words that are none.
    """
    rng = random.Random(f"names {kind}")
    found: dict[str, None] = {}
    while len(found) < number:
        ending = rng.choice(ENDINGS[kind])
        closed = ending[0] not in "AEIOUY"
        # A consonant stands between the stem and an ending that begins with a vowel.
        stem = "".join(syllable(rng, False) for _ in range(rng.randint(0, 1)))
        stem += rng.choice(ONSETS) + rng.choice(VOWELS[:9])
        stem += rng.choice("LNRST" if closed else "BCDFGLMNPRSTVXZ")
        word = stem + ending
        if len(word) <= 13 and word not in taken:
            found[word] = None
    return list(found)


def shares(names: Iterable[str], seed: int) -> dict[str, list[str]]:
    """Divide names of one kind over the sets, by a hash of seed and name."""

    def order(name: str) -> bytes:
        return hashlib.sha256(f"{seed} {name}".encode()).digest()

    ordered = sorted(set(names), key=order)
    parts, first = {}, 0
    for split, fraction in FRACTIONS.items():
        end = first + round(fraction * len(ordered))
        parts[split] = ordered[first:end]
        first = end
    parts[NEVER] = ordered[first:]
    return parts


def names_of_sets(seed: int, taken: Iterable[str]) -> dict[str, Names]:
    """Return the names of each set, and of ``NEVER``; no word is in two of them.

    Args:
        seed: Decides which set has which name.
        taken: Words that are no names.
    """
    used = set(taken)
    kinds = {}
    for kind, words in (
        ("first", read_list("first_names")),
        ("surname", read_list("surnames")),
        ("place", read_list("places")),
    ):
        kinds[kind] = [word for word in words if word not in used]
        used.update(kinds[kind])
    for kind in ENDINGS:
        kinds[kind] = invent(kind, INVENTED, used)
        used.update(kinds[kind])
    kinds["place"] += kinds.pop("town")
    parts = {kind: shares(words, seed) for kind, words in kinds.items()}
    sets = {}
    for split in (*FRACTIONS, NEVER):
        slots = {kind: part[split] for kind, part in parts.items()}
        rng = random.Random(f"names {seed} {split}")
        half = len(slots["surname"]) // 2
        slots["full"] = [
            f"{rng.choice(slots['first'])} {surname}"
            for surname in slots["surname"][:half]
        ]
        slots["surname"] = slots["surname"][half:]
        sets[split] = Names({kind: tuple(names) for kind, names in slots.items()})
    return sets
