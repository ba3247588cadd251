"""Text as a model's tokens spell it: Unicode forms, case, marks, diacritics."""

import unicodedata
from collections.abc import Iterable

APOSTROPHES = "'’ʼ"  # those a token list may have, the usual one first
_LIKE_APOSTROPHE = "'`´‘’‛ʹʻʼʽˈ′＇׳"
#: Marks that are left out where no token has them: who is listed with them is called
#: without. Curly quotation marks are as the plain one.
_QUOTES = '"“”„‟«»'
_LEFT_OUT = f".,!?:;'{_QUOTES}"
_DASHES = "-‐‑‒–—―−﹘﹣－"
#: Latin letters whose mark is a part of them, so that Unicode does not take it off.
_PLAIN = {
    **{"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th"},
    **{"ħ": "h", "ı": "i", "ŋ": "ng", "ß": "ss", "ŧ": "t", "ĸ": "k", "ə": "e"},
}
_PLAIN |= {c.upper(): p.upper() for c, p in _PLAIN.items() if len(c.upper()) == 1}
#: Marks a word's beginning in the pieces of sentencepiece; no letter.
WORD_START = "▁"


def is_special(token: str) -> bool:
    """Tell a token that is no text, such as ``<unk>`` or ``[laughter]``."""
    return len(token) > 2 and (token[0] + token[-1]) in ("<>", "[]")


def alphabet_of(token_list: Iterable[str]) -> frozenset[str]:
    """Return the characters that the tokens can write."""
    return frozenset(
        "".join(token for token in token_list if not is_special(token))
    ) - {WORD_START, " "}


def is_all_marks(text: str) -> bool:
    """Tell a text of nothing but apostrophes, dashes and the like: it has no word."""
    return not set(text) - set(_LEFT_OUT + _LIKE_APOSTROPHE + _DASHES + " ")


def strip_marks(text: str) -> str:
    """Take diacritics off, also those that are a part of the letter (ø, ł, ß)."""
    plain = "".join(_PLAIN.get(c, c) for c in text)
    return "".join(
        c for c in unicodedata.normalize("NFD", plain) if not unicodedata.combining(c)
    )


def plain_marks(text: str) -> str:
    """Give text NFKC, its many apostrophes and dashes as one, single spaces."""
    # Before NFKC, which takes an acute accent for a space and a mark.
    text = unicodedata.normalize("NFKC", text.translate(_SAME))
    visible = (c for c in text if unicodedata.category(c) != "Cf")
    return " ".join("".join(visible).translate(_SAME).split())


_SAME = str.maketrans({c: "'" for c in _LIKE_APOSTROPHE} | {c: "-" for c in _DASHES})


class Spelling:
    """Writes text as the tokens of a model do.

    Args:
        token_list: The model's tokens; None: unknown, then every character is taken
            as it is and only Unicode forms, apostrophes and dashes are made equal.

    Attributes:
        case: ``upper`` or ``lower`` where all letters of the tokens are; else
            ``cased``, and case is kept.
    """

    def __init__(self, token_list: Iterable[str] | None):
        self.alphabet = None if token_list is None else alphabet_of(token_list)
        letters = self.alphabet or ()
        upper = any(c.isupper() for c in letters)
        lower = any(c.islower() for c in letters)
        self.case = "cased" if upper == lower else "upper" if upper else "lower"
        self._table = _Table(self.alphabet) if self.alphabet is not None else None

    def __call__(self, text: str) -> str:
        """Return the text in the model's spelling, words apart by single spaces."""
        text = text.replace("`", "'") if text.isascii() else plain_marks(text)
        if self.case == "upper":
            text = text.upper()
        elif self.case == "lower":
            text = text.lower()
        text = text.translate(self._table) if self._table is not None else text
        return " ".join(text.split())

    def unknown(self, text: str) -> list[str]:
        """Return the characters of a spelled text that no token has, each once."""
        if self.alphabet is None:
            return []
        return sorted(set(text) - self.alphabet - {" "})

    def left_out(self, text: str) -> list[str]:
        """Return the marks of a text that no token has, and that are left out."""
        if self.alphabet is None:
            return []
        marks = {c for c in plain_marks(text) if c in _LEFT_OUT}
        return sorted(mark for mark in marks if not self(mark))


class _Table(dict[int, str]):
    """For ``str.translate``: what a character becomes, found when first seen."""

    def __init__(self, alphabet: frozenset[str]):
        self.alphabet = alphabet

    def __missing__(self, code: int) -> str:
        self[code] = self._spell(chr(code))
        return self[code]

    def _spell(self, character: str) -> str:
        if character.isspace():
            return " "
        forms = [character, unicodedata.normalize("NFD", character)]
        forms += APOSTROPHES if character in _LIKE_APOSTROPHE else ()
        forms += ['"'] if character in _QUOTES else ()
        forms.append(strip_marks(character))
        for form in forms:
            if form and self.alphabet.issuperset(form):
                return form
        if character in _DASHES:  # Jean-Luc is two words for such a model
            return " "
        if character in _LEFT_OUT or character in _LIKE_APOSTROPHE:
            return ""  # O'Neil is ONEIL then
        # A mark without a letter that it could be joined with (as in i̇).
        return "" if unicodedata.combining(character) else character
