# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""ASR decoding: ESPnet's ``espnet2.bin.asr_inference``, with latencies, CTC and names.

Beside ESPnet's files, ``1best_recog`` gets ``lookahead_ms`` (an utterance and the
latency of each of its encoder frames, in ms) and ``decode_seconds`` (an utterance, the
seconds spent on it, its seconds of audio); from models with a ``compute_budget`` also
``upl_ms`` (an utterance and its user-perceived latency, simulated, in ms); with lists
of names ``names_used`` (an utterance, the entries of its list, and the phrases of it
that cannot be used), and ``names_report`` with one list (what each phrase became);
with ``--decoding ctc_beam`` also ``score_parts`` (what the score is the sum of).
"""

import argparse
import inspect
import logging
import time
from collections.abc import Sequence
from typing import Any

import torch

from espnet_dynlook import config
from espnet_dynlook.biasing.g2p import MissingPackage
from espnet_dynlook.bin import names
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
from espnet_dynlook.bin.name_lists import checked_lists, used
from espnet_dynlook.bin.speech2text import (
    DECODINGS,
    Hypothesis,
    Speech2Text,
    TooShortUttError,
)
from espnet_dynlook.compat import espnet_imports

with espnet_imports():
    import espnet2.bin.asr_inference as host
    from espnet2.fileio.datadir_writer import DatadirWriter
    from espnet2.torch_utils.set_all_random_seed import set_all_random_seed

__all__ = ["Speech2Text", "get_parser", "inference", "main"]


def get_parser() -> argparse.ArgumentParser:
    """Return the parser: ESPnet's, ``--decoding``, and the options of names."""
    parser = host.get_parser()
    parser.add_argument(
        "--decoding",
        choices=DECODINGS,
        default="espnet",
        help="espnet: its beam search. ctc_greedy: best path of the CTC head, fast, "
        "and without the decoder or a language model. ctc_beam: prefix beam search "
        "over the CTC head, with --beam_size, n-grams and names",
    )
    add_wait(parser)
    names.add_options(parser)
    return parser


def _build(args: argparse.Namespace) -> Speech2Text:
    accepted = inspect.signature(host.Speech2Text.__init__).parameters
    options = {k: v for k, v in vars(args).items() if k in accepted and k != "self"}
    options["device"] = "cuda" if args.ngpu > 0 else "cpu"
    if args.decoding == "ctc_beam":
        del options["ngram_file"]  # it is for this search, not for ESPnet's
    try:
        return Speech2Text.from_pretrained(
            model_tag=args.model_tag,
            wait=args.wait,
            **options,
            **names.options_of(args),
        )
    except ValueError as error:
        raise config.ConfigError(str(error)) from error


def _write(writer: Any, key: str, results: Any, nbest: int, parts: bool) -> None:
    intermediate = None
    if isinstance(results, tuple):
        results, intermediate = results
    for number, (text, tokens, token_ids, hypothesis) in enumerate(results[:nbest], 1):
        files = writer[f"{number}best_recog"]
        write_hypothesis(files, key, text, tokens, token_ids, hypothesis.score)
        if parts:
            files["score_parts"][key] = " ".join(
                f"{name}={value:.4f}" for name, value in hypothesis.scores.items()
            )
    for layer, tokens in (intermediate or {}).items():
        name = f"encoder_interctc_layer{layer}.txt"
        writer["1best_recog"][name][key] = " ".join(tokens)


def inference(args: argparse.Namespace) -> list[str]:
    """Decode a data directory.

    Args:
        args: From ``get_parser()``.

    Returns:
        Utterances that are too short; they are written with empty text.

    Raises:
        CheckpointMismatch: the model file does not fit the configuration.
        ConfigError: ``--batch_size`` is not 1, ``--ngpu`` above 1, or options of names
            do not go together or with the model.
    """
    check_one_at_a_time(args)
    names.check(args)
    set_all_random_seed(args.seed)
    speech2text = _build(args)
    model = speech2text.asr_model
    lists = checked_lists(
        args, speech2text.tokenizer, model.token_list, speech2text.check_names
    )
    too_short = []
    with DatadirWriter(args.output_dir) as writer:
        for key, speech in utterances(args, speech2text.asr_train_args):
            catalog = lists(key)  # that it is made is no part of decoding
            start = time.perf_counter()
            try:
                results = speech2text(speech, catalog=catalog)
                latencies = speech2text.lookahead_ms().tolist()
                perceived = speech2text.upl_ms()
            except TooShortUttError as error:
                logging.warning(f"{key}: {error}")
                too_short.append(key)
                nothing = Hypothesis(yseq=torch.zeros(0, dtype=torch.long))
                results, latencies = [("", [], [], nothing)] * args.nbest, []
                perceived = None
            except MissingPackage as error:
                raise config.ConfigError(str(error)) from error
            spent = time.perf_counter() - start
            audio = speech2text.seconds(speech)
            _write(writer, key, results, args.nbest, args.decoding == "ctc_beam")
            files = writer["1best_recog"]
            if catalog is not None:
                files["names_used"][key] = used(catalog)
            files["lookahead_ms"][key] = in_ms(latencies)
            if speech2text.compute_budget is not None:
                files["upl_ms"][key] = "" if perceived is None else f"{perceived:.1f}"
            files["decode_seconds"][key] = f"{spent:.4f} {audio:.4f}"
    warn_of_short(too_short)
    lists.warn_of_unusable()
    return too_short


def main(cmd: Sequence[str] | None = None) -> None:
    """Decode.

    Args:
        cmd: Arguments as on the command line; None: those of this process.

    Raises:
        ConfigError: a key or value of the configuration is wrong.
    """
    args = parse(cmd, get_parser)
    if args.enh_s2t_task or args.multi_asr:
        # Several speakers an utterance: not ours, so ESPnet's own loop.
        names.check(args)
        if args.wait is not None:
            raise config.ConfigError(
                f"--wait {args.wait} goes with one speaker an utterance: not with "
                "--enh_s2t_task or --multi_asr"
            )
        accepted = inspect.signature(host.inference).parameters
        host.inference(**{k: v for k, v in vars(args).items() if k in accepted})
        return
    inference(args)


def program() -> None:
    """Decode, and say in one line what the user can put right."""
    with in_one_line("asr_inference"):
        main()


if __name__ == "__main__":
    program()
