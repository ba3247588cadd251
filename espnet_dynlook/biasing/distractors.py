"""Names that are not said: any, and such as look or sound like what is said."""

import random
from collections.abc import Sequence

from espnet_dynlook.biasing.g2p import MissingPackage
from espnet_dynlook.biasing.occurrences import Ids
from espnet_dynlook.biasing.pronunciations import Pronouncer, default_pronouncer
from espnet_dynlook.biasing.transcripts import TranscriptReader, TranscriptWord

#: Words among which the nearest is taken for one that is hard to tell.
CANDIDATES = 40


class Distractors:
    """Remembers the words of an epoch (or of a batch), to take distractors from.

    Args:
        reader: Of transcripts.
        pronouncer: Knows how words are said; None: the default one, and without its
            packages words that sound alike are taken for those that look alike.
    """

    def __init__(self, reader: TranscriptReader, pronouncer: Pronouncer | None = None):
        self.reader = reader
        self._pronouncer = pronouncer
        self._sounds = True
        self._epoch = 0
        self._words: dict[Ids, str] = {}
        self._order: list[Ids] = []

    def learn(
        self,
        epoch: int,
        words: Sequence[Sequence[TranscriptWord]],
        texts: Sequence[Sequence[int]],
    ) -> None:
        """Remember the words of a batch; what earlier epochs said is forgotten.

        Else a training that is resumed would know less than one that is not.
        """
        if epoch != self._epoch:
            self._epoch = epoch
            self._words.clear()
            self._order.clear()
        for own, ids in zip(words, texts, strict=True):
            for word in own:
                key = tuple(ids[word.start : word.end])
                if word.text and key not in self._words:
                    self._words[key] = word.text
                    self._order.append(key)

    def other(self, rng: random.Random) -> Ids | None:
        """Return a word, or a phrase of two; None if nothing is known."""
        if not self._order:
            return None
        first = rng.choice(self._order)
        if self.reader.token_type != "bpe" or rng.random() < 0.7:
            return first
        return first + rng.choice(self._order)

    def near(self, rng: random.Random, ids: Ids, text: str) -> Ids | None:
        """Return a word that looks or sounds like another one, or a made-up one."""
        import editdistance

        if not self._order or rng.random() < 0.3:
            return self.changed(rng, ids)
        some = [rng.choice(self._order) for _ in range(CANDIDATES)]
        some = [one for one in dict.fromkeys(some) if one != ids]
        if not some:
            return self.changed(rng, ids)
        texts = [self._words[one] for one in some]
        own: Sequence[str] = text
        others: Sequence[Sequence[str]] = texts
        if rng.random() < 0.5:
            said = self._said([text, *texts])
            if said is not None:
                own, *others = said
        distances = [
            editdistance.eval(list(own), list(other)) / max(len(own), len(other), 1)
            for other in others
        ]
        return some[distances.index(min(distances))]

    def changed(self, rng: random.Random, ids: Ids) -> Ids:
        """Return tokens with one of them replaced, left out or put in."""
        place = rng.randrange(len(ids))
        known = rng.choice(self._order) if self._order else ids
        token = rng.choice(known)
        way = rng.randrange(3)
        if way == 0 and len(ids) > 1:
            return ids[:place] + ids[place + 1 :]
        return (*ids[:place], token, *ids[place + (way < 2) :])

    def _said(self, texts: Sequence[str]) -> list[tuple[str, ...]] | None:
        """Return the phones of words; None where nobody can say them."""
        if not self._sounds:
            return None
        pronouncer = self._pronouncer or default_pronouncer()
        try:
            pronouncer.prepare(texts)
        except MissingPackage:
            self._sounds = False
            return None
        return [ways[0] if (ways := pronouncer.word(t)) else (t,) for t in texts]
