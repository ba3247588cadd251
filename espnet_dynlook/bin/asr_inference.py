# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""ASR decoding: ESPnet's ``espnet2.bin.asr_inference``, with latencies and greedy CTC.

Beside ESPnet's files, ``1best_recog`` gets ``lookahead_ms`` (an utterance and the
latency of each of its encoder frames, in ms) and ``decode_seconds`` (an utterance, the
seconds spent on it, its seconds of audio); from models with a ``compute_budget`` also
``upl_ms`` (an utterance and its user-perceived latency, simulated, in ms).
"""

import argparse
import inspect
import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

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
from espnet_dynlook.compat import espnet_imports, espnet_nets
from espnet_dynlook.search.greedy import best_path
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.latency import FrontendTiming, frame_latencies, time_to_end
from espnet_dynlook.training.substitute import substitute

with espnet_imports():
    import espnet2.bin.asr_inference as host
    from espnet2.fileio.datadir_writer import DatadirWriter
    from espnet2.torch_utils.set_all_random_seed import set_all_random_seed

Hypothesis = espnet_nets("beam_search").Hypothesis
TooShortUttError = espnet_nets(
    "pytorch_backend.transformer.subsampling"
).TooShortUttError

#: Placeholder of ESPnet's n-best list: text, tokens, their numbers, hypothesis.
Nbest = list[tuple[str | None, list[str], list[int], Any]]


class Speech2Text(host.Speech2Text):
    """ESPnet's ``Speech2Text`` with the plugin's models, greedy CTC and latencies.

    Args:
        args: As ESPnet's.
        decoding: "espnet" (its beam search) or "ctc_greedy" (best path of the CTC
            head; fast, and needs no decoder).
        kwargs: As ESPnet's.

    Raises:
        CheckpointMismatch: the model file does not fit the configuration.
        ValueError: ``decoding`` is unknown.

    Example:
        >>> speech2text = Speech2Text("exp/config.yaml", "exp/valid.loss.best.pth",
        ...                           decoding="ctc_greedy")
        >>> text, tokens, token_ids, hypothesis = speech2text(samples)[0]
        >>> speech2text.lookahead_ms()  # of the encoder's frames
    """

    def __init__(self, *args: Any, decoding: str = "espnet", **kwargs: Any):
        if decoding not in ("espnet", "ctc_greedy"):
            raise ValueError(f"decoding={decoding!r} must be espnet or ctc_greedy")
        with substitute(host, ASRTask=DynlookASRTask):
            super().__init__(*args, **kwargs)
        self.decoding = decoding
        self.timing = FrontendTiming(self.asr_model)
        if self.timing.warning is not None:
            logging.warning(self.timing.warning)
        self.compute_budget = getattr(self.asr_model, "compute_budget", None)
        self._frames = 0  # of the encoder
        self._seconds = 0.0

    def upl_ms(self) -> float | None:
        """Return the user-perceived latency of the last utterance in ms, simulated.

        How long after the end of speech a device of the model's ``compute_budget``
        would be done with the encoder, masks rounded; None for a model without one.
        """
        if self.compute_budget is None:
            return None
        model = self.asr_model
        return float(model.upl_ms(model.encoder.lookahead)[0])

    @staticmethod
    def from_pretrained(model_tag: str | None = None, **kwargs: Any) -> "Speech2Text":
        """Build from files, or from a model of ESPnet's zoo; arguments as ESPnet's."""
        original = host.Speech2Text
        with substitute(host, Speech2Text=Speech2Text):
            return original.from_pretrained(model_tag, **kwargs)

    @torch.no_grad()
    def __call__(self, speech: torch.Tensor | np.ndarray, *args: Any) -> Any:
        """Recognise one utterance.

        Args:
            speech: Samples (N,), or features (N, D).
            args: As ESPnet's.

        Returns:
            N-best list of (text, tokens, token numbers, hypothesis), as ESPnet's.

        Raises:
            TooShortUttError: shorter than what front end and subsampling need.
        """
        if isinstance(speech, torch.Tensor | np.ndarray):
            self._check_length(len(speech))
        if self.decoding == "espnet":
            with self._counting():
                return super().__call__(speech, *args)
        if isinstance(speech, Sequence):
            return [self(one) for one in speech]
        return self._greedy(speech)

    def batch_decode(
        self, speech: Any, speech_lengths: Any | None = None
    ) -> list[Nbest]:
        """Recognise several utterances; where ESPnet has it, in one beam search."""
        if self.decoding == "espnet":
            return super().batch_decode(speech, speech_lengths)
        if speech_lengths is None:
            return [self(one) for one in speech]
        return [self(x[: int(n)]) for x, n in zip(speech, speech_lengths, strict=True)]

    def lookahead_ms(self) -> torch.Tensor:
        """Return the latency of each encoder frame of the last utterance, (T,), in ms.

        Counted from the end of the frame, front end and subsampling included. The time
        to the utterance's end for an encoder that says nothing of its lookahead, and
        where another part of the model may use the whole utterance, such as
        ``normalize: utterance_mvn``.
        """
        found = frame_latencies(self.asr_model.encoder, self.timing)
        if found is not None:
            latencies, lengths = found
            return latencies[0, : int(lengths[0])].cpu()
        return time_to_end(self._frames, self._seconds)

    def seconds(self, speech: torch.Tensor | np.ndarray) -> float:
        """Return how long samples (N,) or (N, channels), or features (N, D), are."""
        unit = unit_ms(speech, self.asr_model.frontend, self.timing)
        return len(speech) * unit / 1000.0

    def _check_length(self, size: int) -> None:
        # A centred STFT reflects half a window at each end, and fails on less.
        needed = self.timing.padding + 1
        if size < needed:
            raise TooShortUttError(
                f"has {size} samples and is too short for the front end, which needs "
                f"at least {needed}",
                size,
                needed,
            )

    def _counting(self) -> Any:
        """Note the number of encoder frames that ESPnet's code does not hand out."""
        encode = self.asr_model.encode

        def counted(speech: torch.Tensor, speech_lengths: torch.Tensor) -> Any:
            out, olens = encode(speech=speech, speech_lengths=speech_lengths)
            self._frames = int(olens[0])
            self._seconds = self.seconds(speech[0, : int(speech_lengths[0])])
            return out, olens

        return substitute(self.asr_model, encode=counted)

    def _greedy(self, speech: torch.Tensor | np.ndarray) -> Nbest:
        samples = torch.as_tensor(speech).to(self.device, getattr(torch, self.dtype))
        lengths = torch.tensor([len(samples)], device=self.device)
        enc, olens = self.asr_model.encode(speech=samples[None], speech_lengths=lengths)
        enc = enc[0] if isinstance(enc, tuple) else enc  # beside intermediate outputs
        self._frames, self._seconds = int(olens[0]), self.seconds(samples)
        log_probs = self.asr_model.ctc.log_softmax(enc)[0, : int(olens[0])]
        path = best_path(log_probs.cpu(), self.asr_model.blank_id)
        tokens = self.converter.ids2tokens(path.tokens)
        text = self.tokenizer.tokens2text(tokens) if self.tokenizer else None
        hypothesis = Hypothesis(
            yseq=torch.tensor(path.tokens, dtype=torch.long), score=path.score
        )
        return [(text, tokens, path.tokens, hypothesis)]


def get_parser() -> argparse.ArgumentParser:
    """Return the parser: ESPnet's, and ``--decoding``."""
    parser = host.get_parser()
    parser.add_argument(
        "--decoding",
        choices=["espnet", "ctc_greedy"],
        default="espnet",
        help="espnet: its beam search. ctc_greedy: best path of the CTC head, fast, "
        "and without the decoder or a language model",
    )
    return parser


def _build(args: argparse.Namespace) -> Speech2Text:
    accepted = inspect.signature(host.Speech2Text.__init__).parameters
    options = {k: v for k, v in vars(args).items() if k in accepted and k != "self"}
    options["device"] = "cuda" if args.ngpu > 0 else "cpu"
    return Speech2Text.from_pretrained(
        model_tag=args.model_tag, decoding=args.decoding, **options
    )


def _write(writer: Any, key: str, results: Any, nbest: int) -> None:
    intermediate = None
    if isinstance(results, tuple):
        results, intermediate = results
    for number, (text, tokens, token_ids, hypothesis) in enumerate(results[:nbest], 1):
        files = writer[f"{number}best_recog"]
        write_hypothesis(files, key, text, tokens, token_ids, hypothesis.score)
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
        ConfigError: ``--batch_size`` is not 1, or ``--ngpu`` above 1.
    """
    check_one_at_a_time(args)
    set_all_random_seed(args.seed)
    speech2text = _build(args)
    too_short = []
    with DatadirWriter(args.output_dir) as writer:
        for key, speech in utterances(args, speech2text.asr_train_args):
            start = time.perf_counter()
            try:
                results = speech2text(speech)
                latencies = speech2text.lookahead_ms().tolist()
                perceived = speech2text.upl_ms()
            except TooShortUttError as error:
                logging.warning(f"{key}: {error}")
                too_short.append(key)
                nothing = Hypothesis(yseq=torch.zeros(0, dtype=torch.long))
                results, latencies = [("", [], [], nothing)] * args.nbest, []
                perceived = None
            spent = time.perf_counter() - start
            audio = speech2text.seconds(speech)
            _write(writer, key, results, args.nbest)
            files = writer["1best_recog"]
            files["lookahead_ms"][key] = in_ms(latencies)
            if speech2text.compute_budget is not None:
                files["upl_ms"][key] = "" if perceived is None else f"{perceived:.1f}"
            files["decode_seconds"][key] = f"{spent:.4f} {audio:.4f}"
    warn_of_short(too_short)
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
        ours = ("config", "decoding")
        options = {k: v for k, v in vars(args).items() if k not in ours}
        host.inference(**options)
        return
    inference(args)


def program() -> None:
    """Decode, and say in one line what the user can put right."""
    with in_one_line("asr_inference"):
        main()


if __name__ == "__main__":
    program()
