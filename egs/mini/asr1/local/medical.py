"""Medical terms of a text: words with parts that English uses in medicine alone."""

import re
from collections.abc import Set
from pathlib import Path

from espnet_dynlook.recipe.corpus import CorpusError

#: Greek and Latin parts of words, and stems of drugs' names; ``$`` ends a word.
PARTS = """
itis$ osis$ algia$ emia$ emic$ rrhea rrhoea ologist$ ectomy gram$ pril$ olol$ cillin
mycin cycline tamol amol$ statin azole profen phen$ pathy pril thyr cardi neuro gastr
dermat hepat hypertension cort histamin biotic diabet asthma inflamm bacter coccus morph
salbut dipine$ zine$ xine$ xate$ formin$ codeine antoin$ triptan sartan oxetine raline$
prim$ semide$ nadine$ rheum osteo arthr cyst bronch trach pneum laryn laby uria penia
plegia sclero echo electro immun toxin$ anaphyl chlor hypothyr hyperthyr hypothroid
clonus stridor pharyn otid aspirin paraceta abdom carot angina eczema migraine oedema
edema vaccin intub spirat menstr ovari allerg titis phlegm sputum tinnitus seizure
malaria dengue nausea steroid insulin melaton menopaus contracept diuret
""".split()
SHORTEST = 6  # letters of a term
_TERM = re.compile("|".join(PARTS))


def medical_terms(path: Path, taken: Set[str]) -> list[str]:
    """Return the medical terms of a text, sorted, in upper case.

    What tells them is a rule, so that some are missed, and spelling is the text's.

    Args:
        path: Any text; marks as ``<UNSURE>`` are left out.
        taken: Words, in upper case, that are none.

    Raises:
        CorpusError: There is none.
    """
    text = re.sub(r"<[^>]*>", " ", path.read_text(encoding="utf-8").lower())
    words = set(re.findall(r"(?<![a-z'_0-9])[a-z]+(?![a-z'_0-9])", text))
    terms = {
        word.upper()
        for word in words
        if len(word) >= SHORTEST and _TERM.search(word) and word.upper() not in taken
    }
    if not terms:
        raise CorpusError(f"{path}: no medical term in it")
    return sorted(terms)
