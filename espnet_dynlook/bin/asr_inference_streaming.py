# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""ASR decoding packet by packet: ESPnet's ``espnet2.bin.asr_inference_streaming``.

A model of this plugin is streamed as ``Recognizer`` streams it, and how long one waits
for the text is measured. ``--sim_chunk_length`` is the size of a packet.
``1best_recog`` gets ESPnet's files, ``lookahead_ms`` and ``decode_seconds`` as
``asr_inference`` writes them, and a file for every kind of latency, which
``metrics.streamed`` defines: ``token_algorithmic_ms``, ``token_emission_ms``,
``token_computational_ms``, ``token_stable_ms``, ``first_partial_ms``, ``final_ms``.
Names have the options of ``asr_inference`` and the text that it gives with them, by an
adapter and by the techniques that need no whole utterance (boosting, unigram).
ESPnet's own streaming encoders go to ESPnet's program, which measures nothing.
"""

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from espnet_dynlook.bin import names
from espnet_dynlook.bin.asr_evaluate import read_words
from espnet_dynlook.bin.decoding import (
    add_wait,
    check_one_at_a_time,
    in_ms,
    parse,
    utterances,
    warn_of_short,
    write_hypothesis,
)
from espnet_dynlook.bin.errors import in_one_line
from espnet_dynlook.bin.name_lists import used
from espnet_dynlook.bin.stream_decoder import Decoder
from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.config import ConfigError
from espnet_dynlook.metrics.streamed import LATENCIES, report
from espnet_dynlook.streaming.measure import Streamed
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.substitute import substitute

with espnet_imports():
    import espnet2.bin.asr_inference_streaming as host
    from espnet2.fileio.datadir_writer import DatadirWriter
    from espnet2.torch_utils.set_all_random_seed import set_all_random_seed

#: Encoders that ESPnet streams itself.
ESPNETS = ("contextual_block_conformer", "contextual_block_transformer")
#: Options that this command adds.
OURS = ("decoding", "alignment", "wait", *names.OPTIONS)
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
        type=Path,
        help="words of the references with their times: a CTM file, or a folder with "
        "SET.ctm for data of a folder SET, as asr_evaluate --write_alignment leaves. "
        "Tokens that were recognised are measured from the end of their word; "
        "without, all tokens are, from their own end on the model's CTC path of what "
        "it recognised",
    )
    add_wait(parser)
    names.add_options(parser, "beam", espnet=False)
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
    names.check(args, "beam")


def inference(args: argparse.Namespace) -> list[str]:
    """Decode a data directory.

    Args:
        args: From ``get_parser()``.

    Returns:
        Utterances that are too short; they are written with empty text.

    Raises:
        CheckpointMismatch: the model file does not fit the configuration.
        ConfigError: an argument has no effect or is out of range, the model cannot
            stream, or an utterance is not what it takes.
    """
    check_arguments(args)
    set_all_random_seed(args.seed)
    decoder = Decoder(args)
    name = Path(args.data_path_and_name_and_type[0][0]).parent.name
    alignment = read_words(args.alignment, name)
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
                catalog = decoder.lists(key)  # that it is made is no latency
                listed = decoder.named(catalog)
                if not keys:  # nor is what the first call of all is slower by
                    decoder.meter(torch.zeros_like(speech[:size]), size, unit, listed)
                streamed = decoder.meter(speech, size, unit, listed)
                emission = decoder.emission(streamed, words)
            except ValueError as error:
                raise ConfigError(f"{key}: {error}") from error
            keys.append(key)
            if not streamed.lookahead:
                too_short.append(key)
            values = latencies(streamed, emission)
            _write(writer["1best_recog"], key, decoder, streamed, values)
            if catalog is not None:
                writer["1best_recog"]["names_used"][key] = used(catalog)
            for name, own in values.items():
                measured[name] += own
    if alignment is not None and alignment.keys().isdisjoint(keys):
        raise ConfigError(f"--alignment {args.alignment} has none of these utterances")
    warn_of_short(too_short)
    decoder.lists.warn_of_unusable()
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
