"""Phones of made-up words, and their posteriors, for tests of what phones decide."""

from ctc_beam_cases import names, spoken

from espnet_dynlook.biasing.phones import PHONE_TOKENS
from espnet_dynlook.biasing.pronunciations import Pronouncer

SAID = {
    "call": ["K AO L"],
    "now": ["N AW"],
    "the": ["DH AH", "DH IY"],
    "cat": ["K AE T"],
    "lean": ["L IY N"],
    "cathleen": ["K AE TH L IY N"],
    "kathleen": ["K AE TH L IY N"],
    "katlin": ["K AE T L IH N"],
    "catlean": ["K AE T L IY N"],
    "bob": ["B AA B"],
    "new": ["N UW"],
    "york": ["Y AO R K"],
    "gnu": ["N UW"],
    "pork": ["P AO R K"],
    "van": ["V AE N"],
    "dike": ["D AY K"],
    "dyke": ["D AY K"],
    "vandyke": ["V AE N D AY K"],
}


def pronouncer():
    return Pronouncer(SAID)


def known(phrases, **options):
    """Return a catalog for characters whose words are said as above."""
    return names(phrases, pronouncer=pronouncer(), **options)


def phones(text, **options):
    """Return posteriors (T', P) of phones, or of words as they are said above."""
    parts = []
    for word in text.split():
        parts += SAID[word][0].split() if word.islower() else [word]
    return spoken(list(PHONE_TOKENS), parts, **options)


def numbers(text):
    return tuple(PHONE_TOKENS.index(phone) for phone in text.split())


class Letters(Pronouncer):
    """Says words letter by letter, each as one phone: any text, at once."""

    def __init__(self):
        super().__init__({})

    def prepare(self, words):
        pass

    def word(self, word):
        phones = PHONE_TOKENS[2:]
        return (tuple(phones[ord(letter) % len(phones)] for letter in word),)

    def phrase(self, text):
        return (tuple(phone for word in text.split() for phone in self.word(word)[0]),)


def letter_phones(text, **options):
    """Return posteriors of the phones of a text, as ``Letters`` says it."""
    return spoken(list(PHONE_TOKENS), Letters().phrase(text)[0], **options)
