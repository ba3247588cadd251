# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""ASR decoding packet by packet: ESPnet's ``espnet2.bin.asr_inference_streaming``.

A model of this plugin is streamed as ``Recognizer`` streams it, and how long one waits
for the text is measured. ``--sim_chunk_length`` is the size of a packet.
``1best_recog`` gets ESPnet's files, ``lookahead_ms`` and ``decode_seconds`` as
``asr_inference`` writes them, and a file for every kind of latency, which
``metrics.streamed`` defines: ``token_algorithmic_ms``, ``token_emission_ms``,
``token_computational_ms``, ``token_stable_ms``, ``first_partial_ms``, ``final_ms``.
ESPnet's own streaming encoders go to ESPnet's program, which measures nothing.
"""

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from espnet_dynlook.bin.decoding import (
    check_one_at_a_time,
    in_ms,
    parse,
    unit_ms,
    utterances,
    warn_of_short,
    write_hypothesis,
)
from espnet_dynlook.bin.errors import in_one_line
from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.config import ConfigError
from espnet_dynlook.frontend.timing import FrontendTiming
from espnet_dynlook.metrics.ctm import TimedWord, read_ctm
from espnet_dynlook.metrics.delay import token_delays
from espnet_dynlook.metrics.streamed import LATENCIES, report
from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.search.incremental import GreedyCTC, Token
from espnet_dynlook.streaming.measure import (
    Meter,
    Recorded,
    Streamed,
    aligned_emission,
)
from espnet_dynlook.streaming.pipeline import Pipeline
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.substitute import substitute

with espnet_imports():
    import espnet2.bin.asr_inference_streaming as host
    from espnet2.fileio.datadir_writer import DatadirWriter
    from espnet2.text.build_tokenizer import build_tokenizer
    from espnet2.torch_utils.set_all_random_seed import set_all_random_seed

#: Encoders that ESPnet streams itself.
ESPNETS = ("contextual_block_conformer", "contextual_block_transformer")
#: Options that this command adds.
OURS = ("decoding", "alignment")
#: What the search has a use for; of the model, of the data, and of this command.
USED = (
    *("config", "log_level", "output_dir", "ngpu", "seed", "dtype", "num_workers"),
    *("data_path_and_name_and_type", "key_file", "allow_variable_data_keys"),
    *("sim_chunk_length", "asr_train_config", "asr_model_file", "batch_size"),
    *("beam_size", "ctc_weight", "token_type", "bpemodel", *OURS),
)
OFFLINE = "or decode with espnet_dynlook.bin.asr_inference"
NO_LM = f"leave it out (in a recipe: --use_lm false), {OFFLINE}"
#: What to write in the place of what has no use; by the option's beginning.
INSTEAD = {
    "nbest": f"write --nbest 1, {OFFLINE}",
    "lm_": NO_LM,
    "word_lm_": NO_LM,
}


def get_parser() -> argparse.ArgumentParser:
    """Return the parser: ESPnet's, and what this command adds."""
    parser = host.get_parser()
    parser.add_argument(
        "--decoding",
        choices=["beam", "ctc_greedy"],
        default="beam",
        help="beam: --beam_size labellings of the CTC head, or of the transducer where "
        "the model is one; 1 is greedy. ctc_greedy: best path of the CTC head",
    )
    parser.add_argument(
        "--alignment",
        help="words of the references with their times, as a CTM file, such as "
        "asr_evaluate --write_alignment leaves: tokens that were recognised are "
        "measured from the end of their word. Without: all tokens, from their own end "
        "on the model's CTC path of what it recognised",
    )
    return parser


def check_arguments(args: argparse.Namespace) -> None:
    """Refuse what has no effect, or is out of range.

    Raises:
        ConfigError: names the option, and what to write instead.
    """
    check_one_at_a_time(args)
    parser = get_parser()
    for name, value in vars(args).items():
        if name in USED or value == parser.get_default(name):
            continue
        begins = (instead for key, instead in INSTEAD.items() if name.startswith(key))
        instead = next(begins, f"leave it out, {OFFLINE}")
        raise ConfigError(
            f"--{name} {value} has no effect on streams, which are searched with CTC "
            f"or as transducers, for one text: {instead}"
        )
    for name, least in (("beam_size", 1), ("sim_chunk_length", 0)):
        value = getattr(args, name)
        if value < least:
            raise ConfigError(f"--{name} {value} must be at least {least}")
    default = parser.get_default("beam_size")
    if args.decoding == "ctc_greedy" and args.beam_size not in (1, default):
        raise ConfigError(
            f"--beam_size {args.beam_size} has no effect on decoding: ctc_greedy: "
            "leave it out, or write --decoding beam"
        )


class Decoder:
    """A model that streams data, and the text of its tokens.

    Args:
        args: From ``get_parser()``.

    Raises:
        CannotStream: a part of the model needs the whole utterance.
        CheckpointMismatch: the model file does not fit the configuration.
        ConfigError: the model cannot do what is asked for.
    """

    def __init__(self, args: argparse.Namespace):
        model, self.train_args = DynlookASRTask.build_model_from_file(
            args.asr_train_config,
            args.asr_model_file,
            "cuda" if args.ngpu > 0 else "cpu",
        )
        self.model: Any = model.to(dtype=getattr(torch, args.dtype)).eval()
        greedy = args.decoding == "ctc_greedy"
        self.token_type = args.token_type or self.train_args.token_type
        try:
            recognizer = Recognizer(
                self.model, self.token_type, 1 if greedy else args.beam_size
            )
        except ValueError as error:
            raise ConfigError(f"{args.asr_train_config}: {error}") from None
        search = recognizer.pipeline.search
        head = None
        if greedy and recognizer.pipeline.transducer:
            if self.model.ctc is None:
                raise ConfigError(
                    "decoding: ctc_greedy, and this transducer has no CTC head "
                    "(ctc_weight: 0): write --decoding beam --beam_size 1"
                )
            search, head = GreedyCTC(self.model.blank_id), self.posteriors
        self.searched = "ctc" if head or not recognizer.pipeline.transducer else "rnnt"
        self._check_ctc_weight(args.ctc_weight)
        if self.searched == "ctc" and self.model.decoder is not None:
            logging.warning("the decoder waits for the end: the CTC head is searched")
        bpemodel = args.bpemodel or self.train_args.bpemodel
        self.tokenizer = None
        if self.token_type != "bpe" or bpemodel is not None:
            self.tokenizer = build_tokenizer(self.token_type, bpemodel)
        elif args.alignment is not None:
            raise ConfigError("--alignment needs the tokens of words: write --bpemodel")
        self.timing = FrontendTiming(self.model)
        if self.timing.warning is not None:
            logging.warning(self.timing.warning)
        self.period = 1000.0 * recognizer.period
        self.meter = Meter(
            Pipeline(self.model, Recorded(search, head)),
            self.period,
            recognizer.constant_ms,
            self.text_of,
        )

    def _check_ctc_weight(self, weight: float) -> None:
        real = 1.0 if self.searched == "ctc" else 0.0
        if weight not in (real, get_parser().get_default("ctc_weight")):
            raise ConfigError(
                f"--ctc_weight {weight:g}: nothing but the "
                f"{'CTC head' if real else 'transducer'} is searched: leave it out"
            )

    @torch.inference_mode()
    def posteriors(self, encoded: torch.Tensor) -> torch.Tensor:
        """Return the CTC head's log-probabilities (n, V) of encoder output (n, D)."""
        return self.model.ctc.log_softmax(encoded[None])[0].float().cpu()

    def names_of(self, tokens: Sequence[Token]) -> list[str]:
        """Return the tokens as they are written."""
        return [self.model.token_list[one.token] for one in tokens]

    def text_of(self, tokens: Sequence[Token]) -> str:
        """Return the text of tokens; "" of a model without a tokenizer."""
        if self.tokenizer is None:
            return " ".join(self.names_of(tokens))
        return self.tokenizer.tokens2text(self.names_of(tokens))

    def unit_ms(self, speech: torch.Tensor) -> float:
        """Return the time of a sample or of a frame of features."""
        return unit_ms(speech, self.model.frontend, self.timing)

    def emission(
        self, streamed: Streamed, words: Sequence[TimedWord] | None
    ) -> Sequence[float] | None:
        """Return how late tokens are, in ms; None where that cannot be known.

        Args:
            streamed: The utterance.
            words: Of the reference; None: measured against the model's own alignment.

        Raises:
            ValueError: the words are not those of one reference.
        """
        if words is not None:
            assert self.tokenizer is not None
            reference = self.tokenizer.text2tokens(" ".join(one.word for one in words))
            return token_delays(
                list(reference),
                [one.end for one in words],
                self.names_of(streamed.tokens),
                streamed.heard,
                self.token_type,
            )
        log_probs = streamed.frames
        if self.searched == "rnnt":
            if self.model.ctc is None:
                return None
            log_probs = self.posteriors(log_probs)
        return aligned_emission(streamed, log_probs, self.period, self.model.blank_id)


def inference(args: argparse.Namespace) -> list[str]:
    """Decode a data directory.

    Args:
        args: From ``get_parser()``.

    Returns:
        Utterances that are too short; they are written with empty text.

    Raises:
        CannotStream: a part of the model needs the whole utterance.
        CheckpointMismatch: the model file does not fit the configuration.
        ConfigError: an argument has no effect or is out of range, or an utterance
            is not what the model takes.
    """
    check_arguments(args)
    set_all_random_seed(args.seed)
    decoder = Decoder(args)
    alignment = None if args.alignment is None else _read_alignment(args.alignment)
    measured: dict[str, list[float]] = {one.name: [] for one in LATENCIES}
    keys: list[str] = []
    too_short: list[str] = []
    packets = "whole"
    with DatadirWriter(args.output_dir) as writer:
        for key, speech in utterances(args, decoder.train_args):
            unit = decoder.unit_ms(speech)
            size = args.sim_chunk_length or max(len(speech), 1)
            if args.sim_chunk_length:
                packets = f"in packets of {unit * size:g} ms"
            words = None if alignment is None else alignment.get(key, [])
            try:
                if not keys:  # what the first call of all is slower by is no latency
                    decoder.meter(torch.zeros_like(speech[:size]), size, unit)
                streamed = decoder.meter(speech, size, unit)
                emission = decoder.emission(streamed, words)
            except ValueError as error:
                raise ConfigError(f"{key}: {error}") from error
            keys.append(key)
            if not streamed.lookahead:
                too_short.append(key)
            values = latencies(streamed, emission)
            _write(writer["1best_recog"], key, decoder, streamed, values)
            for name, own in values.items():
                measured[name] += own
    if alignment is not None and alignment.keys().isdisjoint(keys):
        raise ConfigError(f"--alignment {args.alignment} has none of these utterances")
    warn_of_short(too_short)
    logging.info(
        f"{len(keys)} utterances, {packets}; latencies in ms:\n{report(measured)}"
    )
    return too_short


def latencies(
    streamed: Streamed, emission: Sequence[float] | None
) -> dict[str, Sequence[float]]:
    """Return the latencies of an utterance by their names, in ms."""
    first = streamed.first_partial
    return {
        "algorithmic": streamed.algorithmic,
        "emission": emission or (),
        "computational": streamed.computational,
        "stable": streamed.stable,
        "first partial": () if first is None else (first,),
        "final": (streamed.final,),
    }


def _write(
    files: Any,
    key: str,
    decoder: Decoder,
    streamed: Streamed,
    values: Mapping[str, Sequence[float]],
) -> None:
    text = None if decoder.tokenizer is None else decoder.text_of(streamed.tokens)
    numbers = [one.token for one in streamed.tokens]
    names = decoder.names_of(streamed.tokens)
    write_hypothesis(files, key, text, names, numbers, streamed.score)
    files["lookahead_ms"][key] = in_ms(streamed.lookahead)
    seconds = f"{streamed.spent / 1000:.4f} {streamed.audio / 1000:.4f}"
    files["decode_seconds"][key] = seconds
    for one in LATENCIES:
        files[one.file][key] = in_ms(values[one.name])


def _read_alignment(path: str) -> dict[str, list[TimedWord]]:
    try:
        return read_ctm(path)
    except ValueError as error:
        raise ConfigError(f"--alignment {error}") from None


def _encoder_of(train_config: str) -> str | None:
    try:
        text = Path(train_config).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--asr_train_config {error}") from None
    found = yaml.safe_load(text)
    return found.get("encoder") if isinstance(found, dict) else None


def main(cmd: Sequence[str] | None = None) -> None:
    """Decode.

    Args:
        cmd: Arguments as on the command line; None: those of this process.

    Raises:
        ConfigError: a key or value of the configuration is wrong.
    """
    args = parse(cmd, get_parser)
    encoder = _encoder_of(args.asr_train_config)
    if encoder not in ESPNETS:
        inference(args)
        return
    for name in OURS:
        value = getattr(args, name)
        if value != get_parser().get_default(name):
            raise ConfigError(
                f"--{name} {value} is not for encoder: {encoder}, which ESPnet's own "
                "program streams: leave it out"
            )
    options = {k: v for k, v in vars(args).items() if k not in ("config", *OURS)}
    with substitute(host, ASRTask=DynlookASRTask):
        host.inference(**options)


def program() -> None:
    """Decode, and say in one line what the user can put right."""
    with in_one_line("asr_inference_streaming"):
        main()


if __name__ == "__main__":
    program()
