"""Which search a recogniser has, and what names can do in it."""

from dataclasses import dataclass
from typing import Any

from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.effects import acting, check_effects
from espnet_dynlook.search.incremental import GreedyCTC, Search
from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.techniques import Techniques
from espnet_dynlook.search.transducer import GreedyTransducer
from espnet_dynlook.search.transducer_beam import TransducerBeam

#: Hypotheses where a language model or techniques are given, and nothing else is said.
BEAM = 50


@dataclass(frozen=True)
class Searching:
    """A recogniser's search.

    Attributes:
        plain: What it knows before the first frame.
        decoder: Of CTC, where it is no greedy search.
        told: Whether names act in the search.
        whole: Whether a technique reads whole utterances, so that nothing streams.
    """

    plain: Search
    decoder: BiasedDecoder | None = None
    told: bool = False
    whole: bool = False

    @property
    def phones(self) -> bool:
        """Whether a technique reads posteriors of phones."""
        return self.decoder is not None and self.decoder.needs_phones


def searching_of(
    model: Any,
    beam: int | None,
    lm: NgramLM | None,
    techniques: Techniques | None,
    adapted: bool,
) -> Searching:
    """Return the search for a model.

    Args:
        model: ESPnet's ASR model.
        beam: Hypotheses that are kept, 1 being greedy; None: 1, or ``BEAM`` with a
            language model or techniques.
        lm: Of words; None: none.
        techniques: Of the decoder for names; None: boosting, if there is no adapter.
        adapted: Whether there is an adapter.

    Raises:
        ValueError: values do not go together, or a technique lacks what it needs.
    """
    asks = lm is not None or techniques is not None
    if beam is None:
        beam = BEAM if asks else 1
    if beam < 1:
        raise ValueError(f"beam={beam} must be at least 1")
    if model.use_transducer_decoder:
        if asks:
            what = "lm" if techniques is None else "techniques"
            raise ValueError(
                f"{what} acts in the search of a CTC head, and this model is a "
                "transducer: leave it out; names act through an adapter alone"
            )
        networks = (model.decoder, model.joint_network)
        search: Search = GreedyTransducer(*networks, model.blank_id)
        if beam != 1:
            search = TransducerBeam(*networks, beam, model.blank_id)
        return Searching(search)
    if beam == 1 and not asks:
        return Searching(GreedyCTC(model.blank_id))
    if techniques is None:
        techniques = Techniques(boosting=None) if adapted else Techniques()
    check_effects(techniques, lm)
    told = bool(acting(techniques, lm))
    # Pruned as ``asr_inference`` prunes: by the defaults of the search.
    decoder = BiasedDecoder(
        model.token_list, beam, lm, techniques, blank=model.blank_id
    )
    decoder.check_phones(model)
    try:
        return Searching(decoder.begin(None), decoder, told)
    except ValueError:  # the decoder says so to whoever wants a stream
        return Searching(decoder.search.begin(None), decoder, told, whole=True)


def refusal_of(
    searching: Searching, model: Any, adapted: bool, scale: float = 1.0
) -> str:
    """Say why names would have no effect, and what to change; "" if they have.

    Args:
        searching: The recogniser's search.
        model: ESPnet's ASR model.
        adapted: Whether there is an adapter.
        scale: What its bias is multiplied by.
    """
    decoder = searching.decoder
    if searching.told and decoder is not None and decoder.search.settings.beam == 1:
        return (
            "names need a place beside the best text, and beam=1 has none: give a "
            f"beam, such as beam={BEAM}, or switch all techniques off (null), where "
            "there is an adapter"
        )
    if searching.told or (adapted and scale > 0):
        return ""
    if adapted:
        return (
            f"names have no effect: adapter_scale={scale:g} silences the adapter, and "
            "no technique is on: raise it, or of a CTC head switch one on, such as "
            "boosting: true"
        )
    if model.use_transducer_decoder:
        return (
            "names act on a transducer through an adapter alone, and none was given: "
            "give adapter_config and adapter_file"
        )
    if decoder is not None:
        return (
            "names have no effect: all techniques are off (null, or of weight 0), and "
            "there is no adapter; switch one on, such as boosting: true"
        )
    return (
        "names have no effect on a greedy search (beam=1): give a beam, such as "
        f"beam={BEAM}, or an adapter"
    )
