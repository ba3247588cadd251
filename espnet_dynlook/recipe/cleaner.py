"""ESPnet's text cleaners, as training applies them to transcripts."""

from collections.abc import Mapping

from espnet_dynlook.recipe.data_dir import DataError


def clean_texts(texts: Mapping[str, str], cleaner: str) -> dict[str, str]:
    """Pass every text through a cleaner of ESPnet.

    Args:
        texts: Transcript by utterance.
        cleaner: Its name, such as ``tacotron``; ``none`` or nothing: no change.

    Raises:
        DataError: ESPnet has no such cleaner, or lacks a package for it.
    """
    if cleaner in ("", "none"):
        return dict(texts)
    from espnet2.text.cleaner import TextCleaner

    clean = TextCleaner(cleaner)
    try:
        return {utt: clean(line) for utt, line in texts.items()}
    except RuntimeError as error:
        raise DataError([f"--cleaner {cleaner}: {error}"]) from None
