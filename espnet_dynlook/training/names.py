"""The data field ``names``: of each utterance, its own list of names."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.draws import SEPARATOR
from espnet_dynlook.biasing.entries import Unusable
from espnet_dynlook.training.data_text import lines_of

FIELD = "names"
#: Between the phrases of an utterance in the data file.
BETWEEN = "|"


class NamesPreprocessor:
    """Turns ``phrase|phrase`` into token numbers; the rest is ESPnet's.

    Phrases go through the cleaner of the transcripts, and are then spelled as those of
    a ``Catalog``: case, apostrophes and marks as the tokens have them. One that the
    tokens cannot write is left out (``unusable``). An utterance without names has ``|``
    alone.

    Args:
        inner: ESPnet's preprocessor, with the tokenizer of the transcripts.

    Raises:
        ValueError: it has none.
    """

    def __init__(self, inner: Callable[[str, dict[str, Any]], dict[str, np.ndarray]]):
        self.inner = inner
        tokenizer: Any = getattr(inner, "tokenizer", None)
        self.converter: Any = getattr(inner, "token_id_converter", None)
        if tokenizer is None or self.converter is None:
            raise ValueError(
                "names need the tokenizer of the transcripts: give --token_type and "
                "--token_list, and --bpemodel for token_type bpe"
            )
        self._cleaner = getattr(inner, "text_cleaner", None) or str
        self._catalog = Catalog(
            [], tokenizer, self.converter.token_list, segmentations=1
        )
        self._known: dict[str, list[int] | str] = {}

    def __call__(self, uid: str, data: dict[str, Any]) -> dict[str, np.ndarray]:
        """Preprocess an utterance."""
        names = data.pop(FIELD, None)
        found = self.inner(uid, data)
        if names is not None:
            ids = [SEPARATOR]
            for phrase in _phrases(str(names)):
                written = self._write(phrase)
                ids += [] if isinstance(written, str) else [*written, SEPARATOR]
            found[FIELD] = np.array(ids, dtype=np.int64)
        return found

    def unusable(self, data: Iterable[Sequence[str]]) -> list[Unusable]:
        """Return the phrases of data files that the tokens cannot write, each once.

        Args:
            data: (path, name, type) of the data of a training.
        """
        found: dict[str, Unusable] = {}
        for place, names in lines_of(data, FIELD):
            for phrase in _phrases(names):
                why = self._write(phrase)
                if isinstance(why, str) and phrase not in found:
                    found[phrase] = Unusable(place, phrase, why)
        return list(found.values())

    def _write(self, phrase: str) -> list[int] | str:
        """Return the tokens of a phrase, or why there are none."""
        if phrase not in self._known:
            try:
                _, tokens = self._catalog.spell(self._cleaner(phrase))
                self._known[phrase] = self.converter.tokens2ids(tokens)
            except ValueError as error:
                self._known[phrase] = str(error)
        return self._known[phrase]


def _phrases(names: str) -> list[str]:
    return [phrase.strip() for phrase in names.split(BETWEEN) if phrase.strip()]
