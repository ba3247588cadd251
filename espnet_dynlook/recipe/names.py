"""Which words and phrases of transcripts are rare, and which are names."""

from collections import Counter
from collections.abc import Iterable, Iterator

from espnet_dynlook.metrics.biasing import PhraseFinder

_OPENING, _CLOSING = "\"'“‘«([{", "\"'”’»)]}"
_SENTENCE_END = ".!?:;…"


def common_words(lines: Iterable[str], number: int) -> set[str]:
    """Return the most frequent words; the alphabet decides between equal counts."""
    counts = Counter(word for line in lines for word in line.split())
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return set(ranked[:number])


def frequent_words(lines: Iterable[str], max_count: int) -> set[str]:
    """Return the words that occur more than ``max_count`` times."""
    counts = Counter(word for line in lines for word in line.split())
    return {word for word, count in counts.items() if count > max_count}


def phrase_counts(lines: Iterable[str], phrases: Iterable[str]) -> Counter[str]:
    """Count how often each phrase occurs in the lines, also inside longer ones."""
    by_length: dict[int, list[str]] = {}
    for phrase in set(phrases):
        by_length.setdefault(len(phrase.split()), []).append(phrase)
    finders = [PhraseFinder(same) for same in by_length.values()]
    counts: Counter[str] = Counter()
    for line in lines:
        words = line.split()
        for finder in finders:
            counts.update(" ".join(words[i:j]) for i, j in finder(words))
    return counts


def names_by_capitals(lines: Iterable[str], share: float = 0.5) -> Counter[str]:
    """Find names in cased, punctuated text, with their numbers of occurrences.

    A word is taken for a name where it has a capital inside sentences more often than
    ``share``; neighbours that are names, nothing but a space between, are one name.
    Forms of ``I`` are none.

    Args:
        lines: Transcripts as they are written.
        share: Of a word's occurrences that do not begin a sentence.
    """
    lines = list(lines)
    capital: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for line in lines:
        for word, begins, _ in _words(line):
            if not begins:
                inside[word.lower()] += 1
                capital[word.lower()] += word[0].isupper()
    names = {
        word
        for word, count in capital.items()
        if count > share * inside[word] and word.replace("’", "'").split("'")[0] != "i"
    }
    found: Counter[str] = Counter()
    for line in lines:
        run: list[str] = []
        for word, begins, joined in _words(line):
            if not (joined and run and not begins):
                _keep(found, run)
                run = []
            if word[0].isupper() and word.lower() in names:
                run.append(word)
            else:
                _keep(found, run)
                run = []
        _keep(found, run)
    return found


def _keep(found: Counter[str], run: list[str]) -> None:
    if run:
        found[" ".join(run)] += 1


def _words(line: str) -> Iterator[tuple[str, bool, bool]]:
    """Yield words without punctuation, with two facts about each.

    The first: it begins a sentence, or quoted speech, so that its capital says nothing.
    The second: nothing but a space lies between it and the word before.
    """
    begins, joined = True, False
    for part in line.split():
        opened = part.lstrip(_OPENING)
        word = opened.rstrip(_CLOSING + _SENTENCE_END + ",-–—")
        end = opened[len(word) :]
        if len(opened) < len(part):
            joined, begins = False, begins or part[0] in '"“«'
        if word and any(c.isalpha() for c in word):
            # A single initial's point ends no sentence: J. Smith.
            initial = len(word) == 1 and end == "." and word.isupper()
            yield word, begins, joined
            begins = any(c in _SENTENCE_END for c in end) and not initial
            joined = not end or initial
        else:
            begins = begins or any(c in _SENTENCE_END for c in part)
            joined = False
