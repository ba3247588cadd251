"""The data field ``names``: of each utterance, its own list of names."""

from collections.abc import Callable
from typing import Any

import numpy as np

from espnet_dynlook.model.contextual import SEPARATOR

#: Between the phrases of an utterance in the data file.
BETWEEN = "|"


class NamesPreprocessor:
    """Turns ``phrase|phrase`` into token numbers; the rest is ESPnet's.

    Phrases are written as the transcripts are. One that the tokens cannot write is
    left out. An utterance without names has ``|`` alone.

    Args:
        inner: ESPnet's preprocessor, with the tokenizer of the transcripts.

    Raises:
        ValueError: it has none.
    """

    def __init__(self, inner: Callable[[str, dict[str, Any]], dict[str, np.ndarray]]):
        self.inner = inner
        self.tokenizer: Any = getattr(inner, "tokenizer", None)
        self.converter: Any = getattr(inner, "token_id_converter", None)
        if self.tokenizer is None or self.converter is None:
            raise ValueError(
                "names need the tokenizer of the transcripts: give --token_type and "
                "--token_list, and --bpemodel for token_type bpe"
            )
        self._known: dict[str, list[int]] = {}

    def __call__(self, uid: str, data: dict[str, Any]) -> dict[str, np.ndarray]:
        """Preprocess an utterance."""
        names = data.pop("names", None)
        found = self.inner(uid, data)
        if names is not None:
            ids = [SEPARATOR]
            for phrase in str(names).split(BETWEEN):
                ids += self._tokens(phrase.strip())
            found["names"] = np.array(ids, dtype=np.int64)
        return found

    def _tokens(self, phrase: str) -> list[int]:
        """Return the tokens of a phrase, and the separator after them."""
        if phrase not in self._known:
            ids: list[int] = []
            if phrase:
                ids = self.converter.tokens2ids(self.tokenizer.text2tokens(phrase))
            unknown = getattr(self.converter, "unk_id", None)
            written = bool(ids) and unknown not in ids
            self._known[phrase] = [*ids, SEPARATOR] if written else []
        return self._known[phrase]
