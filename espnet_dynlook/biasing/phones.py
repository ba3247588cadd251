"""The phones of American English as CMUdict writes them (ARPAbet)."""

from collections.abc import Iterable

VOWELS = tuple("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
CONSONANTS = tuple("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split())
#: The 39 phones without stress, in alphabetical order.
PHONES = tuple(sorted(VOWELS + CONSONANTS))
#: Outputs of a CTC head over phones; the order is that of its rows in a checkpoint.
PHONE_TOKENS = ("<blank>", "<unk>", *PHONES)

_KNOWN = frozenset(PHONES)
_STRESSED = frozenset(vowel + stress for vowel in VOWELS for stress in "012")

#: The phones of one way to say a word or a phrase.
Pronunciation = tuple[str, ...]


def without_stress(phones: Iterable[str]) -> Pronunciation:
    """Return the phones without the digits that mark stress."""
    return tuple(phone.rstrip("012") for phone in phones)


def parse_phones(text: str | Iterable[str]) -> Pronunciation:
    """Read one pronunciation, such as ``SH IH0 V AO1 N`` or a list of its phones.

    Case does not matter and stress may be there.

    Raises:
        ValueError: It is empty, or something in it is no phone.
    """
    if not isinstance(text, Iterable):
        raise ValueError(f"the pronunciation {text!r} is no text of phones (SH IH V)")
    parts = text.split() if isinstance(text, str) else list(text)
    phones = tuple(str(part).upper() for part in parts)
    if not phones:
        raise ValueError("the pronunciation is empty; write phones, such as SH IH V")
    odd = [p for p in phones if p not in _KNOWN and p not in _STRESSED]
    if odd:
        raise ValueError(
            f"{', '.join(map(repr, dict.fromkeys(odd)))} in the pronunciation "
            f"{' '.join(phones)!r}: the phones are {' '.join(PHONES)}"
        )
    return phones
